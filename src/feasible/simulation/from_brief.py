"""What a brief promises, as limits that a run can be held to."""

from __future__ import annotations

from typing import Final, Literal

from feasible.schema import AnsweredBy, Brief, Objective
from feasible.simulation.promises import (
    Promise,
    Value,
    answered_share,
    cost_each,
    latency,
    on_slice,
    quality,
    share_of,
)
from feasible.units import MONTH_DAYS

__all__ = ["DEGRADED", "promises_of", "unsimulated"]

DEGRADED: Final = "degraded_share"
_ASSUMED_DEGRADED: Final = 0.01


def promises_of(brief: Brief, *, has_people: bool = False) -> tuple[Promise, ...]:
    """Give every promise that a run can be held to, and the share of degraded answers.

    Args:
        brief: The declaration.
        has_people: Whether the design has people whose hours are counted.
    """
    out = []
    for objective in brief.envelope:
        found = _promise(brief, objective)
        if found is not None:
            out.append(found)
    out.append(Promise(DEGRADED, share_of("degraded"), _ASSUMED_DEGRADED, "ratio"))
    if has_people:
        per_hour = share_of("handed", per="hour")
        out.append(
            Promise(
                "people.per_hour",
                per_hour,
                0.0,
                "/ h",
                scales=True,
                limit_knob="people.per_hour",
            )
        )
    return tuple(out)


def unsimulated(brief: Brief) -> tuple[str, ...]:
    """Name the objectives that no run is held to; a breakpoint says of a throughput if it holds."""
    return tuple(
        objective.id
        for objective in brief.envelope
        if objective.kind != "throughput" and _promise(brief, objective) is None
    )


def _promise(brief: Brief, objective: Objective) -> Promise | None:
    limit = objective.limit
    if limit is None:
        return None
    value, unit, factor = _value(brief, objective)
    if value is None:
        return None
    if objective.on is not None and objective.kind != "quality":
        value = on_slice(value, objective.on)
    is_budget = objective.kind == "cost" and objective.measure == "day"
    return Promise(
        objective.id,
        value,
        (limit.low if objective.is_ceiling else limit.high) * factor,
        unit,
        is_ceiling=objective.is_ceiling,
        scales=is_budget,
        limit_knob="budget.day" if is_budget else None,
    )


def _value(brief: Brief, objective: Objective) -> tuple[Value | None, str, float]:
    """Give how an objective is measured, its unit, and what its limit is multiplied with."""
    by: Literal["all", "machines"] = "machines" if objective.by is AnsweredBy.MACHINES else "all"
    measure, kind = objective.measure, objective.kind
    if objective.by is AnsweredBy.PEOPLE:
        return None, "", 1.0
    if kind == "latency":
        percentile = None if measure == "mean" else float(measure[1:]) / 100
        return latency(percentile, by=by), "s", 1.0
    if kind == "cost" and measure == "mean":
        return cost_each(by=by), "usd", 1.0
    if kind == "cost" and measure in {"day", "month"}:
        return cost_each(per_day=True, by=by), "usd", 1 / (MONTH_DAYS if measure == "month" else 1)
    return _share(brief, objective)


def _share(brief: Brief, objective: Objective) -> tuple[Value | None, str, float]:
    limit = objective.limit
    serving = brief.layers.serving
    if objective.kind == "quality":
        return quality(objective.id), "ratio", 1.0
    if objective.kind == "people" and limit is not None and limit.dimension == "rate":
        return share_of("handed", per="day"), "/ day", 86_400.0
    if objective.kind == "people":
        return share_of("handed"), "ratio", 1.0
    if objective.kind == "abstention":
        return share_of("nobody"), "ratio", 1.0
    if objective.kind == "availability":
        deadline = None if serving is None or serving.deadline is None else serving.deadline.mid
        return answered_share(deadline), "ratio", 1.0
    return None, "", 1.0
