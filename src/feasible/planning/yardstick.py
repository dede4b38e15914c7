"""What rows are judged by, worked out once for all chains: weights, entities, slices, chances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from feasible.planning.constraint import Constraint, Exits, constraint_of, could_judge
from feasible.planning.entities import EntitySize, blocks_of, capped, size_of, units_of
from feasible.planning.labels import audit_weight
from feasible.planning.traffic_mix import Mix, levelled, mix_weights, rows_each
from feasible.schema import BoolArray, Brief, FloatArray, Objective, Profile

__all__ = ["Yardstick", "constraints", "entity_sizes"]

_JUDGED_KINDS: Final = ("latency", "cost", "quality", "joint", "abstention", "people")


def constraints(brief: Brief, profile: Profile, exits: Exits) -> tuple[Constraint, ...]:
    """Turn every objective that rows can judge into losses.

    Raises:
        DataError: An objective is a number a day and the brief gives no traffic rate.
    """
    return Yardstick(brief, profile, exits.labelled).constraints(exits)


class Yardstick:
    """What rows are judged by, worked out once for all chains: weights, entities, slices.

    Args:
        brief: The declaration.
        profile: The rows.
        labelled: shape (n_rows,). Whether the row may judge quality.
        stands_for: shape (n_rows,). Rows that each row stands for, where only some of many are
            looked at; 1 when absent.
        sizes: Objective id -> how large an entity may be, known from other rows.
        least: Smallest chance with which a label was asked for, known from other rows.
    """

    def __init__(
        self,
        brief: Brief,
        profile: Profile,
        labelled: BoolArray,
        *,
        stands_for: FloatArray | None = None,
        sizes: Mapping[str, EntitySize] | None = None,
        least: float | None = None,
    ) -> None:
        self.brief, self.profile = brief, profile
        ones = np.ones(len(profile))
        self.stands_for = ones if stands_for is None else stands_for
        self.every = mix_weights(brief, profile, stands_for=stands_for)
        self.audit = audit_weight(profile, least)
        self.asked = self.stands_for * rows_each(self.audit, labelled)
        self.labelled = mix_weights(brief, profile, among=labelled, stands_for=self.asked)
        self.block = blocks_of(profile)
        self.unit = units_of(profile) if sizes else None
        self.kept = self._kept(labelled, sizes or {})
        self.mix = Mix.of(brief, profile, np.ones(len(profile), dtype=np.bool_))
        self.mix_labelled = Mix.of(brief, profile, labelled)

    def constraints(self, exits: Exits) -> tuple[Constraint, ...]:
        """Turn every objective that rows can judge into losses at the exits of one chain."""
        found = [
            self._constraint(objective, exits)
            for objective in self.brief.envelope
            if objective.kind in _JUDGED_KINDS
        ]
        return tuple(self._of_traffic(self._by_chance(self._in_blocks(one))) for one in found)

    def _constraint(self, objective: Objective, exits: Exits) -> Constraint:
        mix = self.labelled if objective.needs_labels else self.every
        if objective.on is not None:
            mix = self.asked if objective.needs_labels else self.stands_for
        return constraint_of(self.brief, objective, self.profile, exits, mix)

    def _by_chance(self, found: Constraint) -> Constraint:
        """Say how much a row could weigh whose label was asked for with the least chance."""
        judging = found.counts.any(axis=1)
        if self.audit is None or not found.objective.needs_labels or not judging.any():
            return found
        heaviest = float((found.weight[judging] / self.audit[judging]).max())
        return replace(found, heaviest=heaviest)

    def _of_traffic(self, found: Constraint) -> Constraint:
        """Name the declared slices that nothing is shown of.

        What a row costs and takes is shown of the traffic that the rows know; whether answers are
        right is not shown of all traffic while any of it is unknown.
        """
        if found.objective.on is not None:
            return found
        if found.objective.needs_labels:
            missing = (*self.mix_labelled.missing, *self.mix_labelled.unknown)
            return replace(found, unseen=missing) if missing else found
        if not self.mix.missing and not self.mix.unknown:
            return found
        return replace(found, unseen=self.mix.missing, without=self.mix.unknown)

    def _in_blocks(self, found: Constraint) -> Constraint:
        """Put rows of one entity together, at most as many as an entity may have."""
        objective = found.objective
        if objective.id not in self.kept:
            return found if self.block is None else replace(found, block=self.block)
        kept, size = self.kept[objective.id]
        counts, weight = found.counts & kept[:, None], found.weight
        if size.larger and objective.on is None:
            many = self.asked if objective.needs_labels else self.stands_for
            weight = mix_weights(self.brief, self.profile, among=kept, stands_for=many)
            weight = levelled(weight, counts)
        block = self.unit if size.most > 1 else None
        return replace(found, counts=counts, weight=weight, block=block, size=size)

    def _kept(
        self, labelled: BoolArray, sizes: Mapping[str, EntitySize]
    ) -> dict[str, tuple[BoolArray, EntitySize]]:
        """Say, per promise, which rows judge where an entity may have only so many."""
        if self.unit is None:
            return {}
        return {
            o.id: capped(
                self.profile, self.unit, could_judge(o, self.profile, labelled), sizes[o.id]
            )
            for o in self.brief.envelope
            if o.id in sizes
        }


def entity_sizes(brief: Brief, profile: Profile, labelled: BoolArray) -> dict[str, EntitySize]:
    """Measure, per promise, the entities of rows that do not certify.

    Args:
        brief: The declaration.
        profile: FIT and SEARCH rows, with their entities.
        labelled: shape (n_rows,). Whether the row may judge quality.

    Returns:
        Objective id -> sizes; empty where rows carry no entity.
    """
    block = units_of(profile)
    if block is None:
        return {}
    return {
        objective.id: size_of(block, could_judge(objective, profile, labelled))
        for objective in brief.envelope
    }
