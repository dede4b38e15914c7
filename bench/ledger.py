"""Durable decisions a second, by how many requests wait at once; the peer is SQLite by itself.

python -m bench.ledger
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from bench.page import Section, table

from feasible.clock import SystemClock
from feasible.ledger import SqliteLedger, new_decision_id
from feasible.schema import Decision, PathStep

__all__ = ["run"]

_WAITING = (1, 8, 32, 128)
_SECONDS = 3.0
_PATH = (
    PathStep(tier="cache", outcome="abstained", latency_ms=0.01, cost_usd=0.0),
    PathStep(tier="model", outcome="answered", latency_ms=1.2, cost_usd=0.00001),
)


def _decision() -> Decision:
    return Decision(
        decision_id=new_decision_id(SystemClock()),
        at=datetime.now(UTC),
        plan="plan_0123456789abcdef",
        answer="payout_missing",
        probability=0.97,
        tier="model",
        path=_PATH,
        cost_nusd=10_000,
        latency_ms=1.4,
        request={"text": "my payout from last week has not arrived"},
    )


async def _appends(ledger: SqliteLedger, waiting: int) -> float:
    """Append for a while from so many tasks, and give decisions a second."""
    done = 0
    until = time.perf_counter() + _SECONDS

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await ledger.append(_decision())
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(waiting)))
    return done / (time.perf_counter() - began)


def _peer(path: Path) -> float:
    """Insert the same rows one by one, each its own flushed transaction, and give rows a second."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE decisions (id TEXT PRIMARY KEY, body BLOB)")
    done = 0
    began = time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        decision = _decision()
        row = (decision.decision_id, msgspec.json.encode(decision))
        connection.execute("INSERT INTO decisions VALUES (?, ?)", row)
        done += 1
    rate = done / (time.perf_counter() - began)
    connection.close()
    return rate


def run() -> Section:
    """Measure the ledger and its peer on the same disk."""
    with TemporaryDirectory(dir=".") as folder:
        peer = _peer(Path(folder) / "peer.db")
        rows = []
        for waiting in _WAITING:
            ledger = SqliteLedger(Path(folder) / f"ledger-{waiting}.db")
            rate = asyncio.run(_appends(ledger, waiting))
            ledger.close()
            rows.append([f"{waiting} waiting", f"{rate:,.0f}", f"{rate / peer:.1f}x"])
    rows.append(["SQLite alone, one row a transaction", f"{peer:,.0f}", "1.0x"])
    text = f"""\
Decisions on the disk a second: WAL, `synchronous = FULL`, {_SECONDS:.0f} s a line, in the project's
folder. The ledger also checks each record, links it in a hash chain and indexes it.

{table(["requests waiting at once", "durable decisions / s", "against SQLite alone"], rows)}
"""
    return Section("Ledger", "python -m bench.ledger", text)


if __name__ == "__main__":
    print(run().text)
