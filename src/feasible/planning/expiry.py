"""Whether a certificate still stands: it expires when what it was made from has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from feasible.schema import (
    Brief,
    Expired,
    Plan,
    PlanCheck,
    TierSpec,
    brief_fingerprint,
    brief_of,
)
from feasible.units import Duration

__all__ = ["check_plan", "expired_versions"]


def check_plan(
    plan: Plan, brief: Brief, versions: Mapping[str, str] | None, *, now: datetime
) -> PlanCheck:
    """Say whether a plan's certificate still stands under the brief and the tiers of today.

    It stands only where every promise was shown to hold when the plan was made, but for those that
    it says it does not make.

    Args:
        plan: The plan.
        brief: The brief as it is now.
        versions: Tier -> version now; None when there is no tier code to ask.
        now: Time of the check.
    """
    expired = [*_never_held(plan), *_brief_changes(plan, brief)]
    expired += expired_versions(plan, versions)
    expired += _age(plan, brief, now)
    return PlanCheck(
        plan=plan.id,
        made_at=plan.made_at,
        stands=not expired,
        expired=tuple(expired),
        checked=tuple(_checked(plan, brief, versions)),
    )


def _never_held(plan: Plan) -> Iterator[Expired]:
    """Give the promises that were not shown to hold when the plan was made."""
    for line in plan.certificate:
        if not line.holds and line.objective not in plan.not_promised:
            yield Expired(what="promise", name=line.objective, was="promised", now="not shown")


def expired_versions(plan: Plan, versions: Mapping[str, str] | None) -> Iterator[Expired]:
    """Give the tiers of a plan that are gone or are not what they were when it was made.

    Args:
        plan: The plan.
        versions: Tier -> version now; None when there is no tier code to ask.
    """
    for step in plan.tiers if versions is not None else ():
        version = (versions or {}).get(step.name)
        if version is None:
            yield Expired(what="tier", name=step.name, was=step.version, now="not there")
        elif version != step.version:
            yield Expired(what="version", name=step.name, was=step.version, now=version)


def _brief_changes(plan: Plan, brief: Brief) -> Iterator[Expired]:
    """Give what changed in the brief, prices of the plan's tiers first."""
    if brief_fingerprint(brief) == plan.brief_fingerprint:
        return
    before = brief_of(plan).brief
    planned = {step.name for step in plan.tiers}
    was = {tier.name: tier for tier in before.layers.tiers}
    yield from (
        Expired(what="price", name=tier.name, was=_price(was[tier.name]), now=_price(tier))
        for tier in brief.layers.tiers
        if tier.name in planned and tier.name in was and _price(was[tier.name]) != _price(tier)
    )
    objectives = {o.id: str(o.limit) for o in before.envelope}
    limits = {o.id: str(o.limit) for o in brief.envelope}
    for name in dict.fromkeys([*objectives, *limits]):
        old, new = objectives.get(name, "not promised"), limits.get(name, "not promised")
        if old != new:
            yield Expired(what="brief", name=name, was=old, now=new)
    now = brief_fingerprint(brief)
    yield Expired(what="brief", name="fingerprint", was=plan.brief_fingerprint, now=now)


def _price(tier: TierSpec) -> str:
    parts = [str(tier.usd)] if tier.usd is not None else []
    parts += [f"{tier.usd_hour} an hour"] if tier.usd_hour is not None else []
    return " and ".join(parts) or "not declared"


def _age(plan: Plan, brief: Brief, now: datetime) -> Iterator[Expired]:
    """Give the age of a plan whose brief says how often its models are fitted again."""
    every = _fitted_every(brief)
    days = (now - plan.made_at).total_seconds() / 86_400
    if every is not None and days > every.high / 86_400:
        yield Expired(
            what="age",
            name="layers.feedback.retrain.every",
            was=str(every),
            now=f"made {days:.0f} d ago",
        )


def _checked(plan: Plan, brief: Brief, versions: Mapping[str, str] | None) -> Iterator[str]:
    yield f"the brief: its promises and the declared prices of {len(plan.tiers)} tiers"
    if plan.not_promised:
        yield f"not {', '.join(plan.not_promised)}: not promised yet, for want of evidence"
    if versions is None:
        yield "not the versions of the tiers: there is no tier code to ask"
    else:
        yield f"the versions of {len(plan.tiers)} tiers"
    every = _fitted_every(brief)
    if every is None:
        yield "not the age: the brief declares no `layers.feedback.retrain.every`"
    else:
        yield f"the age, against {every}"


def _fitted_every(brief: Brief) -> Duration | None:
    feedback = brief.layers.feedback
    return None if feedback is None or feedback.retrain is None else feedback.retrain.every
