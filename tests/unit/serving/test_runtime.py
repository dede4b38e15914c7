from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from feasible.errors import LedgerError, PlanError, RequestError
from feasible.schema import Answer, Decision, Plan, TierKind, TierSpec
from feasible.serving import Decided, DecideRequest, Runtime
from feasible.testing import AsyncScriptedTier, Hang, MemoryLedger, ScriptedTier
from feasible.tiers import ExactCache, PersonQueue, Tier
from feasible.units import Duration

Plans = Callable[..., Plan]
ASKED = DecideRequest(request={"text": "where is my money"})


def runtime_of(
    plan: Plan, tiers: Sequence[Tier], ledger: MemoryLedger | None = None, **more: Any
) -> Runtime:
    """Give a runtime over these tiers, with a ledger in memory."""
    by_name = {tier.name: tier for tier in tiers}
    return Runtime(plan, by_name, ledger or MemoryLedger(), **more)


def decide(runtime: Runtime, *asked: DecideRequest) -> list[Decided]:
    """Ask one after the other, then close."""

    async def all_of_them() -> list[Decided]:
        return [await runtime.decide(one) for one in asked]

    try:
        return asyncio.run(all_of_them())
    finally:
        runtime.close()


def steps(decision: Decision) -> list[tuple[str, str]]:
    """Give who did what."""
    return [(step.tier, step.outcome) for step in decision.path]


def test_the_first_tier_that_is_sure_enough_answers(plan_for: Plans) -> None:
    """The path says who deferred, and the cost is the sum of what was asked."""
    cheap = ScriptedTier([Answer("a", score=0.3)], name="cheap", usd_per_call=0.001)
    dear = ScriptedTier([Answer("b", score=0.9)], name="dear", usd_per_call=0.02)
    ledger = MemoryLedger()
    runtime = runtime_of(plan_for([cheap, dear]), [cheap, dear], ledger)

    (decided,) = decide(runtime, ASKED)

    decision = decided.decision
    assert steps(decision) == [("cheap", "deferred"), ("dear", "answered")]
    assert (decision.answer, decision.tier, decision.probability) == ("b", "dear", 0.9)
    assert decision.cost_nusd == 21_000_000
    assert ledger.decision(decision.decision_id) == decision
    assert decided.within == {"deadline": True}


def test_a_case_nobody_is_sure_about_is_handed_to_a_person(plan_for: Plans) -> None:
    """A hand-off has no answer yet and costs what a person costs."""
    model = ScriptedTier([None], name="model", usd_per_call=0.0)
    person = PersonQueue(usd=1.5)
    runtime = runtime_of(plan_for([model, person]), [model, person])

    (decided,) = decide(runtime, ASKED)

    assert decided.decision.handed_off
    assert decided.decision.answer is None
    assert decided.decision.cost_nusd == 1_500_000_000
    assert steps(decided.decision) == [("model", "abstained"), ("person", "handed_off")]


def test_a_hung_tier_makes_the_fallback_answer_inside_the_deadline(plan_for: Plans) -> None:
    """Whatever hangs, the answer is in time and says why the fallback gave it."""
    hung = AsyncScriptedTier([Hang()], name="llm", kind=TierKind.LLM, worst_usd_per_call=0.01)
    rules = ScriptedTier([Answer("safe")], name="rules", kind=TierKind.RULES)
    plan = plan_for([hung], deadline_ms=250.0, fallback={"default": "rules"})
    runtime = runtime_of(plan, [hung, rules])

    began = time.monotonic()
    (decided,) = decide(runtime, ASKED)
    took_ms = (time.monotonic() - began) * 1e3

    assert decided.decision.answer == "safe"
    assert decided.decision.fell_back is not None
    assert "llm timed out" in decided.decision.fell_back
    assert decided.decision.cost_nusd is None  # what the call cost, nobody knows
    assert decided.within == {"deadline": True}
    assert took_ms < 2_000


