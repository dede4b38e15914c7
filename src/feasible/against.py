"""A simulation held against the real service: predicted first, written down, and then measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from feasible.errors import BadInput, PlanError
from feasible.folder import Feature
from feasible.measuring import (
    Measured,
    capacity_per_s,
    local_address,
    measure,
    plan_of_service,
)
from feasible.schema import Profile, TierKind
from feasible.simulating import built
from feasible.simulation import (
    Arrivals,
    Batching,
    Design,
    Outcome,
    Service,
    TierLoad,
    breakpoints,
    run,
    screen,
)

__all__ = ["Compared", "Comparison", "against"]

_MEASURED_S: Final = 15.0
_CALM_PER_S: Final = 10.0
_PARTS: Final = (0.3, 0.6, 0.9)
_SIMULATED: Final = 20_000
_SEEDS: Final = 3
_CLIENTS: Final = 8
_LARGEST_BATCH: Final = 32
"""Calls that a service answers together at most."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure at one load."""

    part: float
    """Share of the load at which the first promise breaks."""
    rate_per_s: float
    figure: str
    predicted: float
    measured: float | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What was predicted and what was measured."""

    name: str
    plan: str
    prediction: str
    """File that holds the prediction; it was written before anything was measured."""
    sha256: str
    """Of that file."""
    breaks_at_per_s: float
    front_ms: float
    """Work of the service on one request, one at a time, by its capacity. Milliseconds."""
    overhead_ms: float
    """What else every answer takes, by a calm run. Milliseconds."""
    lines: tuple[Compared, ...]
    refused: int


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

    A calm run and a full one say what the service itself adds, which no profile knows. Then the
    prediction is written down, and only then are the loads measured.

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
    local_address(url)
    asked, profile = built(feature, scenario="breakpoint", knobs=knobs, seed=seed)
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
    rng = np.random.default_rng((seed, 99))
    design = _calibrated(design, url, profile, rng, seconds=seconds / 4)
    found = breakpoints(design, asked.promises, seed=seed, effects=False)
    breaking = [li.headroom[1] for li in found.order if li.verdict == "breaks"]
    multiple = min((m for m in breaking if m is not None), default=found.curve[-1].multiple)
    breaks_at = multiple * design.arrivals.rate_per_s
    predicted = {part: _predicted(design, part * breaks_at, seed) for part in _PARTS}
    path, digest = _written(feature.work, str(asked.plan), breaks_at, predicted)
    lines, refused = [], 0
    for number, part in enumerate(_PARTS):
        rate = part * breaks_at
        at_s = np.cumsum(rng.standard_exponential(max(round(rate * seconds), 10))) / rate
        seen = measure(url, _requests(design, profile, len(at_s), rng), at_s.tolist())
        refused += sum(seen.refused.values())
        figures = _figures(seen)
        lines += [
            Compared(
                part=part,
                rate_per_s=rate,
                figure=name,
                predicted=value,
                measured=figures.get(name, 0.0 if name.startswith("answered by") else None),
            )
            for name, value in predicted[part].items()
        ]
        if progress is not None:
            progress("measured", number + 1, len(_PARTS))
    return Comparison(
        name=design.name,
        plan=served,
        prediction=str(path),
        sha256=digest,
        breaks_at_per_s=breaks_at,
        front_ms=0.0 if design.front is None else design.front.service.mean_s * 1e3,
        overhead_ms=design.overhead_ms,
        lines=tuple(lines),
        refused=refused,
    )


def _calibrated(
    design: Design, url: str, profile: Profile, rng: np.random.Generator, *, seconds: float
) -> Design:
    """Add what no profile knows: the service's own work, its batches, and what it always adds.

    One request again and again, answered by the cache, shows the service's own work; eight
    different ones at a time show how fast its busiest machine tier is in batches; a calm run
    shows the rest.
    """
    many = _requests(design, profile, 4000, rng)
    most = capacity_per_s(url, many, seconds=seconds, clients=_CLIENTS)
    own = most
    if design.cache is not None:
        own = capacity_per_s(url, many[:1], seconds=seconds, clients=_CLIENTS)
    front = TierLoad("service", 1, Service("fixed", 1 / max(own, most)))
    design = _batched(replace(design, front=front), most)
    n = max(round(_CALM_PER_S * seconds), 10)
    at_s = np.cumsum(rng.standard_exponential(n)) / _CALM_PER_S
    calm = measure(url, _requests(design, profile, n, rng), at_s.tolist())
    alone = replace(design, arrivals=Arrivals(_CALM_PER_S))
    simulated = float(np.median(run(alone, _SIMULATED, seed=0).latency_ms))
    return replace(design, overhead_ms=max(calm.percentile_ms(0.5) - simulated, 0.0))


def _batched(design: Design, most_per_s: float) -> Design:
    """Let the busiest machine tier answer in batches on one thread, as a service lets it."""
    loads = [load for load in screen(design).loads if load.utilisation > 0]
    if not loads:
        return design
    busiest = max(loads, key=lambda load: load.utilisation)
    k = next(k for k, load in enumerate(design.tiers) if load.name == busiest.name)
    if design.policy.steps[k].kind not in {TierKind.RULES, TierKind.MODEL}:
        return design
    full_s = _CLIENTS / (most_per_s * busiest.reach)  # nearly all that are under way are in it
    each_s = max((full_s - busiest.service_s) / (_CLIENTS - 1), 0.0)
    base_s = max(busiest.service_s - each_s, 0.0)
    batching = Batching(_LARGEST_BATCH, 0.0, base_s, each_s)
    load = replace(design.tiers[k], slots=1, batching=batching)
    return replace(design, tiers=(*design.tiers[:k], load, *design.tiers[k + 1 :]))


def _requests(
    design: Design, profile: Profile, n: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Give texts of the profile, as many of them repeated as the design's cache answers."""
    assert profile.text is not None  # noqa: S101  checked by the caller
    hit = 0.0 if design.cache is None or design.cache.hit is None else design.cache.hit
    salt = int(rng.integers(2**31))
    out: list[dict[str, Any]] = []
    for i, row in enumerate(rng.integers(0, len(profile), n).tolist()):
        if out and rng.random() < hit:
            out.append(out[int(rng.integers(len(out)))])
        else:  # `case` makes it another request: no cache has seen it
            out.append({"text": profile.text[row], "case": f"{salt}-{i}"})
    return out


