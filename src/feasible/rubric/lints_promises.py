"""Lints on what is promised: order, money, labels, tails, rare classes, load, evidence, metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

import msgspec

from feasible.rubric.evidence import EvidenceNeed, evidence_needs
from feasible.rubric.lexicon import (
    claims_a_guarantee,
    is_about_right_answers,
    is_model_metric,
    names_a_model,
)
from feasible.rubric.places import place_of
from feasible.rubric.records import Finding, Risk
from feasible.schema import AnsweredBy, Brief, BriefFile, Objective, TierKind, TierSpec
from feasible.units import DAY_S, MONTH_DAYS, MONTH_S, Quantity, format_usd

__all__ = ["lint_promises"]

_USUAL_CAP_USD: Final = 0.005  # a query of a consumer feature
_PERIOD_S: Final = {"day": DAY_S, "month": MONTH_S}
_RARE: Final = 0.10
_NEVER_FREE: Final = (TierKind.LLM, TierKind.PERSON)
_SURE: Final = 0.8  # a statement less sure than this is hardly one
_TAIL: Final = 90.0  # a percentile from here on speaks for the slow requests


def lint_promises(found: BriefFile, *, today: date) -> Iterator[Finding]:
    """Give the findings about goal, metrics, envelope, traffic and labels.

    Args:
        found: The brief with its places.
        today: Day from which label dates are counted.
    """
    yield from _a1_model_first(found)
    yield from _a2_no_price(found)
    yield from _a4_evidence_too_late(found, today)
    yield from _a6_average_latency(found)
    yield from _a7_accuracy_of_a_rare_class(found)
    yield from _a8_no_peak(found)
    yield from _a12_guarantee_without_n(found)
    yield from _a14_above_the_usual_cap(found)
    yield from _a15_model_metric_first(found)


def _a1_model_first(found: BriefFile) -> Iterator[Finding]:
    """A tier, a pipeline or a data source before the constraints."""
    early = found.order[: found.order.index("envelope")]
    fix = (
        "move `envelope:` up, right after `goal:` and `metrics:`; name tiers in `layers:` below it"
    )
    if "layers" in early:
        yield Finding(
            id="A1",
            risk=Risk.HIGH,
            where=found.where("layers"),
            why="tiers and data stand before the envelope "
            f"({found.where('envelope')}): a design was chosen before anything was promised",
            fix=fix,
        )
        return
    for path, text in _early_texts(found.brief, early):
        named = names_a_model(text)
        if named is not None:
            yield Finding(
                id="A1",
                # A tradeoff or a failure may speak of tiers; they only stand too early.
                risk=Risk.HIGH if path.startswith(("goal", "metrics")) else Risk.MEDIUM,
                where=found.where(path),
                why=f"{path} names {named!r} before a single limit is stated",
                fix="say what is decided and for whom; name the model in `layers.tiers[].model`",
            )
            return
    if "labels" in early:
        yield Finding(
            id="A1",
            risk=Risk.MEDIUM,
            where=found.where("labels"),
            why=f"labels stand before the envelope ({found.where('envelope')}): "
            "which data there is was asked before what is promised",
            fix="move `labels:` below `envelope:` and `traffic:`",
        )


def _early_texts(brief: Brief, early: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Give every sentence of the sections that stand before the envelope, with its path."""
    for section in early:
        if section != "name":
            yield from _texts_in(getattr(brief, section), section)


def _texts_in(part: object, path: str) -> Iterator[tuple[str, str]]:
    """Walk a record and give its texts; a quantity is none."""
    if isinstance(part, str):
        yield path, part
    elif isinstance(part, tuple):
        for index, item in enumerate(part):
            yield from _texts_in(item, f"{path}[{index}]")
    elif isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            yield from _texts_in(getattr(part, name), f"{path}.{name}")


