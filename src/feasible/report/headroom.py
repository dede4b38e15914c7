"""The headroom table for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from feasible.report.terminal import show, spoken
from feasible.schema import HeadroomRow
from feasible.units import format_duration

__all__ = ["headroom_table"]

_NOTHING: Final = "-"
_STYLE: Final = {True: "green", False: "bold red", None: "yellow"}


def headroom_table(rows: Sequence[HeadroomRow]) -> RenderableType:
    """Show how each promise stands by what is known now; what is not known is a dash.

    What there is to say about a figure stands under the table, one line each.
    """
    table = Table(
        title="headroom: every promise by what is known now",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("objective", min_width=14)
    for name in ("limit", "now", "interval", "slack", "headroom"):
        table.add_column(name, justify="right", no_wrap=name != "interval")
    table.add_column("", no_wrap=True)
    said = []
    for row in rows:
        word, more = _verdict(row)
        table.add_row(
            spoken(row.objective),
            _shown(row.limit, row.unit),
            _shown(row.value, row.unit),
            _interval(row),
            _NOTHING if row.slack is None else f"{row.slack * 100:+.0f} %",
            _NOTHING if row.headroom is None else f"{row.headroom:.3g}x",
            Text(word, style=_STYLE[row.holds]),
        )
        told = "; ".join(part for part in (f"{row.n:,} rows" if row.n else "", more) if part)
        if told:
            said.append(Text(f" {spoken(row.objective)}: {told}", style="dim"))
    return Group(table, *said)


def _verdict(row: HeadroomRow) -> tuple[str, str]:
    """Give the verdict in a word or two, and what else there is to say."""
    first, _, more = row.note.partition(";")
    if row.holds is None:
        is_early = first.startswith("too early")
        return ("too early" if is_early else "unknown"), row.note
    return ("holds" if row.holds else "BROKEN"), more.strip()


def _interval(row: HeadroomRow) -> str:
    """Give an interval with its unit said once: `95.2 .. 97.1 %`."""
    if row.interval is None:
        return _NOTHING
    low, high = (_shown(end, row.unit) for end in row.interval)
    unit = high.rpartition(" ")[2]
    return f"{low.removesuffix(f' {unit}')} .. {high}"


def _shown(value: float | None, unit: str) -> str:
    if value is None or math.isnan(value):
        return _NOTHING
    return format_duration(value) if unit == "s" else show(value, unit)
