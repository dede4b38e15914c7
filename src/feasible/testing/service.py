"""A service in a process of its own, as `feasible serve` runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feasible.errors import FeasibleError

__all__ = ["Service", "running_service"]

_STOP_S: Final = 60.0


@dataclass(slots=True)
class Service:
    """A service that runs.

    Attributes:
        url: Where it listens, as `http://host:port`.
        process: Its process; what it prints goes to the process's `stdout`.
    """

    url: str
    process: subprocess.Popen[str]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop, wait, and give its exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=_STOP_S)
        return self.process.returncode


@contextmanager
def running_service(
    feature: str,
    *,
    ledger: str | None = None,
    workers: int = 1,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Iterator[Service]:
    """Start a service on a free port; when the block ends it is told to stop, or else killed.

    Args:
        feature: Folder of a feature that has a plan, or the name of a reference system.
        ledger: URL of its ledger; the feature's own when absent.
        workers: Processes that answer.
        folder: Where it starts; here when absent.
        environment: Its environment; ours when absent.
        options: More options of `feasible serve`.

    Raises:
        FeasibleError: It ended before it listened.
    """
    command = [sys.executable, "-m", "feasible", "serve", feature, "--port", "0"]
    command += options
    command += [] if ledger is None else ["--ledger", ledger]
    command += [] if workers == 1 else ["--workers", str(workers)]
    process = subprocess.Popen(  # noqa: S603  our own command line
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=None if environment is None else dict(environment),
    )
    try:
        assert process.stdout is not None  # noqa: S101  asked for above
        line = process.stdout.readline()
        if "http://" not in line:
            said = f"{line}{process.stdout.read()}".strip()
            raise FeasibleError(f"the service of {feature} did not start", found=said or None)
        yield Service("http://" + line.split("http://", 1)[1].split()[0], process)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
