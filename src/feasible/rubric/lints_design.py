"""Lints on how it is built: failure points, more data, caches, retries, retraining, people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from feasible.rubric.lexicon import (
    asks_for_data,
    asks_to_retry,
    is_vague,
    says_something,
    wants_more_data,
)
from feasible.rubric.places import place_of
from feasible.rubric.records import Finding, Risk
from feasible.schema import Brief, BriefFile, Failure, Labels, Retrain, TierKind, TierSpec
from feasible.units import Count, Duration, Quantity, format_duration, format_usd

__all__ = ["has_fallback", "lint_design"]

_EXAMPLES: Final = {
    "labels": "labels: 500",
    "usd_per_label": "usd_per_label: $0.40",
    "label_delay": "label_delay: 1 d",
    "usd_month": "usd_month: $200",
    "per_month": "labels.per_month: 2000",
    "usd_each": "labels.usd_each: 0.40",
    "arrive_after": "labels.arrive_after: 1 d",
}
_SIMILARITY: Final = (
    "semantic",
    "similar",
    "near-duplicate",
    "nearest",
    "fuzzy",
    "embedding",
    "vector",
    "cosine",
    "paraphrase",
)


def lint_design(found: BriefFile) -> Iterator[Finding]:
    """Give the findings about layers, failures and the fix of the bottleneck."""
    yield from _a3_no_failure_point(found)
    yield from _a4_more_data_at_no_price(found)
    for index, tier in enumerate(found.brief.layers.tiers):
        at = f"layers.tiers[{index}]"
        yield from _a9_cache(found, at, tier)
        yield from _a10_retries(found, at, tier)
        yield from _a13_people(found, at, tier)
    yield from _a10_retries_in_words(found)
    yield from _a11_retraining(found)


def has_fallback(failure: Failure) -> bool:
    """Claim that something else answers meanwhile; what failed cannot stand in for itself."""
    return says_something(failure.fallback) and failure.fallback != failure.component


def _a3_no_failure_point(found: BriefFile) -> Iterator[Finding]:
    failures = found.brief.failures
    if any(has_fallback(f) and f.detected_in is not None for f in failures):
        return
    why = "the brief names nothing that can fail"
    if failures:
        why = "no failure states both how soon it is seen and what answers meanwhile"
    component, fallback = _likeliest_failure(found.brief)
    is_sketch = not failures and not found.brief.layers.tiers  # an envelope alone cannot fail yet
    yield Finding(
        id="A3",
        risk=Risk.MEDIUM if is_sketch else Risk.HIGH,
        where=place_of(found, "failures"),
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
            yield from _wish(found, "bottleneck.fix", fix.change, stated)
        for index, other in enumerate(fix.alternatives):
            if asks_for_data(other.change) and other.usd_month is None:
                at = f"bottleneck.fix.alternatives[{index}]"
                yield from _unpriced(found, at, other.change, ["usd_month"])
    feedback = brief.layers.feedback
    retrain = None if feedback is None else feedback.retrain
    if retrain is not None and (retrain.labels is not None or asks_for_data(retrain.trigger)):
        stated = (retrain.labels, retrain.usd_per_label, retrain.label_delay)
        yield from _wish(found, "layers.feedback.retrain", "retraining", stated)
    for at, text in _free_texts(brief):
        missing = _unstated(brief.labels)
        if wants_more_data(text) and missing:
            yield from _unpriced(found, at, text or "", missing)
    yield from _a4_labels(found)


def _a4_labels(found: BriefFile) -> Iterator[Finding]:
    """Labels that come in some number, but nobody knows when or for how much."""
    missing = _unstated(found.brief.labels)
    if "labels" not in found.order or not missing or "per_month" in missing:
        return  # without a number it is A12
    yield Finding(
        id="A4",
        risk=Risk.MEDIUM,
        where=found.where("labels"),
        why=f"the labels state no {', no '.join(missing)}: labels cost money and come late",
        fix=f"add {', '.join(f'`{_EXAMPLES[name]}`' for name in missing)}",
    )


def _wish(
    found: BriefFile,
    at: str,
    what: str,
    stated: tuple[Count | None, Quantity | None, Duration | None],
) -> Iterator[Finding]:
    """Hold a wish for labels to its number, price and delay.

    What `labels:` says of price and delay will do, but whether it holds for these too is asked.
    """
    missing = _missing(*stated, labels=found.brief.labels)
    if missing:
        yield from _unpriced(found, at, what, missing)
        return
    names = ("labels", "usd_per_label", "label_delay")
    left = [name for name, part in zip(names, stated, strict=True) if part is None]
    if left:
        yield from _unpriced(found, at, what, left, risk=Risk.MEDIUM)


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
        yield "layers.feedback.drift", layers.feedback.drift
        yield "layers.feedback.note", layers.feedback.note
    if brief.bottleneck is not None and brief.bottleneck.fix is not None:
        yield "bottleneck.fix.buys", brief.bottleneck.fix.buys
    for index, tier in enumerate(layers.tiers):
        yield f"layers.tiers[{index}].note", tier.note


def _unstated(labels: Labels) -> list[str]:
    """Give what `labels:` leaves out; outcomes and proxies come without a price."""
    missing = [] if labels.per_month is not None else ["per_month"]
    if labels.usd_each is None and labels.source in {None, "human"}:
        missing.append("usd_each")
    if labels.arrive_after is None:
        missing.append("arrive_after")
    return missing


def _unpriced(
    found: BriefFile, at: str, what: str, missing: list[str], *, risk: Risk = Risk.HIGH
) -> Iterator[Finding]:
    reason = "labels cost money and come late"
    if risk is Risk.MEDIUM:
        reason = "`labels:` has one, which may not hold for these"
    yield Finding(
        id="A4",
        risk=risk,
        where=found.where(at),
        why=f"{what!r} asks for labels and states no {', no '.join(missing)}: {reason}",
        fix=f"add {', '.join(f'`{_EXAMPLES[name]}`' for name in missing)} there",
    )


def _a9_cache(found: BriefFile, at: str, tier: TierSpec) -> Iterator[Finding]:
    if tier.kind is not TierKind.CACHE:
        return
    yield from _a9_age(found, at, tier)
    words = " ".join([tier.name, tier.use or "", tier.model or "", tier.note or "", *tier.options])
    if tier.false_hit is None and any(word in words.lower() for word in _SIMILARITY):
        yield Finding(
            id="A9",
            risk=Risk.MEDIUM,
            where=found.where(at),
            why=f"{tier.name} answers by similarity and states no share of wrong hits",
            fix=f"add `false_hit: 0.5 %` to {tier.name}",
        )


def _a9_age(found: BriefFile, at: str, tier: TierSpec) -> Iterator[Finding]:
    """How old an answer may get, and what empties the cache before that."""
    limit = _freshness_s(found.brief)
    fresh = "" if limit is None else f" while the envelope promises {format_duration(limit)}"
    is_emptied = says_something(tier.invalidate)
    if tier.ttl is None:
        yield Finding(
            id="A9",
            risk=Risk.MEDIUM if limit is None else Risk.HIGH,
            where=found.where(at),
            why=f"`{tier.name}` keeps an answer for ever{fresh}",
            fix=f"add `ttl: {'1 h' if limit is None else format_duration(limit)}` to {tier.name}",
        )
    elif not is_emptied:
        is_late = limit is not None and tier.ttl.mid > limit
        yield Finding(
            id="A9",
            risk=Risk.HIGH if is_late else Risk.LOW,
            where=found.where(at),
            why=f"`{tier.name}` keeps an answer for {tier.ttl}{fresh if is_late else ''}, "
            "and nothing empties it before",
            fix=(f"`ttl: {format_duration(limit)}`, or say" if is_late else "say")
            + " what empties it: `invalidate: on every new plan`",
        )


def _freshness_s(brief: Brief) -> float | None:
    """Give the shortest freshness that the envelope promises. Seconds."""
    limits = [o.at_most.mid for o in brief.envelope if o.kind == "freshness" and o.at_most]
    return min(limits, default=None)


def _a10_retries(found: BriefFile, at: str, tier: TierSpec) -> Iterator[Finding]:
    budget = tier.retry_budget
    missing = []
    if budget is None or budget.high >= 1:  # a budget of every call is none
        missing.append("no budget")
    if not says_something(tier.breaker):
        missing.append("no breaker")
    if tier.retries < 1 or not missing:
        return
    has_none = len(missing) > 1
    yield Finding(
        id="A10",
        risk=Risk.HIGH if has_none else Risk.MEDIUM,
        where=found.where(f"{at}.retries"),
        why=f"{tier.name} is tried up to {1 + tier.retries} times with {' and '.join(missing)}: "
        f"when it slows down, it gets {f'{1 + tier.retries}x the' if has_none else 'more'} calls, "
        "and may stay down after the cause is gone",
        fix=f"add `retry_budget: 10 %` and `breaker: 5 failures in 10 s` to {tier.name}",
    )


def _a10_retries_in_words(found: BriefFile) -> Iterator[Finding]:
    """A sentence that retries, where no tier states a budget for it."""
    brief = found.brief
    if any(tier.retry_budget is not None for tier in brief.layers.tiers):
        return
    texts = [(f"failures[{i}]", f.fallback) for i, f in enumerate(brief.failures)]
    texts += [(f"layers.tiers[{i}].note", tier.note) for i, tier in enumerate(brief.layers.tiers)]
    if brief.layers.serving is not None:
        texts.append(("layers.serving.overload", brief.layers.serving.overload))
        texts.append(("layers.serving.note", brief.layers.serving.note))
    for at, text in texts:
        if asks_to_retry(text):
            yield Finding(
                id="A10",
                risk=Risk.MEDIUM,
                where=found.where(at),
                why=f"{text!r} makes calls again, and no tier states a budget or a breaker",
                fix="`retries: 1, retry_budget: 10 %, breaker: 5 failures in 10 s` on that tier",
            )
            return


def _a13_people(found: BriefFile, at: str, tier: TierSpec) -> Iterator[Finding]:
    if tier.kind is not TierKind.PERSON or (tier.capacity is not None and tier.capacity.high > 0):
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
    if (retrain is None and not models) or (retrain is not None and not _gaps(retrain)):
        return
    where = "layers.feedback" if retrain is None else "layers.feedback.retrain"
    gaps = ["no cadence or trigger", "no price"] if retrain is None else _gaps(retrain)
    usd = 12.0 if retrain is None or retrain.usd is None else retrain.usd.mid
    yield Finding(
        id="A11",
        risk=Risk.MEDIUM,
        where=found.where(where),
        why=f"{', '.join(models) or 'what was learnt'} will age, "
        f"and retraining has {' and '.join(gaps)}",
        fix="`retrain: {every: 30 d, trigger: accuracy below its floor, "
        f"usd: {format_usd(usd)}}}`",
    )


def _gaps(retrain: Retrain) -> list[str]:
    gaps = []
    if retrain.every is None and (not says_something(retrain.trigger) or is_vague(retrain.trigger)):
        gaps.append("no cadence or trigger")
    if retrain.usd is None:
        gaps.append("no price")
    return gaps
