"""What was said when: the clock of a spoken design, its stages and the minute of its limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from feasible.rubric.records import Finding, Risk
from feasible.schema import SECTIONS, Brief, BriefFile

__all__ = [
    "LIMITS_BY_S",
    "LIMIT_KINDS",
    "STAGES",
    "Said",
    "SaidKind",
    "clock_findings",
    "clock_text",
    "is_late",
    "limits_stated_s",
    "overruns",
    "spoken",
]

LIMITS_BY_S: Final = 420.0
"""Minute 7: limits that are stated later cost points, and cap the total."""
STAGES: Final = {"scope": 300.0, "design": 1200.0, "deep_dive": 900.0, "tradeoffs": 300.0}
"""The stages of 45 minutes, in their order, with their lengths. Seconds."""
_OVERRUN: Final = 1.2
_MOST_OVERRUNS: Final = 3
LIMIT_KINDS: Final = {
    "latency": {"latency"},
    "cost": {"cost"},
    "quality": {"quality", "joint"},
    "freshness or adaptation": {"freshness", "adaptation"},
}
"""The four kinds of limits that must stand before a model is named."""


class SaidKind(StrEnum):
    """What somebody did by saying it."""

    STAGE = "stage"
    """A stage began; `about` is its name, one of `STAGES`."""
    OBJECTIVE = "objective"
    """A limit was stated; `about` is the id of the objective, or its kind."""
    DATA_SOURCE = "data_source"
    MODEL_NAMED = "model_named"
    PIPELINE = "pipeline"
    BOTTLENECK = "bottleneck"
    COST = "cost"
    FAILURE = "failure"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said, and when."""

    at_s: float = msgspec.field(name="at")
    """Seconds since the beginning."""
    kind: SaidKind
    text: str
    """The words, quoted in the evidence."""
    about: str | None = None
    """Of an objective: its id or kind; of a stage: its name."""


_EARLY: Final = (SaidKind.MODEL_NAMED, SaidKind.PIPELINE, SaidKind.DATA_SOURCE)


def spoken(brief: Brief, *, name: str = "transcript") -> BriefFile:
    """Give a brief that nobody wrote down, so that it can be judged; its places have no lines."""
    return BriefFile(brief, Path(name), {}, SECTIONS)


def limits_stated_s(brief: Brief, events: Sequence[Said]) -> float | None:
    """Give when the last of the four kinds of limits was first stated; None while one is missing.

    Args:
        brief: What was stated in the end.
        events: What was said when.
    """
    kind_of = {objective.id: objective.kind for objective in brief.envelope}
    said = [
        (event.at_s, kind_of.get(event.about or "", event.about))
        for event in events
        if event.kind is SaidKind.OBJECTIVE
    ]
    first = [
        min((at for at, kind in said if kind in kinds), default=None)
        for kinds in LIMIT_KINDS.values()
    ]
    known = [at for at in first if at is not None]
    return max(known) if len(known) == len(first) else None


def is_late(brief: Brief, events: Sequence[Said]) -> bool:
    """Claim that somebody spoke, and that not all limits stood by minute 7."""
    stated = limits_stated_s(brief, events)
    return bool(events) and (stated is None or stated >= LIMITS_BY_S)


def overruns(events: Sequence[Said]) -> tuple[tuple[Said, float, float], ...]:
    """Give the stages that took over a fifth more than their time: event, taken, allowed. Seconds.

    The last stage ends with the last event.
    """
    stages = [e for e in events if e.kind is SaidKind.STAGE and e.about in STAGES]
    if not stages:
        return ()
    ends = [*(e.at_s for e in stages[1:]), max(e.at_s for e in events)]
    took = [
        (event, end - event.at_s, STAGES[event.about or ""])
        for event, end in zip(stages, ends, strict=True)
    ]
    return tuple(one for one in took if one[1] > _OVERRUN * one[2])[:_MOST_OVERRUNS]


def clock_findings(found: BriefFile, events: Sequence[Said]) -> Iterator[Finding]:
    """Give what the clock shows: a model before the limits, limits after minute 7, overruns."""
    stated = limits_stated_s(found.brief, events)
    early = [e for e in events if e.kind in _EARLY and (stated is None or e.at_s < stated)]
    if early:
        first = min(early, key=lambda event: event.at_s)
        until = (
            "they were never all stated"
            if stated is None
            else f"the last came at {clock_text(stated)}"
        )
        yield Finding(
            id="A1",
            risk=Risk.HIGH,
            where=f"{found.path.name}:{clock_text(first.at_s)}",
            why=f"{first.text!r} at {clock_text(first.at_s)}, before the limits stood: {until}",
            fix="latency, cost, quality and freshness in numbers first; then what can keep them",
        )
    if is_late(found.brief, events):
        until = "were never all stated" if stated is None else f"stood at {clock_text(stated)}"
        yield Finding(
            id="R3",
            risk=Risk.MEDIUM,
            where=f"{found.path.name}:{clock_text(LIMITS_BY_S)}",
            why=f"the limits {until}, and minute 7 is when they must stand",
            fix="state a number with its unit for each kind in the first stage",
        )
    for event, took, allowed in overruns(events):
        yield Finding(
            id="time",
            risk=Risk.LOW,
            where=f"{found.path.name}:{clock_text(event.at_s)}",
            why=f"{event.about} took {took / 60:.1f} min of {allowed / 60:.0f}",
            fix="say what is left open, and go on",
        )


def clock_text(at_s: float) -> str:
    """Give minutes and seconds, such as `07:00`."""
    return f"{int(at_s) // 60:02d}:{int(at_s) % 60:02d}"
