"""What stands between a case and a call: a vendor's quota, an outage, a breaker. Both engines ask.

Times are seconds on the virtual clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from feasible.simulation.design import Breaking, Outage, Quota

__all__ = ["Breaker", "Buckets", "struck"]


class Buckets:
    """A vendor's quota as token buckets, each of which holds one second of it, full at first.

    A call that finds a whole call and some tokens left is let through, and may leave a debt of
    tokens behind: over any long time no more than the quota passes.

    Args:
        quota: What is allowed per minute.
    """

    def __init__(self, quota: Quota) -> None:
        self._rates = [None if most is None else most / 60.0 for most in _most(quota)]
        self._least = (1.0, 0.0, 0.0)
        self._levels = [
            0.0 if rate is None else max(rate, least)
            for rate, least in zip(self._rates, self._least, strict=True)
        ]
        self._holds = tuple(self._levels)
        self._last_s = 0.0

    def take(self, at_s: float, reads: float, writes: float) -> bool:
        """Let a call through, or refuse it and take nothing."""
        passed_s, self._last_s = at_s - self._last_s, at_s
        allowed = True
        for i, rate in enumerate(self._rates):
            if rate is not None:
                level = min(self._holds[i], self._levels[i] + passed_s * rate)
                self._levels[i] = level
                allowed = allowed and (level >= 1.0 if i == 0 else level > 0.0)
        if allowed:
            for i, amount in enumerate((1.0, reads, writes)):
                self._levels[i] -= amount
        return allowed

    def ready_in_s(self) -> float:
        """Give how long to wait until a call may pass. Seconds."""
        waits = [0.0]
        for i, rate in enumerate(self._rates):
            if rate is not None:
                waits.append((self._least[i] - self._levels[i]) / rate)
        return max(waits)


def _most(quota: Quota) -> tuple[float | None, float | None, float | None]:
    return quota.calls, quota.reads, quota.writes


def struck(
    outages: Sequence[Outage], at_s: float, luck: float, service_s: float
) -> tuple[float, bool]:
    """Give how long a call takes that begins now, and whether it gives an answer.

    Args:
        outages: Faults of its tier.
        at_s: When it begins.
        luck: Uniform; decides faults that hit a share of the calls.
        service_s: What it takes when nothing is wrong.
    """
    for outage in outages:
        if outage.start_s <= at_s < outage.end_s and luck < outage.share:
            if outage.kind == "error":
                return outage.after_s, False
            service_s *= outage.factor
    return service_s, True


class Breaker:
    """Leaves a tier alone after failures, then lets a single trial call through.

    A call that began before it opened says nothing about the tier afterwards: only the trial does.

    Args:
        breaking: When it opens, and for how long.
    """

    def __init__(self, breaking: Breaking) -> None:
        self._breaking = breaking
        self._window: deque[bool] = deque(maxlen=breaking.window)
        self._failed_s: deque[float] = deque(maxlen=breaking.in_a_row)
        self._failures = 0
        self._in_a_row = 0
        self._open_until_s: float | None = None
        self._open_s = breaking.open_s
        self._trial: int | None = None
        self.opened = 0

    def is_open(self, at_s: float) -> bool:
        """Claim that the tier may not be asked now."""
        until = self._open_until_s
        return until is not None and (at_s < until or self._trial is not None)

    def entered(self, case: int) -> None:
        """Note that a case's call begins: after an outage it is the only trial until it ends."""
        if self._open_until_s is not None and self._trial is None:
            self._trial = case

    def ended(self, case: int, at_s: float, *, well: bool) -> None:
        """Note how a case's call ended."""
        if self._open_until_s is None:
            if self._is_too_much(at_s, well):
                self._open(at_s)
                self.opened += 1
        elif case == self._trial:
            self._trial = None
            if well:
                self._open_until_s, self._open_s = None, self._breaking.open_s
            else:
                longest = self._breaking.longest_s
                self._open_s = self._open_s if longest is None else min(2 * self._open_s, longest)
                self._open(at_s)

    def left(self, case: int) -> None:
        """Note a call that was never made: a trial that ends so lets the next one in."""
        if case == self._trial:
            self._trial = None

    def _open(self, at_s: float) -> None:
        self._open_until_s = at_s + self._open_s
        self._window.clear()
        self._failed_s.clear()
        self._failures = self._in_a_row = 0

    def _is_too_much(self, at_s: float, well: bool) -> bool:  # noqa: FBT001  one private caller
        rule = self._breaking
        self._in_a_row = 0 if well else self._in_a_row + 1
        if rule.in_a_row is not None and rule.within_s is not None:
            if not well:
                self._failed_s.append(at_s)
            is_full = len(self._failed_s) == rule.in_a_row
            return not well and is_full and at_s - self._failed_s[0] <= rule.within_s
        if rule.in_a_row is not None:
            return self._in_a_row >= rule.in_a_row
        if len(self._window) == rule.window:
            self._failures -= not self._window[0]
        self._window.append(well)
        self._failures += not well
        seen = len(self._window)
        return seen >= rule.least and self._failures > rule.share * seen
