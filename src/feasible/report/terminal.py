"""Tables for a terminal: numbers to the right, units in the header, unknown said as unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from feasible.planning import marginal_usd
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
    "narrow_table",
    "plan_table",
    "rows_line",
]

_MARK: Final = {
    True: ("holds", "green"),
    False: ("BROKEN", "bold red"),
    None: ("too early", "yellow"),
}


_UNLABELLED: Final = ("agreement_with_", "cost_", "latency_", "people_")
"""How the promises begin that every row judges, labelled or not."""


def show(value: float | None, unit: str) -> str:
    """Show a number in its unit; unknown stays unknown.

    Examples:
        >>> show(0.93, "ratio"), show(12.5, "ms"), show(0.004, "usd"), show(None, "ms")
        ('93.0 %', '12.5 ms', '$0.0040', 'unknown')
    """
    if value is None:
        return "unknown"
    if unit == "ratio":
        return format_ratio(value)
    if unit == "usd":
        return format_usd(value, digits=2)
    if unit == "ms":
        return f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"  # noqa: PLR2004  1 s
    return f"{value:.4g} {unit}".strip()


def _typed(value: float, unit: str) -> str:
    """Show a limit with every digit, as a brief takes it: one that is rounded may not hold.

    Examples:
        >>> _typed(0.9939, "ratio"), _typed(0.00001, "usd"), _typed(1500, "ms")
        ('99.39 %', '$0.00001', '1500 ms')
    """
    number = value * 100 if unit == "ratio" else value
    digits = f"{Decimal(f'{number:.9g}'):f}"
    return f"${digits}" if unit == "usd" else f"{digits} {'%' if unit == 'ratio' else unit}".strip()


def promise(objective: Objective) -> str:
    """Say one promise in words, with its number as it was typed."""
    sign = "at most" if objective.is_ceiling else "at least"
    limit = objective.must_stay if objective.limit is None else f"{sign} {objective.limit}"
    parts = [f"{objective.measure}" if objective.needs_labels else objective.kind]
    if not objective.needs_labels:
        parts.append(objective.measure)
    if objective.within is not None:
        parts.append(f"within {objective.within}")
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
    if report.plan is not None:
        what = "the plan"
    elif made is not None and made.not_promised:
        what = "the plan for now"
    else:
        what = "without the promises that fail (not certified)"
    table = narrow_table(f"{what}: tiers in the order they are asked")
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
    table = narrow_table("the certificate: on rows used for nothing else", caption=_methods(lines))
    table.add_column("promise", min_width=16)
    for name in ("limit", "value", "bound", "misses"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for line in lines:
        word, style = _MARK[line.holds]
        if line.holds is False and _is_inside(line):
            word, style = "not shown", "yellow"  # the value is fine, its bound is not
        sign = "<=" if line.is_ceiling else ">="
        table.add_row(
            _named(line),
            f"{sign} {show(line.limit, line.unit)}",
            show(line.value, line.unit),
            show(line.bound, line.unit),
            f"{line.misses:,.4g} of {line.n:,}",
            Text(word, style=style),
        )
    return table


def spoken(objective: str) -> str:
    """Give an objective's id as words, which a narrow table can break."""
    return objective.replace("_", " ")


def _named(line: CertificateLine) -> str:
    """Give a line's promise as words; agreement with a tier names the tier as it is written."""
    if line.agreement_with is None:
        return spoken(line.objective)
    _, _, rest = line.objective.partition(line.agreement_with)
    return f"agreement with `{line.agreement_with}`{spoken(rest)}"


