"""A served plan under load, and other servers that do the same classification in the same run.

    python -m bench serving

The server has one core and the load generator the other. Every message is answered by a rule; our
decisions are on the disk before their answers leave, the peers keep none.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cores import (
    SERVER_CORE,
    FsyncTime,
    Generator,
    cpu_s,
    fdatasync_time,
    on_core,
    rss_mb,
)
from bench.ours import decide, running_ours, verified
from bench.page import Section, table
from bench.peers.environment import PeerFailed
from bench.peers.http import PEERS, Peer, running_peer
from bench.rules_feature import messages, write_rules_feature

from feasible.testing import Drive, drive_closed, drive_open, post

__all__ = ["run"]

_CONNECTIONS = 32
_MESSAGES = 4_000
_WARM_S = 2.0
_CLOSED_S = 10.0
_PEER_S = 8.0
_OPEN_S = 8.0
_OPEN_PER_S = (500, 2_000, 5_000)
_TARGET_PER_S = 8_000
_TARGET_RSS_MB = 150
_TARGET_P99_MS, _TARGET_P99_AT = 15.0, 2_000
_BEHIND_MS = 2.0
_STACK = """\
import socket, sys, uvicorn

BODY = b'{"decision_id": "0", "tier": "none"}'
HEAD = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]

async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": BODY})

sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
print("http://127.0.0.1:%d " % sock.getsockname()[1], flush=True)
config = uvicorn.Config(app, loop="uvloop", http="httptools", lifespan="off", access_log=False,
                        log_level="critical")
uvicorn.Server(config).run(sockets=[sock])
"""


@dataclass
class _Ours:
    """What was measured of our service.

    Attributes:
        closed: Closed loop.
        cpu_us: Processor time a decision, user and system, all threads. Microseconds.
        opened: Open loop, by arrivals a second.
        rss_mb: Memory before the first request, and after the last.
        ledger: URL of its ledger.
    """

    closed: Drive
    cpu_us: float
    opened: dict[int, Drive]
    rss_mb: tuple[float, float]
    ledger: str


def run() -> Section:
    """Load our service, each peer, and our service again."""
    asked = messages(_MESSAGES)
    busy = os.getloadavg()[0]
    with TemporaryDirectory(dir=".", prefix=".bench-") as place, Generator() as generator:
        folder = Path(place).resolve()
        feature = write_rules_feature(folder)
        print("  the disk, and our service", flush=True)
        disk = fdatasync_time(folder)
        ours = _ours(generator, feature, asked, rates=_OPEN_PER_S)
        floor = _stack(generator)
        others = [_peer(generator, peer, asked) for peer in PEERS]
        print("  our service again", flush=True)
        with on_core(SERVER_CORE):
            disk.measure(folder, 200)
        again = _ours(generator, feature, asked, rates=())
        kept, is_whole = verified(again.ledger)
    answered = sum(d.answered for d in (ours.closed, again.closed, *ours.opened.values()))
    per_s = min(ours.closed.answers_per_s, again.closed.answers_per_s)
    rows = [
        _row("Feasible, durable ledger", ours.closed, per_s, f"{_TARGET_PER_S:,} / s", None),
        _row("the same, after the peers", again.closed, per_s, f"{_TARGET_PER_S:,} / s", None),
        *(
            _row(f"{p.name} {p.version}", drive, per_s, f"{p.target:g}x", p.target)
            for p, drive in zip(PEERS, others, strict=True)
        ),
        _row("uvicorn that decides nothing", floor, per_s, "", None),
    ]
    text = f"""\
{_conditions(disk, busy)}

{table(_HEADER, rows)}

`ours / its` is the slower of our two lines over the peer's; `generator busy` is the share of its
own core that the load generator needed, which limits nothing while it is below 100 %.
{_notes()}

{_promises(ours, again, per_s)}

Open loop, {_CONNECTIONS} connections, Poisson arrivals for {_OPEN_S:g} s: requests are due at
moments drawn beforehand, and latency counts from then, whether or not a connection was free.

{table(_OPEN_HEADER, [_open_row(rate, drive) for rate, drive in ours.opened.items()])}

