"""From a URL to an open file: where it is, whose it is, whether it is whole."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from feasible.errors import BadInput, EngineMissing, LedgerDamaged, LedgerError, LedgerLocked
from feasible.ledger.chain import Chain
from feasible.ledger.faults import spoken
from feasible.ledger.tables import APPLICATION_ID, FORMAT, META, SCHEMA, Row

__all__ = [
    "KEY_NAME",
    "ServiceLock",
    "check_key",
    "check_name",
    "connect",
    "create",
    "ledger_path",
    "look_over",
    "wal_of",
]

_OTHER_ENGINES: Final = ("postgresql", "postgres", "mysql", "duckdb", "redis", "mongodb")
KEY_NAME: Final = "FEASIBLE_LEDGER_KEY"
"""Environment variable with the secret of the chain."""
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
    if name == ":memory:":
        raise BadInput(
            f"{url!r} names no file",
            found="memory keeps nothing",
            attempt="name a file: sqlite:///decisions.db",
        )
    return Path(name)


def check_name(path: Path) -> None:
    """Refuse a name behind which no file can be: a folder, or a device such as /dev/null.

    Raises:
        BadInput: It is one.
        LedgerError: It cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise LedgerError(
            f"cannot open the ledger {path}",
            found=error.strerror,
            attempt="check the name after --ledger, and that this user may enter its folder",
        ) from error
    if not stat.S_ISREG(mode):
        raise BadInput(
            f"{path} is not a file",
            found="a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket",
            attempt="name a file: sqlite:///decisions.db",
        )


def wal_of(path: Path) -> Path:
    """Give the name of the log that SQLite keeps beside a file."""
    return path.with_name(f"{path.name}-wal")


class ServiceLock:
    """The right to write a ledger: a lock of the operating system, gone with its process.

    Args:
        path: The ledger's file; the lock is the file beside it that ends in `.lock`.
        given: Descriptor of that lock, inherited from the process that took it; None takes it.

    Raises:
        LedgerLocked: Another process, or another ledger object of this one, holds it.
        LedgerError: The folder cannot be written.
    """

    def __init__(self, path: Path, *, given: int | None = None) -> None:
        self.path = path.with_name(f"{path.name}.lock")
        try:
            _make_folder(path.parent)
            self._file: BinaryIO = self._open(given)
        except OSError as error:
            raise _unwritable(path, error) from error
        holder = ""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            with suppress(OSError), self.path.open("rb") as file:
                holder = file.read(200).decode(errors="replace").strip()
            if not isinstance(error, BlockingIOError):
                raise _unwritable(path, error) from error
            raise LedgerLocked(
                f"another service writes the ledger {path}",
                asked=f"the lock {self.path}",
                found=f"held by {holder or 'another process'}",
                attempt="stop that service, give this one its own --ledger, or read beside it: "
                "`feasible watch` and `feasible ledger verify` need no lock",
            ) from error
        # A forked child would hold the lock for as long as it outlives this process.
        os.register_at_fork(after_in_child=self._file.close)
        if given is not None:
            return
        with suppress(OSError):  # only tells the next one who it is; a full disk may forbid it
            self._file.truncate(0)
            note = f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n"
            self._file.write(note.encode())

    def _open(self, given: int | None) -> BinaryIO:
        """Open the lock's file; a descriptor of it that was given shares what its giver holds."""
        if given is None:
            return self.path.open("ab+", buffering=0)
        shared = os.fdopen(os.dup(given), "ab+", buffering=0)
        if os.path.samestat(os.fstat(given), self.path.stat()):
            return shared
        shared.close()
        raise LedgerError(
            f"descriptor {given} is not the lock of this ledger",
            asked=f"a descriptor of {self.path}",
            attempt="start workers with `feasible serve NAME --workers N`",
        )

    def fileno(self) -> int:
        """Give its descriptor, which a worker inherits."""
        return self._file.fileno()

    def release(self) -> None:
        """Let others write. The file stays: removing it would let two services hold two locks."""
        self._file.close()


def _make_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that they are there after a power failure too."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"cannot write the ledger {path}",
        found=f"{error.strerror or error}: {error.filename or path}",
        attempt="make the folder writable for this user, or name another place with --ledger",
    )


