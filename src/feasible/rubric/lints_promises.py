"""Lints on what is promised: order, money, labels, tails, rare classes, load, evidence, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from feasible.rubric.evidence import MONTH_DAYS, EvidenceNeed, evidence_needs
from feasible.rubric.lexicon import claims_a_guarantee, is_model_metric, names_a_model
from feasible.rubric.records import Finding, Risk
from feasible.schema import Brief, BriefFile, Objective

__all__ = ["lint_promises"]

_USUAL_CAP_USD: Final = 0.005  # a query of a consumer feature
_RARE: Final = 0.10
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
    order = found.order
    envelope = order.index("envelope")
    fix = (
        "move `envelope:` up, right after `goal:` and `metrics:`; name tiers in `layers:` below it"
    )
    if "layers" in order and order.index("layers") < envelope:
        yield Finding(
            id="A1",
            risk=Risk.HIGH,
            where=found.where("layers"),
            why="tiers and data stand before the envelope "
            f"({found.where('envelope')}): a design was chosen before anything was promised",
            fix=fix,
        )
        return
    for path, text in _early_texts(found.brief):
        section = path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]
        named = names_a_model(text)
        if named is not None and order.index(section) < envelope:
            yield Finding(
                id="A1",
                risk=Risk.HIGH,
                where=found.where(path),
                why=f"{path} names {named!r} before a single limit is stated",
                fix="say what is decided and for whom; name the model in `layers.tiers[].model`",
            )
            return


def _early_texts(brief: Brief) -> Iterator[tuple[str, str | None]]:
    goal = brief.goal
    yield "goal.statement", goal.statement
    yield "goal.decision", goal.decision
    yield "goal.metric", goal.metric
    for index, metric in enumerate(brief.metrics):
        yield f"metrics[{index}]", metric.name


def _a2_no_price(found: BriefFile) -> Iterator[Finding]:
    brief = found.brief
    costs = [o for o in brief.envelope if o.kind == "cost"]
    per_decision = [o for o in costs if o.measure in {"mean", "each"} or brief.traffic.rate]
    if not per_decision:
        why = "no objective limits dollars per decision"
        if costs:
            why = (
                f"`{costs[0].id}` becomes dollars per decision only with a rate, and none is given"
            )
        yield Finding(
            id="A2",
            risk=Risk.HIGH,
            where=found.where("envelope"),
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
    brief = found.brief
    rare = _rare(brief)
    if rare is None or any(o.kind == "quality" and (o.of or o.on) for o in brief.envelope):
        return
    name, share = rare
    fix = f"`- {{quality: recall, of: {name}, at_least: 0.95, confidence_level: 0.95}}`"
    why = (
        f"accuracy is promised over everything while {name} is {share * 100:.2g} % of it: "
        f"never answering {name} scores {(1 - share) * 100:.4g} %"
    )
    places = [
        f"envelope[{index}]"
        for index, objective in enumerate(brief.envelope)
        if objective.quality == "accuracy"
    ]
    places += [
        f"metrics[{index}]"
        for index, metric in enumerate(brief.metrics)
        # A launch threshold on proxy labels says so, and says when the real ones come.
        if "accuracy" in metric.name and metric.at_least is not None and metric.basis is None
    ]
    for place in places[:1]:
        yield Finding(id="A7", risk=Risk.HIGH, where=found.where(place), why=why, fix=fix)


def _rare(brief: Brief) -> tuple[str, float] | None:
    """Give the rarest class or slice below a tenth, with its share."""
    shares = {name: share.mid for name, share in brief.traffic.slices.items()}
    total = brief.labels.per_month
    if total is not None and total.mid > 0:
        for name, count in brief.labels.positives_per_month.items():
            shares.setdefault(name, count.mid / total.mid)
    found = [(name, share) for name, share in shares.items() if 0 < share < _RARE]
    return min(found, key=lambda item: item[1], default=None)


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
        where=found.where("traffic"),
        why=f"traffic states no {' and no '.join(missing)}: nobody can say what breaks in a spike",
        fix=f"`traffic: {{rate: {traffic.rate or '50 / s'}, peak: {traffic.peak or '10x'}, "
        "arrivals: bursty}`; a range will do",
    )


def _a12_guarantee_without_n(found: BriefFile) -> Iterator[Finding]:
    brief = found.brief
    for index, objective in enumerate(brief.envelope):
        if objective.kind != "quality" or objective.limit is None:
            continue
        floor = objective.at_least
        if floor is not None and floor.mid >= 1:
            yield Finding(
                id="A12",
                risk=Risk.HIGH,
                where=found.where(f"envelope[{index}]"),
                why=f"`{objective.id}` promises {floor}: no number of labels can show 100 %",
                fix="promise a floor below 1, for example `at_least: 0.995`",
            )
            return
    if all(need.per_month is not None for need in evidence_needs(brief)):
        yield from _words_of_a_guarantee(found)
        return
    need = next(need for need in evidence_needs(brief) if need.per_month is None)
    objective = brief.envelope[need.index]
    yield Finding(
        id="A12",
        risk=Risk.HIGH,
        where=found.where(f"envelope[{need.index}]"),
        why=f"`{need.objective}` promises {objective.limit} at a confidence level of "
        f"{objective.confidence_level}, which takes at least {need.fewest:,} labelled cases, "
        "and the brief states no number of labels",
        fix="`labels: {arrive_after: 1 d, per_month: 2000, usd_each: 0.40, source: human}`",
    )


def _words_of_a_guarantee(found: BriefFile) -> Iterator[Finding]:
    brief = found.brief
    texts = [("goal.statement", brief.goal.statement)]
    if brief.tradeoff is not None:
        texts.append(("tradeoff.got", brief.tradeoff.got))
    if any(objective.kind == "quality" for objective in brief.envelope):
        return
    for path, text in texts:
        if claims_a_guarantee(text):
            yield Finding(
                id="A12",
                risk=Risk.HIGH,
                where=found.where(path),
                why=f"{path} guarantees something that no quality objective limits",
                fix="`- {quality: accuracy, at_least: 0.90}` in `envelope:`",
            )
            return


def _a14_above_the_usual_cap(found: BriefFile) -> Iterator[Finding]:
    goal = found.brief.goal
    for index, objective in enumerate(found.brief.envelope):
        if objective.kind != "cost" or objective.measure not in {"mean", "each"}:
            continue
        limit = objective.limit
        if limit is None or limit.mid <= _USUAL_CAP_USD:
            continue
        if goal.value_usd is not None and goal.value_usd.low > limit.mid:
            continue
        worth = (
            "no value is stated"
            if goal.value_usd is None
            else f"the answer is worth {goal.value_usd}"
        )
        yield Finding(
            id="A14",
            risk=Risk.HIGH,
            where=found.where(f"envelope[{index}]"),
            why=f"{limit} a decision is above the usual cap of $0.005, and {worth}",
            fix="state in `goal.value_usd` what a right answer is worth, or lower the limit",
        )
        return


def _a15_model_metric_first(found: BriefFile) -> Iterator[Finding]:
    goal = found.brief.goal
    kinds = {metric.name: metric.kind for metric in found.brief.metrics}
    if is_model_metric(goal.metric) or kinds.get(goal.metric or "") == "model":
        business = [m.name for m in found.brief.metrics if m.kind in {"business", "product"}]
        instead = business[0] if business else "resolution_minutes"
        yield Finding(
            id="A15",
            risk=Risk.MEDIUM,
            where=found.where("goal.metric"),
            why=f"the primary metric is {goal.metric!r}, which speaks about a model: "
            "it can rise while the business stands still",
            fix=f"`metric: {instead}` in `goal:`, and {goal.metric} in `metrics:` with `leads_to`",
        )
