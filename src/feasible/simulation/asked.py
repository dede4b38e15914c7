"""What a scenario is about, and the answer that every scenario gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from feasible.errors import ScenarioError
from feasible.schema import Brief
from feasible.simulation.breakpoint import design_hash, tier_lines
from feasible.simulation.design import Design
from feasible.simulation.headroom import Progress
from feasible.simulation.outcome import Outcome
from feasible.simulation.promises import Promise
from feasible.simulation.records import First, PromiseLine, Simulated
from feasible.simulation.scenario import Scenario
from feasible.simulation.screen import screen
from feasible.simulation.sweep import feedback_of
from feasible.simulation.uncertain import Uncertain

__all__ = ["Asked", "answer", "requests_in", "seeds", "steady", "told"]

_MOST_IN_A_RUN: Final = 1_000_000
_SHORTER: Final = 0.8
"""A run is a little longer than in proportion to its fault."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a scenario is about.

    Attributes:
        design: The design, with the scenario's knobs turned.
        promises: What it is held to.
        brief: The declaration.
        scenario: What to simulate.
        seed: The first of the seeds.
        plan: Id of the plan.
        assumed: What nobody measured, in words.
        uncertain: Inputs that are not known exactly.
        progress: Told how far the work is.
    """

    design: Design
    promises: tuple[Promise, ...]
    brief: Brief
    scenario: Scenario
    seed: int = 0
    plan: str | None = None
    assumed: tuple[str, ...] = ()
    uncertain: tuple[Uncertain, ...] = ()
    progress: Progress | None = None


def steady(design: Design) -> Design:
    """Give the design with its mean load all the time: the scenario brings its own unevenness."""
    return replace(design, arrivals=replace(design.arrivals, kind="poisson"))


def requests_in(asked: Asked, seconds: float, *, lasts_s: float) -> int:
    """Give how many requests come in a stretch of time that is run request by request.

    Args:
        asked: What is simulated.
        seconds: Length of the stretch, at the design's own rate.
        lasts_s: Length of the fault or the spike in it, which decides the length of the rest.

    Raises:
        ScenarioError: They are more than can be run in a while.
    """
    rate = asked.design.arrivals.rate_per_s
    found = rate * seconds
    if found > _MOST_IN_A_RUN:
        shorter = _SHORTER * lasts_s * _MOST_IN_A_RUN / found
        raise ScenarioError(
            f"{asked.scenario.kind} at {rate:g} / s is too much to be run request by request",
            asked=f"{seconds:,.0f} s at {rate:g} / s",
            found=f"{found:,.0f} requests a run; {_MOST_IN_A_RUN:,} are the most",
            attempt=f"a scenario file with `lasts: {shorter:.2g} s`, or a part of the rate with "
            "the same part of all slots",
        )
    return max(1, round(found))


def seeds(asked: Asked) -> tuple[int, ...]:
    """Give the seeds of a scenario's runs."""
    return tuple(range(asked.seed, asked.seed + asked.scenario.seeds))


def told(asked: Asked, what: str, total: int) -> Callable[[], None]:
    """Give what to call after each run, so that a bar moves."""
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if asked.progress is not None:
            asked.progress(what, min(done, total), total)

    return count


def answer(asked: Asked, design: Design, runs: Sequence[Outcome], **parts: Any) -> Simulated:
    """Give the answer of a scenario: how each promise stands over its runs."""
    lines = []
    for promise in asked.promises:
        used = float(np.mean([promise.used(design, outcome) for outcome in runs]))
        value = float(np.mean([promise.value(design, outcome) for outcome in runs]))
        known = math.isfinite(used)
        lines.append(
            PromiseLine(
                objective=promise.id,
                limit=promise.limit_of(design),
                unit=promise.unit,
                is_ceiling=promise.is_ceiling,
                at_1x=value if known else None,
                used_at_1x=used if known else None,
                headroom=(None, None, None),
                method="simulated",
                closed_form=None,
                seeds=len(runs),
                verdict="unknown" if not known else "broken" if used > 1 else "holds",
            )
        )
    lines.sort(key=lambda line: -(line.used_at_1x or 0.0))
    return Simulated(
        name=design.name,
        scenario=asked.scenario.name,
        plan=asked.plan,
        design=design_hash(design),
        seeds=seeds(asked),
        requests=sum(len(outcome) for outcome in runs),
        rate_per_s=design.arrivals.rate_per_s,
        engine="calendar" if feedback_of(design) else "sweep",
        order=tuple(lines),
        first=First(constraint=None, p_first=None),
        bottleneck=None,
        broken_by=None,
        tiers=tier_lines(screen(design)),
        assumed=asked.assumed,
        **parts,
    )
