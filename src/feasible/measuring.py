"""A real service under an open loop of requests: what it took, who answered, what was degraded.

Bounded and on this machine only: so many requests at most, and never another host.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from feasible.errors import BadInput, FeasibleError

__all__ = [
    "Answered",
    "Measured",
    "capacity_per_s",
    "local_address",
    "measure",
    "plan_of_service",
]

_MOST_REQUESTS: Final = 50_000
_CONNECTIONS: Final = 64
_LONGEST_S: Final = 30.0
_OK: Final = 200
_FAULTS: Final = frozenset({"failed", "timed_out"})
_FOR_LOAD: Final = frozenset({"blocked", "deadline"})


@dataclass(frozen=True, slots=True)
class Answered:
    """One request that was answered.

    Attributes:
        position: Which one it was.
        latency_ms: From the moment it was due to the last byte. Milliseconds.
        tier: Who answered.
        path: Who was asked, in turn: `tier`, `outcome`, `latency_ms`, `cost_usd`.
    """

    position: int
    latency_ms: float
    tier: str
    path: tuple[dict[str, Any], ...]

    @property
    def is_degraded(self) -> bool:
        """Claim that a call failed, or a tier was passed over for time or load."""
        return any(
            step["outcome"] in _FAULTS
            or (step["outcome"] == "skipped" and step.get("why") in _FOR_LOAD)
            for step in self.path
        )

    @property
    def own_ms(self) -> float:
        """Give what no tier took: reading, queueing, committing, writing. Milliseconds."""
        return self.latency_ms - sum(step["latency_ms"] or 0.0 for step in self.path)

    def cost_usd(self, prices: Mapping[str, float]) -> float:
        """Give the dollars, as a simulation counts them.

        Nobody knows whether a vendor bills a call that gave nothing: one that was cut off counts at
        its tier's price here, and one that failed is free.

        Args:
            prices: Tier -> dollars of a call.
        """
        total = 0.0
        for step in self.path:
            if step["cost_usd"] is not None:
                total += step["cost_usd"]
            elif step["outcome"] == "timed_out":
                total += prices.get(step["tier"], 0.0)
        return total


@dataclass(slots=True)
class Measured:
    """What came back.

    Attributes:
        answers: In the order in which they came.
        refused: HTTP status (0: the connection broke) -> requests.
    """

    answers: list[Answered] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)


def local_address(url: str) -> tuple[str, int]:
    """Give host and port of a service on this machine.

    Raises:
        BadInput: It is no address, or one of another machine.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port or 80
    except ValueError as error:
        raise _no_address(url, str(error)) from error
    if scheme != "http" or host is None:
        raise _no_address(url, "no address that begins with http://")
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise BadInput(
            "load is sent to this machine only",
            asked=f"--against {url}",
            found=f"{host} is another one",
            attempt="serve the plan here: feasible serve NAME",
        )
    return host, port


def _no_address(url: str, found: str) -> BadInput:
    return BadInput(
        f"{url} is no address of a service",
        asked=f"--against {url}",
        found=found,
        attempt="--against http://127.0.0.1:8000",
    )


def plan_of_service(url: str) -> str:
    """Give the id of the plan that a service answers with.

    Raises:
        BadInput: Nobody answers there, or somebody else.
    """
    return asyncio.run(_plan(local_address(url)))


async def _plan(address: tuple[str, int]) -> str:
    connection = _Connection(address)
    try:
        status, body = await connection.ask("GET", "/v1/plan", b"")
    except (OSError, asyncio.IncompleteReadError) as error:
        raise BadInput(
            "nobody answers there",
            asked=f"http://{address[0]}:{address[1]}",
            found=str(error),
            attempt="feasible serve NAME",
        ) from error
    finally:
        connection.close()
    if status != _OK:
        raise BadInput(
            "the service does not show its plan",
            asked=f"http://{address[0]}:{address[1]}/v1/plan",
            found=f"status {status}",
            attempt="feasible serve NAME, without keys for a calibration",
        )
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadInput(
            "what answers there is no service of a plan",
            asked=f"http://{address[0]}:{address[1]}/v1/plan",
            found=str(error),
            attempt="feasible serve NAME",
        ) from error
    plan: dict[str, Any] = found.get("plan", found)
    return str(plan.get("id", ""))


