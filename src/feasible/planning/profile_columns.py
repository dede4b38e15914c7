"""The columns of a profile's file as arrays: checked once, and faults named by their line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feasible.errors import DataError
from feasible.schema import BoolArray, FloatArray, IntArray

__all__ = [
    "Column",
    "Lines",
    "codes_of",
    "flags_of",
    "line_flags_of",
    "numbers_of",
    "per_row",
    "row_numbers_of",
    "seconds_of",
    "tiers_marked",
    "words_of",
]

_Scalar = TypeVar("_Scalar", np.float64, np.int64, np.bool_)
_US: Final = 1e6
_UNKNOWN: Final = pa.array(["", "NA", "N/A", "NULL", "null"])
"""What programs write into a CSV file where a number is unknown."""
_UNITS: Final = {"cost_usd": "dollars", "latency_ms": "ms"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file, which may not be there.

    Attributes:
        table: All columns.
        name: Its name.
        path: The file, for errors.
    """

    table: pa.Table
    name: str
    path: Path

    @property
    def is_there(self) -> bool:
        """Claim that the file has it."""
        return self.name in self.table.column_names

    @property
    def values(self) -> pa.ChunkedArray:
        """Give what it holds, line by line; categories are spelt out."""
        found = self.table[self.name]
        if pa.types.is_dictionary(found.type):
            return pc.cast(found, found.type.value_type)
        return found

    def where(self, line: int) -> str:
        """Give `file:line` as an editor counts: from 1, the header and line breaks in values too.

        Args:
            line: Position in the table.
        """
        if not self.path.name.lower().endswith((".csv", ".csv.gz")):
            return f"{self.path.name}:{line + 1}"
        before = self.table.slice(0, line)
        breaks = (pc.sum(pc.count_substring(column, "\n")).as_py() for column in before.columns)
        return f"{self.path.name}:{line + 2 + sum(count or 0 for count in breaks)}"


@dataclass(frozen=True, slots=True)
class Lines:
    """Which row and tier each line is about.

    Attributes:
        row: shape (n_lines,).
        tier: shape (n_lines,).
        row_ids: shape (n_rows,).
        tiers: shape (n_tiers,). In the order in which the file names them.
    """

    row: IntArray
    tier: IntArray
    row_ids: tuple[str, ...]
    tiers: tuple[str, ...]

    @property
    def cell(self) -> IntArray:
        """Give each line's place in rows x tiers, row by row."""
        return self.row * len(self.tiers) + self.tier

    def row_id(self, line: int) -> str:
        """Give the row that a line is about."""
        return self.row_ids[int(self.row[line])]

    def grid(self, values: npt.NDArray[_Scalar], *, missing: Any) -> npt.NDArray[_Scalar]:
        """Lay values of lines out as shape (n_rows, n_tiers)."""
        out = np.full(len(self.row_ids) * len(self.tiers), missing, dtype=values.dtype)
        out[self.cell] = values
        return out.reshape(len(self.row_ids), len(self.tiers))

    def first(self, known: BoolArray) -> IntArray:
        """Give, per row, the first line that knows something; -1 where none does."""
        out = np.full(len(self.row_ids), -1, dtype=np.int64)
        at = np.flatnonzero(known)[::-1]
        out[self.row[at]] = at  # of repeated places the last one written, the first line, stays
        return out


def codes_of(column: Column) -> tuple[tuple[str, ...], IntArray]:
    """Number the values of a column in order of appearance, as text; null is -1."""
    encoded = pc.dictionary_encode(_text(column)).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # what older versions give
        encoded = encoded.chunk(0)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return tuple(encoded.dictionary.to_pylist()), codes.astype(np.int64)


