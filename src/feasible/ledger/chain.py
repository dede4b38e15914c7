"""The chain over batches: each link hashes its rows and the link before it.

An edited, missing or added row changes a hash that every later link depends on. With a secret
(`FEASIBLE_LEDGER_KEY`) the links are HMACs, which nobody without the secret can recompute.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from feasible.ledger.base import Verification
from feasible.ledger.tables import TABLES, Row

__all__ = ["Chain", "verify_chain"]

_ENCODE: Final = msgspec.json.Encoder().encode
_SHOWN: Final = 20
"""Faults that are spelt out; a ledger with more of them is not mended by reading the rest."""

Query = Callable[[str, Sequence[Any]], list[Row]]
"""Runs one SELECT and gives all its rows."""


@dataclass(frozen=True, slots=True)
class Chain:
    """How links are hashed.

    Attributes:
        key: The secret; None for plain hashes.
    """

    key: bytes | None = field(default=None, repr=False)

    def link(self, prev_hash: str, *, seq: int, of: str, rows: Iterable[Row]) -> str:
        """Give the hash of one batch: its number, its table, its rows and the hash before it."""
        head = f"{seq}:{of}:{prev_hash}\n".encode()
        digest = hashlib.sha256(head)
        for row in rows:
            columns, body = _ENCODE(row[:-1]), row[-1]
            # A body that became something else than bytes was edited; it hashes as absent.
            body = body if isinstance(body, bytes) else b""
            digest.update(b"%d %d\n" % (len(columns), len(body)))
            digest.update(columns)
            digest.update(body)
        if self.key is None:
            return digest.hexdigest()
        return hmac.digest(self.key, digest.digest(), "sha256").hex()

    def check_value(self) -> str:
        """Give a value that tells whether two secrets are the same, and nothing about either."""
        return self.link("", seq=0, of="key", rows=())


@dataclass(slots=True)
class _Findings:
    faults: list[str] = field(default_factory=list)
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    covered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    batches: int = 0
    missing: int = 0
    edited: int = 0
    head: str = ""
    anchor_seen: bool = False


def verify_chain(query: Query, chain: Chain, *, anchor: str | None) -> Verification:
    """Recompute every link from the rows and compare.

    Args:
        query: Reads the ledger.
        chain: How its links are hashed.
        anchor: A hash that the chain must contain; None asks for nothing.
    """
    seen = _Findings(anchor_seen=anchor == "")  # the head of a ledger that was empty
    # Only what is there now: a service may append while this runs.
    last = query("SELECT max(seq) FROM batches", ())[0][0] or 0
    tops = {name: query(f"SELECT max(row_id) FROM {name}", ())[0][0] or 0 for name in TABLES}  # noqa: S608
    for batch in _batches(query, last):
        _check_batch(query, chain, batch, seen)
        seen.anchor_seen |= batch[5] == anchor
    for name, top in tops.items():
        before = query(f"SELECT count(*) FROM {name} WHERE row_id < 1", ())[0][0]  # noqa: S608
        if before:
            seen.faults.append(f"{before:,} {name} stand before the first: they were added")
        beyond = top - seen.covered[name]
        if beyond > 0 and not _later_batch_covers(query, name, last, top):
            seen.faults.append(
                f"{name} {seen.covered[name] + 1:,} to {top:,} belong to no batch: added, or their "
                f"batches were removed"
            )
    said = [row[0] for row in query(f"PRAGMA integrity_check({_SHOWN})", ())]
    if said != ["ok"]:
        seen.faults += [f"SQLite finds the file damaged: {line}" for line in said]
    if anchor is not None and not seen.anchor_seen:
        seen.faults.append(
            f"the anchor {anchor} is not in the chain: its end was cut off or replaced"
        )
    shown = seen.faults[:_SHOWN]
    if len(seen.faults) > _SHOWN:
        shown.append(f"and {len(seen.faults) - _SHOWN:,} more")
    return Verification(
        whole=not seen.faults,
        decisions=seen.found["decisions"],
        labels=seen.found["labels"],
        events=seen.found["events"],
        batches=seen.batches,
        missing=seen.missing,
        edited_batches=seen.edited,
        keyed=chain.key is not None,
        head=seen.head,
        faults=tuple(shown),
    )


def _batches(query: Query, last: int, page: int = 1000) -> Iterator[Row]:
    after = 0
    while rows := query(
        "SELECT seq, of, first_row, last_row, prev_hash, hash FROM batches "
        "WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
        (after, last, page),
    ):
        yield from rows
        after = rows[-1][0]


def _check_batch(query: Query, chain: Chain, batch: Row, seen: _Findings) -> None:
    seq, of, first, last, prev_hash, recorded = batch
    seen.batches += 1
    if seq != seen.batches:
        seen.faults.append(f"batches {seen.batches:,} to {seq - 1:,} are missing")
        seen.batches = seq
    elif prev_hash != seen.head:
        seen.faults.append(f"batch {seq:,} does not follow the one before it")
    seen.head = recorded
    if of not in TABLES or type(first) is not int or type(last) is not int:
        seen.edited += 1
        seen.faults.append(f"batch {seq:,} names no rows of a table that a ledger has")
        return
    if first != seen.covered[of] + 1:
        seen.faults.append(
            f"batch {seq:,} begins at {of} {first:,}, not at {seen.covered[of] + 1:,}"
        )
    seen.covered[of] = last
    rows = query(
        f"SELECT * FROM {of} WHERE row_id BETWEEN ? AND ? ORDER BY row_id",  # noqa: S608  own names
        (first, last),
    )
    seen.found[of] += len(rows)
    where = f"{of} {first:,} to {last:,} (batch {seq:,})"
    if gone := last - first + 1 - len(rows):
        seen.missing += gone
        seen.faults.append(f"{gone:,} of {where} are missing")
    elif chain.link(prev_hash, seq=seq, of=of, rows=rows) != recorded:
        seen.edited += 1
        seen.faults.append(f"{where} are not what was written: at least one was edited")


def _later_batch_covers(query: Query, name: str, after: int, row: int) -> bool:
    """Claim that a batch written since the verification began covers a row."""
    return bool(
        query(
            "SELECT 1 FROM batches WHERE seq > ? AND of = ? AND last_row >= ? LIMIT 1",
            (after, name, row),
        )
    )
