"""What SQLite says went wrong, as errors that say what to try."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from feasible.errors import LedgerDamaged, LedgerError

__all__ = ["reading", "spoken"]

_RESTORE: Final = (
    "keep this file, put back a copy, or begin a new ledger under another name and read what is "
    "left of this one with `sqlite3 FILE .recover`"
)
_REMEDIES: Final = {
    "SQLITE_FULL": (
        "the disk is full",
        "free space on that disk; the service takes it from there, without a restart",
    ),
    "SQLITE_READONLY": (
        "the file or its folder is read-only",
        "make both writable for this user, or name another place with --ledger",
    ),
    "SQLITE_CANTOPEN": (
        "the file, or one beside it (-wal, -shm), cannot be opened",
        "check that the folder exists and that this user may read and write there",
    ),
    "SQLITE_IOERR": (
        "the disk did not do what it was asked",
        "check its free space and its health; the service tries again with every decision",
    ),
    "SQLITE_BUSY": (
        "another program holds the file's write lock",
        "close the program that writes to it (a sqlite3 shell, a backup)",
    ),
}
_DAMAGED: Final = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}


def spoken(error: sqlite3.Error, path: Path, *, doing: str) -> LedgerError:
    """Give our error for one of SQLite's.

    Args:
        error: What SQLite raised.
        path: The ledger's file.
        doing: What was being done, for example `write a decision to`.
    """
    name = str(getattr(error, "sqlite_errorname", None) or type(error).__name__)
    group = "_".join(name.split("_")[:2])
    if group in _DAMAGED:
        return LedgerDamaged(
            f"{path} is damaged", asked=f"to {doing} it", found=str(error), attempt=_RESTORE
        )
    found, attempt = _REMEDIES.get(group, (None, None))
    detail = f"{error} ({name})"
    return LedgerError(
        f"cannot {doing} the ledger {path}",
        found=f"{found}: {detail}" if found else detail,
        attempt=attempt,
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what SQLite raises while a ledger is read into our errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise spoken(error, path, doing="read") from error
