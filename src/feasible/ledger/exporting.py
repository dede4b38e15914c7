"""The ledger as Parquet files, a part at a time, each row in exactly one of them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from feasible.errors import BadInput, LedgerDamaged, LedgerError
from feasible.ledger.sqlite import SqliteLedger
from feasible.ledger.tables import Row

__all__ = ["Exported", "Watermark", "export", "read_watermark"]

_PART: Final = 20_000
"""Rows of a part: some 20 MB of memory while it is written."""
_PAGE: Final = 1000
_NAME: Final = "watermark.json"
_LOCK: Final = ".export.lock"
_NOT_A_ROW: Final = (msgspec.MsgspecError, UnicodeDecodeError, TypeError, AttributeError)
"""What reading a row raises that was edited."""
_TIME: Final = pa.timestamp("us", tz="UTC")
_SCHEMAS: Final = {
    "decisions": pa.schema(
        [
            ("row_id", pa.int64()),
            ("decision_id", pa.string()),
            ("at", _TIME),
            ("plan", pa.string()),
            ("tier", pa.string()),
            ("cost_nusd", pa.int64()),
            ("latency_ms", pa.float64()),
            ("handed_off", pa.bool_()),
            ("fell_back", pa.string()),
            ("slices", pa.list_(pa.string())),
            ("idempotency_key", pa.string()),
            ("probability", pa.float64()),
            ("answer", pa.string()),
            ("request", pa.string()),
            ("path", pa.string()),
        ]
    ),
    "labels": pa.schema(
        [
            ("row_id", pa.int64()),
            ("decision_id", pa.string()),
            ("source", pa.string()),
            ("selection", pa.string()),
            ("known_at", _TIME),
            ("received_at", _TIME),
            ("label_id", pa.string()),
            ("reviewer", pa.string()),
            ("value", pa.string()),
        ]
    ),
    "events": pa.schema(
        [
            ("row_id", pa.int64()),
            ("event_id", pa.string()),
            ("at", _TIME),
            ("kind", pa.string()),
            ("actor", pa.string()),
            ("body", pa.string()),
        ]
    ),
}
"""Columns by table; `answer`, `request`, `path`, `value` and `body` are JSON."""


class _Body(msgspec.Struct):
    """What only the body of a decision holds."""

    probability: float | None
    path: msgspec.Raw


_BODY: Final = msgspec.json.Decoder(_Body)


class Watermark(msgspec.Struct, kw_only=True):
    """Up to where an export goes."""

    ledger: str | None = None
    """Hash of the first batch of the ledger, by which it is known again."""
    rows: dict[str, int] = {}
    """Last row of each table that is exported."""
    parts: dict[str, list[str]] = {}
    """Files of each table, in order; a file that is not listed here is not part of the export."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of an export wrote."""

    decisions: int
    labels: int
    events: int
    parts: int
    """Files written."""
    watermark: dict[str, int]
    """Last row of each table that is exported now."""

    def __str__(self) -> str:
        """Give it in a sentence."""
        return (
            f"exported {self.decisions:,} decisions, {self.labels:,} labels and {self.events:,} "
            f"events in {self.parts:,} new files"
        )


def export(ledger: SqliteLedger, folder: Path) -> Exported:
    """Write what is new since the last export into a folder; may run beside a live service.

    Each part is written whole, then the watermark, both so that a crash leaves either the old or
    the new one: a part that no watermark names is written again under the same name. For that there
    is one export into a folder at a time.

    Args:
        ledger: What is exported.
        folder: Where to; made when it is not there.

    Raises:
        BadInput: The folder holds the export of another ledger.
        LedgerDamaged: A row was edited.
        LedgerError: The folder cannot be written, or another export is writing it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LOCK).open("ab") as lock:
            return _export(ledger, folder, lock)
    except OSError as error:
        raise LedgerError(
            f"cannot write the export {folder}",
            found=f"{error.strerror or error}: {error.filename or folder}",
            attempt="check the folder's rights and the disk's free space, then export again: it "
            "goes on where it stopped",
        ) from error


def _export(ledger: SqliteLedger, folder: Path, lock: BinaryIO) -> Exported:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LedgerError(
            f"another export is writing {folder}",
            attempt="wait for it to end, or export into a folder of its own",
        ) from error
    mark = read_watermark(folder) or Watermark()
    first = ledger.first_hash()
    if mark.ledger not in {None, first}:
        raise BadInput(
            f"{folder} holds the export of another ledger",
            asked=f"the ledger {ledger.path}",
            attempt="export into a folder of its own",
        )
    mark.ledger = first
    done = dict.fromkeys(_SCHEMAS, 0)
    parts = 0
    for name in _SCHEMAS:
        after = mark.rows.get(name, 0)
        while rows := _read(ledger, name, after):
            file = f"{name}/{after + 1:012}.parquet"
            _write_part(folder / file, name, rows)
            after = rows[-1][0]
            mark.rows[name] = after
            mark.parts.setdefault(name, []).append(file)
            _write_whole(folder / _NAME, msgspec.json.format(msgspec.json.encode(mark)))
            done[name] += len(rows)
            parts += 1
    return Exported(**done, parts=parts, watermark=mark.rows)


def read_watermark(folder: Path) -> Watermark | None:
    """Give up to where an export goes; None when there is none in that folder.

    Raises:
        BadInput: The file is not a watermark.
    """
    path = folder / _NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Watermark)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"{path} is not the watermark of an export",
            found=str(error),
            attempt="export into another folder",
        ) from error


def _read(ledger: SqliteLedger, name: str, after: int) -> list[Row]:
    rows: list[Row] = []
    while len(rows) < _PART:
        page = ledger.page(name, after=after, most=min(_PAGE, _PART - len(rows)))
        if not page:
            break
        rows += page
        after = page[-1][0]
    return rows


def _write_part(path: Path, name: str, rows: Sequence[Row]) -> None:
    path.parent.mkdir(exist_ok=True)
    schema = _SCHEMAS[name]
    as_columns = _COLUMNS[name]
    try:
        values = [as_columns(row) for row in rows]
        arrays = [
            pa.array(column, type=field.type)
            for column, field in zip(zip(*values, strict=True), schema, strict=True)
        ]
    except (*_NOT_A_ROW, pa.ArrowException) as error:
        raise LedgerDamaged(
            f"a row of {name} cannot be read",
            found=str(error),
            attempt="feasible ledger verify names the rows that were changed",
        ) from error
    part = path.with_name(f".{path.name}.new")
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), part, compression="zstd")
    _put(part, path)


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.new")
    part.write_bytes(content)
    _put(part, path)


def _put(part: Path, path: Path) -> None:
    """Give a finished file its name so that it is there whole after a power failure too."""
    _flush(part)
    part.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _decision(row: Row) -> tuple[Any, ...]:
    body = _BODY.decode(row[13])
    return (
        *row[:6],
        row[6] / 1000,
        bool(row[7]),
        row[8],
        msgspec.json.decode(row[9]),
        row[10],
        body.probability,
        row[11].decode(),
        row[12].decode(),
        bytes(body.path).decode(),
    )


def _label(row: Row) -> tuple[Any, ...]:
    return (*row[:8], row[8].decode())


def _event(row: Row) -> tuple[Any, ...]:
    return (*row[:5], row[5].decode())


_COLUMNS: Final[dict[str, Callable[[Row], tuple[Any, ...]]]] = {
    "decisions": _decision,
    "labels": _label,
    "events": _event,
}
