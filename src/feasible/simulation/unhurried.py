"""What happens to each row when nothing waits and nothing fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feasible.cascade import route_rows
from feasible.schema import BoolArray, IntArray, TierKind
from feasible.simulation.design import Design

__all__ = ["Unhurried", "unhurried"]


@dataclass(frozen=True, slots=True)
class Unhurried:
    """Where rows end at no load. Arrays of shape (n_rows,) but for `asked`.

    Attributes:
        answered_by: Position whose answer is given, the fallback's included; -1: nobody.
        is_remembered: Whether a cache remembers the answer: a machine gave it, and not in another's
            place.
        asked: shape (n_rows, n_steps). Whether each step is asked.
    """

    answered_by: IntArray
    is_remembered: BoolArray
    asked: BoolArray


def unhurried(design: Design) -> Unhurried:
    """Say where each row of a design ends at no load."""
    routed = route_rows(design.policy, design.cases.table)
    position = routed.position
    people = [k for k, s in enumerate(design.policy.steps) if s.kind is TierKind.PERSON]
    return Unhurried(
        np.where(position >= 0, position, np.asarray(design.cases.fallback)),
        (position >= 0) & ~np.isin(position, people),
        routed.asked,
    )
