"""What a report shows besides the certificate: forecast, frontier, comparisons, slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np

from feasible.planning.candidates import Candidate, frontier_of
from feasible.planning.certify import Judged, judge
from feasible.planning.chain import Chain, Ingredients
from feasible.planning.constraint import Constraint, Exits, percentile_of
from feasible.planning.sheet import Sheet
from feasible.planning.value import (
    Worth,
    main_objective,
    most_valuable,
    net_usd,
    worth_of,
    worth_of_design,
)
from feasible.schema import (
    DEFAULT_GROUP,
    BoolArray,
    Brief,
    CertificateLine,
    Comparison,
    FloatArray,
    Forecast,
    FrontierPoint,
    IntArray,
    LatencyForecast,
    Objective,
    Profile,
)

__all__ = [
    "chosen_by_value",
    "comparisons_of",
    "forecast_of",
    "frontier_points",
    "percentiles",
    "slices_of",
]


_POINTS: Final = 16
"""Points of the frontier that are worked out at most."""


def forecast_of(judged: Judged, lines: Sequence[CertificateLine]) -> Forecast:
    """Say what to expect on the declared traffic mix, from the rows that judged."""
    rows, brief = np.arange(len(judged.exit_of_row)), judged.sheet.kit.brief
    weight = judged.sheet.mix
    by_person = judged.exits.is_person[rows, judged.exit_of_row]
    quality: dict[str, float | None] = {}
    for line in lines:
        if brief.objective(line.objective).needs_labels:
            quality[line.objective] = line.value
    return Forecast(
        cost_usd=_mean(judged.exits.cost_usd[rows, judged.exit_of_row], weight),
        cost_usd_machines=_mean(judged.exits.machine_usd[rows, judged.exit_of_row], weight),
        latency_ms=percentiles(judged.exits.latency_ms[rows, judged.exit_of_row], weight),
        quality=quality,
        people_share=float(np.average(by_person, weights=weight)),
    )


def percentiles(latency_ms: FloatArray, weight: FloatArray | None = None) -> LatencyForecast:
    """Give p50, p95 and p99 of the known latencies, weighted; None without any."""
    known = ~np.isnan(latency_ms)
    if not known.any():
        return LatencyForecast(p50=None, p95=None, p99=None)
    times = latency_ms[known]
    if weight is None or bool((weight == weight[0]).all()):
        p50, p95, p99 = (float(v) for v in np.quantile(times, (0.5, 0.95, 0.99)))
        return LatencyForecast(p50=p50, p95=p95, p99=p99)
    order = np.argsort(times, kind="stable")
    share = np.cumsum(weight[known][order])
    at = np.searchsorted(share, np.array((0.5, 0.95, 0.99)) * share[-1])
    p50, p95, p99 = (float(times[order[min(int(i), len(times) - 1)]]) for i in at)
    return LatencyForecast(p50=p50, p95=p95, p99=p99)


def frontier_points(
    candidates: Sequence[Candidate], sheet: Sheet, chosen: Candidate | None
) -> tuple[FrontierPoint, ...]:
    """Give the cascades that no other beats at once in cost and quality, on SEARCH rows."""
    brief = sheet.kit.brief
    drawn_over = main_objective(brief)
    if drawn_over is None:
        return ()

    leaves_of: dict[int, IntArray] = {}

    def quality(candidate: Candidate) -> float | None:
        leaves = sheet.leaves(candidate.chain, candidate.thresholds)
        leaves_of[id(candidate)] = leaves
        return _quality_of(candidate, sheet, drawn_over, leaves)

    hopeful = _unbeaten(candidates, drawn_over.id)
    if len(hopeful) > _POINTS:
        at = np.unique(np.linspace(0, len(hopeful) - 1, _POINTS).round().astype(np.int64))
        hopeful = [hopeful[int(i)] for i in at]
    points = frontier_of(hopeful, quality)
    if chosen is not None and all(c is not chosen for c, _ in points):
        points.append((chosen, quality(chosen) or 0.0))
        points.sort(key=lambda item: item[0].cost_usd)
    return tuple(
        _point(
            candidate, abs(value), sheet, leaves_of[id(candidate)], is_chosen=candidate is chosen
        )
        for candidate, value in points
    )


def _quality_of(
    candidate: Candidate, sheet: Sheet, main: Objective, leaves: IntArray
) -> float | None:
    """Give what the frontier is drawn over, the more the better; an error is negative."""
    value = next(c for c in sheet.constraints(candidate.chain) if c.id == main.id).value(leaves)
    return None if value is None else -value if main.is_ceiling else 1 - value


def chosen_by_value(passed: Sequence[Judged], sheet: Sheet) -> tuple[Judged, list[str]]:
    """Choose, among certified plans, the one that is worth most per decision on SEARCH rows.

    All that passed along a fixed order hold together, so that any choice among them holds, too.

    Args:
        passed: Certified candidates, from the surest to the cheapest.
        sheet: SEARCH rows.

    Returns:
        The plan and what it was chosen over; the cheapest, when nothing says what any is worth.
    """
    brief = sheet.kit.brief
    main = main_objective(brief)
    points = []
    for one in passed:
        leaves = sheet.leaves(one.candidate.chain, one.candidate.thresholds)
        quality = None if main is None else _quality_of(one.candidate, sheet, main, leaves)
        points.append(_point(one.candidate, abs(quality or 0.0), sheet, leaves, is_chosen=False))
    worths = [worth_of_design(brief, point) for point in points]
    costs = [point.cost_usd for point in points]
    best = most_valuable(brief, list(zip(worths, costs, strict=True)))
    if best is None:
        return passed[-1], ["nothing here says what a plan is worth: the cheapest was chosen"]
    nets = [
        None if worth is None else net_usd(brief.goal, worth, cost).mid
        for worth, cost in zip(worths, costs, strict=True)
    ]
    cheapest = "" if nets[-1] is None else f", which is worth ${nets[-1]:.5g}"
    told = (
        f"chosen by value: of {len(passed):,} certified plans the one that is worth most on the "
        f"search rows, ${nets[best]:.5g} a decision net of its cost of ${costs[best]:.5g}; the "
        f"cheapest costs ${costs[-1]:.5g}{cheapest}"
    )
    return passed[best], [told]


def _point(
    candidate: Candidate, quality: float, sheet: Sheet, leaves: IntArray, *, is_chosen: bool
) -> FrontierPoint:
    exits = sheet.exits(candidate.chain)
    took = exits.latency_ms[np.arange(len(leaves)), leaves]
    worth = _worth(sheet, exits, leaves)
    return FrontierPoint(
        cost_usd=candidate.cost_usd,
        quality=quality,
        latency_ms=percentiles(took).p95,
        tiers=_names(candidate, sheet.kit),
        is_chosen=is_chosen,
        right=None if worth is None else worth.right,
        earned=None if worth is None else worth.earned,
        breaks=tuple(
            c.id
            for c in sheet.constraints(candidate.chain)
            if (value := c.value(leaves)) is not None and value > c.limit
        ),
    )


def _worth(sheet: Sheet, exits: Exits, leaves: IntArray) -> Worth | None:
    """Count right answers on the declared mix of the labelled rows; None where none is known."""
    if sheet.profile.agreed_with is not None:
        return None
    rows = np.arange(len(leaves))
    return worth_of(
        sheet.kit.brief,
        loss=np.where(exits.labelled, exits.loss[rows, leaves], np.nan),
        latency_ms=exits.latency_ms[rows, leaves],
        weight=sheet.yardstick.labelled,
    )


def _unbeaten(candidates: Sequence[Candidate], main: str) -> list[Candidate]:
    """Give the candidates that no cheaper one beats in slack: few of very many."""
    out: list[Candidate] = []
    best = -np.inf
    for candidate in sorted(candidates, key=lambda c: (c.cost_usd, -c.slack[main])):
        if candidate.slack[main] > best:
            out.append(candidate)
            best = candidate.slack[main]
    return out


def _names(candidate: Candidate, kit: Ingredients) -> tuple[str, ...]:
    person = () if kit.person is None else (kit.person,)
    return (*candidate.chain.machines, *person)


def comparisons_of(kit: Ingredients, profile: Profile, cert: Profile) -> tuple[Comparison, ...]:
    """Judge what a team would otherwise do on the rows that certify: nothing is chosen by it."""
    alone = Sheet(replace(kit, person=None, brief=_without_fallback(kit.brief)), cert)
    out = []
    for name in kit.machines:
        candidate = Candidate(Chain((name,)), {name: {DEFAULT_GROUP: 0.0}}, 0.0, {})
        out.append(_comparison(f"{name} alone", judge(candidate, alone)))
    out.extend(_simulated(kit, profile, name) for name in sorted(profile.simulated))
    if kit.person is not None:
        candidate = Candidate(Chain(()), {}, 0.0, {})
        out.append(_comparison("every case to a person", judge(candidate, Sheet(kit, cert))))
    return tuple(out)


def slices_of(judged: Judged, cert: Profile) -> dict[str, dict[str, Any]]:
    """Say, slice by slice, how many rows there are, who answered them and how often rightly."""
    out = {}
    for name, member in cert.slices.items():
        if member.any():
            out[name] = _slice_line(judged.exits, judged.exit_of_row, member)
    return out


def _slice_line(exits: Exits, exit_of_row: IntArray, member: BoolArray) -> dict[str, Any]:
    rows = np.flatnonzero(member)
    leaves = exit_of_row[rows]
    by_person = exits.is_person[rows, leaves]
    loss = exits.loss[rows, leaves]
    judging = exits.labelled[rows] & ~np.isnan(loss)
    machine, known = loss[judging & ~by_person], loss[judging]
    right_machine = float((1 - machine).sum())
    return {
        "rows": len(rows),
        "handed_to_people": float(by_person.mean()),
        "right_with_people": float(1 - known.mean()) if len(known) else None,
        "right_of_machine_answers": float(1 - machine.mean()) if len(machine) else None,
        "right_by_machines_of_all": right_machine / len(known) if len(known) else None,
        "recognised_or_handed_over": (right_machine + float(by_person[judging].sum()))
        / max(1, len(known)),
    }


def _without_fallback(brief: Brief) -> Brief:
    serving = brief.layers.serving
    if serving is None:
        return brief
    bare = msgspec.structs.replace(serving, fallback={})
    layers = msgspec.structs.replace(brief.layers, serving=bare)
    return msgspec.structs.replace(brief, layers=layers)


def _comparison(name: str, judged: Judged) -> Comparison:
    worth = _worth(judged.sheet, judged.exits, judged.exit_of_row)
    rows = np.arange(len(judged.exit_of_row))
    made = judged.constraints
    return Comparison(
        name=name,
        quality={
            c.id: _good(c, c.value(judged.exit_of_row)) for c in made if c.objective.needs_labels
        },
        cost_usd=_mean(judged.exits.cost_usd[rows, judged.exit_of_row], judged.sheet.mix),
        latency_ms=percentiles(judged.exits.latency_ms[rows, judged.exit_of_row], judged.sheet.mix),
        breaks=tuple(c.id for c in made if c.id not in judged.held),
        note="judged by the same bounds as the plan",
        right=None if worth is None else worth.right,
        earned=None if worth is None else worth.earned,
    )


def _good(constraint: Constraint, value: float | None) -> float | None:
    return value if value is None or constraint.objective.is_ceiling else 1 - value


def _simulated(kit: Ingredients, profile: Profile, name: str) -> Comparison:
    """Show a simulated tier by its price and latency; its quality is not known."""
    column = profile.tiers.index(name)
    latency = percentiles(profile.latency_ms[:, column])
    cost = _mean(profile.cost_usd[:, column], None)
    breaks = [
        objective.id
        for objective in kit.brief.envelope
        if _is_over(objective, profile.latency_ms[:, column], cost)
    ]
    return Comparison(
        name=f"every question to {name} (simulated)",
        quality={},
        cost_usd=cost,
        latency_ms=latency,
        breaks=tuple(breaks),
        note="latency and price from published measurements; quality was not measured",
    )


def _is_over(objective: Objective, took: FloatArray, cost: float | None) -> bool:
    limit, known = objective.limit, took[~np.isnan(took)]
    if limit is None:
        return False
    if objective.kind == "latency" and len(known):
        q = percentile_of(objective)
        return float(known.mean() if q is None else np.quantile(known, q)) > limit.mid * 1e3
    return objective.kind == "cost" and objective.measure == "mean" and (cost or 0.0) > limit.mid


def _mean(values: FloatArray, weight: FloatArray | None) -> float | None:
    known = ~np.isnan(values)
    if not known.any():
        return None
    return float(np.average(values[known], weights=None if weight is None else weight[known]))
