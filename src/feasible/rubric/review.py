"""Judge a design by its brief alone, before anything is built."""

from __future__ import annotations

from datetime import date
from typing import Final

from feasible.clock import SystemClock
from feasible.rubric.bottleneck import DRAWS, guess_bottleneck
from feasible.rubric.criteria import gaps, judge_criteria
from feasible.rubric.feasibility import screen
from feasible.rubric.lints_bottleneck import lint_bottleneck
from feasible.rubric.lints_design import lint_design
from feasible.rubric.lints_promises import lint_promises
from feasible.rubric.records import Finding, Review, Risk, Verdict
from feasible.schema import BriefFile

__all__ = ["review"]

_READY: Final = 0.85  # share of the points that a brief can show
_ORDER: Final = {Risk.HIGH: 0, Risk.MEDIUM: 1, Risk.LOW: 2}


def review(
    found: BriefFile, *, today: date | None = None, draws: int = DRAWS, seed: int = 0
) -> Review:
    """Judge a brief: points with their evidence, findings with their mend, a first bottleneck.

    Nothing is scored that was not checked: what takes a plan or a simulation has no points yet.

    Args:
        found: The brief with its places.
        today: Day from which label dates are counted; None for today in UTC.
        draws: Draws from the brief's ranges. Count.
        seed: Makes the draws repeatable.
    """
    today = SystemClock().now().date() if today is None else today
    guess = guess_bottleneck(found.brief, draws=draws, seed=seed)
    first = [*lint_promises(found, today=today), *lint_design(found), *screen(found)]
    criteria = judge_criteria(found, tuple(first), today=today)
    rest = [*gaps(found, tuple(first), today=today), *lint_bottleneck(found, guess)]
    findings = tuple(sorted([*first, *rest], key=lambda f: (_ORDER[f.risk], _line(f), f.id)))
    points = sum(c.points for c in criteria if c.points is not None)
    checkable = sum(c.checkable for c in criteria)
    return Review(
        name=found.brief.name,
        score=round(100 * points / checkable),
        verdict=_verdict(findings, points / checkable),
        points=points,
        checkable=checkable,
        criteria=criteria,
        findings=findings,
        bottleneck=guess,
    )


def _line(finding: Finding) -> int:
    return int(finding.where.rpartition(":")[2])


def _verdict(findings: tuple[Finding, ...], share: float) -> Verdict:
    risks = {finding.risk for finding in findings}
    if Risk.HIGH in risks:
        return Verdict.NOT_READY
    return Verdict.NEEDS_WORK if Risk.MEDIUM in risks or share < _READY else Verdict.READY
