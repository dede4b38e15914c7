"""An environment of its own for each peer, with every version pinned.

It is made from the `requirements.txt` of the peer's folder, in `.venv-peers/NAME`, and is kept
until that file changes.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["PeerFailed", "environment", "last_words"]

_ENVIRONMENTS = Path(__file__).parents[2] / ".venv-peers"
_SAID = 300


class PeerFailed(Exception):
    """A peer could not be installed, or did not answer rightly."""


def environment(folder: Path) -> Path:
    """Give the interpreter of a peer's environment, which is made when it is not there.

    Args:
        folder: With the peer's `requirements.txt`; its name is that of the environment.

    Raises:
        PeerFailed: It cannot be installed here.
    """
    requirements = folder / "requirements.txt"
    where = _ENVIRONMENTS / folder.name
    python, stamp = where / "bin" / "python", where / "ready"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(where, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    install = (
        [str(uv), "pip", "install", "--quiet", "--python", str(python)]
        if uv.exists()
        else [str(python), "-m", "pip", "install", "--quiet"]
    )
    for command in (
        [sys.executable, "-m", "venv", str(where)],
        [*install, "-r", str(requirements)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerFailed(f"cannot be installed: {last_words(done.stderr or done.stdout)}")
    stamp.write_text(wanted)
    return python


def last_words(text: str) -> str:
    """Give the last line that says something, for a cell of a table."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "it said nothing")[:_SAID].replace("|", "/")
