"""Labels as a file: CSV with a header, one JSON object a line, or Parquet."""

from __future__ import annotations

import csv
import math
from collections.abc import Generator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from feasible.errors import DataError, nearest
from feasible.schema import Label, LabelSelection, LabelSource

__all__ = ["read_labels", "stream_labels"]

_NEEDED: Final = ("decision_id", "value", "source", "known_at")
_KNOWN: Final = (*_NEEDED, "selection", "label_id", "reviewer")
_SOURCES: Final[tuple[str, ...]] = get_args(LabelSource)
_SELECTIONS: Final[tuple[str, ...]] = get_args(LabelSelection)

_PARQUET: Final = b"PAR1"
_PAGE: Final = 5000
_LONGEST: Final = 1_000_000
"""Characters of a line: a label with a long answer as its value has some thousands."""
_IDS: Final = 500_000
"""Ids that are compared within a file, some 100 MB; the ledger compares each with all it holds."""

_Row = tuple[int, Mapping[str, Any]]
"""Number of the line on which a label begins, and its fields."""


def read_labels(path: Path) -> list[Label]:
    """Read all labels of a file, or none: the first fault refuses the whole file.

    Raises:
        DataError: As `stream_labels`.
    """
    return list(stream_labels(path))


def stream_labels(path: Path) -> Generator[Label, None, None]:
    """Go through the labels of a file, with no more of it in memory than a page.

    A file that begins as Parquet does is read as Parquet; one whose first character is `{` as JSON
    lines, any other as CSV. In CSV every value is text and an empty field is an absent one.
    `known_at` is an ISO time with its zone, in Parquet also a timestamp with one; it is given back
    in UTC.

    A time in the future is no fault here: a file that was written by a simulation or on a machine
    whose clock is ahead reads the same at any hour. Whoever judges by labels leaves out those that
    are not known yet (`HeadroomTracker` does, and says how many).

    Raises:
        DataError: The file cannot be read, is empty or is not UTF-8; a column is missing, unknown
            or there twice; a field is empty, of the wrong type or not one of its valid values; a
            time has no zone; one `label_id` stands for two different labels.
    """
    by_id: dict[str, tuple[int, int]] = {}
    is_empty = True
    with closing(_rows(path)) as rows:
        for number, fields in rows:
            is_empty = False
            label = _label(f"{path}:{number}", fields)
            if label.label_id is not None and len(by_id) < _IDS:
                content = hash(msgspec.json.encode(label))
                earlier, same = by_id.setdefault(label.label_id, (number, content))
                if same != content:
                    raise DataError(
                        f"`label_id` {label.label_id!r} stands for two different labels",
                        found=f"the other one is on line {earlier}",
                        attempt="give a new verdict an id of its own",
                        where=f"{path}:{number}",
                    )
            yield label
    if is_empty:
        raise DataError("there is no label in it", found="a header alone", where=str(path))


def _rows(path: Path) -> Generator[_Row, None, None]:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise DataError(
                "labels come from a file, which is read more than once",
                found="a pipe, a terminal or a device",
                attempt="write the labels into a file first",
                where=str(path),
            )
        with path.open("rb") as file:
            is_parquet = file.read(4) == _PARQUET
        if is_parquet:
            with closing(_parquet_rows(path)) as rows:
                yield from rows
            return
        first = _first_character(path)
        if first == "[":
            raise DataError(
                "labels are one JSON object a line, not a list",
                found="a file that begins with [",
                attempt="write every label on a line of its own, without the brackets",
                where=f"{path}:1",
            )
        with closing(_json_rows(path) if first == "{" else _csv_rows(path)) as rows:
            yield from rows
    except OSError as error:
        raise DataError(
            "the labels cannot be read",
            asked="a CSV file with a header, JSON lines, or Parquet",
            found=error.strerror or str(error),
            attempt="check the name of the file and who may read it",
            where=str(path),
        ) from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error


def _not_utf8(path: Path, error: UnicodeDecodeError) -> DataError:
    """Find the line that is not UTF-8: the decoder counts within a block only."""
    where = 1
    found = error.object[error.start]
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as fault:
                where, found = number, line[fault.start]
                break
    return DataError(
        "a labels file is UTF-8 text",
        found=f"byte 0x{found:02x}, which is not",
        attempt="save the file as UTF-8",
        where=f"{path}:{where}",
    )


def _lines(path: Path, *, newline: str) -> Generator[str, None, None]:
    """Go through a text file line by line; a line without an end is refused, not gathered."""
    with path.open(encoding="utf-8-sig", newline=newline) as file:
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            if len(line) == _LONGEST and not line.endswith(("\n", "\r")):
                raise DataError(
                    "this line is too long for a label",
                    asked=f"fewer than {_LONGEST:,} characters",
                    where=f"{path}:{number}",
                )
            yield line


def _first_character(path: Path) -> str:
    for line in _lines(path, newline="\n"):
        if line.strip():
            return line.lstrip()[0]
    raise DataError("there is no label in it", found="an empty file", where=str(path))


