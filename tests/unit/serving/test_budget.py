"""The money of many decisions: never more than promised, and never forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from feasible.clock import VirtualClock
from feasible.errors import LedgerError, StateError
from feasible.schema import Answer, Decision, HeadroomRow, Plan, SpendLimit, TierKind
from feasible.serving import (
    Decided,
    DecideRequest,
    Runtime,
    standing_by,
    with_money,
)
from feasible.state import Claim, MemoryState, Reservation, State
from feasible.testing import AsyncScriptedTier, Hang, MemoryLedger, ScriptedTier
from feasible.tiers import PersonQueue, Tier

Plans = Callable[..., Plan]
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
ASKED = DecideRequest(request={"text": "where is my money"})
URGENT = DecideRequest(request={"text": "where is my money"}, slices=("urgent",))
DAY = SpendLimit(objective="cost_day", per="day", limit_usd=0.05)
MONTH = SpendLimit(objective="cost_month", per="month", limit_usd=0.08)
MEAN = SpendLimit(objective="cost_mean", per="decision", limit_usd=0.004)


class Untouched:
    """A state that may not be asked."""

    def __getattr__(self, name: str) -> Any:
        if name == "adopt":  # when the service starts
            return lambda _spent: None
        raise AssertionError(f"the state was touched: {name}")


@pytest.fixture
def clock() -> VirtualClock:
    """Give a clock that moves when told to."""
    return VirtualClock(NOON)


def llm(*script: Any, **more: Any) -> AsyncScriptedTier:
    """Give a tier of which a call costs a cent at most."""
    usual: dict[str, Any] = {
        "name": "llm",
        "kind": TierKind.LLM,
        "usd_per_call": None,
        "worst_usd_per_call": 0.01,
    }
    return AsyncScriptedTier(script or [Answer("dear", score=0.9, cost_usd=0.01)], **(usual | more))


def rules(**more: Any) -> ScriptedTier:
    """Give a tier that costs nothing and is never sure enough, but can stand in."""
    return ScriptedTier([Answer("cheap", score=0.1)], name="rules", **more)


class Service:
    """A runtime with all that it needs, and what becomes of it after a restart."""

    def __init__(self, plan: Plan, tiers: Sequence[Tier], clock: VirtualClock) -> None:
        self.plan, self.tiers, self.clock = plan, {tier.name: tier for tier in tiers}, clock
        self.ledger = MemoryLedger()
        self.state: State = MemoryState(clock=clock)
        self.runtime = self.start()

    def start(self, **more: Any) -> Runtime:
        """Give a runtime on the ledger and the state that are there."""
        return Runtime(
            self.plan,
            self.tiers,
            self.ledger,
            clock=self.clock,
            state=self.state,
            slices=("urgent",),
            **more,
        )

    def decide(self, *asked: DecideRequest) -> list[Decision]:
        """Ask one after the other."""

        async def all_of_them() -> list[Decision]:
            return [(await self.runtime.decide(one)).decision for one in asked]

        return asyncio.run(all_of_them())

    def money(self, objective: str = "cost_day") -> tuple[float, float, int]:
        """Give what was spent, what is set aside, and decisions."""
        (one,) = (x for x in self.runtime.standing() if x.objective == objective)
        return round(one.spent_usd, 9), round(one.held_usd, 9), one.decisions


@pytest.fixture
def service(plan_for: Plans, clock: VirtualClock) -> Callable[..., Service]:
    """Give what starts a service of these tiers; rules stand in where nothing else answers."""

    def made(*tiers: Tier, spend: Sequence[SpendLimit] = (DAY,), **more: Any) -> Service:
        usual: dict[str, Any] = {"deadline_ms": 20_000.0, "fallback": {"default": "rules"}}
        plan = plan_for(list(tiers), spend=tuple(spend), **(usual | more))
        return Service(plan, tiers, clock)

    return made


def tiers_of(decisions: Sequence[Decision]) -> list[str]:
    """Give who answered."""
    return [decision.tier for decision in decisions]


def test_a_cap_on_a_day_is_never_passed(service: Callable[..., Service]) -> None:
    """The sixth cent is not there: the fallback answers, and the path says why."""
    running = service(rules(), llm())

    decisions = running.decide(*[ASKED] * 7)

    assert tiers_of(decisions) == ["llm"] * 5 + ["rules"] * 2
    assert running.money() == (0.05, 0.0, 0)
    last = decisions[-1]
    assert [(step.tier, step.outcome, step.why) for step in last.path][1:2] == [
        ("llm", "skipped", "budget")
    ]
    assert last.fell_back == "no tier was sure enough; the money of cost_day did not suffice"
    assert last.cost_nusd == 0


def test_a_new_day_has_new_money_and_a_month_ends_it(
    service: Callable[..., Service], clock: VirtualClock
) -> None:
    """Days and months are those of UTC."""
    running = service(rules(), llm(), spend=(DAY, MONTH))
    assert tiers_of(running.decide(*[ASKED] * 6)) == ["llm"] * 5 + ["rules"]

    clock.advance(12 * 3600)
    assert tiers_of(running.decide(*[ASKED] * 4)) == ["llm"] * 3 + ["rules"]
    assert running.money("cost_day") == (0.03, 0.0, 0)
    assert running.money("cost_month") == (0.08, 0.0, 0)

    clock.advance(31 * 24 * 3600)
    assert tiers_of(running.decide(*[ASKED] * 6)) == ["llm"] * 5 + ["rules"]


def test_many_at_once_spend_no_more_than_one_after_the_other(
    service: Callable[..., Service],
) -> None:
    """The price is known after the call; its worst case is set aside before."""
    dear = llm(Hang(0.02, then=Answer("dear", score=0.9, cost_usd=0.007)))
    running = service(rules(), dear)

    async def at_once() -> list[Decided]:
        asked = [DecideRequest(request={"text": f"where is {n}"}) for n in range(64)]
        return await asyncio.gather(*(running.runtime.decide(one) for one in asked))

    decisions = [decided.decision for decided in asyncio.run(at_once())]

    assert len(dear.calls) == 5
    assert sum(decision.cost_nusd or 0 for decision in decisions) == 35_000_000
    assert running.money() == (0.035, 0.0, 0)


def test_an_unknown_bill_stays_counted_at_its_worst(service: Callable[..., Service]) -> None:
    """The decision's cost is unknown, not nothing; after a restart too."""
    running = service(rules(), llm(RuntimeError("cut off")))

    (decision,) = running.decide(ASKED)

    assert decision.cost_nusd is None
    assert decision.at_most_nusd == 10_000_000
    assert running.money() == (0.01, 0.0, 0)
    running.state.begin()
    running.runtime = running.start()
    assert running.money() == (0.01, 0.0, 0)


