"""Laws of profiles as files: whatever a log holds, it is read as somebody would by hand."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feasible.planning import read_profile, write_profile
from feasible.schema import Profile

Line = dict[str, Any]

WORDS = st.one_of(st.none(), st.sampled_from(["a", "b,c", 'd "e"', "f\ng", "\u00e9", " "]))
RATIO = st.one_of(st.none(), st.floats(0, 1))
TIME = st.one_of(
    st.none(),
    st.integers(0, 10**12).map(lambda us: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(0, 0, us)),
)
OF_CELL = {
    "loss": RATIO,
    "answer": WORDS,
    "score": st.one_of(st.none(), st.floats(-1e6, 1e6)),
    "latency_ms": st.one_of(st.none(), st.floats(0, 1e6)),
    "cost_usd": RATIO,
}
OF_ROW = {
    "label": WORDS,
    "time": TIME,
    "entity": WORDS,
    "text": WORDS,
    "split": st.sampled_from(["train", "test"]),
    "slice:one": st.one_of(st.none(), st.booleans()),
    "feature:two": RATIO,
}
TYPES = {"time": pa.timestamp("us", tz="UTC"), "slice:one": pa.bool_()}
NUMBERS = ("loss", "score", "latency_ms", "cost_usd", "feature:two")


@st.composite
def logs(draw: st.DrawFn) -> list[Line]:
    """Draw the lines of a log: some columns, some cells, in any order."""
    columns = {"loss"} | draw(st.sets(st.sampled_from([*OF_CELL, *OF_ROW])))
    if {"answer", "label"} <= columns and draw(st.booleans()):
        columns -= {"loss"}
    lines = []
    for row in range(draw(st.integers(1, 5))):
        about = {name: draw(OF_ROW[name]) for name in OF_ROW if name in columns}
        for tier in draw(st.sets(st.sampled_from("rst"), min_size=1)):
            cell = {name: draw(OF_CELL[name]) for name in OF_CELL if name in columns}
            known = {name: value if draw(st.booleans()) else None for name, value in about.items()}
            lines.append({"row_id": f"0{row}", "tier": tier, **known, **cell})
    return draw(st.permutations(lines))


def table_of(lines: list[Line]) -> pa.Table:
    """Make the file's table."""
    return pa.table(
        {
            name: pa.array(
                [line[name] for line in lines],
                type=pa.float64() if name in NUMBERS else TYPES.get(name, pa.string()),
            )
            for name in lines[0]
        }
    )


def loss_of(line: Line, label: str | None) -> float:
    """Give how wrong one line is, by hand."""
    if "answer" in line and line["answer"] is None:
        return np.nan
    if "loss" in line:
        return np.nan if line["loss"] is None else line["loss"]
    return np.nan if label is None else float(line["answer"] != label)


def check(found: Profile, lines: list[Line]) -> None:
    """Compare a profile, cell by cell, with the lines that it was read from."""
    assert found.row_ids == tuple(dict.fromkeys(line["row_id"] for line in lines))
    assert set(found.tiers) == {line["tier"] for line in lines}
    by_cell = {(line["row_id"], line["tier"]): line for line in lines}
    for i, row_id in enumerate(found.row_ids):
        about: Line = {}
        for line in lines:
            if line["row_id"] == row_id:
                about.update({k: v for k, v in line.items() if about.get(k) is None})
        label = about.get("label")
        assert (found.label[i] if found.label else None) == label
        assert (found.entity[i] if found.entity else "") == (about.get("entity") or "")
        assert (found.text[i] if found.text else "") == (about.get("text") or "")
        assert bool(found.is_test[i] if found.is_test is not None else False) == (
            about.get("split") == "test"
        )
        assert bool(found.slices["one"][i] if found.slices else False) == bool(
            about.get("slice:one")
        )
        if found.time_s is not None:
            time = about["time"]
            assert found.time_s[i] == pytest.approx(
                np.nan if time is None else time.timestamp(), abs=1e-6, rel=0, nan_ok=True
            )
        for k, tier in enumerate(found.tiers):
            cell = by_cell.get((row_id, tier), {})
            assert found.answered[i, k] == (bool(cell) and cell.get("answer", "") is not None)
            expected = loss_of(cell, label) if cell else np.nan
            np.testing.assert_equal(found.loss[i, k], expected)
            for name in ("score", "latency_ms", "cost_usd"):
                value = cell.get(name)
                np.testing.assert_equal(
                    getattr(found, name)[i, k], np.nan if value is None else value
                )
            given_class = found.answer_class[i, k]
            said = found.classes[given_class] if given_class >= 0 else None
            assert said == cell.get("answer")


def answers_of(profile: Profile) -> Any:
    """Give every cell's answer as text."""
    return np.array([*profile.classes, None], dtype=object)[profile.answer_class]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(logs())
def test_a_log_is_read_as_somebody_would_by_hand(tmp_path: Path, lines: list[Line]) -> None:
    """Parquet and CSV give every cell and every row what its lines say, and nothing else."""
    table = table_of(lines)
    pq.write_table(table, tmp_path / "log.parquet")
    pcsv.write_csv(table, tmp_path / "log.csv")

    check(read_profile(tmp_path / "log.parquet"), lines)
    check(read_profile(tmp_path / "log.csv"), lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(logs())
def test_tiers_are_in_the_order_of_their_mean_cost(tmp_path: Path, lines: list[Line]) -> None:
    """Cheaper comes first, and a tier of unknown cost comes last."""
    pq.write_table(table_of(lines), tmp_path / "log.parquet")

    found = read_profile(tmp_path / "log.parquet")

    means = [
        float(np.mean(known)) if len(known := c[~np.isnan(c)]) else np.inf for c in found.cost_usd.T
    ]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(means))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(logs())
def test_what_is_written_reads_back_as_it_was(tmp_path: Path, lines: list[Line]) -> None:
    """Every cell and every row comes back, abstentions and what nobody knows included."""
    pq.write_table(table_of(lines), tmp_path / "log.parquet")
    first = read_profile(tmp_path / "log.parquet")

    for name in ("again.parquet", "again.csv"):
        write_profile(first, tmp_path / name)
        again = read_profile(tmp_path / name)

        assert again.row_ids == first.row_ids
        tiers = [first.tiers.index(tier) for tier in again.tiers]
        for cells in ("loss", "answered", "score", "latency_ms", "cost_usd"):
            np.testing.assert_array_equal(getattr(again, cells), getattr(first, cells)[:, tiers])
        np.testing.assert_array_equal(answers_of(again), answers_of(first)[:, tiers])
        assert (again.label, again.entity, again.text) == (first.label, first.entity, first.text)
        np.testing.assert_array_equal(again.slices.get("one"), first.slices.get("one"))
        np.testing.assert_array_equal(again.is_test, first.is_test)
        np.testing.assert_array_equal(again.time_s, first.time_s)
