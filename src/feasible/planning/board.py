"""One chain on one set of rows, as sums at exits: what a policy costs, and better policies.

Thresholds stand at places (sheet.py); a policy is the place of every threshold. Three moves, each
exact for what it moves: all thresholds of one tier for a Lagrangian, one threshold at a level of
slack, and two thresholds at once at a level of slack. The last reaches what a Lagrangian cannot:
policies inside the convex hull of cost and slack.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.planning.sheet import Places
from feasible.schema import BoolArray, FloatArray, IntArray

__all__ = ["Board", "Cuts", "Standing"]

Cuts = list[IntArray]
"""Tier -> group -> place of its threshold; past the last place nothing is accepted."""

_PAIR_PLACES: Final = 32
_PAIRED: Final = 4
"""Thresholds of which every two are moved at once."""
_PASSES: Final = 3
_REMEMBERED: Final = 64
"""Answers of one tier's thresholds that are kept, for policies that share them."""
_UNJUDGED: Final = -6.0
"""Slack of a promise that no row is left to judge."""
_TINY: Final = 1e-9
"""Weight that is nothing but rounding."""
_WORTH: Final = 1e-4
"""Share of the cost that a move must save."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one policy stands on the rows of a board.

    Attributes:
        cost: Mean per decision. Dollars.
        slack: shape (n_promises,). Standardised distance from each limit.
        totals: shape (1 + 2 * n_promises,). Sums over the rows.
    """

    cost: float
    slack: FloatArray
    totals: FloatArray

    @property
    def least(self) -> float:
        """Give the smallest slack."""
        return float(self.slack.min()) if len(self.slack) else math.inf


