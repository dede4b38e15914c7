"""Load from one process that is cheap enough to outrun the server: closed and open loop.

In a closed loop each connection sends its next request when the answer is there: it shows how much
a server can do. In an open loop requests are due at moments that were drawn beforehand, whatever
the server does, and a latency counts from the moment at which its request was due: a server that
stalls is charged for everybody who would have come meanwhile, which a closed loop forgets
(coordinated omission).
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import selectors
import socket
import time
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

import numpy as np

__all__ = ["Call", "Drive", "drive_closed", "drive_open", "post"]

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"
_CHUNKED: Final = b"\r\ntransfer-encoding: chunked"
_RETRY_AFTER: Final = b"\r\nretry-after:"
_CLOSES: Final = b"\r\nconnection: close"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_OK: Final = 200
_READ_BYTES: Final = 64 * 1024
_CONNECT_S: Final = 5.0
_SPIN_S: Final = 0.002
"""A selector sleeps for whole milliseconds: this close to the next request nobody sleeps."""
_LONGEST_SLEEP_S: Final = 0.05
_PAUSE_S: Final = 0.01


class Call(NamedTuple):
    """One request, ready to send.

    Attributes:
        sent: Its bytes, head and body.
        expected: Bytes that the body of a right answer holds.
    """

    sent: bytes
    expected: bytes


@dataclass(slots=True)
class Drive:
    """What came back.

    Attributes:
        latencies_ms: One per answer with status 200. From the moment its request was due (open
            loop) or sent (closed loop) to the last byte.
        answered_s: When each of them was there, in seconds from the beginning.
        wrong: Answers with status 200 that did not hold what was expected.
        refused: HTTP status -> requests.
        refused_s: When each refusal came, in seconds from the beginning.
        bare_refusals: Refusals with 429 or 503 that lacked `Retry-After`.
        broken: What happened to requests without an answer -> requests.
        lateness_ms: Open loop: how late the generator itself noticed that a request was due.
        queued: Open loop: requests that found every connection busy when they were due.
        given_up: Open loop: requests that were never sent, since too many were waiting already.
        wall_s: Seconds from the beginning to the last answer, and no less than was asked for.
        cpu_s: Processor time of the generator; near `wall_s` in a closed loop, it is the generator
            that was measured.
    """

    latencies_ms: array[float] = field(default_factory=lambda: array("d"))
    answered_s: array[float] = field(default_factory=lambda: array("d"))
    wrong: int = 0
    refused: dict[int, int] = field(default_factory=dict)
    refused_s: array[float] = field(default_factory=lambda: array("d"))
    bare_refusals: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    lateness_ms: array[float] = field(default_factory=lambda: array("d"))
    queued: int = 0
    given_up: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def answered(self) -> int:
        """Give the number of answers with status 200."""
        return len(self.latencies_ms)

    @property
    def errors(self) -> int:
        """Give the number of requests without a right answer."""
        lost = sum(self.broken.values()) + sum(self.refused.values())
        return lost + self.wrong + self.given_up

    @property
    def answers_per_s(self) -> float:
        """Give answers with status 200 a second."""
        return self.answered / self.wall_s if self.wall_s else 0.0

    def percentile_ms(self, share: float) -> float:
        """Give a latency percentile. Milliseconds, NaN without answers; `share` is a ratio."""
        return _quantile(self.latencies_ms, share)

    def late_ms(self, share: float) -> float:
        """Give a percentile of the generator's own lateness. Milliseconds, NaN in a closed loop."""
        return _quantile(self.lateness_ms, share)


