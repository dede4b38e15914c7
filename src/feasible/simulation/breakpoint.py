"""The breakpoint report: every promise's headroom, the order of breaks, and what binds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from feasible.simulation.binding import Effect, headroom_effects, headroom_of, margin_effects
from feasible.simulation.design import Design
from feasible.simulation.engine import run
from feasible.simulation.headroom import (
    Bench,
    Progress,
    Ramp,
    at_load,
    crossing,
    fitted,
    interval,
    ramp,
)
from feasible.simulation.knobs import knobs_of
from feasible.simulation.outcome import CACHED, NOBODY, Outcome
from feasible.simulation.promises import Promise
from feasible.simulation.records import (
    Binding,
    CurvePoint,
    First,
    KnobEffect,
    PromiseLine,
    Simulated,
    TierShareLine,
    Trace,
)
from feasible.simulation.screen import Screen, mean_usd, screen
from feasible.simulation.sweep import feedback_of

__all__ = ["breakpoints", "curve_point", "design_hash", "promise_lines", "tier_lines"]

_REQUESTS: Final = 10_000
_EFFECT_REQUESTS: Final = 8_000
_MARGIN_REQUESTS: Final = 20_000
_BEYOND: Final = 1.05
_FAR, _FARTHEST = 20.0, 2000.0
"""Largest multiple of the load that is run: further where closed forms see room for more."""
_NEAR_FIRST: Final = 1.5
"""Headrooms up to so many times the smallest are searched for between the loads of the ramp."""
_LEAST_EFFECT: Final = 0.15
"""Below this elasticity no knob is worth turning: the promise or the structure must change."""


def breakpoints(
    design: Design,
    promises: Sequence[Promise],
    *,
    seed: int = 0,
    seeds: int = 5,
    n: int = _REQUESTS,
    plan: str | None = None,
    effects: bool = True,
    progress: Progress | None = None,
) -> Simulated:
    """Say what breaks first, at how many times the load, and which knob moves it.

    Args:
        design: The design.
        promises: What it is held to.
        seed: The first of the seeds.
        seeds: How many runs at each load. Count.
        n: Requests of each run.
        plan: Id of the plan that it was made from.
        effects: Whether knobs are relaxed, which takes about as long as everything else.
        progress: Told how far the work is.
    """
    numbers = tuple(range(seed, seed + seeds))
    bench = Bench(design, promises, seeds=numbers, n=n)
    bench.keeps_runs = True
    screened = screen(design)
    nearest = min(screened.headroom.values(), default=0.0)
    found = ramp(bench, high=min(max(_FAR, 2 * nearest), _FARTHEST), progress=progress)
    lines = promise_lines(bench, found, screened)
    by_id = {promise.id: promise for promise in promises}
    first = _first(lines, found, bench)
    bottleneck = broken_by = None
    if effects:
        bottleneck = _bottleneck(design, by_id, lines, first, numbers, progress)
        broken_by = _broken_by(design, by_id, lines, numbers, progress)
    return Simulated(
        name=design.name,
        scenario="breakpoint",
        plan=plan,
        design=design_hash(design),
        seeds=numbers,
        requests=bench.requests,
        rate_per_s=design.arrivals.rate_per_s,
        engine="calendar" if feedback_of(design) else "sweep",
        order=lines,
        first=first,
        bottleneck=bottleneck,
        broken_by=broken_by,
        tiers=tier_lines(screened),
        curve=tuple(
            curve_point(at_load(design, multiple), bench.kept_runs[multiple], multiple)
            for multiple in found.multiples.tolist()
        ),
        trace_of_first_violation=_trace(design, by_id, lines, first, numbers[0], n),
        facts={"usd_each_paid_and_not_used": _unused_usd(design, bench.kept_runs[1.0])},
    )


def _unused_usd(design: Design, outcome: Outcome) -> float:
    """Give the dollars per decision of calls that were cut off: paid, and of no use."""
    cut = [use.cut_off * mean_usd(design, k) for k, use in enumerate(outcome.tiers)]
    return sum(cut) / len(outcome)


def design_hash(design: Design) -> str:
    """Give a hash of everything that is simulated."""
    digest = hashlib.sha256()
    table = design.cases.table
    for part in (design.policy.steps, design.tiers, design.arrivals, design.cache, design.people):
        digest.update(repr(part).encode())
    digest.update(repr((design.budget_usd_day, design.after_failure)).encode())
    for array in (table.answered, table.probability, table.threshold, table.latency_ms):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def promise_lines(bench: Bench, found: Ramp, screened: Screen) -> tuple[PromiseLine, ...]:
    """Give every promise with its headroom: the broken first, then by headroom."""
    lines = [_line(bench, found, screened, promise) for promise in bench.promises]
    lines = _sharpened(bench, lines)
    rank = {"broken": 0, "breaks": 1, "holds": 2, "unknown": 3}

    def order(line: PromiseLine) -> tuple[int, float]:
        if line.verdict == "broken":
            return 0, -(line.used_at_1x or 0.0)
        middle = line.headroom[1]
        return rank[line.verdict], math.inf if middle is None else middle

    return tuple(sorted(lines, key=order))


def _sharpened(bench: Bench, lines: list[PromiseLine]) -> list[PromiseLine]:
    """Search for the headrooms that could be the first, seed by seed, between the ramp's loads."""
    found = [line for line in lines if line.verdict == "breaks" and line.headroom[1] is not None]
    first = min((line.headroom[1] or math.inf for line in found), default=math.inf)
    near = {
        line.objective
        for line in found
        if line.method == "simulated" and (line.headroom[1] or math.inf) < _NEAR_FIRST * first
    }
    return [_searched(bench, line) if line.objective in near else line for line in lines]


