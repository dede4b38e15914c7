"""The headroom table for a terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from feasible.report.headroom import headroom_table
from feasible.schema import HeadroomRow


def row(**changes: Any) -> HeadroomRow:
    """Make a line of which nothing is known."""
    fields: dict[str, Any] = {
        "objective": "accuracy",
        "limit": 0.9,
        "unit": "ratio",
        "value": None,
        "interval": None,
        "n": 0,
        "slack": None,
        "headroom": None,
        "holds": None,
        "note": "too early to say: 0 of 29 labels",
    }
    return HeadroomRow(**{**fields, **changes})


def printed(*rows: HeadroomRow) -> str:
    """Print a table into a wide terminal, white space reduced."""
    out = io.StringIO()
    Console(file=out, width=250).print(headroom_table(rows))
    return "\n".join(" ".join(line.split()) for line in out.getvalue().splitlines())


def test_a_line_shows_the_value_with_its_interval_in_its_unit() -> None:
    """Limit, value, interval, rows, slack, headroom and note, as a person would write them."""
    known = row(
        objective="cost_day",
        limit=2000.0,
        unit="usd",
        value=1000.0,
        interval=(900.0, 1100.0),
        n=12_345,
        slack=0.5,
        headroom=2.0,
        holds=True,
        note="holds",
    )
    line = "cost day $2,000 $1,000 $900 .. $1,100 +50 % 2x holds"
    assert line in printed(known).splitlines()
    assert "cost day: 12,345 rows" in printed(known)


def test_what_is_not_known_is_a_dash() -> None:
    """Nothing is shown as zero that nobody has measured, and a limit without a number is none."""
    assert "accuracy 90.0 % - - - - too early" in printed(row())
    assert "accuracy - - - - - too early" in printed(row(limit=None, unit=""))
    assert "accuracy 30 min - - - -" in printed(row(limit=1800.0, unit="s"))


def test_an_interval_is_shown_while_the_value_is_not() -> None:
    """Few rows bound a share although they do not tell it."""
    assert "90.0 % - 50.0 .. 100.0 %" in printed(row(interval=(0.5, 1.0), n=9))


def test_what_there_is_to_say_about_a_figure_stands_under_the_table() -> None:
    """The table keeps the verdict; the rest of the note is not lost."""
    text = printed(row(), row(objective="recall", value=0.9, holds=True, note="holds; audits"))
    assert "accuracy: too early to say: 0 of 29 labels" in text
    assert "recall: audits" in text
