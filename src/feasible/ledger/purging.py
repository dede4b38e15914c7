"""Deletion and redaction that leave the chain valid and a record of themselves."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from feasible.clock import Clock, SystemClock
from feasible.errors import BadInput, LedgerError
from feasible.ledger.chain import Chain, Heads, Linker
from feasible.ledger.commitments import SALT_BYTES, commitments, leaf
from feasible.ledger.decision_id import decision_id_at, micros
from feasible.ledger.faults import spoken
from feasible.ledger.fields import Field, field_of, holds, without
from feasible.ledger.opening import KEY_NAME, check_key, check_name, connect, ledger_path, look_over
from feasible.ledger.tables import DECISIONS, EVENTS, LABELS, Row, Table, event_row
from feasible.ledger.turns import Turn
from feasible.ledger.verifying import PURGED, digest_of
from feasible.schema import Event

__all__ = ["Purge", "Purged", "purge"]

_PAGE: Final = 500
"""Decisions a transaction: a service beside it waits for one of them, some ten milliseconds."""
_EMPTYING_S: Final = 10.0
"""Longest that readers are waited for before the log can be cut to nothing."""


class Purge(msgspec.Struct, frozen=True, kw_only=True):
    """What is to go. Without `redact` whole decisions go, with their labels."""

    before: datetime | None = None
    """Only decisions made before this instant."""
    subject: tuple[str, str] | None = None
    """Only decisions where this field has this value: `("request.user_id", "u7")`."""
    redact: tuple[str, ...] = ()
    """Fields that become null in them; the rest of them stays, and stays proved."""


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """What a purge did, or would do."""

    did: Literal["delete", "redact"]
    decisions: int
    """Decisions that are gone, or of which something is."""
    labels: int
    """Labels, likewise."""
    is_dry_run: bool
    """Nothing was changed."""
    log_emptied: bool | None
    """Whether the log beside the file is cut to nothing; while it is not, it may still hold what
    was purged. None for a dry run."""

    def __str__(self) -> str:
        """Give it in a sentence or two."""
        verb = {"delete": "deleted", "redact": "redacted"}[self.did]
        head = "would be " if self.is_dry_run else ""
        said = f"{head}{verb}: {self.decisions:,} decisions and {self.labels:,} labels"
        if self.log_emptied is False:
            said += (
                "\nthe log beside the ledger still holds copies: a reader was busy; run the same "
                "command again, and it empties the log"
            )
        return said


def purge(
    url: str, what: Purge, *, actor: str, dry_run: bool = False, clock: Clock | None = None
) -> Purged:
    """Delete or redact for good, also beside a running service.

    Every part of it is one transaction, with an event that says what was done, when and by whom,
    and that holds no personal value. A purge that was interrupted goes on when it is run again.

    Args:
        url: The ledger.
        what: What is to go.
        actor: Who does it, for the record.
        dry_run: Only count.
        clock: Gives the time of the events.

    Raises:
        BadInput: It says nothing that is to go, or names a field that a ledger has not.
        LedgerError: The ledger cannot be written, or was begun with another key.
    """
    fields = [field_of(name) for name in what.redact]
    subject = None if what.subject is None else (field_of(what.subject[0]), what.subject[1])
    if subject is not None and subject[0].of in {"label", "path"}:
        raise BadInput(
            "a subject is found by what was asked or answered, or by an id",
            asked=subject[0].name,
            attempt="--subject request.user_id=VALUE, or decision_id=VALUE",
        )
    if "decision_id" in what.redact:
        raise BadInput("a decision keeps its id", attempt="delete it: --subject decision_id=VALUE")
    if what.before is None and subject is None and not fields:
        raise BadInput(
            "this purge does not say what is to go",
            attempt="--older-than 90d, --subject request.user_id=VALUE, or --redact request.text",
        )
    key = os.environ.get(KEY_NAME)
    with ExitStack() as opened:
        purger = _Purger(ledger_path(url).resolve(), Chain(key.encode() if key else None), opened)
        try:
            return purger.run(
                what,
                fields,
                subject,
                actor=actor,
                dry_run=dry_run,
                clock=clock or SystemClock(),
            )
        except sqlite3.Error as error:
            raise spoken(error, purger.path, doing="purge") from error


class _Purger:
    """Works through the decisions, a page at a time."""

    def __init__(self, path: Path, chain: Chain, opened: ExitStack) -> None:
        self.path = path
        check_name(path)
        if not look_over(path, write=False):
            raise LedgerError(f"there is no ledger {path}", attempt="check the name after --ledger")
        self._turn = Turn(path)
        opened.callback(self._turn.close)
        self._connection = connect(path, write=True)
        opened.callback(self._connection.close)
        self._query("PRAGMA secure_delete = ON")  # what is deleted is overwritten with zeros
        check_key(self._query("SELECT name, value FROM meta"), chain, path)
        self._linker = Linker(self._connection, chain)
        self._heads: Heads | None = None
        self._query("PRAGMA busy_timeout = 10000")

    def run(
        self,
        what: Purge,
        fields: Sequence[Field],
        subject: tuple[Field, str] | None,
        *,
        actor: str,
        dry_run: bool,
        clock: Clock,
    ) -> Purged:
        """Find what is to go, and let it go."""
        did: Literal["delete", "redact"] = "redact" if fields else "delete"
        name = decision_id_at(clock.now())
        told: dict[str, Any] = {
            "purge": name,
            "did": did,
            "before": None if what.before is None else what.before.astimezone(UTC).isoformat(),
            "subject": None if subject is None else subject[0].name,
            "fields": [field.name for field in fields],
        }
        decisions = labels = 0
        for ids in self._matches(what.before, subject):
            if dry_run:
                counts = self._counts(ids, fields)
            else:
                at = clock.now()
                with self._turn:
                    counts = self._part(ids, fields, told, actor=actor, at=at)
            decisions += counts[0]
            labels += counts[1]
        emptied = None if dry_run else self._empty_log()
        return Purged(
            did=did,
            decisions=decisions,
            labels=labels,
            is_dry_run=dry_run,
            log_emptied=emptied,
        )

    def _matches(
        self, before: datetime | None, subject: tuple[Field, str] | None
    ) -> Iterator[list[int]]:
        """Go through the rows of the decisions that are meant, some at a time."""
        where, values = "", []
        if before is not None:
            where, values = " AND at_us < ?", [micros(before)]
        sql = f"SELECT * FROM decisions WHERE row_id > ?{where} ORDER BY row_id LIMIT ?"  # noqa: S608  fixed parts
        after = 0
        while rows := self._query(sql, after, *values, _PAGE):
            after = rows[-1][0]
            ids = [row[0] for row in rows if subject is None or holds(row, *subject)]
            if ids:
                yield ids

    def _counts(self, ids: Sequence[int], fields: Sequence[Field]) -> tuple[int, int]:
        decisions, labels = self._rows(ids)
        if not fields:
            return len(decisions), len(labels)
        return (
            sum(without(DECISIONS, row, fields) is not None for row in decisions),
            sum(without(LABELS, row, fields) is not None for row in labels),
        )

    def _part(
        self,
        ids: Sequence[int],
        fields: Sequence[Field],
        told: dict[str, Any],
        *,
        actor: str,
        at: datetime,
    ) -> tuple[int, int]:
        """Purge some decisions and their labels in one transaction."""
        self._query("BEGIN IMMEDIATE")
        try:
            if self._heads is None:
                heads = self._linker.heads()
            else:
                heads = self._linker.later(self._heads, count_rows=True)
            event = heads.rows[EVENTS.name] + 1
            counts = {"decisions": 0, "labels": 0}
            decisions, labels = self._rows(ids)
            for table, rows in ((DECISIONS, decisions), (LABELS, labels)):
                take = self._redact if fields else self._delete
                counts[table.name] = take(table, rows, fields, event)
            if not any(counts.values()):
                self._query("ROLLBACK")
                return 0, 0
            digest = digest_of(
                self._query(
                    "SELECT of, row_id, leaf FROM deleted WHERE event_row = ? ORDER BY of, row_id",
                    event,
                ),
                self._query(
                    "SELECT of, row_id, part, was, now FROM redacted WHERE event_row = ? "
                    "ORDER BY of, row_id, part",
                    event,
                ),
            )
            record = Event(
                event_id=decision_id_at(at),
                at=at,
                kind=PURGED,
                actor=actor,
                body={**told, **counts, "digest": digest},
            )
            heads = self._linker.insert(EVENTS, [event_row(record)], heads)
            self._query("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise
        self._heads = heads
        return counts["decisions"], counts["labels"]

    def _rows(self, ids: Sequence[int]) -> tuple[list[Row], list[Row]]:
        """Read decisions and their labels as they are now."""
        marks = ", ".join("?" * len(ids))
        decisions = self._query(f"SELECT * FROM decisions WHERE row_id IN ({marks})", *ids)  # noqa: S608  marks only
        names = [row[1] for row in decisions]
        marks = ", ".join("?" * len(names))
        labels = self._query(
            f"SELECT * FROM labels WHERE decision_id IN ({marks}) ORDER BY row_id",  # noqa: S608  marks only
            *names,
        )
        return decisions, labels

    def _delete(self, table: Table, rows: Sequence[Row], _: Sequence[Field], event: int) -> int:
        """Take whole rows; their leaves stay for the chain."""
        for row in rows:
            before = self._query(
                "SELECT part, was FROM redacted WHERE of = ? AND row_id = ? "
                "ORDER BY part, event_row DESC",
                table.name,
                row[0],
            )
            made = leaf(table, row, dict(before))  # the first commitment of a part comes last
            self._query("INSERT INTO deleted VALUES (?, ?, ?, ?)", table.name, row[0], made, event)
            self._query(f"DELETE FROM {table.name} WHERE row_id = ?", row[0])  # noqa: S608  own names
        return len(rows)

    def _redact(
        self, table: Table, rows: Sequence[Row], fields: Sequence[Field], event: int
    ) -> int:
        """Take fields; the commitments of what they were part of stay for the chain."""
        taken = 0
        for row in rows:
            changed = without(table, row, fields)
            if changed is None:
                continue
            taken += 1
            columns, parts = changed
            salt = bytearray(row[-1])
            for part in parts:  # without its salt a commitment says nothing about what it was
                salt[part * SALT_BYTES : (part + 1) * SALT_BYTES] = os.urandom(SALT_BYTES)
            names = ", ".join(f"{name} = ?" for name in (*columns, "salt"))
            self._query(
                f"UPDATE {table.name} SET {names} WHERE row_id = ?",  # noqa: S608  own names
                *columns.values(),
                bytes(salt),
                row[0],
            )
            after = self._query(f"SELECT * FROM {table.name} WHERE row_id = ?", row[0])[0]  # noqa: S608  own names
            was, now = commitments(table, row), commitments(table, after)
            for part in sorted(parts):
                self._query(
                    "INSERT INTO redacted VALUES (?, ?, ?, ?, ?, ?)",
                    *(table.name, row[0], part, event, was[part], now[part]),
                )
        return taken

    def _empty_log(self) -> bool:
        """Move the log into the file and cut it to nothing: it holds what the file held before."""
        give_up = time.monotonic() + _EMPTYING_S
        while True:
            if self._query("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0:
                return True
            if time.monotonic() > give_up:
                return False
            time.sleep(0.05)

    def _query(self, sql: str, *values: object) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()