def _parquet_rows(path: Path) -> Generator[_Row, None, None]:
    try:
        file = pq.ParquetFile(path)
        _check_columns(str(path), file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(batch_size=_PAGE):
            for fields in batch.to_pylist():
                number += 1
                yield number, {name: field for name, field in fields.items() if field is not None}
    except pa.ArrowException as error:
        raise DataError(
            "this file is not whole Parquet", found=str(error).splitlines()[0], where=str(path)
        ) from error


def _csv_rows(path: Path) -> Generator[_Row, None, None]:
    with closing(_lines(path, newline="")) as lines:
        reader = csv.reader(lines, strict=True)
        header: list[str] | None = None
        begins = 1
        try:
            for row in reader:
                number, begins = begins, reader.line_num + 1
                if not any(field.strip() for field in row):
                    continue
                if header is None:
                    header = [name.strip() for name in row]
                    _check_columns(f"{path}:{number}", header)
                    continue
                if len(row) != len(header):
                    raise DataError(
                        f"{len(row)} fields in a table of {len(header)} columns",
                        asked=", ".join(header),
                        attempt="put a value that has a comma in it between double quotes",
                        where=f"{path}:{number}",
                    )
                filled = zip(header, (field.strip() for field in row), strict=True)
                yield number, {name: field for name, field in filled if field}
        except csv.Error as error:
            raise DataError(
                "this line is not CSV", found=str(error), where=f"{path}:{reader.line_num or 1}"
            ) from error


def _check_columns(where: str, header: list[str]) -> None:
    for i, name in enumerate(header):
        _check_name(where, name, what="column")
        if name in header[:i]:
            raise DataError(f"column `{name}` is there twice", where=where)
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise DataError(
            f"column `{missing[0]}` is missing",
            asked=f"columns {', '.join(_NEEDED)}",
            found=f"columns {', '.join(header)}",
            where=where,
        )


def _check_name(where: str, name: str, *, what: str) -> None:
    if name not in _KNOWN:
        close = nearest(name, _KNOWN)
        raise DataError(
            f"unknown {what} `{name}`",
            found=f"known: {', '.join(_KNOWN)}",
            attempt=f"did you mean `{close}`?" if close else f"leave out `{name}`",
            where=where,
        )


def _json_rows(path: Path) -> Generator[_Row, None, None]:
    with closing(_lines(path, newline="\n")) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                fields = msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                raise DataError("this line is not JSON", found=str(error), where=where) from error
            if not isinstance(fields, dict):
                raise DataError("a label is one JSON object", found=line.strip()[:60], where=where)
            for name in fields:
                _check_name(where, name, what="key")
            yield number, fields


def _label(where: str, fields: Mapping[str, Any]) -> Label:
    value = fields.get("value")
    if value is None:
        raise DataError(
            "`value` is missing" if "value" not in fields else "`value` is null",
            asked="the truth about the decision",
            attempt="leave the line out until the truth is known",
            where=where,
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(  # JSON has no word for it: the ledger would hold null
            "`value` is no number",
            asked="the truth about the decision",
            found=str(value),
            attempt="leave the line out until the truth is known",
            where=where,
        )
    return Label(
        decision_id=_needed(where, fields, "decision_id"),
        value=value,
        source=_one_of(where, "source", _needed(where, fields, "source"), _SOURCES),
        known_at=_known_at(where, fields),
        selection=_one_of(
            where, "selection", _word(where, fields, "selection") or "organic", _SELECTIONS
        ),
        label_id=_word(where, fields, "label_id"),
        reviewer=_word(where, fields, "reviewer"),
    )


def _needed(where: str, fields: Mapping[str, Any], name: str) -> str:
    found = _word(where, fields, name)
    if found is None:
        raise DataError(f"`{name}` is missing", asked=f"{', '.join(_NEEDED)}", where=where)
    return found


def _word(where: str, fields: Mapping[str, Any], name: str) -> str | None:
    found = fields.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or not found:
        kind = "an empty text" if found == "" else f"{found!r}"
        raise DataError(f"`{name}` is a text", found=kind, where=where)
    return found


def _one_of(where: str, name: str, found: str, valid: tuple[str, ...]) -> Any:
    if found not in valid:
        close = nearest(found, valid)
        raise DataError(
            f"`{name}` is one of {', '.join(valid)}",
            found=repr(found),
            attempt=f"did you mean `{close}`?" if close else None,
            where=where,
        )
    return found


def _known_at(where: str, fields: Mapping[str, Any]) -> datetime:
    found = fields.get("known_at")
    if isinstance(found, datetime):  # as Parquet keeps times
        return _time(where, found.isoformat())
    return _time(where, _needed(where, fields, "known_at"))


def _time(where: str, found: str) -> datetime:
    try:
        when = datetime.fromisoformat(found)
    except ValueError as error:
        raise DataError(
            "`known_at` is an ISO time with its zone",
            found=repr(found),
            attempt="2026-11-23T09:30:00Z",
            where=where,
        ) from error
    if when.tzinfo is None:
        raise DataError(
            "`known_at` has no zone: the hour it means is not known",
            found=repr(found),
            attempt=f"{when.isoformat()}Z for UTC, or {when.isoformat()}+02:00",
            where=where,
        )
    try:
        return when.astimezone(UTC)
    except OverflowError as error:
        raise DataError("`known_at` is out of range", found=repr(found), where=where) from error
