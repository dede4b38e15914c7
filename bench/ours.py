"""Our service on the server's core, as `feasible serve` starts it."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from bench.cores import SERVER_CORE, on_core

from feasible.testing import Call, post

__all__ = ["Ours", "decide", "running_ours", "verified"]

_START_S, _STOP_S = 60.0, 60.0


@dataclass(frozen=True)
class Ours:
    """Our service while it runs.

    Attributes:
        url: Where it listens.
        pid: Its process.
        ledger: URL of its ledger.
    """

    url: str
    pid: int
    ledger: str


@contextmanager
def running_ours(feature: Path, *, options: Sequence[str] = ()) -> Iterator[Ours]:
    """Serve a feature with a ledger beside it; what the service prints goes to a file there.

    Args:
        feature: Its folder, with a plan.
        options: More options of `feasible serve`.

    Raises:
        RuntimeError: It did not start.
    """
    ledger = f"sqlite:///{feature.parent / 'decisions.db'}"
    said = feature.parent / "said.txt"
    command = [sys.executable, "-m", "feasible", "serve", str(feature), "--port", "0"]
    command += ["--ledger", ledger, *options]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with said.open("w", encoding="utf-8") as output, on_core(SERVER_CORE):
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Ours(_address(process, said), process.pid, ledger)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def decide(url: str, text: str, team: str) -> Call:
    """Give the request that asks for the team of a text."""
    body = msgspec.json.encode({"request": {"text": text}})
    return post(f"{url}/v1/decide", body, expected=f'"answer":"{team}"'.encode())


def verified(ledger: str) -> tuple[int, bool]:
    """Give how many decisions a ledger holds, and whether it is whole."""
    command = [sys.executable, "-m", "feasible", "ledger", "verify", "--ledger", ledger]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    words = done.stdout.replace(",", "").split()
    return max((int(w) for w in words if w.isdigit()), default=0), done.returncode == 0


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s and process.poll() is None:
        text = said.read_text(encoding="utf-8")
        if "http://" in text and text.endswith("\n"):
            return "http://" + text.split("http://", 1)[1].split()[0]
        time.sleep(0.05)
    raise RuntimeError(f"the service did not start: {said.read_text(encoding='utf-8')}")
