"""What a service does and a queue on paper does not: caches, commits, breakers, its own queue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feasible.cascade import Policy, Step, most_waiting
from feasible.schema import BreakerRule, TierKind
from feasible.simulation import (
    CACHED,
    Arrivals,
    Batching,
    CacheFront,
    Design,
    Outage,
    Service,
    TierLoad,
    broken_since,
    declared_cases,
    draw,
    run_calendar,
    screen,
    share_of,
    sweep,
)
from feasible.simulation.faults import Breaker
from feasible.simulation.from_plan import served_breaker
from feasible.simulation.outcome import committed
from feasible.simulation.promises import Promise
from feasible.testing import one_tier, three_tiers


def half_to_people(hit: float | None) -> Design:
    """Give a small model that hands every second case to a person, behind a cache."""
    policy = Policy(
        (Step("small", TierKind.MODEL, {"*": 0.5}), Step("person", TierKind.PERSON, {"*": 0.0}))
    )
    return Design(
        "half to people",
        policy,
        (
            TierLoad("small", 4, Service("fixed", 0.001)),
            TierLoad("person", 1, Service("fixed", 0.0), usd=1.0),
        ),
        declared_cases(policy),
        Arrivals(50.0),
        cache=CacheFront(hit=hit, keys=50, ttl_s=1e9),
    )


def test_what_a_person_answers_is_not_in_a_cache() -> None:
    """40 % are repeats, and half of them go all the way again: 20 % are hits."""
    design = half_to_people(0.4)
    draws = draw(design, 40_000, seed=1)

    swept, exact = sweep(design, draws), run_calendar(design, draws)

    assert (swept.exit == CACHED).mean() == pytest.approx(0.2, abs=0.01)
    assert swept.handed.mean() == pytest.approx(0.5, abs=0.01)
    assert swept.cost_usd.mean() == pytest.approx(0.5, abs=0.01)
    assert np.array_equal(swept.exit, exact.exit)
    assert screen(design).usd_each == pytest.approx(0.5, abs=0.001)


def test_a_cache_that_fills_remembers_no_person_either() -> None:
    """Fifty questions asked for ever: those of machines end in the cache, the others never."""
    design = half_to_people(None)

    found = run_calendar(design, draw(design, 20_000, seed=1))

    assert not found.handed[found.exit == CACHED].any()
    assert found.cost_usd.mean() == pytest.approx(found.handed.mean())


@pytest.mark.parametrize(("size", "most"), [(10**9, 1.0), (500, 0.61)])
def test_a_screen_knows_how_much_a_cache_holds(size: int, most: float) -> None:
    """By Che's approximation, the hits of the 500 entries that a small one holds, at most."""
    cache = CacheFront(keys=20_000, zipf=1.0, ttl_s=1e9, size=size)
    design = replace(three_tiers(100.0), cache=cache)

    reach = screen(design).loads[0].reach

    assert reach >= 1 - most - 0.001
    assert (reach < 0.01) == (size > 20_000)


def test_a_small_cache_is_simulated_as_it_is_screened() -> None:
    """The closed form and the calendar see the same share of requests get past it."""
    cache = CacheFront(keys=2_000, zipf=1.0, ttl_s=1e9, size=300)
    design = replace(three_tiers(2000.0, llm_slots=2000), cache=cache)

    found = run_calendar(design, draw(design, 60_000, seed=1))

    late = found.exit[20_000:]
    assert (late != CACHED).mean() == pytest.approx(screen(design).loads[0].reach, abs=0.02)


def test_answers_that_are_ready_together_are_committed_together() -> None:
    """By hand: one alone until 10; three that came meanwhile until 16; one more until 111."""
    commit = Batching(256, 0.0, 10.0, 2.0 / 3)

    done = committed(commit, np.array([0.0, 1.0, 2.0, 3.0, 100.0]))

    first = 10.0 + 2.0 / 3
    assert done == pytest.approx([first, *[first + 12.0] * 3, 100.0 + first])


def test_a_commit_takes_so_many_at_most() -> None:
    """With room for two, the third waits for the next one."""
    done = committed(Batching(2, 0.0, 1.0, 0.0), np.array([0.0, 0.5, 0.6, 0.7]))

    assert done == pytest.approx([1.0, 2.0, 2.0, 3.0])


def test_both_engines_commit_and_add_what_was_measured() -> None:
    """The same luck for both, to the last bit, and the commit shows."""
    plain = three_tiers(100.0)
    served = replace(plain, commit=Batching(256, 0.0, 0.004, 1e-4), overhead_ms=(1.0, 2.0, 6.0))
    draws = draw(served, 4_000, seed=3)

    swept, exact = sweep(served, draws), run_calendar(served, draws)

    assert np.array_equal(swept.latency_ms, exact.latency_ms)
    added = swept.latency_ms - sweep(plain, draw(plain, 4_000, seed=3)).latency_ms
    assert added.min() >= 4.1 + 1.0 - 1e-9
    assert added.mean() > 4.1 + 3.0  # some waited for the commit before theirs


