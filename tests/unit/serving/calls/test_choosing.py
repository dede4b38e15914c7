from __future__ import annotations

from typing import Any

import pytest

from feasible.clock import SystemClock
from feasible.errors import FeatureError
from feasible.schema import TierKind, TierSpec
from feasible.serving.breaker import Breaker
from feasible.serving.calls import (
    AwaitedCalls,
    BatchedCalls,
    CallsByLength,
    GuardedCalls,
    IsolatedCalls,
    PromptCalls,
    RepeatedCalls,
    SharedCalls,
    TierCalls,
    calls_of,
)
from feasible.testing import AsyncScriptedTier, ScriptedTier
from feasible.tiers import Recipe, RulesTier, Tier, as_tier, pattern

RECIPE = Recipe(make="feasible.folder:tier_of", arguments={})


def chosen(tier: Tier, **declared: Any) -> TierCalls:
    """Give how a tier is called that is declared so."""
    spec = TierSpec(name=tier.name, kind=tier.kind, **declared)
    return calls_of(tier, labels=None, breaker=Breaker(SystemClock()), spec=spec, p95_s=0.3)


def rules(regex: str, recipe: Recipe | None = RECIPE) -> Tier:
    """Give a tier of one expression, as a feature folder makes it."""
    bound = as_tier(RulesTier(pattern("a", regex)), TierSpec(name="rules", kind=TierKind.RULES))
    bound.recipe = recipe  # type: ignore[attr-defined]
    return bound


def test_a_free_tier_has_no_guard_that_it_does_not_need() -> None:
    """A breaker, and nothing else between a request and its rules."""
    calls = chosen(rules("plain"))

    assert isinstance(calls, GuardedCalls)
    assert isinstance(calls.base, PromptCalls)
    assert not calls.tells
    assert calls.most_calls == 1


def test_a_dear_tier_shares_and_repeats_as_declared() -> None:
    """Equal questions share a call that may be made again."""
    llm = AsyncScriptedTier(["a"], name="llm", kind=TierKind.LLM)

    plain, declared = chosen(llm), chosen(llm, retries=2, hedge_after="p95")

    assert isinstance(plain, SharedCalls)
    assert isinstance(plain.inner, GuardedCalls)
    assert isinstance(declared, SharedCalls)
    assert isinstance(declared.inner, RepeatedCalls)
    assert isinstance(declared.base, AwaitedCalls)
    assert (plain.most_calls, declared.most_calls) == (1, 4)


def test_rules_that_may_hold_the_interpreter_have_processes_unless_somebody_objects() -> None:
    """Whoever writes `(a+)+$` is safe without knowing why; whoever knows better may say so."""
    assert isinstance(chosen(rules("(a+)+$")).base, IsolatedCalls)
    assert isinstance(chosen(rules("(a+)+$"), isolate="none").base, BatchedCalls)
    assert isinstance(chosen(rules("plain"), isolate="process").base, IsolatedCalls)
    assert isinstance(chosen(rules("(a+)+$", recipe=None)).base, BatchedCalls)


def test_rules_whose_time_is_the_square_of_a_text_have_processes_for_long_ones() -> None:
    """One `.*` on the longest text that is taken would stop the service for seconds."""
    assert isinstance(chosen(rules("card.*lost")).base, CallsByLength)
    assert isinstance(chosen(rules("card.*lost"), isolate="none").base, BatchedCalls)
    assert isinstance(chosen(rules("card.*lost", recipe=None)).base, BatchedCalls)


def test_an_object_that_no_process_can_make_is_not_called_isolated() -> None:
    """What was asked for is kept, or refused."""
    with pytest.raises(FeatureError, match="cannot run in a process of its own"):
        chosen(ScriptedTier(["a"]), isolate="process")


def test_a_thread_cannot_be_asked_a_second_time() -> None:
    """A second attempt would wait behind the first."""
    with pytest.raises(FeatureError, match="cannot be asked a second time"):
        chosen(ScriptedTier(["a"]), hedge_after="100 ms")


def in_flight_of(calls: TierCalls) -> int:
    """Say how many calls a dear tier may have in flight."""
    assert isinstance(calls, SharedCalls)
    assert isinstance(calls.base, AwaitedCalls)
    return calls.base.most


def test_what_is_declared_of_traffic_says_how_much_is_in_flight() -> None:
    """So that a healthy tier is not passed over, and an outage makes no more slow than it must."""
    llm = AsyncScriptedTier(["a"], name="llm", kind=TierKind.LLM)

    def most(arrivals_per_s: float | None, workers: int = 1, **declared: Any) -> int:
        spec = TierSpec(name="llm", kind=TierKind.LLM, **declared)
        return in_flight_of(
            calls_of(
                llm,
                labels=None,
                breaker=Breaker(SystemClock()),
                spec=spec,
                p95_s=0.5,
                arrivals_per_s=arrivals_per_s,
                workers=workers,
            )
        )

    assert most(None) == 6
    assert most(1.0) == 6
    assert most(50.0) == 40
    assert most(50.0, workers=2) == 20
    assert most(50.0, concurrency=4) == 4
