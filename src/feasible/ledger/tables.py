"""The tables of a SQLite ledger, and how a record becomes a row and a row a record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec

from feasible.errors import DataError, LedgerDamaged, LedgerError
from feasible.ledger.decision_id import micros, moment
from feasible.schema import Decision, Event, Label

__all__ = [
    "APPLICATION_ID",
    "DECISIONS",
    "EVENTS",
    "FORMAT",
    "LABELS",
    "META",
    "SCHEMA",
    "TABLES",
    "Row",
    "Table",
    "decision_of",
    "decision_row",
    "event_of",
    "event_row",
    "label_of",
    "label_row",
    "time_of",
]

APPLICATION_ID: Final = 0x4653424C
"""`FSBL`: how a file says that it is a ledger."""
FORMAT: Final = 2
"""Version of the tables below; a newer one is refused."""

Row: TypeAlias = tuple[Any, ...]
"""The columns of one row in the order of its table, `row_id` first and its salts last."""

# Columns are what queries ask for; `answer`, `request` and `body` hold the record as JSON, and are
# what is read back. The first two stand apart so that one can be redacted and the others still be
# proved. `salt` is random: without it nobody can guess what a commitment was made of.
# `decision_id` and `at_us` rise with `row_id`, so that their indexes grow at the end only.
SCHEMA: Final = (
    """CREATE TABLE decisions (
  row_id INTEGER PRIMARY KEY,
  decision_id TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  plan TEXT NOT NULL,
  tier TEXT NOT NULL,
  cost_nusd INTEGER,
  latency_us INTEGER NOT NULL,
  handed_off INTEGER NOT NULL,
  fell_back TEXT,
  slices TEXT NOT NULL,
  idempotency_key TEXT,
  answer BLOB NOT NULL,
  request BLOB NOT NULL,
  body BLOB NOT NULL,
  salt BLOB NOT NULL
)""",
    "CREATE UNIQUE INDEX decisions_by_id ON decisions (decision_id)",
    """CREATE UNIQUE INDEX decisions_by_key ON decisions (idempotency_key)
WHERE idempotency_key IS NOT NULL""",
    "CREATE INDEX decisions_by_time ON decisions (at_us)",
    """CREATE TABLE labels (
  row_id INTEGER PRIMARY KEY,
  decision_id TEXT NOT NULL,
  source TEXT NOT NULL,
  selection TEXT NOT NULL,
  known_at_us INTEGER NOT NULL,
  received_at_us INTEGER NOT NULL,
  label_id TEXT,
  reviewer TEXT,
  body BLOB NOT NULL,
  salt BLOB NOT NULL
)""",
    "CREATE INDEX labels_by_decision ON labels (decision_id)",
    "CREATE UNIQUE INDEX labels_by_label_id ON labels (label_id) WHERE label_id IS NOT NULL",
    """CREATE TABLE events (
  row_id INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  kind TEXT NOT NULL,
  actor TEXT NOT NULL,
  body BLOB NOT NULL
)""",
    "CREATE UNIQUE INDEX events_by_id ON events (event_id)",
    """CREATE TABLE batches (
  seq INTEGER PRIMARY KEY,
  of TEXT NOT NULL,
  first_row INTEGER NOT NULL,
  last_row INTEGER NOT NULL,
  prev_hash TEXT NOT NULL,
  hash TEXT NOT NULL
)""",
    # What stands in for rows, and for parts of rows, that were purged; `event_row` says by what.
    """CREATE TABLE deleted (
  of TEXT NOT NULL,
  row_id INTEGER NOT NULL,
  leaf BLOB NOT NULL,
  event_row INTEGER NOT NULL,
  PRIMARY KEY (of, row_id)
) WITHOUT ROWID""",
    "CREATE INDEX deleted_by_event ON deleted (event_row)",
    """CREATE TABLE redacted (
  of TEXT NOT NULL,
  row_id INTEGER NOT NULL,
  part INTEGER NOT NULL,
  event_row INTEGER NOT NULL,
  was BLOB NOT NULL,
  now BLOB NOT NULL,
  PRIMARY KEY (of, row_id, part, event_row)
) WITHOUT ROWID""",
    "CREATE INDEX redacted_by_event ON redacted (event_row)",
)
"""Statements that make the tables of an empty ledger, beside `META`."""
META: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)


@dataclass(frozen=True, slots=True)
class Table:
    """One table whose rows are chained.

    Attributes:
        name: As in SQL.
        columns: Number of columns.
        parts: Number of parts of a row that can be redacted, each with a salt of its own.
        id_column: Column of the record's own id, where it has one that nothing else has.
    """

    name: str
    columns: int
    parts: int = 0
    id_column: str | None = None

    def insert(self, rows: int) -> str:
        """Give the statement that inserts so many rows at once.

        One statement a batch, not one a row: every statement gives up Python's interpreter lock,
        and beside a busy event loop getting it back can take as long as the switch interval.
        """
        marks = f"({', '.join('?' * self.columns)})"
        return f"INSERT INTO {self.name} VALUES {', '.join([marks] * rows)}"  # noqa: S608  no user text


DECISIONS: Final = Table("decisions", 15, parts=3, id_column="decision_id")
LABELS: Final = Table("labels", 10, parts=1)
EVENTS: Final = Table("events", 6, id_column="event_id")
TABLES: Final = {table.name: table for table in (DECISIONS, LABELS, EVENTS)}

_DECISION: Final = msgspec.json.Decoder(Decision)
_ENCODE: Final = msgspec.json.Encoder().encode
_NOT_JSON: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What reading or writing JSON raises for what is none: a set, a cycle, a number too large."""


