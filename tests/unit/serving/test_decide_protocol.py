"""One question that came whole: head and body of its answer leave together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from feasible.serving.decide_protocol import DecideCycle, DecideProtocol, lines_of
from feasible.serving.replies import WholeReply


class Wire:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        """Take some bytes."""
        self.written.append(data)

    def close(self) -> None:
        """End."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Claim that it has ended."""
        return self.is_closed


class Connection:
    """As much of a connection as a cycle uses."""

    client = ("127.0.0.1", 5)

    def __init__(self) -> None:
        self.transport = Wire()
        self.flow = FlowControl(self.transport)  # type: ignore[arg-type]
        self.answered = 0

    def on_response_complete(self) -> None:
        """Count an answer."""
        self.answered += 1


class Echo:
    """A service that answers with what was asked."""

    def __init__(self, *more: tuple[bytes, bytes], status: int = 200) -> None:
        self.more = more
        self.status = status

    async def answer_whole(self, _headers: Any, _client: Any, body: bytes) -> WholeReply:
        """Answer."""
        return WholeReply(self.status, b"application/json", body, self.more)


def sent(service: Any, *, keep_alive: bool = True, gone: bool = False) -> Connection:
    """Let a service answer a small question; gives the connection afterwards."""
    connection = Connection()
    cycle = DecideCycle(
        connection,  # type: ignore[arg-type]
        [],
        b"question",
        keep_alive=keep_alive,
    )
    cycle.disconnected = gone
    asyncio.run(cycle.answer(service))
    assert connection.answered == len(connection.transport.written)
    assert cycle.response_complete is not gone
    return connection


@pytest.mark.parametrize(
    ("service", "first"),
    [
        (Echo(), b"HTTP/1.1 200 OK"),
        (Echo((b"ratelimit", b"r=1")), b"HTTP/1.1 200 OK"),
        (Echo(status=422), b"HTTP/1.1 422 Unprocessable Entity"),
    ],
)
def test_an_answer_is_one_piece(service: Echo, first: bytes) -> None:
    """Status, the headers of every answer, its own headers, and the body: one write."""
    wire = sent(service).transport

    head, _, body = wire.written[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    own = {b"%b: %b" % header for header in service.more}
    assert len(wire.written) == 1
    assert lines[0].startswith(first[:12])
    assert {
        b"x-content-type-options: nosniff",
        b"content-type: application/json",
        b"content-length: 8",
        *own,
    } <= set(lines)
    assert body == b"question"
    assert not wire.is_closed


@pytest.mark.parametrize(
    ("service", "keep_alive"), [(Echo(), False), (Echo((b"connection", b"close")), True)]
)
def test_a_connection_that_does_not_stay_says_so(service: Echo, *, keep_alive: bool) -> None:
    """The client is told once, and the connection ends after the answer."""
    wire = sent(service, keep_alive=keep_alive).transport

    assert wire.written[0].count(b"connection: close\r\n") == 1
    assert wire.is_closed


def test_a_service_that_breaks_is_an_error_of_ours() -> None:
    """Nobody waits for ever, and nothing of the fault is told."""

    class Breaks:
        async def answer_whole(self, *_asked: Any) -> WholeReply:
            raise RuntimeError("a secret")

    wire = sent(Breaks()).transport

    assert wire.written[0].startswith(b"HTTP/1.1 500 ")
    assert b"content-length: 0\r\n" in wire.written[0]
    assert b"secret" not in wire.written[0]
    assert wire.is_closed


def test_a_client_that_has_gone_gets_nothing() -> None:
    """What cannot be sent is not written."""
    assert sent(Echo(), gone=True).transport.written == []


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
def test_a_header_with_a_line_break_is_never_sent(value: bytes) -> None:
    """It would be read as two headers, or as the end of the head."""
    with pytest.raises(RuntimeError, match="line break"):
        lines_of([(b"x-name", value)])


ASKED = b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nquestion"


async def told(*, keep_alive_s: float, after: bytes) -> tuple[bytes, bytes]:
    """Ask twice on one connection, then send something else; gives both answers, and the rest."""
    config = uvicorn.Config(print, http=DecideProtocol, lifespan="off", log_config=None)
    config.load()
    config.loaded_app = Echo()
    config.timeout_keep_alive = keep_alive_s  # type: ignore[assignment]  # for speed
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: DecideProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        answers = b""
        for _ in range(2):
            writer.write(ASKED)
            answers += await reader.readuntil(b"question")
            await asyncio.sleep(keep_alive_s / 2)
        writer.write(after)
        rest = await asyncio.wait_for(reader.read(), 60 * keep_alive_s + 10)
        writer.close()
    return answers, rest


@pytest.mark.parametrize("after", [b"", b"POST /v1/decide HTTP/1.1\r\nhost:"])
def test_an_idle_connection_ends_and_a_busy_one_does_not(after: bytes) -> None:
    """Half its time between two questions is no idleness; a head that never ends is no question."""
    answers, rest = asyncio.run(told(keep_alive_s=0.4, after=after))

    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert rest == b""
