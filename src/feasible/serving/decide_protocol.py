"""One question that came whole, and its answer in one piece.

The server's own cycle is made for bodies and answers in parts, of any length, with any headers: of
the 29 us that it takes from each request, 13 are for what `/v1/decide` never does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from feasible.serving.connections import SECURITY_HEADERS, BoundedProtocol

__all__ = ["DecideCycle", "DecideProtocol", "lines_of"]

_LOG: Final = logging.getLogger("uvicorn.error")
_NEWS: Final = asyncio.Event()
"""What the protocol sets when a client is gone; nobody waits for more of a body that is whole."""


def lines_of(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Give headers as they travel.

    Raises:
        RuntimeError: One of them would be read as two.
    """
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
        raise RuntimeError("a header holds a line break")
    return lines


_PATH: Final = "/v1/decide"
_URL: Final = _PATH.encode()
_ALWAYS: Final = lines_of([(name.encode(), value.encode()) for name, value in SECURITY_HEADERS])


class DecideCycle(RequestResponseCycle):
    """Hands a body to the application at once, and sends head and body of the answer together.

    Args:
        scope: The request.
        body: All of its body.
        transport: Where the answer goes.
        flow: Says when the client does not read.
        keep_alive: Whether the connection stays.
        on_response: Told that the answer was sent.
    """

    def __init__(
        self,
        *,
        scope: Any,
        body: bytes,
        transport: Any,
        flow: FlowControl,
        keep_alive: bool,
        on_response: Callable[[], None],
    ) -> None:
        # Not the base's own: it prepares what is never needed here.
        self.scope = scope
        self.transport = transport
        self.flow = flow
        self.logger = _LOG
        self.keep_alive = keep_alive
        self.on_response = on_response
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.message_event = _NEWS
        self._body: bytes | None = body
        self._head = b""

    async def receive(self) -> Any:
        """Give the body, and after it the end."""
        if self._body is None or self.disconnected:
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        """Take the head and then the body of the answer; both leave together."""
        if self.disconnected:
            return
        if not self.response_started:
            self.response_started = True
            headers = message["headers"]
            if (b"connection", b"close") in headers:
                self.keep_alive = False
            elif not self.keep_alive:
                headers = [*headers, (b"connection", b"close")]
            self._head = b"".join([STATUS_LINE[message["status"]], _ALWAYS, lines_of(headers)])
            return
        if self.flow.write_paused:
            await self.flow.drain()
        self.transport.write(b"".join([self._head, b"\r\n", message["body"]]))
        self.response_complete = True
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class DecideProtocol(BoundedProtocol):
    """Takes a `POST /v1/decide` whose body comes with its head the short way, all else the usual.

    That way begins when the body is whole, and only when no earlier answer of the connection is
    due.
    """

    _question: list[bytes] | None = None
    """What has come of the body of a question that may still come whole."""

    def data_received(self, data: bytes) -> None:
        """Read on; a question of which more is to come goes the usual way."""
        super().data_received(data)
        if self._question is not None:
            parts, self._question = self._question, None
            super().on_bounded_head()
            for part in parts:
                super().on_body(part)

    def on_bounded_head(self) -> None:
        """Begin a request."""
        if (
            self.url == _URL
            and (self.cycle is None or self.cycle.response_complete)
            and self.parser.get_method() == b"POST"
            and not self.parser.should_upgrade()
        ):
            self._question = []
        else:
            super().on_bounded_head()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._question is None:
            super().on_body(body)
        else:
            self._question.append(body)

    def on_message_complete(self) -> None:
        """End a request; a question that came whole is answered now."""
        if self._question is None:
            super().on_message_complete()
            return
        parts, self._question = self._question, None
        version = self.parser.get_http_version()
        scope = self.scope
        scope["http_version"], scope["method"] = version, "POST"
        scope["path"], scope["raw_path"], scope["query_string"] = _PATH, _URL, b""
        self.cycle = DecideCycle(
            scope=scope,
            body=parts[0] if len(parts) == 1 else b"".join(parts),
            transport=self.transport,
            flow=self.flow,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)