def test_a_call_that_was_never_made_costs_nothing(service: Callable[..., Service]) -> None:
    """What is set aside for it is there again."""
    running = service(rules(), llm(Answer("dear", score=0.9, cost_usd=0.0)))
    running.decide(ASKED)
    assert running.money() == (0.0, 0.0, 0)


def test_a_tier_of_unknown_price_is_not_asked_under_a_cap(
    service: Callable[..., Service],
) -> None:
    """Nobody knows that it would fit."""
    unknown = llm(worst_usd_per_call=None)
    running = service(rules(), unknown)
    assert tiers_of(running.decide(ASKED)) == ["rules"]
    assert not unknown.calls


def test_a_free_decision_does_not_touch_the_state(plan_for: Plans, clock: VirtualClock) -> None:
    """Whoever asks nobody who costs something does not pay for budgets either."""
    free = ScriptedTier([Answer("cheap", score=0.9)], name="rules")
    plan = plan_for([free, llm()], spend=(DAY, MEAN))
    runtime = Runtime(
        plan,
        {"rules": free, "llm": llm()},
        MemoryLedger(),
        clock=clock,
        state=Untouched(),
    )
    decided = asyncio.run(runtime.decide(ASKED))
    assert decided.decision.tier == "rules"


def test_what_costs_less_than_any_mean_is_counted_afterwards(
    plan_for: Plans, clock: VirtualClock
) -> None:
    """Rules for a millionth of a dollar can break no mean of a cent; their cost is not lost."""
    priced = rules(usd_per_call=0.000001, worst_usd_per_call=0.000001)
    running = Service(plan_for([priced], spend=(MEAN,)), [priced], clock)
    assert running.runtime.budgets is not None
    assert not running.runtime.budgets.guarded

    running.decide(*[ASKED] * 3)

    assert running.money("cost_mean") == (0.000003, 0.0, 3)


def test_a_mean_is_kept_by_passing_the_dear_tier_over(service: Callable[..., Service]) -> None:
    """The first may be dear; after that the day's decisions earn it first."""
    running = service(rules(), llm(), spend=(MEAN,))

    decisions = running.decide(*[ASKED] * 20)

    spent = 0
    for n, decision in enumerate(decisions, start=1):
        spent += decision.cost_nusd or 0
        assert spent <= max(10_000_000, 4_000_000 * n)
    assert tiers_of(decisions)[:6] == ["llm", "rules", "rules", "rules", "llm", "rules"]
    assert tiers_of(decisions).count("llm") == 8
    assert running.money("cost_mean") == (0.08, 0.0, 20)


