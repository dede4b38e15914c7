"""From a URL to an open file: where it is, whose it is, whether it is whole."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from feasible.errors import BadInput, EngineMissing, LedgerDamaged, LedgerError, LedgerLocked
from feasible.ledger.chain import Chain
from feasible.ledger.faults import spoken
from feasible.ledger.tables import APPLICATION_ID, FORMAT, SCHEMA

__all__ = ["ServiceLock", "connect", "create", "ledger_path", "look_over"]

_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100
_OTHER_ENGINES: Final = ("postgresql", "postgres", "mysql", "duckdb", "redis", "mongodb")
_CHECK_S: Final = 1.0
"""Longest that opening a ledger checks its pages; larger files are checked as far as that goes."""


def ledger_path(url: str) -> Path:
    """Give the file that a ledger URL names, as SQLAlchemy writes them.

    Raises:
        BadInput: It is not such a URL.
        EngineMissing: It names an engine that this version does not have.

    Examples:
        >>> ledger_path("sqlite:///here.db"), ledger_path("sqlite:////var/lib/there.db")
        (PosixPath('here.db'), PosixPath('/var/lib/there.db'))
    """
    scheme, colon, rest = url.partition("://")
    engine = scheme.split("+")[0].lower()
    if colon and engine in _OTHER_ENGINES:
        raise EngineMissing(
            f"this version keeps ledgers in SQLite, not in {engine}",
            asked=url.rpartition("@")[2] if "@" in url else url,
            attempt="sqlite:///decisions.db (in this folder) or sqlite:////var/lib/decisions.db",
        )
    name = rest.removeprefix("/")
    if not colon or scheme != "sqlite" or not rest.startswith("/") or not name or "?" in name:
        path = rest.lstrip("/") if colon else url
        raise BadInput(
            f"{url!r} is not the URL of a ledger",
            asked="sqlite:///relative.db or sqlite:////absolute.db",
            attempt=f"sqlite:///{path.partition('?')[0] or 'decisions.db'}",
        )
    if name == ":memory:" or Path(name).is_dir():
        raise BadInput(
            f"{url!r} names no file",
            found="memory keeps nothing" if name == ":memory:" else f"{name} is a folder",
            attempt="name a file: sqlite:///decisions.db",
        )
    return Path(name)


class ServiceLock:
    """The right to write a ledger: a lock of the operating system, gone with its process.

    Args:
        path: The ledger's file; the lock is the file beside it that ends in `.lock`.

    Raises:
        LedgerLocked: Another process, or another ledger object of this one, holds it.
        LedgerError: The folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(f"{path.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = self.path.open("a+", encoding="utf-8")
        except OSError as error:
            raise LedgerError(
                f"cannot write the ledger {path}",
                found=f"{error.strerror or error}: {error.filename}",
                attempt="make the folder writable for this user, or name another with --ledger",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(200).strip() or "another process"
            self._file.close()
            raise LedgerLocked(
                f"another service writes the ledger {path}",
                asked=f"the lock {self.path}",
                found=f"held by {holder}",
                attempt="stop that service, give this one its own --ledger, or read beside it: "
                "`feasible watch` and `feasible ledger verify` need no lock",
            ) from error
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")
        self._file.flush()

    def release(self) -> None:
        """Let others write. The file stays: removing it would let two services hold two locks."""
        self._file.close()


def look_over(path: Path) -> bool:
    """Look at a file before anything opens it, so that no other program's database is touched.

    Returns:
        Whether a ledger is there; False when there is no file, or an empty one.

    Raises:
        LedgerDamaged: There is something else.
        LedgerError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LedgerError(
            f"cannot read the ledger {path}",
            found=error.strerror,
            attempt="check that this user may read it",
        ) from error
    if not header:
        return False
    if header[: len(_MAGIC)] != _MAGIC or len(header) < _HEADER_BYTES:
        raise LedgerDamaged(
            f"{path} is not a ledger",
            asked="a SQLite database written by feasible",
            found=f"{path.stat().st_size:,} bytes that do not begin like a SQLite database",
            attempt="check the name after --ledger; nothing was changed",
        )
    version = int.from_bytes(header[60:64], "big")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise LedgerDamaged(
            f"{path} is not a ledger",
            asked="a SQLite database written by feasible",
            found="a SQLite database of another application",
            attempt="give --ledger a file of its own; nothing was changed",
        )
    if version > FORMAT:
        raise LedgerDamaged(
            f"{path} was written by a newer version of feasible",
            asked=f"ledger format {FORMAT} or older",
            found=f"format {version}",
            attempt="update feasible on this machine; nothing was changed",
        )
    return True


def create(path: Path, chain: Chain) -> None:
    """Make an empty ledger that is there whole or not at all, even if the power fails.

    Raises:
        LedgerError: It cannot be written.
    """
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists() and wal.stat().st_size:
        raise LedgerDamaged(
            f"the ledger {path} is gone and its log is still there",
            found=f"{wal}, {wal.stat().st_size:,} bytes",
            attempt="put the file back beside its log, or move the log away to begin anew",
        )
    part = path.with_name(f".{path.name}.new")
    try:
        part.unlink(missing_ok=True)
        connection = sqlite3.connect(part, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(f"BEGIN;{SCHEMA}COMMIT;")
            kind = "sha256" if chain.key is None else "hmac-sha256"
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [("chain", kind), ("key_check", chain.check_value())],
            )
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except sqlite3.Error as error:
        raise spoken(error, path, doing="create") from error
    except OSError as error:
        raise LedgerError(
            f"cannot create the ledger {path}",
            found=error.strerror,
            attempt="check the folder's rights and the disk's free space",
        ) from error


def connect(path: Path, *, write: bool, check: bool = True) -> sqlite3.Connection:
    """Open the file and check that it is whole.

    Args:
        path: The ledger's file.
        write: Whether rows will be added.
        check: Look at its pages, for a bounded time.

    Raises:
        LedgerDamaged: Pages are missing or make no sense.
        LedgerError: It cannot be opened.
    """
    try:
        if write:
            path.open("r+b").close()  # SQLite would quietly open it for reading only
        connection = _open(path, "rw" if write else "ro")
        try:
            if check:
                _check(connection, path)
            if write:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise spoken(error, path, doing="open") from error
    except OSError as error:
        raise LedgerError(
            f"cannot write the ledger {path}",
            found=error.strerror,
            attempt="make the file writable for this user, or name another place with --ledger",
        ) from error
    return connection


def _open(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file; one that nobody writes, in a folder that may not be written, as it lies."""
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"
    connection = _connection(address)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        wal = path.with_name(f"{path.name}-wal")
        if mode == "rw" or (wal.exists() and wal.stat().st_size):
            raise
        connection = _connection(f"{address}&immutable=1")
    return connection


def _connection(address: str) -> sqlite3.Connection:
    return sqlite3.connect(
        address,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=600,  # one per size of batch and table, and the queries beside them
        timeout=5.0,
    )


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Let SQLite check its pages, for a bounded time."""
    give_up = time.monotonic() + _CHECK_S
    connection.set_progress_handler(lambda: int(time.monotonic() > give_up), 20_000)
    try:
        said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_INTERRUPT":
            raise
        said = ["ok"]
    finally:
        connection.set_progress_handler(None, 0)
    if said != ["ok"]:
        raise LedgerDamaged(
            f"{path} is damaged",
            found="; ".join(line.splitlines()[-1] for line in said),
            attempt="keep this file and put back a copy, or begin a new ledger under another name",
        )
