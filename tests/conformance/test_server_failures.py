"""What a service says when its ledger, its models or its labels are not what they should be."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from feasible.ledger import open_ledger
from feasible.testing import running_service

pytestmark = pytest.mark.slow  # each starts services of its own

Start = Callable[..., Any]
Run = Callable[..., subprocess.CompletedProcess[str]]
GIVE_SPACE = 64 * 2**20


def decide(server: Any, text: str) -> httpx.Response:
    """Ask one question."""
    body = {"request": {"text": text}}
    return httpx.post(f"{server.url}/v1/decide", json=body, timeout=30)


@pytest.fixture(scope="module")
def whole_ledger(odd_feature: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A ledger that a service wrote and closed, large enough to be cut."""
    path = tmp_path_factory.mktemp("whole") / "decisions.db"
    with running_service(str(odd_feature), ledger=f"sqlite:///{path}") as service:
        for i in range(60):
            body = {"request": {"text": f"colour {i}"}}
            assert httpx.post(f"{service.url}/v1/decide", json=body, timeout=30).status_code == 200
        assert service.stop() == 0
    return path.read_bytes()


@pytest.fixture
def written(whole_ledger: bytes, tmp_path: Path) -> Path:
    """A copy of that ledger."""
    folder = tmp_path / "kept"
    folder.mkdir()
    path = folder / "decisions.db"
    path.write_bytes(whole_ledger)
    return path


def digest(path: Path) -> str:
    """Give what a file holds, as a hash."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:50],
        lambda _whole: b"not a ledger at all, but a text that somebody put there\n" * 200,
        lambda whole: whole[:4096] + b"\x00" * 8192 + whole[12288:],
    ],
    ids=["cut in half", "a few bytes", "another file", "a hole"],
)
def test_a_half_written_ledger_is_refused_and_left_as_it_is(
    written: Path, cli: Run, odd_feature: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Nothing is served on it, nothing is repaired behind anybody's back, nothing is lost."""
    written.write_bytes(damage(written.read_bytes()))
    before = digest(written)

    served = cli("serve", str(odd_feature), "--port", "0", "--ledger", f"sqlite:///{written}")
    verified = cli("ledger", "verify", "--ledger", f"sqlite:///{written}")

    assert served.returncode == 2, served.stdout + served.stderr
    assert "LedgerDamaged" in served.stderr
    assert "  try" in served.stderr
    assert verified.returncode in {2, 3}
    assert digest(written) == before


def test_a_full_disk_refuses_requests_and_goes_on_once_there_is_space(
    start: Start,
) -> None:
    """503 with Retry-After, and nothing acknowledged; no restart is needed afterwards."""
    server = start()
    path = Path(server.ledger.removeprefix("sqlite:///"))
    told = [decide(server, "colour").json()["decision_id"]]
    wal = path.with_name(f"{path.name}-wal")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    largest = max(path.stat().st_size, wal.stat().st_size) + 20_000
    # No file of the service may grow beyond this: what a full disk is to SQLite.
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (largest, hard))
    refused = None
    for i in range(200):
        reply = decide(server, f"colour {i} {'x' * 500}")
        if reply.status_code != 200:
            refused = reply
            break
        told.append(reply.json()["decision_id"])
    assert refused is not None
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert "ledger" in refused.json()["title"]
    assert httpx.get(f"{server.url}/healthz").status_code == 200

    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (GIVE_SPACE, hard))
    again = decide(server, "colour at last")
    assert again.status_code == 200, again.text
    assert server.stop() == 0
    reading = open_ledger(server.ledger, write=False)
    assert all(reading.decision(one) for one in [*told, again.json()["decision_id"]])
    assert reading.verify().whole
    reading.close()


