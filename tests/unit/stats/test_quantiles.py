"""Order statistics cover a percentile as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from feasible.stats import quantile_interval, quantile_upper_bound


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_the_rank_is_the_smallest_that_covers(q: float) -> None:
    """P(the rank-th of 1,000 values lies at or above the quantile) is at least 95 %, just."""
    rank = quantile_upper_bound(np.arange(1.0, 1001.0), q, confidence_level=0.95)

    assert rank is not None
    assert binom.cdf(rank - 1, 1000, q) >= 0.95 > binom.cdf(rank - 2, 1000, q)


def test_the_order_of_values_does_not_matter() -> None:
    """The bound sorts for itself (seed 2)."""
    values = np.random.default_rng(2).lognormal(0, 1, 500)

    assert quantile_upper_bound(values, 0.9, confidence_level=0.95) == quantile_upper_bound(
        np.sort(values)[::-1], 0.9, confidence_level=0.95
    )


def test_an_interval_needs_rows_on_both_sides() -> None:
    """Ten rows bound a median on both sides and a 95th percentile on neither."""
    assert quantile_interval(np.arange(10.0), 0.5, confidence_level=0.9) == (1.0, 8.0)
    assert quantile_interval(np.arange(10.0), 0.95, confidence_level=0.9) is None
    assert quantile_upper_bound(np.array([]), 0.5, confidence_level=0.9) is None
