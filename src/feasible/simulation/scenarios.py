"""The scenarios: what each of them runs, and what it says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final, Literal

import msgspec
import numpy as np

from feasible.errors import ScenarioError
from feasible.schema import BreakerRule, FloatArray, TierKind
from feasible.simulation.arrivals import Spike
from feasible.simulation.asked import Asked, answer, requests_in, seeds, steady, told
from feasible.simulation.breakpoint import breakpoints
from feasible.simulation.closed_scenarios import labels_late, stale
from feasible.simulation.costs import cadence_curve, context_curve, cost_lines
from feasible.simulation.design import Design, Outage, Retrying
from feasible.simulation.disturbance import (
    broken_since,
    recovery_s,
    tolerance,
    windows_of,
    with_outage,
    with_spike,
)
from feasible.simulation.engine import run
from feasible.simulation.from_plan import served_breaker
from feasible.simulation.headroom import at_load, fitted
from feasible.simulation.knobs import knobs_of
from feasible.simulation.people_queue import backlog
from feasible.simulation.prepared import prepared, tier_of
from feasible.simulation.records import Simulated, Window
from feasible.simulation.regimes import regimes
from feasible.simulation.screen import screen
from feasible.simulation.sheet import middles, sheet
from feasible.simulation.uncertain import Uncertain, with_uncertainty

__all__ = ["simulated"]

_WINDOW_REQUESTS: Final = 100_000
_WINDOW_S: Final = 1800.0
_CALM_S: Final = 120.0
_DAY_S: Final = 86_400.0
_HOURS: Final = 24
_STORM: Final = 6
"""Times as many requests for a run that must outlast a fault."""


def simulated(asked: Asked) -> Simulated:
    """Run a scenario.

    Beside a breakpoint with knobs turned stands the one without, at the same load and luck.

    Raises:
        KnobError: A knob is not there, or cannot take its value.
        ScenarioError: The scenario names a tier or a slice that the design does not have.
    """
    scenario = asked.scenario
    turned_knobs = {name: v for name, v in scenario.knobs.items() if name != "traffic.rate"}
    as_is = replace(
        scenario, knobs={n: v for n, v in scenario.knobs.items() if n not in turned_knobs}
    )
    before = prepared(asked.design, as_is)
    asked = replace(asked, design=prepared(asked.design, scenario))
    asked = replace(asked, uncertain=_still_uncertain(asked))
    found = _SCENARIOS[scenario.kind](asked)
    if turned_knobs and scenario.kind == "breakpoint":
        other = breakpoints(
            before,
            asked.promises,
            seed=asked.seed,
            seeds=scenario.seeds,
            n=scenario.requests,
            effects=False,
            progress=asked.progress,
        )
        found = msgspec.structs.replace(found, before=other.order)
    return found


def _still_uncertain(asked: Asked) -> tuple[Uncertain, ...]:
    """Give the uncertain inputs that a scenario has left as they were measured."""
    knobs = knobs_of(asked.design)
    declared = {f"{name}.time" for name in asked.scenario.tiers}
    return tuple(one for one in asked.uncertain if one.knob in knobs.keys() - declared)


def _breakpoint(asked: Asked) -> Simulated:
    found = breakpoints(
        asked.design,
        asked.promises,
        seed=asked.seed,
        seeds=asked.scenario.seeds,
        n=asked.scenario.requests,
        plan=asked.plan,
        progress=asked.progress,
    )
    told = (*asked.assumed, *_shortened(asked.design, asked.scenario.requests))
    found = msgspec.structs.replace(found, scenario=asked.scenario.name, assumed=told)
    found = _throughput(asked, found)
    return with_uncertainty(found, asked.design, asked.promises, asked.uncertain, seed=asked.seed)


def _shortened(design: Design, n: int) -> tuple[str, ...]:
    """Say that bursts are shorter than they are, where so much comes that a run would be too long.

    Queues that take longer to fill than such a burst lasts look better than they are.
    """
    usual, short_s = design.arrivals.burst_s, fitted(design, n)[0].arrivals.burst_s
    if short_s >= usual:
        return ()
    return (f"arrivals: bursts of {short_s:.2g} s and not {usual:.2g} s, so that a run has an end",)


def _throughput(asked: Asked, found: Simulated) -> Simulated:
    """Say whether a promised rate is below the rate at which the first promise breaks.

    What a decision costs, line by line, stands beside it: by the brief's own numbers.
    """
    facts = found.facts | _costs(asked, found.facts)
    rate = asked.design.arrivals.rate_per_s
    breaking = [li for li in found.order if li.verdict == "breaks"]
    is_broken = any(line.verdict == "broken" for line in found.order)
    bears = rate * (breaking[0].headroom[1] or math.inf) if breaking else math.inf
    if is_broken:
        bears = rate  # it breaks below that; how far below, nobody looked
    for objective in asked.brief.envelope:
        if objective.kind == "throughput" and objective.limit is not None:
            peaks = asked.design.arrivals.peak if asked.design.arrivals.kind != "poisson" else 1.0
            top = bears * (peaks if objective.measure == "peak" else 1.0)
            enough = top >= objective.limit.mid
            facts[objective.id] = {
                "promised_per_s": objective.limit.mid,
                "bears_per_s": top if math.isfinite(top) and not is_broken else None,
                "holds": None if is_broken and enough else enough,
            }
    return msgspec.structs.replace(found, facts=facts)


def _costs(asked: Asked, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a decision costs, line by line, and what a longer context or retraining does to it.

    Lines are by the brief's own prices, at the shares that get as far as each tier of the design;
    what is paid for nothing was simulated.
    """
    out = dict[str, Any]()
    numbers = _as_designed(asked)
    lines = cost_lines(asked.brief, numbers)
    if lines:
        each = {name: float(usd[0]) for name, usd in lines.items()}
        each["calls paid for and not used"] = facts["usd_each_paid_and_not_used"]
        out["usd_each_by_line"] = {name: usd for name, usd in each.items() if usd > 0}
    context = {
        load.name: context_curve(load.service.tokens)
        for load in asked.design.tiers
        if load.service.kind == "tokens"
    }
    if context:
        out["cost_by_length_of_conversation"] = context
    cadence = cadence_curve(asked.brief, numbers, decay_per_day=asked.scenario.decay_per_day)
    if cadence is not None:
        out["retraining"] = cadence
    return out