def test_a_read_only_ledger_is_refused_at_the_start(written: Path, odd_feature: Path) -> None:
    """A service says so before its first request; reading it still works."""
    sandbox = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None:
        pytest.skip("no `unshare` here: a read-only disk cannot be mounted (util-linux)")
    if subprocess.run([*sandbox, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system does not let a test mount anything")
    shell = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    ledger = f"sqlite:///{written}"
    feasible = [sys.executable, "-m", "feasible"]

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        command = [*sandbox, "sh", "-c", shell, "sh", str(written.parent), *feasible, *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    served = run("serve", str(odd_feature), "--port", "0", "--ledger", ledger)
    verified = run("ledger", "verify", "--ledger", ledger)

    assert served.returncode == 2, served.stdout + served.stderr
    assert "cannot write the ledger" in served.stderr
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_model_file_with_another_hash_is_never_loaded(tmp_path: Path, cli: Run) -> None:
    """The certificate was given to a model with one content; another one is not served."""
    folder = tmp_path / "triage"
    assert cli("new", str(folder)).returncode == 0
    assert cli("plan", str(folder), "--quiet").returncode == 0
    stored = [path for path in (folder / ".feasible" / "models").rglob("*") if path.is_file()]
    with max(stored, key=os.path.getsize).open("ab") as file:
        file.write(b"\0")

    served = cli("serve", str(folder), "--port", "0")

    assert served.returncode == 2, served.stdout + served.stderr
    assert "ModelFileError" in served.stderr
    assert "  try" in served.stderr


def test_a_plan_for_another_brief_is_not_served(tmp_path: Path, cli: Run) -> None:
    """A promise that was changed after the plan was made is not kept by it."""
    folder = tmp_path / "triage"
    assert cli("new", str(folder)).returncode == 0
    assert cli("plan", str(folder), "--quiet").returncode == 0
    brief = folder / "brief.yaml"
    text = brief.read_text(encoding="utf-8")
    brief.write_text(text.replace("at_least: 0.85", "at_least: 0.99"), encoding="utf-8")

    served = cli("serve", str(folder), "--port", "0")

    assert served.returncode == 2
    assert "another brief" in served.stderr
    assert f"feasible plan {folder.name}" in served.stderr


def test_labels_from_a_file_are_told_apart_and_none_is_lost(
    written: Path, cli: Run, odd_feature: Path, tmp_path: Path
) -> None:
    """An unknown decision fails the command and not the other labels; twice is once."""
    ledger = f"sqlite:///{written}"
    reading = open_ledger(ledger, write=False)
    ids = [decision.decision_id for decision in reading.decisions()]
    reading.close()
    file = tmp_path / "labels.csv"
    lines = [f"{one},red,human,2026-11-01T08:00:00Z" for one in [*ids[:3], "nowhere", ids[0]]]
    file.write_text("\n".join(["decision_id,value,source,known_at", *lines]), encoding="utf-8")
    bad = tmp_path / "bad.csv"
    bad.write_text("decision_id,value,sorce,known_at\nx,red,human,now\n", encoding="utf-8")

    first = cli("label", str(odd_feature), str(file), "--ledger", ledger, "--json")
    second = cli("label", str(odd_feature), str(file), "--ledger", ledger, "--json")
    refused = cli("label", str(odd_feature), str(bad), "--ledger", ledger)
    watched = cli("watch", str(odd_feature), "--ledger", ledger, "--json")

    assert first.returncode == 2
    assert json.loads(first.stdout) == {"stored": 3, "unknown_decision": 1, "duplicate": 1}
    assert "not in this ledger" in first.stderr
    assert json.loads(second.stdout) == {"duplicate": 4, "unknown_decision": 1}
    assert refused.returncode == 2
    assert "bad.csv:1" in refused.stderr
    assert "source" in refused.stderr
    rows = {row["objective"]: row for row in json.loads(watched.stdout)["objectives"]}
    assert rows["accuracy"]["n"] == 3
    assert rows["accuracy"]["note"].startswith("too early to say")
    assert watched.returncode == 4
