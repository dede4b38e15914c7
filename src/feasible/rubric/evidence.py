"""How many labels a promise needs, how fast they come, and on which day it could be shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Final

from feasible.schema import Brief, Objective
from feasible.stats import rows_for_power, zero_miss_rows
from feasible.units import MONTH_DAYS

__all__ = [
    "EvidenceNeed",
    "evidence_needs",
    "labels_per_month",
    "likely_rows",
    "miss_limit",
    "stated_rate",
]

_TRUE_MISSES: Final = 0.2  # of the limit: the true rate at which the likely number is worked out


@dataclass(frozen=True, slots=True)
class EvidenceNeed:
    """What one quality objective needs before it can be shown.

    Attributes:
        objective: Its id.
        index: Its place in the envelope.
        fewest: Labelled rows (positives for recall) that show it when none misses. Count.
        likely: Rows that show it with a chance of 80 % when the true miss rate is a fifth of the
            limit. Count.
        per_month: Such rows that become known each month; None when the brief does not say.
        delay_days: Label delay. Days.
        due_days: When the brief promises to have shown it, from today. Days; None when it does not.
        due_at: Place of that promise in the brief.
    """

    objective: str
    index: int
    fewest: int
    likely: int
    per_month: float | None
    delay_days: float
    due_days: float | None
    due_at: str | None

    def days(self, rows: int) -> float | None:
        """Give the days until so many labels have matured; None when the rate is unknown."""
        if not self.per_month:  # unknown, or none at all
            return None
        return rows / self.per_month * MONTH_DAYS + self.delay_days

    def day(self, rows: int, today: date) -> date | None:
        """Give the day on which so many labels have come and matured."""
        days = self.days(rows)
        return None if days is None else today + timedelta(days=math.ceil(days))


def evidence_needs(brief: Brief) -> tuple[EvidenceNeed, ...]:
    """Give, in the order of the envelope, what each quality objective needs to be shown."""
    needs = []
    for index, objective in enumerate(brief.envelope):
        limit = miss_limit(objective)
        if limit is None or not 0 < limit < 1:
            continue
        due_at, due_days = _due(brief, objective)
        delay = brief.labels.arrive_after
        needs.append(
            EvidenceNeed(
                objective=objective.id,
                index=index,
                fewest=zero_miss_rows(limit, confidence_level=objective.confidence_level),
                likely=likely_rows(limit, confidence_level=objective.confidence_level),
                per_month=labels_per_month(brief, objective),
                delay_days=0.0 if delay is None else delay.days,
                due_days=due_days,
                due_at=due_at,
            )
        )
    return tuple(needs)


def miss_limit(objective: Objective) -> float | None:
    """Give the largest mean loss that a quality objective allows; None for other kinds."""
    if not objective.needs_labels or objective.limit is None:
        return None
    return objective.limit.mid if objective.is_ceiling else 1 - objective.limit.mid


@cache
def likely_rows(limit: float, *, confidence_level: float) -> int:
    """Give the rows that show a limit with a chance of 80 % when a fifth of it really misses.

    Args:
        limit: Largest miss rate. Ratio in (0, 1).
        confidence_level: 1 - delta. Ratio in (0, 1).

    Examples:
        >>> likely_rows(0.005, confidence_level=0.95)
        1258
    """
    rows = rows_for_power(limit * _TRUE_MISSES, limit=limit, confidence_level=confidence_level)
    assert rows is not None  # noqa: S101  a fifth of the limit is below it
    return rows


def labels_per_month(brief: Brief, objective: Objective) -> float | None:
    """Give the labels a month that can judge an objective: its class, its slice, or all."""
    labels = brief.labels
    for name in (objective.of, objective.on):
        if name is not None and name in labels.positives_per_month:
            return labels.positives_per_month[name].mid
    if labels.per_month is None:
        return None
    share = brief.traffic.slices.get(objective.on or objective.of or "")
    return labels.per_month.mid * (1.0 if share is None else share.mid)


def stated_rate(brief: Brief, objective: Objective) -> str:
    """Give the input that holds the label rate of an objective, for example `labels.per_month`."""
    for name in (objective.of, objective.on):
        if name is not None and name in brief.labels.positives_per_month:
            return f"labels.positives_per_month.{name}"
    return "labels.per_month"


def _due(brief: Brief, objective: Objective) -> tuple[str | None, float | None]:
    """Give where and within how many days the brief promises to have shown an objective.

    A delivery objective that carries its id says so; otherwise the last delivery of all does.
    """
    deliveries = [
        (f"envelope[{index}]", other.measure, other.at_most.mid / 86_400)
        for index, other in enumerate(brief.envelope)
        if other.kind == "delivery" and other.at_most is not None
    ]
    own = [d for d in deliveries if d[1] in {objective.id, objective.measure}]
    others = [d for d in deliveries if d[1] not in {o.id for o in brief.envelope}]
    chosen = own or sorted(others, key=lambda d: d[2])[-1:]
    return (chosen[0][0], chosen[0][2]) if chosen else (None, None)
