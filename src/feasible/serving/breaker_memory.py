"""The numbers of a breaker, in memory that the workers of one service may share."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["MOST_SHARED_FAILURES", "BreakerMemory"]

MOST_SHARED_FAILURES: Final = 32
"""Times of failures that are kept in common."""
_NUMBERS: Final = 8 + MOST_SHARED_FAILURES
_SLOTS: Final = 1 << 14
"""5 MiB of addresses, of which those pages take memory that were used. Two tiers of a service share
a place, and then a breaker, about once in ten thousand services."""
_SHUT_UNTIL, _OPEN_S, _ERA, _IS_TRIED, _IN_A_ROW, _NEXT = range(6)
_OWNER: Final = 6
_FIRST_TIME: Final = 8


class BreakerMemory:
    """What a breaker knows: until when it is shut, its era, its failures.

    Without a file it is in this process alone. With one, every worker of a service sees the same
    numbers: what one of them learnt of an outage, the others need not learn again. Numbers are read
    without a lock; whoever changes them holds `changing`.

    Args:
        tier: Whose breaker.
        open_s: Seconds until the first trial.
        file: Where processes share it; None keeps it in this one.
    """

    def __init__(self, tier: str, *, open_s: float, file: Path | None) -> None:
        self._lock: int | None = None
        self._start = 0
        if file is None:
            self._numbers = memoryview(bytearray(_NUMBERS * 8)).cast("d")
            self._numbers[_OPEN_S] = open_s
            return
        size = _SLOTS * _NUMBERS * 8
        self._lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self._lock)
        os.truncate(self._lock, size)
        self._numbers = memoryview(mmap.mmap(self._lock, size)).cast("d")
        digest = hashlib.blake2b(tier.encode(), digest_size=8).digest()
        self._start = int.from_bytes(digest, "big") % _SLOTS * _NUMBERS
        # Workers of one service have one parent; what an earlier service learnt is of no use.
        owner = float(os.getppid())
        with self.changing():
            if self._numbers[self._start + _OWNER] != owner:
                for place in range(_NUMBERS):
                    self._numbers[self._start + place] = 0.0
                self._numbers[self._start + _OWNER] = owner
                self._numbers[self._start + _OPEN_S] = open_s

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other processes from changing the numbers."""
        if self._lock is None:
            yield
            return
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @property
    def shut_until_s(self) -> float:
        """Give when it is to be tried again. Monotonic seconds; 0 while it is closed."""
        return self._numbers[self._start + _SHUT_UNTIL]

    @property
    def era(self) -> int:
        """Give the number of times that it opened, was tried or closed."""
        return int(self._numbers[self._start + _ERA])

    @property
    def closed_era(self) -> int | None:
        """Give the era while it is closed; None while it is shut or tried."""
        numbers, start = self._numbers, self._start
        return None if numbers[start + _SHUT_UNTIL] else int(numbers[start + _ERA])

    @property
    def calm_era(self) -> int | None:
        """Give the era while it is closed and the last call succeeded; else None."""
        numbers, start = self._numbers, self._start
        if numbers[start + _SHUT_UNTIL] or numbers[start + _IN_A_ROW]:
            return None
        return int(numbers[start + _ERA])

    @property
    def is_tried(self) -> bool:
        """Claim that a trial is under way."""
        return self._numbers[self._start + _IS_TRIED] > 0

    @property
    def open_s(self) -> float:
        """Give how long it stays open next."""
        return self._numbers[self._start + _OPEN_S]

    @open_s.setter
    def open_s(self, seconds: float) -> None:
        self._numbers[self._start + _OPEN_S] = seconds

    @property
    def in_a_row(self) -> int:
        """Give the failures since the last success."""
        return int(self._numbers[self._start + _IN_A_ROW])

    @in_a_row.setter
    def in_a_row(self, count: int) -> None:
        self._numbers[self._start + _IN_A_ROW] = count

    def begin(self, shut_until_s: float, *, is_tried: bool = False) -> None:
        """Begin another era."""
        start = self._start
        self._numbers[start + _ERA] += 1
        self._numbers[start + _IS_TRIED] = float(is_tried)
        self._numbers[start + _IN_A_ROW] = 0
        for place in range(MOST_SHARED_FAILURES):
            self._numbers[start + _FIRST_TIME + place] = 0.0
        self._numbers[start + _SHUT_UNTIL] = shut_until_s

    def add_failure(self, at_s: float, *, within_s: float) -> int:
        """Note when a call failed, and count those of the last seconds, this one included."""
        start = self._start + _FIRST_TIME
        place = int(self._numbers[self._start + _NEXT])
        self._numbers[start + place] = at_s
        self._numbers[self._start + _NEXT] = (place + 1) % MOST_SHARED_FAILURES
        times = self._numbers[start : start + MOST_SHARED_FAILURES]
        return sum(1 for one in times if one > 0 and at_s - one <= within_s)
