"""What a finished answer means: when more can be promised, what it is worth, what would move it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

import msgspec

from feasible.planning.formats import compare_formats, formats_of
from feasible.planning.leftout import left_out_by_brief, without
from feasible.planning.sensitivity import judging_rows, sensitivity
from feasible.planning.timeline import evidence_lines, label_dates, timeline
from feasible.planning.value import marginal_usd, value_report
from feasible.schema import Brief, LeftOut, PlanReport, Profile
from feasible.units import format_usd

__all__ = ["explained"]

_BOTH: Final = 2

Planner = Callable[[Brief], PlanReport]


def explained(
    report: PlanReport, brief: Brief, profile: Profile, *, again: Planner, today: date
) -> PlanReport:
    """Add to an answer of the planner what it means. Nothing in it decides what is served.

    Args:
        report: The planner's answer.
        brief: The declaration.
        profile: The rows it was made from.
        again: Plans the same rows for another brief; asked once for each promise that rules a tier
            out, to see what that promise costs.
        today: From when on labels are counted.
    """
    report = _with_prices(report, brief, profile, again)
    lines, made = report.certificate, report.plan or report.fallback_plan
    short = None if report.infeasible is None else report.infeasible.labels_needed
    needs = evidence_lines(brief, today=today, lines=lines, needed=short)
    paid = zip(report.frontier, marginal_usd(report.frontier), strict=True)
    frontier = tuple(msgspec.structs.replace(point, marginal_usd=usd) for point, usd in paid)
    report = msgspec.structs.replace(
        report,
        frontier=frontier,
        formats=_formats(brief, profile),
        evidence=needs,
        timeline=timeline(brief, today=today, evidence=needs, lines=lines),
    )
    if report.infeasible is not None and report.infeasible.kind == "evidence":
        missing = report.infeasible.labels_needed
        earliest, latest = label_dates(brief, missing, today=today)
        why = msgspec.structs.replace(report.infeasible, earliest_date=earliest, latest_date=latest)
        report = msgspec.structs.replace(report, infeasible=why)
    report = msgspec.structs.replace(report, value=value_report(brief, report))
    if made is None:
        return report
    rows = judging_rows(brief, profile, seed=made.seed)
    return msgspec.structs.replace(report, sensitivity=sensitivity(made, brief, rows, report))


def _with_prices(report: PlanReport, brief: Brief, profile: Profile, again: Planner) -> PlanReport:
    """Say what each tier left out would have saved, by planning without the promise behind it."""
    known = {left.tier for left in report.left_out}
    declared = [left for left in left_out_by_brief(brief) if left.tier not in known]
    left_out = [*report.left_out, *declared]
    asked = {left.objective for left in left_out if _has_rows(left, profile)}
    priced = {name: again(without(brief, name)) for name in sorted(asked - {None}, key=str) if name}
    return msgspec.structs.replace(
        report,
        left_out=tuple(
            msgspec.structs.replace(left, saves_usd=_saved(report, priced[left.objective]))
            if left.objective in priced and _has_rows(left, profile)
            else left
            for left in left_out
        ),
        notes=(*report.notes, *_would_hold(report, priced)),
    )


def _formats(brief: Brief, profile: Profile) -> tuple[str, ...]:
    """Say what tiers that are formats of one model save and cost against each other."""
    return tuple(
        comparison.sentence
        for tiers in formats_of(brief, profile).values()
        for comparison in compare_formats(profile, tiers)
    )


def _has_rows(left: LeftOut, profile: Profile) -> bool:
    return left.tier in profile.tiers and left.tier not in profile.simulated


def _saved(report: PlanReport, other: PlanReport) -> float | None:
    """Give the dollars a decision between two plans that hold; None unless both do."""
    plans = [one.plan.forecast.cost_usd for one in (report, other) if one.plan is not None]
    known = [usd for usd in plans if usd is not None]
    return known[0] - known[1] if len(known) == _BOTH else None


def _would_hold(report: PlanReport, priced: dict[str, PlanReport]) -> list[str]:
    """Name the promises without which a plan holds, where none does with them."""
    return [
        f"planned again without {name}: every other promise holds, at "
        f"{format_usd(other.plan.forecast.cost_usd)} a decision"
        for name, other in priced.items()
        if report.plan is None and other.plan is not None
    ]
