"""What can be promised when, what a plan is worth, what would move it: for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from rich.console import Group, RenderableType
from rich.text import Text

from feasible.report.terminal import narrow_table, show, spoken
from feasible.schema import (
    EvidenceLine,
    PlanCheck,
    PlanReport,
    Sensitivity,
    Swing,
    TimelineStep,
    ValueLine,
    ValueReport,
)
from feasible.units import format_ratio, format_usd

__all__ = [
    "check_text",
    "evidence_text",
    "left_out_lines",
    "sensitivity_table",
    "shadow_lines",
    "timeline_table",
    "value_table",
]

_PER_POINT = 0.01 * 1_000
"""From dollars a decision and unit of loss to dollars per 1,000 decisions and percentage point."""
_CENT = 0.01


def evidence_text(report: PlanReport) -> RenderableType:
    """Show, per quality objective, which labels it takes and when the brief's rate gives them."""
    parts: list[RenderableType] = []
    for need in report.evidence:
        parts.append(Text(f"evidence for {spoken(need.objective)}", style="bold"))
        parts += [Text(f"  {line}") for line in _lines(need)]
    return Group(*parts)


def _lines(need: EvidenceLine) -> list[str]:
    sign = "at most" if need.is_ceiling else "at least"
    ladder = ", ".join(_with_misses(k, rows) for k, rows in need.rows_by_misses.items())
    limit = show(need.limit, "ratio") if 0 <= need.limit <= 1 else f"{need.limit:g}"
    lines = [
        f"promised   {sign} {limit} at {need.confidence_level:.0%}",
        f"counted    {need.counts}",
        f"needed     {ladder}",
        f"there      {_there(need)}",
    ]
    if need.per_month is not None:
        low, high = need.per_month
        rate = f"{low:,.6g}" if low == high else f"{low:,.6g} to {high:,.6g}"
        lines.append(f"coming     {rate} a month (declared: {need.rate_from})")
    if need.missing:
        how = "at this rate of misses" if need.misses else "without a miss"
        how = "without a further miss" if _is_outside(need) else how
        lines.append(f"shown on   {_span(need.earliest, need.latest)} at the earliest, {how}")
    if need.likely_rows is not None:
        lines.append(
            f"likely on  {_span(need.likely_earliest, need.likely_latest)}: four attempts in five"
        )
        lines.append(
            f"           succeed with {need.likely_rows:,} rows at a true rate of "
            f"{show(need.likely_at, 'ratio')} ({'seen' if need.misses else 'assumed'})"
        )
    if need.due is not None:
        lines.append(f"due        {need.due}, by the brief")
    if need.note is not None:
        lines.append(f"note       {need.note}")
    return lines


def _there(need: EvidenceLine) -> str:
    if need.missing is None:
        return f"{need.have:,}, {need.misses:,} of them miss: too many, whatever else comes"
    if not need.have:
        return f"none; missing {need.missing:,} if none of them misses"
    if not need.missing:
        return f"{need.have:,}, {need.misses:,} of them miss: it is shown"
    there = f"{need.have:,}, {need.misses:,} of them miss"
    if _is_outside(need):
        return f"{there}; {need.missing:,} more if none of them misses"
    return f"{there}; at this rate {need.missing:,} more"


def _is_outside(need: EvidenceLine) -> bool:
    """Claim that more of the rows miss than the promise allows, which luck may explain."""
    allowed = need.limit if need.is_ceiling else 1 - need.limit
    return bool(need.have) and need.misses > allowed * need.have


def _with_misses(misses: str, rows: int) -> str:
    return f"{rows:,} without a miss" if misses == "0" else f"{rows:,} with {misses}"


def _span(early: date | None, late: date | None) -> str:
    """Show two dates, or one when they are the same.

    Examples:
        >>> _span(date(2027, 6, 10), date(2027, 7, 24)), _span(None, None)
        ('2027-06-10 .. 2027-07-24', 'unknown')
    """
    if early is None:
        return "unknown"
    if late is None:
        return f"{early} .. unknown"
    return str(early) if early == late else f"{early} .. {late}"


def timeline_table(steps: Sequence[TimelineStep]) -> RenderableType:
    """Show what can be promised from which date on, the promise itself last."""
    made = narrow_table(
        "what can be promised, and from when on",
        caption="no miss: the fewest rows that can show it, with no further miss; likely: four "
        "attempts in five succeed.\n"
        "Two dates: at the high and at the low end of the declared label rate.",
    )
    made.add_column("promise")
    for name in ("limit", "rows", "no miss", "likely"):
        made.add_column(name, justify="right", no_wrap=True)
    notes = []
    for step in steps:
        sign = "<=" if step.is_ceiling else ">="
        what = spoken(step.promise)
        if step.basis != "if no row misses":
            what += f" ({step.basis})"
        if step.note is not None:
            notes.append(Text(f" {spoken(step.promise)}: {step.note}", style="dim"))
        made.add_row(
            what,
            f"{sign} {show(step.limit, step.unit)}",
            "-" if step.rows is None else f"{step.rows:,}",
            _short(step.earliest, step.latest),
            _short(step.likely_earliest, step.likely_latest),
            style="bold" if step.is_promised else None,
        )
    return Group(made, *notes)


