"""The headroom table for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from feasible.report.terminal import show
from feasible.schema import HeadroomRow
from feasible.units import format_duration

__all__ = ["headroom_table"]

_NOTHING: Final = "-"
_STYLE: Final = {True: "green", False: "bold red", None: "yellow"}


def headroom_table(rows: Sequence[HeadroomRow]) -> Table:
    """Show how each promise stands by what is known now; what is not known is a dash."""
    table = Table(title="headroom: every promise by what is known now", title_justify="left")
    table.add_column("objective")
    for name in ("limit", "now", "n", "slack", "headroom"):
        table.add_column(name, justify="right")
    table.add_column("note")
    for row in rows:
        table.add_row(
            row.objective,
            _shown(row.limit, row.unit),
            _now(row),
            f"{row.n:,}",
            _NOTHING if row.slack is None else f"{row.slack * 100:+.1f} %",
            _NOTHING if row.headroom is None else f"{row.headroom:.3g}x",
            Text(row.note, style=_STYLE[row.holds]),
        )
    return table


def _now(row: HeadroomRow) -> str:
    """Give the value with its interval: `95.7 % (94.3 % to 96.8 %)`."""
    value = _shown(row.value, row.unit)
    if row.interval is None:
        return value
    low, high = (_shown(end, row.unit) for end in row.interval)
    return f"{value} ({low} to {high})"


def _shown(value: float | None, unit: str) -> str:
    if value is None or math.isnan(value):
        return _NOTHING
    return format_duration(value) if unit == "s" else show(value, unit)
