"""Bursty load over real HTTP: many clients, each with a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import numpy as np

__all__ = ["Load", "send_load"]

_HEAD_END: Final = b"\r\n\r\n"
_OK: Final = 200
_MEAN_BURST: Final = 20
_MEAN_PAUSE_S: Final = 0.02


@dataclass(slots=True)
class Load:
    """What came back.

    Attributes:
        latencies_ms: Seen by the client, from the first byte sent to the last received; one per
            request that was answered with 200.
        decisions: Decision id -> position of its request.
        tiers: Tier -> answers.
        refused: HTTP status -> requests.
        broken: Requests that got no answer, with what happened.
        wall_s: Seconds from the first request to the last answer.
    """

    latencies_ms: list[float] = field(default_factory=list)
    decisions: dict[str, int] = field(default_factory=dict)
    tiers: dict[str, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def errors(self) -> int:
        """Give the number of requests without an answer."""
        return len(self.broken) + sum(self.refused.values())

    def percentile_ms(self, share: float) -> float:
        """Give a latency percentile. Milliseconds, NaN without answers; `share` is a ratio."""
        if not self.latencies_ms:
            return math.nan
        return float(np.quantile(self.latencies_ms, share))


async def send_load(
    url: str,
    requests: Iterable[Any],
    *,
    clients: int,
    per_s: float | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _done: None,
) -> Load:
    """Send requests to `/v1/decide` in bursts and time every answer.

    Each client sends a burst, one request after the other without a pause, then pauses. Bursts have
    20 requests on average (geometric), pauses are exponential: the arrivals are uneven on purpose.
    A client whose connection breaks goes on with a new one; its request counts as broken.

    Args:
        url: Server, as `http://host:port`.
        requests: What to ask, in this order, each as the `request` of a call; read as it is needed.
        clients: Connections, each with one request in flight at most.
        per_s: Requests a second, bursts and pauses together, as long as answers come quickly; then
            pauses are as long as that takes, and each client begins with one. 20 ms when absent.
        seed: Makes bursts and pauses repeatable.
        progress: Told how many requests are done.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    load = Load()
    todo = iter(enumerate(requests))
    pause_s = _MEAN_PAUSE_S if per_s is None else clients * _MEAN_BURST / per_s
    all_sent = asyncio.Event()
    done = 0

    async def client(number: int) -> None:
        nonlocal done
        rng = np.random.default_rng([seed, number])
        connection = _Connection(host, port)
        left = 0 if per_s is not None else int(rng.geometric(1 / _MEAN_BURST))
        try:
            while True:
                if left == 0:
                    await _pause(float(rng.exponential(pause_s)), all_sent)
                    left = int(rng.geometric(1 / _MEAN_BURST))
                left -= 1
                position, request = next(todo, (-1, None))
                if position < 0:
                    all_sent.set()
                    return
                await _ask(connection, position, request, load)
                done += 1
                progress(done)
        finally:
            connection.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
    load.wall_s = time.perf_counter() - began
    return load


async def _pause(pause_s: float, all_sent: asyncio.Event) -> None:
    """Wait so long, or until there is nothing left to send."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await all_sent.wait()


class _Connection:
    """One connection that is opened when it is needed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Send one request and give status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(
            b"POST /v1/decide HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (self._address[0].encode(), len(body), body)
        )
        head = (await reader.readuntil(_HEAD_END)).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        answer = await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return int(head.split(b" ", 2)[1]), answer

    def close(self) -> None:
        """Drop the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _ask(connection: _Connection, position: int, request: Any, load: Load) -> None:
    body = msgspec.json.encode({"request": request})
    began = time.perf_counter()
    try:
        status, answer = await connection.post(body)
    except (OSError, asyncio.IncompleteReadError, IndexError) as error:
        connection.close()
        load.broken.append(f"{type(error).__name__}: {error}")
        return
    took_ms = (time.perf_counter() - began) * 1e3
    if status != _OK:
        load.refused[status] = load.refused.get(status, 0) + 1
        return
    load.latencies_ms.append(took_ms)
    decided = msgspec.json.decode(answer)
    load.decisions[decided["decision_id"]] = position
    load.tiers[decided["tier"]] = load.tiers.get(decided["tier"], 0) + 1
