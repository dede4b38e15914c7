"""From an older format to this one, all of it or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from feasible.errors import LedgerDamaged
from feasible.ledger.chain import Chain, Linker
from feasible.ledger.decision_id import decision_id_at
from feasible.ledger.faults import spoken
from feasible.ledger.opening import check_key
from feasible.ledger.tables import (
    DECISIONS,
    EVENTS,
    FORMAT,
    LABELS,
    SCHEMA,
    Row,
    decision_row,
    event_row,
)
from feasible.schema import Decision, Event

__all__ = ["MIGRATED", "migrate"]

MIGRATED: Final = "ledger.migrated"
"""Kind of the event that says from what, and with which head of the old chain."""
_ENCODE: Final = msgspec.json.Encoder().encode
_OLD_INDEXES: Final = (
    "decisions_by_id",
    "decisions_by_key",
    "decisions_by_time",
    "labels_by_decision",
    "labels_by_label_id",
)


def migrate(connection: sqlite3.Connection, chain: Chain, path: Path) -> None:
    """Bring a ledger of an older format up to date.

    Its chain is checked first, then written anew over salted commitments; an event keeps where the
    old one ended.

    Args:
        connection: Open for writing, with nobody else writing.
        chain: How links are hashed.
        path: The ledger's file, for error texts.

    Raises:
        LedgerDamaged: The old chain is not whole; nothing is changed then.
        LedgerError: It cannot be written, or was begun with another key.
    """
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] >= FORMAT:
            return
        check_key(connection.execute("SELECT name, value FROM meta"), chain, path)
        connection.execute("BEGIN IMMEDIATE")
        _rewrite(connection, chain, path)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.rollback()
        if isinstance(error, sqlite3.Error):
            raise spoken(error, path, doing="bring up to date") from error
        raise


def _rewrite(connection: sqlite3.Connection, chain: Chain, path: Path) -> None:
    execute = connection.execute
    for name in _OLD_INDEXES:
        execute(f"DROP INDEX {name}")
    for name in ("decisions", "labels", "batches"):
        execute(f"ALTER TABLE {name} RENAME TO old_{name}")
    for statement in SCHEMA:
        execute(statement)
    linker = Linker(connection, chain)
    heads, head = linker.heads(), ""
    for seq, of, first, last, prev_hash, recorded in execute(
        "SELECT * FROM old_batches ORDER BY seq"
    ):
        table = {"decisions": DECISIONS, "labels": LABELS}.get(of)
        rows = (
            execute(
                f"SELECT * FROM old_{of} WHERE row_id BETWEEN ? AND ? ORDER BY row_id",  # noqa: S608  checked below
                (first, last),
            ).fetchall()
            if table
            else []
        )
        if (
            table is None
            or prev_hash != head
            or _old_link(chain, prev_hash, seq, of, rows) != recorded
        ):
            raise LedgerDamaged(
                f"{path} is of an older format, and its chain is not whole",
                found=f"batch {seq:,} of {of} is not what was written",
                attempt="put back a copy that is whole, or begin a new ledger under another name",
            )
        head = recorded
        fresh = (
            [_decision(row) for row in rows] if table is DECISIONS else [row[1:] for row in rows]
        )
        heads = linker.insert(table, fresh, heads)
    at = datetime.now(UTC)
    event = Event(
        event_id=decision_id_at(at),
        at=at,
        kind=MIGRATED,
        actor="feasible",
        body={"from_format": 1, "to_format": FORMAT, "head": head},
    )
    linker.insert(EVENTS, [event_row(event)], heads)
    for name in ("decisions", "labels", "batches"):
        execute(f"DROP TABLE old_{name}")


def _decision(row: Row) -> Row:
    return decision_row(msgspec.json.decode(row[-1], type=Decision))


def _old_link(chain: Chain, prev_hash: str, seq: int, of: str, rows: Iterable[Row]) -> str:
    """Give the hash that format 1 made of a batch."""
    return chain.link(prev_hash, seq=seq, of=of, leaves=_old_leaves(rows))


def _old_leaves(rows: Iterable[Row]) -> Iterator[bytes]:
    for row in rows:
        columns, body = _ENCODE(row[:-1]), row[-1]
        body = body if isinstance(body, bytes) else b""
        yield b"%d %d\n%b%b" % (len(columns), len(body), columns, body)
