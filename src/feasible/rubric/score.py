"""The whole score of a design: its brief, what binds it, and what was said when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from feasible.rubric.named import judge_bottleneck, judge_fix
from feasible.rubric.records import Review
from feasible.rubric.review import review
from feasible.rubric.spoken import Said
from feasible.schema import BriefFile
from feasible.simulation import Simulated

__all__ = ["score"]


def score(
    found: BriefFile,
    *,
    events: Sequence[Said] = (),
    simulated: Simulated | None = None,
    today: date | None = None,
    seed: int = 0,
) -> Review:
    """Judge a design by everything that can be checked of it.

    Args:
        found: The brief with its places; `spoken(brief)` for one that nobody wrote down.
        events: What was said when, in an interview.
        simulated: The breakpoint report of its plan, when there is one; the closed forms over the
            brief's own numbers otherwise.
        today: Day from which label dates are counted; None for today in UTC.
        seed: Makes every draw repeatable.
    """
    weighed = (
        judge_bottleneck(found.brief, simulated=simulated, seed=seed),
        judge_fix(found.brief),
    )
    return review(found, events=events, weighed=weighed, today=today, seed=seed)
