from __future__ import annotations

import asyncio

from feasible.schema import Answer, Request, TierKind
from feasible.serving.calls.awaited import AwaitedCalls
from feasible.serving.calls.base import CallTimedOut
from feasible.serving.calls.batched import BatchedCalls
from feasible.serving.calls.turns import Turns
from feasible.testing import AsyncScriptedTier, Hang, ScriptedTier


class Counting(AsyncScriptedTier):
    """Knows how many calls were under way at once."""

    now = most = 0

    async def answer_async(self, request: Request, *, timeout_s: float) -> Answer:
        """Count, and follow the script."""
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await super().answer_async(request, timeout_s=timeout_s)
        finally:
            self.now -= 1


def test_no_more_calls_are_under_way_than_declared_and_the_others_wait_their_turn() -> None:
    """What fits into the time is answered, a few at a time."""
    tier = Counting([Hang(seconds=0.02, then=Answer("a"))], kind=TierKind.LLM)
    calls = AwaitedCalls(tier, labels=None, most=3, typical_s=0.02)

    async def together() -> list[Answer]:
        return await asyncio.gather(*(calls.ask({"i": i}, within_s=30) for i in range(30)))

    assert [answer.value for answer in asyncio.run(together())] == ["a"] * 30
    assert tier.most == 3
    assert calls.figures().in_flight == 0


def test_a_tier_that_declares_nothing_has_six_calls_under_way() -> None:
    """An outage has so many slow requests, however many clients there are."""
    tier = Counting([Hang()], kind=TierKind.LLM)
    calls = AwaitedCalls(tier, labels=None, typical_s=0.01)

    async def together() -> list[Answer | BaseException]:
        asking = (calls.ask({"i": i}, within_s=0.4) for i in range(64))
        return await asyncio.gather(*asking, return_exceptions=True)

    errors = asyncio.run(together())

    assert len(tier.calls) == 6
    waited = [error for error in errors if isinstance(error, CallTimedOut) and error.waited]
    assert len(waited) == 58


def test_those_in_the_queue_go_when_the_tier_begins_to_fail() -> None:
    """They do not hang one after the other."""
    tier = AsyncScriptedTier([Hang()], kind=TierKind.LLM)
    is_shut = False
    calls = AwaitedCalls(tier, labels=None, most=1, typical_s=0.05, is_shut=lambda: is_shut)

    async def together() -> list[Answer | BaseException]:
        nonlocal is_shut
        first = asyncio.create_task(calls.ask({"i": -1}, within_s=0.1))
        await asyncio.sleep(0.01)
        is_shut = True
        asking = (calls.ask({"i": i}, within_s=10.0) for i in range(5))
        found = await asyncio.gather(first, *asking, return_exceptions=True)
        return list(found[1:])

    errors = asyncio.run(together())

    assert all(isinstance(error, CallTimedOut) and error.waited for error in errors)
    assert len(tier.calls) == 1


def test_nobody_waits_behind_calls_that_are_overdue() -> None:
    """A queue in which nothing moves is full, however short."""

    async def fill() -> tuple[bool, bool]:
        turns = Turns(1, typical_s=0.01)
        await turns.take(within_s=1.0)
        at_once = turns.is_full(within_s=10.0)
        await asyncio.sleep(0.2)
        return at_once, turns.is_full(within_s=10.0)

    assert asyncio.run(fill()) == (False, True)


def test_a_turn_that_comes_as_its_owner_leaves_goes_to_the_next() -> None:
    """No turn is lost to a request that went away."""

    async def leave() -> int:
        turns = Turns(1, typical_s=0.01)
        await turns.take(within_s=1.0)
        leaving = asyncio.create_task(turns.take(within_s=10.0))
        await asyncio.sleep(0)
        turns.give_back(took_s=0.01)  # the turn is its own now
        leaving.cancel()
        await asyncio.wait([leaving])
        return turns.taken

    assert asyncio.run(leave()) == 0


def test_a_declared_number_of_calls_binds_batches_and_what_hangs() -> None:
    """A batch is no larger, and calls that were given up count until they return."""
    tier = ScriptedTier([Hang(seconds=0.02, then=Answer("a"))])
    calls = BatchedCalls(tier, labels=None, typical_s=0.001, deadline_s=None, most=4)

    async def together() -> None:
        await asyncio.gather(*(calls.ask({"i": i}, within_s=10) for i in range(20)))

    asyncio.run(together())
    calls.close()

    assert max(len(batch) for batch in tier.calls) <= 4
    hung = ScriptedTier([Hang()])
    calls = BatchedCalls(hung, labels=None, typical_s=0.001, deadline_s=None, most=1)

    async def hang() -> tuple[bool, list[Answer | BaseException]]:
        first = await asyncio.gather(calls.ask({}, within_s=0.15), return_exceptions=True)
        is_full = calls.is_full(within_s=10)
        hung.release()
        await asyncio.sleep(0.1)
        assert not calls.is_full(within_s=10)
        return is_full, list(first)

    is_full, _ = asyncio.run(hang())
    calls.close()

    assert is_full