def test_a_declared_burst_lets_a_day_begin_with_more(service: Callable[..., Service]) -> None:
    """And then the mean catches up."""
    burst = msgspec.structs.replace(MEAN, burst_usd=0.03)
    running = service(rules(), llm(), spend=(burst,))
    assert tiers_of(running.decide(*[ASKED] * 10)) == ["llm"] * 3 + ["rules"] * 6 + ["llm"]


def test_a_slice_keeps_its_share(service: Callable[..., Service]) -> None:
    """Others cannot spend it; it may spend what they have left."""
    running = service(rules(), llm(), priority={"urgent": 0.4})
    assert tiers_of(running.decide(*[ASKED] * 4)) == ["llm"] * 3 + ["rules"]
    assert tiers_of(running.decide(*[URGENT] * 3)) == ["llm"] * 2 + ["rules"]


def test_a_limit_on_a_slice_is_about_its_requests_alone(
    service: Callable[..., Service],
) -> None:
    """Whoever is not in it spends as before."""
    own = SpendLimit(objective="cost_day_urgent", per="day", limit_usd=0.01, on="urgent")
    running = service(rules(), llm(), spend=(own,))
    assert tiers_of(running.decide(URGENT, URGENT, ASKED, ASKED)) == ["llm", "rules", "llm", "llm"]
    assert running.money("cost_day_urgent") == (0.01, 0.0, 0)


def test_people_are_not_paid_from_what_machines_may_spend(
    plan_for: Plans, clock: VirtualClock
) -> None:
    """A hand-off costs a dollar and fits; without that limit it would not."""
    person = PersonQueue(usd=1.0)
    machines = msgspec.structs.replace(DAY, objective="cost_day_machines", without_people=True)
    running = Service(plan_for([rules(), person], spend=(machines,)), [rules(), person], clock)
    (decision,) = running.decide(ASKED)
    assert decision.handed_off
    assert running.money("cost_day_machines") == (0.0, 0.0, 0)

    all_of_it = Service(plan_for([rules(), person], spend=(DAY,)), [rules(), person], clock)
    (decision,) = all_of_it.decide(ASKED)
    assert (decision.tier, decision.handed_off) == ("nobody", False)


def test_a_restart_neither_forgets_nor_invents_what_was_spent(
    service: Callable[..., Service], clock: VirtualClock
) -> None:
    """The ledger is the truth: of this day, this month, this mean, and of each slice."""
    running = service(
        rules(), llm(), spend=(DAY, MONTH, MEAN), priority={"urgent": 0.2}, cost_each_usd=0.02
    )
    running.decide(*[ASKED] * 5, *[URGENT] * 3)
    clock.advance(24 * 3600)
    running.decide(*[ASKED] * 5, *[URGENT] * 3)
    before = [running.money(name) for name in ("cost_day", "cost_month", "cost_mean")]
    assert before[1][0] > before[0][0] > 0

    running.state = MemoryState(clock=clock)
    running.runtime = running.start()

    after = [running.money(name) for name in ("cost_day", "cost_month", "cost_mean")]
    assert after == before
    (limit,) = (x for x in running.plan.spend if x.per == "day")
    recounted = standing_by(running.ledger, running.plan, people=(), clock=clock)
    assert [one.spent_usd for one in recounted if one.objective == limit.objective] == [
        before[0][0]
    ]


def test_a_worker_that_starts_later_does_not_count_twice(
    service: Callable[..., Service],
) -> None:
    """The others have counted what the ledger says."""
    running = service(rules(), llm())
    running.decide(*[ASKED] * 3)
    running.runtime = running.start()
    assert running.money() == (0.03, 0.0, 0)


