"""Labels from a file: in parts, and on after a crash; nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from feasible.errors import DataError
from feasible.feedback import Imported, import_labels
from feasible.ledger import SqliteLedger
from feasible.schema import Decision

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LABELS = 12_500
DECISIONS = 1_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a ledger of some decisions."""
    path = tmp_path / "ledger.db"

    async def fill(ledger: SqliteLedger) -> None:
        usual = Decision(
            decision_id="",
            at=NOON,
            plan="p",
            answer="refund",
            probability=0.9,
            tier="rules",
            path=(),
            cost_nusd=1,
            latency_ms=1.0,
        )
        made = [replace(usual, decision_id=f"d{n}") for n in range(DECISIONS)]
        await asyncio.gather(*(ledger.append(decision) for decision in made))

    with closing(SqliteLedger(path)) as ledger:
        asyncio.run(fill(ledger))
    return path


def labels_file(folder: Path, count: int, *, tail: str = "") -> Path:
    """Write a CSV; each fiftieth label is of a decision that is not there."""
    lines = ["decision_id,value,source,known_at"]
    for n in range(count):
        at = NOON + timedelta(seconds=n)
        name = "nobody" if n % 50 == 49 else f"d{n % DECISIONS}"
        lines.append(f"{name},refund,human,{at.isoformat()}")
    file = folder / "labels.csv"
    file.write_text("\n".join(lines) + tail)
    return file


def run(path: Path, file: Path, seen: list[int] | None = None) -> Imported:
    """Import a file."""

    def progress(_: str, done: int, total: int) -> None:
        assert done <= total
        if seen is not None:
            seen.append(done)

    with closing(SqliteLedger(path)) as ledger:
        return import_labels(ledger, file, actor="ana", progress=progress)


KILLED = """
import os, sys
from pathlib import Path
from feasible.feedback import import_labels
from feasible.ledger import SqliteLedger

ledger, until, when = SqliteLedger(Path(sys.argv[1])), int(sys.argv[3]), sys.argv[4]
record, calls = ledger.record, 0

async def counted(event):
    global calls
    calls += 1
    if when == "before" and calls == until:
        os.kill(os.getpid(), 9)
    await record(event)
    if when == "after" and calls == until:
        os.kill(os.getpid(), 9)

ledger.record = counted
import_labels(ledger, Path(sys.argv[2]), actor="ana")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("when", "taken"), [("before", 5_000), ("after", 10_000)])
def test_an_import_that_is_killed_goes_on_where_it_was(
    path: Path, tmp_path: Path, when: str, taken: int
) -> None:
    """Killed between a part and its event, or after the event: nothing lost, nothing doubled."""
    file = labels_file(tmp_path, LABELS)
    command = [sys.executable, "-c", KILLED, str(path), str(file), "2", when]
    assert subprocess.run(command, check=False).returncode == -9
    seen: list[int] = []
    done = run(path, file, seen)
    assert done.went_on_after == taken
    assert seen == [*range(taken + 5_000, LABELS, 5_000), LABELS]
    assert sum(done.outcomes.values()) == LABELS
    assert done.outcomes["unknown_decision"] == LABELS // 50
    with closing(SqliteLedger(path)) as ledger:
        whole = {(label.decision_id, label.known_at) for label in ledger.labels()}
        assert ledger.counts().labels == len(whole) == LABELS - LABELS // 50
        assert ledger.verify().whole
        last = list(ledger.events(kind="labels.imported"))[-1]
    assert (last.actor, last.body["labels"], last.body["is_complete"]) == ("ana", LABELS, True)
    again = run(path, file)
    assert again.went_on_after == 0
    assert "stored" not in again.outcomes


def test_a_fault_at_the_end_refuses_the_whole_file(path: Path, tmp_path: Path) -> None:
    """It is read to its end before anything of it is taken."""
    file = labels_file(tmp_path, 6_000, tail="\nd1,refund\n")
    with pytest.raises(DataError, match=r"labels\.csv:6002"):
        run(path, file)
    with closing(SqliteLedger(path)) as ledger:
        assert ledger.counts().labels == 0
        assert ledger.counts().events == 0


MEASURED = """
import resource, sys
from pathlib import Path
from feasible.feedback import import_labels
from feasible.ledger import SqliteLedger

ledger = SqliteLedger(Path(sys.argv[1]))
import_labels(ledger, Path(sys.argv[2]), actor="ana")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import_labels(ledger, Path(sys.argv[3]), actor="ana")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of memory differs by system")
def test_a_long_file_takes_no_more_memory_than_a_short_one(path: Path, tmp_path: Path) -> None:
    """A file of 30 MB after one of three parts: the memory of a part or two at most."""
    (tmp_path / "short").mkdir()
    short, long = labels_file(tmp_path / "short", 6_000), tmp_path / "long.csv"
    line = "nobody,%d,human,2026-11-23T12:00:00Z\n"
    with long.open("w") as file:
        file.write("decision_id,value,source,known_at\n")
        for n in range(40_000):
            file.write(line % (10**640 + n))
    assert long.stat().st_size > 25_000_000
    command = [sys.executable, "-c", MEASURED, str(path), str(short), str(long)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(out) < 20
