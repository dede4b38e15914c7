"""Inputs that are not known exactly: what their ends, and all of them together, do to the answer.

Measured inputs carry the interval of their measurement, declared ranges are assumptions; the two
are never mixed without being told apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
from scipy.special import ndtri

from feasible.schema import Brief, FloatArray
from feasible.simulation.binding import headroom_of
from feasible.simulation.design import Design
from feasible.simulation.engine import run
from feasible.simulation.headroom import Bench, fitted
from feasible.simulation.knobs import knobs_of, turned
from feasible.simulation.promises import Promise
from feasible.simulation.records import Simulated, TornadoBar
from feasible.simulation.screen import screen
from feasible.units import Quantity

__all__ = ["Uncertain", "uncertain_of", "with_uncertainty"]

_Z90: Final = float(ndtri(0.95))
_CLOSED_DRAWS: Final = 500
_SIMULATED_DRAWS: Final = 30
_REQUESTS: Final = 10_000
_LEAST_WIDTH: Final = 0.005


@dataclass(frozen=True, slots=True)
class Uncertain:
    """One input with the ends between which it lies in nine cases of ten.

    Attributes:
        knob: Its name.
        low: In the knob's unit.
        high: In the knob's unit.
        basis: Whether somebody measured it.
    """

    knob: str
    low: float
    high: float
    basis: Literal["assumed", "measured"]


def uncertain_of(design: Design, brief: Brief) -> tuple[Uncertain, ...]:
    """Give the inputs of a design that are not known exactly.

    Ranges of the brief are assumptions; times and shares that come from rows are as sure as so many
    rows are.
    """
    out = []
    declared: list[tuple[str, Quantity | None]] = [
        ("traffic.rate", brief.traffic.rate),
        ("cache.hit", brief.traffic.repeated),
        *((f"{tier.name}.usd", tier.usd) for tier in brief.layers.tiers),
    ]
    person = next((t for t in brief.layers.tiers if t.kind == "person"), None)
    knobs = knobs_of(design)
    for name, quantity in declared:
        if quantity is not None and quantity.is_range and name in knobs:
            out.append(Uncertain(name, quantity.low, quantity.high, "assumed"))
    if person is not None and person.capacity is not None and person.capacity.is_range:
        low, high = person.capacity.low * 3600, person.capacity.high * 3600
        out.append(Uncertain("people.per_hour", low, high, "assumed"))
    return tuple(out) + _measured(design)


def _measured(design: Design) -> tuple[Uncertain, ...]:
    out, knobs = [], knobs_of(design)
    table = design.cases.table
    rows = len(table.answered)
    for k, load in enumerate(design.tiers):
        name = f"{load.name}.time"
        if name in knobs and load.service.kind in {"rows", "measured"}:
            took = np.asarray(load.service.sample_s or table.latency_ms[:, k])
            off = _Z90 * float(took.std() / took.mean()) / math.sqrt(len(took))
            now = load.service.factor
            out.append(Uncertain(name, now * max(1 - off, 0.01), now * (1 + off), "measured"))
        name = f"{load.name}.defer"
        if name in knobs and load.service.kind in {"rows", "measured"}:
            share = knobs[name].value
            off = _Z90 * math.sqrt(share * (1 - share) / rows)
            out.append(Uncertain(name, max(share - off, 0.0), min(share + off, 1.0), "measured"))
    return tuple(one for one in out if one.high - one.low > _LEAST_WIDTH * abs(one.low))


def with_uncertainty(
    found: Simulated,
    design: Design,
    promises: Sequence[Promise],
    uncertain: Sequence[Uncertain],
    *,
    seed: int,
) -> Simulated:
    """Add what uncertain inputs do to a breakpoint report.

    Args:
        found: The report.
        design: The design.
        promises: What it is held to.
        uncertain: The inputs.
        seed: Luck of the draws.
    """
    if not uncertain:
        return found
    ranks = _rank_correlations(design, uncertain, seed)
    bars = []
    first = next((p for p in promises if p.id == found.first.constraint), None)
    line = next((li for li in found.order if li.objective == found.first.constraint), None)
    start = None if line is None else line.headroom[1]
    for one in uncertain:
        low = high = None
        if first is not None and start is not None:
            low = _first_break(turned(design, {one.knob: one.low}), first, start, seed)
            high = _first_break(turned(design, {one.knob: one.high}), first, start, seed)
        bars.append(
            TornadoBar(
                input=one.knob,
                low=one.low,
                high=one.high,
                basis=one.basis,
                headroom_low=low,
                headroom_high=high,
                rank_correlation=ranks.get(one.knob),
            )
        )
    bars.sort(key=lambda bar: -abs((bar.headroom_high or 0.0) - (bar.headroom_low or 0.0)))
    strongest = max(ranks, key=lambda name: abs(ranks[name])) if ranks else None
    return msgspec.structs.replace(
        found,
        tornado=tuple(bars),
        p_holds=_p_holds(design, promises, uncertain, seed),
        matters_most=strongest,
    )


def _first_break(design: Design, promise: Promise, start: float, seed: int) -> float | None:
    bench = Bench(design, (promise,), seeds=(seed, seed + 1, seed + 2), n=_REQUESTS)
    found, _ = headroom_of(bench, promise, start)
    return found if math.isfinite(found) else None


def _drawn(uncertain: Sequence[Uncertain], n: int, seed: int) -> dict[str, FloatArray]:
    """Draw all inputs at once by a Latin hypercube; the ends are the middle nine tenths."""
    rng = np.random.default_rng((seed, 17))
    out = {}
    for one in uncertain:
        z = np.asarray(ndtri((rng.permutation(n) + rng.random(n)) / n))
        if one.low > 0:
            middle, half = math.log(one.low * one.high) / 2, math.log(one.high / one.low) / 2
            values = np.exp(middle + half * z / _Z90)
        else:
            values = (one.low + one.high) / 2 + (one.high - one.low) / 2 * z / _Z90
        out[one.knob] = np.maximum(values, 1e-12)
    return out


def _at(design: Design, drawn: dict[str, FloatArray], i: int) -> Design:
    knobs = knobs_of(design)
    values = {
        name: min(max(float(column[i]), knobs[name].low), knobs[name].high)
        for name, column in drawn.items()
    }
    return turned(design, values)


def _rank_correlations(
    design: Design, uncertain: Sequence[Uncertain], seed: int
) -> dict[str, float]:
    """Give Spearman's correlation of each input with the first break, by closed forms."""
    drawn = _drawn(uncertain, _CLOSED_DRAWS, seed)
    first = np.array(
        [
            min(screen(_at(design, drawn, i)).headroom.values(), default=math.inf)
            for i in range(_CLOSED_DRAWS)
        ]
    )
    if not np.isfinite(first).all() or first.std() == 0:
        return {}
    ranks = first.argsort().argsort()
    return {
        name: round(float(np.corrcoef(column.argsort().argsort(), ranks)[0, 1]), 3)
        for name, column in drawn.items()
    }


def _p_holds(
    design: Design, promises: Sequence[Promise], uncertain: Sequence[Uncertain], seed: int
) -> float:
    """Give the share of simulated draws in which every promise holds at the design's own load."""
    drawn = _drawn(uncertain, _SIMULATED_DRAWS, seed + 1)
    held = 0
    for i in range(_SIMULATED_DRAWS):
        one, n = fitted(_at(design, drawn, i), _REQUESTS // 2)
        outcome = run(one, n, seed=seed)
        used = [promise.used(one, outcome) for promise in promises]
        held += all(share <= 1 or math.isnan(share) for share in used)
    return held / _SIMULATED_DRAWS
