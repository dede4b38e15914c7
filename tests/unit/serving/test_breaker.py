from __future__ import annotations

from datetime import UTC, datetime

from feasible.clock import VirtualClock
from feasible.serving.breaker import Breaker


def clock() -> VirtualClock:
    """Give a clock that moves when told to."""
    return VirtualClock(datetime(2026, 11, 24, tzinfo=UTC))


def test_failures_that_are_not_in_a_row_never_open_it() -> None:
    """Only an outage opens a breaker, not an error now and then."""
    breaker = Breaker(clock(), failures=3)
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert not breaker.is_open


def test_after_an_outage_one_call_at_a_time_tries_again() -> None:
    """A trial shuts it for everybody else until it has ended."""
    time = clock()
    breaker = Breaker(time, failures=1, open_s=5)
    breaker.failed()
    assert breaker.is_open
    time.advance(5)
    assert not breaker.is_open
    breaker.entered()
    assert breaker.is_open
    breaker.failed()
    assert breaker.is_open
    time.advance(5)
    breaker.entered()
    breaker.succeeded()
    assert not breaker.is_open


def test_a_trial_that_never_ends_does_not_shut_it_for_ever() -> None:
    """A trial whose end nobody reports counts for as long as an outage does."""
    time = clock()
    breaker = Breaker(time, failures=1, open_s=5)
    breaker.failed()
    time.advance(5)
    breaker.entered()
    time.advance(5)
    assert not breaker.is_open
