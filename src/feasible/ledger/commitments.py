"""What the chain hashes of a row: salted commitments, so that a part can go and the rest be proved.

A commitment is the hash of a salt and a part of the row. Once salt and part are gone it says
nothing about what the part was, and still stands where the chain needs it.

| part | of a decision | of a label |
|---|---|---|
| 0 | the answer | the value and the reviewer |
| 1 | the request | |
| 2 | the path, all else of the body, and the idempotency key | |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from feasible.ledger.tables import DECISIONS, EVENTS, LABELS, Row, Table

__all__ = ["SALT_BYTES", "commitments", "leaf", "leaves", "salted"]

SALT_BYTES: Final = 16
"""128 random bits for each part."""
_ENCODE: Final = msgspec.json.Encoder().encode
_PLAIN: Final = {DECISIONS.name: 10, LABELS.name: 7, EVENTS.name: 5}
"""Columns that stand in the leaf as they are, `row_id` first; they are never redacted alone."""


def salted(table: Table, rows: list[Row]) -> list[Row]:
    """Add fresh salts to rows; a table without parts needs none."""
    size = SALT_BYTES * table.parts
    if not size:
        return rows
    drawn = os.urandom(size * len(rows))  # one call, because each gives up the interpreter lock
    return [(*row, drawn[i * size : (i + 1) * size]) for i, row in enumerate(rows)]


def commitments(table: Table, row: Row) -> list[bytes]:
    """Give the commitment of each part of a row, `row_id` first and salts last."""
    if not table.parts:
        return []
    salt = _bytes(row[-1])
    if table is DECISIONS:
        key, answer, request, body = row[10:14]
        return [
            sha256(salt[:16] + _bytes(answer)).digest(),
            sha256(salt[16:32] + _bytes(request)).digest(),
            sha256(salt[32:] + _ENCODE(key) + _bytes(body)).digest(),
        ]
    return [sha256(salt + _ENCODE(row[7]) + _bytes(row[8])).digest()]


def leaves(table: Table, rows: list[Row]) -> list[bytes]:
    """Give what the chain hashes of rows that are about to be written: `leaf` of each, faster."""
    if table is not DECISIONS:
        return [leaf(table, row) for row in rows]
    made = []
    for row in rows:
        salt = row[14]
        parts = (
            _ENCODE(row[:10]),
            sha256(salt[:16] + row[11]).digest(),
            sha256(salt[16:32] + row[12]).digest(),
            sha256(salt[32:] + _ENCODE(row[10]) + row[13]).digest(),
        )
        made.append(sha256(b"".join(parts)).digest())
    return made


def leaf(table: Table, row: Row, instead: Mapping[int, bytes] | None = None) -> bytes:
    """Give what the chain hashes of a row.

    Args:
        table: Whose row it is.
        row: The row, `row_id` first.
        instead: Part -> the commitment that was made when the row was written, for redacted parts.
    """
    parts = commitments(table, row)
    for part, was in (instead or {}).items():
        parts[part] = was
    rest = b"".join(parts) if parts else _bytes(row[-1])
    return sha256(_ENCODE(row[: _PLAIN[table.name]]) + rest).digest()


def _bytes(found: object) -> bytes:
    """Give what a column holds; what became something else than bytes was edited, and is empty."""
    return found if isinstance(found, bytes) else b""
