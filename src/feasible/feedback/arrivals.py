"""When labels came, by what is known at a time; and which of them are not what they should be.

A label that comes twice is one label. Its truth counts whatever its clock says; its delay counts
only where that can be: not before its decision, and not in the future.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
import numpy as np

from feasible.feedback.verdicts import Verdicts, same, spelling
from feasible.schema import Decision, Label
from feasible.stats import arrived_share

__all__ = ["Arrivals", "arrivals_of"]

_STEP_S: Final = 3600.0
_DAYS: Final = (1, 7, 14, 30)
_FEWEST: Final = 30
"""Labels from which on their delays are estimated."""


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """The labels of some decisions, as known at a time."""

    at: datetime
    decisions: int
    labelled: int
    """Decisions of which the truth is known by a label that may judge."""
    twice: int
    """Labels that say again what was there."""
    contradicting: int
    """Decisions on which two labels of one kind disagree; the one known last stands."""
    not_yet: int
    """Labels whose time has not come; they wait."""
    before_decision: int
    """Labels known before their decision was made, by the clocks: one of them is wrong. Their truth
    counts, their delay does not."""
    strays: int
    """Labels of decisions that are not here."""
    arrived_by_day: dict[int, float | None]
    """Days -> estimated share of the labels that come that is there by then; None while too few
    have come, or none of a decision that old."""


def arrivals_of(
    decisions: Iterable[Decision], labels: Iterable[Label], *, now: datetime
) -> Arrivals:
    """Join labels to decisions, whichever order they came in.

    Args:
        decisions: Those made by then; later ones are left out.
        labels: In any order.
        now: Time as of which things are known.
    """
    made = {one.decision_id: one.at for one in decisions if one.at <= now}
    seen: set[tuple[object, ...]] = set()
    by_id: dict[str, Verdicts] = {}
    first: dict[str, datetime] = {}
    said: dict[tuple[str, str], object] = {}
    contradicted: set[str] = set()
    twice = not_yet = before = strays = 0
    for label in labels:
        name = label.decision_id
        key = (name, label.source, label.selection, label.known_at, spelling(label.value))
        if key in seen:
            twice += 1
            continue
        seen.add(key)
        if label.known_at > now:
            not_yet += 1
            continue
        if name not in made:
            strays += 1
            continue
        by_id.setdefault(name, Verdicts()).add(label)
        kind = (name, label.source)
        if kind in said and not same(said[kind], label.value):
            contradicted.add(name)
        said[kind] = label.value
        if label.known_at < made[name]:
            before += 1
        elif label.source != "proxy":
            first[name] = min(first.get(name, label.known_at), label.known_at)
    return Arrivals(
        at=now,
        decisions=len(made),
        labelled=sum(verdicts.truth is not None for verdicts in by_id.values()),
        twice=twice,
        contradicting=len(contradicted),
        not_yet=not_yet,
        before_decision=before,
        strays=strays,
        arrived_by_day=_shares(made, first, now),
    )


def _shares(
    made: dict[str, datetime], first: dict[str, datetime], now: datetime
) -> dict[int, float | None]:
    if len(first) < _FEWEST:
        return dict.fromkeys(_DAYS)
    lags = [(known - made[name]).total_seconds() // _STEP_S for name, known in first.items()]
    ages = [(now - made[name]).total_seconds() // _STEP_S for name in first]
    steps = [round(day * 86_400 / _STEP_S) for day in _DAYS]
    share = arrived_share(
        np.array(lags, dtype=np.int64), np.array(ages, dtype=np.int64), longest=max(steps) + 1
    )
    oldest = max(ages)
    return {
        day: float(share[step]) if step <= oldest else None
        for day, step in zip(_DAYS, steps, strict=True)
    }
