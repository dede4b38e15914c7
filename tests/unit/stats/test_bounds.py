"""Bounds agree with published values and with independent code."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from feasible.stats import (
    betting_p_value,
    binomial_p_value,
    hoeffding_bentkus_p_value,
    interval,
    lower_bound,
    quantile_upper_bound,
    rows_needed,
    upper_bound,
    zero_miss_rows,
)


@pytest.mark.parametrize(("limit", "rows"), [(0.005, 598), (0.01, 299), (0.05, 59)])
def test_the_fewest_rows_without_a_miss(limit: float, rows: int) -> None:
    """Source: ceil(ln 0.05 / ln(1 - limit)), by hand."""
    assert zero_miss_rows(limit, confidence_level=0.95) == rows
    assert (
        binomial_p_value(0, rows, limit=limit) <= 0.05 < binomial_p_value(0, rows - 1, limit=limit)
    )


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (9, 10), (57, 60), (240, 240)])
def test_intervals_are_those_of_an_independent_library(hits: int, trials: int) -> None:
    """Source: scipy.stats.binomtest, exact."""
    found = binomtest(hits, trials).proportion_ci(0.95, method="exact")

    assert interval(hits, trials, confidence_level=0.95) == pytest.approx((found.low, found.high))


def test_more_misses_need_more_rows() -> None:
    """Source: the counts of a recall of 99.5 %: 598, 947 with a miss, 1,549 with three."""
    for misses, rows in ((0, 598), (1, 947), (3, 1549)):
        assert binomial_p_value(misses, rows, limit=0.005) <= 0.05
        assert binomial_p_value(misses, rows - 1, limit=0.005) > 0.05
    assert rows_needed(0.02, limit=0.02, confidence_level=0.95) is None


def test_bounds_turn_round() -> None:
    """The upper bound on misses is one minus the lower bound on hits."""
    low = lower_bound(95, 100, confidence_level=0.9)

    assert upper_bound(5, 100, confidence_level=0.9) == pytest.approx(1 - low)


def test_counts_out_of_range_are_refused() -> None:
    """More hits than trials is a mistake, not a rate."""
    with pytest.raises(ValueError, match="between 0 and the trials"):
        lower_bound(5, 4, confidence_level=0.95)


@pytest.mark.parametrize("limit", [0.02, 0.1, 0.4])
def test_a_true_mean_at_the_limit_is_rarely_called_below_it(limit: float) -> None:
    """Betting rejects at most 5 % of 400 draws at the limit, within a binomial bound (seed 7)."""
    rng = np.random.default_rng(7)
    draws = rng.beta(limit * 4, (1 - limit) * 4, size=(400, 300))

    wrong = sum(betting_p_value(row, limit=limit) <= 0.05 for row in draws)

    assert wrong <= 33  # P(Binomial(400, 0.05) > 33) < 0.001


def test_few_losses_are_evidence() -> None:
    """Both tests for bounded means see that a mean of 2 % is below 5 %."""
    losses = np.tile([0.02], 2000)

    assert betting_p_value(losses, limit=0.05) < 0.001
    assert hoeffding_bentkus_p_value(0.02, 2000, limit=0.05) < 0.001
    assert hoeffding_bentkus_p_value(0.06, 2000, limit=0.05) == 1.0


def test_a_percentile_without_enough_rows_has_no_bound() -> None:
    """298 rows cannot bound a 99th percentile at 95 %; 299 can (0.99^299 < 0.05)."""
    assert quantile_upper_bound(np.arange(298.0), 0.99, confidence_level=0.95) is None
    assert quantile_upper_bound(np.arange(299.0), 0.99, confidence_level=0.95) == 298.0