def _calm_s(design: Design) -> float:
    """Give how long nothing is wrong before a fault: two minutes, less where much comes."""
    return min(_CALM_S, 0.2 * _WINDOW_REQUESTS / design.arrivals.rate_per_s)


def _as_designed(asked: Asked) -> dict[str, FloatArray]:
    """Give the brief's numbers with the design's own rate, and who gets how far in it."""
    numbers, screened = middles(sheet(asked.brief), asked.brief), screen(asked.design)
    numbers["traffic.rate"] = np.array([asked.design.arrivals.rate_per_s])
    reach = {load.name: load.reach for load in screened.loads}
    for tier in asked.brief.layers.tiers:
        if tier.kind is TierKind.PERSON:
            numbers[f"{tier.name}.reach"] = np.array([screened.handed])
        elif tier.kind is not TierKind.CACHE:  # one that the plan leaves out is never asked
            numbers[f"{tier.name}.reach"] = np.array([reach.get(tier.name, 0.0)])
    return numbers


def _spike(asked: Asked) -> Simulated:
    scenario, design = asked.scenario, steady(asked.design)
    lasts = scenario.lasts_s or 60.0
    multiple = scenario.multiple or max(asked.design.arrivals.peak, 3.0)
    calm = _calm_s(design)
    start, end = calm, calm + lasts
    total_s = end + max(2 * lasts, calm)
    faulty = with_spike(design, Spike(start, end, multiple))
    rate = design.arrivals.rate_per_s
    n = requests_in(asked, total_s + (multiple - 1) * lasts, lasts_s=lasts)
    runs = [run(faulty, n, seed=s) for s in seeds(asked)]
    marks = (("before", 0.0, start), ("during the spike", start, end), ("after", end, total_s))
    window_s = min(_WINDOW_S, _WINDOW_REQUESTS / rate)
    found = tolerance(
        design,
        asked.promises,
        fault=f"{lasts:g} s of more requests",
        unit="x",
        most=max(multiple, 20.0),
        window_s=window_s,
        disturbed=lambda of, size: with_spike(of, Spike(start, end, size)),
        seed=asked.seed,
        required=None if asked.brief.traffic.peak is None else asked.brief.traffic.peak.mid,
        kind="strength",
        told=told(asked, "spikes", 8),
    )
    found = msgspec.structs.replace(found, recovers_s=recovery_s(runs[0], start, end))
    return answer(asked, faulty, runs, windows=windows_of(runs[0], marks), faults=(found,))


