"""How much of each limit a brief's own numbers use up: one closed form per kind of promise.

Everything is a share of its limit at the declared traffic, so that all promises stand on one scale:
1 is at the limit. Where the value grows in proportion to load, 1 / used is the headroom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.rubric.evidence import EvidenceNeed, evidence_needs, stated_rate
from feasible.schema import AnsweredBy, Brief, FloatArray, Objective, TierKind, TierSpec
from feasible.simulation import Values, cost_lines
from feasible.units import MONTH_DAYS, format_duration, format_ratio, format_usd

__all__ = ["Use", "latency_path", "uses"]

_DAY_S: Final = 86_400.0
_LATE: Final = 1.25  # a sum of p95s is up to a quarter above the p95 of a sum
_PERIOD_S: Final = {"day": _DAY_S, "month": MONTH_DAYS * _DAY_S}


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one limit is used.

    Attributes:
        name: Id of the objective, or the knob of a limit that no objective promises.
        place: Where it stands in the brief.
        limit: The limit, as text.
        used: Value over limit, shape (n,).
        scales: Whether it grows in proportion to load.
        basis: The numbers that went in, in words, at the middle of their ranges.
        is_evidence: Whether it is about labels and not about load, time or money.
        is_sure: Whether more than 1 surely breaks the promise; some forms err on the late side.
    """

    name: str
    place: str
    limit: str
    used: FloatArray
    scales: bool
    basis: str
    is_evidence: bool = False
    is_sure: bool = True


_Rule = Callable[[Brief, Objective, Values], tuple[FloatArray, bool, str] | None]


def uses(brief: Brief, values: Values) -> tuple[Use, ...]:
    """Give every limit that has a closed form over the numbers given.

    Args:
        brief: The declaration.
        values: Its numbers, shape (n,).
    """
    out = []
    for index, objective in enumerate(brief.envelope):
        rule = _RULES.get(objective.kind)
        limit = 0.0 if objective.limit is None else objective.limit.mid
        found = None if rule is None or limit <= 0 else rule(brief, objective, values)
        if found is not None:
            used, scales, basis = found
            out.append(
                Use(
                    name=objective.id,
                    place=f"envelope[{index}]",
                    limit=str(objective.limit),
                    used=used,
                    scales=scales,
                    basis=basis,
                    is_sure=_is_sure(brief, objective, _mid(used)),
                )
            )
    out += _evidence(brief, values)
    out += _unpromised(brief, values)
    return tuple(out)


def _is_sure(brief: Brief, objective: Objective, used: float) -> bool:
    """Claim that more than the limit breaks the promise.

    Percentiles of tiers add up to more than the percentile of their sum, and the age of features
    is what a promise of freshness is about when the layer says that it keeps it.
    """
    if objective.kind == "latency":
        return used > _LATE
    features = brief.layers.features
    return objective.kind != "freshness" or (
        features is not None and objective.id in features.keeps
    )


def latency_path(brief: Brief, objective: Objective, values: Values) -> tuple[TierSpec, ...]:
    """Give the tiers that stand in the way of a reply at a percentile.

    A tier that more than 1 - q of the decisions reach is on the path of percentile q. People only
    acknowledge, overlays come after the reply, and a slice named offline has no cloud.
    """
    share = 0.0 if objective.measure == "mean" else 1 - float(objective.measure[1:]) / 100
    return tuple(
        tier
        for tier in _synchronous(brief, objective)
        if np.median(values.get(f"{tier.name}.reach", np.array([1.0]))) > share
    )


def _synchronous(brief: Brief, objective: Objective) -> Iterator[TierSpec]:
    is_offline = "offline" in (objective.on or "")
    for tier in brief.layers.tiers:
        if tier.kind is TierKind.PERSON or tier.asynchronous:
            continue
        if not (is_offline and tier.place == "cloud"):
            yield tier


def _latency(
    brief: Brief, objective: Objective, values: Values
) -> tuple[FloatArray, bool, str] | None:
    """Add up the p95s of the tiers on the path: late rather than early for p95, a guess for p99."""
    path = latency_path(brief, objective, values)
    if objective.by is AnsweredBy.PEOPLE or not path:
        return None
    total: FloatArray | None = None
    words = []
    for tier in path:
        p95 = values.get(f"{tier.name}.latency_p95")
        reach = values.get(f"{tier.name}.reach")
        if p95 is None or reach is None:  # who reaches a tier decides whether it is on the path
            return None
        if tier.timeout is not None:
            p95 = np.minimum(p95, values[f"{tier.name}.timeout"])
        part = p95 * reach if objective.measure == "mean" and reach is not None else p95
        total = part if total is None else total + part
        words.append(f"{tier.name} {format_duration(_mid(part))}")
    assert total is not None  # noqa: S101  the path is not empty
    return total / _limit(objective), False, " + ".join(words)