class Board:
    """What every row adds to cost and to each promise at each exit of one chain.

    Args:
        cost: shape (n_rows, n_exits). Share of the mean cost.
        excess: shape (n_promises, n_rows, n_exits). Weighted loss beyond the limit.
        mass: shape (n_promises, n_rows, n_exits). Weight with which the row judges.
        error: shape (n_promises,). What one unit of slack is.
        places: Machine tiers, in the chain's order.
        is_open: shape (n_rows, n_exits). Whether a row can leave there.
        last_is_open: Whether the last machine may refuse a row; without a person it may not.
    """

    def __init__(
        self,
        cost: FloatArray,
        excess: FloatArray,
        mass: FloatArray,
        *,
        error: FloatArray,
        places: list[Places],
        is_open: BoolArray,
        last_is_open: bool,
    ) -> None:
        n, exits = cost.shape
        self.n, self.exits, self.tiers = n, exits, len(places)
        self.error, self.places, self.last_is_open = error, places, last_is_open
        self.sums = np.concatenate(
            [cost.reshape(1, -1), excess.reshape(len(error), -1), mass.reshape(len(error), -1)]
        )
        self.first = np.arange(n) * exits
        self._accepted: dict[tuple[int, bytes], BoolArray] = {}
        self.level = [
            np.where(is_open[:, k], found.level, -1) if not is_open[:, k].all() else found.level
            for k, found in enumerate(places)
        ]
        self.slot = [
            found.group * (found.width + 1) + self.level[k] + 1 for k, found in enumerate(places)
        ]
        self.last = [np.array([len(p) for p in found.probability]) for found in places]
        self.nominal = np.maximum(1.0, self.sums[1 + len(error) :, self.first].sum(axis=1))
        self.scaled = self.sums[1 : 1 + len(error)] / (self.nominal * error)[:, None]
        self.dearest = max(float(cost.max(initial=0.0)) * n, 1e-12)

    def shifted(self, place: int, by: float) -> Board:
        """Give the same board with the limit of one promise further away."""
        out = copy.copy(self)
        out.sums = self.sums.copy()
        out.sums[1 + place] -= by * self.sums[1 + len(self.error) + place]
        return out

    def never(self) -> Cuts:
        """Give the policy in which no machine answers, or only the last where nobody follows."""
        cuts = [last.copy() for last in self.last]
        return self.allowed(cuts)

    def allowed(self, cuts: Cuts) -> Cuts:
        """Let the last machine answer everything where nobody comes after it."""
        if self.tiers and not self.last_is_open:
            cuts = [*cuts[:-1], np.zeros_like(cuts[-1])]
        return cuts

    def accepted(self, tier: int, cuts: Cuts) -> BoolArray:
        """Say which rows a tier would answer if they reached it."""
        key = (tier, cuts[tier].tobytes())
        found = self._accepted.get(key)
        if found is None:
            if len(self._accepted) > _REMEMBERED:
                self._accepted.clear()
            # A row that cannot be accepted is at level -1, below every place.
            cut = cuts[tier] if len(cuts[tier]) == 1 else cuts[tier][self.places[tier].group]
            found = self._accepted[key] = np.asarray(self.level[tier] >= cut)
        return found

    def leaves(self, cuts: Cuts) -> IntArray:
        """Give the exit of every row."""
        out = np.full(self.n, self.tiers)
        for tier in range(self.tiers - 1, -1, -1):
            out[self.accepted(tier, cuts)] = tier
        return out

    def stand(self, cuts: Cuts) -> Standing:
        """Say what a policy costs and how much slack it has."""
        return self._standing(self.at(self.leaves(cuts)).sum(axis=1))

    def _standing(self, totals: FloatArray) -> Standing:
        return Standing(float(totals[0]), self._slack(totals), totals)

    def at(self, leaves: IntArray) -> FloatArray:
        """Give what every row adds at its exit, shape (1 + 2 * n_promises, n_rows)."""
        return np.asarray(self.sums.take(self.first + leaves, axis=1))

    def _slack(self, totals: FloatArray) -> FloatArray:
        """Turn sums into slack, promise by promise; what nobody judges has none.

        A policy that leaves fewer rows to judge a promise has less to show it with.
        """
        count = len(self.error)
        excess, mass = totals[1 : 1 + count], totals[1 + count :]
        shape = (-1,) + (1,) * (totals.ndim - 1)
        error, nominal = self.error.reshape(shape), self.nominal.reshape(shape)
        judged = mass > _TINY
        mean = np.divide(excess, mass, out=np.zeros(excess.shape), where=judged)
        slack = -mean / error * np.sqrt(np.minimum(mass / nominal, 1.0))
        return np.where(judged, slack, _UNJUDGED)

    def solve(self, price: FloatArray, cuts: Cuts) -> Cuts:
        """Set the thresholds of every tier in turn to their best while the others stand.

        Args:
            price: shape (n_promises,). What one standard error of each slack is worth, as a share
                of the dearest exit's cost.
            cuts: Where to start.
        """
        value = self.sums[0] / self.dearest + price @ self.scaled
        value = value + _TINY * self.sums[0] / self.dearest
        cuts = [cut.copy() for cut in cuts]
        for _ in range(_PASSES):
            before = [cut.copy() for cut in cuts]
            reach = self._reach(cuts)
            later = value[self.first + self.tiers]
            for tier in range(self.tiers - 1, -1, -1):
                here = value[self.first + tier]
                gain = np.where(reach[tier], here - later, 0.0)
                cuts[tier] = self._best_cut(tier, gain)
                if tier == self.tiers - 1 and not self.last_is_open:
                    cuts[tier][:] = 0
                later = np.where(self.accepted(tier, cuts), here, later)
            if all((a == b).all() for a, b in zip(before, cuts, strict=True)):
                break
        return cuts

    def _best_cut(self, tier: int, gain: FloatArray) -> IntArray:
        """Give, group by group, the place above which the gains add up to least."""
        total = self._above(tier, gain)
        best = total.argmin(axis=1)
        # Where no place gains anything, nothing is accepted.
        return np.where(total.min(axis=1) < 0, best, self.last[tier])

    def _above(self, tier: int, values: FloatArray) -> FloatArray:
        """Add up a value over the rows at or above each place, shape (n_groups, width + 1)."""
        found = self.places[tier]
        groups, width = len(found.probability), found.width
        total = np.bincount(self.slot[tier], weights=values, minlength=groups * (width + 1))
        table = total.reshape(groups, width + 1)[:, 1:]  # the first column cannot be accepted
        out = np.zeros((groups, width + 1))
        out[:, :-1] = table[:, ::-1].cumsum(axis=1)[:, ::-1]
        return out

    def _reach(self, cuts: Cuts) -> list[BoolArray]:
        """Say which rows reach each tier."""
        reach = [np.ones(self.n, dtype=np.bool_)]
        for tier in range(self.tiers - 1):
            reach.append(reach[-1] & ~self.accepted(tier, cuts))
        return reach

    def sweep(self, cuts: Cuts, tier: int, level: float) -> tuple[Cuts, Standing]:
        """Move each threshold of one tier to the cheapest place that keeps a slack.

        Where no place keeps it, the one with most slack is taken.
        """
        cuts = [cut.copy() for cut in cuts]
        off = [*cuts[:tier], self.last[tier], *cuts[tier + 1 :]]
        leaves = self.leaves(off)
        reach = self._reach(cuts)[tier]
        rows = np.flatnonzero(reach & (self.level[tier] >= 0))
        base = self.at(leaves)
        total = base.sum(axis=1)
        first = self.first[rows]
        moved = self.sums.take(first + tier, axis=1) - base.take(rows, axis=1)
        tables = self._tables(tier, rows, moved)
        for group in range(len(cuts[tier])):
            total = total + tables[:, group, cuts[tier][group]]
        for group, last in enumerate(self.last[tier]):
            if not last:
                continue
            rest = total - tables[:, group, cuts[tier][group]]
            options = rest[:, None] + tables[:, group, : last + 1]
            best = self._choose(options, level)
            cuts[tier][group] = best
            total = options[:, best]
        return cuts, self._standing(total)

    def _tables(self, tier: int, rows: IntArray, moved: FloatArray) -> FloatArray:
        """Give, per sum and group, what is added when a group is accepted from each place on."""
        found = self.places[tier]
        groups, width = len(found.probability), found.width
        slot, size = self.slot[tier][rows], groups * (width + 1)
        table = np.array([np.bincount(slot, weights=line, minlength=size) for line in moved])
        table = table.reshape(len(moved), groups, width + 1)[:, :, 1:]
        out = np.zeros((len(moved), groups, width + 1))
        out[:, :, :-1] = table[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
        return out

    def _choose(self, options: FloatArray, level: float) -> int:
        """Give the cheapest of several totals that keeps a slack, or the one with most of it."""
        flat = options.reshape(len(options), -1)
        least = self._slack(flat).min(axis=0) if len(self.error) else np.zeros(flat.shape[1])
        keeps = least >= level
        if keeps.any():
            return int(np.argmin(np.where(keeps, flat[0], np.inf)))
        most = least.max()
        return int(np.argmin(np.where(least >= most - _TINY, flat[0], np.inf)))

    def pair(
        self, cuts: Cuts, one: tuple[int, int], two: tuple[int, int], level: float
    ) -> tuple[Cuts, Standing]:
        """Move two thresholds at once, over an even choice of places of each.

        Args:
            cuts: Where the others stand.
            one: Tier and group; its tier is not later than that of `two`.
            two: Tier and group.
            level: Slack to keep.
        """
        (tier, group), (after, other) = one, two
        off = [cut.copy() for cut in cuts]
        off[tier][group] = self.last[tier][group]
        off[after][other] = self.last[after][other]
        leaves = self.leaves(off)
        base = self.at(leaves)
        reach = self._reach(off)
        at_one = self._places_of(tier, group, cuts)
        at_two = self._places_of(after, other, cuts)
        mine = reach[tier] & (self.places[tier].group == group) & (self.level[tier] >= 0)
        theirs = reach[after] & (self.places[after].group == other) & (self.level[after] >= 0)
        step_one = self._steps(tier, at_one)
        step_two = self._steps(after, at_two)
        table = base.sum(axis=1)[:, None, None]
        table = table + self._column(mine, tier, base, step_one, len(at_one))[:, :, None]
        table = table + self._column(theirs, after, base, step_two, len(at_two))[:, None, :]
        if tier != after:
            both = np.flatnonzero(mine & theirs)
            gap = self.sums.take(self.first[both] + after, axis=1) - base.take(both, axis=1)
            shape = (len(at_one) + 1, len(at_two) + 1)
            slot = step_one[both] * shape[1] + step_two[both]
            joint = np.array(
                [np.bincount(slot, weights=g, minlength=shape[0] * shape[1]) for g in gap]
            ).reshape(-1, *shape)
            joint = joint[:, ::-1, ::-1].cumsum(axis=1).cumsum(axis=2)[:, ::-1, ::-1]
            table = table - joint[:, 1:, 1:]
        best = self._choose(table, level)
        i, j = divmod(best, len(at_two))
        off[tier][group], off[after][other] = at_one[i], at_two[j]
        return off, self._standing(table[:, i, j])

    def _steps(self, tier: int, places: IntArray) -> IntArray:
        """Count how many of some places each row of a tier reaches, shape (n_rows,)."""
        every = np.arange(-1, self.places[tier].width + 1)
        return np.asarray(np.searchsorted(places, every, side="right")[self.level[tier] + 1])

    def _column(
        self, rows: BoolArray, tier: int, base: FloatArray, step: IntArray, places: int
    ) -> FloatArray:
        """Give what is added when rows at or above each of some places leave at a tier."""
        index = np.flatnonzero(rows)
        moved = self.sums.take(self.first[index] + tier, axis=1) - base.take(index, axis=1)
        table = np.array([np.bincount(step[index], weights=m, minlength=places + 1) for m in moved])
        return np.asarray(table[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:])

    def _places_of(self, tier: int, group: int, cuts: Cuts) -> IntArray:
        """Give an even choice of places, where the threshold stands now and `never` among them."""
        last = int(self.last[tier][group])
        even = np.linspace(0, last, min(last, _PAIR_PLACES) + 1).round().astype(np.int64)
        return np.unique(np.append(even, min(int(cuts[tier][group]), last)))

    def thresholds(self) -> list[tuple[int, int]]:
        """List the thresholds that may move and decide about most rows: tier and group."""
        most = {
            (tier, group): int(count)
            for tier in range(self.tiers if self.last_is_open else self.tiers - 1)
            for group, count in enumerate(
                np.bincount(
                    self.places[tier].group[self.level[tier] >= 0],
                    minlength=len(self.last[tier]),
                )
            )
            if count
        }
        return sorted(sorted(most, key=lambda place: -most[place])[:_PAIRED])

    def polish(self, cuts: Cuts, level: float, *, in_pairs: bool) -> tuple[Cuts, Standing]:
        """Make a policy cheaper while its least slack stays at a level, or bring it there.

        Args:
            cuts: Where to start.
            level: Slack to keep.
            in_pairs: Whether thresholds are moved two at a time as well as one by one.
        """
        cuts, best = self._one_by_one(cuts, level)
        if not in_pairs:
            return cuts, best
        movable = self.thresholds()
        for i, one in enumerate(movable):
            for two in movable[i + 1 :]:
                moved, found = self.pair(cuts, one, two, level)
                if _is_better(found, best, level):
                    cuts, best = moved, found
        again, found = self._one_by_one(cuts, level)
        return (again, found) if _is_better(found, best, level) else (cuts, best)

    def settle(self, cuts: Cuts, level: float) -> tuple[Cuts, Standing]:
        """Move each threshold once to the cheapest place that keeps a level of slack."""
        best = self.stand(cuts)
        for tier in range(self.tiers if self.last_is_open else self.tiers - 1):
            moved, found = self.sweep(cuts, tier, level)
            if _is_better(found, best, level):
                cuts, best = moved, found
        return cuts, best

    def _one_by_one(self, cuts: Cuts, level: float) -> tuple[Cuts, Standing]:
        best = self.stand(cuts)
        tiers = range(self.tiers if self.last_is_open else self.tiers - 1)
        for _ in range(_PASSES):
            moved_any = False
            for tier in tiers:
                moved, found = self.sweep(cuts, tier, level)
                if _is_better(found, best, level):
                    cuts, best, moved_any = moved, found, True
            if not moved_any:
                break
        return cuts, best


def _is_better(one: Standing, other: Standing, level: float) -> bool:
    """Claim that a policy keeps the slack more cheaply, or is nearer to keeping it."""
    if other.least >= level:
        return one.least >= level and one.cost < other.cost * (1 - _WORTH) - 1e-15
    return one.least > other.least + _TINY or (
        one.least >= other.least - _TINY and one.cost < other.cost * (1 - _WORTH) - 1e-15
    )
