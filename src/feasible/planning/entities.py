"""Entities whose rows go together, and how many rows one of them may have.

How much one entity may weigh has to be known before the rows that judge are looked at: a rare one
that is large and bad may be missing among them. So the largest entity among FIT and SEARCH rows
sets a cap, at most so many rows of an entity judge, and what is promised says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from feasible.schema import BoolArray, IntArray, Profile

__all__ = ["EntitySize", "blocks_of", "capped", "size_of", "units_of"]


@dataclass(frozen=True, slots=True)
class EntitySize:
    """How many rows that could judge a promise an entity has, by rows that do not certify.

    Attributes:
        most: Rows of the largest entity; at most so many rows of one judge. Count, at least 1.
        spread: Mean over entities of (rows / most) squared. Ratio.
        larger: Entities that have more rows among those that judge. Count.
    """

    most: int
    spread: float
    larger: int = 0

    def __str__(self) -> str:
        """Say what is assumed of entities."""
        rows = "1 row" if self.most == 1 else f"{self.most:,} rows"
        judge = "judges" if self.most == 1 else "judge"
        here = f" ({self.larger:,} here)" if self.larger else ""
        return f"no entity weighs more than {rows}: of larger ones{here} {rows} {judge}"


def units_of(profile: Profile) -> IntArray | None:
    """Number the entities of rows; a row without one stands alone. None without entities.

    Returns:
        shape (n_rows,).
    """
    if profile.entity is None:
        return None
    names = np.array(profile.entity, dtype=object).astype(str)
    found, number = np.unique(names, return_inverse=True)
    nobody = names == ""
    number[nobody] = len(found) + np.arange(int(nobody.sum()))
    return np.unique(number, return_inverse=True)[1].astype(np.int64)


def blocks_of(profile: Profile) -> IntArray | None:
    """Number the entities of rows; None when no entity has two rows."""
    number = units_of(profile)
    if number is None or not len(number) or int(number.max()) + 1 == len(number):
        return None
    return number


def size_of(block: IntArray, could_judge: BoolArray) -> EntitySize:
    """Measure entities by the rows that could judge a promise, of rows that do not certify."""
    count = np.bincount(block[could_judge])
    count = count[count > 0]
    most = max(1, int(count.max(initial=1)))
    return EntitySize(most, float(np.mean((count / most) ** 2)) if len(count) else 1.0)


def capped(
    profile: Profile, block: IntArray, could_judge: BoolArray, size: EntitySize
) -> tuple[BoolArray, EntitySize]:
    """Keep at most so many judging rows of an entity, drawn by a hash of their ids.

    Returns:
        shape (n_rows,): rows that judge; and the size, with the number of larger entities.
    """
    count = np.bincount(block[could_judge], minlength=int(block.max(initial=-1)) + 1)
    large = count > size.most
    kept = could_judge.copy()
    rows = np.flatnonzero(could_judge & large[block])
    if len(rows):
        lot = np.array([_lot(profile.row_ids[i]) for i in rows], dtype=np.uint64)
        rows = rows[np.lexsort((lot, block[rows]))]
        first = np.searchsorted(block[rows], block[rows])
        kept[rows[np.arange(len(rows)) - first >= size.most]] = False
    return kept, replace(size, larger=int(large.sum()))


def _lot(row_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(row_id.encode(), digest_size=8).digest(), "big")
