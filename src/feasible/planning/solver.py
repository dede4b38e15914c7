"""The search for policies of one chain, on SEARCH rows only."""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
from scipy.special import ndtri

from feasible.planning.board import Board, Cuts, Standing
from feasible.planning.candidates import Candidate, Margin
from feasible.planning.chain import Chain, Ingredients
from feasible.planning.constraint import Constraint
from feasible.planning.joint import within_ms
from feasible.planning.sheet import Sheet
from feasible.schema import BoolArray, FloatArray, IntArray

__all__ = ["Solver"]

_NEAR_FLOORS: Final = (0.0, 0.6, 0.8, 0.9, 0.95)
_FLOORS: Final = (0.0, 0.4, 0.6, 0.8)
_TIE: Final = 1e-9
_POOLED: Final = 5.0
"""Expected errors at which an answer group's own miss rate weighs as much as the tier's."""
_PER_THRESHOLD: Final = 0.5
"""Misses that a threshold hides on the rows that it was placed on: it stands just above one, and
of fresh rows about one more lies beyond. Half of it, because half of a miss is expected already."""
_SEEN: Final = 0.5
_FORESEEN: Final = 0.1
"""How much a row's own loss counts where a router chooses: so many choices find luck."""
_FEW_ROWS: Final = 500
"""Rows that judge, up to which what is expected counts in full."""
_PRICE: Final = 0.05
"""Where the price of a standard error of slack starts, as a share of the dearest exit's cost."""
_DEAREST_PRICE: Final = 1e6