def decision_row(decision: Decision) -> Row:
    """Give the columns of a decision; its `row_id` and its salts are not known yet and left out.

    Raises:
        LedgerError: It could not be read back, its time has no zone, or a number is too large.
    """
    try:
        answer, request = _ENCODE(decision.answer), _ENCODE(decision.request)
        body = _ENCODE(msgspec.structs.replace(decision, answer=None, request=None))
        # What is in a ledger stays in it, and has to stay readable.
        _DECISION.decode(_joined(answer, request, body))
        row = (
            decision.decision_id,
            micros(decision.at),
            decision.plan,
            decision.tier,
            _in_64_bits(decision.cost_nusd),
            _in_64_bits(round(decision.latency_ms * 1000)),
            int(decision.handed_off),
            decision.fell_back,
            _ENCODE(decision.slices).decode(),
            decision.idempotency_key,
            answer,
            request,
            body,
        )
    except _NOT_JSON as error:
        raise LedgerError(
            f"decision {decision.decision_id} cannot be written",
            found=str(error),
            attempt="answers and requests are JSON values, and `at` is an aware time",
        ) from error
    return row


def decision_of(row: Row) -> Decision:
    """Read a decision back from its answer, its request and its body, in this order.

    Raises:
        LedgerDamaged: It is not one.
    """
    try:
        return _DECISION.decode(_joined(*row))
    except _NOT_JSON as error:
        raise _not_a_record("decision", error) from error


def _joined(answer: bytes, request: bytes, body: bytes) -> bytes:
    """Give the whole record: of a name that stands there twice, the last one counts."""
    return b"".join((body[:-1], b',"answer":', answer, b',"request":', request, b"}"))


def label_row(label: Label, *, received_at: datetime) -> Row:
    """Give the columns of a label; its `row_id` and its salt are not known yet and left out.

    Raises:
        DataError: It could not be read back, or its time has no zone.
    """
    try:
        row = (
            label.decision_id,
            label.source,
            label.selection,
            micros(label.known_at),
            micros(received_at),
            label.label_id,
            label.reviewer,
            _ENCODE(label.value),
        )
        _label((0, *row, b""))
    except _NOT_JSON as error:
        raise DataError(
            f"the label of decision {label.decision_id} cannot be written",
            found=str(error),
            attempt="a value is JSON, and `known_at` a time with its zone: 2026-11-23T12:00:00Z",
        ) from error
    return row


def label_of(row: Row) -> Label:
    """Read a label back from its columns, `row_id` first.

    Raises:
        LedgerDamaged: It is not one.
    """
    try:
        return _label(row)
    except _NOT_JSON as error:
        raise _not_a_record("label", error) from error


def event_row(event: Event) -> Row:
    """Give the columns of an event; its `row_id` is not known yet and is left out.

    Raises:
        LedgerError: It could not be read back, or its time has no zone.
    """
    try:
        row = (event.event_id, micros(event.at), event.kind, event.actor, _ENCODE(event.body))
        _event((0, *row))
    except _NOT_JSON as error:
        raise LedgerError(
            f"event {event.event_id} cannot be written",
            found=str(error),
            attempt="its body is a JSON object, and `at` an aware time",
        ) from error
    return row


def event_of(row: Row) -> Event:
    """Read an event back from its columns, `row_id` first.

    Raises:
        LedgerDamaged: It is not one.
    """
    try:
        return _event(row)
    except _NOT_JSON as error:
        raise _not_a_record("event", error) from error


def time_of(since_epoch_us: Any) -> datetime:
    """Read a time back from its column.

    Raises:
        LedgerDamaged: It is not one.
    """
    try:
        return moment(since_epoch_us)
    except _NOT_JSON as error:
        raise _not_a_record("time", error) from error


def _label(row: Row) -> Label:
    _, decision_id, source, selection, known_at_us, _, label_id, reviewer, body, _ = row
    return msgspec.convert(
        {
            "decision_id": decision_id,
            "value": msgspec.json.decode(body),
            "source": source,
            "known_at": moment(known_at_us),
            "selection": selection,
            "label_id": label_id,
            "reviewer": reviewer,
        },
        Label,
    )


def _event(row: Row) -> Event:
    _, event_id, at_us, kind, actor, body = row
    return msgspec.convert(
        {
            "event_id": event_id,
            "at": moment(at_us),
            "kind": kind,
            "actor": actor,
            "body": msgspec.json.decode(body),
        },
        Event,
    )


def _in_64_bits(number: int | None) -> int | None:
    if number is not None and not -(2**63) <= number < 2**63:
        raise ValueError(f"{number} does not fit into 64 bits")
    return number


def _not_a_record(what: str, error: Exception) -> LedgerDamaged:
    return LedgerDamaged(
        f"a row of the ledger is not a {what}",
        found=str(error),
        attempt="feasible ledger verify names the rows that were changed",
    )
