"""What is known of a running feature, for a terminal and as a page that asks no host for anything.

The page has no scripts; its style is in its head and its charts are drawn in SVG.
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.text import Text

from feasible.feedback import Alarm, Arrivals, ErrorEstimate, LayerUpkeep, Watched
from feasible.report.headroom import headroom_table
from feasible.report.simulated_page import STYLE
from feasible.schema import HeadroomRow
from feasible.units import format_ratio, format_usd

__all__ = ["watched_page", "watched_parts"]

_WIDTH, _ROW, _LEFT = 640, 26, 230


def watched_parts(found: Watched) -> Iterator[RenderableType]:
    """Give the parts to print: promises first, then what stands behind them."""
    yield headroom_table(found.objectives)
    yield Text(f"\nas known at {found.at:%Y-%m-%d %H:%M} UTC, plan {found.plan}", style="bold")
    for line in _labels(found.labels):
        yield Text(line)
    for estimate in found.estimates:
        for line in _estimate(estimate):
            yield Text(line)
    for alarm in found.triggers:
        yield Text(_alarm(alarm), style="bold red" if alarm.at is not None else "")
    yield Text("upkeep, as declared in the brief:")
    for layer in found.upkeep:
        yield Text(f"  {_upkeep(layer)}")


def watched_page(found: Watched) -> str:
    """Give the page: charts of the promises and of the labels, and the text of the terminal."""
    title = html.escape(f"{found.plan}: as known at {found.at:%Y-%m-%d %H:%M} UTC")
    charts = _slack_chart(found.objectives) + _delay_chart(found.labels)
    out = io.StringIO()
    screen = Console(file=out, width=140, color_system=None)
    for part in watched_parts(found):
        screen.print(part)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{title}</h1>{charts}<pre>{html.escape(out.getvalue())}</pre></body></html>\n"
    )


def _labels(found: Arrivals) -> Iterator[str]:
    yield f"labels: {found.labelled:,} of {found.decisions:,} decisions are known"
    shares = {day: share for day, share in found.arrived_by_day.items() if share is not None}
    if shares:
        told = ", ".join(f"{format_ratio(share)} by day {day}" for day, share in shares.items())
        yield f"  of the labels that come, {told}"
    odd = (
        (found.twice, "came twice"),
        (found.contradicting, "decisions have labels that contradict each other"),
        (found.not_yet, "are of the future and not known yet"),
        (found.before_decision, "are older than their decision: a clock is wrong"),
        (found.strays, "are of decisions that are not among these"),
    )
    yield from (f"  {count:,} {what}" for count, what in odd if count)


def _estimate(found: ErrorEstimate) -> Iterator[str]:
    what = f"wrong answers of machines, last {found.days} days, {found.answers:,} answers"
    if not found.tells or found.share is None or found.interval is None:
        why = f"{found.audits:,} audits" if not found.audits else "a change has just begun"
        yield f"before the labels: {what}: cannot tell ({why})"
    else:
        low, high = found.interval
        money = "" if found.usd_day is None else f", {format_usd(found.usd_day)} a day"
        yield (
            f"before the labels: {what}: {format_ratio(found.share)} "
            f"({format_ratio(low)} .. {format_ratio(high)}){money}, by {found.audits:,} audits"
        )
    if found.plug_in is not None:
        yield f"  by the probabilities alone {format_ratio(found.plug_in)}; {found.assumes}"


def _alarm(found: Alarm) -> str:
    declared = f"a false alarm in {found.false_every:,.0f} labels or more"
    if found.at is None:
        seen = (
            "cannot tell how long that takes"
            if found.detectable_days is None
            else f"twice the loss would show in about {max(1, round(found.detectable_days)):,} d"
        )
        return (
            f"watched: {found.objective}: no alarm in {found.labels:,} labels ({declared}); {seen}"
        )
    moved = "" if found.moved is None else f"; diagnosis: P(right) moved by {found.moved:.2f}"
    since = "" if found.since is None else f", worse since about {found.since:%Y-%m-%d}"
    return f"ALARM: {found.objective} at {found.at:%Y-%m-%d %H:%M} UTC{since} ({declared}){moved}"


def _upkeep(found: LayerUpkeep) -> str:
    age = "" if found.may_age_days is None else f"may age {_days(found.may_age_days)}"
    every = (
        ""
        if found.renewed_every_days is None
        else f"renewed every {_days(found.renewed_every_days)}"
    )
    money = "price not declared" if found.usd_month is None else f"${found.usd_month:,.2f} a month"
    told = ", ".join(part for part in (age, every, money) if part)
    return f"{found.layer:<9} {told}" + (f" ({found.note})" if found.note else "")


def _days(days: float) -> str:
    return f"{days:,.3g} d" if days >= 1 else f"{days * 86_400:,.3g} s"


def _slack_chart(rows: Sequence[HeadroomRow]) -> str:
    """Draw how much of each limit is left; broken ones to the left."""
    known = [(row.objective, row.slack) for row in rows if row.slack is not None]
    bars = [
        (name, max(-1.0, min(1.0, slack)), "#1f6f8b" if slack >= 0 else "#c2572b")
        for name, slack in known
    ]
    return _bars("Slack: share of each limit that is left", bars, low=-1.0)


def _delay_chart(labels: Arrivals) -> str:
    """Draw the share of labels that has come by each age."""
    shares = labels.arrived_by_day.items()
    bars = [(f"by day {day}", share, "#5c7f32") for day, share in shares if share is not None]
    return _bars("Labels that come: share that is there by an age, estimated", bars, low=0.0)


def _bars(title: str, bars: Sequence[tuple[str, float, str]], *, low: float) -> str:
    if not bars:
        return ""
    scale = (_WIDTH - _LEFT) / (1.0 - low)
    zero, drawn = _LEFT - low * scale, []
    for i, (name, value, colour) in enumerate(bars):
        left, top = min(zero, zero + value * scale), i * _ROW + 4
        drawn.append(
            f'<text x="0" y="{top + 14}">{html.escape(name)}</text>'
            f'<rect x="{left:.1f}" y="{top}" width="{abs(value) * scale:.1f}" height="{_ROW - 8}" '
            f'fill="{colour}"/><text x="{zero + 4:.1f}" y="{top + 14}">{value:+.0%}</text>'
        )
    caption = html.escape(title)
    return (
        f"<figure><figcaption>{caption}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH + 20} {len(bars) * _ROW + 8}" role="img" '
        f'aria-label="{caption}">{"".join(drawn)}</svg></figure>'
    )
