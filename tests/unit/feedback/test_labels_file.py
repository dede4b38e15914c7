"""Labels as files: what is read, and how a fault is told with its place."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feasible.errors import DataError
from feasible.feedback import read_labels, stream_labels
from feasible.schema import Label

HEAD = "decision_id,value,source,known_at"
LINE = "d1,refund,human,2026-11-23T10:00:00+01:00"


def written(folder: Path, text: str | bytes, name: str = "labels.csv") -> Path:
    """Write a labels file."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    """Both forms give equal labels, with times in UTC and `organic` where nothing is said."""
    table = written(
        tmp_path, f"{HEAD},selection,label_id,reviewer\n{LINE},audit,l1,ann\n{LINE},,,\n"
    )
    lines = written(
        tmp_path,
        '{"decision_id": "d1", "value": "refund", "source": "human", "selection": "audit",'
        ' "known_at": "2026-11-23T09:00:00Z", "label_id": "l1", "reviewer": "ann"}\n\n'
        '{"decision_id":"d1","value":"refund","source":"human","known_at":"2026-11-23T09:00Z"}',
        "labels.jsonl",
    )

    first = Label(
        decision_id="d1",
        value="refund",
        source="human",
        known_at=datetime(2026, 11, 23, 9, tzinfo=UTC),
        selection="audit",
        label_id="l1",
        reviewer="ann",
    )
    second = Label(decision_id="d1", value="refund", source="human", known_at=first.known_at)
    assert read_labels(table) == [first, second]
    assert read_labels(lines) == [first, second]


def test_spreadsheets_are_read_as_they_write(tmp_path: Path) -> None:
    """A byte order mark, carriage returns, blank lines and quoted commas are no fault."""
    path = written(
        tmp_path,
        b"\xef\xbb\xbf"
        + f'{HEAD}\r\n\r\nd1,"refund, half\r\nof it",outcome,2026-11-23T10:00:00Z\r\n'.encode(),
    )
    assert [label.value for label in read_labels(path)] == ["refund, half\r\nof it"]


def test_json_values_keep_their_types(tmp_path: Path) -> None:
    """A label's value is any JSON value but null."""
    line = '{"decision_id":"d","value":%s,"source":"proxy","known_at":"2026-11-23T09:00Z"}\n'
    path = written(tmp_path, "".join(line % value for value in ("3", "true", '{"a": [1.5]}')))
    assert [label.value for label in read_labels(path)] == [3, True, {"a": [1.5]}]


def test_a_time_in_the_future_is_read(tmp_path: Path) -> None:
    """A file reads the same at any hour; the tracker is who waits."""
    path = written(tmp_path, f"{HEAD}\nd1,refund,human,2999-01-01T00:00:00Z\n")
    assert read_labels(path)[0].known_at.year == 2999


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "", "there is no label in it"),
        (" \n\n", "", "there is no label in it"),
        (f"{HEAD}\n", "", "there is no label in it"),
        (b"decision_id,value\nd1,caf\xe9\n", ":2", "UTF-8"),
        (f"{HEAD},seletion\n{LINE},audit\n", ":1", "did you mean `selection`?"),
        ("decision_id,value,source\nd1,a,human\n", ":1", "column `known_at` is missing"),
        (f"{HEAD},value\n{LINE},b\n", ":1", "column `value` is there twice"),
        (f"{HEAD}\n{LINE}\nd2,b,human\n", ":3", "3 fields in a table of 4 columns"),
        (f"{HEAD}\n{LINE},more\n", ":2", "5 fields in a table of 4 columns"),
        (f"{HEAD}\nd1,,human,2026-11-23T10:00Z\n", ":2", "`value` is missing"),
        (f"{HEAD}\n,a,human,2026-11-23T10:00Z\n", ":2", "`decision_id` is missing"),
        (f"{HEAD}\nd1,a,humen,2026-11-23T10:00Z\n", ":2", "did you mean `human`?"),
        (f"{HEAD},selection\n{LINE},audited\n", ":2", "did you mean `audit`?"),
        (f"{HEAD}\nd1,a,human,2026-11-23T10:00:00\n", ":2", "`known_at` has no zone"),
        (f"{HEAD}\nd1,a,human,yesterday\n", ":2", "ISO time"),
        (f"{HEAD}\nd1,a,human,0001-01-01T00:00:00+14:00\n", ":2", "out of range"),
        (f'{HEAD}\nd1,"a\nb",human,2026-11-23T10:00Z\nd2,a\n', ":4", "2 fields"),
        (f'{HEAD}\nd1,"a,human,2026-11-23T10:00Z\n', ":2", "not CSV"),
        ('[{"decision_id": "d1"}]', ":1", "not a list"),
        ('{"decision_id": "d1"}\n{oops}', ":1", "`value` is missing"),
        ('{"decision_id": "d1", "value": NaN}', ":1", "not JSON"),
        ('{"decision_id": "d1", "value": null}', ":1", "`value` is null"),
        ('{"decision_id": 7, "value": 1}', ":1", "`decision_id` is a text"),
        ('{"decision": "d1", "value": 1}', ":1", "did you mean `decision_id`?"),
    ],
)
def test_a_fault_is_told_with_its_line(
    tmp_path: Path, text: str | bytes, place: str, words: str
) -> None:
    """The first fault refuses the whole file and says where it is and what to try."""
    path = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_labels(path)
    assert str(caught.value).startswith(f"{path}{place}: ")
    assert words in str(caught.value)