def narrow_table(title: str, *, caption: str | None = None) -> Table:
    """Begin a table that is still readable in a terminal of 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )


def _is_inside(line: CertificateLine) -> bool:
    """Claim that the value itself keeps its limit."""
    if line.value is None:
        return False
    return line.value <= line.limit if line.is_ceiling else line.value >= line.limit


def rows_line(report: PlanReport) -> str:
    """Say which rows a plan was made from, and whether they were made up."""
    made = report.plan or report.fallback_plan
    if made is None:
        return "no rows were used: nothing was planned"
    data = made.data
    kind = " (synthetic: made up, not collected)" if data.synthetic else ""
    return (
        f"rows: {data.name}{kind}: {data.n_fit:,} to fit, {data.n_search:,} to search, "
        f"{data.n_cert:,} to certify"
        + ("; the plan that is worth most was chosen" if made.chosen_by == "value" else "")
    )


def _ms(ms: float | None) -> str:
    """Show milliseconds, whole ones from a hundred on."""
    if ms is None:
        return "unknown"
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}"  # noqa: PLR2004  three digits are enough


def _methods(lines: Sequence[CertificateLine]) -> str:
    """Say by which method each bound was found, and what it takes for granted."""
    by: dict[str, list[str]] = {}
    for line in lines:
        by.setdefault(line.method, []).append(spoken(line.objective))
    told = [f"{method}: {', '.join(names)}" for method, names in by.items()]
    told += [f"{spoken(line.objective)}: {line.note}" for line in lines if line.note is not None]
    return "\n".join(told)


def comparison_table(report: PlanReport) -> Table:
    """Show the plan beside what a team would otherwise do, on the same rows.

    Figures for machines alone are left to the certificate; a design that breaks one of them breaks
    the promise that is shown.
    """
    found = dict.fromkeys(name for c in report.comparisons for name in c.quality)
    qualities = [name for name in found if not name.endswith("_machines")] or list(found)
    table = narrow_table(
        "instead of the plan, on the same rows",
        caption="people's work is in the dollars; `breaks` looks at the figures alone, and only "
        "the plan was certified",
    )
    table.add_column("design", max_width=22)
    for name in (*qualities, "$ a decision", "p50 ms", "p99 ms"):
        table.add_column(spoken(name), justify="right", max_width=10)
    table.add_column("breaks")
    rows = [(c.name, c.quality, c.cost_usd, c.latency_ms, c.breaks) for c in report.comparisons]
    if report.forecast is not None:
        f = report.forecast
        missed = tuple(line.objective for line in report.certificate if not line.holds)
        name = "this plan" if report.feasible else "the safest plan found"
        rows.insert(0, (name, f.quality, f.cost_usd, f.latency_ms, missed))
    for name, quality, cost, latency, breaks in rows:
        broken = dict.fromkeys(spoken(one.removesuffix("_machines")) for one in breaks)
        table.add_row(
            name,
            *(format_ratio(quality.get(q)) for q in qualities),
            format_usd(cost, digits=2),
            *(_ms(ms) for ms in (latency.p50, latency.p99)),
            Text(", ".join(broken) or "nothing", style="red" if breaks else "green"),
        )
    return table


def frontier_table(report: PlanReport, *, most: int = 12) -> Table:
    """Show the cascades that no other beats at once in cost and quality, on SEARCH rows.

    Of many points some are shown; what a point of quality costs is then between these.
    """
    table = narrow_table(
        "the frontier (search rows, not certified); > marks the plan",
        caption="$ a point: dollars per 1,000 decisions for each percentage point of quality "
        "beyond the row above",
    )
    table.add_column("", no_wrap=True)
    for name in ("$ a decision", "quality", "$ a point", "p95 ms", "$ net"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("tiers")
    points = report.frontier
    step = max(1, math.ceil(len(points) / most))
    last = len(points) - 1
    places = [i for i, p in enumerate(points) if not i % step or p.is_chosen or i == last]
    paid = marginal_usd([points[i] for i in places])
    found = () if report.value is None else report.value.net_usd_by_point
    nets = [None if net is None else net.mid for net in found] or [None] * len(points)
    for place, marginal in zip(places, paid, strict=True):
        point, net = points[place], nets[place]
        table.add_row(
            ">" if point.is_chosen else "",
            format_usd(point.cost_usd),
            format_ratio(point.quality),
            "-" if marginal is None else format_usd(marginal, digits=2),
            _ms(point.latency_ms),
            "-" if net is None else f"{'-' if net < 0 else ''}{format_usd(abs(net), digits=2)}",
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
        kind = "rows" if objective.startswith(_UNLABELLED) else "labelled rows"
        lines.append(Text(f"{objective}: {missing:,} more {kind} are needed"))
    if found.earliest_date is not None:
        span = {str(day) for day in (found.earliest_date, found.latest_date) if day is not None}
        days = " to ".join(sorted(span))
        bare = all(name.startswith(_UNLABELLED) for name in found.labels_needed)
        rate = "rate of traffic" if bare and found.labels_needed else "label rate"
        lines.append(Text(f"earliest date at the brief's {rate}: {days}"))
    now = report.fallback_plan
    if now is not None and now.not_promised:
        held = ", ".join(line.objective for line in now.certificate if line.holds)
        lines.append(Text(f"can be promised now: {held} (the plan below, certified for these)"))
        lines.append(Text(f"cannot be promised yet: {', '.join(now.not_promised)}"))
    for relaxation in found.relaxations:
        tried = "planned again: holds" if relaxation.verified else "not verified"
        was, to = (_typed(end, relaxation.unit) for end in (relaxation.from_, relaxation.to))
        lines.append(Text(f"would hold: {relaxation.objective} {was} -> {to} ({tried})"))
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
