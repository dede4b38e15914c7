"""Labels as a file: CSV with a header, or one JSON object a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from feasible.errors import DataError, nearest
from feasible.schema import Label, LabelSelection, LabelSource

__all__ = ["read_labels"]

_NEEDED: Final = ("decision_id", "value", "source", "known_at")
_KNOWN: Final = (*_NEEDED, "selection", "label_id", "reviewer")
_SOURCES: Final[tuple[str, ...]] = get_args(LabelSource)
_SELECTIONS: Final[tuple[str, ...]] = get_args(LabelSelection)

_Row = tuple[int, Mapping[str, Any]]
"""Number of the line on which a label begins, and its fields."""


def read_labels(path: Path) -> list[Label]:
    """Read all labels of a file, or none: the first fault refuses the whole file.

    A file whose first character is `{` is read as JSON lines, any other as CSV. In CSV every value
    is text and an empty field is an absent one. `known_at` is an ISO time with its zone; it is
    given back in UTC.

    A time in the future is no fault here: a file that was written by a simulation or on a machine
    whose clock is ahead reads the same at any hour. Whoever judges by labels leaves out those that
    are not known yet (`HeadroomTracker` does, and says how many).

    Raises:
        DataError: The file cannot be read, is empty or is not UTF-8; a column is missing, unknown
            or there twice; a field is empty, of the wrong type or not one of its valid values; a
            time has no zone; one `label_id` stands for two different labels.
    """
    text = _text(path)
    body = text.lstrip()
    if not body:
        raise DataError("there is no label in it", found="an empty file", where=str(path))
    if body[0] == "[":
        raise DataError(
            "labels are one JSON object a line, not a list",
            found="a file that begins with [",
            attempt="write every label on a line of its own, without the brackets",
            where=f"{path}:1",
        )
    rows = _json_rows(path, text) if body[0] == "{" else _csv_rows(path, text)
    out: list[Label] = []
    by_id: dict[str, tuple[int, Label]] = {}
    for number, fields in rows:
        label = _label(f"{path}:{number}", fields)
        if label.label_id is not None:
            earlier, same = by_id.setdefault(label.label_id, (number, label))
            if same != label:
                raise DataError(
                    f"`label_id` {label.label_id!r} stands for two different labels",
                    found=f"the other one is on line {earlier}",
                    attempt="give a new verdict an id of its own",
                    where=f"{path}:{number}",
                )
        out.append(label)
    if not out:
        raise DataError("there is no label in it", found="a header alone", where=str(path))
    return out


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(
            "the labels cannot be read",
            asked="a CSV file with a header, or JSON lines",
            found=error.strerror or str(error),
            attempt="check the name of the file and who may read it",
            where=str(path),
        ) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The decoder counts from behind a byte order mark, which has no line end in it.
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(
            "a labels file is UTF-8 text",
            found=f"byte 0x{error.object[error.start]:02x}, which is not",
            attempt="save the file as UTF-8",
            where=f"{path}:{line}",
        ) from error


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
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


def _json_rows(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
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
    return Label(
        decision_id=_needed(where, fields, "decision_id"),
        value=value,
        source=_one_of(where, "source", _needed(where, fields, "source"), _SOURCES),
        known_at=_time(where, _needed(where, fields, "known_at")),
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
