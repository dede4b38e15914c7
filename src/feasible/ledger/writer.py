"""The one writer: whatever is waiting goes into one transaction, and one flush to the disk."""

from __future__ import annotations

import asyncio
import copy
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from feasible.errors import FeasibleError, LedgerError
from feasible.ledger.base import LabelOutcome
from feasible.ledger.chain import Chain
from feasible.ledger.faults import spoken
from feasible.ledger.opening import wal_of
from feasible.ledger.tables import DECISIONS, LABELS, Row, Table

__all__ = ["GroupCommit"]

_LARGEST_BATCH: Final = 256
_ROWS_A_STATEMENT: Final = 256
"""A SQLite statement takes 32,766 values; 256 rows of 12 stay far below."""


@dataclass(frozen=True, slots=True, eq=False)
class _Append:
    """A decision that waits to be written."""

    row: Row
    future: asyncio.Future[None]


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Labels that wait to be written together."""

    rows: Sequence[Row]
    future: asyncio.Future[list[LabelOutcome]]


@dataclass(frozen=True, slots=True)
class _Heads:
    """Where the tables and the chain end.

    Attributes:
        seq: Number of the last batch.
        hash: Its hash.
        decision: Last row of the decisions.
        label: Last row of the labels.
    """

    seq: int
    hash: str
    decision: int
    label: int


_Settled = tuple[asyncio.Future[Any], Any]
"""A future and what becomes of it: a result, or an error."""


class GroupCommit:
    """Writes on a thread of its own; a future is resolved only after its COMMIT returned.

    Args:
        connection: Open for writing; until `close` this thread alone uses it.
        chain: How batches are linked.
        path: The ledger's file, for error texts and to see that it is still there.
    """

    def __init__(self, connection: sqlite3.Connection, chain: Chain, path: Path) -> None:
        self._connection = connection
        self._chain = chain
        self._path = path
        self._files = [(name, os.stat(name).st_ino) for name in (path, wal_of(path))]  # noqa: PTH116  as below
        self._heads: _Heads | None = None
        self._waiting: deque[_Append | _Labels] = deque()
        self._woken: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._waker: asyncio.AbstractEventLoop | None = None
        self._guard = threading.Lock()
        self._closed = False
        self.several = False
        self._thread = threading.Thread(target=self._run, name="feasible-ledger", daemon=True)
        self._thread.start()

    def append(self, row: Row) -> asyncio.Future[None]:
        """Queue a decision; the future is done once it is durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._put(_Append(row, future), loop)
        return future

    def add_labels(self, rows: Sequence[Row]) -> asyncio.Future[list[LabelOutcome]]:
        """Queue labels; the future gives one outcome per label once they are durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[LabelOutcome]] = loop.create_future()
        self._put(_Labels(rows, future), loop)
        return future

    def close(self) -> None:
        """Write what is queued and end the thread."""
        with self._guard:
            self._closed = True
            self._woken.put(False)
        self._thread.join()

    def _put(self, item: _Append | _Labels, loop: asyncio.AbstractEventLoop) -> None:
        with self._guard:  # nothing may be queued behind the end, where nobody would answer it
            if self._closed:
                raise LedgerError(f"the ledger {self._path} is closed", attempt="open it again")
            self._waiting.append(item)
            # The writer is woken once for all that one turn of the loop brings: woken by the first,
            # it takes that alone, and both threads then fight for the interpreter.
            if self._waker is not loop:
                self._waker = loop
                loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._waker = None
        self._woken.put(True)

    def _run(self) -> None:
        is_ending = False
        while not is_ending:
            is_ending = not self._woken.get()
            while self._waiting:
                most = min(len(self._waiting), _LARGEST_BATCH)
                _resolve(self._commit([self._waiting.popleft() for _ in range(most)]))

    def _commit(self, batch: list[_Append | _Labels]) -> list[_Settled]:
        """Write a batch in one transaction and say what becomes of every part of it."""
        appends = [item for item in batch if isinstance(item, _Append)]
        labels = [item for item in batch if isinstance(item, _Labels)]
        try:
            self._check_files()
            try:
                return self._transaction(appends, labels, refused=[])
            except sqlite3.IntegrityError:
                # Some id or key was there before: find out which, so that only they are refused.
                fresh, refused = self._sift(appends)
                return self._transaction(fresh, labels, refused=refused)
        except sqlite3.Error as error:
            fault: Exception = spoken(error, self._path, doing="write to")
        except FeasibleError as error:
            fault = error
        except Exception as error:  # noqa: BLE001  nobody may wait for ever, whatever happened
            fault = LedgerError(f"cannot write to the ledger {self._path}", found=repr(error))
        # One each: an error that several tasks raise would gather all their tracebacks.
        return [(item.future, copy.copy(fault)) for item in batch]

    def _check_files(self) -> None:
        """Refuse to write into a file, or a log, that nobody will find again."""
        for path, inode in self._files:
            try:
                is_there = os.stat(path).st_ino == inode  # noqa: PTH116  a hot path
            except OSError:
                is_there = False
            if not is_there:
                raise LedgerError(
                    f"the ledger {self._path} was removed or replaced while a service writes it",
                    found=f"{path} is not the file that was opened",
                    attempt="stop the service, which saves what it can into the file it has open; "
                    "put that file back under its name, and start again",
                )

    def _transaction(
        self, appends: Sequence[_Append], labels: Sequence[_Labels], *, refused: list[_Settled]
    ) -> list[_Settled]:
        execute = self._connection.execute
        known, self._heads = self._heads, None  # only a commit makes them known again
        try:
            execute("BEGIN IMMEDIATE")
            heads = known or self._read_heads()
            heads = self._insert(DECISIONS, [item.row for item in appends], heads)
            outcomes = []
            for item in labels:
                outcome, stored = self._judge(item.rows)
                heads = self._insert(LABELS, stored, heads)
                outcomes.append(outcome)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite ends it by itself when the disk is full
                self._connection.rollback()
            raise
        self._heads = None if self.several else heads
        done: list[_Settled] = [(item.future, None) for item in appends]
        done += [(item.future, out) for item, out in zip(labels, outcomes, strict=True)]
        return done + refused

    def _read_heads(self) -> _Heads:
        one: Callable[[str], Any] = lambda sql: self._connection.execute(sql).fetchone()  # noqa: E731
        seq, digest = one("SELECT seq, hash FROM batches ORDER BY seq DESC LIMIT 1") or (0, "")
        ends = {}
        for table in (DECISIONS, LABELS):
            row = one(f"SELECT max(row_id) FROM {table.name}")[0] or 0  # noqa: S608  own names
            named = one(f"SELECT max(last_row) FROM batches WHERE of = '{table.name}'")[0] or 0  # noqa: S608
            # Numbers of rows that were removed are not given again: verification must miss them.
            ends[table.name] = max(row, named)
        return _Heads(seq, digest, ends["decisions"], ends["labels"])

    def _insert(self, table: Table, rows: Sequence[Row], heads: _Heads) -> _Heads:
        """Insert rows and link them to the chain."""
        if not rows:
            return heads
        top = heads.decision if table is DECISIONS else heads.label
        numbered = [(top + i, *row) for i, row in enumerate(rows, start=1)]
        for start in range(0, len(numbered), _ROWS_A_STATEMENT):
            part = numbered[start : start + _ROWS_A_STATEMENT]
            values = [value for row in part for value in row]
            self._connection.execute(table.insert(len(part)), values)
        seq, last = heads.seq + 1, top + len(rows)
        digest = self._chain.link(heads.hash, seq=seq, of=table.name, rows=numbered)
        self._connection.execute(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)",
            (seq, table.name, top + 1, last, heads.hash, digest),
        )
        if table is DECISIONS:
            return _Heads(seq, digest, last, heads.label)
        return _Heads(seq, digest, heads.decision, last)

    def _sift(self, appends: Sequence[_Append]) -> tuple[list[_Append], list[_Settled]]:
        """Part decisions that are new from those that are there already, or clash with one."""
        fresh: list[_Append] = []
        settled: list[_Settled] = []
        by_id: dict[str, _Append] = {}
        by_key: dict[str, str] = {}
        for item in appends:
            decision_id, key, body = item.row[0], item.row[9], item.row[10]
            earlier = by_id.get(decision_id)
            there = earlier.row[10] if earlier else self._body_of(decision_id)
            if there is not None:
                settled.append((item.future, None if there == body else _id_taken(decision_id)))
                continue
            holder = None if key is None else by_key.get(key) or self._holder_of(key)
            if holder is not None:
                settled.append((item.future, _key_taken(key, holder)))
                continue
            fresh.append(item)
            by_id[decision_id] = item
            if key is not None:
                by_key[key] = decision_id
        return fresh, settled

    def _body_of(self, decision_id: str) -> Any:
        found = self._connection.execute(
            "SELECT body FROM decisions WHERE decision_id = ?", (decision_id,)
        ).fetchone()
        return found and found[0]

    def _holder_of(self, key: str) -> str | None:
        found = self._connection.execute(
            "SELECT decision_id FROM decisions WHERE idempotency_key = ?", (key,)
        ).fetchone()
        return None if found is None else str(found[0])

    def _judge(self, rows: Sequence[Row]) -> tuple[list[LabelOutcome], list[Row]]:
        """Say what becomes of each label of one call, and give those to store."""
        outcomes: list[LabelOutcome] = []
        stored: list[Row] = []
        contents: set[Row] = set()
        by_id: dict[str, Row] = {}
        for row in rows:
            outcome = self._outcome(row, by_id)
            if outcome == "stored" and _content(row) in contents:
                outcome = "duplicate"
            outcomes.append(outcome)
            if outcome == "stored":
                stored.append(row)
                contents.add(_content(row))
                if row[5] is not None:
                    by_id[row[5]] = row
        return outcomes, stored

    def _outcome(self, row: Row, by_id: Mapping[str, Row]) -> LabelOutcome:
        """Compare a label with what is there, and with those of its call that have an id."""
        decision_id, label_id = row[0], row[5]
        if label_id is not None:
            same_id = (
                by_id.get(label_id)
                or self._connection.execute(
                    "SELECT decision_id, source, selection, known_at_us, received_at_us, label_id, "
                    "reviewer, body FROM labels WHERE label_id = ?",
                    (label_id,),
                ).fetchone()
            )
            if same_id:
                return "duplicate" if _content(same_id) == _content(row) else "conflict"
        if self._body_of(decision_id) is None:
            return "unknown_decision"
        same = self._connection.execute(
            "SELECT 1 FROM labels WHERE decision_id = ? AND source = ? AND known_at_us = ? "
            "AND body = ?",
            _content(row),
        ).fetchone()
        return "duplicate" if same else "stored"


def _content(row: Row) -> Row:
    """Give what makes two labels the same: decision, source, when it was known, and the value."""
    return row[0], row[1], row[3], row[7]


def _id_taken(decision_id: str) -> LedgerError:
    return LedgerError(
        f"decision {decision_id} is in the ledger with other content",
        attempt="a decision is written once; give every decision an id of its own",
    )


def _key_taken(key: str, holder: str) -> LedgerError:
    return LedgerError(
        f"the idempotency key {key!r} belongs to decision {holder}",
        attempt="answer with that decision, or use another key",
    )


def _resolve(settled: Sequence[_Settled]) -> None:
    """Wake each event loop once for all that it waits for."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Settled]] = {}
    for future, result in settled:
        by_loop.setdefault(future.get_loop(), []).append((future, result))
    for loop, part in by_loop.items():
        try:
            loop.call_soon_threadsafe(_set, part)
        except RuntimeError:  # the loop is closed: nobody waits any more, and the rows are written
            continue


def _set(settled: Sequence[_Settled]) -> None:
    for future, result in settled:
        if future.done():  # whoever waited has given up; the row stands
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
