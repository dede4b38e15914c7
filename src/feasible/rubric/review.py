"""Judge a design: by its brief, by what was found of it, and by what was said when."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from feasible.clock import SystemClock
from feasible.rubric.bottleneck import DRAWS, guess_bottleneck
from feasible.rubric.criteria import gaps, judge_criteria, lost_points
from feasible.rubric.feasibility import screen
from feasible.rubric.held import Check
from feasible.rubric.lens import Lens, ask
from feasible.rubric.lints_bottleneck import lint_bottleneck, lint_depth
from feasible.rubric.lints_design import lint_design
from feasible.rubric.lints_promises import lint_promises
from feasible.rubric.mend import with_gains
from feasible.rubric.records import Criterion, Finding, Review, Risk, Verdict
from feasible.rubric.spoken import Said, clock_findings, is_late, overruns
from feasible.rubric.waivers import Waiver, waived
from feasible.schema import BriefFile

__all__ = ["review"]

_READY: Final = 0.85  # share of the points that could be checked
_LATE_CAP: Final = 70
_WHOLE: Final = 100
_LEAST: Final = {"R5": 10, "R6": 8}
"""With fewer points of the bottleneck or of its cost no design is ready."""
_MEND: Final = {
    "R5": ("bottleneck.knob", "name the knob that moves it most, or `none` where none does"),
    "R6": (
        "bottleneck.fix",
        "`sets:` what it turns, `gains:` what that buys, a price that holds, `breaks_next:`",
    ),
}
"""Where a lost criterion is mended, and how."""
_ORDER: Final = {Risk.HIGH: 0, Risk.MEDIUM: 1, Risk.LOW: 2}


def review(
    found: BriefFile,
    *,
    events: Sequence[Said] = (),
    weighed: Sequence[Criterion] = (),
    checks: Sequence[Check] = (),
    lenses: Sequence[Lens] = (),
    waivers: tuple[Waiver, ...] = (),
    today: date | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Review:
    """Judge a brief: points with their evidence, findings with their mend, a first bottleneck.

    Nothing is scored that was not checked: what takes a plan or a simulation has no points yet.

    Args:
        found: The brief with its places.
        events: What was said when, of a design that was spoken: the clock is judged too, and what
            was not said is not there.
        weighed: Criteria that take more than the brief; they stand in place of the unchecked ones.
        checks: What a simulation says of layers, failures and the tradeoff.
        lenses: The team's own questions.
        waivers: Findings that are accepted.
        today: Day from which label dates are counted; None for today in UTC.
        draws: Draws from the brief's ranges. Count.
        seed: Makes the draws repeatable.
    """
    today = SystemClock().now().date() if today is None else today
    guess = guess_bottleneck(found.brief, draws=draws, seed=seed)
    first = [
        *clock_findings(found, events),
        *lint_promises(found, today=today),
        *lint_design(found),
        *screen(found),
    ]
    criteria = judge_criteria(
        found, tuple(first), today=today, is_late=is_late(found.brief, events), checks=checks
    )
    instead = {criterion.id: criterion for criterion in weighed}
    criteria = tuple(instead.get(criterion.id, criterion) for criterion in criteria)
    rest = [
        *gaps(found, tuple(first), today=today, checks=checks),
        *lint_bottleneck(found, guess),
        *lint_depth(found, guess),
    ]
    asked = {lens.lens: list(ask(found, lens)) for lens in lenses}
    every = (*first, *rest, *_lost(found, weighed), *(f for own in asked.values() for f in own))
    lost = lost_points(found, tuple(first), today=today, checks=checks)
    lost |= {c.id: {c.id: c.checkable - c.points} for c in weighed if c.points is not None}
    every = waived(with_gains(found, every, lost, guess), waivers, today=today)
    findings = tuple(sorted(every, key=lambda f: (_ORDER[f.risk], _line(f), f.id)))
    points = sum(c.points for c in criteria if c.points is not None)
    checkable = _WHOLE if events else sum(c.checkable for c in criteria)
    score, caps = _capped(round(100 * points / checkable), found, events)
    short = [
        c.id
        for c in weighed
        if c.points is not None and c.points < _LEAST[c.id] and c.checkable >= _LEAST[c.id]
    ]
    caps = (*caps, *(f"at most `needs work`: {name} is too low" for name in short))
    return Review(
        name=found.brief.name,
        score=score,
        verdict=_verdict(findings, 0 if short else score),
        points=points,
        checkable=checkable,
        criteria=criteria,
        findings=findings,
        bottleneck=guess,
        lenses=tuple(
            f"{lens.lens}: {len(lens.questions)} questions, {len(asked[lens.lens])} findings"
            for lens in lenses
        ),
        caps=caps,
    )


def _lost(found: BriefFile, weighed: Sequence[Criterion]) -> list[Finding]:
    """Give a finding for a bottleneck that is not the one, or a fix that is not worth its cost.

    It is MEDIUM where so few points are left that no design is ready, and LOW otherwise.
    """
    out = []
    for criterion in weighed:
        at, fix = _MEND[criterion.id]
        if criterion.points is None or found.brief.bottleneck is None:
            continue
        if criterion.points < criterion.checkable:
            least = _LEAST[criterion.id]
            is_grave = criterion.points < least <= criterion.checkable
            said = [s.removeprefix("+0 ") for s in criterion.evidence if s.startswith("+0 ")]
            out.append(
                Finding(
                    id=criterion.id,
                    risk=Risk.MEDIUM if is_grave else Risk.LOW,
                    where=found.where(at),
                    why="; ".join(said or criterion.evidence),
                    fix=fix,
                )
            )
    return out


def _line(finding: Finding) -> tuple[int, ...]:
    """Give the line, or minute and second, of a finding."""
    return tuple(map(int, re.findall(r"\d+", finding.where.partition(":")[2])))


def _capped(score: int, found: BriefFile, events: Sequence[Said]) -> tuple[int, tuple[str, ...]]:
    """Take off what the clock costs, and say why."""
    caps = []
    over = overruns(events)
    if over:
        score = max(score - len(over), 0)
        caps.append(f"-{len(over)} for stages that took over a fifth more than their time")
    if is_late(found.brief, events) and score > _LATE_CAP:
        score = _LATE_CAP
        caps.append(f"at most {_LATE_CAP}: the limits did not stand by minute 7")
    return score, tuple(caps)


def _verdict(findings: tuple[Finding, ...], score: int) -> Verdict:
    risks = {finding.risk for finding in findings if finding.waived is None}
    if Risk.HIGH in risks:
        return Verdict.NOT_READY
    is_lived_with = any(finding.risk is Risk.HIGH for finding in findings)
    is_short = score < 100 * _READY
    is_unfinished = Risk.MEDIUM in risks or is_short or is_lived_with
    return Verdict.NEEDS_WORK if is_unfinished else Verdict.READY
