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
    _in_head = False
    _begins_here = False
    _is_refused = False
    _head_timer: asyncio.TimerHandle | None = None

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
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and count what belongs to a head that is not whole yet."""
        if self._is_refused:
            return
        self._begins_here = False
        super().data_received(data)
        if self._in_head and not self._begins_here and not self._is_refused:
            self._head_bytes += len(data)
            if self._head_bytes > _LONGEST_HEAD:
                self._refuse(_HEAD_TOO_LONG)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._in_head = self._begins_here = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the body begins, and refuse a head that nobody needs."""
        self._in_head = False
        if self._head_timer is not None:
            self._stop_timer()
        headers = self.headers
        if len(headers) > _MOST_HEADERS or self._is_long(headers):
            self._refuse(_HEAD_TOO_LONG)
        else:
            self.on_bounded_head()

    def on_bounded_head(self) -> None:
        """Begin a request whose head is no longer than it may be."""
        super().on_headers_complete()

    def _is_long(self, headers: list[tuple[bytes, bytes]]) -> bool:
        size = len(self.url)
        for name, value in headers:
            size += len(name) + len(value)
        return size > _LONGEST_HEAD

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
