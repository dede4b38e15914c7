"""How tiers are called: batches on threads of their own, or awaited; never for longer than asked.

A thread cannot be stopped. When a call is overdue, whoever waited goes on without it, the thread is
abandoned and a fresh one takes the next calls; the abandoned one counts until it returns, and with
too many of them the tier is full.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from feasible.errors import FeasibleError, TierError
from feasible.schema import Answer, Request
from feasible.tiers import (
    AsyncTier,
    ExactCache,
    PersonQueue,
    Tier,
    check_answers,
    checked_answers,
)

__all__ = ["AwaitedCalls", "BatchedCalls", "CallTimedOut", "Calls", "DirectCalls", "calls_of"]

_MOST_WAITING: Final = 512
_MOST_ABANDONED: Final = 4
_MOST_AWAITED: Final = 64
_SHORTEST_PATIENCE_S: Final = 0.1
_BATCH_SHARE: Final = 0.1
"""Share of the deadline that a batch may take: a request that waits for the batch before its own
and is answered with its own then spends a fifth of its time."""
_LARGEST_BATCH: Final = 32
_LONGEST_TEXT: Final = 500
_SERVICE_LEARNS: Final = 0.1
_QUEUE_SAFETY: Final = 2.0
"""A queue may take half of the time that is left: what a request takes is a mean, and varies."""


class CallTimedOut(TierError):
    """A tier did not answer in the time that was left for it.

    Args:
        tier: The tier.
        within_s: Seconds that were left.
        waited: The request never reached the tier: it waited behind others and cost nothing.
        counts: It is a failure of its own, and not one more request in a batch that hangs.
    """

    def __init__(
        self, tier: Tier, within_s: float, *, waited: bool = False, counts: bool = True
    ) -> None:
        left = f"{within_s * 1e3:.0f} ms were left"
        super().__init__(
            f"tier {tier.name!r} did not answer in time",
            found=f"{left}, all of them spent in its queue" if waited else left,
        )
        self.waited = waited
        self.counts = counts


class Calls(Protocol):
    """One tier, ready to be asked by many requests at once."""

    async def ask(self, request: Request, *, within_s: float) -> Answer:
        """Ask for one answer.

        Raises:
            CallTimedOut: It took longer than `within_s` seconds.
            TierError: The tier raised, or what came back cannot be used.
            RequestError: The tier cannot read this request.
        """
        ...

    def is_full(self, *, within_s: float) -> bool:
        """Claim that a call made now would not be answered within `within_s` seconds."""
        ...

    def close(self) -> None:
        """Take no more calls."""
        ...


def calls_of(
    tier: Tier,
    *,
    labels: frozenset[str] | None,
    most: int | None = None,
    typical_s: float | None = None,
    deadline_s: float | None = None,
) -> Calls:
    """Choose how a tier is called.

    Args:
        tier: Whom to ask.
        labels: The closed set of answers; None when any value will do.
        most: Calls that an awaited tier may have in flight; None for our own limit.
        typical_s: Seconds of a typical call, one request alone; None when unknown.
        deadline_s: Seconds for a whole decision; None without a deadline.
    """
    if isinstance(getattr(tier, "target", tier), ExactCache | PersonQueue):
        return DirectCalls(tier, labels=labels)
    if isinstance(tier, AsyncTier):
        return AwaitedCalls(tier, labels=labels, most=most or _MOST_AWAITED)
    return BatchedCalls(tier, labels=labels, typical_s=typical_s, deadline_s=deadline_s)


class DirectCalls:
    """For what answers at once from memory: no thread, no wait.

    Args:
        tier: Whom to ask.
        labels: The closed set of answers.
    """

    def __init__(self, tier: Tier, *, labels: frozenset[str] | None) -> None:
        self._tier = tier
        self._labels = labels

    async def ask(self, request: Request, *, within_s: float) -> Answer:
        """Ask for one answer."""
        del within_s
        answer = checked_answers(self._tier, [request], labels=self._labels)[0]
        return _as_json(self._tier, answer)

    def is_full(self, *, within_s: float) -> bool:
        """Claim nothing: memory is never full."""
        del within_s
        return False

    def close(self) -> None:
        """Hold nothing that could be let go."""


class AwaitedCalls:
    """For tiers that wait for something: each call is a task, cancelled when its time is up.

    Args:
        tier: Whom to ask.
        labels: The closed set of answers.
        most: Calls in flight at most.
    """

    def __init__(
        self, tier: AsyncTier, *, labels: frozenset[str] | None, most: int = _MOST_AWAITED
    ) -> None:
        self._tier = tier
        self._labels = labels
        self._most = most
        self._running: set[asyncio.Task[Answer]] = set()

    async def ask(self, request: Request, *, within_s: float) -> Answer:
        """Ask for one answer."""
        task = asyncio.create_task(self._awaited(request, within_s))
        self._running.add(task)
        task.add_done_callback(self._ended)
        try:
            done, _ = await asyncio.wait({task}, timeout=within_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()  # a task that does not obey stays in `_running` until it ends
            raise CallTimedOut(self._tier, within_s)
        answer = check_answers(self._tier, [task.result()], n_requests=1, labels=self._labels)[0]
        return _as_json(self._tier, answer)

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
            raise _raised(self._tier, error) from error

    def is_full(self, *, within_s: float) -> bool:
        """Claim that too many calls are under way."""
        del within_s
        return len(self._running) >= self._most

    def close(self) -> None:
        """Cancel what is under way."""
        for task in self._running:
            task.cancel()

    def _ended(self, task: asyncio.Task[Answer]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, so that nobody warns about an error nobody waited for


@dataclass(slots=True, eq=False)
class _Batch:
    """Requests that a thread answers together.

    Attributes:
        since_s: When it began.
        is_blamed: One of its requests has been told that it took too long.
    """

    since_s: float
    is_blamed: bool = False


@dataclass(slots=True, eq=False)
class _Call:
    """A request that waits for its answer; `batch` is None until a thread has it."""

    request: Request
    future: asyncio.Future[Answer]
    batch: _Batch | None = None


_Outcome = tuple[asyncio.Future[Answer], Answer | BaseException]


class BatchedCalls:
    """For everything else: what waits is answered as one batch, on one thread at a time.

    Args:
        tier: Whom to ask. After an overdue call it may be asked from a second thread while the
            first still runs.
        labels: The closed set of answers.
        typical_s: Seconds of a typical call, one request alone; None when unknown.
        deadline_s: Seconds for a whole decision; None without a deadline.
    """

    def __init__(
        self,
        tier: Tier,
        *,
        labels: frozenset[str] | None,
        typical_s: float | None,
        deadline_s: float | None,
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
        self._abandoned = 0
        self._closed = False

    async def ask(self, request: Request, *, within_s: float) -> Answer:
        """Ask for one answer."""
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
        hanging = self._worker is None and self._abandoned >= _MOST_ABANDONED
        wait_s = _QUEUE_SAFETY * waiting * self._service_s
        return hanging or waiting >= _MOST_WAITING or wait_s > within_s

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
                    self._start_if_needed()
                else:
                    self._learn(len(batch))
                    self._running = None
            _deliver(outcomes)
            if abandoned:
                return

    def _next(self, mark: object) -> list[_Call] | None:
        with self._changed:
            while True:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    self._worker = None
                    return None
                batch: list[_Call] = []
                while self._waiting and len(batch) < self._largest_batch:
                    call = self._waiting.popleft()
                    if not call.future.done():  # else whoever asked has given up
                        batch.append(call)
                if batch:
                    assert self._worker is mark  # noqa: S101  only a running call is abandoned
                    self._running = _Batch(time.monotonic())
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
            plain = [_as_json(self._tier, answer) for answer in answers]
        except BaseException as error:  # noqa: BLE001  a thread that dies would answer nobody
            if len(batch) == 1:
                known = isinstance(error, FeasibleError)
                return [(batch[0].future, error if known else _raised(self._tier, error))]
            # One bad request must not fail those that happened to arrive with it.
            return [outcome for call in batch for outcome in self._answer([call])]
        return [(call.future, answer) for call, answer in zip(batch, plain, strict=True)]


def _raised(tier: Tier, error: BaseException) -> TierError:
    text = str(error)[:_LONGEST_TEXT]
    return TierError(f"tier {tier.name!r} raised {type(error).__name__}", found=text or None)


def _as_json(tier: Tier, answer: Answer) -> Answer:
    """Give an answer as everybody will read it: plain JSON that nobody else can change.

    Raises:
        TierError: Its value is not JSON.
    """
    value, score, cost = answer.value, answer.score, answer.cost_usd
    if type(value) is not str or not value.isascii():
        try:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
            value = json.loads(text.encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise TierError(
                f"tier {tier.name!r} gave an answer that is not JSON",
                found=f"{type(error).__name__}: {error}"[:_LONGEST_TEXT],
                attempt="text, numbers, true, false, null, lists and objects of these",
            ) from error
    return Answer(
        value, None if score is None else float(score), None if cost is None else float(cost)
    )


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
