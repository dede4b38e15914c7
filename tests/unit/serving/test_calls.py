from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from feasible.clock import SystemClock
from feasible.errors import RequestError, TierError
from feasible.schema import Answer, Request, TierKind
from feasible.serving.breaker import Breaker
from feasible.serving.calls import (
    AwaitedCalls,
    BatchedCalls,
    CallTimedOut,
    DirectCalls,
    calls_of,
)
from feasible.testing import AsyncScriptedTier, Hang, ScriptedTier
from feasible.tiers import ExactCache, PersonQueue, Tier


def batched(tier: Tier, *, typical_s: float | None = None) -> BatchedCalls:
    """Give a tier's calls without a deadline."""
    return BatchedCalls(tier, labels=None, typical_s=typical_s, deadline_s=None)


class Picky:
    """Reads numbers alone; a batch with anything else in it fails as a whole."""

    name = "picky"
    kind = TierKind.MODEL
    simulated = False
    usd_per_call = 0.0
    worst_usd_per_call = 0.0
    version = "1"

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Double each number."""
        if any("n" not in request for request in batch):
            raise RequestError("no number", asked='{"n": 1}')
        time.sleep(0.01)  # so that the next requests wait together
        return [Answer(request["n"] * 2) for request in batch]


def test_what_waits_together_is_answered_as_one_batch() -> None:
    """Requests that arrive during a call share the next one."""
    tier = ScriptedTier([Hang(seconds=0.02, then=Answer("yes"))])
    calls = batched(tier)

    async def ask() -> list[Answer]:
        return await asyncio.gather(*(calls.ask({"i": i}, within_s=5) for i in range(20)))

    answers = asyncio.run(ask())
    calls.close()

    assert [answer.value for answer in answers] == ["yes"] * 20
    assert sum(len(batch) for batch in tier.calls) == 20
    assert len(tier.calls) <= 3


def test_a_bad_request_fails_alone() -> None:
    """Those that happened to be in its batch get their answers."""
    calls = batched(Picky())

    async def ask() -> list[Answer | BaseException]:
        requests = [{"n": 0}, {"n": 1}, {"m": 2}, {"n": 3}]
        return await asyncio.gather(
            *(calls.ask(request, within_s=5) for request in requests), return_exceptions=True
        )

    first, second, bad, last = asyncio.run(ask())
    calls.close()

    assert [first, second, last] == [Answer(0), Answer(2), Answer(6)]
    assert isinstance(bad, RequestError)


def test_a_hung_call_is_given_up_in_time_and_the_next_one_is_answered() -> None:
    """A thread cannot be stopped; it is replaced."""
    tier = ScriptedTier([Hang(), Answer("fine"), Answer("fine")])
    calls = batched(tier)

    async def ask() -> tuple[float, Answer]:
        began = time.monotonic()
        with pytest.raises(CallTimedOut, match="did not answer in time"):
            await calls.ask({}, within_s=0.15)
        took = time.monotonic() - began
        return took, await calls.ask({}, within_s=5)

    took, answer = asyncio.run(ask())
    tier.release()
    calls.close()

    assert 0.14 < took < 2.0
    assert answer.value == "fine"


def test_too_many_hung_threads_make_a_tier_full() -> None:
    """The number of abandoned threads is bounded."""
    tier = ScriptedTier([Hang()])
    calls = batched(tier)
    before = threading.active_count()

    async def ask() -> int:
        given_up = 0
        while not calls.is_full(within_s=1.0):
            with pytest.raises(CallTimedOut):
                await calls.ask({}, within_s=0.12)
            given_up += 1
        return given_up

    given_up = asyncio.run(asyncio.wait_for(ask(), 30))
    hung = threading.active_count() - before
    tier.release()
    calls.close()

    assert given_up == 4
    assert hung <= 4


def test_a_queue_that_takes_longer_than_the_time_left_is_full() -> None:
    """Under pressure the tier is passed over before requests wait in vain."""
    tier = ScriptedTier([Hang(seconds=0.2)])
    calls = batched(tier, typical_s=0.05)

    async def fill() -> tuple[bool, bool]:
        tasks = [asyncio.create_task(calls.ask({}, within_s=5))]
        await asyncio.sleep(0.05)  # the first is under way, the rest wait
        tasks += [asyncio.create_task(calls.ask({}, within_s=5)) for _ in range(8)]
        await asyncio.sleep(0)
        busy = calls.is_full(within_s=0.1), calls.is_full(within_s=10)
        await asyncio.gather(*tasks)
        return busy

    busy_for_short, busy_for_long = asyncio.run(fill())
    calls.close()

    assert busy_for_short
    assert not busy_for_long


def test_an_awaited_tier_is_cancelled_when_its_time_is_up() -> None:
    """Nothing of it stays behind."""
    tier = AsyncScriptedTier([Hang(), Answer("fine")], kind=TierKind.LLM)
    calls = AwaitedCalls(tier, labels=None)

    async def ask() -> Answer:
        with pytest.raises(CallTimedOut):
            await calls.ask({}, within_s=0.05)
        await asyncio.sleep(0.05)
        assert not calls._running
        return await calls.ask({}, within_s=5)

    assert asyncio.run(ask()).value == "fine"


def test_what_an_awaited_tier_raises_is_named() -> None:
    """The tier is to blame, by name."""
    tier = AsyncScriptedTier([ValueError("no")], name="vendor", kind=TierKind.LLM)
    calls = AwaitedCalls(tier, labels=None)

    with pytest.raises(TierError, match="tier 'vendor' raised ValueError"):
        asyncio.run(calls.ask({}, within_s=1))


def test_an_answer_outside_the_labels_is_refused() -> None:
    """An unknown answer never reaches a user."""
    calls = BatchedCalls(
        ScriptedTier(["maybe"]), labels=frozenset({"yes", "no"}), typical_s=None, deadline_s=None
    )
    with pytest.raises(TierError, match="unknown answer 'maybe'"):
        asyncio.run(calls.ask({}, within_s=5))
    calls.close()


def test_memory_is_asked_directly() -> None:
    """A cache and a person's queue need no thread."""
    for tier in (ExactCache(ttl_s=1.0), PersonQueue()):
        breaker = Breaker(SystemClock())
        assert isinstance(calls_of(tier, labels=None, breaker=breaker).base, DirectCalls)
