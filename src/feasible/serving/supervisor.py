"""The parent of several workers: it starts them, replaces those that die, and stops them all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from feasible.errors import FeasibleError
from feasible.serving.channel import Channel, Handler, told_error
from feasible.serving.draining import address_of, refuse_new_connections

__all__ = ["Supervisor", "Worker"]

_SHORTEST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 10.0
_LIVED_LONG_S: Final = 10.0
"""A worker that lived so long is replaced at once."""
_MOST_FAILED_STARTS: Final = 5
_LONGEST_STOP_S: Final = 30.0
_AT_ONCE_S: Final = 2.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Worker:
    """One place among the workers, and the process that holds it now.

    Attributes:
        number: Which place, from 0.
        channel: How to speak with its process; None while there is none.
        life: Which process in this place, from 1.
        is_ready: It takes requests.
        failed_starts: Processes in a row that ended before they took requests.
        deaths: Processes in a row that did not live long.
        said: Why its process could not start, in its own words.
    """

    number: int
    channel: Channel | None = None
    process: asyncio.subprocess.Process | None = None
    life: int = 0
    is_ready: bool = False
    failed_starts: int = 0
    deaths: int = 0
    said: FeasibleError | None = None
    ready: Any = None

    def kill(self) -> None:
        """End its process at once, also one that was stopped."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()


