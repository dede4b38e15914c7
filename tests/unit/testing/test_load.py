from __future__ import annotations

import asyncio

from feasible.testing import Load, send_load

ANSWER = b'{"decision_id": "%d", "tier": "rules"}'


async def load_of(n_requests: int, *, clients: int, per_s: float | None) -> tuple[Load, int]:
    """Load a server that answers at once; give what came back and how often it was asked."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            count += 1
            body = ANSWER % count
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def quiet(_loop: asyncio.AbstractEventLoop, _context: object) -> None:
        """Say nothing of connections that the client closes."""

    asyncio.get_running_loop().set_exception_handler(quiet)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    asked = ({"n": i} for i in range(n_requests))
    load = await send_load(url, asked, clients=clients, per_s=per_s)
    server.close()
    return load, count


def test_everything_is_sent_once_and_at_the_pace_that_was_asked_for() -> None:
    """Bursts and pauses together; nobody waits for a pause when nothing is left to send."""
    load, count = asyncio.run(load_of(600, clients=8, per_s=300.0))

    assert count == len(load.latencies_ms) == 600
    assert sorted(load.decisions.values()) == list(range(600))
    assert 600 / load.wall_s < 600  # at full speed it would be thousands


def test_without_a_pace_pauses_are_short() -> None:
    """As many requests as before, in a fraction of the time."""
    load, count = asyncio.run(load_of(600, clients=8, per_s=None))

    assert count == 600
    assert load.errors == 0