Afterwards `feasible ledger verify` found the ledger {"whole" if is_whole else "BROKEN"};
it holds {kept:,} decisions, of which {answered:,} were answered in these tables and the others
while warming up.
"""
    return Section("Serving", "python -m bench serving", text)


_HEADER = [
    "server, one core", "decisions / s", "ours / its", "promised", "p50 ms", "p99 ms",
    "wrong", "without an answer", "generator busy",
]  # fmt: skip
_OPEN_HEADER = [
    "arrivals / s", "answered / s", "p50 ms", "p99 ms", "p99.9 ms", "found no free connection",
    "generator late, p99 ms", "wrong or unanswered",
]  # fmt: skip


def _ours(
    generator: Generator, feature: Path, asked: Sequence[tuple[str, str]], *, rates: Sequence[int]
) -> _Ours:
    """Serve the feature and load it: closed loop first, then open loop at each rate."""
    with running_ours(feature) as service:
        pid, url = service.pid, service.url
        calls = [decide(url, text, team) for text, team in asked]
        before_mb = rss_mb(pid)
        generator(drive_closed, url, calls, connections=_CONNECTIONS, seconds=_WARM_S)
        began_s = cpu_s(pid)
        closed = generator(drive_closed, url, calls, connections=_CONNECTIONS, seconds=_CLOSED_S)
        cpu_us = (cpu_s(pid) - began_s) / max(1, closed.answered) * 1e6
        opened = {
            rate: generator(
                drive_open, url, calls, connections=_CONNECTIONS, per_s=rate, seconds=_OPEN_S
            )
            for rate in rates
        }
        return _Ours(closed, cpu_us, opened, (before_mb, rss_mb(pid)), service.ledger)


def _peer(generator: Generator, peer: Peer, asked: Sequence[tuple[str, str]]) -> Drive | str:
    """Load a peer; a sentence where it cannot be had."""
    print(f"  {peer.name}", flush=True)
    try:
        with running_peer(peer, asked[0]) as url:
            calls = [peer.call(url, text, team) for text, team in asked]
            generator(drive_closed, url, calls, connections=_CONNECTIONS, seconds=_WARM_S)
            return generator(drive_closed, url, calls, connections=_CONNECTIONS, seconds=_PEER_S)
    except (PeerFailed, OSError) as error:
        return str(error)


def _stack(generator: Generator) -> Drive:
    """Load the server stack by itself: what no application on it can pass."""
    with _bare_server() as url:
        calls = [post(url, b'{"request":{"text":"my payout"}}', expected=b'"none"')]
        generator(drive_closed, url, calls, connections=_CONNECTIONS, seconds=_WARM_S / 2)
        return generator(drive_closed, url, calls, connections=_CONNECTIONS, seconds=_PEER_S / 2)


@contextmanager
def _bare_server() -> Iterator[str]:
    with on_core(SERVER_CORE):
        process = subprocess.Popen(
            [sys.executable, "-c", _STACK], stdout=subprocess.PIPE, text=True
        )
    try:
        yield process.stdout.readline().strip() if process.stdout else ""
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _row(
    name: str, drive: Drive | str, per_s: float, promised: str, target: float | None
) -> list[str]:
    if isinstance(drive, str):
        return [name, f"not measured: {drive}", "-", promised, *["-"] * 5]
    ratio = per_s / drive.answers_per_s if drive.answers_per_s else float("inf")
    return [
        name,
        f"{drive.answers_per_s:,.0f}",
        f"{ratio:.2f}x" if target is None else f"{ratio:.1f}x{_kept(ratio >= target)}",
        promised,
        f"{drive.percentile_ms(0.5):.1f}",
        f"{drive.percentile_ms(0.99):.1f}",
        f"{drive.wrong:,}",
        f"{drive.errors - drive.wrong:,}",
        f"{drive.cpu_s / drive.wall_s:.0%}" if drive.wall_s else "-",
    ]


def _open_row(rate: int, drive: Drive) -> list[str]:
    late_ms = drive.late_ms(0.99)
    return [
        f"{rate:,}",
        f"{drive.answers_per_s:,.0f}",
        *(f"{drive.percentile_ms(q):.1f}" for q in (0.5, 0.99, 0.999)),
        f"{drive.queued / max(1, len(drive.lateness_ms)):.1%}",
        f"{late_ms:.2f}" + (" (it fell behind)" if late_ms > _BEHIND_MS else ""),
        f"{drive.errors:,}",
    ]


def _promises(ours: _Ours, again: _Ours, per_s: float) -> str:
    """Give the figures that are promised by themselves."""
    p99_ms = ours.opened[_TARGET_P99_AT].percentile_ms(0.99)
    rss = ours.rss_mb[0]
    cpu_us = statistics.mean((ours.cpu_us, again.cpu_us))
    rows = [
        [
            "durable decisions a second, the slower line", f"{per_s:,.0f}",
            f"at least {_TARGET_PER_S:,}", _word(per_s >= _TARGET_PER_S),
        ],
        [
            f"p99 at {_TARGET_P99_AT:,} / s, open loop", f"{p99_ms:.1f} ms",
            f"under {_TARGET_P99_MS:g} ms", _word(p99_ms < _TARGET_P99_MS),
        ],
        [
            "memory before the first request, no model loaded", f"{rss:.0f} MB",
            f"under {_TARGET_RSS_MB} MB", _word(rss < _TARGET_RSS_MB),
        ],
        ["memory after the last request", f"{ours.rss_mb[1]:.0f} MB", "", ""],
        ["processor time a decision, user and system", f"{cpu_us:.0f} us", "", ""],
    ]  # fmt: skip
    return table(["of ours", "measured", "promised", "kept"], rows)


def _conditions(disk: FsyncTime, busy: float) -> str:
    return f"""\
The server with all its threads has core {SERVER_CORE}, the load generator another one;
{_CONNECTIONS} connections are kept alive, each with one request in flight, for {_CLOSED_S:g} s
({_PEER_S:g} s for a peer) after {_WARM_S:g} s to warm up. The same {_MESSAGES:,} messages go to
all, rules of keywords find a team for each, and every answer is checked. An answer of ours leaves
after its decision is on the disk, where an fdatasync of 4 KiB appended in the same folder takes
{disk}; the peers write nothing. Before it all the
machine's load average was {busy:.1f}."""


def _notes() -> str:
    return "\n".join(f"{peer.name}: {peer.note}." for peer in PEERS)


def _kept(is_kept: bool) -> str:  # noqa: FBT001  a word for a truth
    return "" if is_kept else " (missed)"


def _word(is_kept: bool) -> str:  # noqa: FBT001  a word for a truth
    return "yes" if is_kept else "no"


if __name__ == "__main__":
    print(run().text)
