"""What load does not decide: features that are not refreshed, labels that come late. Closed forms.

What nobody measured stays unknown: how much worse answers get with age is not guessed.
"""

from __future__ import annotations

from typing import Any, Final

from feasible.schema import Brief
from feasible.simulation.records import FaultTolerance
from feasible.units import MONTH_DAYS

__all__ = ["labels_late", "stale"]

_DAY_S: Final = 86_400.0


def stale(brief: Brief) -> tuple[tuple[FaultTolerance, ...], dict[str, Any]]:
    """Say how long features or entries may go without a refresh until freshness is broken."""
    usual = _usual_age_s(brief)
    features = brief.layers.features
    found = []
    for objective in brief.envelope:
        if objective.kind != "freshness" or objective.limit is None:
            continue
        spare = objective.limit.mid - (usual or 0.0)
        found.append(
            FaultTolerance(
                fault="no refresh of what answers are made from",
                unit="min",
                tolerated=max(spare, 0.0) / 60,
                tried_up_to=objective.limit.mid / 60,
                breaks=objective.id,
            )
        )
    facts = {
        "usual_age_s": usual,
        "answers_when_stale": None if features is None else features.when_stale,
        "used_until_s": None
        if features is None or features.max_age is None
        else features.max_age.mid,
        "quality_by_age": "unknown: no measurement of this feature says how answers age",
    }
    return tuple(found), facts


def _usual_age_s(brief: Brief) -> float | None:
    """Give the largest age that something may have in good times. Seconds."""
    ages = [
        tier.ttl.mid
        for tier in brief.layers.tiers
        if tier.ttl is not None and tier.invalidate is None
    ]
    features = brief.layers.features
    if features is not None and features.max_age is not None:
        ages.append(features.max_age.mid)
    return max(ages) if ages else None


def labels_late(brief: Brief) -> tuple[tuple[FaultTolerance, ...], dict[str, Any]]:
    """Say how long nobody can see that answers got worse, and how much later labels may come."""
    labels, feedback = brief.labels, brief.layers.feedback
    delay = None if labels.arrive_after is None else labels.arrive_after.days
    seen = None if feedback is None or feedback.detected_in is None else feedback.detected_in.days
    retrain = None if feedback is None else feedback.retrain
    wanted = None if retrain is None or retrain.labels is None else retrain.labels.mid
    monthly = None if labels.per_month is None else labels.per_month.mid
    gather = None if not wanted or not monthly else wanted / monthly * MONTH_DAYS
    parts = [part for part in (delay, seen) if part is not None]
    blind = sum(parts) if delay is not None else None
    found = []
    for objective in brief.envelope:
        if objective.kind == "adaptation" and objective.limit is not None and blind is not None:
            limit = objective.limit.mid / _DAY_S
            found.append(
                FaultTolerance(
                    fault="labels that come later",
                    unit="d",
                    tolerated=max(limit - blind - (gather or 0.0), 0.0),
                    tried_up_to=limit,
                    breaks=objective.id,
                )
            )
    return tuple(found), {
        "label_delay_days": delay,
        "blind_days": blind,
        "labels_gathered_in_days": gather,
        "usd_per_point_lost": _usd_per_point(brief, blind),
    }


def _usd_per_point(brief: Brief, blind_days: float | None) -> float | None:
    """Give what each percentage point of lost accuracy costs while nobody can see it."""
    error, rate = brief.goal.error_usd, brief.traffic.rate
    if blind_days is None or error is None or rate is None:
        return None
    return 0.01 * error.mid * rate.mid * _DAY_S * blind_days
