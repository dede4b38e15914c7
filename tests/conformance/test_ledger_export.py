"""An export has every row once, whatever interrupts it, and says what the ledger says."""

from __future__ import annotations

import asyncio
import fcntl
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feasible.errors import BadInput, EngineMissing, LedgerDamaged, LedgerError
from feasible.ledger import SqliteLedger, export, ledger_stats, query_export
from feasible.schema import Decision, Event, Label, PathStep

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Cli = Callable[..., subprocess.CompletedProcess[str]]


def fill(path: Path, start: int, end: int) -> None:
    """Write decisions, a label of every tenth and an event."""

    def decided(n: int) -> Decision:
        return Decision(
            decision_id=f"d{n:05}",
            at=NOON + timedelta(seconds=n),
            plan="p1" if n < 2500 else "p2",
            answer={"team": "refund"},
            probability=0.5 if n % 2 else None,
            tier="llm" if n % 4 == 0 else "rules",
            path=(PathStep(tier="rules", outcome="deferred", latency_ms=1.0, cost_usd=0.0),),
            cost_nusd=None if n % 10 == 0 else 1000,
            latency_ms=float(n),
            slices=("a", "b") if n % 2 else (),
            fell_back="deadline" if n % 100 == 0 else None,
            request={"text": f"Geld {n}"},
        )

    async def run(ledger: SqliteLedger) -> None:
        await asyncio.gather(*(ledger.append(decided(n)) for n in range(start, end)))
        await ledger.add_labels(
            [
                Label(
                    decision_id=f"d{n:05}",
                    value="refund",
                    source="human" if n % 20 else "outcome",
                    known_at=NOON + timedelta(days=2, seconds=n),
                )
                for n in range(start, end, 10)
            ]
        )
        await ledger.record(
            Event(event_id=f"e{start}", at=NOON, kind="test", actor="ana", body={"n": start})
        )

    with closing(SqliteLedger(path)) as ledger:
        asyncio.run(run(ledger))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a ledger of 3,000 decisions."""
    path = tmp_path_factory.mktemp("exported") / "ledger.db"
    fill(path, 0, 3000)
    return path


def exported(path: Path, folder: Path) -> tuple[int, int, int, int]:
    """Export, and give how much was written."""
    with closing(SqliteLedger(path, write=False)) as ledger:
        done = export(ledger, folder)
    return done.decisions, done.labels, done.events, done.parts


def rows(folder: Path, name: str) -> pa.Table:
    """Read the parts that the watermark names."""
    mark = json.loads((folder / "watermark.json").read_text())
    return pa.concat_tables(pq.read_table(folder / part) for part in mark["parts"][name])


def test_an_export_is_typed_and_grows_by_what_is_new(tmp_path: Path) -> None:
    """Twice is once; later rows become later parts."""
    path, folder = tmp_path / "ledger.db", tmp_path / "out"
    fill(path, 0, 300)
    assert exported(path, folder) == (300, 30, 1, 3)
    assert exported(path, folder) == (0, 0, 0, 0)
    fill(path, 300, 400)
    assert exported(path, folder) == (100, 10, 1, 3)
    decisions = rows(folder, "decisions")
    assert decisions["row_id"].to_pylist() == list(range(1, 401))
    assert decisions.schema.field("at").type == pa.timestamp("us", tz="UTC")
    assert decisions.schema.field("slices").type == pa.list_(pa.string())
    with closing(SqliteLedger(path, write=False)) as ledger:
        for row, decision in zip(decisions.to_pylist(), ledger.decisions(), strict=True):
            assert row["decision_id"] == decision.decision_id
            assert row["at"] == decision.at
            assert row["cost_nusd"] == decision.cost_nusd
            assert row["latency_ms"] == decision.latency_ms
            assert tuple(row["slices"]) == decision.slices
            assert row["probability"] == decision.probability
            assert json.loads(row["request"]) == decision.request
            assert json.loads(row["answer"]) == decision.answer
            assert json.loads(row["path"]) == list(msgspec.to_builtins(decision.path))
        known = [label.known_at for label in ledger.labels()]
    labels = rows(folder, "labels")
    assert labels["known_at"].to_pylist() == known
    assert rows(folder, "events")["body"].to_pylist() == ['{"n":0}', '{"n":300}']


EXPORT = """
import os, sys
from pathlib import Path
from feasible.ledger import SqliteLedger, exporting
exporting._PART = 250
left = int(sys.argv[3])
put = exporting._put
def put_or_die(part, path):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    put(part, path)
exporting._put = put_or_die
ledger = SqliteLedger(Path(sys.argv[1]), write=False)
exporting.export(ledger, Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_an_export_that_is_killed_goes_on_without_double_or_missing_rows(
    path: Path, tmp_path: Path
) -> None:
    """`kill -9` before each file gets its name, the part's or the watermark's, one by one."""
    folder = tmp_path / "out"
    for files in (0, 1, 6, 7, 99):
        command = [sys.executable, "-c", EXPORT, str(path), str(folder), str(files)]
        killed = subprocess.run(command, check=False).returncode
        assert killed == (0 if files == 99 else -9)
    assert rows(folder, "decisions")["row_id"].to_pylist() == list(range(1, 3001))
    assert rows(folder, "labels")["row_id"].to_pylist() == list(range(1, 301))
    assert rows(folder, "events").num_rows == 1
    # What lies in the folder beside it is not part of it either.
    every = [pq.read_table(part) for part in sorted((folder / "decisions").glob("*.parquet"))]
    assert sum(part.num_rows for part in every) == 3000


def test_a_folder_with_the_export_of_another_ledger_is_refused(path: Path, tmp_path: Path) -> None:
    """Rows of two ledgers are not mixed."""
    exported(path, tmp_path / "out")
    fill(tmp_path / "other.db", 0, 10)
    with pytest.raises(BadInput, match="holds the export of another ledger"):
        exported(tmp_path / "other.db", tmp_path / "out")
    (tmp_path / "out" / "watermark.json").write_text("[]")
    with pytest.raises(BadInput, match="is not the watermark"):
        exported(path, tmp_path / "out")


def test_two_exports_into_one_folder_do_not_mix(path: Path, tmp_path: Path) -> None:
    """While one writes, as a timer that comes round too early finds it, the other is refused."""
    tmp_path.joinpath("out").mkdir()
    with (tmp_path / "out" / ".export.lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LedgerError, match="another export is writing"):
            exported(path, tmp_path / "out")
    assert exported(path, tmp_path / "out")[0] == 3000


@pytest.mark.parametrize("column", ["cost_nusd", "latency_us"])
def test_an_edited_number_is_damage_and_no_crash(tmp_path: Path, column: str) -> None:
    """Whoever exports or counts is told so, and what names the row."""
    path = tmp_path / "ledger.db"
    fill(path, 0, 20)
    with closing(sqlite3.connect(path)) as editor, editor:
        editor.execute(f"UPDATE decisions SET {column} = 'much' WHERE row_id = 3")  # noqa: S608  own names

    with pytest.raises(LedgerDamaged, match="cannot be read"):
        exported(path, tmp_path / "out")
    with (
        closing(SqliteLedger(path, write=False)) as ledger,
        pytest.raises(LedgerDamaged, match="does not add up"),
    ):
        ledger_stats(ledger)


def test_statistics_are_those_of_the_rows(path: Path, cli: Cli) -> None:
    """Counts, sums and percentiles by hand: n = 0 .. 2999, every tenth without a price."""
    with closing(SqliteLedger(path, write=False)) as ledger:
        found = ledger_stats(ledger)
    assert found.decisions == 3000
    assert found.by_tier == {"rules": 2250, "llm": 750}
    assert found.by_plan == {"p1": 2500, "p2": 500}
    assert found.unpriced == 300
    assert found.cost_usd == pytest.approx(2700 * 1000 / 1e9)
    assert found.latency_ms.p50 == 1500.0
    assert found.latency_ms.p99 == 2970.0
    assert (found.fell_back, found.handed_off) == (30, 0)
    assert found.labels_by_source == {"human": 150, "outcome": 150}
    assert found.label_delay_days.p95 == 2.0
    assert found.events == 1
    run = cli("ledger", "stats", "--ledger", f"sqlite:///{path}", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["by_tier"] == {"rules": 2250, "llm": 750}


def test_an_empty_ledger_has_unknown_percentiles_and_an_empty_export(tmp_path: Path) -> None:
    """Nothing is not zero."""
    path = tmp_path / "ledger.db"
    SqliteLedger(path).close()
    with closing(SqliteLedger(path, write=False)) as ledger:
        found = ledger_stats(ledger)
    assert found.latency_ms.p50 is None
    assert found.label_delay_days.p99 is None
    assert exported(path, tmp_path / "out") == (0, 0, 0, 0)
    fill(path, 0, 10)
    with closing(SqliteLedger(path, write=False)) as ledger:
        assert export(ledger, tmp_path / "out").decisions == 10


@pytest.mark.slow
def test_an_export_is_asked_with_sql(path: Path, tmp_path: Path, cli: Cli) -> None:
    """Tables, JSON inside them and times; a wrong query says what is wrong."""
    pytest.importorskip("duckdb")
    exported(path, tmp_path / "out")
    sql = (
        "SELECT d.tier, count(*) AS n, max(d.at) AS last, "
        "count(*) FILTER (json_extract_string(answer, '$.team') = l.value) AS odd "
        "FROM decisions d LEFT JOIN labels l USING (decision_id) GROUP BY 1 ORDER BY 1"
    )
    found = query_export(tmp_path / "out", sql)
    assert [(row["tier"], row["n"]) for row in found] == [("llm", 750), ("rules", 2250)]
    assert found[1]["last"] == NOON + timedelta(seconds=2999)
    with pytest.raises(BadInput, match="the query cannot be run"):
        query_export(tmp_path / "out", "SELECT nothing FROM decisions")
    with pytest.raises(BadInput, match="there is no export"):
        query_export(tmp_path, "SELECT 1")
    run = cli("ledger", "query", sql, "--export", str(tmp_path / "out"))
    assert run.returncode == 0, run.stderr
    assert "2250" in run.stdout


def test_a_query_without_the_extra_says_how_to_get_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The install line is exact."""
    exported(path, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(EngineMissing, match=r'pip install "feasible\[analytics\]"'):
        query_export(tmp_path / "out", "SELECT 1")


@pytest.mark.slow
def test_a_purge_by_the_command_line(tmp_path: Path, cli: Cli) -> None:
    """It counts first, then deletes or redacts; who did it is in the ledger."""
    path = tmp_path / "ledger.db"
    fill(path, 0, 40)
    url = ("--ledger", f"sqlite:///{path}")
    dry = cli("ledger", "purge", *url, "--subject", "decision_id=d00010", "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert (json.loads(dry.stdout)["decisions"], json.loads(dry.stdout)["labels"]) == (1, 1)
    done = cli("ledger", "purge", *url, "--redact", "request.text", "--older-than", "1s")
    assert "redacted: 40 decisions and 0 labels" in done.stdout
    for age in ("soon", "9999999d"):
        refused = cli("ledger", "purge", *url, "--older-than", age)
        assert refused.returncode == 2, refused.stderr
    with closing(SqliteLedger(path, write=False)) as ledger:
        assert ledger.verify().whole
        events = list(ledger.events(kind="ledger.purged"))
    assert all(event.actor.startswith("user ") for event in events)
