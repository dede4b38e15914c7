"""A served plan under bursts: requests a second and latency, seen by the clients.

    python -m bench.serving

The feature is the one that `feasible new` writes: rules, a small model and a person. The peer is
the same server stack (uvicorn, uvloop, httptools) with an application that does nothing but answer.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from bench.page import Section, table

from feasible.testing import Load, running_service, send_load

__all__ = ["run"]

_REQUESTS = 20_000
_CLIENTS = 64
_WORDS = ("card reader", "payout", "password", "invoice", "api key", "webhook", "refund", "tax")
_PEER = """\
import socket, sys, uvicorn

BODY = b'{"decision_id": "%d", "tier": "none"}'

async def app(scope, receive, send, count=[0]):
    await receive()
    count[0] += 1
    body = BODY % count[0]
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})

sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
print("http://127.0.0.1:%d " % sock.getsockname()[1], flush=True)
config = uvicorn.Config(app, loop="uvloop", http="httptools", lifespan="off", access_log=False,
                        log_level="critical")
uvicorn.Server(config).run(sockets=[sock])
"""


@contextmanager
def _peer() -> Iterator[str]:
    """Start the peer and give its address."""
    command = [sys.executable, "-c", _PEER]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield "http://" + line.split("http://", 1)[1].split()[0]
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _load(url: str, *, repeats: bool) -> Load:
    texts = [
        {"text": f"{_WORDS[i % len(_WORDS)]} does not work" + ("" if repeats else f" {i}")}
        for i in range(_REQUESTS)
    ]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(send_load(url, texts, clients=_CLIENTS))


def run() -> Section:
    """Plan the starter, serve it, and load it twice: every question new, and every one repeated."""
    feasible = [sys.executable, "-m", "feasible"]
    with TemporaryDirectory(dir=".") as place:
        folder = Path(place)
        for argv in (["new", "x"], ["plan", "x", "--quiet"]):
            subprocess.run([*feasible, *argv], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        loads = {}
        for name, repeats in (("every question new", False), ("eight questions, cached", True)):
            ledger = f"sqlite:///{(folder / f'{repeats}.db').resolve()}"
            with running_service("x", ledger=ledger, folder=folder) as service:
                loads[name] = _load(service.url, repeats=repeats)
        with _peer() as url:
            loads["peer: answers and nothing else"] = _load(url, repeats=False)
    peer = loads["peer: answers and nothing else"]
    rows = [
        [
            name,
            f"{_REQUESTS / load.wall_s:,.0f}",
            f"{peer.wall_s / load.wall_s:.2f}x",
            *(f"{load.percentile_ms(q):.1f}" for q in (0.5, 0.95, 0.99)),
            str(load.errors),
        ]
        for name, load in loads.items()
    ]
    header = ["load", "requests / s", "against the peer", "p50 ms", "p95 ms", "p99 ms", "errors"]
    text = f"""\
{_REQUESTS:,} requests from {_CLIENTS} clients in bursts, each client with one request in flight;
the clients run on the same machine and share its cores. Every answer of ours left after its
decision was on the disk.

{table(header, rows)}
"""
    return Section("Serving", "python -m bench.serving", text)


if __name__ == "__main__":
    print(run().text)
