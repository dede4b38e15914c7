"""For tiers that compute: what waits is answered as one batch, on one thread at a time.

A thread cannot be stopped. When a call is overdue, whoever waited goes on without it, the thread is
abandoned and a fresh one takes the next calls; the abandoned one counts until it returns, and with
too many of them the tier is full.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from feasible.errors import FeasibleError, TierError
from feasible.schema import Answer, Request
from feasible.serving.calls.base import CallFigures, CallTimedOut, Told, raised
from feasible.tiers import Tier, as_json, checked_answers

__all__ = ["BatchedCalls"]

_MOST_WAITING: Final = 512
_MOST_ABANDONED: Final = 4
_SHORTEST_PATIENCE_S: Final = 0.1
_BATCH_SHARE: Final = 0.1
"""Share of the deadline that a batch may take: a request that waits for the batch before its own
and is answered with its own then spends a fifth of its time."""
_LARGEST_BATCH: Final = 32
_SERVICE_LEARNS: Final = 0.1
_QUEUE_SAFETY: Final = 2.0
"""A queue may take half of the time that is left: what a request takes is a mean, and varies."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Requests that a thread answers together.

    Attributes:
        since_s: When it began.
        size: Its requests.
        is_blamed: One of its requests has been told that it took too long.
    """

    since_s: float
    size: int
    is_blamed: bool = False


@dataclass(slots=True, eq=False)
class _Call:
    """A request that waits for its answer; `batch` is None until a thread has it."""

    request: Request
    future: asyncio.Future[Answer]
    batch: _Batch | None = None


_Outcome = tuple[asyncio.Future[Answer], Answer | BaseException]


class BatchedCalls:
    """For tiers that compute: what waits is answered as one batch, on one thread at a time.

    Args:
        tier: Whom to ask. After an overdue call it may be asked from a second thread while the
            first still runs.
        labels: The closed set of answers.
        typical_s: Seconds of a typical call, one request alone; None when unknown.
        deadline_s: Seconds for a whole decision; None without a deadline.
        most: Requests that the tier may have at once, those of abandoned calls included; None: as
            many as a batch holds.
    """

    def __init__(
        self,
        tier: Tier,
        *,
        labels: frozenset[str] | None,
        typical_s: float | None,
        deadline_s: float | None,
        most: int | None = None,
    ) -> None:
        self._tier = tier
        self._labels = labels
        self._service_s = typical_s or 0.0  # a request's share of a batch, as it is under load
        self._patience_s = max(_SHORTEST_PATIENCE_S, 4 * self._service_s)
        self._largest_batch = _largest_batch(self._service_s, deadline_s)
        self._waiting: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._worker: object | None = None
        self._running: _Batch | None = None
        self._most = most
        self._abandoned = 0
        self._held = 0  # requests of abandoned calls
        self._replaced = 0
        self._closed = False

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer."""
        del told
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        call = _Call(request, future)
        with self._changed:
            if self._closed:
                raise TierError(f"tier {self._tier.name!r} is closed")
            self._waiting.append(call)
            self._start_if_needed()
            self._changed.notify()
        timer = loop.call_later(within_s, self._give_up, call, within_s)
        try:
            return await future
        finally:
            timer.cancel()

    def is_full(self, *, within_s: float) -> bool:
        """Claim that the queue is too long, or that too many threads hang."""
        waiting = len(self._waiting)
        hanging = self._room < 1 or (self._worker is None and self._abandoned >= _MOST_ABANDONED)
        wait_s = _QUEUE_SAFETY * waiting * self._service_s
        return hanging or waiting >= _MOST_WAITING or wait_s > within_s

    @property
    def _room(self) -> int:
        """Give how many requests the tier may get now."""
        if self._most is None:
            return self._largest_batch
        return min(self._largest_batch, self._most - self._held)

    def figures(self) -> CallFigures:
        """Say what is going on."""
        running = self._running
        in_flight = self._held + (0 if running is None else running.size)
        return CallFigures(in_flight=in_flight, waiting=len(self._waiting), replaced=self._replaced)

    def close(self) -> None:
        """Take no more calls; threads end, and one that hangs dies with the process."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _give_up(self, call: _Call, within_s: float) -> None:
        """Let a request go on without its answer, and its thread be replaced when that hangs."""
        if call.future.done():
            return
        with self._changed:
            batch = call.batch
            if batch is None:
                self._waiting.remove(call)
            counts = batch is not None and not batch.is_blamed
            if batch is not None:
                batch.is_blamed = True
            call.future.set_exception(
                CallTimedOut(self._tier, within_s, waited=batch is None, counts=counts)
            )
            running = self._running
            if running is None or time.monotonic() - running.since_s < self._patience_s:
                return
            self._abandoned += 1
            self._replaced += 1
            self._held += running.size
            self._worker, self._running = None, None
            self._start_if_needed()

    def _start_if_needed(self) -> None:
        """Begin a thread when somebody waits and none works; the lock is held."""
        if self._waiting and self._worker is None and self._abandoned < _MOST_ABANDONED:
            self._start()

    def _start(self) -> None:
        """Begin a thread; the lock is held."""
        mark = object()
        self._worker = mark
        name = f"feasible-tier-{self._tier.name}"
        threading.Thread(target=self._work, args=(mark,), name=name, daemon=True).start()

    def _work(self, mark: object) -> None:
        """Answer batches until closed or abandoned."""
        while (batch := self._next(mark)) is not None:
            outcomes = self._answer(batch)
            with self._changed:
                abandoned = self._worker is not mark
                if abandoned:
                    self._abandoned -= 1
                    self._held -= len(batch)
                    self._start_if_needed()
                    self._changed.notify_all()  # there is room for what the others hold back
                else:
                    self._learn(len(batch))
                    self._running = None
            _deliver(outcomes)
            if abandoned:
                return

    def _next(self, mark: object) -> list[_Call] | None:
        with self._changed:
            while True:
                while not (self._waiting and self._room > 0) and not self._closed:
                    self._changed.wait()
                if self._closed:
                    self._worker = None
                    return None
                batch: list[_Call] = []
                room = self._room
                while self._waiting and len(batch) < room:
                    call = self._waiting.popleft()
                    if not call.future.done():  # else whoever asked has given up
                        batch.append(call)
                if batch:
                    assert self._worker is mark  # noqa: S101  only a running call is abandoned
                    self._running = _Batch(time.monotonic(), len(batch))
                    for call in batch:
                        call.batch = self._running
                    return batch

    def _learn(self, n_requests: int) -> None:
        """Follow how long a request takes now; the lock is held."""
        assert self._running is not None  # noqa: S101  set when the batch began
        took_s = (time.monotonic() - self._running.since_s) / n_requests
        self._service_s += _SERVICE_LEARNS * (took_s - self._service_s)

    def _answer(self, batch: Sequence[_Call]) -> list[_Outcome]:
        try:
            requests = [call.request for call in batch]
            answers = checked_answers(self._tier, requests, labels=self._labels)
            plain = [as_json(self._tier, answer) for answer in answers]
        except BaseException as error:  # noqa: BLE001  a thread that dies would answer nobody
            if len(batch) == 1:
                known = isinstance(error, FeasibleError)
                return [(batch[0].future, error if known else raised(self._tier, error))]
            # One bad request must not fail those that happened to arrive with it.
            return [outcome for call in batch for outcome in self._answer([call])]
        return [(call.future, answer) for call, answer in zip(batch, plain, strict=True)]


def _largest_batch(typical_s: float, deadline_s: float | None) -> int:
    if deadline_s is None or typical_s <= 0:
        return _LARGEST_BATCH
    return max(1, min(_LARGEST_BATCH, int(_BATCH_SHARE * deadline_s / typical_s)))


def _deliver(outcomes: Sequence[_Outcome]) -> None:
    """Wake the event loop once for a whole batch."""
    loop = outcomes[0][0].get_loop()
    try:
        loop.call_soon_threadsafe(_settle, outcomes)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return


def _settle(outcomes: Sequence[_Outcome]) -> None:
    for future, outcome in outcomes:
        if future.done():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
