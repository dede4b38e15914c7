from __future__ import annotations

import asyncio
from typing import Any

import pytest

from feasible.clock import SystemClock
from feasible.errors import TierError
from feasible.schema import Answer, TierKind
from feasible.serving.breaker import Breaker
from feasible.serving.calls import CallTimedOut, TierCalls, Told, calls_of
from feasible.testing import AsyncScriptedTier, Hang

SLOW = Hang(seconds=0.15, then=Answer("a", cost_usd=0.02))


def calls_with(*script: Any) -> tuple[AsyncScriptedTier, TierCalls, Breaker]:
    """Give a dear tier that follows a script, its calls and its breaker."""
    tier = AsyncScriptedTier(
        script, name="llm", kind=TierKind.LLM, usd_per_call=0.01, worst_usd_per_call=0.02
    )
    breaker = Breaker(SystemClock())
    return tier, calls_of(tier, labels=None, breaker=breaker), breaker


def test_one_question_that_many_ask_at_once_is_asked_once_and_paid_once() -> None:
    """One call, many answers; the path of the others says so."""
    tier, calls, _ = calls_with(SLOW)
    told = [Told() for _ in range(20)]

    async def together() -> list[Answer]:
        asking = (calls.ask({"a": 1, "b": 2}, within_s=5, told=one) for one in told[:10])
        others = (calls.ask({"b": 2, "a": 1}, within_s=5, told=one) for one in told[10:])
        return await asyncio.gather(*asking, *others)

    answers = asyncio.run(together())

    assert len(tier.calls) == 1
    assert [answer.value for answer in answers] == ["a"] * 20
    assert sum(answer.cost_usd or 0.0 for answer in answers) == pytest.approx(0.02)
    assert sum(one.is_shared for one in told) == 19
    assert {one.why for one in told} == {None, "shared with another request"}
    assert calls.figures().shared == 19


def test_other_questions_and_later_ones_have_their_own_calls() -> None:
    """Nothing is remembered: that is what a cache is for."""
    tier, calls, _ = calls_with(Answer("a"))

    async def one_by_one() -> None:
        for _ in range(2):
            await calls.ask({"n": 1}, within_s=5)
        await asyncio.gather(calls.ask({"n": 1}, within_s=5), calls.ask({"n": True}, within_s=5))

    asyncio.run(one_by_one())

    assert len(tier.calls) == 4


def test_a_failure_that_is_shared_is_one_failure() -> None:
    """The breaker counts calls, not those who waited for them."""
    tier, calls, breaker = calls_with(Hang(seconds=0.05, then=Answer("?", score=float("nan"))))

    async def together() -> list[Any]:
        asking = (calls.ask({"n": 1}, within_s=5) for _ in range(10))
        return await asyncio.gather(*asking, return_exceptions=True)

    errors = asyncio.run(together())

    assert len(tier.calls) == 1
    assert all(isinstance(error, TierError) for error in errors)
    assert not breaker.is_open


def test_a_caller_that_goes_away_leaves_the_call_to_the_others() -> None:
    """Whoever asked first has no right to end it for those who joined."""
    tier, calls, _ = calls_with(SLOW)
    told = Told()

    async def go_away() -> Answer:
        first = asyncio.create_task(calls.ask({"n": 1}, within_s=5))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(calls.ask({"n": 1}, within_s=5, told=told))
        await asyncio.sleep(0.02)
        first.cancel()
        return await second

    answer = asyncio.run(go_away())

    assert len(tier.calls) == 1
    assert answer.value == "a"
    assert (answer.cost_usd, told.is_shared) == (0.02, False)  # somebody has to have its price


def test_when_nobody_waits_any_more_the_call_ends() -> None:
    """And the next one to ask the same does not join what is being called off."""
    tier, calls, _ = calls_with(Hang(), Answer("a"))

    async def go_away() -> Answer:
        asking = [asyncio.create_task(calls.ask({"n": 1}, within_s=5)) for _ in range(3)]
        await asyncio.sleep(0.02)
        for one in asking:
            one.cancel()
        await asyncio.sleep(0)
        answer = await calls.ask({"n": 1}, within_s=5)
        await asyncio.sleep(0.02)
        assert calls.figures().in_flight == 0
        return answer

    assert asyncio.run(go_away()).value == "a"
    assert len(tier.calls) == 2


def test_each_keeps_its_own_time() -> None:
    """Who has less time gives up first, and that is no failure of the tier."""
    _, calls, breaker = calls_with(SLOW)

    async def together() -> tuple[Answer, type[BaseException] | None]:
        first = asyncio.create_task(calls.ask({"n": 1}, within_s=5))
        await asyncio.sleep(0.01)
        hasty = await asyncio.gather(calls.ask({"n": 1}, within_s=0.02), return_exceptions=True)
        error = hasty[0]
        return await first, type(error) if isinstance(error, BaseException) else None

    answer, error = asyncio.run(together())

    assert answer.value == "a"
    assert error is CallTimedOut
    assert breaker.state == "closed"


def test_who_has_more_time_asks_again_when_the_call_runs_out_of_its_own() -> None:
    """A hasty request does not make a patient one fail."""
    tier, calls, _ = calls_with(Hang(), Answer("a"))

    async def together() -> list[Any]:
        hasty = asyncio.create_task(calls.ask({"n": 1}, within_s=0.1))
        await asyncio.sleep(0.01)
        patient = asyncio.create_task(calls.ask({"n": 1}, within_s=5))
        return list(await asyncio.gather(hasty, patient, return_exceptions=True))

    hasty, patient = asyncio.run(together())

    assert isinstance(hasty, CallTimedOut)
    assert patient.value == "a"
    assert len(tier.calls) == 2


def test_a_request_without_content_of_its_own_is_never_shared() -> None:
    """What is not JSON is equal to nothing."""
    tier, calls, _ = calls_with(SLOW)

    async def together() -> None:
        await asyncio.gather(*(calls.ask({"n": object()}, within_s=5) for _ in range(3)))

    asyncio.run(together())

    assert len(tier.calls) == 3
