"""How a tier is called, chosen by what it is and by what its brief declares."""

from __future__ import annotations

from feasible.cascade import FALLBACK_SHARE, MOST_AWAITED, in_flight
from feasible.errors import FeatureError
from feasible.schema import TierKind, TierSpec, hedge_delay_s
from feasible.serving.breaker import Breaker
from feasible.serving.calls.awaited import AwaitedCalls
from feasible.serving.calls.base import Calls, TierCalls
from feasible.serving.calls.batched import BatchedCalls
from feasible.serving.calls.by_length import CallsByLength
from feasible.serving.calls.direct import DirectCalls
from feasible.serving.calls.guarded import GuardedCalls
from feasible.serving.calls.isolated import IsolatedCalls
from feasible.serving.calls.prompt import PromptCalls
from feasible.serving.calls.repeated import RepeatedCalls
from feasible.serving.calls.shared import SharedCalls
from feasible.tiers import AsyncTier, ExactCache, PersonQueue, Recipe, Tier

__all__ = ["calls_of"]


def calls_of(
    tier: Tier,
    *,
    labels: frozenset[str] | None,
    breaker: Breaker,
    spec: TierSpec | None = None,
    typical_s: float | None = None,
    p95_s: float | None = None,
    deadline_s: float | None = None,
    arrivals_per_s: float | None = None,
    workers: int = 1,
) -> TierCalls:
    """Choose how a tier is called.

    Args:
        tier: Whom to ask.
        labels: The closed set of answers; None when any value will do.
        breaker: Told how each call ended.
        spec: What the brief declares about it.
        typical_s: Seconds of a typical call, one request alone; None when unknown.
        p95_s: Seconds that most calls take; None when unknown.
        deadline_s: Seconds for a whole decision; None without a deadline.
        arrivals_per_s: Requests that reach the tier each second at the peak; None when unknown.
        workers: Processes of the service that share what the tier may have in flight.

    Raises:
        FeatureError: The brief asks for what this tier cannot do.
    """
    usual = in_flight(arrivals_per_s, p95_s)
    base = _base(tier, labels, breaker, spec, typical_s, deadline_s, workers, usual)
    calls: TierCalls = GuardedCalls(base, breaker, usual_s=_usual_s(spec, p95_s, deadline_s))
    hedge_s = _hedge_s(tier, base, spec, p95_s)
    retries = 0 if spec is None else spec.retries
    if spec is not None and (retries or hedge_s is not None):
        calls = RepeatedCalls(
            calls,
            tier,
            retries=retries,
            hedge_s=hedge_s,
            share=None if spec.retry_budget is None else spec.retry_budget.low,
            typical_s=typical_s,
            is_shut=lambda: breaker.is_open,
        )
    # A question that costs something is asked once when many ask it at the same time.
    if isinstance(tier, AsyncTier) or tier.kind is TierKind.LLM:
        calls = SharedCalls(calls, tier)
    return calls


def _base(
    tier: Tier,
    labels: frozenset[str] | None,
    breaker: Breaker,
    spec: TierSpec | None,
    typical_s: float | None,
    deadline_s: float | None,
    workers: int,
    usual: int,
) -> Calls:
    most = None if spec is None else spec.concurrency
    most = None if most is None else max(1, most // workers)
    if isinstance(getattr(tier, "target", tier), ExactCache | PersonQueue):
        return DirectCalls(tier, labels=labels)

    def isolated(recipe: Recipe) -> IsolatedCalls:
        return IsolatedCalls(
            tier,
            recipe,
            labels=labels,
            most=most,
            typical_s=typical_s,
            is_shut=lambda: breaker.is_open,
        )

    recipe = _recipe(tier, spec)
    if recipe is not None:
        return isolated(recipe)
    if isinstance(tier, AsyncTier):
        most = max(1, max(MOST_AWAITED, usual) // workers) if most is None else most
        return AwaitedCalls(
            tier, labels=labels, most=most, typical_s=typical_s, is_shut=lambda: breaker.is_open
        )
    batched = BatchedCalls(
        tier, labels=labels, typical_s=typical_s, deadline_s=deadline_s, most=most
    )
    squares: frozenset[str] = getattr(tier, "squares", frozenset())
    own: Recipe | None = getattr(tier, "recipe", None)
    if squares and own is not None and (spec is None or spec.isolate is None):
        return CallsByLength(batched, isolated(own), fields=squares)
    fields = getattr(tier, "searches", None)
    if fields is None or most is not None:
        return batched
    return PromptCalls(DirectCalls(tier, labels=labels), batched, fields=fields)


def _usual_s(spec: TierSpec | None, p95_s: float | None, deadline_s: float | None) -> float:
    """Give the seconds that a call has by the plan, at least; 0 when nobody knows."""
    if p95_s is None:
        return 0.0
    timeout = None if spec is None else spec.timeout
    own_s = p95_s if timeout is None else min(p95_s, timeout.ms / 1e3)
    return own_s if deadline_s is None else min(own_s, FALLBACK_SHARE * deadline_s)


def _recipe(tier: Tier, spec: TierSpec | None) -> Recipe | None:
    """Give how a process makes a tier that is to have its own; None for any other."""
    isolate = None if spec is None else spec.isolate
    recipe: Recipe | None = getattr(tier, "recipe", None)
    if isolate == "none" or (isolate is None and not getattr(tier, "may_hold", False)):
        return None
    if recipe is None and isolate == "process":
        raise FeatureError(
            f"tier {tier.name!r} cannot run in a process of its own",
            asked="isolate: process",
            found="an object that no other process can make",
            attempt="name it with `use: module:object` in a feature folder",
        )
    return recipe


def _hedge_s(tier: Tier, base: Calls, spec: TierSpec | None, p95_s: float | None) -> float | None:
    """Give after how many seconds a slow call is made a second time; None: never."""
    delay = hedge_delay_s(spec)
    if delay is None:
        return None
    if not isinstance(base, AwaitedCalls | IsolatedCalls):
        raise FeatureError(
            f"tier {tier.name!r} cannot be asked a second time while it answers",
            asked=f"hedge_after: {spec.hedge_after if spec is not None else ''}",
            found="one thread that answers whatever waits",
            attempt="`isolate: process`, a tier with `answer_async`, or no `hedge_after`",
        )
    return p95_s if delay == "p95" else delay