def numbers_of(column: Column, lines: Lines, *, low: float, high: float) -> FloatArray:
    """Give a column of finite numbers, line by line; NaN where it is empty.

    Raises:
        DataError: A value is no number, not finite or out of range.
    """
    values = column.values
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        is_unknown = pc.is_in(values, value_set=_UNKNOWN.cast(values.type))
        values = pc.if_else(is_unknown, pa.scalar(None, values.type), values)
    try:
        cast = pc.cast(values, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        wanted = f"column `{column.name}` of {column.path.name} is not numbers"
        raise _not(column, lines, wanted, pa.float64()) from error
    numbers = np.asarray(cast.to_numpy(), dtype=np.float64)
    # An empty place is unknown; NaN that somebody wrote is a sum that went wrong.
    is_given = np.asarray(pc.is_valid(cast).to_numpy(), dtype=np.bool_)
    bad = (numbers < low) | (numbers > high) | np.isinf(numbers) | (np.isnan(numbers) & is_given)
    if bad.any():
        line = int(np.argmax(bad))
        least = "" if math.isinf(low) else f"at least {low:g}"
        most = "" if math.isinf(high) else f" and at most {high:g}"
        raise DataError(
            f"{column.name} of tier `{lines.tiers[lines.tier[line]]}` for row "
            f"{lines.row_id(line)!r} is {numbers[line]:g}",
            asked=f"{least}{most} {_UNITS.get(column.name, '')}".strip() or "a finite number",
            found=f"{int(bad.sum()):,} such values",
            attempt="leave unknown values empty: unknown is not 0",
            where=column.where(line),
        )
    return numbers


def row_numbers_of(column: Column, lines: Lines, *, low: float, high: float) -> FloatArray | None:
    """Give one number a row, NaN where unknown; None when there is no such column.

    Raises:
        DataError: A value is no number or out of range, or two lines of a row contradict each
            other.
    """
    if not column.is_there:
        return None
    values = numbers_of(column, lines, low=low, high=high)
    known = ~np.isnan(values)
    first = lines.first(known)
    found, codes = np.unique(values, return_inverse=True)
    names = tuple(f"{value:g}" for value in found.tolist())
    _check_same(column, lines, codes.astype(np.int64), known, first, names)
    return np.where(first >= 0, values[first], np.nan)


def flags_of(column: Column, lines: Lines) -> BoolArray:
    """Give a column of true and false, one a row; empty is false.

    Raises:
        DataError: A value is neither, or two lines of a row contradict each other.
    """
    values, known = line_flags_of(column, lines)
    first = lines.first(known)
    _check_same(column, lines, values.astype(np.int64), known, first, ("false", "true"))
    return (first >= 0) & values[first]


def tiers_marked(column: Column, lines: Lines) -> frozenset[str]:
    """Give the tiers for which some line of a column of true and false is true."""
    if not column.is_there:
        return frozenset()
    marked, _ = line_flags_of(column, lines)
    return frozenset(lines.tiers[i] for i in np.unique(lines.tier[marked]))


def per_row(column: Column, lines: Lines) -> tuple[str | None, ...] | None:
    """Give one text a row, from the first line that has one; None when there is no such column.

    Raises:
        DataError: Two lines of a row contradict each other.
    """
    if not column.is_there:
        return None
    names, codes = codes_of(column)
    known = codes >= 0
    first = lines.first(known)
    _check_same(column, lines, codes, known, first, names)
    chosen = np.where(first >= 0, codes[first], -1)
    return tuple(None if code < 0 else names[code] for code in chosen.tolist())


def words_of(column: Column, lines: Lines) -> tuple[str, ...] | None:
    """Give one text a row, empty where nobody wrote one; lines of a row may differ."""
    if not column.is_there:
        return None
    text = _text(column)
    first = lines.first(np.asarray(pc.is_valid(text).to_numpy(), dtype=np.bool_))
    chosen = text.take(pa.array(first, mask=first < 0))
    return tuple(pc.fill_null(chosen, "").to_pylist())


def seconds_of(column: Column, lines: Lines) -> FloatArray | None:
    """Give times as seconds since 1970 UTC, one a row; NaN where unknown.

    Lines of a row may differ, as calls to several tiers do: the first one stands.

    Raises:
        DataError: A value is no time.
    """
    if not column.is_there:
        return None
    seconds = _seconds(column, lines)
    first = lines.first(~np.isnan(seconds))
    return np.where(first >= 0, seconds[first], np.nan)


def line_flags_of(column: Column, lines: Lines) -> tuple[BoolArray, BoolArray]:
    """Give a column of true and false line by line, and where it is known.

    Raises:
        DataError: A value is neither.
    """
    try:
        cast = pc.cast(column.values, pa.bool_())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        wanted = f"column `{column.name}` is not true or false"
        raise _not(column, lines, wanted, pa.bool_()) from error
    values = np.asarray(pc.fill_null(cast, False).to_numpy(), dtype=np.bool_)
    return values, np.asarray(pc.is_valid(cast).to_numpy(), dtype=np.bool_)


_TIMES: Final = tuple(
    pa.timestamp(unit, tz=zone) for unit in ("us", "ns") for zone in ("UTC", None)
)
"""How a time may be written: with a zone or without, to the microsecond or finer."""


def _seconds(column: Column, lines: Lines) -> FloatArray:
    values = column.values
    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan)
    if not pa.types.is_temporal(values.type) and _converts(values, pa.float64()):
        return np.asarray(pc.cast(values, pa.float64()).to_numpy(), dtype=np.float64)
    for kind in _TIMES:
        if _converts(values, kind):
            fine = pc.cast(
                pc.cast(values, kind, safe=False), pa.timestamp("us", tz=kind.tz), safe=False
            )
            micro = pc.cast(pc.cast(fine, pa.int64()), pa.float64())
            return np.asarray(micro.to_numpy(), dtype=np.float64) / _US
    raise _not(column, lines, f"column `{column.name}` of {column.path.name} is not times", *_TIMES)


