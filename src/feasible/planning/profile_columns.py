"""The columns of a profile's file as arrays: checked once, and named by row when they are wrong."""

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
    "numbers_of",
    "per_row",
    "seconds_of",
    "words_of",
]

_Scalar = TypeVar("_Scalar", np.float64, np.int64, np.bool_)
_US: Final = 1e6


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


@dataclass(frozen=True, slots=True)
class Lines:
    """Which row and tier each line is about.

    Attributes:
        row: shape (n_lines,).
        tier: shape (n_lines,).
        n_rows: Rows.
        n_tiers: Tiers.
        row_ids: shape (n_rows,).
    """

    row: IntArray
    tier: IntArray
    n_rows: int
    n_tiers: int
    row_ids: tuple[str, ...]

    @property
    def cell(self) -> IntArray:
        """Give each line's place in rows x tiers, row by row."""
        return self.row * self.n_tiers + self.tier

    def grid(self, values: npt.NDArray[_Scalar], *, missing: Any) -> npt.NDArray[_Scalar]:
        """Lay values of lines out as shape (n_rows, n_tiers)."""
        out = np.full(self.n_rows * self.n_tiers, missing, dtype=values.dtype)
        out[self.cell] = values
        return out.reshape(self.n_rows, self.n_tiers)

    def first(self, known: BoolArray) -> IntArray:
        """Give, per row, the first line that knows something; -1 where none does."""
        out = np.full(self.n_rows, -1, dtype=np.int64)
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
    try:
        cast = pc.cast(column.values, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _not(column, lines, "a number", _is_number) from error
    values = np.asarray(cast.to_numpy(), dtype=np.float64)
    bad = (values < low) | (values > high) | np.isinf(values)
    if bad.any():
        line = int(np.argmax(bad))
        ends = f"from {low:g}" if not math.isinf(low) else "finite"
        raise DataError(
            f"`{column.name}` of row {lines.row_ids[lines.row[line]]!r} is {values[line]:g} "
            f"(line {line + 1:,} of {column.path.name})",
            asked=ends if math.isinf(high) else f"{ends} to {high:g}",
            found=f"{int(bad.sum()):,} such values",
            attempt="leave unknown values empty: unknown is not 0",
        )
    return values


def flags_of(column: Column, lines: Lines, *, per_line: bool = False) -> BoolArray:
    """Give a column of true and false per row, or per line; empty is false.

    Raises:
        DataError: A value is neither, or two lines of a row contradict each other.
    """
    try:
        cast = pc.cast(column.values, pa.bool_())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _not(column, lines, "true or false", _is_flag) from error
    known = np.asarray(pc.is_valid(cast).to_numpy(), dtype=np.bool_)
    values = np.asarray(pc.fill_null(cast, False).to_numpy(), dtype=np.bool_)
    if per_line:
        return values
    first = lines.first(known)
    _check_same(column, lines, values.astype(np.int64), known, first)
    out = np.zeros(lines.n_rows, dtype=np.bool_)
    out[first >= 0] = values[first[first >= 0]]
    return out


def per_row(
    column: Column, lines: Lines, *, may_differ: bool = False
) -> tuple[str | None, ...] | None:
    """Give one text a row, from the first line that has one; None when there is no such column.

    Raises:
        DataError: Two lines of a row contradict each other.
    """
    if not column.is_there:
        return None
    names, codes = codes_of(column)
    known = codes >= 0
    first = lines.first(known)
    if not may_differ:
        _check_same(column, lines, codes, known, first, names)
    chosen = np.where(first >= 0, codes[first], -1)
    return tuple(None if code < 0 else names[code] for code in chosen.tolist())


def words_of(column: Column, lines: Lines, *, may_differ: bool = False) -> tuple[str, ...] | None:
    """Give one text a row, empty where nobody wrote one."""
    values = per_row(column, lines, may_differ=may_differ)
    return None if values is None else tuple(value or "" for value in values)


def seconds_of(column: Column, lines: Lines) -> FloatArray | None:
    """Give times as seconds since 1970 UTC, one a row; NaN where unknown.

    Raises:
        DataError: A value is no time, or two lines of a row contradict each other.
    """
    if not column.is_there:
        return None
    seconds = _seconds(column, lines)
    known = ~np.isnan(seconds)
    first = lines.first(known)
    micro = (np.where(known, seconds, 0.0) * _US).round().astype(np.int64)
    _check_same(column, lines, micro, known, first)
    return np.where(first >= 0, seconds[first], np.nan)


def _seconds(column: Column, lines: Lines) -> FloatArray:
    values = column.values
    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan)
    for kind in (pa.float64(), pa.timestamp("us", tz="UTC"), pa.timestamp("us")):
        if kind == pa.float64() and pa.types.is_temporal(values.type):
            continue
        try:
            cast = pc.cast(values, kind, safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
        if kind == pa.float64():
            return np.asarray(cast.to_numpy(), dtype=np.float64)
        micro = pc.cast(pc.cast(cast, pa.int64()), pa.float64())
        return np.asarray(micro.to_numpy(), dtype=np.float64) / _US
    raise _not(column, lines, "a time such as 2026-03-01T14:00:00Z", _is_time)


def _text(column: Column) -> pa.ChunkedArray:
    values = column.values
    try:
        if pa.types.is_floating(values.type):
            # What pandas makes of whole numbers beside an empty cell: 1.0 is row 1.
            whole = pc.cast(values, pa.int64(), safe=False)
            if pc.all(pc.equal(pc.cast(whole, values.type), values)).as_py():
                values = whole
        text = pc.cast(values, pa.string())
        if not pa.types.is_string(values.type):
            return text
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
    names: tuple[str, ...] | None = None,
) -> None:
    """Refuse a row about which two lines say different things."""
    differs = known & (codes != codes[first[lines.row]])
    if not differs.any():
        return
    line = int(np.argmax(differs))
    before = int(first[lines.row[line]])
    said = [
        column.table[column.name][at].as_py() if names is None else names[codes[at]]
        for at in (before, line)
    ]
    raise DataError(
        f"`{column.name}` of row {lines.row_ids[lines.row[line]]!r} is {said[0]!r} in line "
        f"{before + 1:,} and {said[1]!r} in line {line + 1:,} of {column.path.name}",
        asked=f"one `{column.name}` per row",
        found=f"{len(np.unique(lines.row[differs])):,} rows that contradict themselves",
        attempt="give every line of a row the same value, or leave it empty in all but one",
    )


def _not(column: Column, lines: Lines, wanted: str, test: Any) -> DataError:
    """Name the first value that a column may not have; only an error pays for this search."""
    values = column.values
    for line, value in enumerate(values.to_pylist()):
        if value is not None and not test(value):
            return DataError(
                f"`{column.name}` of row {lines.row_ids[lines.row[line]]!r} is {value!r}, not "
                f"{wanted} (line {line + 1:,} of {column.path.name})",
                asked=wanted,
                attempt="leave unknown values empty",
            )
    return DataError(
        f"column `{column.name}` of {column.path.name} is not {wanted}", found=str(values.type)
    )


def _is_number(value: object) -> bool:
    return _converts(value, pa.float64())


def _is_flag(value: object) -> bool:
    return _converts(value, pa.bool_())


def _is_time(value: object) -> bool:
    return _converts(value, pa.timestamp("us")) or _converts(value, pa.timestamp("us", tz="UTC"))


def _converts(value: object, kind: pa.DataType) -> bool:
    try:
        pc.cast(pa.array([value]), kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True
