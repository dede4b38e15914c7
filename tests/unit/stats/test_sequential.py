"""Evidence over time: against likelihood ratios of an independent library, and every outcome."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom

from feasible.stats import any_time_upper_bound, evidence_so_far, upper_bound


def test_for_rows_that_miss_or_not_it_is_a_mixture_of_likelihood_ratios() -> None:
    """Source: scipy's binomial probabilities at limit (1 - stake) over those at the limit.

    Ten stakes 1, 1/2, ... 1/512 with shares in proportion to 1 / (k (k + 1)).
    """
    shares = np.array([1 / (k * (k + 1)) for k in range(1, 11)])
    rates = 0.2 * (1 - 0.5 ** np.arange(10))
    for misses, n in ((0, 30), (1, 30), (5, 60)):
        losses = np.array([1.0] * misses + [0.0] * (n - misses))
        ratios = binom.pmf(misses, n, rates) / binom.pmf(misses, n, 0.2)

        found = evidence_so_far(losses, limit=0.2)[-1]

        assert found == pytest.approx(math.log(shares @ ratios / shares.sum()))


def test_every_outcome_at_the_limit_gains_nothing_on_average() -> None:
    """Over all 4,096 outcomes of twelve rows at the limit, capital is 1 on average, exactly.

    And ever, at any of the twelve looks, it reaches 1 / delta with a chance of at most delta.
    """
    limit, rows = 0.3, 12
    ever = dict.fromkeys((0.1, 0.2, 0.5), 0.0)
    mean = 0.0
    for outcome in itertools.product((0.0, 1.0), repeat=rows):
        chance = math.prod(limit if loss else 1 - limit for loss in outcome)
        evidence = evidence_so_far(np.array(outcome), limit=limit)
        mean += chance * math.exp(evidence[-1])
        for delta in ever:
            ever[delta] += chance * bool(evidence.max() >= math.log(1 / delta))

    assert mean == pytest.approx(1.0)
    assert all(0 < ever[delta] <= delta for delta in ever)


def test_evidence_for_a_broken_promise_is_the_same_thing_turned_round() -> None:
    """Rows that miss 20 % of the time show within 300 rows that 10 % does not hold (seed 3)."""
    losses = (np.random.default_rng(3).random(300) < 0.2).astype(float)

    assert evidence_so_far(1 - losses, limit=0.9).max() > math.log(20)
    assert evidence_so_far(losses, limit=0.1).max() < math.log(20)


def test_evidence_does_not_depend_on_rows_to_come() -> None:
    """What is known after 50 rows is the same whether 100 follow or none (seed 9)."""
    losses = np.random.default_rng(9).beta(1, 9, 150)

    assert evidence_so_far(losses, limit=0.2)[:50] == pytest.approx(
        evidence_so_far(losses[:50], limit=0.2)
    )


def test_looking_at_any_time_costs_a_little() -> None:
    """The bound after 500 rows without a miss: 0.60 % for one look, by root; 0.70 % for any."""
    one = upper_bound(0, 500, confidence_level=0.95)
    losses = np.zeros(500)

    found = any_time_upper_bound(losses, confidence_level=0.95)

    assert one == pytest.approx(1 - 0.05 ** (1 / 500))
    assert one < found < 1.25 * one
    assert evidence_so_far(losses, limit=found + 1e-6)[-1] >= math.log(20)
    assert any_time_upper_bound(np.array([]), confidence_level=0.95) == 1.0


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_a_limit_at_the_edge_needs_no_evidence(limit: float) -> None:
    """A mean of losses cannot be above 1 nor below 0."""
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        evidence_so_far(np.zeros(3), limit=limit)
