"""For tiers that wait for something: each call is a task, cancelled when its time is up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from feasible.cascade import MOST_AWAITED
from feasible.errors import FeasibleError
from feasible.schema import Answer, Request
from feasible.serving.calls.base import CallFigures, CallTimedOut, Told, raised
from feasible.serving.calls.turns import Turns, take_turn
from feasible.tiers import AsyncTier, as_json, check_answers

__all__ = ["AwaitedCalls"]


class AwaitedCalls:
    """For tiers that wait for something: each call is a task, cancelled when its time is up.

    Args:
        tier: Whom to ask.
        labels: The closed set of answers.
        most: Calls in flight at most; None for our own limit.
        typical_s: Seconds of a typical call; None when unknown.
        is_shut: Claims that the tier failed too often to be asked now.

    Attributes:
        most: Calls in flight at most.
    """

    def __init__(
        self,
        tier: AsyncTier,
        *,
        labels: frozenset[str] | None,
        most: int | None = None,
        typical_s: float | None = None,
        is_shut: Callable[[], bool] = lambda: False,
    ) -> None:
        self._tier = tier
        self._labels = labels
        self.most = most or MOST_AWAITED
        self._turns = Turns(self.most, typical_s=typical_s)
        self._is_shut = is_shut
        self._running: set[asyncio.Task[Answer]] = set()

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer."""
        del told
        began_s = time.monotonic()
        await take_turn(self._turns, self._tier, within_s=within_s, is_shut=self._is_shut)
        sent_s = time.monotonic()
        left_s = max(within_s - (sent_s - began_s), 0.0)
        task = asyncio.create_task(self._awaited(request, left_s))
        self._running.add(task)
        task.add_done_callback(lambda done: self._ended(done, sent_s))
        try:
            done, _ = await asyncio.wait({task}, timeout=left_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()  # a task that does not obey keeps its turn until it ends
            raise CallTimedOut(self._tier, within_s)
        answer = check_answers(self._tier, [task.result()], n_requests=1, labels=self._labels)[0]
        return as_json(self._tier, answer)

    async def _awaited(self, request: Request, within_s: float) -> Answer:
        """Await the tier; whatever it raises, it is to blame, and nobody else ends with it."""
        try:
            return await self._tier.answer_async(request, timeout_s=within_s)
        except FeasibleError:
            raise
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # its time is up
            raise raised(self._tier, error) from error

    def is_full(self, *, within_s: float) -> bool:
        """Claim that too many calls are under way, and too many wait for their turn."""
        return self._turns.is_full(within_s=within_s)

    def figures(self) -> CallFigures:
        """Say what is going on."""
        return CallFigures(in_flight=len(self._running), waiting=self._turns.waiting)

    def close(self) -> None:
        """Cancel what is under way."""
        for task in self._running:
            task.cancel()

    def _ended(self, task: asyncio.Task[Answer], sent_s: float) -> None:
        self._running.discard(task)
        # An error that nobody waited for is seen here, so that nobody warns about it.
        is_well = not task.cancelled() and task.exception() is None
        self._turns.give_back(took_s=time.monotonic() - sent_s if is_well else None)
