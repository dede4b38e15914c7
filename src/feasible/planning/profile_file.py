"""Profiles as files: Parquet or CSV, one line per row and tier."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from feasible.errors import DataError
from feasible.planning.profile_columns import (
    Column,
    Lines,
    codes_of,
    flags_of,
    line_flags_of,
    numbers_of,
    per_row,
    row_numbers_of,
    seconds_of,
    tiers_marked,
    words_of,
)
from feasible.planning.profile_table import read_table
from feasible.schema import BoolArray, FloatArray, IntArray, Profile

__all__ = ["read_profile", "write_profile"]

_MOST_TIERS: Final = 200
_LEAST_CHANCE: Final = 1e-9
"""Smallest chance with which a label may have been asked for; a row that never is has none."""
_SLICE: Final = "slice:"
_SPLITS: Final = {"train", "val", "valid", "validation", "dev", "test", None}


def read_profile(path: Path) -> Profile:
    """Read a profile; tiers are put in the order of their mean cost, unknown cost last.

    A line is what one tier did with one row: `row_id, tier, loss` and, when known, `answer,
    answered, score, latency_ms, cost_usd, simulated`; per row `label, time, entity, text, split`
    (test rows certify, all others are for fitting), `propensity` (chance with which its label was
    asked for), `known_at` (when its label became known), boolean `slice:NAME` and free
    `feature:NAME`. Without `loss`, an answer is right when it is the label. Unless `answered` says
    otherwise, an empty `answer` is an abstention where there is such a column, and so is a line
    that is not there. A time without a zone is UTC; a number is seconds since 1970.

    Args:
        path: `.parquet` (or `.pq`), `.csv` or `.csv.gz`.

    Raises:
        DataError: The file is missing, damaged, empty or too large; a column is missing or unknown;
            a row and tier stand twice; a value is impossible; two lines of a row contradict each
            other.
    """
    table = read_table(path)
    lines = _lines(table, path)
    label = per_row(Column(table, "label", path), lines)
    classes, given = _answers(Column(table, "answer", path), lines)
    answered = _answered(Column(table, "answered", path), lines, given)
    loss = _loss(Column(table, "loss", path), lines, label, classes, given)
    cost = _grid(Column(table, "cost_usd", path), lines, low=0.0)
    latency = _grid(Column(table, "latency_ms", path), lines, low=0.0)
    order = _cheapest_first(cost, latency)
    return Profile(
        row_ids=lines.row_ids,
        tiers=tuple(lines.tiers[i] for i in order),
        loss=np.where(answered, loss, np.nan)[:, order],
        answered=answered[:, order],
        score=_grid(Column(table, "score", path), lines)[:, order],
        answer_class=given[:, order],
        classes=classes,
        latency_ms=latency[:, order],
        cost_usd=cost[:, order],
        slices={
            name.removeprefix(_SLICE): flags_of(Column(table, name, path), lines)
            for name in table.column_names
            if name.startswith(_SLICE)
        },
        label=label,
        is_test=_is_test(Column(table, "split", path), lines),
        time_s=seconds_of(Column(table, "time", path), lines),
        entity=words_of(Column(table, "entity", path), lines),
        text=words_of(Column(table, "text", path), lines),
        propensity=row_numbers_of(
            Column(table, "propensity", path), lines, low=_LEAST_CHANCE, high=1.0
        ),
        known_at=seconds_of(Column(table, "known_at", path), lines),
        simulated=tiers_marked(Column(table, "simulated", path), lines),
    )


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile, one line per row and tier; a reader sees the old file or the new one.

    Args:
        profile: What to write.
        path: `.parquet` (or `.pq`) or `.csv`.

    Raises:
        DataError: The name has another ending.
    """
    table = _table_of(profile)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    if path.suffix.lower() == ".csv":
        pcsv.write_csv(table, part)
    elif path.suffix.lower() in {".parquet", ".pq"}:
        pq.write_table(table, part, compression="zstd")
    else:
        raise DataError(
            f"{path.name} says neither Parquet nor CSV",
            asked=f"a profile written to {path}",
            attempt=f"{path.stem}.parquet or {path.stem}.csv",
        )
    part.replace(path)


def _lines(table: pa.Table, path: Path) -> Lines:
    """Find out which cell of rows x tiers each line fills."""
    row_id, named = Column(table, "row_id", path), Column(table, "tier", path)
    row_ids, row = codes_of(row_id)
    tiers, tier = codes_of(named)
    for column, codes in ((row_id, row), (named, tier)):
        if (codes < 0).any():
            raise DataError(
                f"`{column.name}` is empty",
                asked="every line names its row and its tier",
                found=f"{int((codes < 0).sum()):,} such lines",
                where=column.where(int(np.argmax(codes < 0))),
            )
    if len(tiers) > _MOST_TIERS:
        raise DataError(
            f"{path.name} has {len(tiers):,} tiers",
            asked=f"at most {_MOST_TIERS}",
            found=f"`tier` is {', '.join(repr(name) for name in tiers[:3])}, ...",
            attempt="`tier` names what answered; what it answered belongs in `answer`",
        )
    lines = Lines(row, tier, row_ids, tiers)
    _check_twice(row_id, lines)
    return lines


def _check_twice(column: Column, lines: Lines) -> None:
    cell = lines.cell
    count = np.bincount(cell, minlength=1)
    repeated = count[cell] > 1
    if repeated.any():
        first = int(np.argmax(repeated))
        again = np.flatnonzero(cell == cell[first])
        tier = lines.tiers[lines.tier[first]]
        raise DataError(
            f"row {lines.row_id(first)!r} stands {len(again)} times for tier {tier!r}",
            asked="one line per row and tier",
            found=f"{int((count[count > 1] - 1).sum()):,} lines too many in {column.path.name}",
            attempt="remove the repeated lines, or number repeated requests apart",
            where=column.where(int(again[1])),
        )