def _searched(bench: Bench, line: PromiseLine) -> PromiseLine:
    promise = next(p for p in bench.promises if p.id == line.objective)
    start, slope, found = line.headroom[1] or 1.0, 1.0, list[float]()
    for seed in bench.seeds:
        at, slope = headroom_of(bench.alone(seed), promise, start, slope)
        found.append(at)
        if math.isfinite(at):  # the next seed's search begins where this one's ended
            start = at
    low, high = interval(found)
    if not all(map(math.isfinite, found)):  # some seed never breaks: no mean, but a middle one
        middle = float(np.median(found))
        return msgspec.structs.replace(line, headroom=(_known(low), _known(middle), _known(high)))
    middle = math.exp(float(np.mean(np.log(found))))
    return msgspec.structs.replace(line, headroom=(_known(low), middle, _known(high)))


def _line(bench: Bench, found: Ramp, screened: Screen, promise: Promise) -> PromiseLine:
    design = bench.design
    limit = promise.limit_of(design)
    at_1x = bench.mean(1.0, promise.id)
    exact = screened.headroom.get(promise.limit_knob or "")
    used = found.used[promise.id]
    closed = promise.scales and exact is not None and promise.limit_knob == "people.per_hour"
    per_seed = [crossing(found.multiples, used[:, s]) for s in range(used.shape[1])]
    middle = crossing(found.multiples, used.mean(axis=1))
    low, high = interval(per_seed)
    if closed and exact is not None:
        low = middle = high = exact
        at_1x = 1 / exact
    verdict = _verdict(at_1x, middle)
    return PromiseLine(
        objective=promise.id,
        limit=limit,
        unit=promise.unit,
        is_ceiling=promise.is_ceiling,
        at_1x=_known(_value(promise, at_1x, limit)),
        used_at_1x=_known(at_1x),
        headroom=(_known(low), _known(middle), _known(high)),
        method="closed_form" if closed else "simulated",
        closed_form=exact,
        seeds=len(bench.seeds),
        verdict=verdict,
        note=_note(verdict, middle, float(found.multiples[0])),
    )


def _verdict(at_1x: float, middle: float) -> Literal["holds", "breaks", "broken", "unknown"]:
    if math.isnan(at_1x):
        return "unknown"
    if at_1x > 1:
        return "broken"
    return "breaks" if math.isfinite(middle) else "holds"


def _note(verdict: str, middle: float, lowest: float) -> str:
    if verdict == "unknown":
        return "its value is not known"
    if verdict != "broken":
        return ""
    return f"broken at every load down to {lowest:g}x" if middle <= lowest else ""


def _value(promise: Promise, used: float, limit: float) -> float:
    """Give the value back from the share of the limit that it uses."""
    return used * limit if promise.is_ceiling else 1 - used * (1 - limit)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _first(lines: Sequence[PromiseLine], found: Ramp, bench: Bench) -> First:
    """Say what breaks first of what holds at 1x, in how many of the seeds, and what ties."""
    breaking = [line for line in lines if line.verdict == "breaks"]
    if not breaking:
        return First(constraint=None, p_first=None)
    first = breaking[0]
    exact = {line.objective: line.headroom[1] for line in breaking if line.method != "simulated"}
    wins = dict.fromkeys((line.objective for line in breaking), 0)
    for s in range(len(bench.seeds)):
        at = {
            name: exact.get(name) or crossing(found.multiples, found.used[name][:, s])
            for name in wins
        }
        wins[min(at, key=lambda name: at[name])] += 1
    shares = {name: count / len(bench.seeds) for name, count in wins.items() if count}
    high = first.headroom[2] or math.inf
    tie = tuple(line.objective for line in breaking[1:] if (line.headroom[0] or math.inf) < high)
    return First(
        constraint=first.objective,
        p_first=shares.get(first.objective, 0.0),
        tie=tie,
        shares=shares,
    )


def _bottleneck(
    design: Design,
    by_id: dict[str, Promise],
    lines: Sequence[PromiseLine],
    first: First,
    seeds: Sequence[int],
    progress: Progress | None,
) -> Binding | None:
    if first.constraint is None:
        return None
    line = next(line for line in lines if line.objective == first.constraint)
    start = line.headroom[1] or 1.0
    _, found = headroom_effects(
        design,
        by_id[first.constraint],
        start,
        seeds=seeds[:2],
        n=_EFFECT_REQUESTS,
        told=_counted("knobs", design, progress),
    )
    return _binding(first.constraint, "headroom", found)


