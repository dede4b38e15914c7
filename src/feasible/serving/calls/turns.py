"""A bulkhead: so many calls at once, and a queue that is no longer than it helps."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from feasible.cascade import QUEUE_SHARE, most_waiting
from feasible.serving.calls.base import CallTimedOut
from feasible.tiers import Tier

__all__ = ["Turns", "take_turn"]

_MOST_WAITING: Final = 512
_SERVICE_LEARNS: Final = 0.1
_STALLED_CALLS: Final = 4.0
_SHORTEST_STALL_S: Final = 0.1


class Turns:
    """Gives turns to calls, in the order in which they came.

    Args:
        most: Calls at once at most.
        typical_s: Seconds of a typical call; None when unknown: nobody waits before one has ended.
    """

    def __init__(self, most: int, *, typical_s: float | None) -> None:
        self._most = most
        self._service_s = typical_s or 0.0
        self._taken = 0
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._moved_s = time.monotonic()

    @property
    def taken(self) -> int:
        """Give the turns that are taken."""
        return self._taken

    @property
    def is_taken(self) -> bool:
        """Claim that every turn is taken."""
        return self._taken >= self._most

    @property
    def waiting(self) -> int:
        """Give the calls that wait for a turn."""
        return sum(not future.done() for future in self._waiting)

    def is_full(self, *, within_s: float) -> bool:
        """Claim that a call would not get a turn while it still helps."""
        if not self.is_taken:
            return False
        waiting = len(self._waiting)
        if not self._most or not self._service_s or waiting >= _MOST_WAITING:
            return True
        stall_s = max(_SHORTEST_STALL_S, _STALLED_CALLS * self._service_s)
        if time.monotonic() - self._moved_s > stall_s:
            return True  # everything under way is overdue
        return waiting >= most_waiting(self._most, self._service_s, within_s)

    async def take(self, *, within_s: float) -> bool:
        """Wait for a turn; false when it did not come while it would still have helped."""
        if not self.is_taken:
            if not self._taken:
                self._moved_s = time.monotonic()
            self._taken += 1
            return True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(future)
        timer = loop.call_later(QUEUE_SHARE * within_s, _give_up, future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.result():
                self.give_back()  # it came at the same moment
            raise
        finally:
            timer.cancel()
            if future in self._waiting:
                self._waiting.remove(future)

    def give_back(self, *, took_s: float | None = None) -> None:
        """End a turn.

        Args:
            took_s: Seconds that a call took that went well; None for one that did not.
        """
        if took_s is not None:
            self._moved_s = time.monotonic()
            if self._service_s:
                self._service_s += _SERVICE_LEARNS * (took_s - self._service_s)
            else:
                self._service_s = took_s
        self._taken -= 1
        self._hand_out()

    def allow(self, most: int) -> None:
        """Change how many turns there are at once."""
        self._most = most
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and not self.is_taken:
            future = self._waiting.popleft()
            if not future.done():
                self._taken += 1
                future.set_result(True)


def _give_up(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)


async def take_turn(
    turns: Turns, tier: Tier, *, within_s: float, is_shut: Callable[[], bool]
) -> None:
    """Wait for a turn.

    Raises:
        CallTimedOut: None came while it would still have helped, or the tier began to fail while
            the call waited: those behind a hung call do not wait for the next one to hang.
    """
    began_s = time.monotonic()
    waits = turns.is_taken
    if not await turns.take(within_s=within_s):
        raise CallTimedOut(tier, time.monotonic() - began_s, waited=True)
    if waits and is_shut():
        turns.give_back()
        raise CallTimedOut(tier, time.monotonic() - began_s, waited=True)