def _cost(
    brief: Brief, objective: Objective, values: Values
) -> tuple[FloatArray, bool, str] | None:
    if objective.measure == "each":  # enforced per call: a tier that does not fit is not asked
        return None
    lines = cost_lines(brief, values, by=objective.by)
    if not lines:
        return None
    each = np.sum(list(lines.values()), axis=0)
    dearest = sorted(lines, key=lambda name: -_mid(lines[name]))[:3]
    words = ", ".join(f"{name} {format_usd(_mid(lines[name]))}" for name in dearest)
    basis = f"{format_usd(_mid(each))} a decision: {words}"
    period = _PERIOD_S.get(objective.measure)
    if period is None:
        return each / _limit(objective), False, basis
    rate = values.get("traffic.rate")
    if rate is None:
        return None
    return each * rate * period / _limit(objective), True, basis


def _throughput(
    brief: Brief, objective: Objective, values: Values
) -> tuple[FloatArray, bool, str] | None:
    offered = np.full_like(next(iter(values.values())), _limit(objective)) if values else None
    return None if offered is None else _busiest(brief, offered, values)


def _busiest(
    brief: Brief, offered: FloatArray, values: Values
) -> tuple[FloatArray, bool, str] | None:
    """Apply the utilisation law to every machine tier; the busiest decides."""
    shares: dict[str, FloatArray] = {}
    for tier in brief.layers.tiers:
        reach = values.get(f"{tier.name}.reach")
        if tier.kind is TierKind.PERSON or tier.place == "device" or reach is None:
            continue
        capacity = values.get(f"{tier.name}.capacity")
        slots, p95 = values.get(f"{tier.name}.concurrency"), values.get(f"{tier.name}.latency_p95")
        if capacity is not None:
            shares[f"{tier.name} answers {_mid(capacity):,.3g} / s"] = offered * reach / capacity
        if slots is not None and p95 is not None:
            busy = offered * reach * p95 / slots
            shares[f"{tier.name} has {_mid(slots):.0f} calls in flight"] = busy
    if not shares:
        return None
    worst = max(shares, key=lambda name: _mid(shares[name]))
    basis = f"{worst} and would use {format_ratio(_mid(shares[worst]), decimals=0)} of them"
    return np.max(list(shares.values()), axis=0), True, basis


def _people(
    brief: Brief, objective: Objective, values: Values
) -> tuple[FloatArray, bool, str] | None:
    reach, rate = _people_reach(brief, values), values.get("traffic.rate")
    if reach is None:
        return None
    asked = f"{_percent(_mid(reach))} of decisions reach a person"
    limit = objective.limit
    if limit is not None and limit.dimension == "rate":
        if rate is None:
            return None
        return reach * rate / _limit(objective), True, asked
    return reach / _limit(objective), False, asked


def _freshness(
    brief: Brief, objective: Objective, values: Values
) -> tuple[FloatArray, bool, str] | None:
    """Take the oldest thing that may be used: a feature at its age limit, an entry of a cache."""
    ages = {
        f"{tier.name} keeps an answer": values[f"{tier.name}.ttl"]
        for tier in brief.layers.tiers
        if tier.ttl is not None and tier.invalidate is None
    }
    if "features.max_age" in values:
        ages["features are used"] = values["features.max_age"]
    if not ages:
        return None
    oldest = max(ages, key=lambda name: _mid(ages[name]))
    basis = f"{oldest} for up to {format_duration(_mid(ages[oldest]))}"
    return np.max(list(ages.values()), axis=0) / _limit(objective), False, basis


def _adaptation(
    brief: Brief, objective: Objective, values: Values
) -> tuple[FloatArray, bool, str] | None:
    """Take the tier that adapts first; without one, the time to see, label and retrain."""
    times = {
        tier.name: values[f"{tier.name}.adapts_in"]
        for tier in brief.layers.tiers
        if tier.adapts_in is not None and tier.kind is not TierKind.PERSON
    }
    if times:
        quickest = min(times, key=lambda name: _mid(times[name]))
        basis = f"{quickest} adapts in {format_duration(_mid(times[quickest]))}"
        return np.min(list(times.values()), axis=0) / _limit(objective), False, basis
    every = values.get("retrain.every")
    if every is None:
        return None
    delay = values.get("retrain.label_delay", values.get("labels.arrive_after"))
    total = every + values.get("feedback.detected_in", np.zeros_like(every))
    total = total if delay is None else total + delay
    basis = f"seen, labelled and retrained within {format_duration(_mid(total))}"
    return total / _limit(objective), False, basis


