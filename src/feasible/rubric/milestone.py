"""A review that was kept, and what has changed since: points, findings closed and new ones."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import msgspec

from feasible.errors import BadInput
from feasible.rubric.records import Finding, Review

__all__ = ["Milestone", "PointsMoved", "Progress", "keep_milestone", "progress", "read_milestone"]


class Milestone(msgspec.Struct, frozen=True, kw_only=True):
    """A review of a day."""

    day: date
    review: Review


class PointsMoved(msgspec.Struct, frozen=True, kw_only=True):
    """The points of one criterion, then and now."""

    id: str
    before: int | None
    now: int | None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed since a milestone."""

    since: date
    score_before: int
    score_now: int
    verdict_before: str
    verdict_now: str
    criteria: tuple[PointsMoved, ...]
    """Where anything moved."""
    closed: tuple[Finding, ...]
    """Open then, and not any more."""
    opened: tuple[Finding, ...]
    """Open now, and not then."""
    sentence: str


def keep_milestone(path: Path, review: Review, *, day: date) -> None:
    """Write a review as JSON, to compare with later.

    Raises:
        BadInput: It cannot be written.
    """
    kept = msgspec.json.encode(Milestone(day=day, review=review), enc_hook=str)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(kept, indent=1) + b"\n")
    except OSError as error:
        raise BadInput(f"the milestone {path} cannot be written", found=str(error)) from error


def read_milestone(path: Path) -> Milestone:
    """Read a review that was kept.

    Raises:
        BadInput: There is none, or it is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Milestone)
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(
            f"{path} is no review that was kept",
            found=str(error),
            attempt="keep one with `feasible review NAME --keep FILE`",
        ) from error


def progress(before: Milestone, now: Review) -> Progress:
    """Compare a review with an earlier one of the same design.

    A finding is the same by its id: lines move while a brief is written.
    """
    first = before.review
    points = {c.id: c.points for c in first.criteria}
    moved = tuple(
        PointsMoved(id=c.id, before=points.get(c.id), now=c.points)
        for c in now.criteria
        if points.get(c.id) != c.points
    )
    then_open = [finding for finding in first.findings if finding.waived is None]
    now_open = [finding for finding in now.findings if finding.waived is None]
    closed, opened = _beyond(then_open, now_open), _beyond(now_open, then_open)
    way = (
        "stands where it stood"
        if first.score == now.score
        else (f"went from {first.score} to {now.score} of 100")
    )
    return Progress(
        since=before.day,
        score_before=first.score,
        score_now=now.score,
        verdict_before=first.verdict,
        verdict_now=now.verdict,
        criteria=moved,
        closed=closed,
        opened=opened,
        sentence=f"Since {before.day} the score {way}: {len(closed)} findings closed, "
        f"{len(opened)} new.",
    )


def _beyond(some: list[Finding], others: list[Finding]) -> tuple[Finding, ...]:
    """Give the findings of which there are more here than there, the gravest first."""
    left, out = Counter(finding.id for finding in others), []
    for finding in some:
        if left[finding.id]:
            left[finding.id] -= 1
        else:
            out.append(finding)
    return tuple(out)
