"""A simulation held against the real service: predicted first, written down, and then measured."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from feasible.errors import BadInput, PlanError
from feasible.folder import Feature
from feasible.machine import Machine, Requests, calibrated, outcome_of
from feasible.measuring import local_address, measure, plan_of_service
from feasible.schema import FloatArray
from feasible.simulating import built
from feasible.simulation import (
    CACHED,
    NOBODY,
    Arrivals,
    Design,
    Outage,
    Outcome,
    Promise,
    breakpoints,
    run,
)

__all__ = [
    "Compared",
    "Comparison",
    "Rehearsal",
    "against",
    "figures_of",
    "measured_load",
    "predicted_load",
    "rehearsed",
    "written",
]

_MEASURED_S: Final = 15.0
_PARTS: Final = (0.3, 0.6, 0.9)
_RUNS: Final = 20
"""Runs, each as long as the measured one, that say where its figures should fall."""
_RESAMPLED: Final = 400
_SIDES: Final = (0.025, 0.975)
_STREAM: Final = 99

Figures = dict[str, tuple[float, float, float]]
"""Figure -> its value, and the ends of its 95 % interval."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure at one load."""

    part: float
    """Share of the load at which the first promise breaks."""
    rate_per_s: float
    figure: str
    predicted: float
    predicted_interval: tuple[float, float]
    """Where 95 % of runs as long as the measured one should fall."""
    measured: float | None
    measured_interval: tuple[float, float] | None
    """95 % interval, by drawing its requests anew."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What was predicted and what was measured."""

    name: str
    plan: str
    prediction: str
    """File that holds the prediction; it was written before anything was measured."""
    sha256: str
    """Of that file."""
    breaks_at_per_s: float
    machine: Machine
    """What the service takes of this machine, measured before the prediction."""
    lines: tuple[Compared, ...]
    refused: int
    load_average: float
    """Of the machine when the loads were measured."""


@dataclass(frozen=True)
class Rehearsal:
    """A feature, the service that runs its plan here, and a design that knows the machine.

    Attributes:
        url: The service.
        plan: Id of the plan that both have.
        design: What is simulated, the machine's own inputs in it.
        promises: What it is held to.
        machine: Those inputs.
        requests: What is sent.
        rng: Luck of what is sent.
        seed: Luck of what is simulated.
    """

    url: str
    plan: str
    design: Design
    promises: tuple[Promise, ...]
    machine: Machine
    requests: Requests
    rng: np.random.Generator
    seed: int


def rehearsed(
    feature: Feature,
    url: str,
    *,
    knobs: Mapping[str, str],
    seed: int = 0,
    seconds: float = _MEASURED_S / 4,
    faults: Mapping[str, Outage] | None = None,
) -> Rehearsal:
    """Build the design of a feature, and measure once what its service takes of this machine.

    Args:
        feature: The feature.
        url: The service, on this machine.
        knobs: Knob -> value as typed.
        seed: Makes requests and luck repeatable.
        seconds: How long each run of the calibration takes.
        faults: Tier -> what is known to be wrong with it all along.

    Raises:
        BadInput: The address is of another machine, or the profile has no texts to send.
        PlanError: The service answers with another plan.
    """
    local_address(url)
    asked, profile = built(feature, scenario="breakpoint", knobs=knobs, seed=seed, is_served=True)
    if profile.text is None:
        raise BadInput("there is nothing to send: the profile holds no texts")
    served = plan_of_service(url)
    if served != asked.plan:
        raise PlanError(
            "the service answers with another plan",
            asked=str(asked.plan),
            found=served,
            attempt=f"feasible serve {feature.brief.name}, which serves the plan of its folder",
        )
    design = replace(asked.design, arrivals=Arrivals(asked.design.arrivals.rate_per_s))
    for name, fault in (faults or {}).items():
        tiers = [
            replace(load, outages=(*load.outages, fault)) if load.name == name else load
            for load in design.tiers
        ]
        design = replace(design, tiers=tuple(tiers))
    rng = np.random.default_rng((seed, _STREAM))
    requests = Requests(design, profile, rng)
    design, machine = calibrated(design, url, requests, feature.work, seconds=seconds)
    return Rehearsal(url, served, design, asked.promises, machine, requests, rng, seed)