def _short(early: date | None, late: date | None) -> str:
    """Show a span of days in few columns: the second date on a line of its own."""
    if early is None:
        return "-"
    return str(early) if late in {None, early} else f"{early}\n.. {late}"


def value_table(value: ValueReport) -> RenderableType:
    """Show what each design is worth per decision over the declared ranges."""
    made = narrow_table("what a decision is worth, less what it costs")
    made.add_column("design", max_width=20)
    for name in ("right", "$ cost", "$ net low", "$ net", "$ net high"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("tiers")
    same: dict[tuple[object, ...], list[ValueLine]] = {}
    for line in value.lines:
        same.setdefault((line.tiers, line.cost_usd, line.right), []).append(line)
    broken = []
    for lines in same.values():
        line, names = lines[0], "; ".join(one.name for one in lines)
        if line.breaks:
            broken.append(Text(f" {names} breaks {', '.join(map(spoken, line.breaks))}"))
        made.add_row(
            names,
            "-" if line.right is None else format_ratio(line.right),
            format_usd(line.cost_usd, digits=2),
            *(_signed(usd) for usd in (line.net_usd.low, line.net_usd.mid, line.net_usd.high)),
            " > ".join(line.tiers) or "none",
            style="bold green" if any(one.is_best for one in lines) else None,
        )
    said = f"worth most: {value.best}"
    if all(line.net_usd.low == line.net_usd.high for line in value.lines):
        said += ", at the declared numbers: no range of them is declared"
    elif value.is_best_throughout:
        said += ", over the whole of the declared ranges"
    else:
        said += f" at their middle; {', '.join(value.rivals)} at some corner of them"
    if value.best_within != value.best:
        said += f". Of those that break no promise: {value.best_within}"
    notes = (Text(f" {one}", style="dim") for one in value.assumptions)
    return Group(made, *broken, Text(f" {said}"), *notes)


def _signed(usd: float, *, digits: int = 2) -> str:
    """Show dollars that may be lost.

    Examples:
        >>> _signed(-0.0123), _signed(0.5)
        ('-$0.012', '$0.50')
    """
    return f"{'-' if usd < 0 else ''}{format_usd(abs(usd), digits=digits)}"


def sensitivity_table(found: Sequence[Sensitivity]) -> RenderableType:
    """Show how the plan moves with each declared number, on the rows that judged it."""
    made = narrow_table(
        "if a declared number were another one: the plan replayed as it is",
        caption="slack: the smallest of all promises, by their values; negative breaks one",
    )
    made.add_column("number", overflow="fold")
    for name in ("at", "$ cost", "$ net", "slack"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("tightest")
    if found:
        made.add_row("as declared", "", *_swing(found[0].now), style="bold")
    for one in found:
        basis = "" if one.basis == "declared range" else " (+-10 %)"
        name = (
            one.number.removeprefix("layers.tiers.").removeprefix("traffic.").removeprefix("goal.")
        )
        for swing, label in ((one.low, name + basis), (one.high, "")):
            made.add_row(label, show(swing.at, one.unit), *_swing(swing))
    moved = [
        Text(
            f" {one.number}: worth most is {one.best[0]} at {show(one.low.at, one.unit)}, "
            f"{one.best[2]} at {show(one.high.at, one.unit)}"
        )
        for one in found
        if one.best is not None and len(set(one.best)) > 1
    ]
    return Group(made, *moved)


def _swing(swing: Swing) -> tuple[str, str, str, Text]:
    net = "-" if swing.net_usd is None else _signed(swing.net_usd, digits=3)
    slack = "-" if swing.slack is None else f"{swing.slack * 100:+.1f} %"
    breaks = ", ".join(spoken(name) for name in swing.breaks)
    tightest = spoken(swing.tightest or "-")
    text = Text(f"breaks {breaks}", style="red") if breaks else Text(tightest)
    return format_usd(swing.cost_usd), net, slack, text


def left_out_lines(report: PlanReport) -> list[str]:
    """Say which tiers the plan does not use, why, and what each would have saved."""
    return [_left(left.tier, left.because, left.saves_usd) for left in report.left_out]


def shadow_lines(report: PlanReport) -> list[str]:
    """Say what each binding promise costs at the margin, dearest first."""
    found = sorted(report.shadow_prices.items(), key=lambda item: -item[1])
    return [
        f"{spoken(name)}: one point looser saves ${price * _PER_POINT:,.2f} per 1,000 decisions"
        for name, price in found
        if price * _PER_POINT >= _CENT / 2
    ]


def _left(tier: str, because: str, saves_usd: float | None) -> str:
    said = f"left out: {tier}: {because}"
    if saves_usd is None:
        return said
    verb = "saves" if saves_usd >= 0 else "costs"
    return f"{said}; with it a plan {verb} {format_usd(abs(saves_usd))} a decision (planned again)"


def check_text(found: PlanCheck) -> str:
    """Say whether a certificate still stands, and every reason why not."""
    never_held = any(one.what == "promise" for one in found.expired)
    state = "NEVER HELD" if never_held else "stands" if found.stands else "has EXPIRED"
    lines = [f"the certificate of {found.plan}, made {found.made_at:%Y-%m-%d %H:%M}, {state}"]
    lines += [f"  {one.what:<8} {one.name}: was {one.was}, is {one.now}" for one in found.expired]
    lines += [f"  looked at: {'; '.join(found.checked)}"]
    return "\n".join(lines)
