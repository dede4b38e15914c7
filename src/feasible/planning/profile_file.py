"""Profiles as files: Parquet or CSV, one line per row and tier."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from feasible.errors import DataError, nearest
from feasible.schema import BoolArray, FloatArray, IntArray, Profile

__all__ = ["read_profile", "write_profile"]

_KNOWN: Final = (
    "row_id",
    "tier",
    "loss",
    "answer",
    "score",
    "latency_ms",
    "cost_usd",
    "label",
    "time",
    "entity",
    "text",
    "split",
)
_PREFIXES: Final = ("slice:", "feature:")


def read_profile(path: Path) -> Profile:
    """Read a profile; tiers are put in the order of their mean cost, unknown cost last.

    Raises:
        DataError: The file cannot be read, a column is missing or unknown, or a row and tier stand
            twice.
    """
    table = _table(path)
    _check_columns(table, path)
    row_ids, row = _codes(table["row_id"])
    names, tier = _codes(table["tier"])
    n, k = len(row_ids), len(names)
    cell = row * k + tier
    if len(np.unique(cell)) != len(cell):
        values, count = np.unique(cell, return_counts=True)
        twice = int(values[np.argmax(count)])
        raise DataError(
            f"row {row_ids[twice // k]!r} stands {int(count.max())} times "
            f"for tier {names[twice % k]!r}",
            asked="one line per row and tier",
            found=f"{len(cell) - len(values):,} lines too many in {path.name}",
            attempt="remove the duplicates",
        )

    def grid(name: str) -> FloatArray:
        out = np.full(n * k, np.nan)
        if name in table.column_names:
            out[cell] = _numbers(table, name, path)
        return out.reshape(n, k)

    loss, cost, latency = grid("loss"), grid("cost_usd"), grid("latency_ms")
    asked = np.zeros(n * k, dtype=np.bool_)
    asked[cell] = True
    answered = asked.reshape(n, k)
    classes: tuple[str, ...] = ()
    given = np.full((n, k), -1, dtype=np.int64)
    label = _per_row(table, "label", row, n)
    if "answer" in table.column_names:
        classes, codes = _codes(table["answer"])
        flat = np.full(n * k, -1, dtype=np.int64)
        flat[cell] = codes
        given = flat.reshape(n, k)
        answered = answered & (given >= 0)
        if "loss" not in table.column_names and label is not None:
            truth = np.array([classes.index(v) if v in classes else -2 for v in label])
            unknown = np.array([v is None for v in label])
            loss = np.where(given == truth[:, None], 0.0, 1.0)
            loss[unknown] = np.nan
    loss = np.where(answered, loss, np.nan)
    order = _cheapest_first(cost, latency)
    time = _per_row(table, "time", row, n)
    split = _per_row(table, "split", row, n)
    return Profile(
        row_ids=row_ids,
        tiers=tuple(names[i] for i in order),
        loss=loss[:, order],
        answered=answered[:, order],
        score=grid("score")[:, order],
        answer_class=given[:, order],
        classes=classes,
        latency_ms=latency[:, order],
        cost_usd=cost[:, order],
        slices={
            name.removeprefix("slice:"): _flag(table, name, row, n)
            for name in table.column_names
            if name.startswith("slice:")
        },
        label=label,
        is_test=None if split is None else np.array([value == "test" for value in split]),
        time_s=None if time is None else _seconds(time),
        entity=_strings(_per_row(table, "entity", row, n)),
        text=_strings(_per_row(table, "text", row, n)),
    )


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile as Parquet, one line per row and tier."""
    n, k = profile.loss.shape
    row = np.repeat(np.arange(n), k)

    def flat(values: FloatArray) -> pa.Array:
        return pa.array(values.reshape(-1), from_pandas=True)

    def each(values: Any) -> pa.Array:
        return pa.array([values[i] for i in row])

    columns = {
        "row_id": each(profile.row_ids),
        "tier": pa.array(list(profile.tiers) * n),
        "loss": flat(profile.loss),
        "score": flat(profile.score),
        "latency_ms": flat(profile.latency_ms),
        "cost_usd": flat(profile.cost_usd),
    }
    if profile.classes:
        given = profile.answer_class.reshape(-1)
        columns["answer"] = pa.array(
            [profile.classes[c] if c >= 0 else None for c in given], type=pa.string()
        )
    if profile.label is not None:
        columns["label"] = each(profile.label)
    if profile.text is not None:
        columns["text"] = each(profile.text)
    if profile.is_test is not None:
        columns["split"] = each(["test" if value else "train" for value in profile.is_test])
    for name, member in profile.slices.items():
        columns[f"slice:{name}"] = pa.array(member[row])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def _table(path: Path) -> pa.Table:
    try:
        found = pcsv.read_csv(path) if path.suffix.lower() == ".csv" else pq.read_table(path)
    except FileNotFoundError as error:
        raise DataError(f"no profile at {path}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} cannot be read as {'CSV' if path.suffix.lower() == '.csv' else 'Parquet'}",
            found=str(error).splitlines()[0],
        ) from error
    if not found.num_rows:
        raise DataError(f"{path} has no rows")
    return found