def against(
    feature: Feature,
    url: str,
    *,
    knobs: Mapping[str, str],
    seed: int = 0,
    seconds: float = _MEASURED_S,
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Hold a simulation against the service that runs the same plan on this machine.

    What the service takes of the machine is measured once. Then the prediction is written down,
    and only then are the loads measured.

    Args:
        feature: The feature.
        url: The service, on this machine.
        knobs: Knob -> value as typed.
        seed: Makes requests and luck repeatable.
        seconds: How long each load is measured; what comes before takes less.
        progress: Told how far the work is.

    Raises:
        BadInput: The address is of another machine, or the profile has no texts to send.
        PlanError: The service answers with another plan.
    """
    ready = rehearsed(feature, url, knobs=knobs, seed=seed, seconds=seconds / 4)
    rate = ready.design.arrivals.rate_per_s
    found = breakpoints(ready.design, ready.promises, seed=seed, effects=False)
    breaking = [li.headroom[1] for li in found.order if li.verdict == "breaks"]
    multiple = min((m for m in breaking if m is not None), default=found.curve[-1].multiple)
    breaks_at = multiple * rate
    predicted = {part: predicted_load(ready, part * breaks_at, seconds=seconds) for part in _PARTS}
    path, digest = written(
        feature.work / "prediction.json",
        {
            "plan": ready.plan,
            "machine": ready.machine,
            "breaks_at_per_s": breaks_at,
            "predicted": predicted,
        },
    )
    lines, refused, busy = list[Compared](), 0, os.getloadavg()[0]
    for number, part in enumerate(_PARTS):
        outcome, lost = measured_load(ready, part * breaks_at, seconds=seconds)
        refused += lost
        lines += _compared(part, part * breaks_at, predicted[part], figures_of(ready, outcome))
        if progress is not None:
            progress("measured", number + 1, len(_PARTS))
    return Comparison(
        name=ready.design.name,
        plan=ready.plan,
        prediction=str(path),
        sha256=digest,
        breaks_at_per_s=breaks_at,
        machine=ready.machine,
        lines=tuple(lines),
        refused=refused,
        load_average=busy,
    )


def predicted_load(ready: Rehearsal, rate_per_s: float, *, seconds: float) -> Figures:
    """Predict the figures of a run at some rate, each with where such runs fall.

    Args:
        ready: The design.
        rate_per_s: Mean arrivals.
        seconds: Length of the run that is to be predicted.
    """
    design = replace(ready.design, arrivals=Arrivals(rate_per_s))
    n = max(round(rate_per_s * seconds), 10)
    runs = [run(design, n, seed=ready.seed + s) for s in range(_RUNS)]
    each = [_values(ready.design, outcome) for outcome in runs]
    out: Figures = {}
    for name in each[0]:
        low, high = np.quantile([values[name] for values in each], _SIDES).tolist()
        out[name] = (float(np.mean([values[name] for values in each])), low, high)
    return out


def measured_load(ready: Rehearsal, rate_per_s: float, *, seconds: float) -> tuple[Outcome, int]:
    """Send Poisson arrivals at some rate; give what came of it, and how many were refused."""
    n = max(round(rate_per_s * seconds), 10)
    at_s = np.cumsum(ready.rng.standard_exponential(n)) / rate_per_s
    asked, rows = ready.requests.make(n)
    seen = measure(ready.url, asked, at_s.tolist())
    return outcome_of(ready.design, seen, rows, at_s), sum(seen.refused.values())


def figures_of(ready: Rehearsal, outcome: Outcome) -> Figures:
    """Give the figures of what was measured, with intervals from drawing its requests anew."""
    rng = np.random.default_rng((ready.seed, _STREAM, 1))
    n = len(outcome)
    drawn = [_values(ready.design, outcome.some(rng.integers(0, n, n))) for _ in range(_RESAMPLED)]
    out: Figures = {}
    for name, value in _values(ready.design, outcome).items():
        low, high = np.quantile([values[name] for values in drawn], _SIDES).tolist()
        out[name] = (value, low, high)
    return out


def written(path: Path, content: Mapping[str, Any]) -> tuple[Path, str]:
    """Write a prediction and give its file and its hash, before anything is measured."""
    body = msgspec.json.format(msgspec.json.encode(content))
    path.write_bytes(body)
    return path, hashlib.sha256(body).hexdigest()


def _values(design: Design, outcome: Outcome) -> dict[str, float]:
    took: FloatArray = outcome.latency_ms
    out = {f"p{p}_ms": float(np.quantile(took, p / 100)) for p in (50, 95, 99)}
    out["usd_each"] = float(outcome.cost_usd.mean())
    out["degraded"] = float(outcome.degraded.mean())
    ends = np.where(outcome.exit == CACHED, CACHED, outcome.answered_by)
    names = {k: load.name for k, load in enumerate(design.tiers)}
    if design.cache is not None:
        names[CACHED] = "cache"
    shares = {f"answered by {name}": float((ends == code).mean()) for code, name in names.items()}
    nobody = float((ends == NOBODY).mean())
    return out | shares | ({"answered by nobody": nobody} if nobody else {})


def _compared(part: float, rate: float, predicted: Figures, measured: Figures) -> list[Compared]:
    out = []
    for name, (value, *ends) in predicted.items():
        found = measured.get(name)
        out.append(
            Compared(
                part=part,
                rate_per_s=rate,
                figure=name,
                predicted=value,
                predicted_interval=(ends[0], ends[1]),
                measured=None if found is None else found[0],
                measured_interval=None if found is None else (found[1], found[2]),
            )
        )
    return out
