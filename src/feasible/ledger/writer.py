"""The one writer: whatever is waiting goes into one transaction, and one flush to the disk."""

from __future__ import annotations

import asyncio
import copy
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from feasible.errors import FeasibleError, KeyTaken, LedgerError
from feasible.ledger.base import LabelOutcome
from feasible.ledger.chain import Chain, Heads, Linker
from feasible.ledger.faults import spoken
from feasible.ledger.judging import LabelJudge
from feasible.ledger.opening import wal_of
from feasible.ledger.tables import DECISIONS, EVENTS, LABELS, Row, Table
from feasible.ledger.turns import Turn

__all__ = ["GroupCommit"]

_LARGEST_BATCH: Final = 256
_KEY: Final = 9
"""Where the idempotency key stands in the row of a decision."""


class _Append(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A decision or an event that waits to be written."""

    table: Table
    row: Row
    future: asyncio.Future[None]


class _Labels(msgspec.Struct, frozen=True, eq=False):
    """Labels that wait to be written together."""

    rows: Sequence[Row]
    future: asyncio.Future[list[LabelOutcome]]


_Settled = tuple[asyncio.Future[Any], Any]
"""A future and what becomes of it: a result, or an error."""


class GroupCommit:
    """Writes on a thread of its own; a future is resolved only after its COMMIT returned.

    Args:
        connection: Open for writing; until `close` this thread alone uses it.
        chain: How batches are linked.
        path: The ledger's file, for error texts and to see that it is still there.
        turn: Waited for before each transaction, where other processes write the same ledger; None
            for the only writer. Others, such as a purge, may still write between its transactions.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        chain: Chain,
        path: Path,
        *,
        turn: Turn | None = None,
    ) -> None:
        self._connection = connection
        self._judge = LabelJudge(connection)
        self._turn = turn
        self._linker = Linker(connection, chain)
        self._path = path
        self._files = [(name, os.stat(name).st_ino) for name in (path, wal_of(path))]  # noqa: PTH116  as below
        self._heads: Heads | None = None
        self._is_current = False
        self._waiting: deque[_Append | _Labels] = deque()
        self._woken: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._waker: asyncio.AbstractEventLoop | None = None
        self._guard = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="feasible-ledger", daemon=True)
        self._thread.start()

    def append(self, table: Table, row: Row) -> asyncio.Future[None]:
        """Queue a decision or an event; the future is done once it is durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._put(_Append(table, row, future), loop)
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
            # The writer is woken once for all that two turns of the loop bring: woken by the first,
            # it takes that alone, the others wait for the disk a second time, and both threads then
            # fight for the interpreter.
            if self._waker is not loop:
                self._waker = loop
                loop.call_soon(loop.call_soon, self._wake)

    def _wake(self) -> None:
        self._waker = None
        self._woken.put(True)

    def _run(self) -> None:
        is_ending = False
        while not is_ending:
            is_ending = not self._woken.get()
            while self._waiting:
                if self._turn is None:
                    settled = self._commit(self._take())
                else:
                    with self._turn:  # taken first: what comes meanwhile is written with the rest
                        settled = self._commit(self._take())
                _resolve(settled)

    def _take(self) -> list[_Append | _Labels]:
        most = min(len(self._waiting), _LARGEST_BATCH)
        return [self._waiting.popleft() for _ in range(most)]

    def _commit(self, batch: list[_Append | _Labels]) -> list[_Settled]:
        """Write a batch in one transaction and say what becomes of every part of it."""
        appends = [item for item in batch if isinstance(item, _Append)]
        labels = [item for item in batch if isinstance(item, _Labels)]
        try:
            self._check_files()
            try:
                return self._transaction(appends, labels)
            except sqlite3.IntegrityError:
                # Some id or key was there before: find out which, so that only they are refused.
                # Or somebody else wrote since these heads were known, and has their next numbers.
                return self._transaction(appends, labels, sift=True)
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
        self,
        appends: Sequence[_Append],
        labels: Sequence[_Labels],
        *,
        sift: bool = False,
    ) -> list[_Settled]:
        execute = self._connection.execute
        insert = self._linker.insert
        is_current, self._is_current = self._is_current, False  # only a commit makes it so again
        refused: list[_Settled] = []
        try:
            execute("BEGIN IMMEDIATE")
            if self._heads is None:
                heads = self._linker.heads()
            elif sift or not is_current:
                heads = self._linker.later(self._heads, count_rows=sift)
            else:
                heads = self._heads
            if sift:
                appends, refused = self._sift(appends)
            for table in (DECISIONS, EVENTS):
                heads = insert(table, [x.row for x in appends if x.table is table], heads)
            outcomes = []
            for item in labels:
                outcome, stored = self._judge.judge(item.rows)
                heads = insert(LABELS, stored, heads)
                outcomes.append(outcome)
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite ends it by itself when the disk is full
                self._connection.rollback()
            raise
        self._heads, self._is_current = heads, self._turn is None
        done: list[_Settled] = [(item.future, None) for item in appends]
        done += [(item.future, out) for item, out in zip(labels, outcomes, strict=True)]
        return done + refused

    def _sift(self, appends: Sequence[_Append]) -> tuple[list[_Append], list[_Settled]]:
        """Part what is new from what is there already, or clashes with something that is."""
        fresh: list[_Append] = []
        settled: list[_Settled] = []
        by_id: dict[tuple[str, str], Row] = {}
        by_key: dict[str, str] = {}
        for item in appends:
            name = item.table.name, item.row[0]
            there = by_id.get(name) or self._row_of(item.table, item.row[0])
            if there is not None:
                is_same = there == item.row
                settled.append((item.future, None if is_same else _id_taken(item)))
                continue
            key: str | None = item.row[_KEY] if item.table is DECISIONS else None
            holder = None if key is None else by_key.get(key) or self._holder_of(key)
            if key is not None and holder is not None:
                settled.append((item.future, _key_taken(key, holder)))
                continue
            fresh.append(item)
            by_id[name] = item.row
            if key is not None:
                by_key[key] = item.row[0]
        return fresh, settled

    def _row_of(self, table: Table, record_id: str) -> Row | None:
        found: Row | None = self._connection.execute(
            f"SELECT * FROM {table.name} WHERE {table.id_column} = ?",  # noqa: S608  own names
            (record_id,),
        ).fetchone()
        return found and found[1 : -1 if table.parts else None]

    def _holder_of(self, key: str) -> str | None:
        found = self._connection.execute(
            "SELECT decision_id FROM decisions WHERE idempotency_key = ?", (key,)
        ).fetchone()
        return None if found is None else str(found[0])


def _id_taken(item: _Append) -> LedgerError:
    what = item.table.name.removesuffix("s")
    return LedgerError(
        f"{what} {item.row[0]} is in the ledger with other content",
        attempt=f"every {what} is written once; give each an id of its own",
    )


def _key_taken(key: str, holder: str) -> KeyTaken:
    return KeyTaken(
        f"the idempotency key {key!r} belongs to decision {holder}",
        key=key,
        holder=holder,
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