def _text(column: Column) -> pa.ChunkedArray:
    values = column.values
    try:
        if pa.types.is_floating(values.type):
            # What pandas makes of whole numbers beside an empty cell: 1.0 is row 1.
            whole = pc.cast(values, pa.int64(), safe=False)
            if pc.all(pc.equal(pc.cast(whole, values.type), values)).as_py():
                values = whole
        text = pc.cast(values, pa.string())
        if pa.types.is_string(values.type):
            text.validate(full=True)  # Parquet may claim UTF-8 where there is none
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"column `{column.name}` of {column.path.name} is not text",
            asked="UTF-8 text or numbers",
            found=str(error).splitlines()[0],
            attempt="write it as text",
        ) from error
    return text


def _check_same(
    column: Column,
    lines: Lines,
    codes: IntArray,
    known: BoolArray,
    first: IntArray,
    names: tuple[str, ...],
) -> None:
    """Refuse a row about which two lines say different things."""
    differs = known & (codes != codes[first[lines.row]])
    if not differs.any():
        return
    line = int(np.argmax(differs))
    before = int(first[lines.row[line]])
    raise DataError(
        f"`{column.name}` of row {lines.row_id(line)!r} is {names[codes[line]]!r} here and "
        f"{names[codes[before]]!r} at {column.where(before)}",
        asked=f"one `{column.name}` per row",
        found=f"{len(np.unique(lines.row[differs])):,} rows that contradict themselves",
        attempt="give every line of a row the same value, or leave it empty in all but one",
        where=column.where(line),
    )


def _not(column: Column, lines: Lines, headline: str, *kinds: pa.DataType) -> DataError:
    """Name the first value that a column may not have; only an error pays for this search."""
    values = column.values
    asked = "seconds since 1970, or times such as 2026-01-31T12:00:00Z" if kinds == _TIMES else None
    for line, value in enumerate(values):
        text = value.as_py()
        is_unknown = text is None or (kinds == (pa.float64(),) and text in _UNKNOWN.to_pylist())
        if not is_unknown and not any(_converts(pa.array([text]), kind) for kind in kinds):
            return DataError(
                headline,
                asked=asked,
                found=f"{text!r} for row {lines.row_id(line)!r}",
                attempt="leave unknown values empty",
                where=column.where(line),
            )
    found = f"a column of {values.type}, not all written the same way"
    return DataError(headline, asked=asked, found=found)


def _converts(values: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> bool:
    try:
        pc.cast(values, kind, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True
