"""Ten times more than a service may hold: it stays small, says when to come again, and recovers."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

Start = Callable[..., Any]
IN_FLIGHT = 16
CLIENTS = 10 * IN_FLIGHT
MOST_GROWTH_MB = 80.0


@dataclass
class Seen:
    """What the clients were told.

    Attributes:
        statuses: HTTP status -> answers.
        without_retry: Refusals that did not say when to come again.
        without_problem: Refusals that were no problem.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    without_retry: int = 0
    without_problem: int = 0
    broken: int = 0


def rss_mb(process: subprocess.Popen[str]) -> float:
    """Give the memory of a process and its children. Megabytes."""
    pids = [process.pid]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8")
    pids += [int(pid) for pid in children.split()]
    total = 0.0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) / 1024
    return total


async def flood(server: Any, *, for_s: float) -> Seen:
    """Ask from many connections at once, each without a pause, whatever is told."""
    parts = urlsplit(server.url)
    seen, until = Seen(), time.monotonic() + for_s

    async def client(number: int) -> None:
        asked = 0
        while time.monotonic() < until:
            try:
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                while time.monotonic() < until:
                    body = json.dumps({"request": {"text": f"colour {number} {asked}"}}).encode()
                    asked += 1
                    writer.write(
                        b"POST /v1/decide HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b"
                        % (len(body), body)
                    )
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    note(seen, head)
                    if b"connection: close" in head:
                        break
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                seen.broken += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return seen


def note(seen: Seen, head: bytes) -> None:
    """Keep what an answer says."""
    status = int(head.split(b" ", 2)[1])
    seen.statuses[status] += 1
    if status in {429, 503}:
        seen.without_retry += b"\r\nretry-after: " not in head
        seen.without_problem += b"application/problem+json" not in head


def overload(server: Any, *, for_s: float) -> None:
    """Flood a server, and hold it to what it promises meanwhile and after."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for i in range(30):
            client.post("/v1/decide", json={"request": {"text": f"colour {i}"}})
        before_mb = rss_mb(server.process)

        seen = asyncio.run(flood(server, for_s=for_s))
        after_mb = rss_mb(server.process)

        back_s = time.monotonic()
        while client.post("/v1/decide", json={"request": {"text": "colour"}}).status_code != 200:
            assert time.monotonic() - back_s < 5, "not back to normal"
        told = [
            client.post("/v1/decide", json={"request": {"text": f"colour {i}"}}) for i in range(20)
        ]
    assert set(seen.statuses) <= {200, 503}
    assert seen.statuses[200] > 0
    assert seen.statuses[503] > 0, seen
    assert (seen.without_retry, seen.without_problem, seen.broken) == (0, 0, 0)
    assert {one.status_code for one in told} == {200}
    assert after_mb - before_mb < MOST_GROWTH_MB
    assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ten_times_too_much_is_refused_with_a_time_and_leaves_no_trace(
    start: Start, workers: int
) -> None:
    """Memory is bounded, every refusal says when to come again, and then all is as before."""
    server = start(workers=workers, options=["--in-flight", str(IN_FLIGHT)])
    overload(server, for_s=4.0)


@pytest.mark.full
@pytest.mark.parametrize("workers", [1, 2])
def test_ten_times_too_much_for_a_minute(start: Start, workers: int) -> None:
    """The same at length."""
    server = start(workers=workers, options=["--in-flight", str(IN_FLIGHT)])
    overload(server, for_s=60.0)


@pytest.mark.slow
def test_connections_beyond_the_limit_are_told_so(start: Start) -> None:
    """A problem with Retry-After rather than a wait; those that were there go on."""
    server = start()
    parts = urlsplit(server.url)
    held: list[socket.socket] = []
    try:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            assert client.get("/healthz").status_code == 200
            address = (parts.hostname, parts.port)
            held.extend(socket.create_connection(address, timeout=10) for _ in range(2048))
            told = held[-1].recv(4096)
            assert told.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: 1\r\n" in told
            assert b"application/problem+json" in told
            assert client.get("/healthz").status_code == 200
    finally:
        for one in held:
            one.close()
    assert httpx.get(f"{server.url}/healthz", timeout=30).status_code == 200
