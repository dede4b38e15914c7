"""Lints on how it is built: failure points, more data, caches, retries, retraining, people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from feasible.rubric.lexicon import asks_for_data, is_vague
from feasible.rubric.records import Finding, Risk
from feasible.schema import Brief, BriefFile, Labels, Retrain, TierKind, TierSpec
from feasible.units import Count, Duration, Quantity, format_duration, format_usd

__all__ = ["lint_design"]

_SIMILARITY: Final = ("semantic", "similar", "near-duplicate", "nearest")


def lint_design(found: BriefFile) -> Iterator[Finding]:
    """Give the findings about layers, failures and the fix of the bottleneck."""
    yield from _a3_no_failure_point(found)
    yield from _a4_more_data_at_no_price(found)
    for index, tier in enumerate(found.brief.layers.tiers):
        at = f"layers.tiers[{index}]"
        yield from _a9_cache(found, at, tier)
        yield from _a10_retries(found, at, tier)
        yield from _a13_people(found, at, tier)
    yield from _a11_retraining(found)


def _a3_no_failure_point(found: BriefFile) -> Iterator[Finding]:
    failures = found.brief.failures
    if any(f.fallback is not None and f.detected_in is not None for f in failures):
        return
    why = "the brief names nothing that can fail"
    if failures:
        why = "no failure states both how soon it is seen and what answers meanwhile"
    component, fallback = _likeliest_failure(found.brief)
    yield Finding(
        id="A3",
        risk=Risk.HIGH,
        where=found.where("failures" if failures else "layers"),
        why=f"{why}: in a spike nobody knows what a user sees",
        fix=f"`- {{component: {component}, trigger: it slows down in a spike, effect: answers come "
        f"late, detected_in: 10 s, fallback: {fallback}}}` in `failures:`",
    )


def _likeliest_failure(brief: Brief) -> tuple[str, str]:
    """Give the dearest machine and what would answer instead, for an example."""
    machines = [t for t in brief.layers.tiers if t.kind in {TierKind.LLM, TierKind.MODEL}]
    component = machines[-1].name if machines else "model"
    serving = brief.layers.serving
    fallback = None if serving is None else serving.fallback.get("default")
    return component, "rules" if fallback in {None, component} else str(fallback)


def _a4_more_data_at_no_price(found: BriefFile) -> Iterator[Finding]:
    """More labels take a number, a price and a delay; a fix by labels states all three."""
    brief = found.brief
    fix = None if brief.bottleneck is None else brief.bottleneck.fix
    if fix is not None:
        stated = (fix.labels, fix.usd_per_label, fix.label_delay)
        if asks_for_data(fix.change) or any(part is not None for part in stated):
            missing = _missing(*stated, labels=brief.labels)
            yield from _unpriced(found, "bottleneck.fix", fix.change, missing)
        for index, other in enumerate(fix.alternatives):
            if asks_for_data(other.change) and other.usd_month is None:
                at = f"bottleneck.fix.alternatives[{index}]"
                yield from _unpriced(found, at, other.change, ["usd_month"])
    feedback = brief.layers.feedback
    retrain = None if feedback is None else feedback.retrain
    if retrain is not None and (retrain.labels is not None or asks_for_data(retrain.trigger)):
        missing = _missing(
            retrain.labels, retrain.usd_per_label, retrain.label_delay, labels=brief.labels
        )
        yield from _unpriced(found, "layers.feedback.retrain", "retraining", missing)
    for at, text in _free_texts(brief):
        if asks_for_data(text) and not _is_priced(brief):
            missing = ["per_month", "usd_each", "arrive_after"]
            yield from _unpriced(found, at, text or "", missing)


def _missing(
    number: Count | None, usd: Quantity | None, delay: Duration | None, *, labels: Labels
) -> list[str]:
    """Give what a wish for labels leaves out; price and delay may stand in `labels:`."""
    out = [] if number is not None else ["labels"]
    if usd is None and labels.usd_each is None:
        out.append("usd_per_label")
    if delay is None and labels.arrive_after is None:
        out.append("label_delay")
    return out


def _free_texts(brief: Brief) -> Iterator[tuple[str, str | None]]:
    layers = brief.layers
    if layers.data is not None:
        yield "layers.data.labels", layers.data.labels
        yield "layers.data.note", layers.data.note
    if layers.feedback is not None:
        yield "layers.feedback.note", layers.feedback.note
    for index, tier in enumerate(layers.tiers):
        yield f"layers.tiers[{index}].note", tier.note


def _is_priced(brief: Brief) -> bool:
    labels = brief.labels
    return None not in {labels.per_month, labels.usd_each, labels.arrive_after}


def _unpriced(found: BriefFile, at: str, what: str, missing: list[str]) -> Iterator[Finding]:
    if not missing:
        return
    example = {
        "labels": "labels: 500",
        "usd_per_label": "usd_per_label: $0.40",
        "label_delay": "label_delay: 1 d",
        "usd_month": "usd_month: $200",
        "per_month": "labels.per_month: 2000",
        "usd_each": "labels.usd_each: 0.40",
        "arrive_after": "labels.arrive_after: 1 d",
    }
    yield Finding(
        id="A4",
        risk=Risk.HIGH,
        where=found.where(at),
        why=f"{what!r} asks for labels and states no {', no '.join(missing)}: "
        "labels cost money and come late",
        fix=f"add {', '.join(f'`{example[name]}`' for name in missing)} there",
    )


def _a9_cache(found: BriefFile, at: str, tier: TierSpec) -> Iterator[Finding]:
    if tier.kind is not TierKind.CACHE:
        return
    limit = _freshness_s(found.brief)
    fresh = "" if limit is None else f" while the envelope promises {format_duration(limit)}"
    if tier.ttl is None:
        yield Finding(
            id="A9",
            risk=Risk.MEDIUM if limit is None else Risk.HIGH,
            where=found.where(at),
            why=f"`{tier.name}` keeps an answer for ever{fresh}",
            fix=f"add `ttl: {'1 h' if limit is None else format_duration(limit)}` to {tier.name}",
        )
    elif limit is not None and tier.invalidate is None and tier.ttl.mid > limit:
        yield Finding(
            id="A9",
            risk=Risk.HIGH,
            where=found.where(at),
            why=f"`{tier.name}` keeps an answer for {tier.ttl}{fresh}, "
            "and nothing empties it before",
            fix=f"`ttl: {format_duration(limit)}`, or say what empties it: "
            "`invalidate: on every new plan`",
        )
    text = f"{tier.name} {tier.use or ''} {tier.model or ''} {tier.note or ''}".lower()
    if tier.false_hit is None and any(word in text for word in _SIMILARITY):
        yield Finding(
            id="A9",
            risk=Risk.MEDIUM,
            where=found.where(at),
            why=f"{tier.name} answers by similarity and states no share of wrong hits",
            fix=f"add `false_hit: 0.5 %` to {tier.name}",
        )


def _freshness_s(brief: Brief) -> float | None:
    """Give the shortest freshness that the envelope promises. Seconds."""
    limits = [o.at_most.mid for o in brief.envelope if o.kind == "freshness" and o.at_most]
    return min(limits, default=None)


def _a10_retries(found: BriefFile, at: str, tier: TierSpec) -> Iterator[Finding]:
    if tier.retries < 1 or tier.retry_budget is not None or tier.breaker is not None:
        return
    yield Finding(
        id="A10",
        risk=Risk.HIGH,
        where=found.where(f"{at}.retries"),
        why=f"{tier.name} is tried up to {1 + tier.retries} times with no budget and no breaker: "
        f"when it slows down, it gets {1 + tier.retries}x the calls, and may stay down after "
        "the cause is gone",
        fix=f"add `retry_budget: 10 %` and `breaker: 5 failures in 10 s` to {tier.name}",
    )


def _a13_people(found: BriefFile, at: str, tier: TierSpec) -> Iterator[Finding]:
    if tier.kind is not TierKind.PERSON or tier.capacity is not None:
        return
    rate = found.brief.traffic.rate
    load = ""
    if rate is not None and tier.reach is not None:
        load = f"; {rate.mid * tier.reach.mid * 3600:,.0f} cases an hour would reach them"
    yield Finding(
        id="A13",
        risk=Risk.HIGH,
        where=found.where(at),
        why=f"{tier.name} has no capacity: a queue without end looks like an answer{load}",
        fix=f"add `capacity: 120 / h` to {tier.name}, and `answer_within: 30 min`",
    )


def _a11_retraining(found: BriefFile) -> Iterator[Finding]:
    """Retraining "regularly" has neither a cadence nor a price."""
    brief = found.brief
    models = [tier.name for tier in brief.layers.tiers if tier.kind is TierKind.MODEL]
    feedback = brief.layers.feedback
    retrain = None if feedback is None else feedback.retrain
    if not models or (retrain is not None and not _gaps(retrain)):
        return
    where = "layers.feedback" if retrain is None else "layers.feedback.retrain"
    gaps = ["no cadence or trigger", "no price"] if retrain is None else _gaps(retrain)
    usd = 12.0 if retrain is None or retrain.usd is None else retrain.usd.mid
    yield Finding(
        id="A11",
        risk=Risk.MEDIUM,
        where=found.where(where),
        why=f"{', '.join(models)} will age, and retraining has {' and '.join(gaps)}",
        fix="`retrain: {every: 30 d, trigger: accuracy below its floor, "
        f"usd: {format_usd(usd)}}}`",
    )


def _gaps(retrain: Retrain) -> list[str]:
    gaps = []
    if retrain.every is None and (retrain.trigger is None or is_vague(retrain.trigger)):
        gaps.append("no cadence or trigger")
    if retrain.usd is None:
        gaps.append("no price")
    return gaps