def _a2_no_price(found: BriefFile) -> Iterator[Finding]:
    brief = found.brief
    costs = [o for o in brief.envelope if o.kind == "cost"]
    per_decision = [
        o
        for o in costs
        if (o.measure in {"mean", "each"} or brief.traffic.rate) and o.by is not AnsweredBy.PEOPLE
    ]
    if not per_decision:
        why = "no objective limits dollars per decision"
        monthly = [o for o in costs if o.by is not AnsweredBy.PEOPLE]
        if monthly:
            why = (
                f"`{monthly[0].id}` becomes dollars per decision only with a rate, "
                "and none is given"
            )
        yield Finding(
            id="A2",
            risk=Risk.HIGH,
            where=found.where(
                f"envelope[{brief.envelope.index(costs[0])}]" if costs else "envelope"
            ),
            why=why,
            fix="`- {cost: mean, at_most: $0.005}` in `envelope:`",
        )
    free = [
        (index, tier.name)
        for index, tier in enumerate(brief.layers.tiers)
        if tier.usd is None and tier.usd_hour is None
    ]
    if free:
        names = ", ".join(name for _, name in free)
        yield Finding(
            id="A2",
            risk=Risk.HIGH,
            where=found.where(f"layers.tiers[{free[0][0]}]"),
            why=f"no price is stated for {names}; unknown is not free",
            fix=f"add `usd: $0.0004` (a call) or `usd_hour: $0.90` (a replica) to {free[0][1]}; "
            "a range such as `$0.0002..$0.0008` will do",
        )
    for index, tier in enumerate(brief.layers.tiers):
        if tier.kind in _NEVER_FREE and _is_free(tier):
            yield Finding(
                id="A2",
                risk=Risk.MEDIUM,
                where=found.where(f"layers.tiers[{index}]"),
                why=f"{tier.name} is free: a call to a {tier.kind} costs somebody something",
                fix=f"state what a call of {tier.name} costs, or `usd_hour` of what it runs on",
            )


def _is_free(tier: TierSpec) -> bool:
    is_priced = tier.usd_hour is not None or tier.usd is None or tier.usd.high > 0
    return not is_priced and tier.place != "device"


def _a4_evidence_too_late(found: BriefFile, today: date) -> Iterator[Finding]:
    """A quality promise whose labels come too late to show it by its date."""
    for need in evidence_needs(found.brief):
        soonest = need.days(need.fewest)
        if soonest is None:
            continue
        if need.due_days is not None and soonest > need.due_days:
            yield _too_late(found, need, today, soonest)
        elif need.due_days is None and soonest > MONTH_DAYS:
            yield Finding(
                id="A4",
                risk=Risk.MEDIUM,
                where=found.where(f"envelope[{need.index}]"),
                why=f"{_arithmetic(need, today)}, and the brief does not say when it is due",
                fix=f"`- {{delivery: {need.objective}, at_most: {_months_up(soonest)} months}}`",
            )


def _too_late(found: BriefFile, need: EvidenceNeed, today: date, soonest: float) -> Finding:
    assert need.due_days is not None  # noqa: S101  the caller compared with it
    due = f"it is due in {need.due_days / MONTH_DAYS:.2g} months"
    if need.due_at is not None:
        due += f" ({found.where(need.due_at)})"
    return Finding(
        id="A4",
        risk=Risk.HIGH,
        where=found.where(f"envelope[{need.index}]"),
        why=f"{_arithmetic(need, today)}; {due}",
        fix=f"give it its own date, `- {{delivery: {need.objective}, at_most: "
        f"{_months_up(soonest)} months}}`, lower the floor or its confidence_level, "
        "or buy labels: a random audit of the slice with `labels.per_month` and `usd_each`",
    )


def _arithmetic(need: EvidenceNeed, today: date) -> str:
    days = need.days(need.fewest)
    assert days is not None  # noqa: S101  the caller knows the rate
    return (
        f"`{need.objective}` needs {need.fewest:,} labelled cases without a miss; "
        f"{need.per_month:,.0f} come each month, {need.delay_days:.0f} days late: "
        f"{days / MONTH_DAYS:.1f} months, not before {need.day(need.fewest, today)} "
        f"({need.likely:,} cases and {need.day(need.likely, today)} are likelier)"
    )


def _months_up(days: float) -> int:
    return int(days / MONTH_DAYS) + 1


def _a6_average_latency(found: BriefFile) -> Iterator[Finding]:
    limits = [(i, o) for i, o in enumerate(found.brief.envelope) if o.kind == "latency"]
    if not limits or any(_percentile(o) >= _TAIL for _, o in limits):
        return
    index, first = limits[0]
    is_mean = first.measure == "mean"
    yield Finding(
        id="A6",
        risk=Risk.HIGH if is_mean else Risk.MEDIUM,
        where=found.where(f"envelope[{index}]"),
        why=f"only the {'mean' if is_mean else first.measure} of the latency is limited: "
        "one request in ten may take as long as it likes",
        fix=f"`- {{latency: p99, at_most: {first.limit}}}`, and keep the other line if you need it",
    )


def _percentile(objective: Objective) -> float:
    return 0.0 if objective.measure == "mean" else float(objective.measure[1:])


