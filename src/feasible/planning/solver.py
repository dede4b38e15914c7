"""The Lagrangian of one order of tiers: exact coordinate steps, on SEARCH rows only."""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
from scipy.special import ndtri

from feasible.planning.candidates import Candidate, margin_of
from feasible.planning.chain import (
    NEVER,
    Chain,
    Ingredients,
    exits_of,
    group_names,
    policy_of,
    probabilities,
)
from feasible.planning.constraints import Constraint, constraints, mix_weights
from feasible.planning.polish import Balance, polished
from feasible.schema import BoolArray, FloatArray, IntArray, Profile

__all__ = ["Solver"]

_THRIFT: Final = (0.0, *(0.5 * 3.0**i for i in range(8)), 1e4, 1e6)
"""How much the cost of the dearest exit weighs against one standard error of slack."""
_ROUNDS: Final = 10
_REFINED: Final = 4
_NEAR_FLOORS: Final = (0.0, 0.6, 0.8, 0.9, 0.95)
_FLOORS: Final = (0.0, 0.4, 0.6, 0.8)
_PASSES: Final = 3
_CLIP: Final = 6.0
"""Standard errors beyond which more slack or more shortfall does not matter."""
_TIE: Final = 1e-9
"""Weight of cost that breaks ties towards the cheaper policy."""
_POOLED: Final = 5.0
"""Expected errors at which an answer group's own miss rate weighs as much as the tier's."""
_PER_THRESHOLD: Final = 0.5
"""Misses that a threshold hides on the rows that it was placed on: it stands just above one, and
of fresh rows about one more lies beyond. Half of it, because half of a miss is expected already."""


