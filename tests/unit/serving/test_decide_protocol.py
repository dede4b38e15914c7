"""One question that came whole: head and body of its answer leave together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from feasible.serving.decide_protocol import DecideCycle, lines_of


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


def cycle_on(wire: Wire, *, keep_alive: bool = True) -> DecideCycle:
    """Give the cycle of a small question."""
    return DecideCycle(
        scope={},
        body=b"question",
        transport=wire,
        flow=FlowControl(wire),  # type: ignore[arg-type]
        keep_alive=keep_alive,
        on_response=lambda: None,
    )


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what was asked."""
    del scope
    body = (await receive())["body"]
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def test_an_answer_is_one_piece() -> None:
    """Status, the headers of every answer, its own headers, and the body: one write."""
    wire = Wire()

    asyncio.run(cycle_on(wire).run_asgi(answering))

    head, _, body = wire.written[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert len(wire.written) == 1
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert {b"x-content-type-options: nosniff", b"content-length: 8"} <= set(lines)
    assert body == b"question"
    assert not wire.is_closed


def test_a_connection_that_does_not_stay_says_so() -> None:
    """The client is told, and the connection ends after the answer."""
    wire = Wire()

    asyncio.run(cycle_on(wire, keep_alive=False).run_asgi(answering))

    assert b"connection: close\r\n" in wire.written[0]
    assert wire.is_closed


def test_an_application_that_breaks_is_an_error_of_ours() -> None:
    """Nobody waits for ever, and nothing of the fault is told."""

    async def breaks(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("a secret")

    wire = Wire()

    asyncio.run(cycle_on(wire).run_asgi(breaks))

    assert wire.written[0].startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in wire.written[0]


def test_a_client_that_has_gone_gets_nothing() -> None:
    """What cannot be sent is not written."""
    wire = Wire()
    cycle = cycle_on(wire)
    cycle.disconnected = True

    asyncio.run(cycle.run_asgi(answering_anyway))

    assert wire.written == []


async def answering_anyway(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer without looking."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
def test_a_header_with_a_line_break_is_never_sent(value: bytes) -> None:
    """It would be read as two headers, or as the end of the head."""
    with pytest.raises(RuntimeError, match="line break"):
        lines_of([(b"x-name", value)])
