"""What a ledger does when its process, its disk, its file or its neighbours fail: real ones."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feasible.errors import BadInput, FeasibleError, LedgerDamaged, LedgerError, LedgerLocked
from feasible.ledger import SqliteLedger, open_ledger
from feasible.schema import Decision, Label

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

COMMON = """
import asyncio, json, os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from feasible.errors import FeasibleError
from feasible.ledger import SqliteLedger
from feasible.schema import Decision

def decided(name):
    return Decision(decision_id=name, at=datetime.now(UTC), plan="plan_1", answer="refund",
        probability=0.9, tier="rules", path=(), cost_nusd=1000, latency_ms=1.5,
        request={"text": "Where is my money? " * 20})
"""

# Eight tasks append for ever; an id is printed after `append` has returned, and only then.
SERVICE = """
path, prefix = Path(sys.argv[1]), sys.argv[2]
print("opening", flush=True)
ledger = SqliteLedger(path)
print("open", flush=True)

async def work(task):
    n = 0
    while True:
        name = f"{prefix}-{task}-{n}"
        await ledger.append(decided(name))
        sys.stdout.write(name + "\\n")
        sys.stdout.flush()
        n += 1

async def main():
    await asyncio.gather(*(work(task) for task in range(8)))

asyncio.run(main())
"""


def decided(name: str, *, answer: str = "refund", key: str | None = None) -> Decision:
    """Give a decision of about 500 bytes."""
    return Decision(
        decision_id=name,
        at=NOON,
        plan="plan_1",
        answer=answer,
        probability=0.93,
        tier="model",
        path=(),
        cost_nusd=1_500_000,
        latency_ms=42.5,
        slices=("in_scope",),
        request={"text": "Where is my money? " * 20},
        idempotency_key=key,
    )


def append(ledger: SqliteLedger, *decisions: Decision) -> None:
    """Append decisions one after the other, a batch each."""

    async def run() -> None:
        for decision in decisions:
            await ledger.append(decision)

    asyncio.run(run())


def ids(ledger: SqliteLedger) -> list[str]:
    """Give the ids in the order of the ledger."""
    return [decision.decision_id for decision in ledger.decisions()]


@contextmanager
def service(
    path: Path, prefix: str = "a", script: str = SERVICE
) -> Iterator[subprocess.Popen[str]]:
    """Run a service as a process of its own; whatever is left of it afterwards is killed."""
    command = [sys.executable, "-c", COMMON + script, str(path), prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def acknowledged(process: subprocess.Popen[str], *, at_least: int) -> list[str]:
    """Wait for so many acknowledgements, kill the service, and give all that it had printed."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(at_least + 2)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    assert lines[:2] == ["opening\n", "open\n"]
    return [line.strip() for line in lines[2:] if line.endswith("\n")]


# ---------------------------------------------------------------------------------------------
# The process is killed


@pytest.mark.slow
def test_no_acknowledged_decision_is_lost_in_fifty_kills(tmp_path: Path) -> None:
    """`kill -9` at any moment: what was acknowledged is there, whole, and the lock is free."""
    path, luck = tmp_path / "ledger.db", random.Random(20261123)
    promised: list[str] = []
    head = ""
    for kill in range(50):
        with service(path, prefix=str(kill)) as process:
            promised += acknowledged(process, at_least=luck.randint(1, 600))
        with closing(SqliteLedger(path)) as ledger:
            found = ledger.verify(anchor=head)
            assert found.whole, str(found)
            assert set(promised) <= set(ids(ledger)), f"kill {kill}"
            head = found.head
    assert len(promised) > 500


