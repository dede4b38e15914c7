from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from feasible.clock import SystemClock
from feasible.errors import RequestError, TierError, TierUnavailable
from feasible.schema import Answer, TierKind, TierSpec, breaker_rule
from feasible.serving.breaker import Breaker
from feasible.serving.calls import CallTimedOut, RetryBudget, TierCalls, Told, calls_of
from feasible.testing import AsyncScriptedTier, Hang
from feasible.units import Duration, Ratio

BUSY = TierUnavailable("busy", found="HTTP 503")
NOBODY_THERE = TierUnavailable("nobody there", was_sent=False)


def calls_with(
    script: Sequence[Any], *, breaker: Breaker | None = None, **declared: Any
) -> tuple[AsyncScriptedTier, TierCalls]:
    """Give a tier that follows a script, and its calls as a brief declares them."""
    tier = AsyncScriptedTier(
        script, name="llm", kind=TierKind.LLM, usd_per_call=0.01, worst_usd_per_call=0.02
    )
    spec = TierSpec(name="llm", kind=TierKind.LLM, **declared)
    guard = breaker or Breaker(SystemClock())
    return tier, calls_of(tier, labels=None, breaker=guard, spec=spec, typical_s=0.001)


def ask(calls: TierCalls, told: Told, *, within_s: float = 5.0) -> Answer:
    """Ask once."""
    return asyncio.run(calls.ask({"text": "?"}, within_s=within_s, told=told))


def test_a_call_that_failed_is_made_again_and_both_are_told() -> None:
    """The path shows what each attempt did; whether the failed one is billed, nobody knows."""
    tier, calls = calls_with([BUSY, "a"], retries=1)
    told = Told(most_calls=2)

    answer = ask(calls, told)

    assert answer.value == "a"
    assert len(tier.calls) == 2
    assert [(one.outcome, one.cost_usd) for one in told.attempts] == [("retried", None)]
    assert told.attempts[0].why == "busy: HTTP 503"
    assert told.why == "the second attempt"
    assert calls.figures().retries == 1


def test_an_attempt_that_was_never_sent_cost_nothing() -> None:
    """Nobody was there to bill it."""
    _, calls = calls_with([NOBODY_THERE, "a"], retries=1)
    told = Told(most_calls=2)

    ask(calls, told)

    assert told.attempts[0].cost_usd == 0


@pytest.mark.parametrize(
    "error", [TierError("HTTP 400"), RequestError("no text"), ValueError("a mistake of its own")]
)
def test_what_would_fail_again_is_not_tried_again(error: Exception) -> None:
    """A bad request is bad the second time, too."""
    tier, calls = calls_with([error, "a"], retries=3)

    with pytest.raises((TierError, RequestError)):
        ask(calls, Told(most_calls=4))

    assert len(tier.calls) == 1


def test_a_connection_that_the_tier_lost_is_tried_again() -> None:
    """A tier of yours need not know our errors."""
    tier, calls = calls_with([ConnectionResetError("by peer"), "a"], retries=1)

    assert ask(calls, Told(most_calls=2)).value == "a"
    assert len(tier.calls) == 2


def test_all_attempts_together_have_the_time_of_one() -> None:
    """The second attempt has what the first left over, and never a fresh timeout."""
    tier, calls = calls_with([BUSY, Hang()], retries=1)
    began = time.monotonic()

    with pytest.raises(CallTimedOut):
        ask(calls, Told(most_calls=2), within_s=0.4)

    assert 0.39 < time.monotonic() - began < 2.0
    assert len(tier.calls) == 2


def test_no_attempt_is_made_that_does_not_fit() -> None:
    """A provider that wants to be asked in a minute is not asked in this request again."""
    tier, calls = calls_with([TierUnavailable("slow down", retry_after_s=60), "a"], retries=3)
    began = time.monotonic()

    with pytest.raises(TierUnavailable):
        ask(calls, Told(most_calls=4), within_s=5.0)

    assert time.monotonic() - began < 2.0
    assert len(tier.calls) == 1