def _broken_by(
    design: Design,
    by_id: dict[str, Promise],
    lines: Sequence[PromiseLine],
    seeds: Sequence[int],
    progress: Progress | None,
) -> Binding | None:
    if not lines or lines[0].verdict != "broken":
        return None
    worst = lines[0].objective
    _, found = margin_effects(
        design,
        by_id[worst],
        seeds=seeds[:2],
        n=_MARGIN_REQUESTS,
        told=_counted("knobs of what is broken", design, progress),
    )
    return _binding(worst, "margin", found)


def _counted(what: str, design: Design, progress: Progress | None) -> _Counter:
    return _Counter(what, len(knobs_of(design)), progress)


class _Counter:
    """Tells how many knobs were turned."""

    def __init__(self, what: str, total: int, progress: Progress | None) -> None:
        self._what, self._total, self._progress = what, total, progress
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._what, self._done, self._total)


def _binding(promise: str, of: Literal["headroom", "margin"], effects: Sequence[Effect]) -> Binding:
    shown = tuple(
        KnobEffect(
            knob=effect.knob,
            elasticity=round(effect.elasticity, 3) if math.isfinite(effect.elasticity) else 99.0,
        )
        for effect in effects
    )
    best = shown[0] if shown and shown[0].elasticity >= _LEAST_EFFECT else None
    return Binding(
        promise=promise,
        of=of,
        knob=None if best is None else best.knob,
        elasticity=None if best is None else best.elasticity,
        runner_up=shown[1] if best is not None and len(shown) > 1 else None,
        effects=shown,
    )


def tier_lines(screened: Screen) -> tuple[TierShareLine, ...]:
    """Give what each machine tier sees, by the utilisation law."""
    return tuple(
        TierShareLine(
            name=load.name,
            reach=load.reach,
            utilisation=load.utilisation,
            saturates_at=1 / load.utilisation if load.utilisation else None,
            wait_ms=None if load.wait_s is None else _known(load.wait_s * 1e3),
            late=load.late,
        )
        for load in screened.loads
    )


def curve_point(design: Design, outcome: Outcome, multiple: float) -> CurvePoint:
    """Give the figures of one run."""
    took = np.sort(outcome.latency_ms)
    useful = np.sort(outcome.latency_ms[~outcome.degraded])
    names = {CACHED: "cache", NOBODY: "nobody"} | {k: t.name for k, t in enumerate(design.tiers)}
    ends = np.where(outcome.exit == CACHED, CACHED, outcome.answered_by)
    usd = float(outcome.cost_usd.mean())
    return CurvePoint(
        multiple=multiple,
        rate_per_s=design.arrivals.rate_per_s,
        p50_ms=_at(took, 0.5),
        p95_ms=_at(took, 0.95),
        p99_ms=_at(took, 0.99),
        p95_useful_ms=_at(useful, 0.95),
        p99_useful_ms=_at(useful, 0.99),
        degraded=float(outcome.degraded.mean()),
        usd_each=None if math.isnan(usd) else usd,
        tiers={
            name: float((ends == code).mean())
            for code, name in names.items()
            if (ends == code).any()
        },
    )


def _at(rising: np.ndarray[tuple[int], np.dtype[np.float64]], percentile: float) -> float:
    if not len(rising):
        return 0.0
    return float(rising[min(int(percentile * len(rising)), len(rising) - 1)])


def _trace(
    design: Design,
    by_id: dict[str, Promise],
    lines: Sequence[PromiseLine],
    first: First,
    seed: int,
    n: int,
) -> Trace | None:
    """Give the first request that is in the way of the first promise, just beyond its headroom."""
    broken = [line for line in lines if line.verdict == "broken"]
    line = (
        broken[0]
        if broken
        else next((li for li in lines if li.objective == first.constraint), None)
    )
    if line is None:
        return None
    multiple = 1.0 if broken else (line.headroom[1] or 1.0) * _BEYOND
    loaded, n = fitted(at_load(design, multiple), n)
    outcome = run(loaded, n, seed=seed)
    promise = by_id[line.objective]
    culprits = outcome.degraded.copy()
    if promise.unit == "s":
        culprits = outcome.latency_ms > promise.limit * 1e3
    elif promise.unit == "usd":
        spent = np.cumsum(outcome.cost_usd)
        culprits = (
            spent >= promise.limit_of(design) if line.objective.endswith("_day") else culprits
        )
        if not culprits.any():
            culprits = outcome.cost_usd > 0
    if not culprits.any():
        return None
    i = int(np.argmax(culprits))
    busy = {t.name: use.utilisation for t, use in zip(design.tiers, outcome.tiers, strict=True)}
    by = int(outcome.answered_by[i])
    return Trace(
        promise=line.objective,
        multiple=multiple,
        at_s=float(outcome.at_s[i]),
        request=i,
        answered_by=design.tiers[by].name if by >= 0 else "nobody",
        latency_ms=float(outcome.latency_ms[i]),
        degraded=bool(outcome.degraded[i]),
        busiest=max(busy, key=lambda name: busy[name]),
        utilisation=busy,
    )
