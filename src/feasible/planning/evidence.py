"""What evidence a brief needs, before anything is trained, and when it could be there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta

from feasible.planning.constraints import percentile_of
from feasible.schema import Brief, CertificateLine, Objective
from feasible.stats import rows_needed, zero_miss_rows

__all__ = ["earliest_date", "labels_needed", "minimum_evidence"]

_MONTH_DAYS = 365.25 / 12


def minimum_evidence(brief: Brief) -> dict[str, int]:
    """Give, per quality objective, the fewest labelled rows that can show it if none misses.

    Returns:
        Objective id -> rows of its slice, or positives for recall. Rows that certify; fitting and
        searching need more.
    """
    out = {}
    for objective in brief.envelope:
        limit = miss_limit(objective)
        if objective.kind == "quality" and limit is not None and 0 < limit < 1:
            out[objective.id] = zero_miss_rows(limit, confidence_level=objective.confidence_level)
    return out


def miss_limit(objective: Objective) -> float | None:
    """Give the largest mean loss that a quality objective allows; None when it has no limit."""
    if objective.limit is None:
        return None
    return objective.limit.mid if objective.is_ceiling else 1 - objective.limit.mid


def row_limit(objective: Objective) -> float | None:
    """Give the share of rows that may miss; None for objectives that are not about shares."""
    if objective.kind == "quality":
        return miss_limit(objective)
    if objective.kind == "latency":
        q = percentile_of(objective)
        return None if q is None else 1 - q
    is_share = objective.limit is not None and objective.limit.dimension != "rate"
    return miss_limit(objective) if objective.kind == "people" and is_share else None


def labels_needed(brief: Brief, lines: tuple[CertificateLine, ...]) -> dict[str, int]:
    """Give, per promise whose value holds but whose bound does not, the rows still missing.

    Args:
        brief: The declaration.
        lines: What the rows that judge showed.
    """
    out: dict[str, int] = {}
    for line in lines:
        objective = brief.objective(line.objective)
        limit = row_limit(objective)
        if line.holds or limit is None or limit <= 0 or line.n == 0:
            continue
        needed = rows_needed(
            line.misses / line.n, limit=limit, confidence_level=line.confidence_level
        )
        if needed is not None:
            out[line.objective] = max(1, needed - line.n)
    return out


def earliest_date(brief: Brief, missing: Mapping[str, int], *, today: date) -> date | None:
    """Give the day on which the missing labels will have matured at the brief's label rate.

    Returns:
        The latest of all dates; None when a rate is not declared or nothing is missing.
    """
    dates = []
    for objective_id, count in missing.items():
        rate = _per_month(brief, brief.objective(objective_id))
        if rate is None or rate <= 0:
            return None
        days = count / rate * _MONTH_DAYS
        delay = brief.labels.arrive_after
        days += 0.0 if delay is None else delay.days
        dates.append(today + timedelta(days=math.ceil(days)))
    return max(dates, default=None)


def _per_month(brief: Brief, objective: Objective) -> float | None:
    """Give the labelled rows a month that can judge an objective."""
    positives = brief.labels.positives_per_month
    for name in (objective.of, objective.on):
        if name is not None and name in positives:
            return positives[name].mid
    if brief.labels.per_month is None:
        return None
    share = brief.traffic.slices.get(objective.on or objective.of or "")
    return brief.labels.per_month.mid * (1.0 if share is None else share.mid)
