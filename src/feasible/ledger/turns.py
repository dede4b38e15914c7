"""Whose turn it is to write, where several processes write one ledger."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from feasible.errors import LedgerError

__all__ = ["Turn"]


class Turn:
    """A lock of the operating system that writers wait for one after the other.

    SQLite has a lock of its own, which is what keeps writers apart; but whoever waits for that one
    sleeps and looks again, and a process that waits for this one is woken at once.

    Args:
        path: The ledger's file; the lock is the file beside it that ends in `.turn`.

    Raises:
        LedgerError: The folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(f"{path.name}.turn")
        try:
            self._file: BinaryIO = self.path.open("ab", buffering=0)
        except OSError as error:
            raise LedgerError(
                f"cannot write the ledger {path}",
                found=f"{error.strerror}: {self.path}",
                attempt="make the folder writable for this user",
            ) from error
        # A forked child shares this descriptor, and with it the turn that its parent has.
        os.register_at_fork(after_in_child=self._file.close)

    def __enter__(self) -> None:
        """Wait for the turn."""
        with suppress(OSError):  # without it SQLite's own lock still keeps writers apart
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the next one write."""
        with suppress(OSError, ValueError):
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file, which stays: removed, it would be two locks."""
        self._file.close()
