"""Profiles as files: Parquet or CSV, one line per row and tier."""

from __future__ import annotations

import os
from dataclasses import dataclass
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
    numbers_of,
    per_row,
    seconds_of,
    words_of,
)
from feasible.planning.profile_table import read_table
from feasible.schema import BoolArray, FloatArray, IntArray, Profile

__all__ = ["ProfileFile", "read_profile", "read_profile_file", "write_profile"]

_MOST_TIERS: Final = 200
_SLICE: Final = "slice:"


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """What a file held.

    Attributes:
        profile: The rows.
        not_asked: Tier -> rows for which the file has no line of it; they count as abstentions of
            unknown cost and latency. Tiers that were asked everywhere are not here.
        unused: Columns that were accepted and that nothing looks at (`feature:NAME`).
    """

    profile: Profile
    not_asked: dict[str, int]
    unused: tuple[str, ...]


def read_profile(path: Path) -> Profile:
    """Read a profile; tiers are put in the order of their mean cost, unknown cost last.

    Raises:
        DataError: See `read_profile_file`.
    """
    return read_profile_file(path).profile


def read_profile_file(path: Path) -> ProfileFile:
    """Read a profile and say what the file left out.

    A line is what one tier did with one row: `row_id, tier, loss` and, when known, `answer, score,
    latency_ms, cost_usd, simulated`; per row `label, time, entity, text, split` (train or test),
    boolean `slice:NAME` and free `feature:NAME`. Without `loss`, an answer is right when it is the
    label. Where there is an `answer` column, an empty answer is an abstention. A time without a
    zone is UTC; a number is seconds since 1970.

    Args:
        path: `.parquet` (or `.pq`), `.csv` or `.csv.gz`.

    Raises:
        DataError: The file is missing, damaged, empty or too large; a column is missing or unknown;
            a row and tier stand twice; a value is impossible; two lines of a row contradict each
            other.
    """
    table = read_table(path)
    lines, row_ids, names = _lines(table, path)
    label = per_row(Column(table, "label", path), lines)
    classes, given = _answers(table, path, lines)
    asked = lines.grid(np.ones(len(lines.cell), dtype=np.bool_), missing=False)
    answered = asked if given is None else given >= 0
    given = np.full(asked.shape, -1, dtype=np.int64) if given is None else given
    loss = _loss(table, path, lines, label, classes, given)
    cost = _grid(Column(table, "cost_usd", path), lines, low=0.0)
    latency = _grid(Column(table, "latency_ms", path), lines, low=0.0)
    order = _cheapest_first(cost, latency)
    profile = Profile(
        row_ids=row_ids,
        tiers=tuple(names[i] for i in order),
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
        text=words_of(Column(table, "text", path), lines, may_differ=True),
        simulated=_simulated(Column(table, "simulated", path), lines, names),
    )
    gaps = (~asked).sum(axis=0)
    return ProfileFile(
        profile=profile,
        not_asked={names[i]: int(gaps[i]) for i in order if gaps[i]},
        unused=tuple(name for name in table.column_names if name.startswith("feature:")),
    )


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile, one line per row and tier; a reader sees the old file or the new one.

    People are written as abstaining: whoever plans from the file names them in the brief.

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


def _lines(table: pa.Table, path: Path) -> tuple[Lines, tuple[str, ...], tuple[str, ...]]:
    """Find out which cell of rows x tiers each line fills."""
    row_ids, row = codes_of(Column(table, "row_id", path))
    names, tier = codes_of(Column(table, "tier", path))
    for name, codes in (("row_id", row), ("tier", tier)):
        if (codes < 0).any():
            line = int(np.argmax(codes < 0))
            raise DataError(
                f"`{name}` is empty in line {line + 1:,} of {path.name}",
                found=f"{int((codes < 0).sum()):,} such lines",
                attempt="every line names its row and its tier",
            )
    if len(names) > _MOST_TIERS:
        raise DataError(
            f"{path.name} has {len(names):,} tiers",
            asked=f"at most {_MOST_TIERS}",
            found=f"`tier` is {', '.join(repr(name) for name in names[:3])}, ...",
            attempt="`tier` names what answered; what it answered belongs in `answer`",
        )
    lines = Lines(row, tier, len(row_ids), len(names), row_ids)
    _check_twice(lines, names, path)
    return lines, row_ids, names


def _check_twice(lines: Lines, names: tuple[str, ...], path: Path) -> None:
    count = np.bincount(lines.cell, minlength=lines.n_rows * lines.n_tiers)
    if count.max(initial=0) > 1:
        twice = int(np.argmax(count > 1))
        row, tier = divmod(twice, lines.n_tiers)
        raise DataError(
            f"row {lines.row_ids[row]!r} stands {int(count[twice])} times for tier {names[tier]!r}",
            asked="one line per row and tier",
            found=f"{int((count[count > 1] - 1).sum()):,} lines too many in {path.name}",
            attempt="remove the repeated lines, or number repeated requests apart",
        )


