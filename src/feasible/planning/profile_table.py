"""A profile's file as a table of columns that are known by name; nothing is interpreted yet."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from feasible.errors import DataError, nearest

__all__ = ["read_table"]

_MOST_BYTES: Final = 4 * 2**30
_MOST_LINES: Final = 50_000_000
_PREFIXES: Final = ("slice:", "feature:")
_KNOWN: Final = (
    "row_id",
    "tier",
    "loss",
    "answer",
    "answered",
    "score",
    "latency_ms",
    "cost_usd",
    "simulated",
    "label",
    "time",
    "entity",
    "text",
    "split",
    "propensity",
    "known_at",
)


def read_table(path: Path) -> pa.Table:
    """Read the columns of a profile. CSV columns come as text, so that "007" stays what it is.

    Raises:
        DataError: The file is missing, too large, damaged or empty, or a column is missing,
            unknown or there twice.
    """
    name = path.name.lower()
    if not path.is_file():
        raise DataError(
            f"no profile at {path}",
            found="a folder" if path.is_dir() else _beside(path),
            attempt="a file of one line per row and tier, .parquet or .csv",
        )
    _check_size(path.stat().st_size, "bytes", _MOST_BYTES, path)
    if name.endswith((".parquet", ".pq")):
        table = _parquet(path)
    elif name.endswith((".csv", ".csv.gz")):
        table = _csv(path)
    else:
        raise DataError(
            f"{path.name} says neither Parquet nor CSV",
            asked=f"a profile from {path}",
            attempt="give it the ending .parquet, .csv or .csv.gz",
        )
    _check_columns(table.column_names, path)
    if not table.num_rows:
        raise DataError(
            f"{path.name} has no rows",
            found="a header alone",
            attempt="write one line per row and tier",
        )
    return table


def _beside(path: Path) -> str | None:
    """Name the file beside it that was probably meant."""
    if not path.parent.is_dir():
        return None
    close = nearest(path.name, (other.name for other in path.parent.iterdir()))
    return None if close is None else f"{close} beside it"


def _check_size(found: int, unit: str, most: int, path: Path) -> None:
    if found > most:
        raise DataError(
            f"{path.name} is too large",
            asked=f"at most {most:,} {unit}",
            found=f"{found:,} {unit}",
            attempt="draw rows at random (whole rows, with all their tiers) until it fits",
        )


def _parquet(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            _check_size(file.metadata.num_rows, "lines", _MOST_LINES, path)
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, "Parquet", error) from error


def _csv(path: Path) -> pa.Table:
    try:
        parse = pcsv.ParseOptions(newlines_in_values=True)
        with pcsv.open_csv(path, parse_options=parse) as reader:
            names = reader.schema.names
        return pcsv.read_csv(
            path,
            parse_options=parse,
            convert_options=pcsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        line = _not_utf8(path)
        if line is not None:
            raise DataError(
                f"line {line:,} of {path.name} is not UTF-8",
                asked="UTF-8 text",
                attempt="save it again as UTF-8",
            ) from error
        raise _unreadable(path, "CSV", error) from error


def _not_utf8(path: Path) -> int | None:
    """Find the first line that is not UTF-8, counted from 1 as an editor does."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return number
    except (OSError, EOFError):
        return None
    return None


def _unreadable(path: Path, kind: str, error: Exception) -> DataError:
    said = str(error).splitlines()
    if path.stat().st_size == 0:
        return DataError(f"{path.name} is empty", attempt="write one line per row and tier")
    return DataError(
        f"{path} cannot be read as {kind}",
        found=said[0] if said else type(error).__name__,
        attempt=f"write it again, or name it after what it is if it is not {kind}",
    )


def _check_columns(columns: list[str], path: Path) -> None:
    for name in columns:
        if columns.count(name) > 1:
            raise DataError(
                f"column {name!r} stands {columns.count(name)} times in {path.name}",
                attempt="keep one of them",
            )
        if name in _KNOWN or (name.startswith(_PREFIXES) and not name.endswith(":")):
            continue
        close = nearest(name, [known for known in _KNOWN if known not in columns])
        raise DataError(
            f"unknown column {name!r} in {path.name}",
            found=f"known: {', '.join(_KNOWN)}, slice:NAME and feature:NAME",
            attempt=f"`{close}`?" if close else f"`feature:{name}`, or leave it out",
        )
    missing = [name for name in ("row_id", "tier") if name not in columns]
    if not {"loss", "answer", "cost_usd", "latency_ms"} & set(columns):
        missing.append("loss")
    if missing:
        raise DataError(
            f"{path.name} has no column `{missing[0]}`",
            found=f"columns: {', '.join(columns)}",
            attempt="row_id, tier and one of loss, answer, cost_usd and latency_ms are the fewest",
        )
