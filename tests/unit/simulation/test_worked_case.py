"""A worked case whose breaks, and whose binding knobs, are known."""

from __future__ import annotations

import math

import pytest

from feasible.simulation import Simulated, breakpoints, screen
from feasible.simulation.binding import margin_effects
from feasible.testing import worked_case

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found() -> Simulated:
    """The whole report: 14 loads, 5 seeds, 10,000 requests each."""
    design, promises = worked_case()
    return breakpoints(design, promises, seed=1)


def headroom(found: Simulated, objective: str) -> tuple[float, float, float]:
    """Give a headroom with its interval."""
    line = next(line for line in found.order if line.objective == objective)
    low, middle, high = (math.inf if end is None else end for end in line.headroom)
    return low, middle, high


def elasticities(found: Simulated) -> dict[str, float]:
    """Give every knob's elasticity for what breaks first with load."""
    assert found.bottleneck is not None
    return {effect.knob: effect.elasticity for effect in found.bottleneck.effects}


def test_the_degraded_share_is_broken_at_every_load(found: Simulated) -> None:
    """1.44 % to 1.47 % are cut off by timeouts, whatever the load: the order begins with it."""
    first = found.order[0]

    assert (first.objective, first.verdict) == ("degraded_share", "broken")
    assert first.at_1x == pytest.approx(0.0147, abs=0.0012)
    assert "every load" in first.note


def test_a_day_s_money_is_what_breaks_first_with_load(found: Simulated) -> None:
    """At 2.82x by simulation: timeouts before the language model keep a part of it away."""
    low, middle, high = headroom(found, "cost_day")

    assert found.first.constraint == "cost_day"
    assert found.first.p_first == 1.0
    assert middle == pytest.approx(2.82, abs=0.08)
    assert low < middle < high < low * 1.08


def test_the_other_promises_break_in_the_known_order(found: Simulated) -> None:
    """People, slots by way of the p95, the vendor's quota, and the p99 that a timeout hides."""
    _, people, _ = headroom(found, "people_per_hour")
    _, p95, _ = headroom(found, "latency_p95")
    _, quota, _ = headroom(found, "over_quota_share")
    _, p99, _ = headroom(found, "latency_p99")

    assert people == pytest.approx(3.472, abs=0.001)
    assert p95 == pytest.approx(4.99, abs=0.45)
    assert quota == pytest.approx(6.45, abs=0.2)
    assert p99 == pytest.approx(10.6, abs=0.7)
    assert headroom(found, "cost_mean")[1] == math.inf


def test_closed_forms_give_their_own_figures() -> None:
    """The screen knows no queue and no timeout: 2.76x, 3.47x, 4.77x and 6.36x."""
    design, _ = worked_case()

    closed = screen(design).headroom

    assert closed["budget.day"] == pytest.approx(2.756, abs=0.01)
    assert closed["people.per_hour"] == pytest.approx(3.472, abs=0.001)
    assert closed["llm.slots"] == pytest.approx(4.762, abs=0.02)
    assert closed["llm.quota"] == pytest.approx(6.349, abs=0.02)


def test_more_slots_for_the_language_model_move_nothing(found: Simulated) -> None:
    """It is most utilised, and yet what it costs binds: token price, budget, deferring, cache."""
    effect = elasticities(found)

    assert max(found.tiers, key=lambda tier: tier.utilisation).name == "llm"
    assert effect["llm.slots"] == 0.0
    assert effect["llm.usd"] == pytest.approx(1.0, abs=0.03)
    assert effect["budget.day"] == pytest.approx(1.0, abs=0.03)
    assert effect["small.defer"] == pytest.approx(0.98, abs=0.1)
    assert effect["rules.defer"] == pytest.approx(0.98, abs=0.1)
    assert effect["cache.hit"] == pytest.approx(0.45, abs=0.12)


def test_the_first_violation_is_traced_to_a_request(found: Simulated) -> None:
    """Which request, when, and how full the tiers were."""
    trace = found.trace_of_first_violation

    assert trace is not None
    assert trace.promise == "degraded_share"
    assert trace.degraded
    assert set(trace.utilisation) == {"rules", "small", "llm"}


def test_the_same_seed_gives_the_same_report(found: Simulated) -> None:
    """To the last bit."""
    design, promises = worked_case()

    assert breakpoints(design, promises, seed=1) == found


def test_what_is_broken_is_moved_by_the_tiers_that_time_out() -> None:
    """The small model's time first, then the language model's time and timeout, then deferring."""
    design, promises = worked_case()
    degraded = next(p for p in promises if p.id == "degraded_share")

    used, effects = margin_effects(design, degraded, seeds=(1, 2, 3), n=40_000)

    effect = {e.knob: e.elasticity for e in effects}
    # By hand, over 1 %: 0.7 x (0.6 e^-4 + 0.3 x 0.98 x 3.4 %), small over 80 ms and llm over 1 s.
    assert used == pytest.approx(1.474, abs=0.06)
    assert effect["small.time"] == pytest.approx(1.75, abs=0.2)
    assert effect["llm.time"] == pytest.approx(1.51, abs=0.2)
    assert effect["llm.timeout"] == pytest.approx(1.51, abs=0.2)
    assert effect["rules.defer"] == pytest.approx(1.0, abs=0.2)
    assert effect["llm.slots"] == 0.0
    assert effects[0].knob in {"small.time", "small.timeout"}
