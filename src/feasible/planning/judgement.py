"""Whether a promise is shown by rows, with its bound: one set of tests for plan and back-test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from feasible.planning.constraints import Constraint
from feasible.schema import FloatArray, IntArray
from feasible.stats import (
    betting_p_value,
    betting_upper_bound,
    binomial_p_value,
    fixed_stake_p_value,
    hoeffding_bentkus_p_value,
    hoeffding_bentkus_upper_bound,
    interval,
    upper_bound,
)

__all__ = ["MeanTest", "Verdict", "interval_of", "verdict_on"]

MeanTest = Literal["betting", "hoeffding_bentkus"]
"""What judges a mean of bounded losses of independent rows that weigh the same."""

_SHUFFLE: Final = 20_261_122
"""Seed of the order in which rows are bet on; fixed, so that nobody can choose a lucky one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What rows show about one promise.

    Attributes:
        holds: The mean loss is shown to be within its limit.
        method: In words.
        find_bound: Works out the bound, which takes longer than to say whether the promise holds.
    """

    holds: bool
    method: str
    find_bound: Callable[[], float | None]

    @property
    def bound(self) -> float | None:
        """Give a one-sided upper bound on the mean loss, on its scale; None without any."""
        return self.find_bound()


def verdict_on(
    constraint: Constraint,
    exit_of_row: IntArray,
    level: float,
    *,
    mean_test: MeanTest = "betting",
) -> Verdict:
    """Say whether the mean loss is shown to be within its limit.

    Which method is used depends on the kind of loss, its weights and its entities alone, never on
    how many rows miss: 0/1 losses of independent rows get the exact binomial bound, other losses
    of independent rows get bets or Hoeffding-Bentkus as was chosen beforehand, weighted rows and
    rows that go together get bets at a fixed stake.

    Args:
        constraint: The promise as losses.
        exit_of_row: shape (n_rows,). Where each row leaves.
        level: 1 - delta.
        mean_test: What judges losses that are not all 0 or 1; chosen without a look at these rows.
    """
    losses = constraint.losses(exit_of_row)
    if len(losses) == 0:
        return Verdict(False, "no row judges", lambda: None)
    if not 0 < constraint.limit < 1:
        return _at_the_edge(constraint.limit, losses)
    if not constraint.is_plain:
        return _fixed_stake(constraint, exit_of_row, level)
    if constraint.person_rate is not None:
        return _with_people(constraint, exit_of_row, level)
    return _of_rows(constraint, losses, level, mean_test)


def _at_the_edge(limit: float, losses: FloatArray) -> Verdict:
    """Judge a limit that needs no statistics: no loss at all is allowed, or any is."""
    if limit >= 1:
        return Verdict(True, "cannot be broken below the enforced cap", lambda: 1.0)
    worst = float(losses.max())
    return Verdict(worst == 0, "every row that judges", lambda: worst)


def _of_rows(
    constraint: Constraint, losses: FloatArray, level: float, mean_test: MeanTest
) -> Verdict:
    """Judge independent rows that weigh the same."""
    if constraint.is_binary:
        misses = round(float(losses.sum()))
        n = len(losses)
        p = binomial_p_value(misses, n, limit=constraint.limit)
        return Verdict(
            p <= 1 - level,
            "exact binomial",
            lambda: upper_bound(misses, n, confidence_level=level),
        )
    if mean_test == "hoeffding_bentkus":
        mean, n = float(losses.mean()), len(losses)
        p = hoeffding_bentkus_p_value(mean, n, limit=constraint.limit)
        return Verdict(
            p <= 1 - level,
            "Hoeffding-Bentkus",
            lambda: hoeffding_bentkus_upper_bound(mean, n, confidence_level=level),
        )
    shuffled = losses[np.random.default_rng(_SHUFFLE).permutation(len(losses))]
    p = betting_p_value(shuffled, limit=constraint.limit, delta=1 - level)
    return Verdict(
        p <= 1 - level,
        "betting",
        lambda: betting_upper_bound(shuffled, confidence_level=level),
    )


def interval_of(
    constraint: Constraint, exit_of_row: IntArray, level: float
) -> tuple[float, float] | None:
    """Give a two-sided interval for the mean loss; None when no row judges."""
    losses = constraint.losses(exit_of_row)
    if not len(losses):
        return None
    if constraint.is_plain and constraint.is_binary:
        return interval(round(float(losses.sum())), len(losses), confidence_level=level)
    side = 1 - (1 - level) / 2
    # A limit in the middle asks for the bound alone, whatever the promise is.
    plain = replace(constraint, person_rate=None, limit=min(max(constraint.limit, 1e-6), 1 - 1e-6))
    other = replace(plain, loss=1.0 - plain.loss, limit=1.0 - plain.limit)
    high = verdict_on(plain, exit_of_row, side).bound
    low = verdict_on(other, exit_of_row, side).bound
    return 0.0 if low is None else max(0.0, 1.0 - low), 1.0 if high is None else min(1.0, high)


def _fixed_stake(constraint: Constraint, exit_of_row: IntArray, level: float) -> Verdict:
    """Bound a mean over rows of unequal weight, or over entities whose rows go together."""
    excess, masses = constraint.excesses(exit_of_row), constraint.masses(exit_of_row)
    limit = constraint.limit
    if masses.max(initial=0.0) <= 0:
        return Verdict(False, "no row judges", lambda: None)
    spread = limit * (1 - limit) * float(np.mean((masses / masses.max()) ** 2))
    p = fixed_stake_p_value(excess, limit=limit, spread=spread, delta=1 - level)
    mean = limit + (float(excess.mean()) - limit) * float(masses.max() / masses.mean())

    def is_shown(at: float) -> bool:
        shifted = np.clip(excess + (at - limit) * (1 - masses / masses.max()), 0.0, 1.0)
        return fixed_stake_p_value(shifted, limit=at, spread=spread, delta=1 - level) <= 1 - level

    kind = "entities" if constraint.block is not None else "weighted rows"
    return Verdict(
        p <= 1 - level,
        f"betting at a fixed stake over {kind}",
        lambda: _smallest_shown(is_shown, low=mean),
    )


def _smallest_shown(is_shown: Callable[[float], bool], *, low: float) -> float:
    """Give the smallest limit that is shown, between `low` and 1."""
    low, high = max(0.0, low), 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if is_shown(middle) else (middle, high)
    return high


def _with_people(constraint: Constraint, exit_of_row: IntArray, level: float) -> Verdict:
    """Bound machine misses plus people's declared error rate on an upper bound of their share.

    A tenth of delta bounds the share, the rest bounds the misses; together they hold by the union
    bound, and both are exact.
    """
    counted = constraint.counted(exit_of_row)
    by_person = constraint.by_person[np.arange(len(exit_of_row)), exit_of_row][counted]
    losses = constraint.losses(exit_of_row)
    n, delta = len(losses), 1 - level
    misses = round(float(losses[~by_person].sum()))
    share = upper_bound(int(by_person.sum()), n, confidence_level=1 - delta / 10)
    missed = upper_bound(misses, n, confidence_level=1 - delta * 9 / 10)
    bound = missed + (constraint.person_rate or 0.0) * share
    method = "exact binomial, people at their declared error rate"
    return Verdict(bound <= constraint.limit, method, lambda: bound)
