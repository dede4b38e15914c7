"""Counts of rows that are planned for, against independent code and hand calculations."""

from __future__ import annotations

import pytest
from scipy.stats import beta, binom

from feasible.stats import interval, lower_bound, rows_for_power, upper_bound, zero_miss_rows


def test_the_lower_bound_of_a_perfect_record_is_a_root() -> None:
    """Source: by hand, 0.05 ** (1 / 100) = 0.97048695."""
    assert lower_bound(100, 100, confidence_level=0.95) == pytest.approx(0.05**0.01)
    assert lower_bound(0, 100, confidence_level=0.95) == 0.0


def test_clopper_and_pearson_by_the_beta_distribution() -> None:
    """Source: the limits of 7 in 20 as quantiles of the beta distribution."""
    assert upper_bound(7, 20, confidence_level=0.9) == pytest.approx(beta.ppf(0.9, 8, 13))
    low, high = interval(7, 20, confidence_level=0.9)
    assert (low, high) == pytest.approx((beta.ppf(0.05, 7, 14), beta.ppf(0.95, 8, 13)))


def test_rows_for_a_likely_success_are_about_twice_those_without_a_miss() -> None:
    """Recall of 99.5 % at a true 99.9 %: 1,258 rows, which allow two misses."""
    rows = rows_for_power(0.001, limit=0.005, confidence_level=0.95)

    assert rows == 1258
    assert binom.cdf(2, rows, 0.005) <= 0.05 < binom.cdf(2, rows - 1, 0.005)
    assert binom.cdf(2, rows, 0.001) >= 0.8
    # One miss fewer needs fewer rows and succeeds too seldom.
    assert binom.cdf(1, 947, 0.001) < 0.8


def test_no_number_of_rows_shows_a_rate_at_its_limit() -> None:
    """A true rate at the limit is never shown on purpose."""
    assert rows_for_power(0.05, limit=0.05, confidence_level=0.95) is None


def test_a_limit_outside_zero_and_one_is_refused() -> None:
    """There is no number of rows that shows "no misses ever"."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        zero_miss_rows(0.0, confidence_level=0.95)
