"""Labels that are selective, few, or not there: bounds hold as often as they say, and are useful.

Every population has a mean loss that is known by arithmetic. A bound that is below it is wrong; at
95 % at most one in twenty may be, within a binomial limit that is passed once in a thousand runs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from feasible.schema import FloatArray
from feasible.stats import (
    audited_upper_bound,
    betting_upper_bound,
    prediction_powered_upper_bound,
    upper_bound,
    weighted_upper_bound,
)

DELTA = 0.05
FEW, MANY = 150, 1000
draws = pytest.mark.parametrize("draws", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


def most_wrong(n: int) -> int:
    """Give the count of wrong bounds that a valid method passes once in a thousand runs."""
    return int(binom.ppf(0.999, n, DELTA))


def audit(rng: np.random.Generator, *, easy_first: bool) -> tuple[FloatArray, FloatArray]:
    """Look at one row in twenty, and at four in five of those that somebody finds worth a look.

    One row in five is doubtful and wrong 25 % of the time, the others 1 %: 5.8 % of all. Worth a
    look are the doubtful rows, or, when labels come by themselves from easy cases, all others.
    """
    n = 4000
    doubtful = rng.random(n) < 0.2
    losses = (rng.random(n) < np.where(doubtful, 0.25, 0.01)).astype(float)
    propensity = np.where(doubtful ^ easy_first, 0.8, 0.05)
    seen = rng.random(n) < propensity
    return losses[seen], propensity[seen]


TRUE_MISS = 0.2 * 0.25 + 0.8 * 0.01


def audited(losses: FloatArray, propensity: FloatArray) -> float:
    """Bound the mean loss of all rows from those that were looked at."""
    return audited_upper_bound(
        losses, propensity=propensity, least=0.05, confidence_level=1 - DELTA
    )


def unweighted(losses: FloatArray, propensity: FloatArray) -> float:
    """Bound it as if the rows that were looked at were a fair sample; the naive alternative."""
    del propensity
    return upper_bound(int(losses.sum()), len(losses), confidence_level=1 - DELTA)


@draws
@pytest.mark.parametrize("easy_first", [False, True])
def test_an_audit_bounds_the_loss_of_rows_that_nobody_looked_at(
    draws: int,
    easy_first: bool,  # noqa: FBT001  a case of the test
) -> None:
    """Whoever chose where to look, at most 5 % of bounds are below the true 5.8 % (seed 21)."""
    rng = np.random.default_rng([21, easy_first])

    wrong = sum(audited(*audit(rng, easy_first=easy_first)) < TRUE_MISS for _ in range(draws))

    assert wrong <= most_wrong(draws), f"{wrong} of {draws} bounds too low at seed 21"


@draws
def test_labels_that_come_by_themselves_promise_too_much(draws: int) -> None:
    """Taken as a fair sample, easy cases give a bound that is nearly always too low (seed 22).

    This is what the weights are for, and it shows that the test above could fail.
    """
    rng = np.random.default_rng(22)

    wrong = sum(unweighted(*audit(rng, easy_first=True)) < TRUE_MISS for _ in range(draws))

    assert wrong > 0.5 * draws, f"{wrong} of {draws}"


@draws
def test_looking_where_it_is_doubtful_is_worth_more_than_a_random_audit_alone(draws: int) -> None:
    """Using every look takes a quarter off the slack of the random looks alone (seed 23).

    These are a fair sample, and get the exact binomial bound; what was looked at because it was
    doubtful is thrown away without weights.
    """
    rng = np.random.default_rng(23)
    every, at_random = [], []
    for _ in range(draws):
        losses, propensity = audit(rng, easy_first=False)
        every.append(audited(losses, propensity) - TRUE_MISS)
        # The random audit: every look at the other rows, and one in sixteen at the doubtful.
        lot = rng.random(len(losses)) < 0.05 / propensity
        at_random.append(
            upper_bound(int(losses[lot].sum()), int(lot.sum()), confidence_level=1 - DELTA)
            - TRUE_MISS
        )

    assert np.mean(every) < 0.75 * np.mean(at_random), (np.mean(every), np.mean(at_random))


def precision_rows(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw 1,500 rows; a tenth are called `bad`, wrongly so for exactly 12 % of them."""
    called = rng.random(1500) < 0.1
    return (called & (rng.random(1500) < 0.12)).astype(float), called.astype(float)


@draws
def test_precision_holds_as_a_ratio(draws: int) -> None:
    """How often a class is called is random too; at most 5 % of bounds are too low (seed 24)."""
    rng = np.random.default_rng(24)
    wrong = 0
    for _ in range(draws):
        losses, called = precision_rows(rng)
        wrong += weighted_upper_bound(losses, weight=called, confidence_level=1 - DELTA) < 0.12

    assert wrong <= most_wrong(draws), f"{wrong} of {draws} bounds too low at seed 24"


