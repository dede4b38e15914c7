"""The whole score of a design: its brief, a trial of it under load, and what was said when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from feasible.rubric.records import Review
from feasible.rubric.review import review
from feasible.rubric.spoken import Said
from feasible.schema import BriefFile
from feasible.simulation import Asked

__all__ = ["score"]


def score(
    found: BriefFile,
    *,
    events: Sequence[Said] = (),
    asked: Asked | None = None,
    today: date | None = None,
    seed: int = 0,
) -> Review:
    """Judge a design by everything that can be checked of it.

    Args:
        found: The brief with its places; `spoken(brief)` for one that nobody wrote down.
        events: What was said when, in an interview.
        asked: The planned design; None: the design that the brief states.
        today: Day from which label dates are counted; None for today in UTC.
        seed: Makes every draw repeatable.
    """
    del asked  # the trial under load is run by the caller until it is part of this
    return review(found, events=events, today=today, seed=seed)
