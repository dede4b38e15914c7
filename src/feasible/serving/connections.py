"""Connections: how many there may be, how long a head may be, and what every answer says."""

from __future__ import annotations

import asyncio
import resource
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from feasible.serving.decide_cycle import DecideCycle, lines_of

__all__ = ["MOST_CONNECTIONS", "SECURITY_HEADERS", "BoundedProtocol"]

MOST_CONNECTIONS: Final = 2048
SECURITY_HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
)
"""On every answer: what is served here is data, for whoever asked and nobody else."""

_ALWAYS: Final = lines_of([(name.encode(), value.encode()) for name, value in SECURITY_HEADERS])
_LONGEST_HEAD: Final = 128 * 1024
"""Bytes; a body that comes in the same packet as its head counts once."""
_MOST_HEADERS: Final = 100
_HEAD_S: Final = 20.0
"""A connection that has not sent a whole head by then is dropped."""
_SPARE_FILES: Final = 256
"""Files that a process needs beside its connections."""


def _refusal(status: bytes, title: bytes, *, more: bytes = b"") -> bytes:
    """Write a whole answer by hand, for what never becomes a request."""
    content = b'{"title":"%b","status":%b}' % (title, status[:3])
    return (
        b"HTTP/1.1 %b\r\n%bcontent-type: application/problem+json\r\ncontent-length: %d\r\n"
        b"%bconnection: close\r\n\r\n%b" % (status, _ALWAYS, len(content), more, content)
    )


_TOO_MANY: Final = _refusal(
    b"503 Service Unavailable", b"too many connections", more=b"retry-after: 1\r\n"
)
_HEAD_TOO_LONG: Final = _refusal(
    b"431 Request Header Fields Too Large", b"the request line and headers are too long"
)


class BoundedProtocol(HttpToolsProtocol):
    """Refuses connections beyond a limit and heads longer, or slower, than anybody needs."""

    most = min(MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES)
    """Connections; fewer where the process may open fewer files."""
    _head_bytes = 0
    _in_head = True
    _is_refused = False
    _head_timer: asyncio.TimerHandle | None = None
    _question: list[bytes] | None = None
    """What has come of the body of a `POST /v1/decide` that may come whole."""

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
        """Count what belongs to a head."""
        if self._is_refused:
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _LONGEST_HEAD:
                self._refuse(_HEAD_TOO_LONG)
                return
        super().data_received(data)
        if self._question is not None:  # there is more of it to come: the server's own way
            parts, self._question = self._question, None
            super().on_headers_complete()
            for part in parts:
                super().on_body(part)

    def on_headers_complete(self) -> None:
        """Note that the body begins."""
        self._in_head = False
        if self._head_timer is not None:
            self._stop_timer()
        if len(self.headers) > _MOST_HEADERS:
            self._refuse(_HEAD_TOO_LONG)
        elif (
            self.url == b"/v1/decide"
            and (self.cycle is None or self.cycle.response_complete)
            and self.parser.get_method() == b"POST"
            and not self.parser.should_upgrade()
        ):
            self._question = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._question is not None:
            self._question.append(body)
        elif not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the next head begins."""
        if self._is_refused:
            return
        self._in_head, self._head_bytes = True, 0
        if self._question is None:
            super().on_message_complete()
            return
        parts, self._question = self._question, None
        self._decide(parts[0] if len(parts) == 1 else b"".join(parts))

    def _decide(self, body: bytes) -> None:
        """Let the application answer a question that came whole."""
        version = self.parser.get_http_version()
        scope = self.scope
        scope["http_version"], scope["method"] = version, "POST"
        scope["path"], scope["raw_path"], scope["query_string"] = "/v1/decide", self.url, b""
        self.cycle = DecideCycle(
            scope=scope,
            body=body,
            transport=self.transport,
            flow=self.flow,
            always=_ALWAYS,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)

    def _refuse(self, answer: bytes) -> None:
        self._is_refused = True
        self.transport.write(answer)
        self.transport.close()

    def _too_slow(self) -> None:
        """Drop a connection whose first head is not whole; later ones have uvicorn's own limit."""
        if self._in_head:
            self._is_refused = True
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
