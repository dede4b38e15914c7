from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from feasible.clock import VirtualClock
from feasible.schema import BreakerRule, breaker_rule
from feasible.serving.breaker import Breaker


def clock() -> VirtualClock:
    """Give a clock that moves when told to."""
    return VirtualClock(datetime(2026, 11, 24, tzinfo=UTC))


def fail(breaker: Breaker, times: int = 1) -> None:
    """Let calls fail one after the other."""
    for _ in range(times):
        breaker.failed(breaker.entered())


def test_failures_that_are_not_in_a_row_never_open_it() -> None:
    """Only an outage opens a breaker, not an error now and then."""
    breaker = Breaker(clock(), rule=BreakerRule(failures=3))
    for _ in range(10):
        fail(breaker, 2)
        breaker.succeeded(breaker.entered())
    assert not breaker.is_open


def test_after_an_outage_one_call_at_a_time_tries_again() -> None:
    """A trial shuts it for everybody else until it has ended."""
    time = clock()
    breaker = Breaker(time, rule=BreakerRule(failures=1), open_s=5)
    fail(breaker)
    assert breaker.is_open
    assert breaker.state == "open"
    time.advance(5)
    assert not breaker.is_open
    trial = breaker.entered()
    assert breaker.is_open
    assert breaker.state == "half_open"
    breaker.failed(trial)
    assert breaker.is_open
    time.advance(10)
    breaker.succeeded(breaker.entered())
    assert not breaker.is_open
    assert breaker.state == "closed"


def test_trials_of_a_long_outage_become_rarer_and_start_anew_after_it() -> None:
    """A trial is a slow request of somebody: a minute of outage has two, not six."""
    time = clock()
    breaker = Breaker(time, rule=BreakerRule(failures=1))
    fail(breaker)
    trials = 0
    for _ in range(60):
        time.advance(1)
        if not breaker.is_open:
            trials += 1
            fail(breaker)
    assert trials == 2
    time.advance(60)
    breaker.succeeded(breaker.entered())
    fail(breaker)
    time.advance(10)
    assert not breaker.is_open


def test_a_trial_that_never_ends_does_not_shut_it_for_ever() -> None:
    """A trial whose end nobody reports counts for as long as an outage does."""
    time = clock()
    breaker = Breaker(time, rule=BreakerRule(failures=1), open_s=5)
    fail(breaker)
    time.advance(5)
    breaker.entered()
    time.advance(5)
    assert not breaker.is_open


def test_a_trial_that_is_called_off_lets_the_next_one_in() -> None:
    """It said nothing about the tier."""
    time = clock()
    breaker = Breaker(time, rule=BreakerRule(failures=1), open_s=5)
    fail(breaker)
    time.advance(5)
    breaker.left(breaker.entered())
    assert not breaker.is_open
    breaker.entered()
    assert breaker.is_open


def test_calls_that_were_under_way_when_it_opened_say_nothing_afterwards() -> None:
    """Neither do their failures lengthen the outage, nor does a late success end it."""
    time = clock()
    breaker = Breaker(time, rule=BreakerRule(failures=2), open_s=5)
    under_way = [breaker.entered() for _ in range(10)]
    for ticket in under_way[:2]:
        breaker.failed(ticket)
    assert breaker.is_open
    breaker.succeeded(under_way[2])
    assert breaker.is_open
    time.advance(4)
    for ticket in under_way[3:6]:
        breaker.failed(ticket)
    time.advance(1)
    assert not breaker.is_open
    trial = breaker.entered()
    breaker.failed(under_way[6])
    breaker.succeeded(under_way[7])
    assert breaker.is_open  # the trial is still out
    breaker.succeeded(trial)
    assert not breaker.is_open
    breaker.failed(under_way[8])
    breaker.failed(under_way[9])
    assert not breaker.is_open


def test_failures_in_a_time_count_whatever_succeeds_between() -> None:
    """`3 failures in 10 s` is what it says."""
    time = clock()
    breaker = Breaker(time, rule=breaker_rule("3 failures in 10 s"))
    for _ in range(6):
        fail(breaker)
        breaker.succeeded(breaker.entered())
        time.advance(6)
    assert not breaker.is_open
    for _ in range(2):
        fail(breaker)
        breaker.succeeded(breaker.entered())
        time.advance(1)
    assert breaker.is_open


def test_a_share_of_the_last_calls_opens_it_once_there_are_enough() -> None:
    """`half of 4 calls fail` says nothing of the first three."""
    breaker = Breaker(clock(), rule=breaker_rule("half of 4 calls fail"))
    fail(breaker, 3)
    assert not breaker.is_open
    breaker.succeeded(breaker.entered())
    fail(breaker)
    assert breaker.is_open


@pytest.mark.parametrize(("asked_s", "kept_s"), [(30.0, 30.0), (86_400.0, 300.0)])
def test_a_provider_that_says_when_to_come_again_is_left_alone_until_then(
    asked_s: float, kept_s: float
) -> None:
    """`Retry-After` needs no five failures; five minutes are the most that it may ask for."""
    time = clock()
    breaker = Breaker(time)
    breaker.failed(breaker.entered(), retry_after_s=asked_s)
    time.advance(kept_s - 1)
    assert breaker.is_open
    time.advance(1)
    assert not breaker.is_open


def test_after_a_call_that_hung_no_more_are_let_in_than_would_open_it() -> None:
    """Those would be slow as well; the first success takes the suspicion away."""
    breaker = Breaker(clock(), rule=BreakerRule(failures=5))
    tickets = [breaker.entered() for _ in range(6)]
    assert not breaker.is_open
    breaker.failed(tickets.pop(), hung=True)
    assert breaker.is_open  # five are under way, and four more failures open it
    breaker.failed(tickets.pop())
    breaker.failed(tickets.pop())
    assert not breaker.is_open
    breaker.succeeded(tickets.pop())
    for _ in range(20):
        breaker.entered()
    assert not breaker.is_open


def test_workers_learn_of_an_outage_from_each_other(tmp_path: Path) -> None:
    """Failures count together, the trial is the only one, and its success is everybody's."""
    time, file = clock(), tmp_path / "breakers"
    first, second = (Breaker(time, tier="llm", shared=file) for _ in range(2))
    other = Breaker(time, tier="model", shared=file)
    fail(first, 3)
    fail(second, 2)
    assert first.is_open
    assert second.is_open
    assert not other.is_open
    time.advance(10)
    assert not second.is_open
    trial = second.entered()
    assert first.is_open
    first.succeeded(first.entered())  # asked for want of anybody else: it is no trial
    assert first.is_open
    second.succeeded(trial)
    assert not first.is_open
    assert first.state == "closed"


def test_failures_in_a_time_count_together_too(tmp_path: Path) -> None:
    """Whichever worker saw them."""
    time, file = clock(), tmp_path / "breakers"
    rule = breaker_rule("3 failures in 10 s")
    first, second = (Breaker(time, rule=rule, tier="llm", shared=file) for _ in range(2))
    time.advance(100)
    fail(first)
    time.advance(11)
    fail(second, 2)
    assert not first.is_open
    fail(first)
    assert second.is_open