# ------------------------------------------------------------------------------------------------
# Few labels and many predictions

Guess = Callable[[FloatArray, np.random.Generator], FloatArray]


def good(chance: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Predict the chance to be wrong, exactly."""
    del rng
    return chance


def rosy(chance: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Predict a fifth of it."""
    del rng
    return chance / 5


def useless(chance: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Predict anything."""
    return rng.random(len(chance))


def perverse(chance: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Predict the opposite."""
    del rng
    return 1 - chance


def rows(n: int, guess: Guess, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw losses whose chance is 0.9 for one row in nine and 0.0125 for others, and predictions.

    The mean loss is 0.9 / 9 + 0.0125 * 8 / 9 = 1 / 9.
    """
    chance = np.where(rng.random(n) < 1 / 9, 0.9, 0.0125)
    return (rng.random(n) < chance).astype(float), guess(chance, rng)


MEAN = 1 / 9


def powered(n: int, guess: Guess, rng: np.random.Generator) -> tuple[float, FloatArray]:
    """Give a bound from n labels and 20,000 predictions, and the labelled losses."""
    losses, predicted = rows(n, guess, rng)
    _, unlabelled = rows(20_000, guess, rng)
    bound = prediction_powered_upper_bound(
        losses, predicted=predicted, unlabelled=unlabelled, confidence_level=1 - DELTA
    )
    return bound, losses


@pytest.mark.slow
@draws
@pytest.mark.parametrize("guess", [good, rosy, useless, perverse])
def test_a_bound_with_predictions_holds_whatever_they_are(guess: Guess, draws: int) -> None:
    """With 300 labels at most 5 % of bounds are below the true 11.1 % (seed 25)."""
    rng = np.random.default_rng(25)

    wrong = sum(powered(300, guess, rng)[0] < MEAN for _ in range(draws))

    assert wrong <= most_wrong(draws), f"{wrong} of {draws} bounds too low at seed 25"


@pytest.mark.slow
@draws
def test_good_predictions_are_worth_labels(draws: int) -> None:
    """The slack over the truth is a third less than by the same bets without them (seed 26).

    It is smaller than that of the exact binomial bound too, which is the best without predictions.
    """
    rng = np.random.default_rng(26)
    slack: dict[str, list[float]] = {"powered": [], "bets": [], "binomial": []}
    for _ in range(draws):
        bound, losses = powered(300, good, rng)
        misses = int(losses.sum())
        slack["powered"].append(bound - MEAN)
        slack["bets"].append(betting_upper_bound(losses, confidence_level=1 - DELTA) - MEAN)
        slack["binomial"].append(upper_bound(misses, 300, confidence_level=1 - DELTA) - MEAN)

    mean = {name: float(np.mean(values)) for name, values in slack.items()}
    assert mean["powered"] < 0.67 * mean["bets"], mean
    assert mean["powered"] < 0.9 * mean["binomial"], mean


def test_predictions_taken_for_labels_promise_too_much() -> None:
    """Rosy predictions in place of labels give a bound that is always too low (seed 27)."""
    rng = np.random.default_rng(27)
    wrong = 0
    for _ in range(30):
        losses, _ = rows(300, rosy, rng)
        _, unlabelled = rows(20_000, rosy, rng)
        both = rng.permutation(np.concatenate([losses, unlabelled]))
        wrong += betting_upper_bound(both, confidence_level=1 - DELTA) < MEAN

    assert wrong == 30


@draws
def test_agreement_is_bounded_and_is_not_accuracy(draws: int) -> None:
    """With no labels at all a small tier is bounded against the large one's answers (seed 28).

    The small tier disagrees with the large on 5 % of rows and is wrong on 8 %: the bound covers
    the first as often as it says, and nearly never the second. It is an agreement certificate.
    """
    rng = np.random.default_rng(28)
    wrong = below_error = 0
    for _ in range(draws):
        # Wrong together on 5 %; the small tier alone on another 3 %, the large alone on 2 %.
        kind = rng.choice(4, 1500, p=[0.05, 0.03, 0.02, 0.90])
        disagreements = int(np.isin(kind, (1, 2)).sum())
        bound = upper_bound(disagreements, 1500, confidence_level=1 - DELTA)
        wrong += bound < 0.05
        below_error += bound < 0.08

    assert wrong <= most_wrong(draws), f"{wrong} of {draws} bounds too low at seed 28"
    assert below_error > 0.9 * draws
