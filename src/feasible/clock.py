"""The one way to read a clock, so that a test or a simulation can bring its own."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock", "VirtualClock"]


class Clock(Protocol):
    """Wall time for records, monotonic time for deadlines."""

    def now(self) -> datetime:
        """Give the wall time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds that only ever rise; differences are meaningful, the origin is not."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Give the wall time, aware, in UTC."""
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)
    """Give seconds that only ever rise."""


class VirtualClock:
    """A clock that moves only when told to.

    Args:
        start: First wall time, aware.
    """

    def __init__(self, start: datetime) -> None:
        """Begin at `start`."""
        self._start = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """Give the virtual wall time."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Give virtual seconds since the start."""
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` (>= 0)."""
        if seconds < 0:
            msg = f"a clock cannot move back: {seconds} s"
            raise ValueError(msg)
        self._elapsed_s += seconds
