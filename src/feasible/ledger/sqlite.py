"""A ledger in one SQLite file: write-ahead log, every commit flushed, one writer."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from feasible.clock import Clock, SystemClock
from feasible.errors import LedgerError
from feasible.ledger.base import (
    LabelOutcome,
    LedgerCounts,
    LedgerNews,
    LedgerPosition,
    Verification,
)
from feasible.ledger.chain import Chain
from feasible.ledger.decision_id import micros
from feasible.ledger.faults import reading
from feasible.ledger.migrating import migrate
from feasible.ledger.opening import (
    KEY_NAME,
    ServiceLock,
    check_key,
    check_name,
    connect,
    create,
    ledger_path,
    look_over,
)
from feasible.ledger.tables import (
    DECISIONS,
    EVENTS,
    TABLES,
    Row,
    decision_of,
    decision_row,
    event_of,
    event_row,
    label_of,
    label_row,
    time_of,
)
from feasible.ledger.turns import Turn
from feasible.ledger.verifying import verify_chain
from feasible.ledger.writer import GroupCommit
from feasible.schema import Decision, Event, Label

__all__ = ["SqliteLedger", "open_ledger"]

_PAGE: Final = 1000
"""Rows read at a time, so that going through a ledger never holds up its writer."""


def open_ledger(url: str, *, write: bool = True, lock: int | None = None) -> SqliteLedger:
    """Open the ledger that a URL names; for writing, it is made when it is not there.

    With the environment variable FEASIBLE_LEDGER_KEY set, a new ledger's chain is keyed with it;
    such a ledger is written and verified with the same key only.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`.
        write: Take the service lock and append. False reads, also beside a live service.
        lock: Descriptor of the service lock that whoever began the service holds, for one of its
            worker processes; None to take the lock.

    Raises:
        BadInput: The URL names no file.
        EngineMissing: It names an engine that this version does not have.
        LedgerLocked: Another service writes it.
        LedgerDamaged: The file is not a whole ledger.
        LedgerError: It cannot be opened, or is not there to be read.
    """
    key = os.environ.get(KEY_NAME)
    return SqliteLedger(ledger_path(url), write=write, key=key.encode() if key else None, lock=lock)


class SqliteLedger:
    """Decisions, labels and events in one SQLite file.

    Args:
        path: The file.
        write: Take the service lock and append; False only reads.
        key: Secret of the chain; None for plain hashes.
        clock: Gives the time at which a label was received.
        lock: Descriptor of a service lock that is held already; None to take it.

    Raises:
        BadInput: The path is that of a folder or a device.
        LedgerLocked: Another service writes it.
        LedgerDamaged: The file is not a whole ledger.
        LedgerError: It cannot be opened, is not there to be read, or is keyed otherwise.
    """

    def __init__(
        self,
        path: Path,
        *,
        write: bool = True,
        key: bytes | None = None,
        clock: Clock | None = None,
        lock: int | None = None,
    ) -> None:
        # A link to the file and the file itself are one ledger with one lock.
        self.path = path.resolve()
        self._clock = clock or SystemClock()
        self._chain = Chain(key)
        check_name(self.path)
        self._writer: GroupCommit | None = None
        self._is_open = True
        with ExitStack() as opened:
            writing: sqlite3.Connection | None = None
            turn: Turn | None = None
            if write:
                held = ServiceLock(self.path, given=lock)
                opened.callback(held.release)
            with ExitStack() as making:
                if lock is not None:
                    turn = Turn(self.path)
                    opened.callback(turn.close)
                    making.enter_context(turn)  # another worker may be making the file
                if not look_over(self.path, write=write):
                    self._make(write=write)
                if write:
                    writing = connect(self.path, write=True)
                    opened.callback(writing.close)  # after the readers: then the log is emptied
                    migrate(writing, self._chain, self.path)
            # A scan may take seconds; the lookups of a service must not wait for it.
            self._scans = _Reader(self.path, check=not write)
            opened.callback(self._scans.close)
            self._lookups = _Reader(self.path, check=False)
            opened.callback(self._lookups.close)
            if writing is not None:
                self._check_key()
                self._writer = GroupCommit(writing, self._chain, self.path, turn=turn)
                opened.callback(self._writer.close)
            self._opened = opened.pop_all()

    async def append(self, decision: Decision) -> None:
        """Write a decision; returns once it is durable. Appending the same one again is no change.

        Raises:
            LedgerError: It could not be written, or its id belongs to a different decision.
            KeyTaken: Its idempotency key belongs to another decision, which the error names.
        """
        await self._open_writer().append(DECISIONS, decision_row(decision))

    async def record(self, event: Event) -> None:
        """Write an event; returns once it is durable. Recording the same one again is no change.

        Raises:
            LedgerError: It could not be written, or its id belongs to a different event.
        """
        await self._open_writer().append(EVENTS, event_row(event))

    async def add_labels(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        """Write labels; returns once they are durable, one outcome per label, in order.

        Raises:
            LedgerError: They could not be written; none of them is in the ledger then.
            DataError: A time has no zone or a value is not JSON; none of them is written then.
        """
        now = self._clock.now()
        rows = [label_row(label, received_at=now) for label in labels]
        return await self._open_writer().add_labels(rows)

    def decision(self, decision_id: str) -> Decision | None:
        """Give the decision of that id."""
        rows = self._lookups.query(
            "SELECT answer, request, body FROM decisions WHERE decision_id = ?", (decision_id,)
        )
        return decision_of(rows[0]) if rows else None

    def decision_by_key(self, idempotency_key: str) -> Decision | None:
        """Give the decision that was made for that idempotency key."""
        rows = self._lookups.query(
            "SELECT answer, request, body FROM decisions WHERE idempotency_key = ?",
            (idempotency_key,),
        )
        return decision_of(rows[0]) if rows else None

    def decisions(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        plan: str | None = None,
    ) -> Iterator[Decision]:
        """Go through decisions in the order in which they were written.

        Args:
            since: Only those made at or after this instant.
            until: Only those made before this instant.
            plan: Only those of the plan with this id.
        """
        after, where = 0, ""
        values: list[int | str] = []
        if since is not None:
            # Decisions are written in the order in which they end, so that times only nearly rise.
            first = self._scans.query(
                "SELECT min(row_id) FROM decisions WHERE at_us >= ?", (micros(since),)
            )[0][0]
            if first is None:
                return
            after, where = first - 1, " AND at_us >= ?"
            values.append(micros(since))
        if until is not None:
            where += " AND at_us < ?"
            values.append(micros(until))
        if plan is not None:
            where += " AND plan = ?"
            values.append(plan)
        columns = "answer, request, body, row_id"
        sql = f"SELECT {columns} FROM decisions WHERE row_id > ?{where} ORDER BY row_id LIMIT ?"  # noqa: S608  fixed parts
        while rows := self._scans.query(sql, (after, *values, _PAGE)):
            for row in rows:
                yield decision_of(row[:3])
            after = rows[-1][3]

    def labels(self, *, known_by: datetime | None = None) -> Iterator[Label]:
        """Go through labels in the order in which they were received.

        Args:
            known_by: Only those whose truth was known, and that were received, by that instant.
        """
        after, latest = 0, None if known_by is None else micros(known_by)
        sql = (
            "SELECT * FROM labels WHERE row_id > ? "
            "AND (? IS NULL OR max(known_at_us, received_at_us) <= ?) ORDER BY row_id LIMIT ?"
        )
        while rows := self._scans.query(sql, (after, latest, latest, _PAGE)):
            for row in rows:
                yield label_of(row)
            after = rows[-1][0]

    def events(
        self,
        *,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Event]:
        """Go through events in the order in which they were written.

        Args:
            kind: Only those of this kind.
            since: Only those at or after this instant.
            until: Only those before this instant.
        """
        after, where = 0, ""
        values: list[int | str] = []
        for condition, value in (
            ("kind = ?", kind),
            ("at_us >= ?", None if since is None else micros(since)),
            ("at_us < ?", None if until is None else micros(until)),
        ):
            if value is not None:
                where += f" AND {condition}"
                values.append(value)
        sql = f"SELECT * FROM events WHERE row_id > ?{where} ORDER BY row_id LIMIT ?"  # noqa: S608  fixed parts
        while rows := self._scans.query(sql, (after, *values, _PAGE)):
            for row in rows:
                yield event_of(row)
            after = rows[-1][0]

    def news(self, since: LedgerPosition, *, plan: str, most: int) -> LedgerNews:
        """Give what was written next after a position, by whichever process.

        Args:
            since: How far was read before.
            plan: Only decisions of the plan with this id.
            most: Decisions that are looked at, whatever their plan, and labels.
        """
        rows = self._scans.query(
            "SELECT answer, request, CASE WHEN plan = ? THEN body END, row_id FROM decisions "
            "WHERE row_id > ? ORDER BY row_id LIMIT ?",
            (plan, since.decision, most),
        )
        labels = self._scans.query(
            "SELECT * FROM labels WHERE row_id > ? ORDER BY row_id LIMIT ?", (since.label, most)
        )
        return LedgerNews(
            decisions=tuple(decision_of(row[:3]) for row in rows if row[2] is not None),
            labels=tuple(label_of(row) for row in labels),
            position=LedgerPosition(
                rows[-1][3] if rows else since.decision, labels[-1][0] if labels else since.label
            ),
        )

    def page(self, table: str, *, after: int, most: int) -> list[Row]:
        """Give rows of a table as they are stored, in order.

        Args:
            table: `decisions`, `labels` or `events`.
            after: Number of the row before the first.
            most: How many at most.
        """
        name = TABLES[table].name
        return self.select(
            f"SELECT * FROM {name} WHERE row_id > ? ORDER BY row_id LIMIT ?",  # noqa: S608  own names
            (after, most),
        )

    def select(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one SELECT over the tables of this file and give all its rows."""
        return self._scans.query(sql, values)

    def first_hash(self) -> str | None:
        """Give the first link of the chain, by which a ledger is known again; None when empty."""
        found = self.select("SELECT hash FROM batches ORDER BY seq LIMIT 1")
        return found[0][0] if found else None

    def counts(self) -> LedgerCounts:
        """Say how much is there, from the ends of the tables and not by counting."""
        ends = self._scans.query(
            "SELECT * FROM (SELECT row_id, at_us FROM decisions ORDER BY row_id LIMIT 1) UNION ALL "
            "SELECT * FROM (SELECT row_id, at_us FROM decisions ORDER BY row_id DESC LIMIT 1)"
        )
        held: dict[str, int] = {}
        for name in TABLES:
            last = self._scans.query(f"SELECT max(row_id) FROM {name}")[0][0] or 0  # noqa: S608  own names
            gone = self._scans.query(
                "SELECT count(*) FROM deleted WHERE of = ? AND row_id <= ?", (name, last)
            )
            held[name] = last - gone[0][0]
        return LedgerCounts(
            decisions=held["decisions"],
            labels=held["labels"],
            events=held["events"],
            first_at=time_of(ends[0][1]) if ends else None,
            last_at=time_of(ends[1][1]) if ends else None,
        )

    def verify(self, *, anchor: str | None = None) -> Verification:
        """Check that nothing is missing and nothing was edited.

        Args:
            anchor: `head` of an earlier verification, kept elsewhere; the chain must still have it.

        Raises:
            LedgerError: The chain is keyed, and not with the key that this ledger was opened with.
        """
        self._check_key()
        return verify_chain(self._scans.query, self._chain, anchor=anchor)

    def close(self) -> None:
        """Write what was accepted, then let go of the file; closing twice is no fault."""
        if not self._is_open:
            return
        self._is_open = False
        self._opened.close()

    def _make(self, *, write: bool) -> None:
        """Make the file when this ledger may write."""
        if not write:
            raise LedgerError(
                f"there is no ledger {self.path}",
                asked="to read it",
                found="an empty file" if self.path.exists() else "no such file",
                attempt="check the name after --ledger; serving makes it",
            )
        create(self.path, self._chain)

    def _check_key(self) -> None:
        """Refuse to write or to verify with another secret than the chain was begun with."""
        check_key(self._scans.query("SELECT name, value FROM meta"), self._chain, self.path)

    def _open_writer(self) -> GroupCommit:
        if not self._is_open:
            raise LedgerError(f"the ledger {self.path} is closed", attempt="open it again")
        if self._writer is None:
            raise LedgerError(
                f"the ledger {self.path} is open for reading only",
                attempt="open it with write=True; one service at a time may",
            )
        return self._writer


class _Reader:
    """A connection that reads, one query at a time, from whichever thread asks."""

    def __init__(self, path: Path, *, check: bool) -> None:
        self._path = path
        self._connection = connect(path, write=False, check=check)
        self._guard = threading.Lock()
        self._is_open = True

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one SELECT and give all its rows; it sees every commit that has returned."""
        with self._guard, reading(self._path):
            if not self._is_open:
                raise LedgerError(f"the ledger {self._path} is closed", attempt="open it again")
            return self._connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """Let go of the file, once a running query has ended."""
        with self._guard:
            self._is_open = False
            self._connection.close()
