"""Right and in time at once: which answers are lost to a joint promise however right they are."""

from __future__ import annotations

import math

import numpy as np

from feasible.schema import BoolArray, Brief, FloatArray, Objective, TierKind

__all__ = ["late_answers", "person_ms", "within_ms"]


def late_answers(
    brief: Brief, objective: Objective, *, latency_ms: FloatArray, is_person: BoolArray
) -> BoolArray:
    """Say which answers come later than a joint promise wants them, or at an unknown time.

    Args:
        brief: The declaration.
        objective: The promise; nothing is late for one that is not joint.
        latency_ms: Time to the reply; to the acknowledgement, where a person answers. NaN: unknown.
        is_person: Whether a person answers; of the same shape.
    """
    if objective.within is None:
        return np.zeros(latency_ms.shape, dtype=np.bool_)
    more = np.where(is_person, person_ms(brief), 0.0)
    return np.asarray(~(latency_ms + more <= within_ms(objective)))


def within_ms(objective: Objective) -> float:
    """Give the time within which a joint promise wants its answer. Milliseconds."""
    return math.inf if objective.within is None else objective.within.mid * 1e3


def person_ms(brief: Brief) -> float:
    """Give the time from a hand-off to a person's answer; infinite where none is declared.

    A hand-off is acknowledged at once, which says nothing about when the answer is there.
    """
    person = next((t for t in brief.layers.tiers if t.kind is TierKind.PERSON), None)
    if person is None or person.answer_within is None:
        return math.inf
    return person.answer_within.mid * 1e3