def test_an_id_that_stands_for_two_labels_is_refused(tmp_path: Path) -> None:
    """The same id twice is the same label, or a fault."""
    line = "d1,%s,human,2026-11-23T10:00Z,l1"
    same = written(tmp_path, "\n".join([f"{HEAD},label_id", line % "a", line % "a"]))
    assert len(read_labels(same)) == 2

    path = written(tmp_path, "\n".join([f"{HEAD},label_id", line % "a", line % "b"]))
    with pytest.raises(DataError, match=r"labels\.csv:3: `label_id` 'l1' stands for two"):
        read_labels(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """What the system says is passed on."""
    with pytest.raises(DataError, match=r"none\.csv: the labels cannot be read"):
        read_labels(tmp_path / "none.csv")


def test_parquet_says_the_same(tmp_path: Path) -> None:
    """Times as timestamps or as text, empty cells as absent, values with their types."""
    path = tmp_path / "labels.parquet"
    when = datetime(2026, 11, 23, 9, tzinfo=UTC)
    table = pa.table(
        {
            "decision_id": ["d1", "d2"],
            "value": [{"people": 2}, {"people": 3}],
            "source": ["human", "outcome"],
            "known_at": pa.array([when, when], type=pa.timestamp("us", tz="UTC")),
            "reviewer": [None, "ann"],
        }
    )
    pq.write_table(table, path)
    first, second = read_labels(path)
    assert (first.decision_id, first.value, first.reviewer) == ("d1", {"people": 2}, None)
    assert (first.known_at, first.selection) == (when, "organic")
    assert (second.source, second.reviewer) == ("outcome", "ann")

    pq.write_table(table.set_column(3, "known_at", [["2026-11-23T10:00+01:00"] * 2]), path)
    assert [label.known_at for label in read_labels(path)] == [when, when]

    naive = pa.array([when.replace(tzinfo=None)] * 2, type=pa.timestamp("us"))
    pq.write_table(table.set_column(3, "known_at", naive), path)
    with pytest.raises(DataError, match=r"labels\.parquet:1: `known_at` has no zone"):
        read_labels(path)

    pq.write_table(table.rename_columns({"source": "sorce"}), path)
    with pytest.raises(DataError, match="did you mean `source`"):
        read_labels(path)

    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not whole Parquet"):
        read_labels(path)


def test_a_line_without_an_end_is_refused(tmp_path: Path) -> None:
    """It is not gathered in memory first."""
    path = written(tmp_path, f"{HEAD}\nd1," + "x" * 1_100_000)
    with pytest.raises(DataError, match="too long for a label"):
        read_labels(path)


def test_a_file_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    """The first label is given before a fault further on is seen."""
    labels = stream_labels(written(tmp_path, f"{HEAD}\n{LINE}\nd2\n"))
    assert next(labels).decision_id == "d1"
    with pytest.raises(DataError):
        next(labels)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_no_label(tmp_path: Path, value: float) -> None:
    """Parquet keeps a gap in a column of numbers as NaN, which a ledger would hold as null."""
    path = tmp_path / "labels.parquet"
    when = datetime(2026, 11, 23, 9, tzinfo=UTC)
    table = {"decision_id": ["d1"], "value": [value], "source": ["human"], "known_at": [when]}
    pq.write_table(pa.table(table), path)

    with pytest.raises(DataError, match="`value` is no number"):
        read_labels(path)


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Read once to be checked, it would be empty when its labels are taken."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(DataError, match="read more than once"):
        read_labels(path)