def _a7_accuracy_of_a_rare_class(found: BriefFile) -> Iterator[Finding]:
    """Accuracy over everything says little about a class that is hardly ever there."""
    brief, rare = found.brief, _rare(found.brief)
    if not rare:
        return
    quality = [o for o in brief.envelope if o.kind == "quality"]
    is_covered = any(o.of or o.on in rare for o in quality)
    name = min(rare, key=lambda each: rare[each])
    # A slice may be rare without being a class of its own.
    is_class = name in brief.labels.positives_per_month
    for place in _accuracies(brief, is_covered=is_covered)[:1]:
        yield Finding(
            id="A7",
            risk=Risk.HIGH if is_class and not is_covered else Risk.MEDIUM,
            where=found.where(place),
            why=f"accuracy is promised over everything while {name} is {rare[name] * 100:.2g} % "
            f"of it: never answering {name} scores {(1 - rare[name]) * 100:.4g} %",
            fix="say in `basis:` which proxy labels it is judged on and from which day on real ones"
            if is_covered
            else f"`- {{quality: recall, of: {name}, at_least: 0.95, confidence_level: 0.95}}`",
        )


def _accuracies(brief: Brief, *, is_covered: bool) -> list[str]:
    """Give the places that promise accuracy over everything.

    A launch threshold on proxy labels may, when it says so and when the real ones come.
    """
    places = [
        f"envelope[{index}]"
        for index, objective in enumerate(brief.envelope)
        if objective.quality == "accuracy" and not is_covered
    ]
    return places + [
        f"metrics[{index}]"
        for index, metric in enumerate(brief.metrics)
        if "accuracy" in metric.name.lower()
        and metric.at_least is not None
        and not re.search(r"\d", metric.basis or "")
    ]


def _rare(brief: Brief) -> dict[str, float]:
    """Give the classes and slices below a tenth, with their shares."""
    shares = {name: share.mid for name, share in brief.traffic.slices.items()}
    total = brief.labels.per_month
    if total is not None and total.mid > 0:
        for name, count in brief.labels.positives_per_month.items():
            shares.setdefault(name, count.mid / total.mid)
    return {name: share for name, share in shares.items() if 0 < share < _RARE}


def _a8_no_peak(found: BriefFile) -> Iterator[Finding]:
    traffic = found.brief.traffic
    if traffic.rate is not None and traffic.peak is not None:
        return
    missing = [
        name for name, given in (("rate", traffic.rate), ("peak", traffic.peak)) if given is None
    ]
    yield Finding(
        id="A8",
        risk=Risk.MEDIUM,
        where=place_of(found, "traffic"),
        why=f"traffic states no {' and no '.join(missing)}: nobody can say what breaks in a spike",
        fix=f"`traffic: {{rate: {traffic.rate or '50 / s'}, peak: {traffic.peak or '10x'}, "
        "arrivals: bursty}`; a range will do",
    )


def _a12_guarantee_without_n(found: BriefFile) -> Iterator[Finding]:
    """A promise of quality that no number of labels stands behind, or could."""
    beyond = list(_beyond_any_label(found))
    yield from beyond[:1]
    if beyond:
        return
    brief = found.brief
    unlabelled = [need for need in evidence_needs(brief) if not need.per_month]
    if not unlabelled:
        yield from _words_of_a_guarantee(found)
        return
    need = unlabelled[0]
    objective = brief.envelope[need.index]
    yield Finding(
        id="A12",
        # Without tiers it is an envelope, not yet a design that claims anything.
        risk=Risk.HIGH if brief.layers.tiers or "labels" in found.order else Risk.MEDIUM,
        where=found.where(f"envelope[{need.index}]"),
        why=f"`{need.objective}` promises {objective.limit} at a confidence level of "
        f"{objective.confidence_level}, which takes at least {need.fewest:,} labelled cases, "
        f"and the brief states {'no number of labels' if need.per_month is None else 'none'}",
        fix="`labels: {arrive_after: 1 d, per_month: 2000, usd_each: 0.40, source: human}`",
    )


