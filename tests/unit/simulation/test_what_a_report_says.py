"""Every field of an answer, on designs small enough to know it by hand or by a closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feasible.schema import parse_brief
from feasible.simulation import (
    Asked,
    Outage,
    People,
    Promise,
    Retrying,
    Service,
    Simulated,
    Uncertain,
    breakpoints,
    latency,
    named_scenario,
    regimes,
    run,
    share_of,
    simulated,
    sweep,
    with_outage,
)
from feasible.simulation.breakpoint import curve_point, tier_lines
from feasible.simulation.design import Batching
from feasible.simulation.draws import draw
from feasible.simulation.queueing import share_out_of_patience
from feasible.simulation.screen import screen
from feasible.testing import one_tier, three_tiers

BRIEF = """
feasible: 1
name: x
goal: {statement: x}
traffic: {rate: 3.2 / s, peak: 5x}
envelope:
  - {latency: p95, at_most: 20 s}
"""
P95 = Promise("latency_p95", latency(0.95), 20.0, "s")
SAME = Promise("latency_p95_again", latency(0.95), 20.0, "s")
DEGRADED = Promise("degraded_share", share_of("degraded"), 0.01, "ratio")
PEOPLE = Promise(
    "people_per_hour",
    share_of("handed", per="hour"),
    0.0,
    "/ h",
    scales=True,
    limit_knob="people.per_hour",
)


@pytest.fixture(scope="module")
def found() -> Simulated:
    """One queue with people who see every hundredth case, and a promise that stands there twice."""
    design = replace(one_tier(rate=3.2), people=People(per_hour=230.4, share=0.01))
    return breakpoints(design, (P95, SAME, DEGRADED, PEOPLE), seed=1, seeds=3, n=4000)


def test_a_promise_stands_with_its_limit_and_what_it_uses(found: Simulated) -> None:
    """Value over limit; people by the closed form: 115.2 cases an hour of 230.4."""
    lines = {line.objective: line for line in found.order}
    p95, people = lines["latency_p95"], lines["people_per_hour"]

    assert (p95.limit, p95.unit, p95.is_ceiling, p95.method) == (20.0, "s", True, "simulated")
    assert p95.at_1x is not None
    assert p95.used_at_1x == pytest.approx(p95.at_1x / 20.0)
    assert (people.method, people.unit, people.limit) == ("closed_form", "/ h", 230.4)
    assert people.headroom == pytest.approx((2.0, 2.0, 2.0))
    assert people.closed_form == pytest.approx(2.0)
    assert people.used_at_1x == pytest.approx(0.5)


def test_what_breaks_together_is_a_tie(found: Simulated) -> None:
    """The same promise under two names: either is first, and the shares are of all seeds."""
    assert found.first.constraint in {"latency_p95", "latency_p95_again"}
    assert set(found.first.tie) == {"latency_p95", "latency_p95_again"} - {found.first.constraint}
    assert sum(found.first.shares.values()) == pytest.approx(1.0)
    assert found.engine == "sweep"
    assert found.requests >= 14 * 3 * 4000


def test_what_binds_is_told_by_headroom_or_by_margin(found: Simulated) -> None:
    """Slots and times bind the queue; nothing is broken, so that nothing is told of that."""
    assert found.bottleneck is not None
    assert found.bottleneck.of == "headroom"
    assert found.bottleneck.runner_up is not None
    binding = {found.bottleneck.knob, found.bottleneck.runner_up.knob}
    assert binding == {"only.slots", "only.time"}
    assert found.broken_by is None

    late = breakpoints(
        one_tier(rate=3.2), (replace(P95, limit=0.5),), seed=1, seeds=2, n=4000
    ).broken_by
    assert late is not None
    assert (late.promise, late.of) == ("latency_p95", "margin")


def test_a_trace_is_of_the_first_request_in_the_way(found: Simulated) -> None:
    """Just beyond the headroom; run again, that request is over the limit and none before it."""
    trace = found.trace_of_first_violation
    assert trace is not None

    at = one_tier(rate=3.2 * trace.multiple)
    took = run(at, 4000, seed=1).latency_ms

    assert trace.busiest == "only"
    assert trace.latency_ms == pytest.approx(took[trace.request])
    assert trace.request == int(np.argmax(took > 20_000))
    assert trace.answered_by == "only"
    assert not trace.degraded


def test_tiers_wait_as_erlang_says() -> None:
    """M/M/4 at 80 %: .7455 s; one slot with fixed times, half of M/M/1; batches: unknown."""
    several, one, batch = (
        tier_lines(screen(design))[0]
        for design in (
            one_tier(rate=3.2, timeout_s=1e9),
            one_tier(rate=0.8, slots=1, service=Service("fixed", 1.0)),
            one_tier(rate=100.0, slots=1, batching=Batching(16, 0.0, 0.008, 0.001)),
        )
    )

    assert several.wait_ms == pytest.approx(745.5, abs=0.1)
    assert several.saturates_at == pytest.approx(1 / 0.8)
    assert one.wait_ms == pytest.approx(2000.0)
    assert (batch.wait_ms, batch.late) == (None, None)
    assert batch.utilisation == pytest.approx(100 / 666.7, rel=1e-3)
    overloaded = tier_lines(screen(one_tier(rate=5.0)))[0]
    assert overloaded.wait_ms is None
    assert overloaded.late == pytest.approx(0.2)


@pytest.mark.parametrize("rate", [3.0, 4.0, 6.0])
def test_who_runs_out_of_time_is_screened(rate: float) -> None:
    """Baccelli and Hebuterne against the sweep, below, at and above what the slots bear."""
    design = one_tier(rate=rate, patience_s=1.0)

    late = screen(design).loads[0].late
    use = sweep(design, draw(design, 200_000, seed=2)).tiers[0]

    assert late == pytest.approx(share_out_of_patience(rate, 1.0, 4, 1.0))
    assert use.waited_out / use.came == pytest.approx(late, abs=0.008)


def test_many_servers_and_much_patience_are_no_trouble() -> None:
    """Where powers and factorials would overflow the law still holds: what is too much leaves."""
    assert share_out_of_patience(2000.0, 1.0, 1000, 1e4) == pytest.approx(0.5)
    assert share_out_of_patience(900.0, 1.0, 1000, 10.0) == pytest.approx(0.0, abs=1e-9)
    assert share_out_of_patience(10.0, 1.0, 5000, 1.0) == 0.0


def test_useful_percentiles_are_of_answers_that_are_whole() -> None:
    """A time limit of 1 s cuts off the slowest: p99 is that limit, and without them less."""
    design = one_tier(rate=2.0, slots=50, timeout_s=1.0, service=Service("exponential", 0.4))

    point = curve_point(design, sweep(design, draw(design, 20_000, seed=3)), 1.0)

    assert point.p99_ms == pytest.approx(1000.0)
    assert point.p99_useful_ms < 990.0
    assert point.p95_useful_ms < point.p95_ms
    assert point.degraded == pytest.approx(np.exp(-2.5), abs=0.01)


@pytest.mark.slow
def test_a_tornado_knows_which_way_an_input_moves_the_break() -> None:
    """Calls that take longer break it earlier: the correlation is as good as minus one."""
    asked = Asked(
        design=one_tier(rate=3.2),
        promises=(P95,),
        brief=parse_brief(BRIEF).brief,
        scenario=replace(named_scenario("breakpoint"), seeds=2, requests=2000),
        uncertain=(Uncertain("only.time", 0.8, 1.2, "assumed"),),
    )

    answer = simulated(asked)

    bar = answer.tornado[0]
    assert (bar.input, bar.basis) == ("only.time", "assumed")
    assert bar.rank_correlation is not None
    assert bar.rank_correlation < -0.95
    assert answer.matters_most == "only.time"


def test_a_spike_has_three_windows_and_says_how_much_is_borne() -> None:
    """A minute of five times the load between two calm stretches, as the brief's peak requires."""
    asked = Asked(
        design=one_tier(rate=3.2, slots=8),
        promises=(DEGRADED, P95),
        brief=parse_brief(BRIEF).brief,
        scenario=replace(named_scenario("spike"), multiple=5.0, lasts_s=60.0, seeds=2),
    )

    answer = simulated(asked)

    before, during, after = answer.windows
    assert (before.start_s, before.end_s, during.end_s) == (0.0, 120.0, 180.0)
    assert before.requests == pytest.approx(3.2 * 120, rel=0.15)
    assert during.requests == pytest.approx(5 * 3.2 * 60, rel=0.1)
    assert after.start_s == during.end_s
    fault = answer.faults[0]
    assert (fault.required, fault.tried_up_to) == (5.0, 20.0)
    assert fault.tolerated is None or fault.tolerated >= 1
    assert fault.recovers_s is not None


def test_a_regime_has_its_rate_and_use() -> None:
    """Without retries nothing outlives a minute of slow calls, at a load that is half of all."""
    design = three_tiers(50.0, llm_slots=16, after_failure="next")

    found = regimes(design, 2, (1.0,), seeds=(1,), retrying=Retrying(0), most=6000)

    assert [(r.regime, r.rate_per_s, r.multiple) for r in found] == [("stable", 50.0, 1.0)]
    assert found[0].utilisation == pytest.approx(50 * 0.3 * 0.39 / 16, rel=0.15)
    assert len(found[0].degraded_after_fault) == len(found[0].degraded_without_fault) == 1


def test_an_outage_is_of_the_tier_and_its_vendor() -> None:
    """Those of one vendor fail together; the others go on."""
    design = three_tiers(20.0)
    of_one = tuple(replace(load, vendor="v" if k else None) for k, load in enumerate(design.tiers))

    down = with_outage(replace(design, tiers=of_one), 2, Outage(0.0, 10.0, "error"))

    assert [len(load.outages) for load in down.tiers] == [0, 1, 1]
