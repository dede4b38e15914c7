from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feasible.clock import VirtualClock
from feasible.errors import BadInput
from feasible.rubric.interview import Session, elapsed_s, open_session, start_session


class _Machine:
    """A machine's clocks, moved by hand."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 12, 1, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s


def _started(path: Path, clock: _Machine) -> Session:
    return start_session(path, prompt="fraud", text="Design.", mode="exam", seed=0, clock=clock)


def test_time_away_counts_in_an_exam(tmp_path: Path) -> None:
    """Between the last record and the return, the machine's own clock went on."""
    clock, path = _Machine(), tmp_path / "kept.jsonl"
    _started(path, clock).add("said", 60.0, clock, text="a")
    clock.passed_s += 120.0
    assert elapsed_s(open_session(path), clock) == pytest.approx(180.0)


def test_a_line_that_was_cut_off_is_left_out_and_written_again(tmp_path: Path) -> None:
    """A kill in the middle of a write costs what was never acknowledged, and nothing else."""
    clock, path = VirtualClock(datetime(2026, 12, 1, tzinfo=UTC)), tmp_path / "kept.jsonl"
    start_session(path, prompt="fraud", text="Design.", mode="exam", seed=0, clock=clock)
    with path.open("ab") as file:
        file.write(b'{"seq":1,"at_s":6')
    session = open_session(path)
    session.add("said", 5.0, clock, text="b")
    assert [record.kind for record in open_session(path).records] == ["started", "said"]


def test_a_file_that_is_no_interview_is_refused(tmp_path: Path) -> None:
    """Neither a missing file nor another one is taken for an interview."""
    with pytest.raises(BadInput, match="no interview"):
        open_session(tmp_path / "none.jsonl")
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(BadInput, match="is no record"):
        open_session(tmp_path / "other.jsonl")