def test_a_fallback_that_has_answered_is_not_asked_again(plan_for: Plans) -> None:
    """What it said, not sure enough, is in hand: nobody waits or pays for it twice."""
    unsure = ScriptedTier([Answer("a", 0.1)], name="model", usd_per_call=0.01)
    broken = ScriptedTier([RuntimeError("down")], name="llm", worst_usd_per_call=0.0)
    plan = plan_for([unsure, broken], fallback={"default": "model"})

    (decided,) = decide(runtime_of(plan, [unsure, broken]), ASKED)

    assert steps(decided.decision) == [
        ("model", "deferred"),
        ("llm", "failed"),
        ("model", "answered"),
    ]
    assert decided.decision.answer == "a"
    assert decided.decision.cost_nusd == 10_000_000
    assert len(unsure.calls) == 1


def test_the_slice_chooses_its_own_fallback(plan_for: Plans) -> None:
    """A caller that knows the slice gets the fallback declared for it."""
    broken = ScriptedTier([RuntimeError("down")], name="model")
    rules = ScriptedTier([Answer("safe")], name="rules", kind=TierKind.RULES)
    person = PersonQueue(usd=1.0)
    plan = plan_for([broken], fallback={"default": "rules", "high_risk": "person"})
    runtime = runtime_of(plan, [broken, rules, person])

    ordinary, risky = decide(
        runtime, ASKED, DecideRequest(request={"text": "x"}, slices=("high_risk",))
    )

    assert ordinary.decision.tier == "rules"
    assert risky.decision.handed_off


def test_a_fallback_that_fails_too_hands_over_to_a_person(plan_for: Plans) -> None:
    """Never fail open: the last resort is a person, then nobody, never a guess."""
    broken = ScriptedTier([RuntimeError("down")], name="model")
    rules = ScriptedTier([None], name="rules", kind=TierKind.RULES)
    person = PersonQueue(usd=1.0)
    plan = plan_for([broken], fallback={"default": "rules", "high_risk": "person"})

    (with_person,) = decide(runtime_of(plan, [broken, rules, person]), ASKED)
    alone = plan_for([broken], fallback={"default": "rules"})
    (without,) = decide(runtime_of(alone, [broken, rules]), ASKED)

    assert with_person.decision.tier == "person"
    assert without.decision.tier == "nobody"
    assert without.decision.answer is None
    assert not without.decision.handed_off


def test_a_tier_that_keeps_failing_is_not_asked_any_more(plan_for: Plans) -> None:
    """After five failures in a row the breaker answers at once."""
    broken = ScriptedTier([RuntimeError("down")], name="model")
    person = PersonQueue(usd=1.0)
    runtime = runtime_of(plan_for([broken, person]), [broken, person])

    decided = decide(runtime, *[ASKED] * 8)

    assert len(broken.calls) == 5
    assert steps(decided[4].decision)[0] == ("model", "failed")
    assert steps(decided[5].decision)[0] == ("model", "skipped")
    assert all(one.decision.handed_off for one in decided)


def test_a_tier_that_could_break_the_cap_is_not_asked(plan_for: Plans) -> None:
    """The worst case is reserved before the call, so that a decision never overspends."""
    cheap = ScriptedTier([None], name="cheap", usd_per_call=0.004, worst_usd_per_call=0.004)
    dear = ScriptedTier([Answer("b")], name="dear", usd_per_call=0.001, worst_usd_per_call=0.007)
    runtime = runtime_of(plan_for([cheap, dear], cost_each_usd=0.01), [cheap, dear])

    (decided,) = decide(runtime, ASKED)

    assert not dear.calls
    assert steps(decided.decision) == [("cheap", "abstained"), ("dear", "skipped")]
    assert decided.within == {"deadline": True, "cost_each": True}


def test_a_repeat_is_answered_from_the_cache_with_the_same_probability(plan_for: Plans) -> None:
    """What was accepted once is as trustworthy the second time, and costs nothing."""
    cache = ExactCache(ttl_s=60.0)
    cache.name = "cache"
    model = ScriptedTier([Answer("a", score=0.8)], name="model", usd_per_call=0.001)
    runtime = runtime_of(plan_for([cache, model]), [cache, model])

    first, second = decide(runtime, ASKED, ASKED)

    assert first.decision.tier == "model"
    assert second.decision.tier == "cache"
    assert second.decision.answer == "a"
    assert second.decision.probability == first.decision.probability == 0.8
    assert second.decision.cost_nusd == 0


def test_a_hand_off_is_not_remembered(plan_for: Plans) -> None:
    """A cache never repeats that a person will answer."""
    cache = ExactCache(ttl_s=60.0)
    person = PersonQueue(usd=1.0)
    runtime = runtime_of(plan_for([cache, person]), [cache, person])

    _first, second = decide(runtime, ASKED, ASKED)

    assert second.decision.tier == "person"


