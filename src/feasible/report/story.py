"""A design told in eight minutes, and as the document and model card that a team files."""

from __future__ import annotations

from collections.abc import Iterator

from feasible.rubric import Review
from feasible.schema import Brief, TierKind, TierSpec
from feasible.units import format_usd

__all__ = ["design_document", "story"]

_UNSTATED = "not stated in the brief"


def story(brief: Brief, review: Review) -> str:
    """Tell a design in eight minutes, one page, the riskiest component in the middle.

    Args:
        brief: The design.
        review: What the rubric says of it: the component that binds first is the riskiest one.
    """
    lines = [f"# {brief.name} in eight minutes", ""]
    for minute, title, said in (
        ("0:00", "Why", _why(brief)),
        ("1:00", "What is promised", _limits(brief)),
        ("2:30", "How it answers", [_tier(tier) for tier in brief.layers.tiers]),
        ("4:00", "Where the risk is", _risk(brief, review)),
        ("6:00", "What fails, and who answers then", _failures(brief)),
        ("7:00", "What was given up", _tradeoff(brief)),
        ("7:40", "What to decide today", _open(review)),
    ):
        lines += [f"## {minute} {title}", "", *(f"- {line}" for line in said or [_UNSTATED]), ""]
    return "\n".join(lines).rstrip() + "\n"


def design_document(brief: Brief, review: Review) -> str:
    """Write a design document with the usual sections and a model card at its end."""
    layers = brief.layers
    sections = (
        ("Context and goal", _why(brief)),
        ("Metrics", _metrics(brief)),
        ("Requirements", _limits(brief)),
        ("Traffic and labels", _supply(brief)),
        ("Design", [*_layers(brief), *(_tier(tier) for tier in layers.tiers)]),
        ("Capacity and bottleneck", _risk(brief, review)),
        ("Failures", _failures(brief)),
        ("Trade-offs", _tradeoff(brief)),
        ("Open risks", [f"{f.risk} {f.id}: {f.why}; {f.fix}" for f in review.findings]),
        ("Model card", _card(brief, review)),
    )
    lines = [f"# Design of {brief.name}", ""]
    for title, said in sections:
        lines += [f"## {title}", "", *(f"- {line}" for line in said or [_UNSTATED]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _why(brief: Brief) -> list[str]:
    goal = brief.goal
    said = [goal.statement]
    if goal.metric is not None:
        said.append(f"{goal.metric}: {goal.now or '?'} now, {goal.target or '?'} wanted")
    if goal.decision is not None:
        said.append(f"It decides {goal.decision}; the {goal.actor or 'user'} acts on it")
    if goal.value_usd is not None and goal.error_usd is not None:
        said.append(
            f"A right answer is worth ${goal.value_usd}, a wrong one costs ${goal.error_usd}"
        )
    return said


def _limits(brief: Brief) -> list[str]:
    return [
        f"{o.id}: {'at most' if o.is_ceiling else 'at least' if o.limit is not None else 'stays'} "
        f"{o.limit if o.limit is not None else o.must_stay}"
        for o in brief.envelope
    ]


def _tier(tier: TierSpec) -> str:
    numbers = [
        f"{label} {value}"
        for label, value in (
            ("price", tier.usd),
            ("p95", tier.latency_p95),
            ("reached by", tier.reach),
            ("bears", tier.capacity),
        )
        if value is not None
    ]
    return f"`{tier.name}` ({tier.kind.value}): {', '.join(numbers) or 'no numbers yet'}"


def _risk(brief: Brief, review: Review) -> list[str]:
    said = [review.bottleneck.sentence]
    named = brief.bottleneck
    if named is not None:
        said.append(f"We name `{named.knob}`, at {named.at_load or 'no stated'} load")
        if named.fix is not None:
            fix = named.fix
            usd = "an unstated sum" if fix.usd_month is None else format_usd(fix.usd_month.mid)
            said.append(f"The fix: {fix.change}, {usd} a month, buys {fix.buys or '?'}")
            said += [f"Instead: {other.change} ({other.usd_month})" for other in fix.alternatives]
            if fix.breaks_next is not None:
                said.append(f"Next breaks: {fix.breaks_next}")
    return said


def _failures(brief: Brief) -> list[str]:
    return [
        f"`{f.component}`: {f.trigger or '?'}; {f.effect or '?'}; seen in {f.detected_in or '?'}; "
        f"then {f.fallback or 'nobody'} answers"
        for f in brief.failures
    ]


def _tradeoff(brief: Brief) -> list[str]:
    t = brief.tradeoff
    return [] if t is None else [f"{t.gave_up}, for {t.got}", f"In numbers: {t.number or '?'}"]


def _open(review: Review) -> list[str]:
    worst = [f"{f.risk} {f.id} at {f.where}: {f.why}" for f in review.findings[:3]]
    return worst or ["Nothing that the brief alone can show is open: plan it"]


def _metrics(brief: Brief) -> list[str]:
    return [
        f"{m.name} ({m.kind})" + (f", leads to {m.leads_to}" if m.leads_to else "")
        for m in brief.metrics
    ]


def _supply(brief: Brief) -> list[str]:
    traffic, labels = brief.traffic, brief.labels
    return [
        f"{traffic.rate or '?'} on average, {traffic.peak or '?'} at the peak",
        f"{labels.per_month or '?'} labels a month, known after {labels.arrive_after or '?'}",
        f"${labels.usd_each if labels.usd_each is not None else '?'} for a label",
    ]


def _layers(brief: Brief) -> Iterator[str]:
    layers = brief.layers
    if layers.data is not None:
        data = layers.data
        yield f"Data: {data.source or '?'} ({data.mode or '?'}); {data.labels or '?'}"
    if layers.features is not None:
        yield f"Features: {', '.join(layers.features.names)}, at most {layers.features.max_age} old"
    if layers.serving is not None:
        instead = ", ".join(f"{on}: {tier}" for on, tier in layers.serving.fallback.items())
        yield f"Serving: deadline {layers.serving.deadline}, fallback {instead or '?'}"
    if layers.feedback is not None:
        loop = layers.feedback
        yield f"Feedback: {loop.drift or '?'}, seen in {loop.detected_in or '?'}"


def _card(brief: Brief, review: Review) -> list[str]:
    """Say what a model card says: intended use, data, evaluation, limits."""
    models = [t for t in brief.layers.tiers if t.kind in {TierKind.MODEL, TierKind.LLM}]
    data = brief.layers.data
    quality = [o for o in brief.envelope if o.needs_labels]
    evidence = [said for c in review.criteria if c.id == "R3" for said in c.evidence]
    return [
        f"Models: {', '.join(f'`{t.name}` ({t.model or t.kind.value})' for t in models) or 'none'}",
        f"Intended use: {brief.goal.decision or _UNSTATED}; acted on by {brief.goal.actor or '?'}",
        f"Training and label data: {_UNSTATED if data is None else data.labels or data.source}",
        f"Promised quality: {', '.join(f'{o.id} {o.limit}' for o in quality) or _UNSTATED}",
        *(f"Evidence: {said}" for said in evidence if "labelled" in said),
        "Not shown by this card: any measured quality; that is in the certificate of a plan",
        f"Slices to watch: {', '.join(brief.traffic.slices) or _UNSTATED}",
    ]
