"""Numbers with units are read exactly or refused with a reason."""

from __future__ import annotations

import pytest

from feasible.units import Bytes, Count, Duration, Multiple, Quantity, Rate, Ratio, Usd


@pytest.mark.parametrize(
    ("kind", "typed", "base"),
    [
        (Duration, "200 ms", 0.2),
        (Duration, "2 weeks", 14 * 86_400),
        (Usd, "$0.005", 0.005),
        (Usd, "$12,000", 12_000),
        (Ratio, "99.9 %", 0.999),
        (Ratio, 0.9, 0.9),
        (Rate, "50 / s", 50),
        (Rate, "1500 / h", 1500 / 3600),
        (Multiple, "10x", 10),
        (Count, 2000, 2000),
        (Bytes, "2 MB", 2e6),
    ],
)
def test_a_number_is_read_in_its_base_unit(kind: type[Quantity], typed: str, base: float) -> None:
    """Percent, money and times become ratio, dollars and seconds without a rounding of ours."""
    assert kind(typed).mid == pytest.approx(base, rel=1e-15)


def test_a_percentage_is_exact() -> None:
    """99.9 % is 0.999, not its binary neighbour: promises are never silently rounded."""
    assert Ratio("99.9 %").low == 0.999


def test_a_range_has_two_ends_and_a_geometric_middle() -> None:
    """`2..8 ms` is a range; its middle is 4 ms."""
    span = Duration("2..8 ms")

    assert (span.low, span.high) == (0.002, 0.008)
    assert span.is_range
    assert span.mid == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("kind", "typed", "reason"),
    [
        (Duration, 200, "has no unit"),
        (Duration, "200", "has no unit"),
        (Duration, "5 parsec", "unknown unit 'parsec'"),
        (Duration, "3 %", "is a ratio"),
        (Usd, 0.005, "has no unit"),
        (Usd, "$5 ms", "no second unit"),
        (Ratio, 1.2, "between 0 and 1"),
        (Ratio, "120 %", "between 0 and 1"),
        (Count, -1, "negative"),
        (Quantity, "8..2 ms", "ends below its start"),
        (Quantity, "fast", "expected a number"),
        (Quantity, float("nan"), "not finite"),
        (Quantity, float("inf"), "not finite"),
        (Quantity, True, "expected a number"),
    ],
)
def test_what_is_no_number_of_its_kind_is_refused(
    kind: type[Quantity], typed: str | float, reason: str
) -> None:
    """The error names what was typed and what is wrong with it."""
    with pytest.raises(ValueError, match=reason):
        kind(typed)


def test_quantities_are_equal_by_value_not_by_spelling() -> None:
    """1 s and 1000 ms are the same length of time."""
    assert Duration("1 s") == Duration("1000 ms")
    assert hash(Duration("1 s")) == hash(Duration("1000 ms"))
    assert Duration("1 s") != Duration("2 s")