def test_a_sample_is_what_calls_take() -> None:
    """Times that no row decides are drawn from what was measured."""
    design = one_tier(rate=1.0, slots=50, service=Service("measured", sample_s=(0.1, 0.3)))

    took = sweep(design, draw(design, 4_000, seed=1)).latency_ms

    assert set(np.round(took, 6)) == {100.0, 300.0}
    assert took.mean() == pytest.approx(200.0, abs=5.0)
    assert screen(design).loads[0].service_s == pytest.approx(0.2)


def test_a_served_breaker_opens_as_its_rule_says() -> None:
    """In a row, among so many calls, or within a time whatever succeeded between."""
    row, share, within = (
        served_breaker(rule)
        for rule in (BreakerRule(3), BreakerRule(3, of_calls=4), BreakerRule(3, within_s=10.0))
    )
    assert row is not None
    assert share is not None
    assert within is not None
    ends = [False, False, True, False, False, False]

    assert [_opens_at(Breaker(rule), ends) for rule in (row, share, within)] == [5, 3, 3]
    assert served_breaker(None) is None


def _opens_at(breaker: Breaker, ends: list[bool]) -> int | None:
    """Give after which call a breaker is open; a call a second."""
    for i, well in enumerate(ends):
        breaker.entered(i)
        breaker.ended(i, float(i), well=well)
        if breaker.is_open(float(i)):
            return i
    return None


def test_each_trial_that_fails_doubles_the_wait() -> None:
    """10 s, then 20, 40, and no more than 60; one that succeeds begins anew."""
    rule = served_breaker(BreakerRule(1))
    assert rule is not None
    breaker, now, waits = Breaker(rule), 0.0, []
    breaker.entered(0)
    breaker.ended(0, now, well=False)
    for case in range(1, 6):
        began = now
        while breaker.is_open(now):
            now += 1.0
        waits.append(now - began)
        breaker.entered(case)
        breaker.ended(case, now, well=case == 5)

    assert waits == [10.0, 20.0, 40.0, 60.0, 60.0]
    assert not breaker.is_open(now)


def test_calls_of_before_an_outage_are_no_trial() -> None:
    """One that began before the breaker opened says nothing; the trial alone does."""
    rule = served_breaker(BreakerRule(1))
    assert rule is not None
    breaker = Breaker(rule)
    for case in (0, 1):
        breaker.entered(case)
    breaker.ended(0, 0.0, well=False)

    breaker.entered(2)
    breaker.ended(1, 11.0, well=True)
    assert breaker.is_open(11.0)
    breaker.ended(2, 12.0, well=True)
    assert not breaker.is_open(12.0)


def test_a_trial_that_only_waited_lets_the_next_one_in() -> None:
    """It was never made, and shut the tier for nobody."""
    rule = served_breaker(BreakerRule(1))
    assert rule is not None
    breaker = Breaker(rule)
    breaker.entered(0)
    breaker.ended(0, 0.0, well=False)
    breaker.entered(1)
    assert breaker.is_open(20.0)

    breaker.left(1)

    assert not breaker.is_open(20.0)


def test_a_full_queue_does_not_open_a_breaker() -> None:
    """Twice what the slots bear: cases are turned away, and calls go on as many as can."""
    rule = served_breaker(BreakerRule(5))
    design = one_tier(rate=8.0, slots=4, waiting=2, breaking=rule)

    found = run_calendar(design, draw(design, 4_000, seed=1))

    assert found.tiers[0].refused > 500
    assert found.tiers[0].utilisation > 0.85


def test_a_queue_is_as_long_as_it_helps() -> None:
    """By hand: a quarter of 4 s, half of which may be queue, 16 at a time: 0.5 s of work."""
    assert most_waiting(16, 1.0, 4.0) == 8
    assert most_waiting(1, 2.0, 4.0) == 0


def test_a_promise_breaks_when_its_window_does() -> None:
    """Nothing fails for 100 s and everything then: 10 % of a 20 s window is over after 2 s."""
    down = Outage(100.0, 1e9, "error", after_s=0.0)
    design = one_tier(rate=50.0, slots=200, outages=(down,))
    found = sweep(design, draw(design, 10_000, seed=1))
    some = Promise("degraded", share_of("degraded"), 0.10, "ratio")
    more = Promise("most degraded", share_of("degraded"), 0.50, "ratio")
    never = Promise("all degraded", share_of("degraded"), 1.0, "ratio")

    order = broken_since(design, (more, never, some), found, 100.0, window_s=20.0)

    assert [name for name, _ in order] == ["degraded", "most degraded"]
    assert order[0][1] == pytest.approx(2.0, abs=0.7)
    assert order[1][1] == pytest.approx(10.0, abs=0.7)


def test_what_was_broken_before_is_not_the_faults() -> None:
    """Half of the calls fail all along: the outage breaks nothing that held."""
    always = Outage(0.0, 1e9, "error", share=0.5)
    down = Outage(100.0, 1e9, "error")
    design = one_tier(rate=50.0, slots=200, outages=(always, down))
    found = sweep(design, draw(design, 10_000, seed=1))

    promise = Promise("degraded", share_of("degraded"), 0.10, "ratio")

    assert broken_since(design, (promise,), found, 100.0, window_s=20.0) == ()