def _grid(
    column: Column, lines: Lines, *, low: float = -np.inf, high: float = np.inf
) -> FloatArray:
    """Give a column of numbers as rows x tiers, unknown where nothing stands."""
    if not column.is_there:
        return np.full((len(lines.row_ids), len(lines.tiers)), np.nan)
    return lines.grid(numbers_of(column, lines, low=low, high=high), missing=np.nan)


def _answers(column: Column, lines: Lines) -> tuple[tuple[str, ...], IntArray]:
    """Give the answer values and, per cell, which one was given; -1 where none is known."""
    if not column.is_there:
        return (), np.full((len(lines.row_ids), len(lines.tiers)), -1, dtype=np.int64)
    classes, codes = codes_of(column)
    return classes, lines.grid(codes, missing=-1)


def _answered(column: Column, lines: Lines, given: IntArray) -> BoolArray:
    """Say where a tier answered: as the file claims, else where an answer, or any line, stands."""
    if "answer" in column.table.column_names:
        likely = given >= 0
    else:
        likely = lines.grid(np.ones(len(lines.row), dtype=np.bool_), missing=False)
    if not column.is_there:
        return likely
    values, known = line_flags_of(column, lines)
    claimed = lines.grid(known, missing=False)
    return np.where(claimed, lines.grid(values, missing=False), likely)


def _loss(
    column: Column,
    lines: Lines,
    label: tuple[str | None, ...] | None,
    classes: tuple[str, ...],
    given: IntArray,
) -> FloatArray:
    """Give the losses of the file, or 0 where the answer is the label and 1 where it is not."""
    if column.is_there or label is None:
        return _grid(column, lines, low=0.0, high=1.0)
    number = {value: index for index, value in enumerate(classes)}
    truth = np.array([number.get(value, -2) if value is not None else -3 for value in label])
    loss = np.where(given == truth[:, None], 0.0, 1.0)
    loss[truth == -3] = np.nan  # noqa: PLR2004  no label
    return loss


def _is_test(column: Column, lines: Lines) -> BoolArray | None:
    split = per_row(column, lines)
    if split is None:
        return None
    for row_id, value in zip(lines.row_ids, split, strict=True):
        if value not in _SPLITS:
            raise DataError(
                f"`split` of row {row_id!r} is {value!r}",
                asked=f"one of {', '.join(sorted(name for name in _SPLITS if name))}, or nothing",
                attempt="test rows certify, all others are for fitting; or leave the column out",
            )
    return np.array([value == "test" for value in split], dtype=np.bool_)


def _cheapest_first(cost: FloatArray, latency: FloatArray) -> IntArray:
    """Order tiers by mean cost, ties by mean latency; unknown comes last."""

    def means(values: FloatArray) -> FloatArray:
        known = ~np.isnan(values)
        count = known.sum(axis=0)
        total = np.where(known, values, 0.0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.inf)

    # Sums of the same price in another order differ in the last bit, which is not a difference.
    return np.lexsort((means(latency), np.round(means(cost), 12)))


def _table_of(profile: Profile) -> pa.Table:
    """Lay a profile out as lines; columns that say nothing are left out."""
    n, k = profile.loss.shape
    names = pa.array(profile.tiers, type=pa.string())
    row, tier = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    columns = {
        "row_id": pa.array(profile.row_ids, type=pa.string()).take(pa.array(row)),
        "tier": names.take(pa.array(tier)),
        "loss": pa.array(profile.loss.reshape(-1), from_pandas=True),
    }
    known = profile.answer_class.reshape(-1) >= 0
    if known.any():
        index = pa.array(profile.answer_class.reshape(-1), mask=~known)
        columns["answer"] = pa.array(profile.classes, type=pa.string()).take(index)
    answered = profile.answered.reshape(-1)
    if not np.array_equal(answered, known if known.any() else np.ones(n * k, dtype=np.bool_)):
        columns["answered"] = pa.array(answered)
    for name in ("score", "latency_ms", "cost_usd"):
        values: FloatArray = getattr(profile, name)
        if not np.isnan(values).all():
            columns[name] = pa.array(values.reshape(-1), from_pandas=True)
    if profile.simulated:
        made_up = np.array([name in profile.simulated for name in profile.tiers], dtype=np.bool_)
        columns["simulated"] = pa.array(made_up[tier])
    for name, each in _row_columns(profile).items():
        columns[name] = each.take(pa.array(row))
    return pa.table(columns)


def _row_columns(profile: Profile) -> dict[str, pa.Array]:
    """Give what is known of each row, whatever tier it was asked."""
    columns = {
        name: pa.array(words, type=pa.string())
        for name in ("label", "entity", "text")
        if (words := getattr(profile, name)) is not None
    }
    if profile.time_s is not None:
        columns["time"] = pa.array(profile.time_s, from_pandas=True)
    if profile.known_at is not None:
        columns["known_at"] = pa.array(profile.known_at, from_pandas=True)
    if profile.propensity is not None:
        columns["propensity"] = pa.array(profile.propensity, from_pandas=True)
    if profile.is_test is not None:
        columns["split"] = pa.array(np.where(profile.is_test, "test", "train").tolist())
    for name, member in profile.slices.items():
        columns[f"{_SLICE}{name}"] = pa.array(member)
    return columns