def test_the_same_key_gives_the_same_decision(plan_for: Plans) -> None:
    """One decision, one price, however often and however closely it is asked for."""
    slow = ScriptedTier([Hang(seconds=0.05, then=Answer("a", score=1.0))], name="model")
    ledger = MemoryLedger()
    runtime = runtime_of(plan_for([slow]), [slow], ledger)
    keyed = DecideRequest(request={"text": "x"}, idempotency_key="k1")

    async def ask() -> list[Decided]:
        together = await asyncio.gather(*(runtime.decide(keyed) for _ in range(5)))
        return [*together, await runtime.decide(keyed)]

    decided = asyncio.run(ask())
    runtime.close()

    assert len({one.decision.decision_id for one in decided}) == 1
    assert [one.is_repeat for one in decided] == [False, True, True, True, True, True]
    assert ledger.counts().decisions == 1


def test_a_key_that_was_used_for_another_request_is_refused(plan_for: Plans) -> None:
    """Nobody gets the answer to another question."""
    model = ScriptedTier(["a"], name="model")
    runtime = runtime_of(plan_for([model]), [model])

    with pytest.raises(RequestError, match="was used for another request"):
        decide(
            runtime,
            DecideRequest(request={"text": "x"}, idempotency_key="k1"),
            DecideRequest(request={"text": "y"}, idempotency_key="k1"),
        )


class _Late(MemoryLedger):
    """Another worker writes a decision for the key between our look-up and our append."""

    def __init__(self, other: Decision) -> None:
        super().__init__()
        self.other = other
        self.asked: list[str] = []

    def decision_by_key(self, idempotency_key: str) -> Decision | None:
        """Look before the other worker has written."""
        self.asked.append(idempotency_key)
        return None

    async def append(self, decision: Decision) -> None:
        """Let the other worker be first."""
        await super().append(self.other)
        await super().append(decision)


@pytest.mark.parametrize("text", ["x", "y"])
def test_a_key_that_another_worker_took_meanwhile_is_answered_with_its_decision(
    plan_for: Plans, text: str
) -> None:
    """The request was the same: the same decision. It was another one: a conflict."""
    tier = ScriptedTier([Answer("mine"), Answer("mine")], name="model", usd_per_call=0.0)
    first = decide(
        runtime_of(plan_for([tier]), [tier]),
        DecideRequest(request={"text": "x"}, idempotency_key="k1"),
    )[0].decision
    ledger = _Late(first)
    runtime = runtime_of(plan_for([tier]), [tier], ledger)
    asked = DecideRequest(request={"text": text}, idempotency_key="k1")
    if text == "y":
        with pytest.raises(RequestError, match="was used for another request"):
            decide(runtime, asked)
        return

    async def twice() -> list[Decided]:
        return list(await asyncio.gather(runtime.decide(asked), runtime.decide(asked)))

    try:
        decided = asyncio.run(twice())
    finally:
        runtime.close()
    assert [one.decision for one in decided] == [first, first]
    assert all(one.is_repeat for one in decided)
    assert [decision.decision_id for decision in ledger.decisions()] == [first.decision_id]


def test_there_is_no_answer_without_a_durable_decision(plan_for: Plans) -> None:
    """A ledger that cannot write makes the request fail, and the next one may succeed."""
    model = ScriptedTier(["a"], name="model")
    ledger = MemoryLedger()
    ledger.fail(LedgerError("the disk is full"), times=1)
    heard: list[Decision] = []
    runtime = runtime_of(plan_for([model]), [model], ledger, on_decision=heard.append)

    async def ask() -> Decided:
        with pytest.raises(LedgerError, match="disk is full"):
            await runtime.decide(ASKED)
        return await runtime.decide(ASKED)

    decided = asyncio.run(ask())
    runtime.close()

    assert [one.decision_id for one in heard] == [decided.decision.decision_id]
    assert ledger.counts().decisions == 1


