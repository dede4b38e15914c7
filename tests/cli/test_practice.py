"""The mock interview as somebody holds it: in a terminal, cut off, and gone on with."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

INTERVIEW = Path(__file__).parents[1] / "scenarios" / "interviews" / "12.txt"


def _answers() -> list[str]:
    """Give what the candidate of one interview says, each line with its time."""
    lines = []
    for line in INTERVIEW.read_text(encoding="utf-8").splitlines():
        at, who, said = line.split(" ", 2)
        if who == "candidate:":
            lines.append(f"{at} {said}")
    return lines


class _Terminal:
    """`feasible practice` in a terminal of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.master, worker = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "feasible", "practice", "fraud", *options],
            stdin=worker,
            stdout=worker,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
        )
        os.close(worker)
        self.shown = ""

    def read_until(self, words: str, *, within_s: float = 60.0) -> None:
        end = time.monotonic() + within_s
        while words not in self.shown:
            assert time.monotonic() < end, f"no {words!r} in {self.shown[-800:]!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.master, 65536).decode(errors="replace")
                except OSError:  # the terminal is gone with its process
                    return

    def type(self, line: str) -> None:
        os.write(self.master, line.encode() + b"\n")


def _hold(folder: Path, *, kill_after: int | None) -> dict[str, Any]:
    """Hold the whole interview; when told to, kill it after so many answers and go on."""
    kept = folder / "kept.jsonl"
    options = [
        "--mode",
        "exam",
        "--clock",
        "typed",
        "--seed",
        "4",
        "--session",
        str(kept),
        "--json",
    ]
    terminal = _Terminal(folder, *options)
    terminal.read_until("minute 7")
    for index, line in enumerate(_answers()):
        if index == kill_after:
            os.kill(terminal.process.pid, signal.SIGKILL)
            terminal.process.wait()
            terminal = _Terminal(folder, *options, "--resume")
            terminal.read_until("Design AI screening")
        terminal.type(line)
        _wait_for(kept, records=index + 1)
    terminal.type("45:00 /time")
    terminal.read_until('"reference"')
    terminal.process.wait(timeout=60)
    terminal.read_until("\n}", within_s=5)
    text = terminal.shown.replace("\r\n", "\n")
    found: dict[str, Any] = json.loads(text[text.index("\n{\n") :])
    return found


def _wait_for(kept: Path, *, records: int) -> None:
    end = time.monotonic() + 60
    while kept.read_text(encoding="utf-8").count('"kind":"said"') < records:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_an_interview_that_was_killed_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """Forty-five minutes in fast time, in a terminal: a kill -9 in the middle changes nothing."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    uninterrupted = _hold(whole, kill_after=None)
    resumed = _hold(cut, kill_after=9)
    assert resumed == uninterrupted
    assert uninterrupted["score"] > 0
    assert any(judged["quotes"] for judged in uninterrupted["criteria"])
    asked = [json.loads(line) for line in (cut / "kept.jsonl").read_text().splitlines()]
    kinds = [record["kind"] for record in asked]
    assert kinds.count("twist") == 2
    assert kinds.count("asked") == 4
    assert kinds[-1] == "ended"
