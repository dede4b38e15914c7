"""Tables for a terminal: numbers to the right, units in the header, unknown said as unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from feasible.schema import (
    Backtest,
    Brief,
    CertificateLine,
    Objective,
    PlanReport,
)
from feasible.units import format_ratio, format_usd

__all__ = [
    "backtest_table",
    "brief_panel",
    "certificate_table",
    "comparison_table",
    "frontier_table",
    "infeasible_panel",
    "plan_table",
]

_MARK: Final = {
    True: ("holds", "green"),
    False: ("BROKEN", "bold red"),
    None: ("too early", "yellow"),
}


def show(value: float | None, unit: str) -> str:
    """Show a number in its unit; unknown stays unknown.

    Examples:
        >>> show(0.93, "ratio"), show(12.5, "ms"), show(0.004, "usd"), show(None, "ms")
        ('93.0 %', '12.5 ms', '$0.00400', 'unknown')
    """
    if value is None:
        return "unknown"
    if unit == "ratio":
        return format_ratio(value)
    if unit == "usd":
        return format_usd(value)
    if unit == "ms":
        return f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"  # noqa: PLR2004  1 s
    return f"{value:.4g} {unit}".strip()


def promise(objective: Objective) -> str:
    """Say one promise in words, with its number as it was typed."""
    sign = "at most" if objective.is_ceiling else "at least"
    limit = objective.must_stay if objective.limit is None else f"{sign} {objective.limit}"
    parts = [f"{objective.measure}" if objective.kind == "quality" else objective.kind]
    if objective.kind != "quality":
        parts.append(objective.measure)
    if objective.of:
        parts.append(f"of {objective.of}")
    if objective.on:
        parts.append(f"on {objective.on}")
    if objective.by.value != "all":
        parts.append(f"by {objective.by.value}")
    return f"{' '.join(parts)}: {limit}"


def brief_panel(brief: Brief) -> RenderableType:
    """Show what is promised."""
    goal = brief.goal
    lines = [Text(goal.statement, style="bold")]
    if goal.metric and goal.now is not None and goal.target is not None:
        lines.append(Text(f"{goal.metric}: {goal.now} now, {goal.target} wanted"))
    lines.extend(Text(f"  {promise(objective)}") for objective in brief.envelope)
    return Panel(Group(*lines), title=f"brief: {brief.name}", title_align="left")


def plan_table(report: PlanReport) -> Table:
    """Show the tiers of a plan in the order in which they are asked."""
    made = report.plan or report.fallback_plan
    what = (
        "the plan" if report.plan is not None else "without the promises that fail (not certified)"
    )
    table = Table(title=f"{what}: tiers in the order they are asked", title_justify="left")
    table.add_column("tier")
    table.add_column("kind")
    for name in ("answers", "accepts from", "p95 ms", "$ a call"):
        table.add_column(name, justify="right")
    for tier in made.tiers if made is not None else ():
        accepted = ", ".join(
            f"{value:.2f}" if group == "*" else f"{group} {value:.2f}"
            for group, value in tier.thresholds.items()
        )
        p95 = "?" if tier.latency_p95_ms is None else f"{tier.latency_p95_ms:.2f}"
        table.add_row(
            tier.name,
            tier.kind.value,
            format_ratio(tier.share),
            "all" if tier.kind.value == "person" else accepted,
            p95,
            format_usd(tier.cost_usd),
        )
    return table


def certificate_table(lines: Sequence[CertificateLine]) -> Table:
    """Show what was shown, on how many rows, by which method."""
    table = Table(title="the certificate: on rows used for nothing else", title_justify="left")
    for name in ("promise", "by"):
        table.add_column(name)
    for name in ("limit", "value", "bound", "rows", "misses"):
        table.add_column(name, justify="right")
    table.add_column("")
    for line in lines:
        word, style = _MARK[line.holds]
        sign = "<=" if line.is_ceiling else ">="
        table.add_row(
            line.objective,
            line.method,
            f"{sign} {show(line.limit, line.unit)}",
            show(line.value, line.unit),
            show(line.bound, line.unit),
            f"{line.n:,}",
            f"{line.misses:,.4g}",
            Text(word, style=style),
        )
    return table


def comparison_table(report: PlanReport) -> Table:
    """Show the plan beside what a team would otherwise do, on the same rows."""
    qualities = list(dict.fromkeys(name for c in report.comparisons for name in c.quality))
    table = Table(title="instead of the plan, on the same rows", title_justify="left")
    table.add_column("design")
    for name in (*qualities, "$ a decision", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    table.add_column("breaks")
    rows = [(c.name, c.quality, c.cost_usd, c.latency_ms, c.breaks) for c in report.comparisons]
    if report.forecast is not None:
        f = report.forecast
        broken = tuple(line.objective for line in report.certificate if not line.holds)
        name = "this plan" if report.feasible else "the safest plan found"
        rows.insert(0, (name, f.quality, f.cost_usd, f.latency_ms, broken))
    for name, quality, cost, latency, breaks in rows:
        table.add_row(
            name,
            *(format_ratio(quality.get(q)) for q in qualities),
            format_usd(cost),
            *("unknown" if ms is None else f"{ms:.3g}" for ms in (latency.p50, latency.p99)),
            Text(", ".join(breaks) or "nothing", style="red" if breaks else "green"),
        )
    return table


def frontier_table(report: PlanReport, *, most: int = 12) -> Table:
    """Show the cascades that no other beats at once in cost and quality, on SEARCH rows."""
    table = Table(title="the frontier (search rows, not certified)", title_justify="left")
    for name in ("$ a decision", "quality", "latency ms"):
        table.add_column(name, justify="right")
    table.add_column("tiers")
    points = report.frontier
    step = max(1, len(points) // most)
    for index, point in enumerate(points):
        if index % step and not point.is_chosen:
            continue
        table.add_row(
            format_usd(point.cost_usd),
            format_ratio(point.quality),
            "unknown" if point.latency_ms is None else f"{point.latency_ms:.3g}",
            " > ".join(point.tiers),
            style="bold green" if point.is_chosen else None,
        )
    return table


def infeasible_panel(report: PlanReport) -> RenderableType:
    """Say why there is no plan, what is missing and what would make one."""
    found = report.infeasible
    if found is None:
        return Text("")
    lines = [Text(sentence) for sentence in found.because]
    for objective, missing in found.labels_needed.items():
        lines.append(Text(f"{objective}: {missing:,} more labelled rows are needed"))
    if found.earliest_date is not None:
        lines.append(Text(f"earliest date at the brief's label rate: {found.earliest_date}"))
    for relaxation in found.relaxations:
        tried = "planned again: holds" if relaxation.verified else "not verified"
        lines.append(
            Text(
                f"would hold: {relaxation.objective} {show(relaxation.from_, relaxation.unit)} -> "
                f"{show(relaxation.to, relaxation.unit)} ({tried})"
            )
        )
    return Panel(Group(*lines), title=f"infeasible: {found.kind}", title_align="left", style="red")


def backtest_table(result: Backtest) -> Table:
    """Show whether each promise held on other rows."""
    table = Table(title=f"back-test on {result.rows:,} rows", title_justify="left")
    table.add_column("promise")
    for name in ("limit", "value", "interval", "rows"):
        table.add_column(name, justify="right")
    table.add_column("held")
    for line in result.promises:
        span = "unknown"
        if line.interval is not None:
            span = " to ".join(show(end, line.unit) for end in line.interval)
        style = {"true": "green", "false": "bold red"}.get(line.held, "yellow")
        table.add_row(
            line.objective,
            show(line.limit, line.unit),
            show(line.value, line.unit),
            span,
            f"{line.n:,}",
            Text(line.held, style=style),
        )
    return table