def _outage(asked: Asked) -> Simulated:
    scenario, design = asked.scenario, asked.design
    k = tier_of(design, scenario)
    design, guessed = _guarded(design, k)
    asked = replace(asked, assumed=(*asked.assumed, *guessed))
    name, lasts = design.tiers[k].name, scenario.lasts_s or 600.0
    rate = design.arrivals.rate_per_s
    start = _calm_s(design)
    end = start + lasts
    total_s = end + max(lasts, start)

    def outage(of: Design, minutes: float) -> Design:
        kind: Literal["error", "slow"] = "slow" if scenario.fault == "slow" else "error"
        fault = Outage(
            start, start + minutes * 60, kind, factor=scenario.factor, share=scenario.share
        )
        return with_outage(of, k, fault)

    faulty = outage(design, lasts / 60)
    n = requests_in(asked, total_s, lasts_s=lasts)
    runs = [run(faulty, n, seed=s) for s in seeds(asked)[:2]]
    marks = (("before", 0.0, start), ("during the outage", start, end), ("after", end, total_s))
    window_s = max(min(_WINDOW_S, _WINDOW_REQUESTS / rate), total_s)
    found = tolerance(
        design,
        asked.promises,
        fault=f"{name} {'slow' if scenario.fault == 'slow' else 'down'}",
        unit="min",
        most=lasts / 60,
        window_s=window_s,
        disturbed=outage,
        seed=asked.seed,
        told=told(asked, "outages", 8),
    )
    found = msgspec.structs.replace(found, recovers_s=recovery_s(runs[0], start, end))
    facts = {
        "metastable": found.recovers_s is None or found.recovers_s > 10 * lasts,
        "order_of_breaks": [
            {"objective": name, "after_s": round(after_s, 1)}
            for name, after_s in broken_since(faulty, asked.promises, runs[0], start)
        ],
    }
    windows = windows_of(runs[0], marks)
    return answer(asked, faulty, runs, windows=windows, faults=(found,), facts=facts)


def _guarded(design: Design, k: int) -> tuple[Design, tuple[str, ...]]:
    """Give a faulty tier the breaker that a service gives every tier, where it declares none."""
    load = design.tiers[k]
    if load.breaking is not None:
        return design, ()
    usual = BreakerRule()
    guarded = replace(load, breaking=served_breaker(usual))
    told = f"{load.name}: a breaker of {usual.failures} failures in a row, as a service has it"
    return replace(design, tiers=(*design.tiers[:k], guarded, *design.tiers[k + 1 :])), (told,)


def _soak(asked: Asked) -> Simulated:
    """Run a day hour by hour: every hour is steady, at the rate of its time of the day."""
    rate, peak = asked.design.arrivals.rate_per_s, asked.design.arrivals.peak
    design = steady(asked.design)
    swing = min(peak - 1.0, 1.0) if asked.design.arrivals.kind != "poisson" else 0.0
    windows: list[Window] = []
    runs, usd_day, bad = [], 0.0, 0.0
    for hour in range(_HOURS):
        hourly = at_load(design, max(float(_swings(swing)[hour]), 1e-3))
        outcome = run(hourly, 2 * asked.scenario.requests, seed=asked.seed + hour)
        window = windows_of(outcome, ((f"hour {hour}", 0.0, math.inf),))[0]
        asks = hourly.arrivals.rate_per_s * 3600
        windows.append(
            msgspec.structs.replace(window, start_s=hour * 3600.0, end_s=(hour + 1) * 3600.0)
        )
        usd_day += (window.usd_each or 0.0) * asks
        bad += (window.degraded or 0.0) * asks
        runs.append(outcome)
        if asked.progress is not None:
            asked.progress("hours", hour + 1, _HOURS)
    decisions = rate * _DAY_S
    facts: dict[str, Any] = {
        "usd_day": usd_day,
        "decisions_day": decisions,
        "degraded_of_the_day": bad / decisions,
        "budget_runs_out_at_hour": _runs_out(design.budget_usd_day, windows, rate, swing),
    }
    if design.people is not None:
        handed = np.array([float(outcome.handed.mean()) for outcome in runs])
        per_hour = handed * rate * 3600 * _swings(swing)
        waited = backlog(design.people, per_hour, seed=asked.seed)
        facts["people"] = None if waited is None else asdict(waited)
    return answer(asked, asked.design, runs[:5], windows=tuple(windows), facts=facts)


def _swings(swing: float) -> FloatArray:
    """Give how many times the mean load each hour of the day has, shape (24,)."""
    return np.asarray(1 + swing * np.sin(2 * np.pi * (np.arange(_HOURS) + 0.5) / _HOURS))


def _runs_out(
    budget: float | None, windows: Sequence[Window], rate: float, swing: float
) -> float | None:
    """Give the hour of the day at which a day's money is spent; None when it lasts."""
    spent = 0.0
    for hour, window in enumerate(windows):
        now = (window.usd_each or 0.0) * rate * float(_swings(swing)[hour]) * 3600
        if budget is not None and spent + now >= budget:
            return hour + (budget - spent) / now
        spent += now
    return None


