"""How often somebody may ask: a token bucket each, in memory that never grows."""

from __future__ import annotations

import hashlib
import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from feasible.errors import BadInput
from feasible.units import Rate

__all__ = ["Buckets", "Taken", "rate_of"]

_SLOTS: Final = 1 << 20
"""8 MiB of addresses, of which those pages take memory that were used."""
_ROUNDING_S: Final = 1e-9
_SLOWEST_PER_S: Final = 1 / 3600
_FASTEST_PER_S: Final = 1e6


@dataclass(frozen=True, slots=True)
class Taken:
    """What a bucket said.

    Attributes:
        wait_s: Seconds until there is enough in it; 0 when there was.
        left: Whole tokens that are in it now.
        full_in_s: Seconds until it is full again.
    """

    wait_s: float
    left: int
    full_in_s: float


class Buckets:
    """Token buckets, each known by a name, all with one rate and one size.

    A bucket is one number, the instant at which it is full again, at a place that its name's hash
    gives. Two names share a place about once in a million; they then share its tokens, and nobody
    gets more than the rate. Processes may share the memory through a file: they read and write a
    number without a lock, so that two that take in the same microsecond may count as one.

    Args:
        per_s: Tokens that flow in each second.
        size: Tokens that a bucket holds; None for those of one second, one at least.
        file: Where processes share the buckets; None keeps them in this one.

    Source:
        The virtual scheduling of the generic cell rate algorithm, ITU-T I.371.

    Examples:
        >>> buckets = Buckets(per_s=2, size=2)
        >>> [buckets.take(b"shop", 0.0).wait_s for _ in range(3)]
        [0.0, 0.0, 0.5]
        >>> buckets.take(b"shop", 0.5).wait_s
        0.0
        >>> buckets.take(b"till", 0.5).left
        1
    """

    def __init__(self, *, per_s: float, size: int | None = None, file: Path | None = None) -> None:
        self.per_s = per_s
        self.size = max(1, math.floor(per_s)) if size is None else size
        self._gap_s = 1 / per_s
        self._longest_s = self.size * self._gap_s
        self._full_at_s = memoryview(_memory(file)).cast("d")

    def take(self, name: bytes, now_s: float) -> Taken:
        """Take a token, or say how long to wait for one; then nothing is taken.

        Args:
            name: Whose bucket.
            now_s: Monotonic time.
        """
        place = _place(name)
        owed_s = self._owed_s(place, now_s)
        after_s = owed_s + self._gap_s
        if after_s - self._longest_s > _ROUNDING_S:
            return Taken(after_s - self._longest_s, 0, owed_s)
        self._full_at_s[place] = now_s + after_s
        return Taken(0.0, self._tokens(after_s), after_s)

    def left(self, name: bytes, now_s: float) -> int:
        """Give the whole tokens in a bucket."""
        return self._tokens(self._owed_s(_place(name), now_s))

    def _owed_s(self, place: int, now_s: float) -> float:
        """Give the seconds until a bucket is full."""
        owed_s = max(self._full_at_s[place] - now_s, 0.0)
        # More than a whole bucket: the machine's clock began anew since.
        return 0.0 if owed_s > self._longest_s + _ROUNDING_S else owed_s

    def _tokens(self, owed_s: float) -> int:
        return math.floor((self._longest_s - owed_s + _ROUNDING_S) * self.per_s)


def _place(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()) % _SLOTS


def rate_of(text: str) -> float:
    """Read a rate such as `100/s` or `6000/min`. Per second.

    Raises:
        BadInput: It is none, or is not between one an hour and a million a second.
    """
    try:
        per_s = Rate(text).mid
    except ValueError as error:
        raise BadInput(f"{text[:50]!r} is no rate", found=str(error), attempt="100/s") from error
    if not _SLOWEST_PER_S <= per_s <= _FASTEST_PER_S:
        raise BadInput(
            f"{text[:50]!r} is no rate to hold anybody to",
            asked="between 1/h and 1000000/s",
            found=f"{per_s:g} per second",
        )
    return per_s


def _memory(file: Path | None) -> mmap.mmap:
    if file is None:
        return mmap.mmap(-1, _SLOTS * 8)
    try:
        with file.open("a+b") as opened:
            opened.truncate(_SLOTS * 8)
            return mmap.mmap(opened.fileno(), _SLOTS * 8)
    except OSError as error:
        raise BadInput(
            f"the memory of rates {str(file)!r} cannot be shared",
            found=error.strerror or str(error),
        ) from error