def look_over(path: Path, *, write: bool = True) -> bool:
    """Look at a file before anything opens it, so that no other program's database is touched.

    Args:
        path: The file.
        write: Whether it will be opened for writing, which brings an older format up to date.

    Returns:
        Whether a ledger is there; False when there is no file, or an empty one.

    Raises:
        LedgerDamaged: There is something else.
        LedgerError: It cannot be read.
    """
    asked = "a SQLite database written by feasible"
    try:
        if not path.exists() or not path.stat().st_size:
            return False
        # SQLite reads it, and not we: closing a file takes all locks of this process from it, also
        # those of a ledger that is open in this process, whose log another program then removes.
        connection = _open(path, "ro")
        try:
            application, version = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version")
            )
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname != "SQLITE_NOTADB":
            raise spoken(error, path, doing="open") from error
        raise LedgerDamaged(
            f"{path} is not a ledger",
            asked=asked,
            found=f"{path.stat().st_size:,} bytes that do not begin like a SQLite database",
            attempt="check the name after --ledger; nothing was changed",
        ) from error
    if application != APPLICATION_ID:
        raise LedgerDamaged(
            f"{path} is not a ledger",
            asked=asked,
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
    if version < FORMAT and not write:
        raise LedgerError(
            f"{path} was written by an older version of feasible",
            asked=f"ledger format {FORMAT}",
            found=f"format {version}",
            attempt="serve it once, or take labels into it: that brings it up to date",
        )
    return True


def check_key(meta: Iterable[Row], chain: Chain, path: Path) -> None:
    """Refuse another secret than the chain was begun with.

    Args:
        meta: Names and values of the ledger's own table.
        chain: With the secret that this process has.
        path: The ledger's file, for error texts.

    Raises:
        LedgerDamaged: The ledger no longer says how its chain is made.
        LedgerError: The secret is another one.
    """
    found: dict[str, str] = dict(meta)
    if "chain" not in found or "key_check" not in found:
        raise LedgerDamaged(f"{path} is damaged", found="how its chain is made is missing")
    if found["key_check"] == chain.check_value():
        return
    keyed = found["chain"] != "sha256"
    raise LedgerError(
        f"the ledger {path} was begun with another key",
        asked=f"the key in {KEY_NAME}" if chain.key else f"no key ({KEY_NAME} is not set)",
        found="a chain keyed with a secret" if keyed else "a chain without a key",
        attempt=f"set {KEY_NAME} to that secret" if keyed else f"unset {KEY_NAME}",
    )


def create(path: Path, chain: Chain) -> None:
    """Make an empty ledger that is there whole or not at all, even if the power fails.

    Raises:
        LedgerError: It cannot be written.
    """
    wal = wal_of(path)
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
            for statement in ("BEGIN", *META, *SCHEMA, "COMMIT"):
                connection.execute(statement)
            kind = "sha256" if chain.key is None else "hmac-sha256"
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [("chain", kind), ("key_check", chain.check_value())],
            )
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        part.replace(path)
        _flush_folder(path.parent)
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
    if write and not os.access(path, os.W_OK):  # SQLite would quietly open it for reading only
        raise LedgerError(
            f"cannot write the ledger {path}",
            found="the file is read-only for this user",
            attempt="make the file writable for this user, or name another place with --ledger",
        )
    try:
        connection = _open(path, "rw" if write else "ro")
        try:
            if check:
                _check(connection, path)
            if write:
                for pragma in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
                    connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise spoken(error, path, doing="write" if write else "open") from error
    return connection


def _open(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file; one that nobody writes, in a folder that may not be written, as it lies."""
    connection = _connection(f"{_address(path)}?mode={mode}")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        connection.close()
        wal = wal_of(path)
        is_shut = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        if not is_shut or mode == "rw" or (wal.exists() and wal.stat().st_size):
            raise
        connection = _connection(f"{_address(path)}?mode=ro&immutable=1")
    return connection


def _address(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}"


def _connection(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=600,  # one per size of batch and table, and the queries beside them
        timeout=5.0,
    )
    # Text with a damaged byte is read all the same, so that a verification can name its row.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    return connection


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
