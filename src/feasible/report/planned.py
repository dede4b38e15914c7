"""All that the planner answers, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from feasible.report.outlook import (
    evidence_text,
    left_out_lines,
    sensitivity_table,
    shadow_lines,
    timeline_table,
    value_table,
)
from feasible.report.terminal import (
    certificate_table,
    comparison_table,
    frontier_table,
    infeasible_panel,
    plan_table,
    rows_line,
)
from feasible.schema import PlanReport

__all__ = ["plan_parts"]


def plan_parts(report: PlanReport) -> Iterator[RenderableType]:
    """Give panels, tables and lines: what holds, what it means, what to know beside it."""
    yield from _what_holds(report)
    yield from _what_it_means(report)
    yield from (*left_out_lines(report), *shadow_lines(report), *report.formats)
    yield from (f"note: {note}" for note in report.notes)


def _what_holds(report: PlanReport) -> Iterator[RenderableType]:
    if report.infeasible is not None:
        yield infeasible_panel(report)
    if report.plan is not None or report.fallback_plan is not None:
        yield rows_line(report)
        yield plan_table(report)
    if report.certificate:
        yield certificate_table(report.certificate)
    if report.comparisons:
        yield comparison_table(report)


def _what_it_means(report: PlanReport) -> Iterator[RenderableType]:
    if report.frontier:
        yield frontier_table(report)
    if report.value is not None:
        yield value_table(report.value)
    if report.sensitivity:
        yield sensitivity_table(report.sensitivity)
    was_judged = report.data is None or report.certificate  # rows that judged nothing show nothing
    if not report.feasible and report.evidence and was_judged:
        yield evidence_text(report)
        yield timeline_table(report.timeline)
