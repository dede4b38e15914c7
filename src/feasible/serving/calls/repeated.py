"""Second attempts inside one time and one budget: retries of failures, hedges of slow calls."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from feasible.errors import TierError, TierUnavailable
from feasible.schema import Answer, Request
from feasible.serving.calls.base import (
    Attempt,
    CallFigures,
    CallTimedOut,
    TierCalls,
    Told,
    cost_of_failure,
    words_of,
)
from feasible.serving.incoming import own_copy
from feasible.tiers import Tier

__all__ = ["RepeatedCalls", "RetryBudget"]

_BUDGET: Final = 0.1
_MOST_SAVED: Final = 10.0
"""Second attempts that a calm time saves up: an outage is not met with thousands of them."""
_FIRST_BACKOFF_S: Final = 0.025
_ORDINALS: Final = ("first", "second", "third")


class RetryBudget:
    """Holds second attempts to a share of all calls, and one to begin with.

    Args:
        share: Largest share of calls that may be second attempts. Ratio.

    Examples:
        >>> budget = RetryBudget(0.5)
        >>> budget.take(), budget.take()
        (True, False)
        >>> budget.earn(); budget.earn(); budget.take()
        True
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = 1.0 if share > 0 else 0.0

    def earn(self) -> None:
        """Note a first attempt."""
        self._saved = min(self._saved + self._share, _MOST_SAVED)

    def take(self) -> bool:
        """Pay for a second attempt; false when there is nothing to pay with."""
        if self._saved < 1.0 - 1e-9:
            return False
        self._saved -= 1.0
        return True

    def give_back(self) -> None:
        """Take back what was paid for an attempt that was not made."""
        self._saved = min(self._saved + 1.0, _MOST_SAVED)


@dataclass(slots=True)
class _Running:
    """An attempt under way."""

    number: int
    began_s: float

    @property
    def took_ms(self) -> float:
        """Give how long it has been under way. Milliseconds."""
        return (time.monotonic() - self.began_s) * 1e3


