"""Whether every row is there as it was written, or was purged with a record of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from feasible.ledger.base import Verification
from feasible.ledger.chain import Chain
from feasible.ledger.commitments import commitments, leaf
from feasible.ledger.tables import TABLES, Row, Table

__all__ = ["PURGED", "digest_of", "verify_chain"]

PURGED: Final = "ledger.purged"
"""Kind of the event that says what a purge did."""
_ENCODE: Final = msgspec.json.Encoder().encode
_SHOWN: Final = 20
"""Faults that are spelt out; a ledger with more of them is not mended by reading the rest."""

Query = Callable[[str, Sequence[Any]], list[Row]]
"""Runs one SELECT and gives all its rows."""


def digest_of(deleted: Iterable[Row], redacted: Iterable[Row]) -> str:
    """Give the hash of what a purge left in place of what it took, in the order of the tables.

    Args:
        deleted: Table, row and leaf of each row that is gone.
        redacted: Table, row, part, commitment before and commitment after, of each redacted part.
    """
    digest = hashlib.sha256()
    for rows in (deleted, redacted):
        for row in rows:
            plain = [value.hex() if isinstance(value, bytes) else value for value in row]
            digest.update(_ENCODE(plain))
    return digest.hexdigest()


@dataclass(slots=True)
class _Findings:
    faults: list[str] = field(default_factory=list)
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    covered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    batches: int = 0
    missing: int = 0
    edited: int = 0
    deleted: int = 0
    redacted: int = 0
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
    _check_purges(query, seen)
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
        deleted=seen.deleted,
        redacted=seen.redacted,
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
    leaves = [leaf(TABLES[of], row) for row in rows]
    is_full = len(rows) == last - first + 1
    if is_full and chain.link(prev_hash, seq=seq, of=of, leaves=leaves) == recorded:
        return
    # Something was purged, or something is wrong. Records are read after the rows: what a purge
    # takes between the two is found in one of them.
    found = _with_records(query, TABLES[of], rows, first, last, seen)
    if gone := last - first + 1 - len(found):
        seen.missing += gone
        seen.faults.append(f"{gone:,} of {where} are missing")
    elif chain.link(prev_hash, seq=seq, of=of, leaves=found) != recorded:
        seen.edited += 1
        seen.faults.append(f"{where} are not what was written: at least one was edited")


def _with_records(
    query: Query, table: Table, rows: Sequence[Row], first: int, last: int, seen: _Findings
) -> list[bytes]:
    """Give the leaves of a batch in order, with what purges left where they took something."""
    between = (table.name, first, last)
    by_row: dict[int, bytes] = dict(
        query("SELECT row_id, leaf FROM deleted WHERE of = ? AND row_id BETWEEN ? AND ?", between)
    )
    seen.deleted += len(by_row.keys() - {row[0] for row in rows})
    parts: dict[int, dict[int, list[bytes]]] = {}
    for row_id, part, was, now in query(
        "SELECT row_id, part, was, now FROM redacted WHERE of = ? AND row_id BETWEEN ? AND ? "
        "ORDER BY row_id, part, event_row",
        between,
    ):
        history = parts.setdefault(row_id, {}).setdefault(part, [was])
        history.append(now)
    for row in rows:
        histories = parts.get(row[0], {})
        seen.redacted += bool(histories)
        made = commitments(table, row)
        # What stands there now must be what one of its redactions left.
        instead = {
            part: history[0]
            for part, history in histories.items()
            if part < len(made) and made[part] in history
        }
        by_row[row[0]] = leaf(table, row, instead)
    return [by_row[row_id] for row_id in sorted(by_row)]


def _check_purges(query: Query, seen: _Findings) -> None:
    """Hold what purges left in place of what they took to the events that say so."""
    said = {
        row[0]: row[1] for row in query("SELECT row_id, body FROM events WHERE kind = ?", (PURGED,))
    }
    left = query("SELECT event_row FROM deleted UNION SELECT event_row FROM redacted", ())
    for event_row in sorted(said.keys() | {row[0] for row in left}):
        if event_row not in said:  # it may have been written since
            later = query(
                "SELECT body FROM events WHERE row_id = ? AND kind = ?", (event_row, PURGED)
            )
            if not later:
                seen.faults.append(f"rows were purged, and event {event_row} does not say so")
                continue
            said[event_row] = later[0][0]
        found = digest_of(
            query(
                "SELECT of, row_id, leaf FROM deleted WHERE event_row = ? ORDER BY of, row_id",
                (event_row,),
            ),
            query(
                "SELECT of, row_id, part, was, now FROM redacted WHERE event_row = ? "
                "ORDER BY of, row_id, part",
                (event_row,),
            ),
        )
        try:
            recorded = msgspec.json.decode(said[event_row])["digest"]
        except (msgspec.MsgspecError, KeyError, TypeError):
            recorded = None
        if recorded != found:
            seen.faults.append(
                f"the purge of event {event_row} left other records than it says: "
                f"something was deleted or redacted without it"
            )


def _later_batch_covers(query: Query, name: str, after: int, row: int) -> bool:
    """Claim that a batch written since the verification began covers a row."""
    return bool(
        query(
            "SELECT 1 FROM batches WHERE seq > ? AND of = ? AND last_row >= ? LIMIT 1",
            (after, name, row),
        )
    )
