"""Laws of the simulator that hold for every design: both engines agree, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feasible.simulation import (
    Batching,
    Breaking,
    CacheFront,
    Design,
    Outage,
    Outcome,
    Quota,
    Retrying,
    Scaling,
    Service,
    TierLoad,
    draw,
    run,
    run_calendar,
    sweep,
)
from feasible.testing import one_tier, three_tiers

N = 1200

feed_forward = st.fixed_dictionaries(
    {},
    optional={
        "quota": st.builds(Quota, calls=st.floats(60, 6000)),
        "waiting": st.integers(0, 40),
        "patience_s": st.floats(0.01, 1.0),
        "outages": st.lists(
            st.builds(
                Outage,
                start_s=st.floats(0, 5),
                end_s=st.floats(5, 12),
                kind=st.sampled_from(["error", "slow"]),
                factor=st.floats(1.5, 6),
                share=st.sampled_from([0.3, 1.0]),
            ),
            max_size=2,
        ).map(tuple),
    },
)
feed_back = st.fixed_dictionaries(
    {},
    optional={
        "retrying": st.builds(
            Retrying,
            times=st.integers(1, 3),
            budget=st.sampled_from([None, 0.1]),
            redraw=st.booleans(),
        ),
        "breaking": st.sampled_from([Breaking(), Breaking(in_a_row=5, open_s=2.0)]),
        "scaling": st.just(Scaling(every_s=1.0, target=0.7, lag_s=3.0, least=2, most=40)),
        "crowding": st.sampled_from([0.0, 1.0]),
        "admits": st.booleans(),
        "quota": st.builds(Quota, calls=st.floats(60, 6000)),
        "batching": st.just(Batching(4, 0.01, 0.1, 0.02)),
        "outages": st.just((Outage(2.0, 6.0, "error"),)),
    },
)


def assert_same(one: Outcome, other: Outcome) -> None:
    """Hold two outcomes to be the same to the last bit."""
    assert np.abs(one.latency_ms - other.latency_ms).max() == 0.0
    assert np.array_equal(one.exit, other.exit)
    assert np.array_equal(one.answered_by, other.answered_by)
    assert np.array_equal(one.degraded, other.degraded)
    assert np.array_equal(one.over_quota, other.over_quota)
    assert np.array_equal(one.cost_usd, other.cost_usd)
    for a, b in zip(one.tiers, other.tiers, strict=True):
        assert (a.came, a.calls, a.waited_out, a.cut_off) == (
            b.came,
            b.calls,
            b.waited_out,
            b.cut_off,
        )
        assert (a.failed, a.over_quota, a.refused) == (b.failed, b.over_quota, b.refused)
        assert a.busy_s == pytest.approx(b.busy_s)
        assert a.inside_s == pytest.approx(b.inside_s)


def assert_whole(design: Design, outcome: Outcome) -> None:
    """Hold that every request ended once, and every visit of a tier too."""
    ended = sum(int((outcome.exit == k).sum()) for k in range(-3, len(design.tiers)))
    assert ended == len(outcome) == N
    assert (outcome.latency_ms >= 0).all()
    for use in outcome.tiers:
        left = use.calls + use.waited_out + use.over_quota + use.refused
        assert use.came == left
        assert use.calls >= use.cut_off + use.failed


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**20),
    rate=st.floats(5, 400),
    llm=feed_forward,
    deadline=st.sampled_from([None, 300.0, 1200.0]),
    after=st.sampled_from(["next", "fall_back"]),
    hit=st.sampled_from([None, 0.3]),
    front=st.sampled_from([None, TierLoad("front", 1, Service("exponential", 0.002))]),
)
def test_sweep_and_calendar_agree_to_the_last_bit(
    seed: int,
    rate: float,
    llm: dict[str, Any],
    deadline: float | None,
    after: Any,
    hit: Any,
    front: TierLoad | None,
) -> None:
    """One asks the array evaluator tier by tier, the other `route` case by case."""
    design = three_tiers(rate, deadline_ms=deadline, after_failure=after, **llm)
    if hit is not None:
        design = replace(design, cache=CacheFront(hit=hit))
    design = replace(design, front=front)
    draws = draw(design, N, seed=seed)

    swept, exact = sweep(design, draws), run_calendar(design, draws)

    assert_same(swept, exact)
    assert_whole(design, swept)
    assert_whole(design, exact)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**20), rate=st.floats(10, 2000), slots=st.integers(1, 3))
def test_batches_agree_too(seed: int, rate: float, slots: int) -> None:
    """Full batches, batches that waited, and cases that gave up before."""
    batching = Batching(8, 0.005, 0.008, 0.001)
    design = one_tier(rate=rate, slots=slots, timeout_s=0.05, batching=batching)
    draws = draw(design, N, seed=seed)

    swept, exact = sweep(design, draws), run_calendar(design, draws)

    assert_same(swept, exact)
    assert_whole(design, exact)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**20), rate=st.floats(5, 400), llm=feed_back)
def test_nothing_is_lost_whatever_feeds_back(seed: int, rate: float, llm: dict[str, Any]) -> None:
    """Every request ends once, whatever was tried again, left alone or refused."""
    design = three_tiers(rate, deadline_ms=900.0 if llm.get("admits") else None, **llm)

    outcome = run_calendar(design, draw(design, N, seed=seed))

    assert_whole(design, outcome)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**20), rate=st.floats(5, 200), slots=st.integers(1, 30))
def test_little_s_law_holds_for_every_tier(seed: int, rate: float, slots: int) -> None:
    """Who is inside, added up over time, is what the visits took, added up over visits."""
    design = three_tiers(rate, llm_slots=slots, after_failure="next")
    draws = draw(design, N, seed=seed)

    by_time, by_visit = run_calendar(design, draws).tiers, sweep(design, draws).tiers

    for inside, visits in zip(by_time, by_visit, strict=True):
        assert inside.inside_s == pytest.approx(visits.inside_s, rel=1e-9)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20), rate=st.floats(5, 100), budget=st.floats(0.0, 2.0))
def test_a_budget_is_exceeded_by_one_call_at_most(seed: int, rate: float, budget: float) -> None:
    """Once a day's money is spent, no call begins that costs any."""
    design = replace(three_tiers(rate), budget_usd_day=budget, enforces_budget=True)

    outcome = run(design, N, seed=seed)

    assert outcome.span_s < 86_400
    assert outcome.cost_usd.sum() <= budget + 0.004 + 1e-9


@settings(max_examples=15)
@given(seed=st.integers(0, 2**20), rate=st.floats(20, 60), slots=st.integers(4, 20))
def test_more_slots_never_make_a_single_tier_slower(seed: int, rate: float, slots: int) -> None:
    """With the same luck, of a single queue."""
    few = run(one_tier(rate=rate / 10, slots=slots), N, seed=seed)
    more = run(one_tier(rate=rate / 10, slots=slots + 1), N, seed=seed)

    assert (more.latency_ms <= few.latency_ms + 1e-6).all()
