"""One server process: it listens, answers, and when told to stop answers what it accepted."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator
from typing import Final

import uvicorn

from feasible.errors import BadInput
from feasible.serving.asgi import Service
from feasible.serving.connections import SECURITY_HEADERS, BoundedProtocol

__all__ = ["listen", "run"]

_BACKLOG: Final = 2048
_LAST_PORT: Final = 65_535
_QUIET_S: Final = 0.25
"""A stopping server goes once nothing is in flight and nothing new has come for this long."""
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


def run(service: Service, sock: socket.socket, *, on_ready: Callable[[str], None]) -> None:
    """Serve until a signal says stop; everything accepted is answered first.

    Args:
        service: The application.
        sock: Address that was taken with `listen`.
        on_ready: Told the address, as `http://host:port`, once requests are answered.
    """
    config = uvicorn.Config(
        service,
        loop="uvloop",
        http=BoundedProtocol,
        lifespan="off",
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
    server = _DrainingServer(config, service, on_ready=lambda: on_ready(_address(sock)))
    server.run(sockets=[sock])


class _DrainingServer(uvicorn.Server):
    """Stops in three steps: no new connection, an answer to every request, then the end."""

    def __init__(
        self, config: uvicorn.Config, service: Service, *, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._service = service
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was accepted, then close."""
        self._service.draining = True
        for listener in self.servers:
            listener.close()
        give_up_s = time.monotonic() + _LONGEST_DRAIN_S
        while (  # noqa: ASYNC110  many requests, and no one event that ends them all
            time.monotonic() < give_up_s and not self.force_exit and not self._is_quiet()
        ):
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)

    def _is_quiet(self) -> bool:
        idle_s = time.monotonic() - self._service.last_request_s
        return self._service.runtime.in_flight == 0 and idle_s >= _QUIET_S

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take SIGINT and SIGTERM as the word to stop, so that stopping in order ends with 0."""
        loop = asyncio.get_running_loop()
        taken = (signal.SIGINT, signal.SIGTERM)
        for number in taken:
            loop.add_signal_handler(number, self._told_to_stop)
        try:
            yield
        finally:
            for number in taken:
                loop.remove_signal_handler(number)

    def _told_to_stop(self) -> None:
        self.force_exit = self.should_exit  # told twice: at once
        self.should_exit = True


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
