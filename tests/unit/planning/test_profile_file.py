"""Profiles are read from Parquet and CSV, or refused with the column, row and mend."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
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


def test_everything_that_a_profile_knows_survives_a_file(tmp_path: Path) -> None:
    """Time, entity, text, split, answers, abstentions and what is simulated are written too."""
    path = tmp_path / "p.csv"
    path.write_text(
        "row_id,tier,loss,answer,cost_usd,simulated,time,entity,text,split,label,slice:odd\n"
        'a,one,0,x,0.1,false,2026-03-01T14:00:00Z,e1,"two\nlines",train,x,true\n'
        "a,two,,,0.2,true,,,,,,\n"
        "b,one,1,y,0.1,,2026-03-01T15:00:00+01:00,e2,,test,x,\n",
        encoding="utf-8",
    )
    first = read_profile(path)

    for name in ("again.parquet", "again.csv"):
        write_profile(first, tmp_path / name)
        again = read_profile(tmp_path / name)

        assert again.time_s is not None
        assert again.is_test is not None
        assert again.time_s.tolist() == [1772373600.0, 1772373600.0]
        assert again.is_test.tolist() == [False, True]
        assert again.entity == ("e1", "e2")
        assert again.text == ("two\nlines", "")
        assert again.label == ("x", "x")
        assert again.simulated == {"two"}
        assert again.answered.tolist() == [[True, False], [True, False]]
        assert again.slices["odd"].tolist() == [True, False]
        np.testing.assert_array_equal(again.cost_usd, first.cost_usd)


def test_answers_are_compared_with_labels_when_there_is_no_loss(tmp_path: Path) -> None:
    """Right is 0, wrong is 1, and an unlabelled row is unknown."""
    path = tmp_path / "p.csv"
    path.write_text(
        "row_id,tier,answer,label\n1,m,x,x\n2,m,y,x\n3,m,x,\n4,m,,y\n", encoding="utf-8"
    )

    loss = read_profile(path).loss[:, 0]

    np.testing.assert_array_equal(loss, [0.0, 1.0, np.nan, np.nan])


def test_ids_are_read_as_they_are_written(tmp_path: Path) -> None:
    """Row 007 is not row 7."""
    path = tmp_path / "p.csv"
    path.write_text("row_id,tier,loss\n007,m,0\n7,m,1\n", encoding="utf-8")

    assert read_profile(path).row_ids == ("007", "7")


@pytest.mark.parametrize("word", ["", "NA", "N/A", "null"])
def test_a_number_that_nobody_knows_is_unknown(tmp_path: Path, word: str) -> None:
    """What programs write for an unknown number is neither 0 nor an error."""
    path = tmp_path / "p.csv"
    path.write_text(CSV.replace("0.4,1,0.0001", f"0.4,1,{word}"), encoding="utf-8")

    assert np.isnan(read_profile(path).cost_usd[0, 0])


def test_a_compressed_csv_is_read(tmp_path: Path) -> None:
    """A log that was compressed needs no unpacking."""
    path = tmp_path / "p.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode()))

    assert read_profile(path).tiers == ("cheap", "dear")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CSV.replace("latency_ms", "latncy_ms"), "unknown column 'latncy_ms'"),
        (CSV.replace("tier,", "feature:x,"), "no column `tier`"),
        (CSV + "b,cheap,0,0.7,1,0.0001,y,false\n", "p.csv:6: row 'b' stands 2 times"),
        (CSV.replace(",80,", ",fast,"), "p.csv:2: column `latency_ms` of p.csv is not numbers"),
        (CSV.replace(",80,", ",-80,"), "p.csv:2: latency_ms of tier `dear` for row 'a' is -80"),
        (CSV.replace("0.0001,y", "-1,y"), "p.csv:5: cost_usd of tier `cheap` for row 'b' is -1"),
        (CSV.replace("0.0001,y", "nan,y"), "p.csv:5: cost_usd of tier `cheap` for row 'b' is nan"),
        (CSV.replace("0.0001,y", "inf,y"), "p.csv:5: cost_usd of tier `cheap` for row 'b' is inf"),
        (CSV.replace("cheap,1", "cheap,1.5"), "p.csv:3: loss of tier `cheap` for row 'a' is 1.5"),
        (CSV.replace("x,true", "x,often", 1), "p.csv:2: column `slice:risky` is not true or false"),
        (CSV.replace("y,false", "z,false", 1), "p.csv:5: `label` of row 'b' is 'y' here and 'z'"),
        (CSV.replace("y,false", "y,true", 1), "p.csv:5: `slice:risky` of row 'b' is 'false' here"),
        (CSV.replace("b,cheap", ",cheap").replace("b,dear", '"b\n",dear'), "p.csv:6: .* is empty"),
        (CSV.replace("label", "time"), "p.csv:2: column `time` of p.csv is not times"),
        (CSV.replace("label", "split"), "`split` of row 'a' is 'x'"),
        (CSV.replace("label", "score"), "column 'score' stands 2 times"),
        ("row_id,tier,loss\n", "has no rows"),
        ("", "is empty"),
        (CSV.replace("a,dear", "\xe9,dear"), "line 2 of p.csv is not UTF-8"),
        (CSV + "c,dear\n", "cannot be read as CSV"),
    ],
)
def test_a_broken_profile_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """The error says which column or line it is."""
    with pytest.raises(DataError, match=reason):
        read(tmp_path, text)


def test_a_tier_that_is_an_answer_is_refused(tmp_path: Path) -> None:
    """Thousands of tiers are a column in the wrong place."""
    lines = "".join(f"{i},answer {i},0\n" for i in range(201))
    with pytest.raises(DataError, match="has 201 tiers"):
        read(tmp_path, "row_id,tier,loss\n" + lines)


def test_a_missing_profile_is_refused(tmp_path: Path) -> None:
    """The error names the path, and the file that was probably meant."""
    (tmp_path / "nine.parquet").touch()
    with pytest.raises(DataError, match=r"no profile at(?s:.*)nine.parquet beside it"):
        read_profile(tmp_path / "nin.parquet")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """The ending says what a file is, for reading and for writing."""
    (tmp_path / "p.xlsx").touch()
    with pytest.raises(DataError, match="neither Parquet nor CSV"):
        read_profile(tmp_path / "p.xlsx")
    (tmp_path / "p.csv").write_text(CSV, encoding="utf-8")
    with pytest.raises(DataError, match="neither Parquet nor CSV"):
        write_profile(read_profile(tmp_path / "p.csv"), tmp_path / "p.xlsx")
    (tmp_path / "p.parquet").write_text(CSV, encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_profile(tmp_path / "p.parquet")


def test_chances_and_times_of_labels_are_read_a_row(tmp_path: Path) -> None:
    """They come back as they were written, unknown where nothing stands."""
    path = tmp_path / "p.csv"
    path.write_text(
        "row_id,tier,loss,propensity,known_at\n"
        "r1,a,0,0.25,2026-01-02T00:00:00Z\nr1,b,1,0.25,\nr2,a,,,\n"
    )

    read = read_profile(path)
    write_profile(read, tmp_path / "again.parquet")
    again = read_profile(tmp_path / "again.parquet")

    for one in (read, again):
        assert one.propensity is not None
        assert one.known_at is not None
        assert one.propensity.tolist()[0] == 0.25
        assert np.isnan(one.propensity[1])
        assert one.known_at[0] == datetime(2026, 1, 2, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("second", "said"), [("0.5", "contradict"), ("0", "is 0"), ("2", "is 2")])
def test_chances_that_cannot_be_are_refused(tmp_path: Path, second: str, said: str) -> None:
    """Two chances for one row, none at all, and more than certainty."""
    path = tmp_path / "p.csv"
    path.write_text(f"row_id,tier,loss,propensity\nr1,a,0,0.25\nr1,b,1,{second}\n")

    with pytest.raises(DataError, match=said):
        read_profile(path)


def test_a_time_that_is_none_says_how_times_are_written(tmp_path: Path) -> None:
    """The error has what was asked, beside the value that was found."""
    path = tmp_path / "p.csv"
    path.write_text("row_id,tier,loss,known_at\n1,a,0,yesterday\n", encoding="utf-8")

    with pytest.raises(DataError) as refused:
        read_profile(path)

    assert refused.value.asked is not None
    assert "2026-01-31T12:00:00Z" in refused.value.asked
    assert refused.value.found == "'yesterday' for row '1'"
