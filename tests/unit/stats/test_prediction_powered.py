"""Labels and predictions together: by hand, and over every outcome there can be."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from feasible.stats import (
    betting_upper_bound,
    mean_interval,
    prediction_powered_p_value,
    prediction_powered_upper_bound,
)


def test_without_predictions_it_is_a_product_by_hand() -> None:
    """Source: (1 + 0.95 x 0.4)^3 for three losses of 0 against 0.4; the stakes are all capped.

    The smallest would be sqrt(2 ln(1 / 0.475) / (3 x 0.25)) = 1.41.
    """
    none = np.zeros(3)

    found = prediction_powered_p_value(
        none, predicted=none, unlabelled=np.array([]), limit=0.4, delta=0.5
    )

    assert found == pytest.approx(0.05 * 0.5 + (1 + 0.95 * 0.4) ** -3)


@pytest.mark.parametrize(("seed", "worse_end"), [(12, "high"), (16, "low")])
def test_bets_row_by_row_in_plain_arithmetic(seed: int, worse_end: str) -> None:
    """Source: the formulas of the docstring and of the references, one number after the other.

    Five labels with four unlabelled rows each, after a pilot of three.
    """
    rng = np.random.default_rng(seed)
    losses, predicted, others = rng.random(5) / 5, rng.random(5) / 5, rng.random(23) / 5
    pilot, batches = others[:3], [others[3 + 4 * i : 7 + 4 * i].mean() for i in range(5)]
    low, high = mean_interval(pilot, cap=1.0, confidence_level=1 - 0.05 * 0.4)
    capital = dict.fromkeys((low, high), 1.0)
    most = 1.0
    together, corrected, squares = 0.0, 0.0, 0.25
    trust, spread = 0.0, 0.25
    for i in range(5):
        stake = math.sqrt(2 * math.log(1 / (0.4 * 0.95)) / (5 * spread))
        stake = min(stake, 0.95 / (1 + trust * high))
        for mean in capital:
            capital[mean] *= 1 + stake * (0.5 - losses[i] + trust * (predicted[i] - mean))
            capital[mean] *= 1 + stake * trust * (mean - batches[i])
        most = max(most, min(capital.values()))
        # What the next row's bet may know: this row and those before it.
        value = losses[i] - trust * (predicted[i] - batches[i])
        corrected += value
        squares += (value - (0.5 + corrected) / (i + 2)) ** 2
        spread = squares / (i + 2)
        together += losses[i] * (predicted[i] - pilot.mean())
        trust = min(max(together / (i + 2) / (pilot.var() * (1 + 1 / 4)), 0.0), 1.0)

    found = prediction_powered_p_value(
        losses, predicted=predicted, unlabelled=others, limit=0.5, delta=0.4
    )

    assert trust > 0
    assert worse_end == ("low" if capital[low] < capital[high] else "high")
    assert found == pytest.approx(0.05 * 0.4 + 1 / most)


@pytest.mark.parametrize("agree", [0.9, 0.5, 0.1])
def test_every_outcome_keeps_the_level_whatever_the_predictions_are(agree: float) -> None:
    """Over all 2,048 outcomes of three labels and five predictions, right, useless or perverse.

    Losses are 1 half of the time. A prediction is the loss with a chance of `agree`.
    """
    pairs = [
        (0.5 * (agree if loss == guess else 1 - agree), loss, guess)
        for loss in (0.0, 1.0)
        for guess in (0.0, 1.0)
    ]
    outcomes: dict[float, float] = {}
    for labelled in itertools.product(pairs, repeat=3):
        chance = math.prod(row[0] for row in labelled)
        losses, guesses = (np.array([row[i] for row in labelled]) for i in (1, 2))
        for others in itertools.product((0.0, 1.0), repeat=5):
            p = prediction_powered_p_value(
                losses, predicted=guesses, unlabelled=np.array(others), limit=0.5, delta=0.5
            )
            outcomes[p] = outcomes.get(p, 0.0) + chance / 32

    assert sum(outcomes.values()) == pytest.approx(1.0)
    for level in (0.25, 0.35, 0.5, 0.7, 0.9):
        assert sum(chance for p, chance in outcomes.items() if p <= level) <= level
    assert min(outcomes) < 0.5


def test_perfect_predictions_are_worth_more_labels() -> None:
    """300 labels with 20,000 perfect predictions bound a loss as 1,000 labels do (seed 5)."""
    rng = np.random.default_rng(5)
    losses = (rng.random(1000) < 0.1).astype(float)
    others = (rng.random(20_000) < 0.1).astype(float)

    found = prediction_powered_upper_bound(
        losses[:300], predicted=losses[:300], unlabelled=others, confidence_level=0.95
    )

    assert found < betting_upper_bound(losses[:300], confidence_level=0.95)
    assert found < betting_upper_bound(losses, confidence_level=0.95) + 0.002


def test_useless_predictions_cost_little() -> None:
    """Predictions that know nothing widen the bound by less than a tenth of its slack (seed 6)."""
    rng = np.random.default_rng(6)
    losses = (rng.random(1000) < 0.1).astype(float)

    found = prediction_powered_upper_bound(
        losses,
        predicted=rng.random(1000),
        unlabelled=rng.random(20_000),
        confidence_level=0.95,
    )

    plain = betting_upper_bound(losses, confidence_level=0.95)
    assert abs(found - plain) < 0.1 * (plain - losses.mean())


def test_too_few_unlabelled_rows_are_left_alone() -> None:
    """With as many unlabelled rows as labels the predictions are not used at all (seed 7)."""
    rng = np.random.default_rng(7)
    losses, noise = rng.beta(1, 9, 200), rng.random(200)

    bounds = [
        prediction_powered_upper_bound(
            losses, predicted=predicted, unlabelled=noise, confidence_level=0.95
        )
        for predicted in (losses, noise)
    ]

    assert bounds[0] == bounds[1]


def test_values_outside_zero_and_one_are_refused() -> None:
    """As are losses without a prediction; and no rows show nothing."""
    ok, bad = np.zeros(2), np.array([0.0, 1.5])

    with pytest.raises(ValueError, match="every loss has a prediction; found 2 and 1"):
        prediction_powered_p_value(ok, predicted=ok[:1], unlabelled=ok, limit=0.5)
    for name in ("losses", "predicted", "unlabelled"):
        rows = {"losses": ok, "predicted": ok, "unlabelled": ok, name: bad}
        with pytest.raises(ValueError, match=rf"`{name}` lies between 0 and 1; found 0 to 1\.5"):
            prediction_powered_upper_bound(**rows, confidence_level=0.9)
    none = np.array([])
    assert prediction_powered_p_value(none, predicted=none, unlabelled=ok, limit=0.5) == 1.0
    assert (
        prediction_powered_upper_bound(none, predicted=none, unlabelled=ok, confidence_level=0.9)
        == 1.0
    )