def test_a_caller_can_shorten_the_deadline(plan_for: Plans) -> None:
    """A tier that does not fit the caller's own time is not entered."""
    model = ScriptedTier(["a"], name="model")
    person = PersonQueue(usd=1.0)
    plan = plan_for([model], fallback={"default": "person"})
    runtime = runtime_of(plan, [model, person])

    (decided,) = decide(runtime, DecideRequest(request={"text": "x"}, deadline_ms=1.0))

    assert not model.calls
    assert decided.decision.fell_back is not None
    assert decided.decision.handed_off


def test_a_declared_timeout_is_kept_whatever_time_is_left(plan_for: Plans) -> None:
    """One slow tier does not use up the whole deadline."""
    slow = AsyncScriptedTier([Hang()], name="llm", kind=TierKind.LLM)
    next_one = ScriptedTier(["a"], name="model")
    spec = TierSpec(name="llm", kind=TierKind.LLM, timeout=Duration("50 ms"))
    plan = plan_for([slow, next_one], deadline_ms=30_000.0)
    runtime = runtime_of(plan, [slow, next_one], specs=[spec])

    (decided,) = decide(runtime, ASKED)

    assert steps(decided.decision) == [("llm", "timed_out"), ("model", "answered")]
    assert decided.decision.path[0].latency_ms < 5_000


def test_the_timeout_that_the_plan_was_made_with_is_kept(plan_for: Plans) -> None:
    """Whatever the brief says by now."""
    slow = AsyncScriptedTier([Hang()], name="llm", kind=TierKind.LLM)
    next_one = ScriptedTier(["a"], name="model")
    spec = TierSpec(name="llm", kind=TierKind.LLM, timeout=Duration("20 s"))
    plan = plan_for([slow, next_one], deadline_ms=30_000.0)
    first, second = plan.tiers
    tiers = (msgspec.structs.replace(first, timeout_ms=50.0), second)
    runtime = runtime_of(msgspec.structs.replace(plan, tiers=tiers), [slow, next_one], specs=[spec])

    (decided,) = decide(runtime, ASKED)

    assert steps(decided.decision) == [("llm", "timed_out"), ("model", "answered")]
    assert decided.decision.path[0].latency_ms < 5_000


def test_a_tier_is_asked_no_more_often_at_once_than_declared(plan_for: Plans) -> None:
    """A vendor's limit is kept: what goes beyond it is not sent there."""
    vendor = AsyncScriptedTier(
        [Hang(seconds=0.6, then=Answer("a", score=1.0))], name="llm", kind=TierKind.LLM
    )
    person = PersonQueue(usd=1.0)
    spec = TierSpec(name="llm", kind=TierKind.LLM, concurrency=2)
    runtime = runtime_of(
        plan_for([vendor, person], deadline_ms=1_500.0), [vendor, person], specs=[spec]
    )

    async def together() -> list[Decided]:
        texts = [DecideRequest(request={"text": f"question {i}"}) for i in range(5)]
        return await asyncio.gather(*(runtime.decide(one) for one in texts))

    decided = asyncio.run(together())
    runtime.close()

    assert sorted(one.decision.tier for one in decided) == ["llm", "llm", *["person"] * 3]


def test_an_unknown_slice_is_refused_with_the_nearest_one(plan_for: Plans) -> None:
    """A misspelt slice would otherwise quietly get the wrong fallback."""
    model = ScriptedTier(["a"], name="model")
    runtime = runtime_of(plan_for([model]), [model], slices=["high_risk"])

    with pytest.raises(RequestError, match="no slice 'high_rsik'") as caught:
        decide(runtime, DecideRequest(request={"text": "x"}, slices=("high_rsik",)))
    assert caught.value.attempt == "`high_risk`"


def test_a_plan_with_a_tier_that_is_not_there_is_refused(plan_for: Plans) -> None:
    """A service never starts without what its plan needs."""
    model = ScriptedTier(["a"], name="model")
    plan = plan_for([model], fallback={"default": "person"})

    with pytest.raises(PlanError, match="'person'"):
        runtime_of(plan, [model])


def test_a_caller_is_told_whether_its_own_deadline_was_kept(plan_for: Plans) -> None:
    """A deadline that was too short even for a hand-off is not called kept."""
    person = PersonQueue(usd=1.0)
    plan = plan_for([], fallback={"default": "person"})
    runtime = runtime_of(plan, [person])

    (decided,) = decide(runtime, DecideRequest(request={"text": "x"}, deadline_ms=0.000_001))

    assert decided.decision.handed_off
    assert decided.within == {"deadline": False}
