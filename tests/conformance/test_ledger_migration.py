"""A ledger of the first format is brought up to date, all of it or nothing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from feasible.errors import LedgerDamaged, LedgerError
from feasible.ledger import Purge, SqliteLedger, purge
from feasible.schema import Decision, Label

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
US = int(NOON.timestamp()) * 1_000_000
FORMAT_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE decisions (row_id INTEGER PRIMARY KEY, decision_id TEXT NOT NULL,
  at_us INTEGER NOT NULL, plan TEXT NOT NULL, tier TEXT NOT NULL, cost_nusd INTEGER,
  latency_us INTEGER NOT NULL, handed_off INTEGER NOT NULL, fell_back TEXT, slices TEXT NOT NULL,
  idempotency_key TEXT, body BLOB NOT NULL);
CREATE UNIQUE INDEX decisions_by_id ON decisions (decision_id);
CREATE UNIQUE INDEX decisions_by_key ON decisions (idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX decisions_by_time ON decisions (at_us);
CREATE TABLE labels (row_id INTEGER PRIMARY KEY, decision_id TEXT NOT NULL, source TEXT NOT NULL,
  selection TEXT NOT NULL, known_at_us INTEGER NOT NULL, received_at_us INTEGER NOT NULL,
  label_id TEXT, reviewer TEXT, body BLOB NOT NULL);
CREATE INDEX labels_by_decision ON labels (decision_id);
CREATE UNIQUE INDEX labels_by_label_id ON labels (label_id) WHERE label_id IS NOT NULL;
CREATE TABLE batches (seq INTEGER PRIMARY KEY, of TEXT NOT NULL, first_row INTEGER NOT NULL,
  last_row INTEGER NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL);
PRAGMA application_id = 1179861580;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""


def decided(n: int) -> Decision:
    """Give decision n."""
    return Decision(
        decision_id=f"d{n}",
        at=NOON,
        plan="p",
        answer="refund",
        probability=0.9,
        tier="rules",
        path=(),
        cost_nusd=None,
        latency_ms=1.5,
        request={"user_id": f"u{n}", "text": "Geld zurück"},
        idempotency_key=f"k{n}",
    )


LABEL = Label(decision_id="d2", value="card", source="human", known_at=NOON, reviewer="ana")


def link(key: bytes | None, prev: str, seq: int, of: str, rows: list[tuple[object, ...]]) -> str:
    """Give the hash that the first format made of a batch, as its documentation said."""
    digest = hashlib.sha256(f"{seq}:{of}:{prev}\n".encode())
    for row in rows:
        columns, body = msgspec.json.encode(row[:-1]), row[-1]
        assert isinstance(body, bytes)
        digest.update(b"%d %d\n" % (len(columns), len(body)) + columns + body)
    return hmac.digest(key, digest.digest(), "sha256").hex() if key else digest.hexdigest()


def first_format(path: Path, *, key: bytes | None = None) -> str:
    """Write a ledger of the first format: six decisions in two batches, and a label between them.

    Returns:
        Its head.
    """
    decisions = [
        (
            n,
            f"d{n}",
            US,
            "p",
            "rules",
            None,
            1500,
            0,
            None,
            "[]",
            f"k{n}",
            msgspec.json.encode(decided(n)),
        )
        for n in range(1, 7)
    ]
    label = (1, "d2", "human", "organic", US, US, None, "ana", b'"card"')
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(FORMAT_1)
        kind = "hmac-sha256" if key else "sha256"
        check = link(key, "", 0, "key", [])
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)", [("chain", kind), ("key_check", check)]
        )
        connection.executemany(f"INSERT INTO decisions VALUES ({', '.join('?' * 12)})", decisions)  # noqa: S608
        connection.execute(f"INSERT INTO labels VALUES ({', '.join('?' * 9)})", label)  # noqa: S608
        head = ""
        for seq, of, rows in (
            (1, "decisions", decisions[:4]),
            (2, "labels", [label]),
            (3, "decisions", decisions[4:]),
        ):
            made = link(key, head, seq, of, list(rows))
            connection.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)",
                (seq, of, rows[0][0], rows[-1][0], head, made),
            )
            head = made
    return head


@pytest.mark.parametrize("key", [None, b"a secret"])
def test_an_older_ledger_is_brought_up_to_date_by_who_writes_it(
    tmp_path: Path, key: bytes | None
) -> None:
    """Everything is there as it was, the chain is whole, an event keeps where the old one ended."""
    path = tmp_path / "ledger.db"
    head = first_format(path, key=key)
    for _ in range(2):
        with closing(SqliteLedger(path, key=key)) as ledger:
            assert list(ledger.decisions()) == [decided(n) for n in range(1, 7)]
            assert list(ledger.labels()) == [LABEL]
            assert ledger.decision_by_key("k5") == decided(5)
            assert ledger.verify().whole
            (event,) = ledger.events()
            assert (event.kind, event.body["head"]) == ("ledger.migrated", head)
            asyncio.run(ledger.append(decided(3)))  # there already
    if key is None:
        done = purge(f"sqlite:///{path}", Purge(subject=("request.user_id", "u2")), actor="ana")
        assert (done.decisions, done.labels) == (1, 1)
        with closing(SqliteLedger(path)) as ledger:
            assert ledger.verify().whole


def test_an_older_ledger_is_not_changed_by_who_only_reads_it(tmp_path: Path) -> None:
    """Readers and purges say what brings it up to date."""
    path = tmp_path / "ledger.db"
    first_format(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="written by an older version"):
        SqliteLedger(path, write=False)
    with pytest.raises(LedgerError, match="written by an older version"):
        purge(f"sqlite:///{path}", Purge(before=NOON), actor="ana")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE decisions SET tier = 'llm' WHERE row_id = 2",
        "DELETE FROM decisions WHERE row_id = 2",
        "DELETE FROM batches WHERE seq = 2",
    ],
)
def test_an_older_ledger_that_was_edited_is_not_made_whole_by_it(tmp_path: Path, edit: str) -> None:
    """A new chain over an edited row would cover the edit; nothing is changed."""
    path = tmp_path / "ledger.db"
    first_format(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(edit)
    for _ in range(2):
        with pytest.raises(LedgerDamaged, match="its chain is not whole"):
            SqliteLedger(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        assert sorted(name for (name,) in tables) == ["batches", "decisions", "labels", "meta"]


def test_an_older_ledger_with_another_key_is_refused(tmp_path: Path) -> None:
    """It is not begun anew under a key that it never had."""
    path = tmp_path / "ledger.db"
    first_format(path, key=b"one")
    with pytest.raises(LedgerError, match="begun with another key"):
        SqliteLedger(path, key=b"two")
    with closing(SqliteLedger(path, key=b"one")) as ledger:
        assert ledger.verify().whole