def _check_columns(table: pa.Table, path: Path) -> None:
    columns = table.column_names
    for name in columns:
        if name not in _KNOWN and not name.startswith(_PREFIXES):
            close = nearest(name, _KNOWN)
            raise DataError(
                f"unknown column {name!r} in {path.name}",
                found=f"known: {', '.join(_KNOWN)}, slice:NAME and feature:NAME",
                attempt=f"`{close}`?" if close else f"`feature:{name}`",
            )
    missing = [name for name in ("row_id", "tier") if name not in columns]
    if "loss" not in columns and not {"answer", "label"} <= set(columns):
        missing.append("loss")
    if missing:
        raise DataError(
            f"{path.name} has no column `{missing[0]}`",
            found=f"columns: {', '.join(columns)}",
            attempt="row_id, tier and loss (or answer and label) are the fewest",
        )


def _codes(column: pa.ChunkedArray) -> tuple[tuple[str, ...], IntArray]:
    """Number the values of a column in order of appearance; null is -1."""
    try:
        encoded = pc.dictionary_encode(pc.cast(column, pa.string())).combine_chunks()
    except pa.ArrowInvalid as error:
        raise DataError("a profile is UTF-8 text", found=str(error).splitlines()[0]) from error
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return tuple(encoded.dictionary.to_pylist()), codes.astype(np.int64)


def _numbers(table: pa.Table, name: str, path: Path) -> FloatArray:
    try:
        column = pc.cast(table[name], pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"column `{name}` of {path.name} is not numbers", found=str(error).splitlines()[0]
        ) from error
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _per_row(table: pa.Table, name: str, row: IntArray, n: int) -> tuple[Any, ...] | None:
    """Give one value a row, from the first line that has one."""
    if name not in table.column_names:
        return None
    out: list[Any] = [None] * n
    for i, value in zip(row.tolist(), table[name].to_pylist(), strict=True):
        if out[i] is None and value is not None:
            out[i] = str(value) if name == "label" else value
    return tuple(out)


def _flag(table: pa.Table, name: str, row: IntArray, n: int) -> BoolArray:
    out = np.zeros(n, dtype=np.bool_)
    try:
        values = pc.cast(table[name], pa.bool_()).fill_null(False).to_numpy()
    except pa.ArrowInvalid as error:
        raise DataError(f"column `{name}` is not true or false", found=str(error)) from error
    out[row[values.astype(np.bool_)]] = True
    return out


def _seconds(values: tuple[Any, ...]) -> FloatArray:
    return np.array(
        [value.timestamp() if hasattr(value, "timestamp") else np.nan for value in values]
    )


def _strings(values: tuple[Any, ...] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple("" if v is None else str(v) for v in values)


def _cheapest_first(cost: FloatArray, latency: FloatArray) -> IntArray:
    def mean(values: FloatArray) -> list[float]:
        return [
            float(column[~np.isnan(column)].mean()) if (~np.isnan(column)).any() else np.inf
            for column in values.T
        ]

    keys = list(zip(mean(cost), mean(latency), strict=True))
    return np.array(sorted(range(len(keys)), key=lambda i: keys[i]), dtype=np.int64)
