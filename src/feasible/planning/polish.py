"""Making a candidate cheaper at the slack that it has: exact sweeps of one threshold, then of two.

A Lagrangian finds policies on the convex hull of cost and slack only. Here every position of one
threshold is tried at once while the others stand, and, for pairs, while another is moved a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from feasible.planning.chain import NEVER
from feasible.schema import BoolArray, FloatArray, IntArray

__all__ = ["Balance", "polished"]

_PASSES: Final = 4
_PAIR_PLACES: Final = 12
"""Places, evenly spread over its distinct probabilities, that a first threshold is moved to."""
_PAIR_ROWS: Final = 1_500
_ROUNDS: Final = 2
_WORTH: Final = 1e-3
"""Share of the cost that a move must save."""
_TINY: Final = 1e-9
"""Weight that is nothing but rounding."""

Cuts = list[list[float]]
"""Thresholds by tier and answer group."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What every row adds to cost and to each promise at each exit of one chain.

    Attributes:
        cost: shape (n_rows, n_exits). Share of the mean cost.
        sums: shape (2 * n_promises, n_rows, n_exits). For each promise the weighted loss beyond the
            limit, then for each promise the weight with which the row judges.
        error: shape (n_promises,). What one unit of slack is.
        probability: shape (n_rows, n_tiers).
        group: shape (n_rows, n_tiers).
        answered: shape (n_rows, n_tiers).
        order: Tier -> group -> rows answered, surest first.
        last_is_open: Whether the last machine may refuse a row; without a person it may not.
    """

    cost: FloatArray
    sums: FloatArray
    error: FloatArray
    probability: FloatArray
    group: IntArray
    answered: BoolArray
    order: Sequence[Sequence[IntArray]]
    last_is_open: bool

    @property
    def n_tiers(self) -> int:
        """Count the machine tiers."""
        return int(self.probability.shape[1])

    def accepted(self, tier: int, cuts: Cuts) -> BoolArray:
        """Say which rows a tier would answer if they reached it."""
        threshold = np.array(cuts[tier])[self.group[:, tier]]
        return np.asarray(self.answered[:, tier] & (self.probability[:, tier] >= threshold))

    def exits(self, cuts: Cuts) -> IntArray:
        """Give the exit of every row."""
        out = np.full(len(self.cost), self.n_tiers)
        for tier in range(self.n_tiers - 1, -1, -1):
            out = np.where(self.accepted(tier, cuts), tier, out)
        return out

    def judge(self, cuts: Cuts) -> tuple[float, float]:
        """Give cost and least slack."""
        rows, leaves = np.arange(len(self.cost)), self.exits(cuts)
        slack = self._slack(self._at(rows, leaves).sum(axis=1))
        return float(self.cost[rows, leaves].sum()), float(slack.min())

    def _at(self, rows: IntArray, leaves: IntArray) -> FloatArray:
        """Give the sums' parts of some rows at their exits, shape (2 * n_promises, n_rows)."""
        flat = self.sums.reshape(len(self.sums), -1)
        return np.asarray(flat.take(rows * self.cost.shape[1] + leaves, axis=1))

    def some(self, rows: IntArray) -> Balance:
        """Give the balance of some rows; slack keeps its meaning, cost is of these rows alone."""
        place = np.full(len(self.cost), -1)
        place[rows] = np.arange(len(rows))
        return replace(
            self,
            cost=self.cost[rows],
            sums=np.ascontiguousarray(self.sums[:, rows]),
            probability=self.probability[rows],
            group=self.group[rows],
            answered=self.answered[rows],
            order=[[p[p >= 0] for p in (place[o] for o in groups)] for groups in self.order],
        )

    def sweep(self, cuts: Cuts, tier: int, group: int, level: float) -> tuple[float, float, float]:
        """Give the cheapest position of one threshold that keeps a slack, with cost and slack.

        Where no position keeps it, the position with most slack is given.
        """
        rows = np.arange(len(self.cost))
        leaves, mine = self._around(cuts, tier, group)
        ahead = self.order[tier][group]
        ahead = ahead[mine[ahead]]
        there = leaves[ahead]
        moved = self._at(ahead, np.full(len(ahead), tier)) - self._at(ahead, there)
        totals = np.zeros((len(self.sums), len(ahead) + 1))
        np.cumsum(moved, axis=1, out=totals[:, 1:])
        totals += self._at(rows, leaves).sum(axis=1, keepdims=True)
        steps = self.cost[ahead, tier] - self.cost[ahead, there]
        start = self.cost[rows, leaves].sum()
        cost = start + np.concatenate([[0.0], np.cumsum(steps)])
        least = self._slack(totals).min(axis=0)
        p = self.probability[ahead, tier]
        is_edge = np.concatenate([[True], p[1:] < p[:-1], [True]])[: len(cost)]
        keeps = is_edge & (least >= level)
        if keeps.any():
            best = int(np.argmin(np.where(keeps, cost, np.inf)))
        else:
            best = int(np.argmax(np.where(is_edge, least, -np.inf)))
        cut = NEVER if best == 0 else float(p[best - 1])
        return cut, float(cost[best]), float(least[best])

    def _around(self, cuts: Cuts, tier: int, group: int) -> tuple[IntArray, BoolArray]:
        """Give every row's exit when a tier refuses a group, and the rows of it that get there."""
        out = np.full(len(self.cost), self.n_tiers)
        mine = self.group[:, tier] == group
        for k in range(self.n_tiers - 1, -1, -1):
            accepted = self.accepted(k, cuts)
            if k == tier:
                accepted &= ~mine
            elif k < tier:
                mine = mine & ~accepted
            out = np.where(accepted, k, out)
        return out, mine

    def _slack(self, totals: FloatArray) -> FloatArray:
        """Turn sums into slack, promise by promise; what nobody judges has all the slack."""
        excess, mass = np.split(totals, 2)
        error = self.error.reshape((-1,) + (1,) * (totals.ndim - 1))
        judged = mass > _TINY
        mean = np.divide(excess, mass, out=np.full(excess.shape, -np.inf), where=judged)
        return np.asarray(-mean / error)


