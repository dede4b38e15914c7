"""The chain over batches: each link hashes its rows and the link before it.

An edited, missing or added row changes a hash that every later link depends on. With a secret
(`FEASIBLE_LEDGER_KEY`) the links are HMACs, which nobody without the secret can recompute.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from feasible.ledger.commitments import leaves, salted
from feasible.ledger.tables import TABLES, Row, Table

__all__ = ["Chain", "Heads", "Linker"]

_ROWS_A_STATEMENT: Final = 256
"""A SQLite statement takes 32,766 values; 256 rows of 15 stay far below."""


@dataclass(frozen=True, slots=True)
class Chain:
    """How links are hashed.

    Attributes:
        key: The secret; None for plain hashes.
    """

    key: bytes | None = field(default=None, repr=False)

    def link(self, prev_hash: str, *, seq: int, of: str, leaves: Iterable[bytes]) -> str:
        """Give the hash of one batch: its number, its table, its rows and the hash before it."""
        digest = hashlib.sha256(f"{seq}:{of}:{prev_hash}\n".encode() + b"".join(leaves))
        if self.key is None:
            return digest.hexdigest()
        return hmac.digest(self.key, digest.digest(), "sha256").hex()

    def check_value(self) -> str:
        """Give a value that tells whether two secrets are the same, and nothing about either."""
        return self.link("", seq=0, of="key", leaves=())


@dataclass(frozen=True, slots=True)
class Heads:
    """Where the tables and the chain end.

    Attributes:
        seq: Number of the last batch.
        hash: Its hash.
        rows: Last row of each table.
    """

    seq: int
    hash: str
    rows: Mapping[str, int]


class Linker:
    """Adds rows and their links, inside the transaction of whoever writes.

    Args:
        connection: Open for writing.
        chain: How links are hashed.
    """

    def __init__(self, connection: sqlite3.Connection, chain: Chain) -> None:
        self._connection = connection
        self._chain = chain

    def heads(self) -> Heads:
        """Read where everything ends."""
        seq, digest = self._one("SELECT seq, hash FROM batches ORDER BY seq DESC LIMIT 1") or (
            0,
            "",
        )
        ends: dict[str, int] = dict.fromkeys(TABLES, 0)
        ends |= self._connection.execute("SELECT of, max(last_row) FROM batches GROUP BY of")
        return self._counting_rows(Heads(seq, digest, ends))

    def later(self, known: Heads, *, count_rows: bool) -> Heads:
        """Read where everything ends now.

        Args:
            known: Where it ended once.
            count_rows: Look at the rows too, not at the links alone.
        """
        seq, digest, ends = known.seq, known.hash, dict(known.rows)
        for seq, of, last, digest in self._connection.execute(  # noqa: B007  the last ones count
            "SELECT seq, of, last_row, hash FROM batches WHERE seq > ? ORDER BY seq", (known.seq,)
        ):
            ends[of] = last
        heads = Heads(seq, digest, ends)
        return self._counting_rows(heads) if count_rows else heads

    def insert(self, table: Table, rows: Sequence[Row], heads: Heads) -> Heads:
        """Insert rows and link them to the chain; gives where it ends then."""
        if not rows:
            return heads
        top = heads.rows[table.name]
        numbered = salted(table, [(top + i, *row) for i, row in enumerate(rows, start=1)])
        for start in range(0, len(numbered), _ROWS_A_STATEMENT):
            part = numbered[start : start + _ROWS_A_STATEMENT]
            # The driver looks for adapters of `bytes` each time, and knows `bytearray` as it is.
            values = [
                bytearray(value) if type(value) is bytes else value for row in part for value in row
            ]
            self._connection.execute(table.insert(len(part)), values)
        seq, last = heads.seq + 1, top + len(rows)
        digest = self._chain.link(
            heads.hash, seq=seq, of=table.name, leaves=leaves(table, numbered)
        )
        self._connection.execute(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)",
            (seq, table.name, top + 1, last, heads.hash, digest),
        )
        return Heads(seq, digest, {**heads.rows, table.name: last})

    def _counting_rows(self, heads: Heads) -> Heads:
        """Count rows that no link names, and those that are gone: neither number is given again."""
        ends = {
            name: max(last, self._one(f"SELECT max(row_id) FROM {name}")[0] or 0)  # noqa: S608  own names
            for name, last in heads.rows.items()
            if name in TABLES
        }
        return Heads(heads.seq, heads.hash, ends)

    def _one(self, sql: str) -> Any:
        return self._connection.execute(sql).fetchone()
