"""A circuit breaker per tier: an outage costs a few slow requests, not one per request."""

from __future__ import annotations

from typing import Final

from feasible.clock import Clock

__all__ = ["Breaker"]

_FAILURES: Final = 5
_OPEN_S: Final = 10.0


class Breaker:
    """Counts failures in a row; after too many the tier is not asked for a while, then once.

    Args:
        clock: Where time comes from.
        failures: Failures in a row that open it.
        open_s: Seconds until a single trial call is let through.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from feasible.clock import VirtualClock
        >>> clock = VirtualClock(datetime(2026, 11, 24, tzinfo=UTC))
        >>> breaker = Breaker(clock, failures=2, open_s=10)
        >>> breaker.failed(); breaker.failed(); breaker.is_open
        True
        >>> clock.advance(10); breaker.is_open
        False
        >>> breaker.entered(); breaker.is_open
        True
        >>> breaker.succeeded(); breaker.is_open
        False
    """

    def __init__(self, clock: Clock, *, failures: int = _FAILURES, open_s: float = _OPEN_S) -> None:
        self._clock = clock
        self._limit = failures
        self._open_s = open_s
        self._in_a_row = 0
        self._shut_until_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Claim that the tier is not to be asked now."""
        until = self._shut_until_s
        return until is not None and self._clock.monotonic() < until

    def entered(self) -> None:
        """Note that a call begins: after an outage it is the only trial until it ends."""
        if self._shut_until_s is not None:
            self._shut_until_s = self._clock.monotonic() + self._open_s

    def succeeded(self) -> None:
        """Note a call that ended well; an abstention is one."""
        self._in_a_row = 0
        self._shut_until_s = None

    def failed(self) -> None:
        """Note a call that raised or took too long."""
        self._in_a_row += 1
        if self._in_a_row >= self._limit:
            self._shut_until_s = self._clock.monotonic() + self._open_s