class Solver:
    """The Lagrangian of one chain on one set of rows."""

    def __init__(self, kit: Ingredients, chain: Chain, profile: Profile, n_cert: int) -> None:
        self.kit, self.chain, self.profile = kit, chain, profile
        self.exits = exits_of(chain, kit, profile)
        self.constraints = constraints(kit.brief, profile, self.exits)
        self.k = len(chain.machines)
        n = len(profile)
        self.ratio = n_cert / n
        self.mix = mix_weights(kit.brief, profile)
        self.cost = np.nan_to_num(self.exits.cost_usd) * self.mix[:, None] / n
        self.answered = profile.answered[:, [profile.tiers.index(t) for t in chain.machines]]
        self.probability = np.full((n, self.k), np.nan)
        self.group = np.zeros((n, self.k), dtype=np.int64)
        for i, name in enumerate(chain.machines):
            self.probability[:, i], self.group[:, i] = probabilities(kit, name, profile)
        self.answered &= ~np.isnan(self.probability) & self.exits.is_open[:, : self.k]
        self.order = [
            [self._sorted(i, g) for g in range(len(group_names(kit, name)))]
            for i, name in enumerate(chain.machines)
        ]
        self.blended = [self._blended(c) for c in self.constraints]
        self.error = [self._standard_error(c, n_cert / n) for c in self.constraints]
        self._balance: Balance | None = None
        # One line per promise, rows and exits laid out flat: adding up is most of the work.
        masses = [(c.counts * c.weight[:, None]).reshape(-1) for c in self.constraints]
        self.mass = np.array(masses).reshape(len(self.constraints), -1)
        self.expected = np.array([loss.reshape(-1) for loss in self.blended])
        self.seen = self.mass * np.array([c.loss.reshape(-1) for c in self.constraints])
        self.dearest = max(float(self.cost.max(initial=0.0)) * n, 1e-12)
        self.scaled = [
            (loss - np.where(c.counts, c.limit, 0.0) * c.weight[:, None])
            / max(1, c.counts[:, 0].sum())
            / error
            for c, error, loss in zip(self.constraints, self.error, self.blended, strict=True)
        ]

    def polish(self, candidate: Candidate, level: float) -> Candidate:
        """Make a candidate cheaper at a level of slack."""
        cuts = [list(candidate.thresholds[name].values()) for name in self.chain.machines]
        return self._candidate(polished(self.balance(), cuts, level))

    def balance(self) -> Balance:
        """Give what every row adds at each exit."""
        if self._balance is None:
            shape = (len(self.constraints), len(self.profile), self.k + 1)
            limits = np.array([[c.limit] for c in self.constraints])
            self._balance = Balance(
                cost=self.cost,
                sums=np.concatenate(
                    [(self.expected - limits * self.mass).reshape(shape), self.mass.reshape(shape)]
                ),
                error=np.array(self.error),
                probability=self.probability,
                group=self.group,
                answered=self.answered,
                order=self.order,
                last_is_open=self.kit.person is not None,
            )
        return self._balance

    def _blended(self, constraint: Constraint) -> FloatArray:
        """Give each row's loss at each exit: half what was seen, half what calibration expects.

        A handful of misses on SEARCH rows says little about the next ones; probabilities know of
        every row how near a miss it was. Within an answer group a doubtful answer is expected to
        miss as often, per unit of doubt, as doubtful answers of that group did, drawn towards what
        all answers of the tier did: a group without a miss among few doubts is not free of them.
        """
        seen = np.where(constraint.counts, constraint.loss, 0.0) * constraint.weight[:, None]
        if constraint.objective.kind != "quality":
            return seen
        out = seen.copy()
        for tier in range(self.k):
            doubt, mine = 1 - self.probability[:, tier], self.answered[:, tier]
            overall = float(seen[mine, tier].sum()) / max(float(doubt[mine].sum()), _TIE)
            for rows in self.order[tier]:
                missed, doubted = float(seen[rows, tier].sum()), float(doubt[rows].sum())
                rate = (missed + _POOLED * overall) / (doubted + _POOLED)
                out[rows, tier] = (seen[rows, tier] + rate * doubt[rows]) / 2
        return out

    def _sorted(self, tier: int, group: int) -> IntArray:
        """Give the rows that a tier answered in a group, surest first."""
        rows = np.flatnonzero(self.answered[:, tier] & (self.group[:, tier] == group))
        return rows[np.argsort(-self.probability[rows, tier], kind="stable")]

    def _standard_error(self, constraint: Constraint, ratio: float) -> float:
        """Give the standard error of a mean loss at its limit on the rows that will judge it."""
        n = max(1.0, float(constraint.counts[:, 0].sum()) * ratio)
        limit = min(max(constraint.limit, 0.0), 1.0)
        spread = limit * (1 - limit)
        if constraint.objective.kind == "cost":
            spread = self._cost_spread(constraint, spread)
        error = math.sqrt(max(spread, 1e-12) / n)
        # A cost far below its limit has next to no spread; a twentieth of the limit keeps one unit
        # of its slack comparable to one of the others'.
        return max(error, limit / 20) if constraint.objective.kind == "cost" else error

    def _margin(self, constraint: Constraint, mean: float, slack: float, placed: int) -> float:
        """Give how likely the rows that certify are to show a promise, as a normal score."""
        level, limit = constraint.objective.confidence_level, constraint.limit
        n = int(constraint.counts[:, 0].sum())
        n_cert = round(n * self.ratio)
        is_share = constraint.is_binary or constraint.person_rate is not None
        if not (is_share and 0 < limit < 1 and n and n_cert and mean >= 0):
            return float(min(slack - ndtri(level), _CLIP))
        if constraint.objective.kind == "quality":
            mean += _PER_THRESHOLD * placed / n
        return margin_of(mean, limit=limit, confidence_level=level, n_search=n, n_cert=n_cert)

    def _placed(self, cuts: list[list[float]]) -> int:
        """Count the thresholds that let some row pass."""
        return sum(
            bool(len(rows) and self.probability[rows[0], tier] >= cut)
            for tier, groups in enumerate(self.order)
            for rows, cut in zip(groups, cuts[tier], strict=True)
        )

    @staticmethod
    def _cost_spread(constraint: Constraint, most: float) -> float:
        """Give a variance for costs, which cluster far below their cap."""
        losses = constraint.loss[constraint.counts]
        return min(most, float(losses.var()) + 1e-8) if losses.size else most

    def family(self, *, for_slack: bool = False) -> list[Candidate]:
        """Give the candidates of this chain, from the safest to the cheapest."""
        if not self.k:
            return [self._candidate([])]
        if for_slack:
            return self._play(0.0)
        out: list[Candidate] = []
        for thrift in _THRIFT:
            out.extend(self._play(thrift))
        best = sorted(out, key=lambda c: -c.least_slack)[:_REFINED]
        for candidate in best:
            out.extend(self._floored(candidate))
        return out

    def _floored(self, candidate: Candidate) -> list[Candidate]:
        """Raise a candidate's thresholds to common floors, higher near protected slices.

        Exact steps spend no hand-off that SEARCH rows do not ask for; floors do, where probability
        says that misses may be, and so hold better on rows that were not searched.
        """
        names = [group_names(self.kit, name) for name in self.chain.machines]
        out = []
        for near, rest in itertools.product(_NEAR_FLOORS, _FLOORS):
            cuts = [
                [
                    max(candidate.thresholds[tier][group], rest if group == "*" else near)
                    for group in groups
                ]
                for tier, groups in zip(self.chain.machines, names, strict=True)
            ]
            out.append(self._candidate(cuts))
        return out

    def _play(self, thrift: float) -> list[Candidate]:
        """Raise the least slack: weights move to whichever promise is nearest to its limit.

        This is the multiplicative-weights game between the policy, which answers the present
        weights exactly, and the weights (Freund and Schapire 1999); with thrift 0 it converges to
        the policy whose least standardised slack is largest.
        """
        out: list[Candidate] = []
        cuts = [[NEVER] * len(groups) for groups in self.order]
        log_weight = np.zeros(len(self.constraints))
        for round_ in range(_ROUNDS):
            weight = np.exp(log_weight - log_weight.max())
            cuts = self._solve(thrift, weight / weight.sum(), cuts)
            candidate = self._candidate(cuts)
            out.append(candidate)
            slack = np.array([candidate.slack[c.id] for c in self.constraints])
            if len(self.constraints) == 1:
                break  # one promise has one weight
            rate = 1.5 / math.sqrt(round_ + 1)
            log_weight -= rate * np.clip(slack, -_CLIP, _CLIP)
        return out

    def _solve(
        self, thrift: float, weight: FloatArray, cuts: list[list[float]]
    ) -> list[list[float]]:
        """Set every threshold in turn to its best value while the others stand."""
        value = (thrift / self.dearest + _TIE) * self.cost
        for w, scaled in zip(weight, self.scaled, strict=True):
            value += w * scaled
        rows = np.arange(len(self.profile))
        for _ in range(_PASSES):
            before = [list(groups) for groups in cuts]
            reach = self._reach(cuts)
            later = np.full(len(rows), self.k)
            for tier in range(self.k - 1, -1, -1):
                gain = value[:, tier] - value[rows, later]
                for group, order in enumerate(self.order[tier]):
                    cuts[tier][group] = self._cut(tier, order, gain, reach[:, tier])
                accepted = self._accepted(tier, cuts[tier])
                later = np.where(accepted, tier, later)
            if cuts == before:
                break
        return [list(groups) for groups in cuts]

    def _cut(self, tier: int, order: IntArray, gain: FloatArray, reach: BoolArray) -> float:
        """Give the threshold that minimises the sum of gains of the rows above it."""
        rows = order[reach[order]]
        if not len(rows):
            return NEVER
        total = np.cumsum(gain[rows])
        p = self.probability[rows, tier]
        is_edge = np.append(p[1:] < p[:-1], True)  # rows that tie are accepted together
        total = np.where(is_edge, total, np.inf)
        best = int(np.argmin(total))
        return float(p[best]) if total[best] < 0 else NEVER

    def _accepted(self, tier: int, cuts: list[float]) -> BoolArray:
        threshold = np.array(cuts)[self.group[:, tier]]
        return np.asarray(self.answered[:, tier] & (self.probability[:, tier] >= threshold))

    def _reach(self, cuts: list[list[float]]) -> BoolArray:
        """Say which rows reach each tier under the present thresholds."""
        reach = np.ones((len(self.profile), self.k), dtype=np.bool_)
        for tier in range(1, self.k):
            reach[:, tier] = reach[:, tier - 1] & ~self._accepted(tier - 1, cuts[tier - 1])
        return reach

    def _candidate(self, cuts: list[list[float]]) -> Candidate:
        if self.k and self.kit.person is None:
            # Nobody comes after the last tier: its answer is given, however sure it is.
            cuts = [*cuts[:-1], [0.0] * len(cuts[-1])]
        exit_of_row = np.full(len(self.profile), self.k)
        for tier in range(self.k - 1, -1, -1):
            exit_of_row = np.where(self._accepted(tier, cuts[tier]), tier, exit_of_row)
        thresholds = {
            name: dict(zip(group_names(self.kit, name), groups, strict=True))
            for name, groups in zip(self.chain.machines, cuts, strict=True)
        }
        at = np.arange(len(exit_of_row)) * (self.k + 1) + exit_of_row
        mass = self.mass.take(at, axis=1).sum(axis=1)
        seen, blended = (table.take(at, axis=1).sum(axis=1) for table in (self.seen, self.expected))
        value: dict[str, float | None] = {}
        slack: dict[str, float] = {}
        margin: dict[str, float] = {}
        placed = self._placed(cuts)
        for i, c in enumerate(self.constraints):
            value[c.id] = float(seen[i] / mass[i]) if mass[i] else None
            mean = float(blended[i] / mass[i]) if mass[i] else -math.inf
            slack[c.id] = (c.limit - mean) / self.error[i]
            margin[c.id] = self._margin(c, mean, slack[c.id], placed)
        cost = float(self.cost.reshape(-1).take(at).sum())
        policy = policy_of(self.chain, self.kit, thresholds)
        return Candidate(self.chain, thresholds, policy, cost, slack, value, margin)
