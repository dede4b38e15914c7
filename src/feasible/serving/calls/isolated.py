"""For untrusted or heavy tiers: a few processes of their own, killed when a call is overdue.

A thread that sleeps can be left behind, but one that computes slows the whole service down, and a
regular expression that backtracks for ever stops it: nothing in the same process runs meanwhile. A
process can be killed. It costs a start of about a second and its own copy of the tier, which is why
a tier asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from feasible.errors import FeasibleError, TierError
from feasible.schema import Answer, Request
from feasible.serving.calls.base import CallFigures, CallTimedOut, Told
from feasible.serving.calls.turns import Turns, take_turn
from feasible.tiers import (
    HEAD,
    Question,
    Recipe,
    Reply,
    Tier,
    TierProcess,
    check_answers,
    frame,
    length_of,
)

__all__ = ["IsolatedCalls"]

_PROCESSES: Final = 2
"""One that is killed leaves another that answers."""
_SHORTEST_PATIENCE_S: Final = 0.1
"""No process is killed sooner: a caller in a hurry must not cost all others a process."""
_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 10.0
_LONGEST_CLOSE_S: Final = 5.0
_READ: Final = 65_536


class IsolatedCalls:
    """Asks processes, one request each at a time, and replaces those that hang or die.

    Requests are not put into batches: a process that is killed takes all it has with it.

    Args:
        tier: Whom to ask.
        recipe: How a process makes the same tier.
        labels: The closed set of answers.
        most: Processes; None for our own number.
        typical_s: Seconds of a typical call; None when unknown.
        is_shut: Claims that the tier failed too often to be asked now.
    """

    def __init__(
        self,
        tier: Tier,
        recipe: Recipe,
        *,
        labels: frozenset[str] | None,
        most: int | None = None,
        typical_s: float | None = None,
        is_shut: Callable[[], bool] = lambda: False,
    ) -> None:
        self._tier = tier
        self._recipe = msgspec.structs.replace(recipe, version=tier.version)
        self._labels = labels
        self._most = most or _PROCESSES
        self._is_shut = is_shut
        self._turns = Turns(0, typical_s=typical_s)
        self._idle: deque[TierProcess] = deque()
        self._ready = 0
        self._all: set[TierProcess] = set()
        self._guard = threading.Lock()  # of `_all`: threads start processes, too
        self._threads: set[threading.Thread] = set()
        self._begun = False
        self._closed = False
        self._failures = 0
        self._replaced = 0
        self._decode = msgspec.json.Decoder(Reply).decode

    def warm_up(self) -> None:
        """Start every process and wait until all are ready: no request pays for it.

        Raises:
            TierError: One does not start.
        """
        self._begun = True
        try:
            started = [self._started() for _ in range(self._most)]  # all at once: it takes a second
            for process in started:
                process.wait_ready()
        except BaseException:
            self.close()
            raise
        for process in started:
            self._joined(process)

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer."""
        del told
        if not self._begun:
            self._begin()
        began_s = time.monotonic()
        await take_turn(self._turns, self._tier, within_s=within_s, is_shut=self._is_shut)
        process = self._idle.popleft()
        left_s = max(began_s + within_s - time.monotonic(), 0.0)
        exchange = asyncio.ensure_future(
            self._exchange(process, request, max(left_s, _SHORTEST_PATIENCE_S))
        )
        exchange.add_done_callback(_seen)
        # Whoever asked may go away; a process is dearer than the rest of its call.
        done, _ = await asyncio.wait({exchange}, timeout=left_s)
        reply = exchange.result() if done else None
        if reply is None:
            raise CallTimedOut(self._tier, within_s)
        if reply.answer is None:
            raise reply.error()
        return check_answers(self._tier, [reply.answer], n_requests=1, labels=self._labels)[0]

    async def _exchange(
        self, process: TierProcess, request: Request, within_s: float
    ) -> Reply | None:
        """Put one question to a process; None when it took too long, and is gone.

        Raises:
            TierError: The process died.
        """
        began_s = time.monotonic()
        reply = None
        try:
            async with asyncio.timeout(within_s):
                reply = await self._reply(process.sock, Question(dict(request), within_s))
        except TimeoutError:
            return None
        except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
            found = await asyncio.to_thread(process.how_it_ended)
            raise TierError(
                f"the process of tier {self._tier.name!r} is gone", found=found
            ) from error
        finally:
            if reply is None:
                self._lose(process)
            else:
                self._idle.append(process)
                self._turns.give_back(took_s=time.monotonic() - began_s)
        return reply

    async def _reply(self, sock: socket.socket, question: Question) -> Reply:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, frame(question))
        data = b""
        while (length := length_of(data)) is None or len(data) < length:
            more = await loop.sock_recv(sock, _READ)
            if not more:
                raise EOFError
            data = data + more if data else more
        return self._decode(data[HEAD:])

    def is_full(self, *, within_s: float) -> bool:
        """Claim that no process is free, and none will be while it still helps."""
        if not self._begun:
            self._begin()
        return self._turns.is_full(within_s=within_s)

    def figures(self) -> CallFigures:
        """Say what is going on."""
        return CallFigures(
            in_flight=self._turns.taken, waiting=self._turns.waiting, replaced=self._replaced
        )

    def close(self) -> None:
        """End every process."""
        with self._guard:
            self._closed = True
            processes = list(self._all)
            self._all.clear()
        for process in processes:
            process.end()
        for thread in list(self._threads):
            thread.join(_LONGEST_CLOSE_S)  # it ends what it has just started

    def _begin(self) -> None:
        """Start processes beside the requests, where nobody warmed up."""
        self._begun = True
        loop = asyncio.get_running_loop()
        for _ in range(self._most):
            self._start(loop, None)

    def _started(self) -> TierProcess:
        """Start a process that `close` will end, whatever else happens to it."""
        process = TierProcess(self._tier.name, self._recipe)
        with self._guard:
            self._all.add(process)
            is_late = self._closed
        if is_late:
            process.end()
        return process

    def _joined(self, process: TierProcess) -> None:
        """Let a process that is ready answer."""
        self._failures = 0
        self._ready += 1
        self._idle.append(process)
        self._turns.allow(self._ready)

    def _lose(self, process: TierProcess) -> None:
        """Kill a process and start another one, while the others answer."""
        process.kill()
        self._replaced += 1
        self._ready -= 1
        self._turns.allow(self._ready)
        self._turns.give_back()
        self._start(asyncio.get_running_loop(), process)

    def _start(self, loop: asyncio.AbstractEventLoop, old: TierProcess | None) -> None:
        name = f"feasible-tier-{self._tier.name}"
        thread = threading.Thread(target=self._replace, args=(loop, old), name=name, daemon=True)
        self._threads = {one for one in self._threads if one.is_alive()} | {thread}
        thread.start()

    def _replace(self, loop: asyncio.AbstractEventLoop, old: TierProcess | None) -> None:
        """Start a process, again and again until one is ready; runs on a thread of its own."""
        while old is not None or not self._closed:
            if old is not None:
                old.end()
                with self._guard:
                    self._all.discard(old)
                old = None
                continue
            try:
                old = self._started()
                old.wait_ready()
            except (FeasibleError, OSError, ValueError, msgspec.MsgspecError):
                self._failures += 1
                time.sleep(min(_FIRST_BACKOFF_S * 2**self._failures, _LONGEST_BACKOFF_S))
                continue
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
                loop.call_soon_threadsafe(self._joined, old)
            return


def _seen(task: asyncio.Future[Reply | None]) -> None:
    """Look at an error that nobody may wait for, so that nobody warns about it."""
    if not task.cancelled():
        with contextlib.suppress(Exception):
            task.exception()
