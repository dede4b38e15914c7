"""Runs a peer's script in the peer's own environment, and gives what it prints."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from bench.peers.environment import PeerFailed, environment, last_words

__all__ = ["pinned", "run_monitor"]

_HERE = Path(__file__).parent
_QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}


def pinned(name: str) -> str:
    """Give the version of a peer that is pinned."""
    lines = (_HERE / name / "requirements.txt").read_text().splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{name}=="))


def run_monitor(name: str, script: str, *arguments: Path) -> Any:
    """Run a script of a peer; give the JSON of its last line.

    Raises:
        PeerFailed: It could not be installed, or did not end well.
    """
    python = environment(_HERE / name)
    done = subprocess.run(
        [str(python), str(_HERE / name / script), *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **_QUIET, "PYTHONPATH": str(_HERE)},
    )
    if done.returncode:
        raise PeerFailed(f"{name} did not end well: {last_words(done.stderr)}")
    return json.loads(done.stdout.splitlines()[-1])
