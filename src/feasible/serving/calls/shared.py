"""Single flight: the same question asked at the same time is asked of a dear tier once."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from dataclasses import dataclass, field
from typing import Final

import msgspec

from feasible.schema import Answer, Request
from feasible.serving.calls.base import CallFigures, CallTimedOut, TierCalls, Told
from feasible.serving.incoming import content_of
from feasible.tiers import Tier

__all__ = ["SharedCalls"]

_AGAIN_SHARE: Final = 0.5
"""Whoever joined a call that ran out of time asks once more with at least so much of its own."""
_WHY: Final = "shared with another request"


@dataclass(slots=True, eq=False)
class _Flight:
    """A call that several requests may wait for.

    Attributes:
        task: The call.
        until_s: When it ends at the latest.
        told: What it tells.
        waiting: Requests that wait for it; when none does, it is called off.
        is_counted: One of them has its price.
    """

    task: asyncio.Task[Answer]
    until_s: float
    told: Told = field(default_factory=Told)
    waiting: int = 0
    is_counted: bool = False


class SharedCalls:
    """Lets requests that ask the same at the same time share one call.

    Each keeps its own time: one that gives up leaves the call to the others, and whoever is told
    first has the call's price and attempts on its path.

    Args:
        inner: How the tier is called.
        tier: Whom to ask.
    """

    def __init__(self, inner: TierCalls, tier: Tier) -> None:
        self.inner = inner
        self.base = inner.base
        self.most_calls = inner.most_calls
        self.tells = True
        self._tier = tier
        self._flights: dict[bytes, _Flight] = {}
        self._shared = 0
        self.is_full = inner.is_full
        self.close = inner.close

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer, or wait for the same one."""
        try:
            key = content_of(request)
        except (TypeError, ValueError, msgspec.MsgspecError):  # not equal to anything by content
            return await self.inner.ask(request, within_s=within_s, told=told)
        told = Told() if told is None else told
        until_s = time.monotonic() + within_s
        while True:
            left_s = max(until_s - time.monotonic(), 0.0)
            flight = self._flights.get(key)
            has_joined = flight is not None
            if flight is None:
                flight = self._begin(key, request, left_s, told.most_calls)
            try:
                return await self._await(key, flight, until_s, told)
            except CallTimedOut:
                left_s = until_s - time.monotonic()
                if not has_joined or left_s < _AGAIN_SHARE * within_s:
                    raise

    def _begin(self, key: bytes, request: Request, within_s: float, most_calls: int) -> _Flight:
        told = Told(most_calls=most_calls)
        task = asyncio.create_task(self.inner.ask(request, within_s=within_s, told=told))
        flight = _Flight(task, time.monotonic() + within_s, told)
        self._flights[key] = flight
        task.add_done_callback(lambda _done: self._landed(key, flight))
        return flight

    async def _await(self, key: bytes, flight: _Flight, until_s: float, told: Told) -> Answer:
        """Wait for a call, no longer than one's own time."""
        # The call itself ends at its own time: only who has less gives up on it before.
        own_s = max(until_s - time.monotonic(), 0.0)
        timeout = own_s if until_s < flight.until_s - 1e-3 else None
        flight.waiting += 1
        try:
            done, _ = await asyncio.wait({flight.task}, timeout=timeout)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                flight.task.cancel()  # nobody waits any more, and nobody may join it
                self._leave(key, flight)
        if not done:
            raise CallTimedOut(self._tier, own_s, counts=False)
        if flight.is_counted:
            self._shared += 1
            told.is_shared, told.why = True, _WHY
            return msgspec.structs.replace(flight.task.result(), cost_usd=0.0)
        flight.is_counted = True
        told.attempts += flight.told.attempts
        told.why = flight.told.why
        return flight.task.result()

    def _leave(self, key: bytes, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _landed(self, key: bytes, flight: _Flight) -> None:
        self._leave(key, flight)
        if not flight.task.cancelled():
            flight.task.exception()  # seen, though everybody may have gone

    def figures(self) -> CallFigures:
        """Say what is going on."""
        return dataclasses.replace(self.inner.figures(), shared=self._shared)
