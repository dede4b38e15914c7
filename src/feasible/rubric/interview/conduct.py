"""Who speaks when: stages, twists and follow-ups, each once and at its minute.

What is due follows from the records of the session and from nothing else, so that an interview
that was killed goes on as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final, NamedTuple

from feasible.clock import Clock
from feasible.rubric.interview.cases import Twist
from feasible.rubric.interview.followups import (
    FollowUp,
    about_limits,
    about_load,
    about_outage,
    about_price,
)
from feasible.rubric.interview.reading import Reading, read_design
from feasible.rubric.interview.session import LENGTH_S, Record, Session
from feasible.rubric.spoken import STAGES

__all__ = ["Due", "catch_up", "next_due_s"]

_BEGINS: Final = dict(zip(STAGES, accumulate(STAGES.values(), initial=0.0), strict=False))
"""Stage -> when it begins, in seconds."""
_OPENS: Final = {
    "scope": "Scope: {:.0f} minutes. The limits in numbers must stand by minute 7.",
    "design": "High-level design: {:.0f} minutes.",
    "deep_dive": "Deep dive into one component: {:.0f} minutes.",
    "tradeoffs": "Trade-offs: the last {:.0f} minutes.",
}
"""What the interviewer says when a stage begins."""

_ASKS: Final[tuple[tuple[str, float, Callable[[Reading, int], FollowUp]], ...]] = (
    ("ask:limits", 480.0, lambda reading, _: about_limits(reading)),
    ("ask:load", 1560.0, lambda reading, seed: about_load(reading, seed=seed)),
    ("ask:outage", 1860.0, lambda reading, _: about_outage(reading)),
    ("ask:price", 2430.0, lambda reading, _: about_price(reading)),
)


class Due(NamedTuple):
    """Something that happens at a minute."""

    at_s: float
    key: str
    kind: str


def catch_up(
    session: Session, now_s: float, *, twists: tuple[Twist, ...], clock: Clock
) -> Iterator[Record]:
    """Let everything happen that is due until now, in its order, each recorded before it is shown.

    Args:
        session: The interview; records are added to it.
        now_s: Seconds of the interview that have passed.
        twists: What changes, and when.
        clock: Stamps the records.
    """
    texts = {twist.key: twist.text for twist in twists}
    for due in _schedule(session, twists):
        if due.at_s > now_s or session.is_over:
            return
        text, evidence = texts.get(due.key, ""), ""
        if due.kind == "stage":
            name = due.key.removeprefix("stage:")
            text = _OPENS[name].format(STAGES[name] / 60)
        elif due.kind == "asked":
            ask = next(ask for key, _, ask in _ASKS if key == due.key)
            follow_up = ask(read_design(session.transcript()), session.started.seed)
            text, evidence = follow_up.text, follow_up.evidence
        yield session.add(due.kind, due.at_s, clock, text=text, key=due.key, evidence=evidence)


def next_due_s(session: Session, *, twists: tuple[Twist, ...]) -> float:
    """Give when the next thing happens, in seconds of the interview."""
    return next((due.at_s for due in _schedule(session, twists)), LENGTH_S)


def _schedule(session: Session, twists: tuple[Twist, ...]) -> list[Due]:
    """Give what has not happened yet, in its order."""
    whole = [
        *(Due(at_s, f"stage:{name}", "stage") for name, at_s in _BEGINS.items()),
        *(Due(twist.at_s, twist.key, "twist") for twist in twists),
        *(Due(at_s, key, "asked") for key, at_s, _ in _ASKS),
        Due(LENGTH_S, "end", "ended"),
    ]
    return sorted(due for due in whole if not session.has(due.key))