def _budget(asked: Asked) -> Simulated:
    """Say at which load a day's money runs out, when, and what the rest of the day is like."""
    design = steady(asked.design)
    if design.budget_usd_day is None:
        raise ScenarioError(
            f"{design.name} has no budget to run out of",
            asked="a promise such as `{cost: day, at_most: $100}`",
            found="no objective `cost: day` in the brief",
            attempt="add one to the envelope, or use --scenario soak",
        )
    rate, usd_each = design.arrivals.rate_per_s, 0.0
    runs = [run(design, asked.scenario.requests, seed=s) for s in seeds(asked)]
    usd_each = float(np.mean([r.cost_usd.mean() for r in runs]))
    paid = float(np.mean([(r.cost_usd > 0).mean() for r in runs]))
    facts = {
        "budget_usd_day": design.budget_usd_day,
        "usd_each": usd_each,
        "runs_out_above": design.budget_usd_day / (usd_each * rate * _DAY_S) if usd_each else None,
        "paid_share": paid,
        "by_load": [
            _spent_by(design.budget_usd_day, usd_each * rate * m, paid, m)
            for m in (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
        ],
    }
    return answer(asked, design, runs, facts=facts)


def _spent_by(budget: float, usd_s: float, paid: float, multiple: float) -> dict[str, Any]:
    hours = budget / usd_s / 3600 if usd_s else math.inf
    out = hours < _HOURS
    return {
        "load": multiple,
        "runs_out_at_hour": hours if out else None,
        "without_paid_tiers": paid * (1 - hours / _HOURS) if out else 0.0,
    }


def _demand_shift(asked: Asked) -> Simulated:
    scenario, design = asked.scenario, asked.design
    slices = {name: float(m.mean()) for name, m in design.cases.slices.items() if m.any()}
    name = scenario.slice or (min(slices, key=lambda s: slices[s]) if slices else None)
    if name is None or name not in slices:
        raise ScenarioError(
            f"no slice {name!r} whose share could shift",
            asked=f"shift: slice: {name}" if name else "--scenario demand-shift",
            found=f"slices with rows: {', '.join(slices) or 'none'}",
            attempt=f"slice: {next(iter(slices))}" if slices else "declare slices in `data.py`",
        )
    factor = scenario.multiple or 2.0

    def shifted(of: Design, size: float) -> Design:
        member = of.cases.slices[name]
        weight = np.ones(len(member)) if of.cases.weight is None else of.cases.weight
        return replace(of, cases=replace(of.cases, weight=np.where(member, weight * size, weight)))

    changed, n = fitted(shifted(design, factor), scenario.requests)
    runs = [run(changed, n, seed=s) for s in seeds(asked)]
    found = tolerance(
        design,
        asked.promises,
        fault=f"requests of {name}",
        unit="x",
        most=max(factor, 20.0),
        window_s=n / design.arrivals.rate_per_s,
        disturbed=shifted,
        seed=asked.seed,
        kind="strength",
        told=told(asked, "shifts", 8),
    )
    return answer(asked, changed, runs, faults=(found,), facts={"slice": name, "multiple": factor})


def _retry_storm(asked: Asked) -> Simulated:
    design, scenario = steady(asked.design), asked.scenario
    k = tier_of(design, scenario)
    load = design.tiers[k]
    retrying = load.retrying or Retrying(3)
    guessed = () if load.retrying else (f"{load.name}: 3 retries, since the brief declares none",)
    at = next((1 / li.utilisation for li in screen(design).loads if li.name == load.name), 1.0)
    multiples = sorted({1.0, *(round(at * part, 3) for part in (0.43, 0.58, 0.65))})
    numbers = seeds(asked)[:3]
    found = regimes(
        design,
        k,
        multiples,
        seeds=numbers,
        factor=scenario.factor,
        retrying=retrying,
        most=_STORM * scenario.requests,
        told=told(asked, "storms", len(multiples) * len(numbers)),
    )
    runs = [run(design, scenario.requests, seed=s) for s in numbers]
    found_all = answer(asked, design, runs, facts={"tier": load.name, "factor": scenario.factor})
    return msgspec.structs.replace(found_all, regimes=found, assumed=(*asked.assumed, *guessed))


def _stale(asked: Asked) -> Simulated:
    faults, facts = stale(asked.brief)
    runs = [run(asked.design, asked.scenario.requests, seed=s) for s in seeds(asked)]
    return answer(asked, asked.design, runs, faults=faults, facts=facts)


def _labels_late(asked: Asked) -> Simulated:
    faults, facts = labels_late(asked.brief)
    runs = [run(asked.design, asked.scenario.requests, seed=s) for s in seeds(asked)]
    return answer(asked, asked.design, runs, faults=faults, facts=facts)


_SCENARIOS: Final[dict[str, Callable[[Asked], Simulated]]] = {
    "breakpoint": _breakpoint,
    "spike": _spike,
    "soak": _soak,
    "outage": _outage,
    "demand-shift": _demand_shift,
    "stale": _stale,
    "labels-late": _labels_late,
    "budget": _budget,
    "retry-storm": _retry_storm,
}