def test_a_tier_that_is_shut_meanwhile_is_not_asked_again() -> None:
    """Retries do not go around the breaker."""
    breaker = Breaker(SystemClock())
    tier, calls = calls_with([BUSY], breaker=breaker, retries=9, retry_budget=Ratio("100 %"))

    async def ask_many() -> None:
        for _ in range(8):
            with pytest.raises(TierUnavailable):
                await calls.ask({"text": "?"}, within_s=5.0, told=Told(most_calls=10))
            if breaker.is_open:
                return

    asyncio.run(ask_many())

    assert breaker.is_open
    assert len(tier.calls) == 5


def test_retries_are_no_more_than_the_declared_share_of_calls() -> None:
    """An outage is not met with a multiple of the calls."""
    never = Breaker(SystemClock(), rule=breaker_rule("10000 failures in a row"))
    tier, calls = calls_with([BUSY], retries=3, retry_budget=Ratio("10 %"), breaker=never)

    async def ask_many() -> None:
        for i in range(100):
            with pytest.raises(TierUnavailable):
                await calls.ask({"text": str(i)}, within_s=5.0, told=Told(most_calls=4))

    asyncio.run(ask_many())

    assert len(tier.calls) <= 100 + 1 + 10
    assert calls.figures().retries == len(tier.calls) - 100


def test_a_budget_of_nothing_pays_for_nothing() -> None:
    """0 % is no retry, not even the first."""
    assert not RetryBudget(0.0).take()


def test_a_cap_that_allows_one_call_has_one_call() -> None:
    """What may be spent bounds the attempts."""
    tier, calls = calls_with([BUSY, "a"], retries=3)

    with pytest.raises(TierUnavailable):
        ask(calls, Told(most_calls=1))

    assert len(tier.calls) == 1


def test_a_slow_call_is_made_a_second_time_and_the_first_answer_counts() -> None:
    """The slow one is called off; what it costs, nobody knows."""
    tier, calls = calls_with([Hang(), "quick"], hedge_after="50 ms")
    told = Told(most_calls=2)

    answer = ask(calls, told)

    assert answer.value == "quick"
    assert len(tier.calls) == 2
    assert [(one.outcome, one.cost_usd) for one in told.attempts] == [("cancelled", None)]
    assert told.why == "the second attempt"
    figures = calls.figures()
    assert (figures.hedges, figures.in_flight) == (1, 0)


def test_a_call_that_is_quick_has_no_second_one() -> None:
    """Hedging costs nothing while all is well."""
    tier, calls = calls_with(["quick"], hedge_after="200 ms")
    told = Told(most_calls=2)

    ask(calls, told)

    assert len(tier.calls) == 1
    assert (told.attempts, told.why) == ([], None)


def test_hedges_are_bounded_by_the_same_budget() -> None:
    """Of 20 slow calls two have a second one: one to begin with, and one for each ten."""
    slow = Hang(seconds=0.03, then=Answer("slow"))
    tier, calls = calls_with([slow], hedge_after="5 ms", retry_budget=Ratio("10 %"))

    async def ask_many() -> None:
        for i in range(20):
            await calls.ask({"text": str(i)}, within_s=5.0, told=Told(most_calls=2))

    asyncio.run(ask_many())

    assert 20 < len(tier.calls) <= 23


def test_a_second_call_that_fails_leaves_the_first_one_to_answer() -> None:
    """Both must fail before the request has."""
    first = Hang(seconds=0.2, then=Answer("first"))
    _, calls = calls_with([first, BUSY], hedge_after="20 ms")
    told = Told(most_calls=2)

    assert ask(calls, told).value == "first"
    assert [one.outcome for one in told.attempts] == ["retried"]
    assert told.why is None


def test_a_caller_that_goes_away_takes_all_attempts_along() -> None:
    """Nothing stays behind that would be paid for."""
    _, calls = calls_with([Hang()], hedge_after="10 ms", timeout=Duration("10 s"))

    async def go_away() -> int:
        asking = asyncio.create_task(
            calls.ask({"text": "?"}, within_s=10.0, told=Told(most_calls=2))
        )
        await asyncio.sleep(0.1)
        assert calls.figures().in_flight == 2
        asking.cancel()
        await asyncio.wait([asking])
        await asyncio.sleep(0.05)
        return calls.figures().in_flight

    assert asyncio.run(go_away()) == 0
