"""Rows as the search and the certificate look at them: worked out once, shared by all chains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from feasible.cascade import (
    FELL_BACK,
    HeardAll,
    Policy,
    Table,
    foresee_all,
    judged_all,
    route_rows,
    until_all,
    until_of,
)
from feasible.planning.chain import (
    NEVER,
    Chain,
    Ingredients,
    exits_of,
    group_names,
    labelled_rows,
    machines_only,
    policy_of,
    probabilities,
)
from feasible.planning.constraint import Constraint, Exits, positives_of
from feasible.planning.entities import EntitySize
from feasible.planning.yardstick import Yardstick
from feasible.schema import DEFAULT_GROUP, BoolArray, FloatArray, IntArray, Profile

__all__ = ["Places", "Sheet"]

Thresholds: TypeAlias = Mapping[str, Mapping[str, float]]

_MOST_PLACES: Final = 256
"""Thresholds of one tier and answer group that are tried, evenly spread over its rows."""
_RARE: Final = 0.05
"""Share of the rows below which a slice or class keeps every row it has."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the thresholds of one tier may stand, and where its rows stand between them.

    Attributes:
        probability: Group -> probabilities, rising: an answer is given at or above one of them.
        level: shape (n_rows,). The highest of its group's places that a row reaches; -1 for a row
            whose answer cannot be given.
        group: shape (n_rows,). Index of the answer's group.
    """

    probability: tuple[FloatArray, ...]
    level: IntArray
    group: IntArray

    @property
    def width(self) -> int:
        """Give the number of places of the group that has most."""
        return max(len(found) for found in self.probability)

    def threshold(self, group: int, place: int) -> float:
        """Give the probability at a place; above the last one nothing is accepted."""
        found = self.probability[group]
        return float(found[place]) if place < len(found) else NEVER

    def at_least(self, group: int, probability: float) -> int:
        """Give the lowest place that is at or above a probability."""
        return int(np.searchsorted(self.probability[group], probability))


class Sheet:
    """One set of rows, with everything that does not depend on the policy.

    Args:
        kit: What plans are made of.
        profile: The rows.
        stands_for: shape (n_rows,). Rows that each row stands for, where only some of many are
            here; 1 when absent.
        foreseen: Tier -> what a router that did not see a row foresees of it, shape (n_rows,); the
            kit's router is asked when absent.
        sizes: Objective id -> how large an entity may be, known from other rows.
        least: Smallest chance with which a label was asked for, known from other rows.
    """

    def __init__(
        self,
        kit: Ingredients,
        profile: Profile,
        *,
        stands_for: FloatArray | None = None,
        foreseen: Mapping[str, FloatArray] | None = None,
        sizes: Mapping[str, EntitySize] | None = None,
        least: float | None = None,
    ) -> None:
        self.kit, self.profile, self.foreseen = kit, profile, foreseen
        self.sizes, self.least = sizes, least
        self.labelled = labelled_rows(kit, profile)
        self.yardstick = Yardstick(
            kit.brief, profile, self.labelled, stands_for=stands_for, sizes=sizes, least=least
        )
        self._places: dict[str, Places] = {}
        self._scores: dict[str, tuple[FloatArray, IntArray]] = {}
        self._said: dict[str, HeardAll] = {}
        self._exits: dict[tuple[Chain, str], Exits] = {}
        self._policies: dict[Chain, Policy] = {}
        self._constraints: dict[int, tuple[Constraint, ...]] = {}

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.profile)

    @property
    def stands_for(self) -> FloatArray:
        """Give how many rows each row stands for, shape (n_rows,)."""
        return self.yardstick.stands_for

    @property
    def mix(self) -> FloatArray:
        """Give the weight of each row in a mean over all traffic, shape (n_rows,)."""
        return self.yardstick.every

    def some(self, rows: IntArray, *, stands_for: FloatArray) -> Sheet:
        """Give the sheet of some rows, each standing for so many."""
        seen = self.foreseen
        known = None if seen is None else {name: p[rows] for name, p in seen.items()}
        part = self.profile.take(rows)
        return Sheet(
            self.kit,
            part,
            stands_for=stands_for,
            foreseen=known,
            sizes=self.sizes,
            least=self.least,
        )

    def under(self, kit: Ingredients) -> Sheet:
        """Give the same rows under another brief."""
        return Sheet(
            kit,
            self.profile,
            stands_for=self.stands_for,
            foreseen=self.foreseen,
            sizes=self.sizes,
            least=self.least,
        )

    def rare(self) -> list[BoolArray]:
        """Give the rows of each slice, and of each class with a promise, that has few."""
        found = [*self.profile.slices.values()]
        found += [
            positives_of(objective, self.profile)
            for objective in self.kit.brief.envelope
            if objective.kind == "quality" and objective.of is not None
        ]
        return [member for member in found if 0 < member.mean() < _RARE]

    def exits(self, chain: Chain, thresholds: Thresholds | None = None) -> Exits:
        """Say what every row would get at every exit of a chain.

        Args:
            chain: The order of tiers.
            thresholds: Tier -> group -> threshold, where they are known: a gated tier that is asked
                and fails takes time and money, and one that is not asked does not.
        """
        key = chain, ""
        if thresholds is not None and self._gates_fail(chain):
            key = chain, str(thresholds)
        if key not in self._exits:
            gates = None
            if key[1] and thresholds is not None:
                table = self._table(chain, thresholds)
                gates = table.probability >= table.threshold
            self._exits[key] = exits_of(
                chain,
                self.kit,
                self.profile,
                labelled=self.labelled,
                policy=self.policy(chain),
                gates=gates,
            )
        return self._exits[key]

    def _gates_fail(self, chain: Chain) -> bool:
        """Claim that some row's call of a gated tier gives no answer."""
        gated = [k for k in range(len(chain.machines)) if self.is_gated(chain, k)]
        return bool(gated) and not self.exits(chain).is_open[:, gated].all()

    def constraints(
        self, chain: Chain, thresholds: Thresholds | None = None
    ) -> tuple[Constraint, ...]:
        """Give every promise as losses at the exits of a chain; see `exits`."""
        exits = self.exits(chain, thresholds)
        found = self._constraints.get(id(exits))
        if found is None:
            found = self._constraints[id(exits)] = self.yardstick.constraints(exits)
        return found

    def policy(self, chain: Chain) -> Policy:
        """Give the table of a chain but for its thresholds, which are looked up row by row."""
        if chain not in self._policies:
            never = {name: {DEFAULT_GROUP: NEVER} for name in chain.machines}
            self._policies[chain] = policy_of(chain, self.kit, never)
        return self._policies[chain]

    def leaves(self, chain: Chain, thresholds: Thresholds) -> IntArray:
        """Route every row and give its exit; a row that fell back leaves by the last exit.

        Returns:
            shape (n_rows,), 0 <= exit <= number of machines.
        """
        machines = machines_only(self.policy(chain))
        position = route_rows(machines, self._table(chain, thresholds)).position
        return np.where(position == FELL_BACK, len(chain.machines), position)

    def _table(self, chain: Chain, thresholds: Thresholds) -> Table:
        """Say what every machine of a chain would do with every row."""
        columns = [self.profile.tiers.index(name) for name in chain.machines]
        shape = (len(self), len(columns))
        probability, threshold = np.empty(shape), np.empty(shape)
        for k, name in enumerate(chain.machines):
            probability[:, k], group = self.scores(chain, k)
            names, given = self.groups(chain, k), thresholds[name]
            threshold[:, k] = np.array([given.get(g, given[DEFAULT_GROUP]) for g in names])[group]
        return Table(
            answered=self.profile.answered[:, columns],
            probability=probability,
            threshold=threshold,
            latency_ms=self.profile.latency_ms[:, columns],
            cost_usd=self.profile.cost_usd[:, columns],
            until_ms=until_all(self.policy(chain), self.profile.slices)[0],
        )

    def is_gated(self, chain: Chain, place: int) -> bool:
        """Claim that a tier of a chain is asked only where enough is foreseen of it."""
        return chain.is_gated(place, with_person=self.kit.person is not None)

    def groups(self, chain: Chain, place: int) -> tuple[str, ...]:
        """Give the answer groups of a tier's thresholds: one before it is asked."""
        if self.is_gated(chain, place):
            return (DEFAULT_GROUP,)
        return group_names(self.kit, chain.machines[place])

    def scores(self, chain: Chain, place: int) -> tuple[FloatArray, IntArray]:
        """Give what the thresholds of a tier stand on, and the group of each answer.

        Returns:
            shape (n_rows,) probabilities, NaN without one; shape (n_rows,) indices into `groups`.
        """
        key = self._key(chain, place)
        if key not in self._scores:
            self._scores[key] = self._scored(chain, place)
        return self._scores[key]

    def expected(self, chain: Chain, place: int) -> tuple[FloatArray, IntArray]:
        """Give how likely a tier is to be right, by what is known before it is asked.

        Unlike `scores`, the last tier of a routed chain, which is not gated, is foreseen too.
        """
        scores = self.kit.scores
        name = chain.machines[place]
        if chain.by != "router" or scores is None or scores.router is None:
            return self.scores(chain, place)
        if name not in scores.router.offset:
            return self.scores(chain, place)
        return self.scores(replace(chain, machines=(*chain.machines[: place + 1], "")), place)

    def _key(self, chain: Chain, place: int) -> str:
        """Name what scores depend on: chains that share it share the scores."""
        if self.is_gated(chain, place):
            return f"router {chain.machines[place]}"
        if chain.by in {"score", "router"} or (chain.by == "posterior" and place == 0):
            return f"score {chain.machines[place]}"
        upto = place + 2 if chain.by == "gain" else place + 1
        # Who is heard depends on time, and so on what is kept back for the fallback.
        policy = self.policy(chain)
        until = [
            until_of(policy, name, policy.deadline_ms or 0.0) for name in policy.fallback.values()
        ]
        return f"{chain.by} {place} {' '.join(chain.machines[:upto])} {until}"

    def own(self, name: str) -> tuple[FloatArray, IntArray]:
        """Give a tier's probabilities from its scores alone, and the group of each answer."""
        key = f"score {name}"
        if key not in self._scores:
            self._scores[key] = probabilities(self.kit, name, self.profile)
        return self._scores[key]

    def _scored(self, chain: Chain, place: int) -> tuple[FloatArray, IntArray]:
        name = chain.machines[place]
        if self.is_gated(chain, place):
            if self.foreseen is None:
                router = None if self.kit.scores is None else self.kit.scores.router
                self.foreseen = foresee_all(router, self.profile)
            unknown = np.full(len(self), np.nan)
            return self.foreseen.get(name, unknown), np.zeros(len(self), dtype=np.int64)
        group = self.own(name)[1]
        step = self.policy(chain)
        is_open = self.exits(chain).is_open
        heard = [
            self._heard(other, is_open[:, at])
            for at, other in enumerate(chain.machines[: place + 1])
        ]
        earlier = dict(zip(chain.machines[:place], heard, strict=False))
        names = group_names(self.kit, name)
        return judged_all(step.steps[place], heard[place], group, names, earlier), group

    def _heard(self, name: str, is_open: BoolArray) -> HeardAll:
        """Give what a tier said where it was heard: log odds are worked out once for all chains."""
        if name not in self._said:
            column = self.profile.tiers.index(name)
            self._said[name] = HeardAll(
                self.profile.answered[:, column],
                self.profile.answer_class[:, column],
                self.own(name)[0],
            )
        said = self._said[name]
        if np.array_equal(is_open, said.answered):
            return said
        return HeardAll(is_open, said.value, said.probability)

    def places(self, chain: Chain, place: int) -> Places:
        """Give where the thresholds of a tier may stand."""
        key = self._key(chain, place)
        if key not in self._places:
            probability, group = self.scores(chain, place)
            column = self.profile.tiers.index(chain.machines[place])
            usable = self.profile.answered[:, column] & ~np.isnan(probability)
            groups = len(self.groups(chain, place))
            self._places[key] = _places(probability, group, usable, groups)
        return self._places[key]


def _places(probability: FloatArray, group: IntArray, usable: BoolArray, groups: int) -> Places:
    level = np.full(len(probability), -1, dtype=np.int64)
    found = []
    for index in range(groups):
        rows = np.flatnonzero(usable & (group == index))
        values = np.sort(probability[rows])
        is_new = np.concatenate([[True], values[1:] > values[:-1]])[: len(values)]
        distinct = values[is_new]
        if len(distinct) > _MOST_PLACES:
            # Evenly over the rows, so that every step moves as many of them.
            at = np.linspace(0, len(values) - 1, _MOST_PLACES).round().astype(np.int64)
            distinct = np.unique(values[at])
        found.append(distinct)
        level[rows] = np.searchsorted(distinct, probability[rows], side="right") - 1
    return Places(tuple(found), level, group)
