from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from feasible.ledger import Ledger
from feasible.schema import Answer, Plan
from feasible.serving.messages import DecideRequest
from feasible.serving.pressure import Pressure
from feasible.serving.problems import Refused, headers_of
from feasible.serving.runtime import Runtime
from feasible.testing import MemoryLedger, ScriptedTier
from feasible.tiers import PersonQueue, Tier

ASKED = DecideRequest(request={"text": "a"})


def decided(runtime: Runtime) -> dict[str, str | None]:
    """Decide once and say why each tier was passed over."""
    decision = asyncio.run(runtime.decide(ASKED)).decision
    return {step.tier: step.why for step in decision.path}


def test_dear_tiers_are_passed_over_first_and_come_back(plan_for: Callable[..., Plan]) -> None:
    """Above the mark the cheapest machine alone is asked; below it all are, as before."""
    cheap = ScriptedTier([Answer("a", score=0.9), *[Answer("a", score=0.1)] * 2], name="cheap")
    dear = ScriptedTier(
        [Answer("b", score=0.9)], name="dear", usd_per_call=0.1, worst_usd_per_call=0.2
    )
    tiers: list[Tier] = [cheap, dear, PersonQueue(usd=0.0)]
    ledger: Ledger = MemoryLedger()
    plan = plan_for(tiers, deadline_ms=5000.0)
    runtime = Runtime(plan, {tier.name: tier for tier in tiers}, ledger)

    runtime.pressure = Pressure(lambda: runtime.in_flight, most=2)
    under_load = decided(runtime)
    with pytest.raises(Refused) as told:
        decided(runtime)
    runtime.pressure = Pressure(lambda: runtime.in_flight, most=20)
    relaxed = decided(runtime)

    assert under_load == {"cheap": None}
    assert told.value.retry_after_s == 1.0
    assert relaxed == {"cheap": None, "dear": None}
    assert len(dear.calls) == 1


def test_people_are_not_flooded_because_machines_are_busy(plan_for: Callable[..., Plan]) -> None:
    """What only a dear tier or a person could answer is refused with a time, and not on record."""
    unsure = ScriptedTier([Answer("a", score=0.1)], name="cheap")
    dear = ScriptedTier(
        [Answer("b", score=0.9)], name="dear", usd_per_call=0.1, worst_usd_per_call=0.2
    )
    tiers: list[Tier] = [unsure, dear, PersonQueue(usd=0.0)]
    by_name = {tier.name: tier for tier in tiers}
    plan = plan_for(tiers, deadline_ms=5000.0)
    for fallback in ({}, {"default": "person"}):
        ledger = MemoryLedger()
        runtime = Runtime(msgspec.structs.replace(plan, fallback=fallback), by_name, ledger)
        runtime.pressure = Pressure(lambda: 1, most=2)
        with pytest.raises(Refused, match="too many requests"):
            decided(runtime)
        assert not list(ledger.decisions())

    degraded = Runtime(
        msgspec.structs.replace(plan, fallback={"default": "cheap"}), by_name, MemoryLedger()
    )
    degraded.pressure = Pressure(lambda: 1, most=2)
    decision = asyncio.run(degraded.decide(ASKED)).decision
    assert (decision.tier, decision.answer) == ("cheap", "a")
    assert decision.fell_back


def test_a_refusal_says_when_by_how_fast_answers_leave() -> None:
    """Retry-After is the time in which the requests above the mark will have been answered."""
    now, in_flight = [0.0], [100]
    pressure = Pressure(lambda: in_flight[0], most=100, clock=lambda: now[0])
    now[0], pressure.answered = 2.0, 20  # ten a second

    with pytest.raises(Refused) as told:
        pressure.check()

    assert told.value.retry_after_s == pytest.approx(5.1)
    assert dict(headers_of(told.value))[b"retry-after"] == b"6"
    in_flight[0] = 99
    pressure.check()


def test_a_service_that_answers_nothing_asks_for_patience() -> None:
    """No answer left of late: the longest wait; nothing known yet: a second."""
    now = [0.0]
    pressure = Pressure(lambda: 10, most=10, clock=lambda: now[0])

    assert pressure.wait_s() == 1.0
    now[0] = 2.0
    assert pressure.wait_s() == 60.0
    now[0], pressure.answered = 4000.0, 5
    assert pressure.wait_s() == 1.0  # figures of an hour ago say nothing about now