def _beyond_any_label(found: BriefFile) -> Iterator[Finding]:
    """Floors of 100 %, and statements that are hardly surer than a coin."""
    for index, objective in enumerate(found.brief.envelope):
        floor = objective.at_least
        if objective.kind not in {"quality", "joint", "availability"}:
            continue
        where = found.where(f"envelope[{index}]")
        ceiling = objective.at_most
        if (floor is not None and floor.mid >= 1) or (ceiling is not None and ceiling.mid <= 0):
            yield Finding(
                id="A12",
                risk=Risk.HIGH,
                where=where,
                why=f"`{objective.id}` promises {objective.limit}: no number of cases can show "
                "that nothing is ever missed",
                fix="promise a share between 0 and 1, for example `at_least: 0.995`",
            )
        elif objective.confidence_level < _SURE:
            yield Finding(
                id="A12",
                risk=Risk.MEDIUM,
                where=where,
                why=f"`{objective.id}` holds at a confidence level of "
                f"{objective.confidence_level}: it may be wrong in "
                f"{(1 - objective.confidence_level) * 100:.0f} of 100 such briefs",
                fix="`confidence_level: 0.95`",
            )


def _words_of_a_guarantee(found: BriefFile) -> Iterator[Finding]:
    brief = found.brief
    is_limited = any(objective.needs_labels for objective in brief.envelope)
    for section in ("goal", "metrics", "layers", "bottleneck", "tradeoff"):
        for path, text in _texts_in(getattr(brief, section), section):
            if claims_a_guarantee(text):
                yield Finding(
                    id="A12",
                    risk=Risk.HIGH
                    if not is_limited and is_about_right_answers(text)
                    else Risk.MEDIUM,
                    where=found.where(path),
                    why=f"{path} guarantees in words ({text!r}) what "
                    + ("a bound shows" if is_limited else "no quality objective limits"),
                    fix="say the number, its confidence_level and how many labelled cases show it"
                    if is_limited
                    else "`- {quality: accuracy, at_least: 0.90}` in `envelope:`",
                )
                return


def _a14_above_the_usual_cap(found: BriefFile) -> Iterator[Finding]:
    """A cost per decision above what such features usually may cost, and no worth beside it."""
    value = found.brief.goal.value_usd
    for index, limit in _caps(found.brief):
        if limit <= _USUAL_CAP_USD or (value is not None and value.low > limit):
            continue
        worth = (
            "no value is stated" if value is None else f"a right answer is worth ${_bare(value)}"
        )
        yield Finding(
            id="A14",
            risk=Risk.HIGH if value is None or value.mid <= limit else Risk.MEDIUM,
            where=found.where(f"envelope[{index}]"),
            why=f"{format_usd(limit)} a decision is above the usual cap of "
            f"{format_usd(_USUAL_CAP_USD)}, and {worth}",
            fix="state in `goal.value_usd` what a right answer is worth, or lower the limit",
        )
        return


def _bare(value: Quantity) -> str:
    return str(value).replace("$", "")


def _caps(brief: Brief) -> Iterator[tuple[int, float]]:
    """Give the limits of the mean cost of a decision; a cap of each counts when there is none."""
    mean: list[tuple[int, float]] = []
    each: list[tuple[int, float]] = []
    rate = None if brief.traffic.rate is None else brief.traffic.rate.mid
    for index, objective in enumerate(brief.envelope):
        if objective.kind != "cost" or objective.limit is None:
            continue
        period = _PERIOD_S.get(objective.measure)
        if objective.by is AnsweredBy.PEOPLE or (period is not None and not rate):
            continue
        usd = objective.limit.mid / (1.0 if period is None or not rate else rate * period)
        (each if objective.measure == "each" else mean).append((index, usd))
    yield from mean or each


def _a15_model_metric_first(found: BriefFile) -> Iterator[Finding]:
    goal = found.brief.goal
    kinds = {metric.name: metric.kind for metric in found.brief.metrics}
    if is_model_metric(goal.metric) or kinds.get(goal.metric or "") == "model":
        business = [
            m.name
            for m in found.brief.metrics
            if m.kind in {"business", "product"} and not is_model_metric(m.name)
        ]
        instead = business[0] if business else "resolution_minutes"
        yield Finding(
            id="A15",
            risk=Risk.MEDIUM,
            where=found.where("goal.metric"),
            why=f"the primary metric is {goal.metric!r}, which speaks about a model: "
            "it can rise while the business stands still",
            fix=f"`metric: {instead}` in `goal:`, and {goal.metric} in `metrics:` with `leads_to`",
        )
        return
    for index, metric in enumerate(found.brief.metrics):
        if metric.kind == "business" and is_model_metric(metric.name):
            yield Finding(
                id="A15",
                risk=Risk.MEDIUM,
                where=found.where(f"metrics[{index}]"),
                why=f"{metric.name!r} is called a business metric and speaks about a model",
                fix=f"`kind: model`, and `leads_to: {goal.metric or 'resolution_minutes'}`",
            )
            return
