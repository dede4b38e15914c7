"""One server process: it listens, answers, and when told to stop answers what it accepted."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final

import uvicorn

from feasible.errors import BadInput
from feasible.serving.asgi import Service
from feasible.serving.channel import Channel
from feasible.serving.connections import SECURITY_HEADERS
from feasible.serving.decide_protocol import DecideProtocol
from feasible.serving.draining import address_of, refuse_new_connections

__all__ = ["Control", "listen", "run"]

_BACKLOG: Final = 2048
_LAST_PORT: Final = 65_535
_QUIET_S: Final = 0.25
"""A stopping server goes once nothing is in flight and nothing new has come for this long."""
_LAST_CALL_S: Final = 0.05
"""How long connections that are complete are still taken, once no more are completed."""
_LONGEST_DRAIN_S: Final = 20.0
_GIVE_UP_S: Final = 5
"""A client that never sends the rest of its request is dropped after this many seconds more."""
_SWITCH_S: Final = 0.001
"""How long a tier that holds the processor may keep the event loop waiting, each time; Python's own
5 ms add up to a late answer, since a request waits for its turn several times."""

_COLLECT_EVERY: Final = 20_000
"""Objects that are made before Python looks for cycles among them. Answering makes hardly any, and
with Python's own 700 looking for them took 5 % of the processor."""


def listen(host: str, port: int) -> socket.socket:
    """Take an address.

    Args:
        host: Name or number of the address.
        port: Port; 0 takes a free one.

    Raises:
        BadInput: It cannot be taken.
    """
    if not 0 <= port <= _LAST_PORT:
        raise BadInput(
            f"cannot listen on {host}:{port}",
            asked=f"a port from 0 to {_LAST_PORT}",
            attempt="--port 0 takes a free port",
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise BadInput(
            f"cannot listen on {host}:{port}",
            found=error.strerror or str(error),
            attempt="--port 0 takes a free port",
        ) from error


class Control:
    """How a worker hears of its supervisor.

    Args:
        sock: The worker's end of their connection.

    Attributes:
        channel: What is said there.
        handlers: What the supervisor may ask -> what answers.
        ready: What the worker says when it takes requests.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.channel = Channel(self._handle)
        self.handlers: dict[str, Callable[[Any], Awaitable[Any]]] = {}
        self.ready: Any = None

    async def _handle(self, what: str, body: Any) -> Any:
        return await self.handlers[what](body)


def run(
    service: Service,
    sock: socket.socket,
    *,
    on_ready: Callable[[str], None] = lambda _address: None,
    control: Control | None = None,
    beside: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until told to stop; everything accepted is answered first.

    Args:
        service: The application.
        sock: Address that was taken with `listen`.
        on_ready: Told the address, as `http://host:port`, once requests are answered.
        control: For a worker: it stops when its supervisor says so or is gone, and leaves the
            signals that a whole group of processes gets to the supervisor.
        beside: Runs while requests are answered, and is cancelled when they no longer are.
    """
    config = uvicorn.Config(
        service,
        loop="uvloop",
        http=DecideProtocol,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=_GIVE_UP_S,
        backlog=_BACKLOG,
        headers=list(SECURITY_HEADERS),
    )
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()  # what is here now stays: models, modules, tables
    gc.set_threshold(_COLLECT_EVERY)
    server = _DrainingServer(
        config,
        service,
        on_ready=lambda: on_ready(address_of(sock)),
        control=control,
        beside=beside,
    )
    server.run(sockets=[sock])


class _DrainingServer(uvicorn.Server):
    """Stops in three steps: no new connection, an answer to every request, then the end."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        *,
        on_ready: Callable[[], None],
        control: Control | None,
        beside: Callable[[], Awaitable[None]] | None,
    ) -> None:
        super().__init__(config)
        self._service = service
        self._on_ready = on_ready
        self._control = control
        self._beside = beside
        self._tasks: list[asyncio.Future[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self._beside is not None:
            self._tasks.append(asyncio.ensure_future(self._beside()))
        if self._control is not None:
            await self._speak(self._control)
        self._on_ready()

    async def _speak(self, control: Control) -> None:
        """Tell the supervisor that this worker takes requests, and hear what it has to say."""
        control.handlers |= {"drain": self._drain, "stop": self._stop}
        await control.channel.open(control.sock)
        self._tasks.append(asyncio.ensure_future(self._hear(control)))
        control.channel.tell("ready", control.ready)

    async def _hear(self, control: Control) -> None:
        await control.channel.listen()
        self.should_exit = True  # without a supervisor there is nobody to serve for

    async def _drain(self, _body: Any) -> None:
        self.drain()

    async def _stop(self, _body: Any) -> None:
        self.should_exit = self.force_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was accepted, then close."""
        self._service.draining = True
        if self._control is None:  # else the socket is not ours alone
            for sock in sockets or ():
                refuse_new_connections(sock)
        await asyncio.sleep(0 if self.force_exit else _LAST_CALL_S)
        for listener in self.servers:
            listener.close()
        give_up_s = time.monotonic() + _LONGEST_DRAIN_S
        while (  # noqa: ASYNC110  many requests, and no one event that ends them all
            time.monotonic() < give_up_s and not self.force_exit and not self._is_quiet()
        ):
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)
        for task in self._tasks:
            task.cancel()

    def _is_quiet(self) -> bool:
        idle_s = time.monotonic() - self._service.last_request_s
        return self._service.runtime.in_flight == 0 and idle_s >= _QUIET_S

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take SIGINT and SIGTERM as the word to stop, so that stopping in order ends with 0."""
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGINT: self.stop, signal.SIGTERM: self.stop}
        if self._control is not None:
            # A terminal sends it to the whole group, and the supervisor passes it on in order.
            handlers = {signal.SIGINT: lambda: None, signal.SIGTERM: self.drain}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def drain(self) -> None:
        """Begin to stop; saying so again changes nothing."""
        self.should_exit = True

    def stop(self) -> None:
        """Begin to stop; told twice: at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