def _grid(
    column: Column, lines: Lines, *, low: float = -np.inf, high: float = np.inf
) -> FloatArray:
    """Give a column of numbers as rows x tiers, unknown where nothing stands."""
    if not column.is_there:
        return np.full((lines.n_rows, lines.n_tiers), np.nan)
    return lines.grid(numbers_of(column, lines, low=low, high=high), missing=np.nan)


def _answers(table: pa.Table, path: Path, lines: Lines) -> tuple[tuple[str, ...], IntArray | None]:
    """Give the answer values and, per cell, which one was given; None without answers."""
    column = Column(table, "answer", path)
    if not column.is_there:
        return (), None
    classes, codes = codes_of(column)
    return classes, lines.grid(codes, missing=-1)


def _loss(
    table: pa.Table,
    path: Path,
    lines: Lines,
    label: tuple[str | None, ...] | None,
    classes: tuple[str, ...],
    given: IntArray,
) -> FloatArray:
    """Give the losses of the file, or 0 where the answer is the label and 1 where it is not."""
    column = Column(table, "loss", path)
    if column.is_there or label is None:
        return _grid(column, lines, low=0.0, high=1.0)
    known = {value for value in label if value is not None}
    if len(known) < 2:  # noqa: PLR2004  two classes
        raise DataError(
            f"every labelled row of {path.name} has the same label, {next(iter(known), None)!r}"
            if known
            else f"no row of {path.name} has a label",
            asked="answers to be compared with labels of at least two classes",
            attempt="add rows of the other classes, or give `loss`",
        )
    number = {value: index for index, value in enumerate(classes)}
    truth = np.array([-2 if v is None else number.get(v, -3) for v in label])
    loss = np.where(given == truth[:, None], 0.0, 1.0)
    loss[truth == -2] = np.nan  # noqa: PLR2004  no label
    return loss


def _is_test(column: Column, lines: Lines) -> BoolArray | None:
    split = per_row(column, lines)
    if split is None:
        return None
    for row_id, value in zip(lines.row_ids, split, strict=True):
        if value not in {"train", "test"}:
            raise DataError(
                f"`split` of row {row_id!r} is {'empty' if value is None else repr(value)}",
                asked="train or test for every row",
                attempt="test rows certify, all others are train; or leave the column out",
            )
    return np.array([value == "test" for value in split], dtype=np.bool_)


def _simulated(column: Column, lines: Lines, names: tuple[str, ...]) -> frozenset[str]:
    if not column.is_there:
        return frozenset()
    marked = flags_of(column, lines, per_line=True)
    return frozenset(names[i] for i in np.unique(lines.tier[marked]))


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
    has_answers = bool((profile.answer_class >= 0).any())
    # Without answers an abstention cannot be written; leaving its line out reads back as one.
    kept = np.flatnonzero(profile.answered.reshape(-1) | has_answers)
    row = pa.array(kept // max(k, 1))

    def each(values: pa.Array) -> pa.Array:
        return values.take(row)

    def flat(values: FloatArray) -> pa.Array:
        return pa.array(values.reshape(-1)[kept], from_pandas=True)

    columns = {
        "row_id": each(pa.array(profile.row_ids, type=pa.string())),
        "tier": pa.array(profile.tiers, type=pa.string()).take(pa.array(kept % max(k, 1))),
        "loss": flat(profile.loss),
    }
    if has_answers:
        index = profile.answer_class.reshape(-1)[kept]
        columns["answer"] = pa.array(profile.classes, type=pa.string()).take(
            pa.array(index, mask=index < 0)
        )
    for name in ("score", "latency_ms", "cost_usd"):
        values: FloatArray = getattr(profile, name)
        if not np.isnan(values).all():
            columns[name] = flat(values)
    if profile.simulated:
        made_up = np.array([name in profile.simulated for name in profile.tiers], dtype=np.bool_)
        columns["simulated"] = pa.array(made_up[kept % k])
    for name in ("label", "entity", "text"):
        words = getattr(profile, name)
        if words is not None:
            columns[name] = each(pa.array(words, type=pa.string()))
    if profile.time_s is not None:
        columns["time"] = each(pa.array(profile.time_s, from_pandas=True))
    if profile.is_test is not None:
        split = pa.array(["train", "test"]).take(pa.array(profile.is_test.astype(np.int8)))
        columns["split"] = each(split)
    for name, member in profile.slices.items():
        columns[f"{_SLICE}{name}"] = each(pa.array(member))
    return pa.table(columns)