def polished(balance: Balance, cuts: Cuts, level: float) -> Cuts:
    """Make thresholds cheaper while the least slack stays at a level, or brings it there.

    Of many rows some decide on moves of two thresholds, and all on the last moves of one.

    Args:
        balance: What every row adds.
        cuts: Where to start.
        level: Least slack to keep. Standard errors.
    """
    few = balance
    if len(balance.cost) > _PAIR_ROWS:
        few = balance.some(np.linspace(0, len(balance.cost) - 1, _PAIR_ROWS).astype(np.int64))
    best = _one_by_one(few, [list(groups) for groups in cuts], level)
    for _ in range(_ROUNDS):
        moved = _in_pairs(few, best, level)
        if moved is None:
            break
        best = _one_by_one(few, moved, level)
    return best if few is balance else _one_by_one(balance, best, level)


def _places(balance: Balance) -> list[tuple[int, int]]:
    return [
        (tier, group)
        for tier, groups in enumerate(balance.order)
        for group, rows in enumerate(groups)
        if len(rows) and (balance.last_is_open or tier < balance.n_tiers - 1)
    ]


def _one_by_one(balance: Balance, cuts: Cuts, level: float) -> Cuts:
    for _ in range(_PASSES):
        before = [list(groups) for groups in cuts]
        for tier, group in _places(balance):
            cuts[tier][group] = balance.sweep(cuts, tier, group, level)[0]
        if cuts == before:
            break
    return cuts


def _in_pairs(balance: Balance, cuts: Cuts, level: float) -> Cuts | None:
    """Move one threshold to each of a few places and let another answer; None when none helps."""
    cost, slack = balance.judge(cuts)
    best: Cuts | None = None
    for first in _places(balance):
        for place in _alternatives(balance, *first):
            trial = [list(groups) for groups in cuts]
            trial[first[0]][first[1]] = place
            for second in _places(balance):
                if second == first:
                    continue
                cut, paid, least = balance.sweep(trial, *second, level)
                is_better = least >= min(level, slack) and paid < cost * (1 - _WORTH)
                if is_better or (slack < level and least > slack):
                    cost, slack = paid, least
                    best = [list(groups) for groups in trial]
                    best[second[0]][second[1]] = cut
    return best


def _alternatives(balance: Balance, tier: int, group: int) -> list[float]:
    """Give a few positions of one threshold, from accepting everything to accepting nothing."""
    distinct = np.unique(balance.probability[balance.order[tier][group], tier])
    at = np.unique(np.linspace(0, len(distinct) - 1, _PAIR_PLACES).round().astype(np.int64))
    return [*(float(p) for p in distinct[at]), NEVER]
