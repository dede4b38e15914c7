"""Profiles are read from Parquet and CSV, or refused with the column, row and mend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feasible.errors import DataError
from feasible.planning import read_profile, write_profile

CSV = """\
row_id,tier,loss,score,latency_ms,cost_usd,label,slice:risky
a,dear,0,0.9,80,0.01,x,true
a,cheap,1,0.4,1,0.0001,x,true
b,dear,0,0.8,90,0.01,y,false
b,cheap,,0.7,1,0.0001,y,false
"""


def read(tmp_path: Path, text: str) -> object:
    """Read a profile from CSV text."""
    path = tmp_path / "p.csv"
    path.write_bytes(text.encode("latin-1"))
    return read_profile(path)


def test_a_profile_is_read_cheapest_tier_first(tmp_path: Path) -> None:
    """Unknown losses stay unknown, and slices become membership."""
    path = tmp_path / "p.csv"
    path.write_text(CSV, encoding="utf-8")

    found = read_profile(path)

    assert found.tiers == ("cheap", "dear")
    assert found.loss[0].tolist() == [1.0, 0.0]
    assert np.isnan(found.loss[1, 0])
    assert found.slices["risky"].tolist() == [True, False]


def test_what_is_written_reads_back_equal(tmp_path: Path) -> None:
    """Parquet keeps every number."""
    path = tmp_path / "p.csv"
    path.write_text(CSV, encoding="utf-8")
    first = read_profile(path)

    write_profile(first, tmp_path / "p.parquet")
    again = read_profile(tmp_path / "p.parquet")

    assert again.tiers == first.tiers
    np.testing.assert_array_equal(again.loss, first.loss)
    np.testing.assert_array_equal(again.cost_usd, first.cost_usd)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CSV.replace("latency_ms", "latncy_ms"), "unknown column 'latncy_ms'"),
        (CSV.replace("tier,", "feature:x,"), "no column `tier`"),
        (CSV + "b,cheap,0,0.7,1,0.0001,y,false\n", "stands 2 times"),
        (CSV.replace(",80,", ",fast,"), "is not numbers"),
        ("row_id,tier,loss\n", "has no rows"),
        (CSV.replace("a,dear", "\xe9,dear"), "UTF-8"),
    ],
)
def test_a_broken_profile_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """The error says which column or row it is."""
    with pytest.raises(DataError, match=reason):
        read(tmp_path, text)


def test_a_missing_profile_is_refused(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(DataError, match="no profile at"):
        read_profile(tmp_path / "none.parquet")