def _delivery(
    brief: Brief, objective: Objective, values: Values
) -> tuple[FloatArray, bool, str] | None:
    if objective.measure in {other.id for other in brief.envelope}:
        return None  # this one is about evidence
    times = {
        tier.name: values[f"{tier.name}.ready_in"]
        for tier in brief.layers.tiers
        if tier.ready_in is not None
    }
    if not times:
        return None
    first = min(times, key=lambda name: _mid(times[name]))
    basis = f"{first} is ready in {format_duration(_mid(times[first]))}"
    return np.min(list(times.values()), axis=0) / _limit(objective), False, basis


def _footprint(
    brief: Brief, objective: Objective, values: Values
) -> tuple[FloatArray, bool, str] | None:
    sizes = {
        tier.name: values[f"{tier.name}.footprint"]
        for tier in brief.layers.tiers
        if tier.footprint is not None
    }
    if not sizes:
        return None
    basis = " + ".join(f"{name} {_mid(size) / 1e6:.2f} MB" for name, size in sizes.items())
    return np.sum(list(sizes.values()), axis=0) / _limit(objective), False, basis


def _evidence(brief: Brief, values: Values) -> Iterator[Use]:
    """Give, for each quality promise with a date, the share of the time that its labels take."""
    for need in evidence_needs(brief):
        objective = brief.envelope[need.index]
        per_month = _label_rate(brief, objective, values)
        if need.due_days is None or per_month is None or need.due_at is None:
            continue
        delay = values.get("labels.arrive_after", np.zeros_like(per_month)) / _DAY_S
        days = need.likely / per_month * MONTH_DAYS + delay
        yield Use(
            name=need.objective,
            place=f"envelope[{need.index}]",
            limit=f"shown within {need.due_days / MONTH_DAYS:.3g} months",
            used=days / need.due_days,
            scales=False,
            basis=_evidence_basis(need, _mid(per_month), _mid(days)),
            is_evidence=True,
        )


def _evidence_basis(need: EvidenceNeed, per_month: float, days: float) -> str:
    return (
        f"{need.likely:,} labelled cases at {per_month:,.0f} a month take "
        f"{days / MONTH_DAYS:.1f} months ({need.fewest:,} if none misses)"
    )


def _label_rate(brief: Brief, objective: Objective, values: Values) -> FloatArray | None:
    name = stated_rate(brief, objective)
    rate = values.get(name)
    if rate is None or name != "labels.per_month":
        return rate
    share = brief.traffic.slices.get(objective.on or objective.of or "")
    return rate if share is None else rate * share.mid


def _unpromised(brief: Brief, values: Values) -> Iterator[Use]:
    """Give physical limits that no objective promises: people's queue, machines at the peak."""
    rate = values.get("traffic.rate")
    if rate is None:
        return
    for index, tier in enumerate(brief.layers.tiers):
        capacity = values.get(f"{tier.name}.capacity")
        if tier.kind is not TierKind.PERSON or capacity is None:
            continue
        reach = values.get(f"{tier.name}.reach")
        if reach is not None:
            asked = reach * rate
            yield Use(
                name=f"{tier.name}.capacity",
                place=f"layers.tiers[{index}]",
                limit=str(tier.capacity),
                used=asked / capacity,
                scales=True,
                basis=f"{_mid(asked) * 3600:,.0f} cases an hour reach {tier.name}",
            )
    if "peak" not in {o.measure for o in brief.envelope if o.kind == "throughput"}:
        busiest = _busiest(brief, rate * values.get("traffic.peak", np.ones_like(rate)), values)
        if busiest is not None:
            used, scales, basis = busiest
            yield Use("capacity", "layers.tiers", "the declared peak", used, scales, basis)


def _people_reach(brief: Brief, values: Values) -> FloatArray | None:
    """Give the share of decisions that any person sees."""
    reaches = [
        values.get(f"{tier.name}.reach")
        for tier in brief.layers.tiers
        if tier.kind is TierKind.PERSON
    ]
    known = [reach for reach in reaches if reach is not None]
    return np.sum(known, axis=0) if known and len(known) == len(reaches) else None


def _limit(objective: Objective) -> float:
    assert objective.limit is not None  # noqa: S101  the caller asks only objectives with a limit
    return objective.limit.mid


def _mid(values: FloatArray) -> float:
    return float(np.median(values))


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %"


_RULES: Final[dict[str, _Rule]] = {
    "latency": _latency,
    "cost": _cost,
    "throughput": _throughput,
    "freshness": _freshness,
    "adaptation": _adaptation,
    "people": _people,
    "delivery": _delivery,
    "footprint": _footprint,
}
