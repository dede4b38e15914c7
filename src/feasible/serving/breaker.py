"""A circuit breaker per tier: an outage costs a few slow requests, not one per request."""

from __future__ import annotations

from collections import deque
from typing import Final

from feasible.clock import Clock
from feasible.schema import BreakerRule

__all__ = ["Breaker"]

_OPEN_S: Final = 10.0
_LONGEST_OPEN_S: Final = 60.0
"""Each trial that fails doubles the time to the next one, up to here: every trial of an outage is a
slow request of somebody."""
_NO_TICKET: Final = -1
"""For a tier that is asked though it is shut, for want of anybody else: it proves nothing."""
_LONGEST_WAIT_S: Final = 300.0
"""Most of what a provider may ask for in `Retry-After`."""


class Breaker:
    """Counts failures; after too many the tier is not asked for a while, then once.

    Each call takes a ticket when it begins and hands it back when it ends. A call that began before
    the breaker opened says nothing about the tier afterwards: only the one trial does.

    Args:
        clock: Where time comes from.
        rule: When it opens; five failures in a row when absent.
        open_s: Seconds until the first trial call is let through.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from feasible.clock import VirtualClock
        >>> clock = VirtualClock(datetime(2026, 11, 24, tzinfo=UTC))
        >>> breaker = Breaker(clock, rule=BreakerRule(failures=2), open_s=10)
        >>> breaker.failed(breaker.entered()); breaker.failed(breaker.entered()); breaker.is_open
        True
        >>> clock.advance(10); breaker.is_open
        False
        >>> trial = breaker.entered(); breaker.is_open
        True
        >>> breaker.succeeded(trial); breaker.is_open
        False
    """

    def __init__(
        self, clock: Clock, *, rule: BreakerRule | None = None, open_s: float = _OPEN_S
    ) -> None:
        self._clock = clock
        self._rule = rule or BreakerRule()
        self._first_open_s = open_s
        self._open_s = open_s
        self._shut_until_s: float | None = None
        self._era = 0
        self._is_tried = False
        self._in_a_row = 0
        self._failed_at: deque[float] = deque(maxlen=self._rule.failures)
        self._ended: deque[bool] = deque(maxlen=self._rule.of_calls or 1)

    @property
    def is_open(self) -> bool:
        """Claim that the tier is not to be asked now."""
        until = self._shut_until_s
        return until is not None and self._clock.monotonic() < until

    @property
    def state(self) -> str:
        """Give `closed`, `open`, or `half_open` when a trial is due or under way."""
        if self._shut_until_s is None:
            return "closed"
        return "half_open" if self._is_tried or not self.is_open else "open"

    def entered(self) -> int:
        """Give the ticket of a call that begins: after an outage it is the only trial."""
        until = self._shut_until_s
        if until is None:
            return self._era
        now = self._clock.monotonic()
        if now < until:
            return _NO_TICKET
        # A trial whose end nobody reports counts for as long as an outage does.
        self._begin(now + self._open_s)
        self._is_tried = True
        return self._era

    def succeeded(self, ticket: int) -> None:
        """Note a call that ended well; an abstention is one."""
        if ticket != self._era:
            return
        if self._shut_until_s is not None:  # it was the trial
            self._begin(None)
            self._open_s = self._first_open_s
        self._in_a_row = 0
        self._ended.append(True)

    def failed(self, ticket: int, *, retry_after_s: float | None = None) -> None:
        """Note a call that raised or took too long.

        Args:
            ticket: What `entered` gave.
            retry_after_s: For so many seconds the tier said that it does not want to be asked.
        """
        if ticket != self._era:
            return
        now = self._clock.monotonic()
        if self._shut_until_s is not None:  # it was the trial
            self._open_s = min(2 * self._open_s, max(_LONGEST_OPEN_S, self._first_open_s))
            self._begin(now + self._open_s)
        elif self._is_enough(now):
            self._begin(now + self._open_s)
        if retry_after_s is not None and retry_after_s > 0:
            until = now + min(retry_after_s, _LONGEST_WAIT_S)
            self._begin(max(until, self._shut_until_s or until))

    def left(self, ticket: int) -> None:
        """Note a call that was called off: a trial that ends so lets the next one in."""
        if ticket == self._era and self._shut_until_s is not None:
            self._begin(self._clock.monotonic())

    def _is_enough(self, now: float) -> bool:
        """Count one more failure, and claim that the tier is to be left alone."""
        rule = self._rule
        self._in_a_row += 1
        self._failed_at.append(now)
        self._ended.append(False)
        if rule.of_calls is not None:
            return len(self._ended) == rule.of_calls and self._ended.count(False) >= rule.failures
        if rule.within_s is not None:
            is_full = len(self._failed_at) == rule.failures
            return is_full and now - self._failed_at[0] <= rule.within_s
        return self._in_a_row >= rule.failures

    def _begin(self, shut_until_s: float | None) -> None:
        """Begin another era: tickets of the last one count no more."""
        self._era += 1
        self._is_tried = False
        self._shut_until_s = shut_until_s
        self._in_a_row = 0
        self._failed_at.clear()
        self._ended.clear()
