"""One question that came whole, and its answer in one piece.

The server's own cycle is made for bodies and answers in parts, of any length, with any headers, and
hands them to an application message by message: a third of what a rules decision costs. A
`POST /v1/decide` whose body comes with its head goes from the wire to the service and back without
any of that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from feasible.serving.connections import SECURITY_HEADERS, BoundedProtocol
from feasible.serving.eager import begin

if TYPE_CHECKING:
    from feasible.serving.replies import WholeReply

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


_URL: Final = b"/v1/decide"
_OK: Final = 200
_CLOSE: Final = (b"connection", b"close")
_ALWAYS: Final = lines_of([(name.encode(), value.encode()) for name, value in SECURITY_HEADERS])
_DECIDED: Final = STATUS_LINE[_OK] + _ALWAYS + b"content-type: application/json\r\n"


class DecideCycle:
    """Hands a question to the service, and sends head and body of the answer together.

    Args:
        protocol: The connection that it came on.
        headers: Those of the question.
        body: All of its body.
        keep_alive: Whether the connection stays.

    Attributes:
        keep_alive: Whether the connection stays; the server asks for its end by setting it False.
        disconnected: The client is gone; the protocol sets it.
        response_complete: The answer was sent.
    """

    message_event = _NEWS

    __slots__ = (
        "_body",
        "_headers",
        "_protocol",
        "disconnected",
        "keep_alive",
        "response_complete",
    )

    def __init__(
        self,
        protocol: BoundedProtocol,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        *,
        keep_alive: bool,
    ) -> None:
        self._protocol = protocol
        self._headers = headers
        self._body = body
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    async def answer(self, service: Any) -> None:
        """Ask the service and send what it says.

        Args:
            service: `answer_whole(headers, client, body)` gives the reply; None: nobody waits.
        """
        try:
            reply = await service.answer_whole(self._headers, self._protocol.client, self._body)
        except Exception:  # noqa: BLE001  the edge of the process: whoever asked hears of it
            _LOG.exception("a request could not be answered")
            reply = None
        if self.disconnected:
            return
        if self._protocol.flow.write_paused:
            await self._protocol.flow.drain()
        self._send(reply)

    def _send(self, reply: WholeReply | None) -> None:
        transport = self._protocol.transport
        if reply is None:
            transport.write(b"%b%bcontent-length: 0\r\n\r\n" % (STATUS_LINE[500], _ALWAYS))
            self.keep_alive = False
        else:
            transport.write(self._wire(reply))
        self.response_complete = True
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()

    def _wire(self, reply: WholeReply) -> bytes:
        """Give a reply as it travels."""
        headers = reply.headers
        if reply.status == _OK and self.keep_alive and not headers:
            return b"%bcontent-length: %d\r\n\r\n%b" % (_DECIDED, len(reply.content), reply.content)
        if _CLOSE in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            headers = [*headers, _CLOSE]
        return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            STATUS_LINE[reply.status],
            _ALWAYS,
            reply.content_type,
            len(reply.content),
            lines_of(headers),
            reply.content,
        )


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
        parts = self._question
        if parts is None:
            super().on_message_complete()
            return
        self._question = None
        parser = self.parser
        cycle = DecideCycle(
            self,
            self.headers,
            parts[0] if len(parts) == 1 else b"".join(parts),
            keep_alive=parser.get_http_version() != "1.0" and parser.should_keep_alive(),
        )
        self.cycle = cast("RequestResponseCycle", cycle)  # all of it that the server looks at
        begin(cycle.answer(self.app), self.loop, self.tasks)
