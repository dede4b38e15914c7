from __future__ import annotations

import pytest

from feasible.rubric.interview.amounts import amounts, percentile


@pytest.mark.parametrize(
    ("said", "kind", "raw"),
    [
        ("sub-200ms answers", "duration", "200 ms"),
        ("about 3 cents", "usd", "$0.03"),
        ("half a million dollars at $0.00001 each", "usd", "$0.00001"),
        ("99.5 percent", "ratio", "99.5 %"),
        ("1,200 posts a second", "rate", "1200 / s"),
        ("a 10x peak", "multiple", "10x"),
        ("it doubles", "multiple", "2x"),
        ("two weeks", "duration", "14 d"),
        ("a 14-day delay", "duration", "14 d"),
    ],
)
def test_a_number_is_read_with_its_unit(said: str, kind: str, raw: str) -> None:
    """People say units in many ways; a brief writes each in one."""
    assert (kind, raw) in {(amount.kind, amount.raw) for amount in amounts(said)}


@pytest.mark.parametrize("said", ["GPT-4", "int8", "p99", "the top 40", "today, and I want"])
def test_a_number_in_a_name_is_no_amount(said: str) -> None:
    """A model, a format, a percentile and a rank carry digits and measure nothing."""
    assert not amounts(said)


def test_money_by_the_month_is_told_from_money_for_one_thing() -> None:
    """`$300 a month` has a period, `$0.003 per query` has none."""
    assert amounts("$300 a month")[0].per_s == pytest.approx(365.25 / 12 * 86_400)
    assert amounts("$0.003 per query")[0].per_s is None


def test_a_percentile_is_named_or_unknown() -> None:
    """A percentile that nobody named is not guessed."""
    assert [percentile(s) for s in ("p99.9", "the 95th percentile", "median", "fast")] == [
        "p99.9",
        "p95",
        "p50",
        None,
    ]