def _predicted(design: Design, rate: float, seed: int) -> dict[str, float]:
    runs = [
        run(replace(design, arrivals=Arrivals(rate)), _SIMULATED, seed=seed + s)
        for s in range(_SEEDS)
    ]
    latency = np.concatenate([outcome.latency_ms for outcome in runs])
    out = {f"p{p}_ms": float(np.quantile(latency, p / 100)) for p in (50, 95, 99)}
    out["usd_each"] = float(np.mean([outcome.cost_usd.mean() for outcome in runs]))
    out["degraded"] = float(np.mean([outcome.degraded.mean() for outcome in runs]))
    return out | _shares(design, runs)


def _shares(design: Design, runs: list[Outcome]) -> dict[str, float]:
    ends = np.concatenate([np.where(o.exit == -2, -2, o.answered_by) for o in runs])  # noqa: PLR2004
    names = {-2: "cache"} | {k: load.name for k, load in enumerate(design.tiers)}
    return {f"answered by {name}": float((ends == code).mean()) for code, name in names.items()}


def _figures(seen: Measured) -> dict[str, float]:
    out = {f"p{p}_ms": seen.percentile_ms(p / 100) for p in (50, 95, 99)}
    known = [usd for usd in seen.cost_usd if usd is not None]
    if known:
        out["usd_each"] = float(np.mean(known))
    out["degraded"] = float(np.mean(seen.degraded)) if seen.degraded else 0.0
    return out | {f"answered by {name}": seen.share(name) for name in set(seen.tiers)}


def _written(
    work: Path, plan: str, breaks_at: float, predicted: Mapping[float, Mapping[str, float]]
) -> tuple[Path, str]:
    """Write the prediction and give its hash, before anything is measured."""
    body = msgspec.json.format(
        msgspec.json.encode({"plan": plan, "breaks_at_per_s": breaks_at, "predicted": predicted})
    )
    path = work / "prediction.json"
    path.write_bytes(body)
    return path, hashlib.sha256(body).hexdigest()
