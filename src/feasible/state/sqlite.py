"""The state that the workers of one machine share: a SQLite file beside the ledger.

It is not synced to the disk: a killed process leaves it as it was, and after a power failure it is
made again from the ledger. A file that cannot be read is put away and begun anew for the same
reason.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from feasible.clock import Clock, SystemClock
from feasible.errors import StateError
from feasible.state.base import (
    Claim,
    Limit,
    Part,
    Refusal,
    Reservation,
    Spending,
    Taken,
    left_nusd,
)

__all__ = ["SqliteState"]

_FORMAT: Final = 1
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS parts (
  window TEXT NOT NULL,
  part TEXT NOT NULL,
  spent_nusd INTEGER NOT NULL DEFAULT 0,
  held_nusd INTEGER NOT NULL DEFAULT 0,
  decisions INTEGER NOT NULL DEFAULT 0,
  is_begun INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (window, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservations (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  amount_nusd INTEGER NOT NULL,
  parts TEXT NOT NULL,
  until_us INTEGER NOT NULL,
  is_over INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS reservations_by_lease ON reservations (is_over, until_us);
CREATE TABLE IF NOT EXISTS claims (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  until_us INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS claims_by_lease ON claims (until_us);
PRAGMA user_version = {_FORMAT};
"""
_PATIENCE_S: Final = 0.25
"""How long one step may wait for other workers; each of them takes some 50 us."""
_PAUSE_S: Final = 50e-6
_REMEMBERED_US: Final = 24 * 3600 * 1_000_000
"""How long a reservation whose lease is over can still be settled."""
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class SqliteState:
    """Reservations, spending and claims in a file that several processes open.

    Args:
        path: The file; made when it is not there.
        clock: Where time comes from; leases are held to the wall time, which processes share.
        anew: Begin with an empty file when this one cannot be read. Only for whoever makes it again
            from the ledger, while no other process has it open.

    Raises:
        StateError: It cannot be opened, or was written by a newer version.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None, anew: bool = False) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        try:
            self._connection = _opened(path)
        except sqlite3.DatabaseError as error:
            if not anew or isinstance(error, sqlite3.OperationalError):
                raise _fault(path, error) from error
            for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                name.unlink(missing_ok=True)
            try:
                self._connection = _opened(path)
            except sqlite3.Error as second:
                raise _fault(path, second) from second

    def reserve(
        self,
        amount_nusd: int,
        limits: Sequence[Limit],
        *,
        lease_s: float,
        noted: Mapping[Part, Spending] | None = None,
    ) -> Reservation | Refusal:
        """Set money aside in every window, or in none."""
        with self._step() as run:
            now_us = self._now_us()
            self._expire(now_us)
            self._count(noted)
            for limit in limits:
                left = left_nusd(limit, self._parts_of(limit.window))
                if amount_nusd > left:
                    return Refusal(limit.window, left)
            parts = tuple((limit.window, limit.part) for limit in limits)
            number = run(
                "INSERT INTO reservations (amount_nusd, parts, until_us) VALUES (?, ?, ?)",
                (amount_nusd, json.dumps(parts), now_us + round(lease_s * 1e6)),
            ).lastrowid
            for part in parts:
                self._add(part, held=amount_nusd)
        assert number is not None  # noqa: S101  an insert has one
        return Reservation(number, amount_nusd, parts)

    def settle(
        self,
        settled: Sequence[tuple[Reservation, int | None]],
        *,
        noted: Mapping[Part, Spending] | None = None,
    ) -> None:
        """Turn reservations into spending."""
        with self._step() as run:
            self._count(noted)
            for reservation, actual_nusd in settled:
                found = run(
                    "DELETE FROM reservations WHERE number = ? RETURNING amount_nusd, is_over",
                    (reservation.number,),
                ).fetchone()
                if found is None:
                    continue
                amount, is_over = found
                for part in reservation.parts:
                    self._add(
                        part,
                        held=0 if is_over else -amount,
                        spent=amount if actual_nusd is None else actual_nusd,
                    )

    def expire(self) -> int:
        """Give back what is set aside by reservations whose lease is over, and say how many."""
        with self._step():
            return self._expire(self._now_us())

    def spending(self, window: str) -> dict[str, Spending]:
        """Give what each part of a window holds."""
        with self._step():
            self._expire(self._now_us())
            return self._parts_of(window)

    def begin(self) -> None:
        """Forget what was spent and how much was decided; open reservations stay."""
        with self._step() as run:
            self._expire(self._now_us())
            run("DELETE FROM parts")
            open_ones = run("SELECT amount_nusd, parts FROM reservations WHERE is_over = 0")
            for amount, parts in open_ones.fetchall():
                for window, name in json.loads(parts):
                    self._add((window, name), held=amount)
            run("UPDATE parts SET is_begun = 0")

    def adopt(self, spent: Mapping[Part, Spending]) -> None:
        """Take over what a ledger says of windows that nobody has adopted or counted in since."""
        with self._step() as run:
            begun = {name for (name,) in run("SELECT window FROM parts WHERE is_begun = 1")}
            for part, found in spent.items():
                if part[0] not in begun:
                    self._add(part, spent=found.spent_nusd, decisions=found.decisions)
                    run("UPDATE parts SET is_begun = 1 WHERE window = ?", (part[0],))

    def claim(self, key: str, *, lease_s: float) -> Claim | Taken:
        """Take a key, unless somebody holds it."""
        with self._step() as run:
            now_us = self._now_us()
            run("DELETE FROM claims WHERE until_us <= ?", (now_us,))
            found = run("SELECT until_us FROM claims WHERE key = ?", (key,)).fetchone()
            if found is not None:
                return Taken((found[0] - now_us) / 1e6)
            number = run(
                "INSERT INTO claims (key, until_us) VALUES (?, ?)",
                (key, now_us + round(lease_s * 1e6)),
            ).lastrowid
        assert number is not None  # noqa: S101  an insert has one
        return Claim(key, number)

    def release(self, claim: Claim) -> None:
        """Let a key go; one that was lost to somebody else meanwhile stays theirs."""
        with self._step() as run:
            run("DELETE FROM claims WHERE number = ?", (claim.number,))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _now_us(self) -> int:
        return round(self._clock.now().timestamp() * 1e6)

    @contextmanager
    def _step(self) -> Iterator[Any]:
        """Hold the file for a few statements that others see whole or not at all."""
        run = self._connection.execute
        with self._lock:
            try:
                _begin(self._connection)
                try:
                    yield run
                except BaseException:
                    if self._connection.in_transaction:  # a full disk has ended it already
                        run("ROLLBACK")
                    raise
                run("COMMIT")
            except sqlite3.Error as error:
                raise _fault(self.path, error) from error

    def _parts_of(self, window: str) -> dict[str, Spending]:
        rows = self._connection.execute(
            "SELECT part, spent_nusd, held_nusd, decisions FROM parts WHERE window = ?", (window,)
        )
        return {part: Spending(spent, held, made) for part, spent, held, made in rows}

    def _expire(self, now_us: int) -> int:
        run = self._connection.execute
        over = run(
            "SELECT number, amount_nusd, parts FROM reservations "
            "WHERE is_over = 0 AND until_us <= ?",
            (now_us,),
        ).fetchall()
        for number, amount, parts in over:
            run("UPDATE reservations SET is_over = 1 WHERE number = ?", (number,))
            for window, name in json.loads(parts):
                self._add((window, name), held=-amount)
        if over:
            run(
                "DELETE FROM reservations WHERE is_over = 1 AND until_us <= ?",
                (now_us - _REMEMBERED_US,),
            )
        return len(over)

    def _count(self, noted: Mapping[Part, Spending] | None) -> None:
        for part, more in (noted or {}).items():
            self._add(part, spent=more.spent_nusd, decisions=more.decisions)

    def _add(self, part: Part, *, held: int = 0, spent: int = 0, decisions: int = 0) -> None:
        self._connection.execute(
            "INSERT INTO parts (window, part, spent_nusd, held_nusd, decisions) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (window, part) DO UPDATE SET "
            "spent_nusd = spent_nusd + excluded.spent_nusd, "
            "held_nusd = held_nusd + excluded.held_nusd, "
            "decisions = decisions + excluded.decisions",
            (*part, spent, held, decisions),
        )


def _opened(path: Path) -> sqlite3.Connection:
    """Open the file and lay its tables, while others may do the same.

    Raises:
        StateError: A newer version wrote it.
        sqlite3.Error: It is not what it should be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
    try:
        _lay(connection, path)
        connection.execute("PRAGMA busy_timeout = 0")  # we wait ourselves: it sleeps far too long
    except BaseException:
        connection.close()
        raise
    return connection


def _lay(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _FORMAT:
        raise StateError(
            f"{path} was written by a newer version",
            found=f"format {version}; this version knows {_FORMAT}",
            attempt="stop the newer service, then delete the file: it is made again",
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    if version < _FORMAT:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _begin(connection: sqlite3.Connection) -> None:
    """Begin to write once no other process does."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > give_up_s:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _fault(path: Path, error: sqlite3.Error) -> StateError:
    return StateError(
        f"the state that workers share cannot be used: {path}",
        found=str(error),
        attempt="see that the disk has room; the file is made again when the service starts",
    )