class RepeatedCalls:
    """Makes a call again when that can help and there is time, money and budget for it.

    Args:
        inner: How the tier is called once.
        tier: Whom to ask.
        retries: Times that a failed call is made again.
        hedge_s: Seconds after which a slow call is made a second time; None: never.
        share: Largest share of calls that may be second attempts; None for our own.
        typical_s: Seconds of a typical call: with less time left none is made again.
        is_shut: Claims that the tier failed too often to be asked now.
    """

    def __init__(
        self,
        inner: TierCalls,
        tier: Tier,
        *,
        retries: int,
        hedge_s: float | None,
        share: float | None,
        typical_s: float | None,
        is_shut: Callable[[], bool],
    ) -> None:
        self.inner = inner
        self.base = inner.base
        self.tells = True
        self.most_calls = 1 + retries + (hedge_s is not None)
        self.tier = tier
        self._most_failures = 1 + retries
        self._hedge_s = hedge_s
        self._budget = RetryBudget(_BUDGET if share is None else share)
        self._typical_s = typical_s or 0.0
        self._is_shut = is_shut
        self._retries = 0
        self._hedges = 0
        self.is_full = inner.is_full
        self.close = inner.close

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer, and again when that can help."""
        self._budget.earn()
        told = Told() if told is None else told
        one = _OneCall(self, request, time.monotonic() + within_s, told)
        if self._hedge_s is None:
            return await one.in_turn()
        return await one.hedged(self._hedge_s)

    def figures(self) -> CallFigures:
        """Say what is going on."""
        return dataclasses.replace(self.inner.figures(), retries=self._retries, hedges=self._hedges)

    def wait_before_retry_s(self, error: TierError, failures: int, left_s: float) -> float | None:
        """Give how long to wait before the next attempt; None when there is none."""
        if failures >= self._most_failures or not _may_succeed_later(error):
            return None
        asked_s = error.retry_after_s if isinstance(error, TierUnavailable) else None
        wait_s: float = _FIRST_BACKOFF_S * 2**failures * random.uniform(0.5, 1.0)
        wait_s = max(wait_s, asked_s or 0.0)
        if wait_s + self._typical_s >= left_s or not self._budget.take():
            return None
        return wait_s

    def goes_on(self) -> bool:
        """Count a retry that has waited, unless the tier is shut by now."""
        if self._is_shut():
            self._budget.give_back()
            return False
        self._retries += 1
        return True

    def may_hedge(self, left_s: float) -> bool:
        """Count a second attempt, if there is room, time and budget for it."""
        if self._is_shut() or left_s <= self._typical_s or self.inner.is_full(within_s=left_s):
            return False
        if not self._budget.take():
            return False
        self._hedges += 1
        return True


class _OneCall:
    """The attempts of one request."""

    def __init__(self, calls: RepeatedCalls, request: Request, until_s: float, told: Told) -> None:
        self._calls = calls
        self._request = request
        self._until_s = until_s
        self._told = told
        self._made = 0
        self._failures = 0

    async def in_turn(self) -> Answer:
        """Make one attempt after the other."""
        while True:
            attempt = self._next()
            try:
                answer = await self._ask()
            except TierError as error:
                if not await self._tries_again(error, attempt):
                    raise
            else:
                if attempt.number > 1:
                    self._told.why = f"the {_ordinal(attempt.number)} attempt"
                return answer

    async def hedged(self, hedge_s: float) -> Answer:
        """Make a second attempt beside the first when that is slow; the first answer counts."""
        running: dict[asyncio.Task[Answer], _Running] = {}
        begins_s: float | None = time.monotonic() + hedge_s
        self._start(running)
        try:
            while True:
                timeout = None if begins_s is None else max(begins_s - time.monotonic(), 0.0)
                done, _ = await asyncio.wait(
                    running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    begins_s = None
                    if self._may_pay() and self._calls.may_hedge(self._left_s):
                        self._start(running)
                    continue
                answer = await self._first(running, done)
                if answer is not None:
                    return answer
                if not running:
                    self._start(running)
        finally:
            for task in running:
                task.cancel()

    async def _first(
        self, running: dict[asyncio.Task[Answer], _Running], done: set[asyncio.Task[Answer]]
    ) -> Answer | None:
        """Take what has ended; None when something is still under way or is to be tried again.

        Raises:
            TierError: Nothing is, and this is how the last attempt failed.
        """
        ended = sorted(done, key=lambda task: (task.exception() is not None, running[task].number))
        for task in ended:
            attempt = running.pop(task)
            error = task.exception()
            if error is None:
                self._won(attempt, running)
                return task.result()
            if not isinstance(error, TierError):
                raise error
            if running:
                self._failures += 1
                self._note(error, attempt.took_ms)
            elif not await self._tries_again(error, attempt):
                raise error
        return None

    def _won(self, winner: _Running, running: dict[asyncio.Task[Answer], _Running]) -> None:
        """Call off the others, and say so."""
        for task, attempt in running.items():
            task.cancel()
            cost = cost_of_failure(self._calls.tier, None)
            why = f"the {_ordinal(winner.number)} attempt answered first"
            self._told.attempts.append(Attempt("cancelled", attempt.took_ms, cost, why))
        if winner.number > 1:
            self._told.why = f"the {_ordinal(winner.number)} attempt"

    @property
    def _left_s(self) -> float:
        return max(self._until_s - time.monotonic(), 0.0)

    def _may_pay(self) -> bool:
        return self._made < self._told.most_calls

    def _next(self) -> _Running:
        self._made += 1
        return _Running(self._made, time.monotonic())

    async def _ask(self) -> Answer:
        return await self._calls.inner.ask(own_copy(dict(self._request)), within_s=self._left_s)

    def _start(self, running: dict[asyncio.Task[Answer], _Running]) -> None:
        attempt = self._next()
        task = asyncio.create_task(self._ask())
        task.add_done_callback(_seen)
        running[task] = attempt

    async def _tries_again(self, error: TierError, attempt: _Running) -> bool:
        """Wait, and claim that another attempt is to be made."""
        self._failures += 1
        took_ms = attempt.took_ms
        if not self._may_pay():
            return False
        wait_s = self._calls.wait_before_retry_s(error, self._failures, self._left_s)
        if wait_s is None:
            return False
        await asyncio.sleep(wait_s)
        if not self._calls.goes_on():
            return False
        self._note(error, took_ms)
        return True

    def _note(self, error: TierError, took_ms: float) -> None:
        cost = cost_of_failure(self._calls.tier, error)
        self._told.attempts.append(Attempt("retried", took_ms, cost, words_of(error)))


def _may_succeed_later(error: TierError) -> bool:
    """Claim that the same call may succeed: nobody was there, or it was too busy.

    Whatever else a tier raises would be raised again: a bad request, a key that is missing.
    """
    if isinstance(error, CallTimedOut):
        return False  # its time covers all of its attempts
    return isinstance(error, TierUnavailable) or isinstance(error.__cause__, OSError)


def _ordinal(number: int) -> str:
    return _ORDINALS[number - 1] if number <= len(_ORDINALS) else f"{number}th"


def _seen(task: asyncio.Task[Answer]) -> None:
    """Look at an error that nobody may wait for, so that nobody warns about it."""
    if not task.cancelled():
        task.exception()