def capacity_per_s(
    url: str, requests: Sequence[dict[str, Any]], *, seconds: float, clients: int
) -> float:
    """Give how many requests a second are answered undegraded, when the next is sent at once.

    Args:
        url: The service.
        requests: What to ask, in turn.
        seconds: For how long.
        clients: Requests that are under way all the time.
    """
    return asyncio.run(_closed(local_address(url), requests, seconds, clients))


async def _closed(
    address: tuple[str, int], requests: Sequence[dict[str, Any]], seconds: float, clients: int
) -> float:
    out, until = Measured(), time.perf_counter() + seconds

    async def client(first: int) -> None:
        connection, position = _Connection(address), first
        while (now := time.perf_counter()) < until:
            which = position % len(requests)
            await _decide(connection, requests[which], out, now, which)
            position += clients
        connection.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
    useful = sum(not answer.is_degraded for answer in out.answers)
    if not useful:
        raise FeasibleError("the service gave no answer that was not degraded", asked=str(address))
    return useful / (time.perf_counter() - began)


def measure(
    url: str,
    requests: Sequence[dict[str, Any]],
    at_s: Sequence[float],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """Send requests at the instants at which they are due, whatever the service does.

    Args:
        url: The service.
        requests: What to ask, one per instant.
        at_s: When each is due, rising. Seconds from the start.
        progress: Told how many were sent.

    Raises:
        BadInput: There are too many of them.
    """
    if len(at_s) > _MOST_REQUESTS:
        raise BadInput(
            "too many requests for one measurement",
            asked=f"at most {_MOST_REQUESTS:,}",
            found=f"{len(at_s):,}",
        )
    return asyncio.run(_open(local_address(url), requests, at_s, progress))


async def _open(
    address: tuple[str, int],
    requests: Sequence[dict[str, Any]],
    at_s: Sequence[float],
    progress: Callable[[int, int], None] | None,
) -> Measured:
    out = Measured()
    free = [_Connection(address) for _ in range(_CONNECTIONS)]
    began = time.perf_counter() + 0.05

    async def one(position: int) -> None:
        connection = free.pop() if free else _Connection(address)
        await _decide(connection, requests[position], out, began + at_s[position], position)
        if len(free) < _CONNECTIONS:
            free.append(connection)
        else:
            connection.close()

    async with asyncio.TaskGroup() as group:
        for position, due in enumerate(at_s):
            await asyncio.sleep(max(began + due - time.perf_counter(), 0.0))
            group.create_task(one(position))
            if progress is not None and position % 100 == 0:
                progress(position, len(at_s))
    for connection in free:
        connection.close()
    return out


async def _decide(
    connection: _Connection, request: dict[str, Any], out: Measured, due_s: float, position: int
) -> None:
    body = msgspec.json.encode({"request": request})
    try:
        async with asyncio.timeout(_LONGEST_S):
            status, answer = await connection.ask("POST", "/v1/decide", body)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        connection.close()
        status, answer = 0, b""
    if status != _OK:
        out.refused[status] = out.refused.get(status, 0) + 1
        return
    took_ms = (time.perf_counter() - due_s) * 1e3
    found: dict[str, Any] = msgspec.json.decode(answer)
    out.answers.append(Answered(position, took_ms, str(found["tier"]), tuple(found["path"])))


class _Connection:
    """One connection that is opened when it is needed, and again when it broke."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Send one request and give status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: local\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        lines = answer.lower().split(b"\r\n")
        length = next((int(li[15:]) for li in lines if li.startswith(b"content-length:")), 0)
        closes = b"connection: close" in lines
        told = await reader.readexactly(length)
        if closes:
            self.close()
        return int(lines[0].split(b" ")[1]), told

    def close(self) -> None:
        """Let the connection go."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