@dataclass(slots=True)
class _End:
    """How the service ends."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    times: int = 0
    error: FeasibleError | None = None

    def because(self, error: FeasibleError) -> None:
        """End with an error, the first of several."""
        self.error = self.error or error
        self.asked.set()


class Supervisor:
    """Keeps a number of worker processes alive on one listening socket.

    A worker is a fresh interpreter that inherits the socket, one end of a channel and whatever else
    is handed down. It says `ready` on its channel once it takes requests, or `failed` with the
    reason. When its channel closes, its supervisor is gone: it answers what it accepted and ends.

    Args:
        command: Gives the command line of a worker, from its place and the descriptors of the
            socket and of its channel.
        workers: How many. Count.
        sock: Where they listen.
        keep: Descriptors that every worker inherits beside these.
        on_ready: Told the address and what the first worker said, once all take requests.
    """

    def __init__(
        self,
        command: Callable[[int, int, int], Sequence[str]],
        *,
        workers: int,
        sock: socket.socket,
        keep: Sequence[int] = (),
        on_ready: Callable[[str, Any], None],
    ) -> None:
        self.workers = [Worker(number) for number in range(workers)]
        self._command = command
        self._sock = sock
        self._keep = tuple(keep)
        self._on_ready = on_ready
        self._admit: Callable[[Worker, Any], Awaitable[None]] = _admitted
        self._handle: Callable[[Worker, str, Any], Awaitable[Any]] = _nothing
        self._beside: Sequence[Callable[[], Awaitable[None]]] = ()

    def run(
        self,
        *,
        admit: Callable[[Worker, Any], Awaitable[None]] | None = None,
        handle: Callable[[Worker, str, Any], Awaitable[Any]] | None = None,
        beside: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        """Serve until told to stop; returns once every worker has ended.

        Args:
            admit: Makes a worker ready that says it is; told what it said.
            handle: Answers what a worker asks.
            beside: Run once all are ready, and are cancelled when the service stops.

        Raises:
            FeasibleError: The workers cannot start, or one dies again and again as it starts.
        """
        self._admit, self._handle = admit or _admitted, handle or _nothing
        self._beside = beside
        asyncio.run(self._run())

    async def _run(self) -> None:
        end = _End()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._told_to_stop, end)
        keepers = [asyncio.ensure_future(self._hold(worker, end)) for worker in self.workers]
        began = asyncio.ensure_future(self._go_on())
        await end.asked.wait()
        began.cancel()
        await self._stop(keepers, end)
        if end.error is not None:
            raise end.error

    async def _go_on(self) -> None:
        """Say that all are ready, then do what is to be done beside them."""
        while not all(worker.is_ready for worker in self.workers):  # noqa: ASYNC110  several of them
            await asyncio.sleep(0.01)
        self._on_ready(address_of(self._sock), self.workers[0].ready)
        await asyncio.gather(*(beside() for beside in self._beside))

    def _told_to_stop(self, end: _End) -> None:
        end.times += 1
        end.asked.set()
        if end.times == 1:
            # First of all, so that nobody gets a connection that no worker takes any more.
            refuse_new_connections(self._sock)
        for worker in self.workers:
            if worker.channel is not None:
                worker.channel.tell("drain" if end.times == 1 else "stop")

    async def _stop(self, keepers: Sequence[asyncio.Future[None]], end: _End) -> None:
        """Let every worker answer what it accepted, and end those that do not."""
        if end.error is not None and not end.times:
            self._told_to_stop(end)
        self._sock.close()
        give_up_s = time.monotonic() + _LONGEST_STOP_S
        while not all(keeper.done() for keeper in keepers):
            if end.times > 1:
                give_up_s = min(give_up_s, time.monotonic() + _AT_ONCE_S)
            if time.monotonic() > give_up_s:
                for worker in self.workers:
                    worker.kill()
            await asyncio.wait(keepers, timeout=0.05)

    async def _hold(self, worker: Worker, end: _End) -> None:
        """Keep a process in one place until the service ends."""
        was_ready = False
        while not end.asked.is_set():
            began_s = time.monotonic()
            status = await self._live(worker, end)
            was_ready = was_ready or worker.is_ready
            if end.asked.is_set():
                return
            lived_s = time.monotonic() - began_s
            worker.failed_starts = 0 if worker.is_ready else worker.failed_starts + 1
            worker.is_ready = False
            worker.deaths = 0 if lived_s > _LIVED_LONG_S else worker.deaths + 1
            if worker.said is not None and not was_ready:
                end.because(worker.said)  # the first of its place: nothing was ever served by it
                return
            if worker.failed_starts >= _MOST_FAILED_STARTS:
                end.because(_gives_up(worker, status))
                return
            pause_s = min(_LONGEST_PAUSE_S, _SHORTEST_PAUSE_S * 2**worker.deaths)
            pause_s = 0.0 if worker.deaths == 0 else pause_s
            _LOG.warning(
                "worker %d ended with %s after %.1f s; another one starts in %.1f s",
                worker.number + 1,
                _spoken(status),
                lived_s,
                pause_s,
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(end.asked.wait(), pause_s)

    async def _live(self, worker: Worker, end: _End) -> int:
        """Start a process, speak with it until it ends, and give how it ended."""
        ours, theirs = socket.socketpair()
        fds = (self._sock.fileno(), theirs.fileno(), *self._keep)
        worker.said = None
        worker.life += 1
        try:
            worker.process = await asyncio.create_subprocess_exec(
                *self._command(worker.number, self._sock.fileno(), theirs.fileno()),
                pass_fds=fds,
            )
        except OSError as error:
            ours.close()
            worker.said = FeasibleError("a worker process cannot be started", found=str(error))
            return -1
        finally:
            theirs.close()
        worker.channel = Channel(self._handler(worker))
        await worker.channel.open(ours)
        hearing = asyncio.ensure_future(worker.channel.listen())
        if end.asked.is_set():  # told to stop while it was being started
            worker.kill()
        status = await worker.process.wait()
        await hearing
        worker.channel = worker.process = None
        return status

    def _handler(self, worker: Worker) -> Handler:
        async def handle(what: str, body: Any) -> Any:
            if what == "ready":
                worker.ready = body
                try:
                    await self._admit(worker, body)
                except FeasibleError as error:
                    worker.said = error
                    worker.kill()
            elif what == "failed":
                worker.said = told_error(body)
            else:
                return await self._handle(worker, what, body)
            return None

        return handle


async def _admitted(worker: Worker, _told: Any) -> None:
    worker.is_ready = True


async def _nothing(_worker: Worker, what: str, _body: Any) -> Any:
    raise FeasibleError(f"this supervisor answers nothing, and not `{what}`")


def _gives_up(worker: Worker, status: int) -> FeasibleError:
    said = "" if worker.said is None else f"; it said: {worker.said.message}"
    return FeasibleError(
        "a worker dies again and again before it takes requests",
        asked=f"worker {worker.number + 1}, started {worker.failed_starts} times in a row",
        found=f"ended with {_spoken(status)}{said}",
        attempt="start the service with --workers 1, which shows what happens; "
        "when the system ends it (signal 9), give the machine more memory or fewer workers",
    )


def _spoken(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit code {status}"
