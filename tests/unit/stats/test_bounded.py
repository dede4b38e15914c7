"""Bounds for means agree with hand calculations and keep their level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from feasible.stats import (
    betting_p_value,
    betting_upper_bound,
    fixed_stake_p_value,
    fixed_stake_upper_bound,
    hoeffding_bentkus_p_value,
    hoeffding_bentkus_upper_bound,
    mean_interval,
)


def test_hoeffding_bentkus_is_the_smaller_of_its_two_parts() -> None:
    """Source: the two formulas by hand for a mean of 0.1 over 50 rows against 0.2."""
    hoeffding = math.exp(-50 * (0.1 * math.log(0.1 / 0.2) + 0.9 * math.log(0.9 / 0.8)))
    bentkus = math.e * binom.cdf(5, 50, 0.2)

    found = hoeffding_bentkus_p_value(0.1, 50, limit=0.2)

    assert found == pytest.approx(min(hoeffding, bentkus))


def test_a_bound_is_the_limit_at_which_the_test_turns() -> None:
    """Just above a bound the limit is shown, just below it is not."""
    losses = np.random.default_rng(3).beta(1, 30, 400)
    bounds = {
        "hb": hoeffding_bentkus_upper_bound(float(losses.mean()), 400, confidence_level=0.9),
        "bet": betting_upper_bound(losses, confidence_level=0.9),
        "fixed": fixed_stake_upper_bound(losses, spread=0.03, confidence_level=0.9),
    }

    def p(name: str, limit: float) -> float:
        if name == "hb":
            return hoeffding_bentkus_p_value(float(losses.mean()), 400, limit=limit)
        if name == "bet":
            return betting_p_value(losses, limit=limit, delta=0.1)
        return fixed_stake_p_value(losses, limit=limit, spread=0.03, delta=0.1)

    for name, bound in bounds.items():
        assert losses.mean() < bound < 0.2
        assert p(name, bound + 1e-6) <= 0.1 < p(name, bound - 1e-6)


def test_a_fixed_stake_is_a_product_by_hand() -> None:
    """Source: (1 + stake (0.2 - x)) for x = 0, 0, 1 with the stake sqrt(2 ln 20 / (3 * 0.5))."""
    stake = min(math.sqrt(2 * math.log(20) / (3 * 0.5)), 0.95 / 0.8)
    capital = (1 + stake * 0.2) ** 2 * (1 + stake * (0.2 - 1))

    found = fixed_stake_p_value(np.array([0.0, 0.0, 1.0]), limit=0.2, spread=0.5, delta=0.05)

    assert found == pytest.approx(min(1.0, 1 / capital))


def test_a_fixed_stake_does_not_depend_on_the_order_of_rows() -> None:
    """Bets that look back would; that is why weighted rows are not bet on that way."""
    losses = np.concatenate([np.zeros(300), np.full(20, 0.7)])

    forward = fixed_stake_p_value(losses, limit=0.1, spread=0.05)

    assert forward == pytest.approx(fixed_stake_p_value(losses[::-1], limit=0.1, spread=0.05))


@pytest.mark.parametrize("means", [(0.02, 0.42), (0.10, 0.10), (0.0, 0.5)])
def test_strata_of_fixed_size_keep_the_level(means: tuple[float, float]) -> None:
    """With 400 and 100 rows whose true means average 10 %, at most 5 % of 600 draws pass (seed 5).

    Within a binomial bound: P(Binomial(600, 0.05) > 48) < 0.001.
    """
    rng = np.random.default_rng(5)
    true = np.repeat(means, (400, 100))
    assert true.mean() == pytest.approx(0.1)

    wrong = sum(
        fixed_stake_p_value((rng.random(500) < true).astype(float), limit=0.1, spread=0.09) <= 0.05
        for _ in range(600)
    )

    assert wrong <= 48


def test_an_interval_covers_the_mean_on_both_sides() -> None:
    """Values around $2 under a cap of $10 give an interval around $2 (seed 8)."""
    values = np.random.default_rng(8).gamma(4, 0.5, 3000).clip(0, 10)

    low, high = mean_interval(values, cap=10.0, confidence_level=0.95)

    assert 1.9 < low < values.mean() < high < 2.1


def test_no_rows_show_nothing() -> None:
    """Without rows every p-value is 1 and every bound is the cap."""
    none = np.array([])

    assert betting_p_value(none, limit=0.1) == 1.0
    assert fixed_stake_p_value(none, limit=0.1, spread=0.1) == 1.0
    assert hoeffding_bentkus_p_value(0.0, 0, limit=0.1) == 1.0
    assert betting_upper_bound(none, confidence_level=0.95) == 1.0
    assert fixed_stake_upper_bound(none, spread=0.1, confidence_level=0.95) == 1.0