def test_a_call_under_way_holds_its_money_and_a_lost_one_until_its_lease(
    service: Callable[..., Service], clock: VirtualClock
) -> None:
    """A process that dies there leaves it set aside: it comes back after the lease."""
    hung = llm(Hang())
    running = service(rules(), hung)

    async def cut_off() -> None:
        call = asyncio.ensure_future(running.runtime.decide(ASKED))
        while not hung.calls:  # noqa: ASYNC110  the call begins in its own time
            await asyncio.sleep(0.001)
        assert running.money() == (0.0, 0.01, 0)
        clock.advance(20)  # the deadline; the lease is a little longer
        assert running.money() == (0.0, 0.01, 0)
        clock.advance(10)
        assert running.money() == (0.0, 0.0, 0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    asyncio.run(cut_off())
    assert running.money() == (0.01, 0.0, 0)  # cut off here, it may be billed all the same


def test_a_decision_that_is_not_on_record_has_spent_its_money(
    service: Callable[..., Service],
) -> None:
    """The call was made, whatever became of the ledger."""
    running = service(rules(), llm())
    running.ledger.fail(LedgerError("the disk is full"))
    with pytest.raises(LedgerError):
        running.decide(ASKED)
    assert running.money() == (0.01, 0.0, 0)


def test_without_the_state_nothing_dear_is_asked(service: Callable[..., Service]) -> None:
    """Nobody knows what is left, so that nothing is spent: closed, not open."""
    running = service(rules(), llm())

    def broken(*_args: Any, **_more: Any) -> Reservation:
        raise StateError("no room")

    whole = running.state
    running.state.reserve = broken  # type: ignore[method-assign]
    assert tiers_of(running.decide(ASKED)) == ["rules"]
    del whole.reserve
    assert tiers_of(running.decide(ASKED)) == ["llm"]


def test_what_cannot_be_settled_now_is_settled_later(service: Callable[..., Service]) -> None:
    """It stays set aside meanwhile."""
    running = service(rules(), llm(Answer("dear", score=0.9, cost_usd=0.002)))

    def broken(*_args: Any, **_more: Any) -> None:
        raise StateError("no room")

    running.state.settle = broken  # type: ignore[method-assign]
    running.decide(ASKED)
    del running.state.settle
    running.decide(ASKED)
    assert running.money() == (0.004, 0.0, 0)


def test_the_headroom_table_says_what_is_spent(service: Callable[..., Service]) -> None:
    """In the row of the promise."""
    running = service(rules(), llm())
    running.decide(*[ASKED] * 6)
    (one,) = running.runtime.standing()
    assert (one.skipped, round(one.slack or 0, 9)) == (1, 0.0)

    row = msgspec.convert(
        {
            **dict.fromkeys(("limit", "value", "interval", "slack", "headroom", "holds")),
            "objective": "cost_day",
            "unit": "usd",
            "n": 6,
            "note": "holds",
        },
        type=HeadroomRow,
    )
    (told,) = with_money([row], [one])
    assert told.note == "holds; spent $0.0500 of $0.0500 today (UTC)"


def test_two_processes_make_one_call_for_one_key(
    service: Callable[..., Service],
) -> None:
    """The second waits for the first's decision in the ledger."""
    dear = llm(Hang(0.05, then=Answer("dear", score=0.9, cost_usd=0.01)))
    running = service(rules(), dear)
    workers = [running.start(several=True) for _ in range(2)]
    asked = DecideRequest(request={"text": "once"}, idempotency_key="k")

    async def both() -> list[Decided]:
        return await asyncio.gather(*(worker.decide(asked) for worker in workers))

    first, second = asyncio.run(both())

    assert len(dear.calls) == 1
    assert first.decision == second.decision
    assert sorted([first.is_repeat, second.is_repeat]) == [False, True]
    again = asyncio.run(workers[1].decide(asked))
    assert again.is_repeat


def test_a_key_that_is_decided_elsewhere_for_too_long_is_a_conflict(
    service: Callable[..., Service],
) -> None:
    """With the time after which to ask again; then the dead worker's claim is void."""
    running = service(rules(), llm())
    running.state.claim("k", lease_s=7)
    worker = running.start(several=True)
    asked = DecideRequest(request={"text": "once"}, idempotency_key="k", deadline_ms=0.0001)

    with pytest.raises(Exception, match="still being decided") as caught:
        asyncio.run(worker.decide(asked))
    assert caught.value.status == 409  # type: ignore[attr-defined]
    assert caught.value.retry_after_s == 7  # type: ignore[attr-defined]

    running.clock.advance(7)
    patient = msgspec.structs.replace(asked, deadline_ms=None)
    assert asyncio.run(worker.decide(patient)).decision.tier == "llm"


def test_whoever_waits_for_another_process_is_in_flight(service: Callable[..., Service]) -> None:
    """A service that stops answers it first."""
    running = service(rules(), llm())
    other = running.state.claim("k", lease_s=60)
    assert isinstance(other, Claim)
    worker = running.start(several=True)
    asked = DecideRequest(request={"text": "once"}, idempotency_key="k")

    async def wait() -> tuple[int, Decided, int]:
        call = asyncio.ensure_future(worker.decide(asked))
        await asyncio.sleep(0.05)
        waiting = worker.in_flight
        running.state.release(other)
        return waiting, await call, worker.in_flight

    waiting, decided, after = asyncio.run(wait())
    assert (waiting, decided.decision.tier, after) == (1, "llm", 0)