@pytest.mark.slow
def test_a_kill_while_a_ledger_is_made_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    """Whenever the process dies at its start, the next one starts."""
    luck = random.Random(7)
    for n in range(12):
        path = tmp_path / str(n) / "ledger.db"
        with service(path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "opening\n"
            threading.Event().wait(luck.uniform(0, 0.012))
            process.kill()
        with closing(SqliteLedger(path)) as ledger:
            append(ledger, decided("next"))
            assert ledger.verify().whole


def test_the_lock_goes_with_the_process_that_held_it(tmp_path: Path) -> None:
    """A second service is refused while the first lives, and allowed once it was killed."""
    path = tmp_path / "ledger.db"
    with service(path) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "open\n":
            assert process.poll() is None
        with pytest.raises(LedgerLocked, match=f"held by process {process.pid} since") as refused:
            SqliteLedger(path)
        assert refused.value.exit_code == 2
        process.kill()
        process.wait()
        with closing(SqliteLedger(path)) as ledger:
            assert ledger.verify().whole


FORKED = """
ledger = SqliteLedger(Path(sys.argv[1]))
if os.fork() == 0:
    print(os.getpid(), flush=True)  # told by the child, which has let go of the lock by then
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


def test_a_forked_worker_that_outlives_its_service_keeps_no_lock(tmp_path: Path) -> None:
    """A pool of worker processes may survive a kill of the service; the next service starts."""
    path = tmp_path / "ledger.db"
    with service(path, script=FORKED) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        try:
            process.kill()
            process.wait()
            os.kill(worker, 0)  # it lives
            SqliteLedger(path).close()
        finally:
            os.kill(worker, signal.SIGKILL)


def test_a_second_service_in_the_same_process_is_refused(tmp_path: Path) -> None:
    """One writer, also by another name of the file; and its refusal harms the first in nothing."""
    path, link = tmp_path / "ledger.db", tmp_path / "link.db"
    link.symlink_to(path)
    with closing(SqliteLedger(path)) as ledger:
        for name in (path, link):
            with pytest.raises(LedgerLocked):
                SqliteLedger(name)
        append(ledger, decided("d1"))
    with closing(SqliteLedger(link)) as ledger:
        assert ids(ledger) == ["d1"]


def test_readers_work_beside_a_service_and_see_what_it_acknowledged(tmp_path: Path) -> None:
    """Any number of readers need no lock, and every state that they see is whole."""
    path = tmp_path / "ledger.db"
    with service(path) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "open\n":
            assert process.poll() is None
        with closing(SqliteLedger(path, write=False)) as first:
            head = ""
            for _ in range(5):
                told = [process.stdout.readline().strip() for _ in range(40)]
                with closing(SqliteLedger(path, write=False)) as second:
                    for reader in (first, second):
                        assert all(reader.decision(name) is not None for name in told)
                        found = reader.verify(anchor=head)
                        assert found.whole, str(found)
                        head = found.head
        with pytest.raises(LedgerError, match="closed"):
            first.counts()
    with closing(SqliteLedger(path, write=False)) as reader, pytest.raises(LedgerError) as refused:
        append(reader, decided("d1"))
    assert "open for reading only" in str(refused.value)


NEIGHBOUR = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM decisions").fetchone()
connection.close()
"""

READ_INSIDE = """
path = Path(sys.argv[1])
ledger = SqliteLedger(path)
asyncio.run(ledger.append(decided("first")))
SqliteLedger(path, write=False).close()
print("read", flush=True)
sys.stdin.readline()
asyncio.run(ledger.append(decided("second")))
print("second", flush=True)
time.sleep(60)
"""


def test_a_reader_inside_the_service_does_not_open_its_log_to_others(tmp_path: Path) -> None:
    """POSIX drops a process's locks on a file when it closes that file anywhere.

    Another program that closes the ledger then takes itself for the last, and removes the log into
    which the service goes on writing.
    """
    path = tmp_path / "ledger.db"
    command = [sys.executable, "-c", COMMON + READ_INSIDE, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "read\n"
            subprocess.run([sys.executable, "-c", NEIGHBOUR, str(path)], check=True)
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "second\n"
        finally:
            process.kill()
    with closing(SqliteLedger(path)) as ledger:
        assert ids(ledger) == ["first", "second"]


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_a_file_that_is_removed_under_the_service_takes_no_more_decisions(
    tmp_path: Path, ending: str
) -> None:
    """Nothing is acknowledged into a file that nobody finds again; put back, it goes on."""
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        append(ledger, decided("d1"))
        file = path.with_name(path.name + ending)
        file.rename(tmp_path / "away")
        with pytest.raises(LedgerError, match="was removed or replaced"):
            append(ledger, decided("d2"))
        (tmp_path / "away").rename(file)
        append(ledger, decided("d3"))
        assert ids(ledger) == ["d1", "d3"]


# ---------------------------------------------------------------------------------------------
# The disk

SANDBOX = ["unshare", "--map-root-user", "--mount"]


@pytest.fixture(scope="session")
def sandbox() -> Sequence[str]:
    """Give the command that runs a shell with mounts of its own, which vanish with it."""
    if shutil.which("unshare") is None:
        pytest.skip("no `unshare` here: a small or read-only disk cannot be mounted (util-linux)")
    trial = subprocess.run(
        [*SANDBOX, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    if trial.returncode:
        pytest.skip(f"this machine lets nobody mount in a namespace: {trial.stderr.strip()}")
    return [*SANDBOX, "sh", "-ec"]


FILL = """
place = Path(sys.argv[1])
ballast = place / "ballast"
ballast.write_bytes(bytes(2_000_000))
ledger = SqliteLedger(place / "ledger.db")
told, refused = [], []

async def work(task, fails):
    for n in range(100_000):
        try:
            await ledger.append(decided(f"{task}-{n}"))
        except FeasibleError as error:
            refused.append(str(error))
            return
        told.append(f"{task}-{n}")

async def fill():
    await asyncio.gather(*(work(task, 1) for task in range(8)))

asyncio.run(fill())
before = len(told)
readable = all(ledger.decision(name) is not None for name in told)
whole_when_full = ledger.verify().whole
ledger.close()
try:
    SqliteLedger(place / "ledger.db").close()
    reopened = "open"
except FeasibleError as error:
    reopened = str(error)
ballast.unlink()
ledger = SqliteLedger(place / "ledger.db")

async def more():
    for n in range(50):
        await ledger.append(decided(f"later-{n}"))
        told.append(f"later-{n}")

asyncio.run(more())
ledger.close()
ledger = SqliteLedger(place / "ledger.db")
there = {decision.decision_id for decision in ledger.decisions()}
print(json.dumps({"before": before, "refused": refused, "readable": readable,
    "whole_when_full": whole_when_full, "reopened": reopened,
    "lost": sorted(set(told) - there), "whole": ledger.verify().whole, "found": len(there)}))
"""


@pytest.mark.slow
def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path, sandbox: Sequence[str]) -> None:
    """Every waiting appender is told; what was acknowledged stays; with space it goes on."""
    place = tmp_path / "small"
    place.mkdir()
    shell = 'mount -t tmpfs -o size=3m tmpfs "$1"; exec "$2" -c "$3" "$1"'
    run = subprocess.run(
        [*sandbox, shell, "sh", str(place), sys.executable, COMMON + FILL],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["before"] > 50
    assert len(result["refused"]) == 8
    assert all("the disk is full" in said for said in result["refused"]), result["refused"][0]
    assert result["readable"]
    assert result["whole_when_full"]
    assert result["reopened"] == "open" or "cannot" in result["reopened"]
    assert result["lost"] == []
    assert result["whole"]
    assert result["found"] >= result["before"] + 50


LIMITED = """
import resource
ledger = SqliteLedger(Path(sys.argv[1]))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
told, said = [], []

async def until_refused(prefix):
    for n in range(100_000):
        try:
            await ledger.append(decided(f"{prefix}-{n}"))
        except FeasibleError as error:
            said.append(str(error))
            return
        told.append(f"{prefix}-{n}")

for turn in range(3):  # space goes and comes back, three times, without a restart
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000 * (turn + 1), hard))
    asyncio.run(until_refused(turn))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    asyncio.run(ledger.append(decided(f"after-{turn}")))
    told.append(f"after-{turn}")
verified = ledger.verify()
there = {decision.decision_id for decision in ledger.decisions()}
print(json.dumps({"told": len(told), "said": said, "lost": sorted(set(told) - there),
    "whole": verified.whole, "faults": verified.faults}))
"""


def test_a_file_that_may_not_grow_refuses_until_it_may(tmp_path: Path) -> None:
    """A quota is a full disk under another name; when it is lifted the same service goes on."""
    with service(tmp_path / "ledger.db", script=LIMITED) as process:
        out, _ = process.communicate()
    result = json.loads(out)
    assert len(result["said"]) == 3
    assert all("cannot write to the ledger" in said for said in result["said"])
    assert result["told"] > 50
    assert result["lost"] == []
    assert result["whole"], result["faults"]


LOOK = """
path = Path(sys.argv[1])
said = {}
for write in (True, False):
    try:
        ledger = SqliteLedger(path, write=write)
        said[str(write)] = [ledger.verify().whole, [d.decision_id for d in ledger.decisions()]]
        ledger.close()
    except FeasibleError as error:
        said[str(write)] = str(error)
print(json.dumps(said))
"""


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_is_read_only_can_be_read_and_not_served(
    tmp_path: Path, sandbox: Sequence[str], what: str
) -> None:
    """A service says so at its start, not at its first decision; readers read."""
    place = tmp_path / "kept"
    path = place / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        append(ledger, decided("d1"), decided("d2"))
    shell = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; exec "$2" -c "$3" "$4"'
    target = place if what == "folder" else path
    run = subprocess.run(
        [*sandbox, shell, "sh", str(target), sys.executable, COMMON + LOOK, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    assert "cannot write the ledger" in said["True"]
    assert "read-only" in said["True"].lower()
    assert said["False"] == [True, ["d1", "d2"]]


@pytest.mark.skipif(sys.platform != "linux", reason="strace counts system calls on Linux only")
def test_every_acknowledgement_follows_a_flush_of_the_log(tmp_path: Path) -> None:
    """`kill -9` cannot show a missing flush, because the system keeps what was written."""
    if shutil.which("strace") is None:
        pytest.skip("no `strace` here: flushes cannot be counted (apt-get install strace)")
    script = """
ledger = SqliteLedger(Path(sys.argv[1]))
async def main():
    for n in range(25):
        await ledger.append(decided(f"d{n}"))
        os.write(1, f"told d{n}\\n".encode())
asyncio.run(main())
"""
    log = tmp_path / "calls"
    command = ["strace", "-f", "-y", "-s", "40", "-o", str(log)]
    command += ["-e", "trace=fsync,fdatasync,write,pwrite64"]
    command += [sys.executable, "-c", COMMON + script, str(tmp_path / "ledger.db")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode and "ptrace" in run.stderr.lower():
        pytest.skip(f"this machine does not let strace look: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr
    is_flushed, told = False, 0
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if re.search(r"pwrite64\(\d+<[^>]*ledger\.db-wal>", line):
            is_flushed = False
        elif re.search(r"(fsync|fdatasync)\(\d+<[^>]*ledger\.db-wal>", line):
            is_flushed = True
        elif "told d" in line and "write(1" in line:
            assert is_flushed, f"decision {told} was acknowledged before its flush"
            is_flushed = False
            told += 1
    assert told == 25


# ---------------------------------------------------------------------------------------------
# The file


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder as a killed service left it: rows in the file and more of them in its log."""
    folder = tmp_path_factory.mktemp("crashed")
    with service(folder / "ledger.db") as process:
        acknowledged(process, at_least=150)
    assert (folder / "ledger.db-wal").stat().st_size > 10_000
    return folder


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a ledger that was closed: 300 decisions in 300 batches, 60 labels, no log."""
    path = tmp_path_factory.mktemp("settled") / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        append(ledger, *(decided(f"d{n:03}", key=f"k{n}") for n in range(300)))
        for n in range(60):
            label = Label(
                decision_id=f"d{n:03}",
                value="refund",
                source="human",
                known_at=NOON + timedelta(days=n),
                label_id=f"l{n}",
            )
            assert asyncio.run(ledger.add_labels([label])) == ["stored"]
    return path


def copied(source: Path, folder: Path) -> Path:
    """Copy a ledger, with its log when it has one."""
    for ending in ("", "-wal"):
        file = source.with_name(source.name + ending)
        if file.exists():
            shutil.copy(file, folder / file.name)
    return folder / source.name


@pytest.mark.parametrize("seed", range(12))
def test_a_log_that_was_cut_gives_the_beginning_and_the_anchor_shows_the_rest(
    crashed: Path, tmp_path: Path, seed: int
) -> None:
    """Wherever the log ends, what is read is whole and a beginning of what was written."""
    whole = tmp_path / "whole"
    whole.mkdir()
    with closing(SqliteLedger(copied(crashed / "ledger.db", whole))) as ledger:
        everything, head = ids(ledger), ledger.verify().head
    path = copied(crashed / "ledger.db", tmp_path)
    log = tmp_path / "ledger.db-wal"
    luck = random.Random(seed)
    at = luck.randrange(log.stat().st_size)
    if seed % 3:
        os.truncate(log, at)
    else:  # the disk wrote something else there
        content = bytearray(log.read_bytes())
        content[at : at + 64] = luck.randbytes(64)
        log.write_bytes(content)

    with closing(SqliteLedger(path)) as ledger:
        found = ids(ledger)
        assert found == everything[: len(found)]
        assert ledger.verify().whole
        anchored = ledger.verify(anchor=head)
        assert anchored.whole == (len(found) == len(everything))
        assert found == everything or "was cut off or replaced" in anchored.faults[-1]
        append(ledger, decided("next"))
        assert ledger.verify().whole


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.5, 0.9, 0.98])
def test_a_file_that_was_cut_is_refused_and_left_alone(
    settled: Path, tmp_path: Path, share: float
) -> None:
    """Half a ledger is not quietly served, read, mended or begun anew."""
    path = copied(settled, tmp_path)
    os.truncate(path, int(path.stat().st_size * share))
    before = path.read_bytes()
    for write in (True, False):
        with pytest.raises(LedgerDamaged) as refused:
            SqliteLedger(path, write=write)
        assert refused.value.exit_code == 2
        assert "ledger.db" in str(refused.value)
    assert path.read_bytes() == before


def test_a_page_that_was_cut_at_the_end_is_found(settled: Path, tmp_path: Path) -> None:
    """SQLite takes the rest of it for zeros; verification does not."""
    path = copied(settled, tmp_path)
    os.truncate(path, path.stat().st_size - 500)
    try:
        with closing(SqliteLedger(path, write=False)) as ledger:
            assert not ledger.verify().whole
    except LedgerDamaged as error:
        assert "is damaged" in str(error)  # noqa: PT017  either way is right


@pytest.mark.parametrize("seed", range(30))
def test_damaged_bytes_never_pass_for_a_whole_ledger_with_other_content(
    settled: Path, tmp_path: Path, seed: int
) -> None:
    """Whatever a disk changes: it is refused, or found, or it lies where nothing is stored."""
    with closing(SqliteLedger(settled, write=False)) as ledger:
        written, labels = list(ledger.decisions()), list(ledger.labels())
    path = copied(settled, tmp_path)
    luck = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(1 + seed % 4):
        at = luck.randrange(100, len(content))
        content[at] ^= 1 << luck.randrange(8)
    path.write_bytes(content)
    try:
        with closing(SqliteLedger(path, write=False)) as ledger:
            found = ledger.verify()
            if found.whole:
                assert list(ledger.decisions()) == written
                assert list(ledger.labels()) == labels
                assert all(ledger.decision(d.decision_id) == d for d in written)
                assert all(ledger.decision_by_key(f"k{n}") == d for n, d in enumerate(written))
    except FeasibleError as error:
        assert isinstance(error, LedgerError), str(error)  # noqa: PT017  either way is right


def _other_application(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")


def _newer(path: Path) -> None:
    SqliteLedger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "garbage": (lambda path: path.write_bytes(random.Random(1).randbytes(9000)), "not a ledger"),
    "text": (lambda path: path.write_text("decisions,labels\n", encoding="utf-8"), "not a ledger"),
    "one byte": (lambda path: path.write_bytes(b"S"), "not a ledger"),
    "other application": (_other_application, "of another application"),
    "newer": (_newer, "newer version"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_ledger_of_ours_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    """A wrong name after --ledger harms nobody's file."""
    path = tmp_path / "file.db"
    make, said = FOREIGN[kind]
    make(path)
    before = path.read_bytes()
    for write in (True, False):
        with pytest.raises(LedgerDamaged, match=said):
            SqliteLedger(path, write=write)
    assert path.read_bytes() == before
    assert not (tmp_path / "file.db-wal").exists() or not (tmp_path / "file.db-wal").stat().st_size


def test_a_ledger_that_no_longer_says_how_it_is_chained_is_read_and_not_served(
    settled: Path, tmp_path: Path
) -> None:
    """Its rows are there; whether they are whole cannot be said, and nothing is added."""
    path = copied(settled, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DELETE FROM meta")
    with pytest.raises(LedgerDamaged, match="how its chain is made is missing"):
        SqliteLedger(path)
    with closing(SqliteLedger(path, write=False)) as ledger:
        assert len(ids(ledger)) == 300
        with pytest.raises(LedgerDamaged, match="how its chain is made is missing"):
            ledger.verify()


def test_an_empty_file_becomes_a_ledger_for_a_service_and_is_none_for_a_reader(
    tmp_path: Path,
) -> None:
    """`mktemp` makes such files; a reader that found nothing says so."""
    path = tmp_path / "ledger.db"
    path.touch()
    with pytest.raises(LedgerError, match="an empty file"):
        SqliteLedger(path, write=False)
    with closing(SqliteLedger(path)) as ledger:
        append(ledger, decided("d1"))
        assert ids(ledger) == ["d1"]


def test_a_log_without_its_file_is_not_begun_anew(crashed: Path, tmp_path: Path) -> None:
    """The rows in that log would be lost for good."""
    path = copied(crashed / "ledger.db", tmp_path)
    path.unlink()
    with pytest.raises(LedgerDamaged, match="its log is still there"):
        SqliteLedger(path)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_name_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    """A folder, or a device such as /dev/null, is neither opened nor replaced."""
    path = tmp_path / "there"
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    for write in (True, False):
        with pytest.raises(BadInput, match="is not a file"):
            open_ledger(f"sqlite:///{path}", write=write)
    assert [name.name for name in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("name", ["f/x.db", "x" * 300])
def test_a_place_where_no_file_can_be_is_named(tmp_path: Path, name: str) -> None:
    """Below a file, or under a name that is too long: what the system says, and what to try."""
    (tmp_path / "f").touch()
    for write in (True, False):
        with pytest.raises(LedgerError, match="cannot open the ledger"):
            SqliteLedger(tmp_path / name, write=write)


# ---------------------------------------------------------------------------------------------
# Somebody edits

ROW_7 = "decisions 7 to 7 (batch 7) are not what was written"
COPY = """INSERT INTO decisions SELECT {}, 'x', at_us, plan, tier, 0, 0, 0, NULL, slices, 'x',
answer, request, body, salt FROM decisions WHERE row_id = 1"""
SWAP = """UPDATE {0} SET {1} = -7 WHERE {1} = 7; UPDATE {0} SET {1} = 7 WHERE {1} = 8;
UPDATE {0} SET {1} = 8 WHERE {1} = -7"""
LABEL_61 = """INSERT INTO labels SELECT 61, decision_id, source, selection, 0, 0, 'x', NULL, body,
salt FROM labels WHERE row_id = 1"""
ANSWER = "UPDATE decisions SET answer = CAST('\"credit\"' AS BLOB) WHERE row_id = 7"
LABEL = "UPDATE labels SET {} WHERE row_id = 9"

EDITS = {
    "an answer": (ANSWER, ROW_7),
    "a path": (
        "UPDATE decisions SET body = CAST(replace(body, '0.93', '0.99') AS BLOB) WHERE row_id = 7",
        ROW_7,
    ),
    "a request": ("UPDATE decisions SET request = CAST('{}' AS BLOB) WHERE row_id = 7", ROW_7),
    "a key": ("UPDATE decisions SET idempotency_key = 'x' WHERE row_id = 7", ROW_7),
    "a salt": ("UPDATE decisions SET salt = zeroblob(48) WHERE row_id = 7", ROW_7),
    "a reviewer": ("UPDATE labels SET reviewer = 'ana' WHERE row_id = 9", "labels 9 to 9"),
    "gone, with a made up record": (
        """DELETE FROM decisions WHERE row_id = 7;
INSERT INTO deleted VALUES ('decisions', 7, zeroblob(32), 1)""",
        ROW_7,
    ),
    "a column": ("UPDATE decisions SET tier = 'llm' WHERE row_id = 7", ROW_7),
    "a type": ("UPDATE decisions SET body = CAST(body AS TEXT) WHERE row_id = 7", ROW_7),
    "broken text": ("UPDATE decisions SET plan = CAST(x'ff' AS TEXT) WHERE row_id = 7", ROW_7),
    "a row gone": ("DELETE FROM decisions WHERE row_id = 150", "1 of decisions 150 to 150"),
    "all gone": ("DELETE FROM decisions", "1 of decisions 1 to 1 (batch 1) are missing"),
    "the end, links kept": ("DELETE FROM decisions WHERE row_id > 290", "1 of decisions 291 to"),
    "links, rows kept": ("DELETE FROM batches WHERE seq > 355", "belong to no batch"),
    "a link gone": ("DELETE FROM batches WHERE seq = 9", "batches 9 to 9 are missing"),
    "the first link gone": ("DELETE FROM batches WHERE seq = 1", "batches 1 to 1 are missing"),
    "two swapped": (SWAP.format("decisions", "row_id"), ROW_7),
    "two links swapped": (SWAP.format("batches", "seq"), "batch 7 does not follow the one before"),
    "a row added": (COPY.format(301), "decisions 301 to 301 belong to no batch"),
    "a row added before": (COPY.format(0), "1 decisions stand before the first"),
    "a recorded hash": ("UPDATE batches SET hash = prev_hash WHERE seq = 20", "(batch 20)"),
    "a link's rows": ("UPDATE batches SET last_row = 'x' WHERE seq = 20", "batch 20 names no rows"),
    "a link's table": ("UPDATE batches SET of = 'meta' WHERE seq = 20", "batch 20 names no rows"),
    "a label": (LABEL.format("body = CAST('1' AS BLOB)"), "labels 9 to 9 (batch 309)"),
    "when it was known": (LABEL.format("known_at_us = 0"), "labels 9 to 9"),
    "who said it": (LABEL.format("source = 'outcome'"), "labels 9 to 9"),
    "a label moved": (LABEL.format("decision_id = 'd299'"), "labels 9 to 9"),
    "a label gone": ("DELETE FROM labels WHERE row_id = 60", "1 of labels 60 to 60"),
    "a label added": (LABEL_61, "labels 61 to 61 belong to no batch"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_found_and_named(settled: Path, tmp_path: Path, edit: str) -> None:
    """`verify` says which rows, also to whoever holds no anchor; and it mends nothing."""
    statement, said = EDITS[edit]
    path = copied(settled, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statement)
    for write in (True, False):
        with closing(SqliteLedger(path, write=write)) as ledger:
            found = ledger.verify()
        assert not found.whole
        assert any(said in fault for fault in found.faults), str(found)
        assert str(found).startswith("NOT WHOLE")


@pytest.mark.parametrize("edit", ["the end, links kept", "links, rows kept", "a label gone"])
def test_a_service_that_goes_on_does_not_cover_an_edit(
    settled: Path, tmp_path: Path, edit: str
) -> None:
    """Numbers of rows that are gone are not given again."""
    path = copied(settled, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(EDITS[edit][0])
    with closing(SqliteLedger(path)) as ledger:
        append(ledger, decided("later"), decided("later still"))
        assert ledger.decision("later") is not None
        assert not ledger.verify().whole


def test_an_end_that_was_cut_off_with_its_links_shows_to_whoever_kept_the_head(
    settled: Path, tmp_path: Path
) -> None:
    """The ledger alone cannot know that it once was longer; an anchor kept elsewhere does."""
    path = copied(settled, tmp_path)
    with closing(SqliteLedger(path, write=False)) as ledger:
        head = ledger.verify().head
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "DELETE FROM labels; DELETE FROM decisions WHERE row_id > 290;"
            "DELETE FROM batches WHERE seq > 290"
        )
    with closing(SqliteLedger(path)) as ledger:
        assert ledger.verify().whole
        append(ledger, decided("later"))
        found = ledger.verify(anchor=head)
        assert not found.whole
        assert found.faults == (
            f"the anchor {head} is not in the chain: its end was cut off or replaced",
        )


def test_only_a_key_shows_an_edit_by_somebody_who_makes_the_links_again(tmp_path: Path) -> None:
    """Plain hashes find accidents; a secret finds whoever knows how the hashes are made."""
    secret, forger = tmp_path / "secret.db", tmp_path / "forged.db"
    with closing(SqliteLedger(secret, key=b"a secret of this service")) as ledger:
        append(ledger, decided("d1"), decided("d2"))
    with closing(SqliteLedger(forger)) as ledger:
        append(ledger, decided("d1"), decided("d2", answer="card"))
        assert ledger.verify().whole
    with closing(sqlite3.connect(secret)) as connection:
        connection.execute("ATTACH ? AS forged", (str(forger),))
        connection.executescript(
            "DELETE FROM decisions; INSERT INTO decisions SELECT * FROM forged.decisions;"
            "DELETE FROM batches; INSERT INTO batches SELECT * FROM forged.batches;"
        )
    with closing(SqliteLedger(secret, key=b"a secret of this service")) as ledger:
        assert ledger.verify().edited_batches == 2


@pytest.mark.parametrize(("made", "used"), [(b"k1", b"k2"), (b"k1", None), (None, b"k1")])
def test_a_chain_goes_on_with_the_key_that_it_was_begun_with(
    tmp_path: Path, made: bytes | None, used: bytes | None
) -> None:
    """A service with another key is refused; a reader reads, and may not call it verified."""
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path, key=made)) as ledger:
        append(ledger, decided("d1"))
    with pytest.raises(LedgerError, match="was begun with another key"):
        SqliteLedger(path, key=used)
    with closing(SqliteLedger(path, write=False, key=used)) as reader:
        assert ids(reader) == ["d1"]
        with pytest.raises(LedgerError, match="was begun with another key"):
            reader.verify()


# ---------------------------------------------------------------------------------------------
# Many at once


@pytest.mark.slow
def test_sixty_four_clients_are_written_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    """20,000 decisions: none lost, none doubled, each found at once, readers beside them."""
    path = tmp_path / "ledger.db"
    came: list[str] = []
    unseen: list[str] = []
    over = threading.Event()
    whole: list[bool] = []

    async def client(ledger: SqliteLedger, task: int) -> None:
        for n in range(313):
            name = f"{task}-{n}"
            came.append(name)
            await ledger.append(decided(name, key=name))
            if ledger.decision(name) is None or ledger.decision_by_key(name) is None:
                unseen.append(name)

    async def run(ledger: SqliteLedger) -> None:
        await asyncio.gather(*(client(ledger, task) for task in range(64)))

    with closing(SqliteLedger(path)) as ledger:

        def watch() -> None:
            while not over.is_set():
                whole.append(ledger.verify().whole and len(list(ledger.decisions())) >= 0)

        watchers = [threading.Thread(target=watch) for _ in range(2)]
        for watcher in watchers:
            watcher.start()
        asyncio.run(run(ledger))
        over.set()
        for watcher in watchers:
            watcher.join()
        assert ids(ledger) == came
        assert len(came) == 64 * 313
        assert unseen == []
        assert whole
        assert all(whole)
        found = ledger.verify()
        assert found.whole
        assert found.batches < len(came) / 2  # many share one flush


@contextmanager
def held_up(path: Path) -> Iterator[None]:
    """Keep the writer waiting, as a backup or a sqlite3 shell with an open transaction does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_the_row_of_a_client_that_has_gone_stands(tmp_path: Path) -> None:
    """Whoever gives up waiting breaks nothing, for itself or for those beside it."""
    path = tmp_path / "ledger.db"

    async def run(ledger: SqliteLedger) -> None:
        with held_up(path):
            tasks = [asyncio.create_task(ledger.append(decided(f"d{n}"))) for n in range(5)]
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in tasks)
            tasks[1].cancel()
            await asyncio.sleep(0)
            assert tasks[1].cancelled()
        await asyncio.gather(tasks[0], *tasks[2:])
        await ledger.append(decided("d1"))  # the client's retry

    with closing(SqliteLedger(path)) as ledger:
        asyncio.run(run(ledger))
        assert ids(ledger) == [f"d{n}" for n in range(5)]


def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    """A service that stops has answered all that it accepted."""
    path = tmp_path / "ledger.db"

    async def run(ledger: SqliteLedger) -> None:
        with held_up(path):
            tasks = [asyncio.create_task(ledger.append(decided(f"d{n}"))) for n in range(900)]
            await asyncio.sleep(0.05)
        ledger.close()
        await asyncio.gather(*tasks)

    asyncio.run(run(SqliteLedger(path)))
    with closing(SqliteLedger(path)) as ledger:
        assert ledger.counts().decisions == 900
        assert ledger.verify().whole


def test_an_event_loop_that_is_closed_meanwhile_stops_nobody_else(tmp_path: Path) -> None:
    """The writer finds nobody to tell, and goes on with the next."""
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        loop = asyncio.new_event_loop()
        with held_up(path):
            task = loop.create_task(ledger.append(decided("d1")))
            loop.run_until_complete(asyncio.sleep(0.05))
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
            loop.close()
        append(ledger, decided("d2"))
        assert ids(ledger) == ["d1", "d2"]


def test_one_key_that_many_use_at_once_is_one_decision(tmp_path: Path) -> None:
    """Everybody else is told whose it is, and their neighbours are written."""
    path = tmp_path / "ledger.db"

    async def run(ledger: SqliteLedger) -> list[BaseException | None]:
        with held_up(path):
            calls = [ledger.append(decided(f"d{n}", key="k")) for n in range(20)]
            calls += [ledger.append(decided("same", key="s")) for _ in range(20)]
            tasks = [asyncio.create_task(call) for call in calls]
            await asyncio.sleep(0.05)
        return await asyncio.gather(*tasks, return_exceptions=True)

    with closing(SqliteLedger(path)) as ledger:
        results = asyncio.run(run(ledger))
        assert [result is None for result in results] == [True] + [False] * 19 + [True] * 20
        assert all("belongs to decision d0" in str(result) for result in results[1:20])
        assert len({id(result) for result in results[1:20]}) == 19
        assert ids(ledger) == ["d0", "same"]
        assert ledger.verify().whole


@pytest.mark.slow
def test_a_program_that_holds_the_file_for_long_is_named(tmp_path: Path) -> None:
    """After five seconds every waiting append is refused; when it lets go, writing goes on."""
    path = tmp_path / "ledger.db"

    async def run(ledger: SqliteLedger) -> list[BaseException | None]:
        return await asyncio.gather(
            *(ledger.append(decided(f"d{n}")) for n in range(2)), return_exceptions=True
        )

    with closing(SqliteLedger(path)) as ledger:
        with held_up(path):
            refused = asyncio.run(run(ledger))
        assert all("another program holds" in str(error) for error in refused)
        assert ids(ledger) == []
        assert asyncio.run(run(ledger)) == [None, None]


def test_a_service_that_finds_rows_added_beside_it_goes_on_and_verification_shows_them(
    tmp_path: Path,
) -> None:
    """Somebody's INSERT in a shell costs no decision."""
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        append(ledger, decided("d1"))
        with closing(sqlite3.connect(path)) as other:
            other.executescript(
                "INSERT INTO decisions SELECT 2, 'x', at_us, plan, tier, 0, 0, 0, NULL, slices, "
                "'x', answer, request, body, salt FROM decisions WHERE row_id = 1"
            )
        append(ledger, decided("d2"), decided("d3"))
        assert ledger.decision("d2") == decided("d2")
        assert not ledger.verify().whole
