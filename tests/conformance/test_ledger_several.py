"""Several processes write one ledger and one chain: side by side, killed, with the same keys."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from feasible.errors import LedgerError, LedgerLocked
from feasible.ledger import ServiceLock, SqliteLedger

# Eight tasks append; an id is printed after `append` has returned, and only then.
WORKER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from feasible.errors import KeyTaken
from feasible.ledger import SqliteLedger
from feasible.schema import Decision, Event

path, lock, prefix, each, keys = sys.argv[1:]
ledger = SqliteLedger(Path(path), lock=int(lock))

def decided(name, key):
    return Decision(decision_id=name, at=datetime.now(UTC), plan="plan_1", answer="refund",
        probability=0.9, tier="rules", path=(), cost_nusd=1000, latency_ms=1.5,
        request={"text": "Where is my money? " * 10}, idempotency_key=key)

def tell(*words):
    sys.stdout.write(" ".join(words) + "\\n")
    sys.stdout.flush()

async def work(task):
    for n in range(int(each)):
        name = f"{prefix}-{task}-{n}"
        key = f"k-{task}-{n}" if keys == "same" else name
        try:
            await ledger.append(decided(name, key))
            tell(name)
        except KeyTaken as taken:
            assert ledger.decision(taken.holder).idempotency_key == key
            tell("taken", taken.holder)
        if n % 50 == 7:
            await ledger.record(Event(event_id=f"e-{name}", at=datetime.now(UTC), kind="test",
                actor=prefix, body={"n": n}))

async def main():
    await asyncio.gather(*(work(task) for task in range(8)))

tell("open")
asyncio.run(main())
ledger.close()
"""


@contextmanager
def worker(
    path: Path, lock: ServiceLock, prefix: str, *, each: int, keys: str = "own"
) -> Iterator[subprocess.Popen[str]]:
    """Run a writer as a process of its own; whatever is left of it afterwards is killed."""
    command = [sys.executable, "-c", WORKER, str(path), str(lock.fileno()), prefix, str(each), keys]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, text=True, pass_fds=[lock.fileno()]) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> list[str]:
    """Wait until a writer has ended, and give all that it had printed in whole lines."""
    assert process.stdout is not None
    lines = process.stdout.readlines()
    process.wait()
    return [line.strip() for line in lines if line.endswith("\n") and line != "open\n"]


@pytest.mark.parametrize("writers", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_processes_keep_one_chain(tmp_path: Path, writers: int) -> None:
    """Thousands of decisions written side by side: none lost, none doubled, and the chain whole."""
    path, each = tmp_path / "ledger.db", 150 if writers > 2 else 58
    with closing_lock(path) as lock, ExitStack() as running:
        processes = [
            running.enter_context(worker(path, lock, f"w{n}", each=each)) for n in range(writers)
        ]
        said = [told(process) for process in processes]
        assert [process.returncode for process in processes] == [0] * writers
    assert all(len(names) == 8 * each for names in said)
    with closing(SqliteLedger(path)) as ledger:
        found = [decision.decision_id for decision in ledger.decisions()]
        assert sorted(found) == sorted(name for names in said for name in names)
        assert ledger.counts().events == writers * 8 * (3 if writers > 2 else 2)
        verified = ledger.verify()
        assert verified.whole, str(verified)
        assert verified.batches < len(found)


@pytest.mark.slow
def test_writers_that_are_killed_lose_nothing_that_they_acknowledged(tmp_path: Path) -> None:
    """`kill -9` of one writer at a time, at any moment, while the others go on."""
    path, luck = tmp_path / "ledger.db", random.Random(20261201)
    promised: list[str] = []
    with closing_lock(path) as lock, ExitStack() as running:
        steady = running.enter_context(worker(path, lock, "steady", each=1500))
        for kill in range(12):
            with worker(path, lock, f"k{kill}", each=100_000) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "open\n"
                time.sleep(luck.uniform(0, 0.3))
                process.send_signal(signal.SIGKILL)
                promised += told(process)
        promised += told(steady)
        assert steady.returncode == 0
    with closing(SqliteLedger(path)) as ledger:
        found = [decision.decision_id for decision in ledger.decisions()]
        verified = ledger.verify()
    assert verified.whole, str(verified)
    assert len(found) == len(set(found))
    assert set(promised) <= set(found)
    assert len(promised) > 8 * 1500


def test_one_key_that_two_processes_use_is_one_decision(tmp_path: Path) -> None:
    """Whoever comes second is told the decision that has the key, and can read it."""
    path, each = tmp_path / "ledger.db", 20
    with closing_lock(path) as lock, ExitStack() as running:
        processes = [
            running.enter_context(worker(path, lock, f"w{n}", each=each, keys="same"))
            for n in range(2)
        ]
        said = [told(process) for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
    with closing(SqliteLedger(path)) as ledger:
        found = {decision.decision_id for decision in ledger.decisions()}
        assert ledger.verify().whole
    assert len(found) == 8 * each
    written = [name for names in said for name in names if not name.startswith("taken")]
    refused = [name.split()[1] for names in said for name in names if name.startswith("taken")]
    assert sorted(written) == sorted(found)
    assert len(refused) == 8 * each
    assert set(refused) <= found


def test_the_lock_is_held_until_the_last_worker_has_gone(tmp_path: Path) -> None:
    """A service whose first process died is still a service; another one is refused."""
    path = tmp_path / "ledger.db"
    lock = ServiceLock(path)
    with worker(path, lock, "w", each=100_000) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        lock.release()
        with pytest.raises(LedgerLocked):
            SqliteLedger(path)
        process.kill()
        process.wait()
        SqliteLedger(path).close()


def test_a_descriptor_that_is_not_the_lock_gives_no_right(tmp_path: Path) -> None:
    """Neither another file, nor the lock's file opened again beside its holder."""
    path = tmp_path / "ledger.db"
    with closing_lock(path) as lock:
        with (tmp_path / "other").open("w") as other, pytest.raises(LedgerError, match="not the"):
            SqliteLedger(path, lock=other.fileno())
        with lock.path.open("a") as again, pytest.raises(LedgerLocked):
            SqliteLedger(path, lock=again.fileno())
        with closing(SqliteLedger(path, lock=lock.fileno())) as ledger:
            assert ledger.verify().whole
        with pytest.raises(LedgerLocked):  # closing a worker's ledger leaves the lock held
            SqliteLedger(path)
    SqliteLedger(path).close()


@contextmanager
def closing_lock(path: Path) -> Iterator[ServiceLock]:
    """Hold the right to write, as whoever starts workers does."""
    lock = ServiceLock(path)
    try:
        yield lock
    finally:
        lock.release()
