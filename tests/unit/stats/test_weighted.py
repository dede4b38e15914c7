"""Weighted means: by hand, against plain betting, and over every outcome there can be."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from feasible.stats import (
    audited_p_value,
    audited_upper_bound,
    betting_p_value,
    betting_upper_bound,
    weighted_p_value,
    weighted_upper_bound,
)


def test_the_capital_of_two_rows_by_hand() -> None:
    """Source: stakes sqrt(2 ln 2 / (2 v)) with v = 0.25 and then what the first row says.

    Weight 0.5 and loss 0: mean (0.5 + 0) / 1.5 = 1/3, v = (0.25 + (0.5 / 3)^2) / 2 = 0.138889.
    """
    first = min(math.sqrt(2 * math.log(2) / (2 * 0.25)), 0.95 / 0.95)
    second = min(math.sqrt(2 * math.log(2) / (2 * (0.25 + 1 / 36) / 2)), 0.95 / 0.95)
    capital = (1 + first * 0.5 * 0.4) * (1 + second * 1.0 * (0.4 - 0.1))

    found = weighted_p_value(
        np.array([0.0, 0.1]), weight=np.array([0.5, 1.0]), limit=0.4, delta=0.5
    )

    # 0.95 / max(1 - 0.4, 0.95) = 1 caps both stakes.
    assert first == second == 1.0
    assert found == pytest.approx(1 / capital)


def test_rows_that_weigh_one_are_plain_betting() -> None:
    """The same p-value and bound as without weights (seed 1)."""
    losses = np.random.default_rng(1).beta(1, 20, 300)
    ones = np.ones(300)

    assert weighted_p_value(losses, weight=ones, limit=0.08) == pytest.approx(
        betting_p_value(losses, limit=0.08)
    )
    assert weighted_upper_bound(losses, weight=ones, confidence_level=0.9) == pytest.approx(
        betting_upper_bound(losses, confidence_level=0.9)
    )


def test_one_propensity_for_all_is_a_fair_sample() -> None:
    """An audit of one row in twenty says what its rows say (seed 2)."""
    losses = (np.random.default_rng(2).random(400) < 0.03).astype(float)

    found = audited_upper_bound(
        losses, propensity=np.full(400, 0.05), least=0.05, confidence_level=0.95
    )

    assert found == pytest.approx(betting_upper_bound(losses, confidence_level=0.95))


def test_every_outcome_of_a_small_audit_keeps_the_level() -> None:
    """Over all 7,776 outcomes of five rows, a p-value of at most a has a chance of at most a.

    Half of the rows are doubtful: looked at for sure, wrong half of the time. The others are looked
    at one time in four and wrong one time in ten. All rows are wrong 30 % of the time.
    """
    kinds: list[tuple[float, float | None, float]] = []
    for propensity, miss in ((1.0, 0.5), (0.25, 0.1)):
        kinds.append((0.5 * (1 - propensity), None, propensity))
        kinds.append((0.5 * propensity * miss, 1.0, propensity))
        kinds.append((0.5 * propensity * (1 - miss), 0.0, propensity))
    chance_of: dict[float, float] = {}
    for rows in itertools.product(kinds, repeat=5):
        seen = [(loss, propensity) for _, loss, propensity in rows if loss is not None]
        p = audited_p_value(
            np.array([loss for loss, _ in seen], dtype=float),
            propensity=np.array([propensity for _, propensity in seen], dtype=float),
            least=0.25,
            limit=0.3,
            delta=0.3,
        )
        chance_of[p] = chance_of.get(p, 0.0) + math.prod(chance for chance, _, _ in rows)

    assert sum(chance_of.values()) == pytest.approx(1.0)
    below = np.cumsum([chance_of[p] for p in sorted(chance_of)])
    assert (below <= np.array(sorted(chance_of)) + 1e-9).all()
    assert below[0] > 0
    assert min(chance_of) < 0.5


def test_every_outcome_of_a_small_precision_keeps_the_level() -> None:
    """Over all 729 outcomes of six rows whose precision is exactly at its floor of 0.7."""
    kinds = ((0.6, 0.0, 0.0), (0.4 * 0.3, 1.0, 1.0), (0.4 * 0.7, 1.0, 0.0))
    outcomes = []
    for rows in itertools.product(kinds, repeat=6):
        weight, wrong = (np.array([row[i] for row in rows]) for i in (1, 2))
        p = weighted_p_value(wrong, weight=weight, limit=0.3, delta=0.3)
        outcomes.append((p, math.prod(row[0] for row in rows)))

    for level in (0.2, 0.3, 0.5, 0.8):
        assert sum(chance for p, chance in outcomes if p <= level) <= level


def test_the_bound_is_where_the_test_turns() -> None:
    """Just above the bound the limit is shown, just below it is not (seed 4)."""
    rng = np.random.default_rng(4)
    losses, weight = rng.beta(1, 15, 500), rng.choice([0.1, 1.0], 500)

    bound = weighted_upper_bound(losses, weight=weight, confidence_level=0.9)

    def p(limit: float) -> float:
        return weighted_p_value(losses, weight=weight, limit=limit, delta=0.1)

    assert p(bound + 1e-6) <= 0.1 < p(bound - 1e-6)
    assert float((losses * weight).sum() / weight.sum()) < bound < 0.2


def test_nobody_looked_and_nothing_is_shown() -> None:
    """Without a row the p-value and the bound are 1."""
    none = np.array([])

    assert audited_p_value(none, propensity=none, least=0.1, limit=0.5) == 1.0
    assert audited_upper_bound(none, propensity=none, least=0.1, confidence_level=0.9) == 1.0
    assert weighted_upper_bound(np.ones(9), weight=np.zeros(9), confidence_level=0.9) == 1.0


def test_a_chance_below_the_declared_least_is_refused() -> None:
    """A row that was likelier to be passed over than declared would weigh too little."""
    losses = np.zeros(2)

    with pytest.raises(ValueError, match=r"`least` = 0\.1, above 0, and 1; found 0\.05 to 1"):
        audited_p_value(losses, propensity=np.array([0.05, 1.0]), least=0.1, limit=0.5)
    with pytest.raises(ValueError, match="`least` = 0, above 0"):
        audited_p_value(losses, propensity=np.ones(2), least=0.0, limit=0.5)
    with pytest.raises(ValueError, match="`losses` lies between 0 and 1"):
        weighted_p_value(np.array([0.0, np.nan]), weight=np.ones(2), limit=0.5)
    with pytest.raises(ValueError, match="`weight` lies between 0 and 1"):
        weighted_upper_bound(losses, weight=np.array([1.0, 2.0]), confidence_level=0.9)
