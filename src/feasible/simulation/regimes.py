"""Whether a load is survived: stable, vulnerable, or unstable by its own retries.

Every load is run with the fault, without it, and without retries, with the same luck: a storm that
retries cause alone is not blamed on the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from feasible.simulation.design import Design, Outage, Retrying, TierLoad
from feasible.simulation.disturbance import with_outage
from feasible.simulation.engine import run
from feasible.simulation.headroom import at_load
from feasible.simulation.outcome import Outcome
from feasible.simulation.records import Regime

__all__ = ["regimes"]

_UNTIL_S: Final = 600.0
_MOST_REQUESTS: Final = 60_000
_FAULT: Final = (1 / 3, 13 / 30)
"""Where in the run the fault begins and ends: from 200 s to 260 s of 600 s."""
_LATE: Final = 0.5
"""From where on what is left of the fault counts."""
_MORE: Final = 0.02
"""Degraded answers beyond what the design has anyway that make a load unstable or vulnerable."""


def regimes(
    design: Design,
    k: int,
    multiples: Sequence[float],
    *,
    seeds: Sequence[int],
    factor: float = 4.0,
    retrying: Retrying | None = None,
    most: int = _MOST_REQUESTS,
    told: Callable[[], None] | None = None,
) -> tuple[Regime, ...]:
    """Say of each load whether a tier that is slow for a minute outlives its cause.

    Args:
        design: The design.
        k: Position of the tier that becomes slow.
        multiples: Loads, as multiples of the design's own.
        seeds: Luck of the runs, the same for every load.
        factor: How many times as long its calls take meanwhile.
        retrying: How it is asked again; as the design says when absent.
        most: Requests of each run; at a high rate a run is shorter than ten minutes then.
        told: Called after each run.
    """
    load = design.tiers[k]
    trying = replace(load, retrying=retrying or load.retrying)
    calm = replace(load, retrying=None)
    out = []
    for multiple in multiples:
        loaded = at_load(design, multiple)
        length_s = min(_UNTIL_S, most / loaded.arrivals.rate_per_s)
        n = round(loaded.arrivals.rate_per_s * length_s)
        slow = Outage(_FAULT[0] * length_s, _FAULT[1] * length_s, "slow", factor)
        without, after, utilisation, base = [], [], [], []
        for seed in seeds:
            retried = _with(loaded, k, trying)
            twin = run(retried, n, seed=seed)
            faulty = run(with_outage(retried, k, slow), n, seed=seed)
            base.append(_late(run(_with(loaded, k, calm), n, seed=seed), length_s))
            without.append(_late(twin, length_s))
            after.append(_late(faulty, length_s))
            utilisation.append(twin.tiers[k].utilisation)
            if told is not None:
                told()
        out.append(
            Regime(
                multiple=multiple,
                rate_per_s=loaded.arrivals.rate_per_s,
                regime=_regime(base, without, after),
                utilisation=float(np.mean(utilisation)),
                degraded_without_fault=tuple(without),
                degraded_after_fault=tuple(after),
            )
        )
    return tuple(out)


def _regime(
    base: Sequence[float], without: Sequence[float], after: Sequence[float]
) -> Literal["stable", "vulnerable", "unstable"]:
    if any(w > b + _MORE for w, b in zip(without, base, strict=True)):
        return "unstable"
    if any(a > w + _MORE for a, w in zip(after, without, strict=True)):
        return "vulnerable"
    return "stable"


def _with(design: Design, k: int, load: TierLoad) -> Design:
    tiers = (*design.tiers[:k], load, *design.tiers[k + 1 :])
    return replace(design, tiers=tiers)


def _late(outcome: Outcome, length_s: float) -> float:
    """Give the share that is degraded well after the fault has ended."""
    late = (outcome.at_s >= _LATE * length_s) & (outcome.at_s < length_s)
    return float(outcome.degraded[late].mean()) if late.any() else 0.0
