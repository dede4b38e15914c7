"""Whether a promise is shown by rows, with its bound: one set of tests for plan and back-test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from feasible.planning.constraint import Constraint
from feasible.planning.traffic_mix import REST
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
    weighted_p_value,
    weighted_upper_bound,
)

__all__ = ["NONE_OF", "MeanTest", "Verdict", "interval_of", "verdict_on"]

MeanTest = Literal["betting", "hoeffding_bentkus"]
"""What judges a mean of bounded losses of independent rows that weigh the same."""

_SHUFFLE: Final = 20_261_122
"""Seed of the order in which rows are bet on; fixed, so that nobody can choose a lucky one."""

NONE_OF: Final = "0 rows of"
"""How the method of a promise begins that lacks a declared part of traffic."""


_TINY: Final = 1e-6
"""A limit that asks for the bound alone."""


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
    of independent rows get bets or Hoeffding-Bentkus as was chosen beforehand, labels that were
    asked for with unequal chances get bets on rows weighted by these, weighted rows and rows that
    go together get bets at a fixed stake.

    Args:
        constraint: The promise as losses.
        exit_of_row: shape (n_rows,). Where each row leaves.
        level: 1 - delta.
        mean_test: What judges losses that are not all 0 or 1; chosen without a look at these rows.
    """
    losses = constraint.losses(exit_of_row)
    if len(losses) == 0:
        return Verdict(False, "no row judges", lambda: None)
    if constraint.unseen:
        return Verdict(False, f"{NONE_OF} {_named(constraint.unseen)}", lambda: None)
    if not 0 < constraint.limit < 1:
        return _at_the_edge(constraint, exit_of_row, level)
    if not constraint.is_plain:
        is_audit = constraint.heaviest is not None and constraint.block is None
        return (_by_chance if is_audit else _fixed_stake)(constraint, exit_of_row, level)
    if constraint.person_rate is not None:
        return _with_people(constraint, exit_of_row, level)
    return _of_rows(constraint, losses, level, mean_test)


def _named(slices: tuple[str, ...]) -> str:
    return ", ".join("the rest of traffic" if name == REST else f"`{name}`" for name in slices)


def _at_the_edge(constraint: Constraint, exit_of_row: IntArray, level: float) -> Verdict:
    """Judge a limit that rows do not decide: any loss is allowed, or none at all.

    That nothing is lost, ever, no number of rows can show. A cap on each decision is kept because
    serving enforces it; rows that break it all the same are a fault.
    """
    if constraint.limit >= 1:
        by = "at the declared price" if constraint.is_declared else "below the enforced cap"
        return Verdict(True, f"cannot be broken {by}", lambda: 1.0)
    objective = constraint.objective
    if objective.kind == "people" and not constraint.loss.any():
        return Verdict(True, "no person can be asked", lambda: 0.0)
    if objective.kind == "cost" and objective.measure == "each":
        worst = float(constraint.losses(exit_of_row).max())
        return Verdict(worst == 0, "every row that judges", lambda: worst)
    near = verdict_on(replace(constraint, limit=_TINY), exit_of_row, level)
    return replace(near, holds=False)


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


def _by_chance(constraint: Constraint, exit_of_row: IntArray, level: float) -> Verdict:
    """Judge rows by labels that were asked for with unequal chances, each over its chance."""
    losses = constraint.losses(exit_of_row)
    order = np.random.default_rng(_SHUFFLE).permutation(len(losses))
    mass = constraint.masses(exit_of_row) / (constraint.heaviest or 1.0)
    losses, weight = losses[order], np.clip(mass[order], 0.0, 1.0)
    p = weighted_p_value(losses, weight=weight, limit=constraint.limit, delta=1 - level)
    return Verdict(
        p <= 1 - level,
        "betting, by inverse propensity",
        lambda: weighted_upper_bound(losses, weight=weight, confidence_level=level),
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
    limit, top = constraint.limit, constraint.top(exit_of_row)
    if masses.max(initial=0.0) <= 0:
        return Verdict(False, "no row judges", lambda: None)
    spread = limit * (1 - limit) * constraint.fill(exit_of_row)
    p = fixed_stake_p_value(excess, limit=limit, spread=spread, delta=1 - level)
    mean = limit + (float(excess.mean()) - limit) * top / float(masses.mean())

    def is_shown(at: float) -> bool:
        shifted = np.clip(excess + (at - limit) * (1 - masses / top), 0.0, 1.0)
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
    rate = f"{100 * (constraint.person_rate or 0.0):.3g} %"
    method = f"exact binomial, people at their declared error rate of at most {rate}"
    return Verdict(bound <= constraint.limit, method, lambda: bound)