class Solver:
    """One chain on one set of rows.

    Args:
        kit: What plans are made of.
        chain: The order of tiers.
        sheet: SEARCH rows.
        ratio: CERT rows for each SEARCH row.
        seen: How much a row's own loss counts against what its probability expects. Ratio; by what
            thresholds stand on when absent.
    """

    def __init__(
        self,
        kit: Ingredients,
        chain: Chain,
        sheet: Sheet,
        ratio: float,
        *,
        seen: float | None = None,
    ) -> None:
        self.kit, self.chain, self.sheet, self.ratio = kit, chain, sheet, ratio
        self.seen = (_FORESEEN if chain.by == "router" else _SEEN) if seen is None else seen
        self._doubted: list[tuple[BoolArray, IntArray, FloatArray, FloatArray]] | None = None
        exits = sheet.exits(chain)
        self.constraints = sheet.constraints(chain)
        self.k = len(chain.machines)
        n, count = len(sheet), len(self.constraints)
        self.places = [sheet.places(chain, place) for place in range(self.k)]
        self.groups = [sheet.groups(chain, place) for place in range(self.k)]
        cost = np.fmax(exits.cost_usd, 0.0) * sheet.mix[:, None] / n
        shape = (count, n, self.k + 1)
        mass, expected = np.empty(shape), np.empty(shape)
        limits = np.empty((count, 1, 1))
        for i, c in enumerate(self.constraints):
            mass[i] = c.counts * c.weight[:, None]
            expected[i] = self._blended(c, np.where(c.counts, c.loss, 0.0) * c.weight[:, None])
            limits[i] = c.limit
        self.ids = [c.id for c in self.constraints]
        self.limits = [c.limit for c in self.constraints]
        self.error = np.array([self._standard_error(c) for c in self.constraints])
        self.board = Board(
            cost,
            expected - limits * mass,
            mass,
            error=self.error,
            places=self.places,
            is_open=exits.is_open,
            last_is_open=kit.person is not None,
        )
        self.margins = [self._margin(c) for c in self.constraints]

    def climb(
        self, level: float, price: FloatArray, cuts: Cuts, *, rounds: int
    ) -> tuple[list[tuple[Cuts, Standing]], FloatArray]:
        """Move prices until every promise has a level of slack, and none much more.

        Prices of promises that lack slack rise, the others' fall, by factors (multiplicative
        weights, Freund and Schapire 1999).

        Returns:
            The policies on the way, and the prices at the end.
        """
        found = []
        for round_ in range(rounds):
            cuts = self.board.allowed(self.board.solve(price, cuts))
            standing = self.board.stand(cuts)
            found.append((cuts, standing))
            rate = 1.5 / math.sqrt(round_ + 1)
            step = rate * np.clip(level - standing.slack, -2.0, 2.0)
            price = np.clip(price * np.exp(step), 1e-6, _DEAREST_PRICE)
        return found, price

    def start(self) -> FloatArray:
        """Give the prices to begin with."""
        return np.full(len(self.constraints), _PRICE)

    def floored(self, cuts: Cuts) -> list[Cuts]:
        """Raise a policy's thresholds to common floors, higher near protected slices.

        Exact steps spend no hand-off that SEARCH rows do not ask for; floors do, where probability
        says that misses may be, and so hold better on rows that were not searched.
        """
        out = []
        for near, rest in itertools.product(_NEAR_FLOORS, _FLOORS):
            raised = []
            for names, places, cut in zip(self.groups, self.places, cuts, strict=True):
                least = [
                    places.at_least(g, rest if group == "*" else near)
                    for g, group in enumerate(names)
                ]
                raised.append(np.maximum(cut, least))
            out.append(self.board.allowed(raised))
        return out

    def candidate(self, cuts: Cuts, standing: Standing | None = None) -> Candidate:
        """Describe a policy as a candidate."""
        standing = standing or self.board.stand(cuts)
        count = len(self.constraints)
        excess = standing.totals[1 : 1 + count].tolist()
        mass = standing.totals[1 + count :].tolist()
        slack = dict(zip(self.ids, standing.slack.tolist(), strict=True))
        placed = self._placed(cuts)
        margin = {
            name: margin.of(limit + over / judged if judged > _TIE else None, slack[name], placed)
            for name, margin, limit, over, judged in zip(
                self.ids, self.margins, self.limits, excess, mass, strict=True
            )
        }
        thresholds = {
            name: {group: places.threshold(g, int(cut[g])) for g, group in enumerate(names)}
            for name, names, places, cut in zip(
                self.chain.machines, self.groups, self.places, cuts, strict=True
            )
        }
        if self.k and self.kit.person is None:
            # Nobody comes after the last tier: its answer is given, however sure it is.
            last = self.chain.machines[-1]
            thresholds[last] = dict.fromkeys(thresholds[last], 0.0)
        return Candidate(self.chain, thresholds, standing.cost, slack, margin)

    def _blended(self, constraint: Constraint, seen: FloatArray) -> FloatArray:
        """Give each row's loss at each exit: in part what was seen, else what is expected of it.

        A handful of misses on SEARCH rows says little about the next ones; probabilities know of
        every row how near a miss it was. Within an answer group a doubtful answer is expected to
        miss as often, per unit of doubt, as doubtful answers of that group did, drawn towards what
        all answers of the tier did: a group without a miss among few doubts is not free of them.
        """
        if not constraint.objective.needs_labels:
            return seen
        out = seen.copy()
        # Of very many rows nothing has to be expected: they tell.
        few = min(1.0, _FEW_ROWS / max(1.0, self._judging(constraint)))
        trust = 1 - (1 - self.seen) * few
        if trust >= 1:
            return seen
        for tier, (may, group, weighed, doubted) in enumerate(self._doubts()):
            late = self._late(constraint, tier)
            mine = may if late is None else may & ~late
            seen_here = np.where(mine, seen[:, tier], 0.0)
            missed = np.bincount(group, weights=seen_here, minlength=len(doubted))
            overall = missed.sum() / max(float(doubted.sum()), _TIE)
            rate = (missed + _POOLED * overall) / (doubted + _POOLED)
            drawn = trust * seen[:, tier] + (1 - trust) * rate[group] * weighed
            out[:, tier] = np.where(mine, drawn, seen[:, tier])
        return out

    def _doubts(self) -> list[tuple[BoolArray, IntArray, FloatArray, FloatArray]]:
        """Give, tier by tier: rows that it may answer, their groups, their doubt; each group's."""
        if self._doubted is None:
            self._doubted = []
            for tier in range(self.k):
                probability, group = self.sheet.expected(self.chain, tier)
                mine = self.places[tier].level >= 0
                weighed = np.where(mine, 1 - probability, 0.0) * self.sheet.stands_for
                groups = len(self.places[tier].probability)
                doubted = np.bincount(group, weights=weighed, minlength=groups).astype(np.float64)
                self._doubted.append((mine, group, weighed, doubted))
        return self._doubted

    def _late(self, constraint: Constraint, tier: int) -> BoolArray | None:
        """Say which answers of a tier are lost to a joint promise however right they are."""
        if constraint.objective.kind != "joint":
            return None
        took = self.sheet.exits(self.chain).latency_ms[:, tier]
        return np.asarray(~(took <= within_ms(constraint.objective)))

    def _judging(self, constraint: Constraint) -> float:
        """Count the rows that judge at the first exit, each as many as it stands for."""
        return float(self.sheet.stands_for[constraint.counts[:, 0]].sum())

    def _standard_error(self, constraint: Constraint) -> float:
        """Give the standard error of a mean loss at its limit on the rows that will judge it."""
        n = max(1.0, self._judging(constraint) * self.ratio)
        limit = min(max(constraint.limit, 0.0), 1.0)
        spread = limit * (1 - limit)
        if constraint.objective.kind == "cost":
            losses = constraint.loss[constraint.counts]
            # Costs cluster far below their cap.
            spread = min(spread, float(losses.var()) + 1e-8) if losses.size else spread
        error = math.sqrt(max(spread, 1e-12) / n)
        # A cost far below its limit has next to no spread; a twentieth of the limit keeps one unit
        # of its slack comparable to one of the others'.
        return max(error, limit / 20) if constraint.objective.kind == "cost" else error

    def _margin(self, constraint: Constraint) -> Margin:
        level, limit = constraint.objective.confidence_level, constraint.limit
        n = round(self._judging(constraint))
        n_cert = round(n * self.ratio)
        is_share = constraint.is_binary or constraint.person_rate is not None
        if not (is_share and 0 < limit < 1 and n and n_cert):
            return Margin(None, n, n_cert, float(ndtri(level)), 0.0)
        per_threshold = _PER_THRESHOLD / n if constraint.objective.needs_labels else 0.0
        return Margin.of_share(limit, level, n, n_cert, per_threshold)

    def cuts_of(self, candidate: Candidate) -> Cuts:
        """Give the places of a candidate's thresholds."""
        return [
            np.array(
                [
                    places.at_least(g, candidate.thresholds[name][group])
                    for g, group in enumerate(names)
                ]
            )
            for name, names, places in zip(
                self.chain.machines, self.groups, self.places, strict=True
            )
        ]

    def from_thresholds(self, candidate: Candidate) -> tuple[Cuts, Standing]:
        """Give a candidate's policy, found on other rows, on these."""
        cuts = self.board.allowed(self.cuts_of(candidate))
        return cuts, self.board.stand(cuts)

    def placed_of(self, candidate: Candidate) -> int:
        """Count the thresholds of a candidate that let some row pass."""
        return sum(
            0 < threshold <= 1
            for of_tier in candidate.thresholds.values()
            for threshold in of_tier.values()
        )

    def _placed(self, cuts: Cuts) -> int:
        """Count the thresholds that let some row pass."""
        return sum(int((cut < last).sum()) for cut, last in zip(cuts, self.board.last, strict=True))
