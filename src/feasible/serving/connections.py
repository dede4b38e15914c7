"""Connections: how many there may be, how long a head may be, and what every answer says."""

from __future__ import annotations

import asyncio
import resource
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["MOST_CONNECTIONS", "SECURITY_HEADERS", "BoundedProtocol"]

MOST_CONNECTIONS: Final = 2048
SECURITY_HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
)
"""On every answer: what is served here is data, for whoever asked and nobody else."""

_LONGEST_HEAD: Final = 128 * 1024
"""Bytes of request line and headers; what came in one packet with other things is counted once the
head is whole."""
_MOST_HEADERS: Final = 100
_HEAD_S: Final = 20.0
"""A connection that has not sent a whole head by then is dropped."""
_SPARE_FILES: Final = 256
"""Files that a process needs beside its connections."""


def _refusal(status: bytes, title: bytes, *, more: bytes = b"") -> bytes:
    """Write a whole answer by hand, for what never becomes a request."""
    content = b'{"title":"%b","status":%b}' % (title, status[:3])
    dressed = b"".join(b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in SECURITY_HEADERS)
    return (
        b"HTTP/1.1 %b\r\n%bcontent-type: application/problem+json\r\ncontent-length: %d\r\n"
        b"%bconnection: close\r\n\r\n%b" % (status, dressed, len(content), more, content)
    )


_TOO_MANY: Final = _refusal(
    b"503 Service Unavailable", b"too many connections", more=b"retry-after: 1\r\n"
)
_HEAD_TOO_LONG: Final = _refusal(
    b"431 Request Header Fields Too Large", b"the request line and headers are too long"
)


_NO_HTTP: Final = _refusal(b"400 Bad Request", b"this is not HTTP/1.1 as we read it")


class BoundedProtocol(HttpToolsProtocol):
    """Refuses connections beyond a limit and heads longer, or slower, than anybody needs."""

    most = min(MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES)
    """Connections; fewer where the process may open fewer files."""
    _head_bytes = 0
    _came_bytes = 0
    """Bytes of all earlier packets with a part of the head, and perhaps with other things."""
    _packet_bytes = 0
    _in_head = False
    _begins_here = False
    _is_refused = False
    _head_timer: asyncio.TimerHandle | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _idle_since_s: float | None = None
    """When the last answer left; None from the next whole head on, until its answer has left."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or say at once that there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._refuse(_TOO_MANY)
        else:
            self._head_timer = self.loop.call_later(_HEAD_S, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and count what belongs to a head that is not whole yet."""
        if self._is_refused:
            return
        self._begins_here = False
        self._packet_bytes = len(data)
        super().data_received(data)
        if not self._in_head:
            return
        self._came_bytes += len(data)
        if not self._begins_here and not self._is_refused:
            self._head_bytes += len(data)
            if self._head_bytes > _LONGEST_HEAD:
                self._refuse(_HEAD_TOO_LONG)

    def on_message_begin(self) -> None:
        """Note that a head begins; what an application is told of it is made when it is whole."""
        self._in_head = self._begins_here = True
        self._head_bytes = self._came_bytes = 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Note that the body begins, and refuse a head that nobody needs."""
        self._in_head = False
        self._idle_since_s = None
        if self._head_timer is not None:
            self._stop_timer()
        if len(self.headers) > _MOST_HEADERS or self._is_long():
            self._refuse(_HEAD_TOO_LONG)
        else:
            self.on_bounded_head()

    def on_bounded_head(self) -> None:
        """Begin a request whose head is no longer than it may be."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope, and forgets what was read
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()

    def _is_long(self) -> bool:
        if self._came_bytes + self._packet_bytes <= _LONGEST_HEAD:
            return False
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value)
        return size > _LONGEST_HEAD

    def on_response_complete(self) -> None:
        """Go on with what waits on this connection; else it is idle from now on.

        The server's own way sets a timer after each answer and takes it off with each request; one
        that looks again when it has run out costs a busy connection nothing.
        """
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since_s = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _end_if_idle(self) -> None:
        """Close a connection on which nothing was asked, to the end of a head, for long enough."""
        self._idle_timer = None
        if self._idle_since_s is None or self.transport.is_closing():
            return  # the answer to what is being asked sets the timer again
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(left_s, self._end_if_idle)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request, unless it was refused."""
        if not self._is_refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Say that what came is no HTTP, in the form of all other errors."""
        del msg
        self._refuse(_NO_HTTP)

    def _refuse(self, answer: bytes) -> None:
        self._is_refused = True
        self.transport.write(answer)
        self.transport.close()

    def _too_slow(self) -> None:
        """Drop a connection whose first head is not whole."""
        self._is_refused = True
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
