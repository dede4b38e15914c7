"""Faults as designs: an outage, a slow vendor, a rush of requests; what a run did around one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from feasible.schema import FloatArray, TierKind
from feasible.simulation.arrivals import Spike
from feasible.simulation.design import Design, Outage
from feasible.simulation.engine import run
from feasible.simulation.outcome import Outcome
from feasible.simulation.promises import Promise
from feasible.simulation.records import FaultTolerance, Window

__all__ = [
    "broken_in",
    "broken_since",
    "faulty_tier",
    "recovery_s",
    "tolerance",
    "windows_of",
    "with_outage",
    "with_spike",
]

_BUCKET_S: Final = 5.0
_STEPS: Final = 6
_LOOKS: Final = 60
"""How often a window that moves along is looked at while it passes by."""


def faulty_tier(design: Design, name: str | None = None) -> int:
    """Give the position of the tier that a fault hits: the named one, a vendor's, or the last.

    Args:
        design: The design.
        name: A tier.

    Raises:
        KeyError: No tier has that name.
    """
    names = [load.name for load in design.tiers]
    if name is not None:
        if name not in names:
            raise KeyError(name)
        return names.index(name)
    steps = design.policy.steps
    vendors = [k for k, step in enumerate(steps) if step.kind is TierKind.LLM]
    machines = [k for k, step in enumerate(steps) if step.kind is not TierKind.PERSON]
    return (vendors or machines)[-1]


def with_outage(design: Design, k: int, outage: Outage) -> Design:
    """Give a design whose tier has a fault, and every tier of the same vendor with it."""
    vendor = design.tiers[k].vendor
    tiers = tuple(
        replace(load, outages=(*load.outages, outage))
        if i == k or (vendor is not None and load.vendor == vendor)
        else load
        for i, load in enumerate(design.tiers)
    )
    return replace(design, tiers=tiers)


def with_spike(design: Design, spike: Spike) -> Design:
    """Give a design to which a rush of requests comes."""
    arrivals = design.arrivals
    return replace(design, arrivals=replace(arrivals, spikes=(*arrivals.spikes, spike)))


def windows_of(outcome: Outcome, marks: Sequence[tuple[str, float, float]]) -> tuple[Window, ...]:
    """Say what happened in stretches of a run.

    Args:
        outcome: The run.
        marks: Name, start and end of each stretch. Seconds.
    """
    out = []
    for name, start, end in marks:
        some = outcome.some((outcome.at_s >= start) & (outcome.at_s < end))
        there = len(some) > 0
        usd = float(some.cost_usd.mean()) if there else math.nan
        out.append(
            Window(
                name=name,
                start_s=start,
                end_s=end,
                requests=len(some),
                p50_ms=float(np.quantile(some.latency_ms, 0.5)) if there else None,
                p99_ms=float(np.quantile(some.latency_ms, 0.99)) if there else None,
                degraded=float(some.degraded.mean()) if there else None,
                usd_each=None if math.isnan(usd) else usd,
            )
        )
    return tuple(out)


def broken_in(
    design: Design, promises: Sequence[Promise], outcome: Outcome, before: frozenset[str]
) -> dict[str, float]:
    """Give the promises that a run breaks and an undisturbed one does not, with what they use."""
    used = {p.id: p.used(design, outcome) for p in promises}
    return {name: share for name, share in used.items() if share > 1 and name not in before}


def broken_since(
    design: Design,
    promises: Sequence[Promise],
    outcome: Outcome,
    start_s: float,
    *,
    window_s: float = 60.0,
) -> tuple[tuple[str, float], ...]:
    """Give which promises a fault breaks, and how long after its start, the first one first.

    A promise is broken from the moment at which what came in the window up to then breaks it; one
    that was broken before the fault is not among them.

    Args:
        design: The design, for its limits.
        promises: What it is held to.
        outcome: The run.
        start_s: When the fault began. Seconds.
        window_s: Length of the window. Seconds.

    Returns:
        Promise and seconds.
    """

    def is_broken(promise: Promise, now_s: float) -> bool:
        some = outcome.some((outcome.at_s >= now_s - window_s) & (outcome.at_s < now_s))
        return len(some) > 0 and promise.used(design, some) > 1

    instants = np.arange(start_s, float(outcome.at_s[-1]), window_s / _LOOKS)
    found = []
    for promise in promises:
        at = next((now for now in instants.tolist() if is_broken(promise, now)), None)
        if at is not None and at > start_s:
            found.append((promise.id, at - start_s))
    return tuple(sorted(found, key=lambda one: one[1]))


def recovery_s(outcome: Outcome, start_s: float, end_s: float) -> float | None:
    """Give the time after a fault until degraded answers are as rare as before it.

    Returns:
        Seconds; None when they are not by the end of the run.
    """
    edges = np.arange(0.0, float(outcome.at_s[-1]) + _BUCKET_S, _BUCKET_S)
    count, _ = np.histogram(outcome.at_s, edges)
    bad, _ = np.histogram(outcome.at_s[outcome.degraded], edges)
    usual = float(bad[edges[1:] <= start_s].sum()) / max(
        float(count[edges[1:] <= start_s].sum()), 1
    )
    expected: FloatArray = count * usual
    fine = bad <= expected + 3 * np.sqrt(expected + 1)
    for bucket in np.flatnonzero(edges[:-1] >= end_s):
        if fine[bucket : bucket + 3].all():
            return float(edges[bucket] - end_s) if edges[bucket] > end_s else 0.0
    return None


def tolerance(
    design: Design,
    promises: Sequence[Promise],
    *,
    fault: str,
    unit: str,
    most: float,
    window_s: float,
    disturbed: Callable[[Design, float], Design],
    seed: int,
    required: float | None = None,
    kind: Literal["length", "strength"] = "length",
    told: Callable[[], None] | None = None,
) -> FaultTolerance:
    """Find the largest fault with which every promise that held without it still holds.

    Promises are judged over the whole window that the fault lies in.

    Args:
        design: The design.
        promises: What it is held to.
        fault: What the fault is called.
        unit: Unit of its size.
        most: Largest size that is tried.
        window_s: Length of the window. Seconds.
        disturbed: Gives the design with a fault of some size.
        seed: Luck of all runs.
        required: Size that the brief asks for, where it says so.
        kind: `length`: sizes from 0; `strength`: from 1.
        told: Called after each run.
    """
    n = max(1, round(design.arrivals.rate_per_s * window_s))

    def broken(size: float) -> dict[str, float]:
        faulty = disturbed(design, size)
        found = broken_in(design, promises, run(faulty, n, seed=seed), usual)
        if told is not None:
            told()
        return found

    usual = frozenset[str]()
    usual = frozenset(broken_in(design, promises, run(design, n, seed=seed), usual))
    held, lost = (0.0 if kind == "length" else 1.0), most
    found = broken(most)
    if not found:
        held = most
    else:
        for _ in range(_STEPS):
            middle = (held + lost) / 2
            now = broken(middle)
            if now:
                lost, found = middle, now
            else:
                held = middle
    return FaultTolerance(
        fault=fault,
        unit=unit,
        tolerated=held if found else None,
        tried_up_to=most,
        breaks=max(found, key=lambda name: found[name]) if found else None,
        required=required,
    )
