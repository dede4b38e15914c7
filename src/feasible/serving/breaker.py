"""A circuit breaker per tier: an outage costs a few slow requests, not one per request."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Final

from feasible.clock import Clock
from feasible.schema import BreakerRule
from feasible.serving.breaker_memory import MOST_SHARED_FAILURES, BreakerMemory

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
    the breaker opened says nothing about the tier afterwards: only the one trial does. After a call
    that hung, and until one succeeds, no more calls are let in than are missing to open it: those
    that hang next would be slow as well.

    Args:
        clock: Where time comes from.
        rule: When it opens; five failures in a row when absent.
        open_s: Seconds until the first trial call is let through.
        tier: Whose it is.
        shared: File in which the workers of a service keep it in common; None: in this one alone.

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
        self,
        clock: Clock,
        *,
        rule: BreakerRule | None = None,
        open_s: float = _OPEN_S,
        tier: str = "",
        shared: Path | None = None,
    ) -> None:
        self._clock = clock
        self._rule = rule or BreakerRule()
        self._first_open_s = open_s
        self._memory = BreakerMemory(tier, open_s=open_s, file=shared)
        self._seen_era = self._memory.era
        self._in_flight = 0
        self._hung = 0
        self._failed_at: deque[float] = deque(maxlen=self._rule.failures)
        self._ended: deque[bool] = deque(maxlen=self._rule.of_calls or 1)

    @property
    def is_open(self) -> bool:
        """Claim that the tier is not to be asked now."""
        until = self._memory.shut_until_s
        if until:
            return self._clock.monotonic() < until
        return self._hung > 0 and self._in_flight >= max(1, self._rule.failures - self._hung)

    @property
    def state(self) -> str:
        """Give `closed`, `open`, or `half_open` when a trial is due or under way."""
        until = self._memory.shut_until_s
        if not until:
            return "closed"
        is_due = self._clock.monotonic() >= until
        return "half_open" if self._memory.is_tried or is_due else "open"

    def entered(self) -> int:
        """Give the ticket of a call that begins: after an outage it is the only trial."""
        self._in_flight += 1
        memory = self._memory
        era = memory.closed_era
        if era is not None:
            return era
        now = self._clock.monotonic()
        with memory.changing():
            if not memory.shut_until_s:
                return memory.era
            if now < memory.shut_until_s:
                return _NO_TICKET
            # A trial whose end nobody reports counts for as long as an outage does.
            self._begin(now + memory.open_s, is_tried=True)
            return memory.era

    def succeeded(self, ticket: int) -> None:
        """Note a call that ended well; an abstention is one."""
        self._in_flight -= 1
        memory = self._memory
        if ticket == memory.calm_era:  # as nearly always
            self._hung = 0
            self._ended.append(True)
            return
        if ticket != memory.era:
            return
        self._hung = 0
        self._ended.append(True)
        with memory.changing():
            if ticket != memory.era:
                return
            if memory.shut_until_s:  # it was the trial
                self._begin(0.0)
                memory.open_s = self._first_open_s
            memory.in_a_row = 0

    def failed(
        self, ticket: int, *, retry_after_s: float | None = None, hung: bool = False
    ) -> None:
        """Note a call that raised or took too long.

        Args:
            ticket: What `entered` gave.
            retry_after_s: For so many seconds the tier said that it does not want to be asked.
            hung: It took too long.
        """
        self._in_flight -= 1
        memory = self._memory
        with memory.changing():
            if ticket != memory.era:
                return
            now = self._clock.monotonic()
            if memory.shut_until_s:  # it was the trial
                memory.open_s = min(2 * memory.open_s, max(_LONGEST_OPEN_S, self._first_open_s))
                self._begin(now + memory.open_s)
            elif self._is_enough(now):
                self._begin(now + memory.open_s)
            elif hung:
                self._hung += 1
            if retry_after_s is not None and retry_after_s > 0:
                until_s = now + min(retry_after_s, _LONGEST_WAIT_S)
                self._begin(max(until_s, memory.shut_until_s))

    def left(self, ticket: int) -> None:
        """Note a call that was called off: a trial that ends so lets the next one in."""
        self._in_flight -= 1
        if ticket != self._memory.era or not self._memory.shut_until_s:
            return
        with self._memory.changing():
            if ticket == self._memory.era:
                self._begin(self._clock.monotonic())

    def ended(self) -> None:
        """Note a call that says nothing of its own: another one has spoken for it."""
        self._in_flight -= 1

    def _is_enough(self, now: float) -> bool:
        """Count one more failure, and claim that the tier is to be left alone."""
        rule, memory = self._rule, self._memory
        if memory.era != self._seen_era:
            self._seen_era = memory.era
            self._failed_at.clear()
            self._ended.clear()
        memory.in_a_row += 1
        self._failed_at.append(now)
        self._ended.append(False)
        if rule.of_calls is not None:
            return len(self._ended) == rule.of_calls and self._ended.count(False) >= rule.failures
        if rule.within_s is None:
            return memory.in_a_row >= rule.failures
        if rule.failures <= MOST_SHARED_FAILURES:
            return memory.add_failure(now, within_s=rule.within_s) >= rule.failures
        is_full = len(self._failed_at) == rule.failures
        return is_full and now - self._failed_at[0] <= rule.within_s

    def _begin(self, shut_until_s: float, *, is_tried: bool = False) -> None:
        """Begin another era: tickets of the last one count no more."""
        self._memory.begin(shut_until_s, is_tried=is_tried)
        self._seen_era = self._memory.era
        self._hung = 0
        self._failed_at.clear()
        self._ended.clear()
