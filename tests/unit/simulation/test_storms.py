"""Retries, breakers and outages: what outlives its cause, and what only looks as if it did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feasible.simulation import (
    Breaking,
    Design,
    Outage,
    Promise,
    Retrying,
    draw,
    regimes,
    run,
    run_calendar,
    share_of,
)
from feasible.simulation.disturbance import recovery_s, tolerance, with_outage
from feasible.testing import one_tier, three_tiers


@pytest.mark.slow
def test_loads_are_stable_vulnerable_and_unstable_and_the_twin_says_which() -> None:
    """At 60 a second a slow minute passes; at 80 it may stay; at 90 retries alone are a storm."""
    design = three_tiers(60.0, retrying=Retrying(3))

    calm, storm = regimes(design, 2, (1.0, 1.5), seeds=(3,))
    (between,) = regimes(design, 2, (80 / 60,), seeds=(3, 4))

    assert [calm.regime, between.regime, storm.regime] == ["stable", "vulnerable", "unstable"]
    assert min(storm.degraded_without_fault) >= 0.15
    assert max(between.degraded_without_fault) <= 0.03
    assert max(calm.degraded_after_fault) <= 0.03


@pytest.mark.slow
def test_no_retries_or_a_breaker_keep_the_storm_away() -> None:
    """The load that three retries make unstable is stable without them, and behind a breaker."""
    storm = regimes(three_tiers(90.0, retrying=Retrying(0)), 2, (1.0,), seeds=(3,))[0]
    breaking = three_tiers(90.0, retrying=Retrying(3), breaking=Breaking(open_s=5.0))
    broken = regimes(breaking, 2, (1.0,), seeds=(3,))[0]

    assert max(storm.degraded_after_fault) <= 0.03
    assert max(broken.degraded_after_fault) <= 0.07


def test_a_retry_budget_holds_further_calls_to_its_share() -> None:
    """At most a tenth of the calls are further calls."""
    fault = (Outage(0.0, 1e9, "error", share=0.5),)
    design = one_tier(rate=1.0, outages=fault, retrying=Retrying(3, budget=0.1))

    use = run(design, 5_000, seed=1).tiers[0]

    assert 400 < use.again <= 0.1 * use.calls


def test_a_breaker_leaves_a_dead_tier_alone_and_comes_back() -> None:
    """While it is down hardly a call is made; after it, calls are made again."""
    outage = (Outage(100.0, 200.0, "error", after_s=0.01),)
    breaking = Breaking(in_a_row=5, open_s=10.0)
    design = three_tiers(60.0, outages=outage, breaking=breaking, after_failure="next")

    outcome = run(design, 18_000, seed=1)

    during = (outcome.at_s >= 101) & (outcome.at_s < 199)
    asked_llm = outcome.latency_ms[during & outcome.degraded]
    assert outcome.tiers[2].failed < 30
    assert np.median(asked_llm) < 60
    assert outcome.degraded[outcome.at_s > 215].mean() < 0.06


def test_tiers_of_one_vendor_fail_together() -> None:
    """An outage of a vendor is an outage of everything that it answers."""
    design = three_tiers(60.0, vendor="acme")
    small = replace(design.tiers[1], vendor="acme")
    design = replace(design, tiers=(design.tiers[0], small, design.tiers[2]))

    faulty = with_outage(design, 2, Outage(0.0, 10.0, "error"))

    assert [len(load.outages) for load in faulty.tiers] == [0, 1, 1]


def test_the_longest_outage_that_a_promise_bears_is_found() -> None:
    """A fifth of the requests reach the tier: 3 % more degraded is 15 % of the window."""
    design = three_tiers(60.0)
    promise = Promise("degraded_share", share_of("degraded"), 0.051, "ratio")

    def down(of: Design, minutes: float) -> Design:
        return with_outage(of, 2, Outage(0.0, minutes * 60, "error"))

    found = tolerance(
        design,
        [promise],
        fault="llm down",
        unit="min",
        most=10.0,
        window_s=600.0,
        disturbed=down,
        seed=1,
    )

    assert found.breaks == "degraded_share"
    # 0.021 are degraded anyway, and 0.30 of the rest of the requests reach the tier.
    assert found.tolerated == pytest.approx(10.0 * 0.03 / 0.29, abs=0.35)


def test_a_run_says_when_it_is_back_to_normal() -> None:
    """A minute without a tier is over soon after it."""
    fault = Outage(60.0, 120.0, "error")
    design = with_outage(three_tiers(60.0), 2, fault)

    outcome = run_calendar(design, draw(design, 15_000, seed=1))

    back = recovery_s(outcome, 60.0, 120.0)
    assert back is not None
    assert back <= 10.0