def post(url: str, body: bytes, *, expected: bytes, headers: str = "") -> Call:
    r"""Give a request that posts JSON.

    Args:
        url: Address, as `http://host:port/path`.
        body: JSON.
        expected: Bytes that the body of a right answer holds.
        headers: Further header lines, each with its line end.

    Examples:
        >>> post("http://127.0.0.1:80/x", b"{}", expected=b"1").sent.splitlines()[0]
        b'POST /x HTTP/1.1'
    """
    parts = urlsplit(url)
    head = (
        f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return Call(head.encode("ascii") + body, expected)


def drive_closed(
    url: str, calls: Sequence[Call], *, connections: int, seconds: float, grace_s: float = 10.0
) -> Drive:
    """Keep one request in flight on every connection for some time.

    Args:
        url: Server, as `http://host:port`.
        calls: What to send, again from the first when all were sent.
        connections: Connections, kept alive.
        seconds: From the first request to the last one.
        grace_s: Seconds to wait for the last answers; what comes later counts as broken.

    Raises:
        OSError: The server cannot be reached at the beginning.
    """
    with _running(url, calls, connections) as driver:
        driver.closed(seconds, grace_s)
        return driver.drive


def drive_open(
    url: str,
    calls: Sequence[Call],
    *,
    connections: int,
    per_s: float,
    seconds: float,
    arrivals: Literal["poisson", "constant"] = "poisson",
    then: Sequence[tuple[float, float]] = (),
    seed: int = 0,
    most_waiting: int = 1_000_000,
    grace_s: float = 10.0,
) -> Drive:
    """Send requests when they are due, and count latency from then.

    Where every connection is busy a request waits here for the first free one, and its time runs.

    Args:
        url: Server, as `http://host:port`.
        calls: What to send, again from the first when all were sent.
        connections: Connections, kept alive, each with one request in flight at most.
        per_s: Mean arrivals a second.
        seconds: How long they come at that rate.
        arrivals: How unevenly they come.
        then: Rates and their seconds that follow without a pause.
        seed: Makes Poisson arrivals repeatable.
        most_waiting: Requests that may wait for a connection; more are given up and counted.
        grace_s: Seconds to wait for the last answers; what comes later counts as broken.

    Raises:
        OSError: The server cannot be reached at the beginning.
    """
    due_s: list[float] = []
    began_s = 0.0
    for number, (rate, lasts_s) in enumerate([(per_s, seconds), *then]):
        moments = schedule(rate, lasts_s, arrivals=arrivals, seed=seed + number)
        due_s += [began_s + moment for moment in moments]
        began_s += lasts_s
    with _running(url, calls, connections) as driver:
        driver.open(due_s, most_waiting, grace_s)
        return driver.drive


def schedule(
    per_s: float, seconds: float, *, arrivals: Literal["poisson", "constant"], seed: int
) -> list[float]:
    """Give the moments at which requests are due, in seconds from the beginning.

    Examples:
        >>> schedule(4, 1, arrivals="constant", seed=0)
        [0.0, 0.25, 0.5, 0.75]
    """
    if arrivals == "constant":
        return [i / per_s for i in range(math.ceil(per_s * seconds))]
    rng = np.random.default_rng(seed)
    # Given their number, the arrivals of a Poisson process are uniform and independent.
    moments: list[float] = np.sort(
        rng.uniform(0.0, seconds, int(rng.poisson(per_s * seconds)))
    ).tolist()
    return moments


class _Connection:
    """One connection, and the request that it waits for."""

    __slots__ = ("call", "got", "since_s", "sock")

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.call: Call | None = None
        self.since_s = 0.0
        self.got = b""


class _Driver:
    """Sends and receives on many connections from one thread."""

    def __init__(self, url: str, calls: Sequence[Call], connections: int) -> None:
        parts = urlsplit(url)
        self.drive = Drive()
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._calls = itertools.cycle(calls)
        self._selector = selectors.DefaultSelector()
        self._connections = [_Connection() for _ in range(connections)]
        self._idle = deque(self._connections)
        self._began_s = 0.0
        for connection in self._connections:
            self._connect(connection)

    def closed(self, seconds: float, grace_s: float) -> None:
        """Send on every connection again as soon as it is free."""
        self._began_s = time.perf_counter()
        until_s = self._began_s + seconds
        idle = self._idle
        while (now_s := time.perf_counter()) < until_s:
            for _ in range(len(idle)):
                self._send(idle.popleft(), now_s)
                now_s = time.perf_counter()
            self._receive_all(_LONGEST_SLEEP_S)
        self._finish(seconds, grace_s)

    def open(self, due_s: Sequence[float], most_waiting: int, grace_s: float) -> None:
        """Send every request when it is due, or as soon after as a connection is free."""
        self._began_s = began_s = time.perf_counter()
        idle, late_ms = self._idle, self.drive.lateness_ms
        waiting: deque[float] = deque()
        upcoming = deque(began_s + moment for moment in due_s)
        give_up_s = math.inf
        while (upcoming or waiting) and time.perf_counter() < give_up_s:
            now_s = time.perf_counter()
            while upcoming and upcoming[0] <= now_s:
                moment_s = upcoming.popleft()
                late_ms.append((now_s - moment_s) * 1e3)
                self._queue(moment_s, waiting, most_waiting)
            if not upcoming and give_up_s == math.inf:
                give_up_s = now_s + grace_s
            for _ in range(min(len(idle), len(waiting))):
                self._send(idle.popleft(), waiting.popleft())
            next_s = upcoming[0] if upcoming else now_s + _LONGEST_SLEEP_S
            sleep_s = next_s - time.perf_counter() - _SPIN_S
            self._receive_all(min(sleep_s, _LONGEST_SLEEP_S) if sleep_s > 0 else 0)
        for _ in waiting:
            self._break("no connection was free")
        seconds = due_s[-1] if due_s else 0.0
        self._finish(seconds, max(0.0, min(grace_s, give_up_s - time.perf_counter())))

    def close(self) -> None:
        """Drop every connection."""
        for connection in self._connections:
            self._drop(connection)
        self._selector.close()

    def _queue(self, moment_s: float, waiting: deque[float], most_waiting: int) -> None:
        """Let a request that is due wait for a connection, unless too many do."""
        busy = len(waiting) >= len(self._idle)
        self.drive.queued += busy
        if busy and len(waiting) - len(self._idle) >= most_waiting:
            self.drive.given_up += 1
        else:
            waiting.append(moment_s)

    def _connect(self, connection: _Connection) -> None:
        connection.sock = sock = socket.create_connection(self._address, timeout=_CONNECT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _drop(self, connection: _Connection) -> None:
        if connection.sock is not None:
            self._selector.unregister(connection.sock)
            connection.sock.close()
            connection.sock, connection.got = None, b""

    def _break(self, what: str) -> None:
        self.drive.broken[what] = self.drive.broken.get(what, 0) + 1

    def _lose(self, connection: _Connection, what: str) -> None:
        """Give a connection up; the request that it waited for, if any, has no answer."""
        self._drop(connection)
        if connection.call is not None:
            connection.call = None
            self._break(what)
            self._idle.append(connection)

    def _send(self, connection: _Connection, since_s: float) -> None:
        connection.call, connection.since_s = next(self._calls), since_s
        try:
            if connection.sock is None:
                self._connect(connection)
            sock = connection.sock
            assert sock is not None  # noqa: S101  connected above
            if sock.send(connection.call.sent) < len(connection.call.sent):
                self._lose(connection, "the request did not fit into the socket's buffer")
        except OSError as error:
            self._lose(connection, type(error).__name__)
            time.sleep(_PAUSE_S)  # a server that is gone is not asked in a busy loop

    def _receive_all(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            self._receive(key.data)

    def _receive(self, connection: _Connection) -> None:
        try:
            assert connection.sock is not None  # noqa: S101  it was registered
            data = connection.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(connection, type(error).__name__)
            return
        if not data:
            self._lose(connection, "the server closed the connection")
            return
        if connection.got:
            data = connection.got + data
        end = data.find(_HEAD_END)
        head = data[:end].lower() if end >= 0 else b""
        if end < 0 or not _is_whole(head, data, end + len(_HEAD_END)):
            connection.got = data
            return
        connection.got = b""
        self._take(connection, head, data)

    def _take(self, connection: _Connection, head: bytes, data: bytes) -> None:
        """Note an answer that is there whole; its connection is free again."""
        call, connection.call = connection.call, None
        if call is None:
            self._drop(connection)
            self._break("an answer that nobody asked for")
            return
        now_s = time.perf_counter()
        drive, status = self.drive, int(head[9:12])
        if status == _OK:
            drive.latencies_ms.append((now_s - connection.since_s) * 1e3)
            drive.answered_s.append(now_s - self._began_s)
            drive.wrong += call.expected not in data
        else:
            drive.refused[status] = drive.refused.get(status, 0) + 1
            drive.refused_s.append(now_s - self._began_s)
            drive.bare_refusals += status in {429, 503} and _RETRY_AFTER not in head
        if _CLOSES in head:
            self._drop(connection)
        self._idle.append(connection)

    def _finish(self, seconds: float, grace_s: float) -> None:
        give_up_s = time.perf_counter() + grace_s
        while any(c.call for c in self._connections) and time.perf_counter() < give_up_s:
            self._receive_all(_LONGEST_SLEEP_S)
        drive = self.drive
        drive.wall_s = max(seconds, *drive.answered_s[-1:], *drive.refused_s[-1:], 0.0)
        for connection in self._connections:
            self._lose(connection, "no answer came")


@contextlib.contextmanager
def _running(url: str, calls: Sequence[Call], connections: int) -> Iterator[_Driver]:
    """Connect; the collector of garbage rests meanwhile, since its pauses would be latencies."""
    collects = gc.isenabled()
    driver = _Driver(url, calls, connections)
    gc.disable()
    began_s = time.process_time()
    try:
        yield driver
    finally:
        driver.drive.cpu_s = time.process_time() - began_s
        if collects:
            gc.enable()
        driver.close()


def _is_whole(head: bytes, data: bytes, body: int) -> bool:
    at = head.find(_LENGTH)
    if at >= 0:
        length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
        return len(data) - body >= length
    return data.endswith(_LAST_CHUNK) if _CHUNKED in head else True


def _quantile(values: array[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else math.nan
