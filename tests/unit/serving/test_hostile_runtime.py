"""Tiers, callers and clients that do what nobody hoped they would."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from feasible.errors import FeasibleError, LedgerError, RequestError
from feasible.schema import Answer, Decision, Plan, Request, TierKind, TierSpec
from feasible.serving import Decided, DecideRequest, Runtime
from feasible.serving.asgi import Service
from feasible.serving.calls import BatchedCalls, CallTimedOut
from feasible.serving.gate import Gate
from feasible.serving.keys import ApiKeys
from feasible.serving.server import listen
from feasible.testing import AsyncScriptedTier, Hang, MemoryLedger, ScriptedTier
from feasible.testing.load import Load
from feasible.tiers import ExactCache, PersonQueue, Tier

Plans = Callable[..., Plan]
ASKED = DecideRequest(request={"text": "where is my money"})


class Made(ScriptedTier):
    """A tier that is one function of its batch."""

    def __init__(self, function: Callable[[Sequence[Request]], list[Answer]], name: str) -> None:
        super().__init__([None], name=name)
        self._function = function

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Call the function."""
        self.calls.append(list(batch))
        return self._function(batch)


class MadeAsync(ScriptedTier):
    """A tier whose awaitable face is one function."""

    def __init__(self, function: Callable[[], Any], name: str) -> None:
        super().__init__([None], name=name, kind=TierKind.LLM)
        self._function = function

    def answer_async(self, request: Request, *, timeout_s: float) -> Any:
        """Call the function, which may not even give something to await."""
        del request, timeout_s
        return self._function()


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


def outcomes(decision: Decision) -> dict[str, str]:
    """Give what each tier did."""
    return {step.tier: step.outcome for step in decision.path}


# What tiers give


@pytest.mark.parametrize(
    "answer",
    [
        Answer("a", score=np.float64(0.9)),
        Answer("a", score=0.9, cost_usd=np.float64(0.001)),
        Answer(np.str_("a"), score=0.9),
    ],
    ids=["score", "cost", "value"],
)
def test_what_numpy_calls_a_number_or_a_text_is_answered(plan_for: Plans, answer: Answer) -> None:
    """A model that hands on what scikit-learn gave it is served as it was profiled."""
    model = ScriptedTier([answer], name="model")

    (decided,) = decide(runtime_of(plan_for([model], labels=("a",)), [model]), ASKED)

    assert decided.decision.answer == "a"


@pytest.mark.parametrize(
    "value", [np.int64(3), object(), float("nan"), [float("inf")], "\ud800", {"a": np.zeros(2)}]
)
def test_an_answer_that_is_not_json_is_the_fault_of_its_tier(plan_for: Plans, value: Any) -> None:
    """A person takes the case; the ledger is not blamed, and no null is given for an answer."""
    model = ScriptedTier([Answer(value, score=0.9)], name="model")
    person = PersonQueue(usd=1.0)

    (decided,) = decide(runtime_of(plan_for([model, person]), [model, person]), ASKED)

    assert outcomes(decided.decision) == {"model": "failed", "person": "handed_off"}


@pytest.mark.parametrize(
    "answer",
    [
        Answer("a", score=10**400),
        Answer("a", score=0.9, cost_usd=10**400),
        Answer("a", score=0.9, cost_usd=1e300),
        Answer("a", score=0.9, cost_usd=1e10),
    ],
    ids=["score beyond floats", "cost beyond floats", "cost beyond nano-dollars", "beyond 64 bits"],
)
def test_an_absurd_number_is_the_fault_of_its_tier(plan_for: Plans, answer: Answer) -> None:
    """It fails that tier at once; it kills no thread and loses no decision."""
    model = ScriptedTier([answer], name="model")
    person = PersonQueue(usd=1.0)
    plan = plan_for([model, person], deadline_ms=2_000.0)

    (decided,) = decide(runtime_of(plan, [model, person]), ASKED)

    assert outcomes(decided.decision) == {"model": "failed", "person": "handed_off"}


def test_a_tier_cannot_change_what_is_written_or_what_the_next_tier_sees(plan_for: Plans) -> None:
    """Everybody sees the request as it came in."""

    def rewrite(batch: Sequence[Request]) -> list[Answer]:
        for request in batch:
            request["text"] = "rewritten"  # type: ignore[index]
        return [Answer() for _ in batch]

    first = Made(rewrite, "first")
    second = ScriptedTier(["a"], name="second")
    ledger = MemoryLedger()
    asked = DecideRequest(request={"text": "as it came"})

    (decided,) = decide(runtime_of(plan_for([first, second]), [first, second], ledger), asked)

    assert second.calls == [[{"text": "as it came"}]]
    kept = ledger.decision(decided.decision.decision_id)
    assert kept is not None
    assert kept.request == {"text": "as it came"}


def test_a_retry_is_recognised_though_a_tier_changed_the_request(plan_for: Plans) -> None:
    """The same key with the same request gives the same decision, whatever tiers did to it."""

    def pop(batch: Sequence[Request]) -> list[Answer]:
        return [Answer(request.pop("text"), score=1.0) for request in batch]  # type: ignore[attr-defined]

    model = Made(pop, "model")
    first, second = (DecideRequest(request={"text": "x"}, idempotency_key="k") for _ in range(2))

    once, again = decide(runtime_of(plan_for([model]), [model]), first, second)

    assert again.decision.decision_id == once.decision.decision_id


def test_what_a_client_is_told_is_what_was_written_though_the_tier_changes_it_later(
    plan_for: Plans,
) -> None:
    """A tier that fills the same object again and again mixes up nobody's answers."""
    shared: dict[str, Any] = {}

    def fill(batch: Sequence[Request]) -> list[Answer]:
        shared.update(batch[0])
        return [Answer(shared, score=1.0) for _ in batch]

    model = Made(fill, "model")
    ledger = MemoryLedger()
    runtime = runtime_of(plan_for([model]), [model], ledger)

    told = decide(runtime, *(DecideRequest(request={"text": str(i)}) for i in range(3)))

    for one in told:
        kept = ledger.decision(one.decision.decision_id)
        assert kept is not None
        assert one.decision.answer == kept.answer


# What tiers raise


def test_a_tier_that_exits_fails_at_once_and_is_asked_again_later() -> None:
    """`sys.exit`, or a panic of a Rust extension, is an error like any other: no thread is lost."""
    steps = iter([True] * 6)

    def leave(batch: Sequence[Request]) -> list[Answer]:
        if next(steps, False):
            sys.exit(1)
        return [Answer("a", score=1.0) for _ in batch]

    calls = BatchedCalls(Made(leave, "model"), labels=None, typical_s=None, deadline_s=None)

    async def ask() -> tuple[list[str], Answer]:
        failed = []
        for _ in range(6):
            try:
                await calls.ask({}, within_s=1.0)
            except FeasibleError as error:
                failed.append(type(error).__name__)
        assert not calls.is_full(within_s=1.0)
        return failed, await calls.ask({}, within_s=1.0)

    failed, last = asyncio.run(ask())
    calls.close()

    assert failed == ["TierError"] * 6
    assert last.value == "a"


def raise_in_task(error: BaseException) -> Callable[[], Awaitable[Answer]]:
    """Give a coroutine function that raises."""

    async def raising() -> Answer:
        raise error

    return raising


def raise_now() -> Any:
    """Raise before there is anything to await."""
    raise RuntimeError("no connection")


@pytest.mark.parametrize(
    "function",
    [
        raise_in_task(asyncio.CancelledError()),
        raise_in_task(SystemExit(1)),
        raise_now,
        lambda: Answer("a", score=1.0),  # a plain method that was meant to be `async def`
    ],
    ids=["cancelled", "exit", "raises before it is awaited", "not awaitable"],
)
def test_whatever_an_awaited_tier_does_the_next_one_answers(
    plan_for: Plans, function: Callable[[], Any]
) -> None:
    """The tier failed; neither the request nor the service did."""
    vendor = MadeAsync(function, "vendor")
    person = PersonQueue(usd=1.0)
    runtime = runtime_of(plan_for([vendor, person], deadline_ms=2_000.0), [vendor, person])
    told: list[Decided] = []

    async def ask() -> None:
        told.append(await runtime.decide(ASKED))

    try:
        asyncio.run(ask())
    except BaseException as error:  # noqa: BLE001  SystemExit would end the test run
        pytest.fail(f"{type(error).__name__} reached the caller")
    finally:
        runtime.close()
    assert outcomes(told[0].decision) == {"vendor": "failed", "person": "handed_off"}


def test_a_cache_that_cannot_remember_loses_no_answer(plan_for: Plans) -> None:
    """Remembering is a convenience: the answer that was accepted is given."""

    class Forgetful(ExactCache):
        def remember(self, request: Request, value: Any, score: float | None) -> None:
            """Fail."""
            del request, value, score
            raise ConnectionError("the cache is down")

    cache = Forgetful(ttl_s=60.0)
    cache.name = "cache"
    model = ScriptedTier(["a"], name="model")

    (decided,) = decide(runtime_of(plan_for([cache, model]), [cache, model]), ASKED)

    assert decided.decision.answer == "a"


def test_an_answer_that_could_not_be_written_is_not_remembered(plan_for: Plans) -> None:
    """A cache repeats decisions that are on record, and nothing else."""
    cache = ExactCache(ttl_s=60.0)
    cache.name = "cache"
    model = ScriptedTier(["a"], name="model")
    ledger = MemoryLedger()
    ledger.fail(LedgerError("the disk is full"))
    runtime = runtime_of(plan_for([cache, model]), [cache, model], ledger)

    with pytest.raises(LedgerError):
        decide(runtime, ASKED)

    assert len(cache) == 0


def test_one_tier_that_cannot_read_a_request_does_not_refuse_it_for_the_others(
    plan_for: Plans,
) -> None:
    """400 means that no tier can read it; what was spent before is on record."""
    paid = ScriptedTier([None], name="paid", usd_per_call=0.01, worst_usd_per_call=0.01)
    narrow = ScriptedTier([RequestError("the field `image` is missing")], name="narrow")
    wide = ScriptedTier(["a"], name="wide")
    tiers = [paid, narrow, wide]

    (decided,) = decide(runtime_of(plan_for(tiers), tiers), ASKED)

    assert decided.decision.tier == "wide"
    assert decided.decision.cost_nusd == 10_000_000


def test_the_text_of_an_error_is_bounded(plan_for: Plans) -> None:
    """A tier that quotes a document in its error does not fill replies and ledger with it."""
    model = ScriptedTier([ValueError("x" * 1_000_000)], name="model")
    person = PersonQueue(usd=1.0)

    (decided,) = decide(runtime_of(plan_for([model, person]), [model, person]), ASKED)

    assert len(decided.decision.path[0].why or "") < 2_000


# Queues, and breakers


def test_a_tier_whose_threads_came_back_is_asked_again() -> None:
    """Requests that gave up while it hung do not count as its queue for ever."""
    gate = threading.Event()

    def wait(batch: Sequence[Request]) -> list[Answer]:
        gate.wait(30)
        return [Answer("a", score=1.0) for _ in batch]

    calls = BatchedCalls(Made(wait, "model"), labels=None, typical_s=0.01, deadline_s=0.5)

    async def ask() -> bool:
        for _ in range(4):  # one after the other: four threads hang
            with pytest.raises(CallTimedOut):
                await calls.ask({}, within_s=0.12)
            late = [asyncio.create_task(calls.ask({}, within_s=0.3)) for _ in range(20)]
            await asyncio.wait(late)
            assert all(isinstance(task.exception(), CallTimedOut) for task in late)
        gate.set()
        await asyncio.sleep(0.5)  # everything that hung has returned, and nobody waits
        return calls.is_full(within_s=0.45)

    is_full = asyncio.run(ask())
    calls.close()

    assert not is_full


def test_one_request_that_hangs_does_not_open_the_breaker_for_everybody(plan_for: Plans) -> None:
    """A call that took too long is one failure, however many requests shared its batch."""
    gate = threading.Event()

    def wait_for_poison(batch: Sequence[Request]) -> list[Answer]:
        if any(request["text"] == "poison" for request in batch):
            gate.wait(30)
        else:
            time.sleep(0.05)
        return [Answer("a", score=1.0) for _ in batch]

    model = Made(wait_for_poison, "model")
    person = PersonQueue(usd=1.0)
    plan = plan_for([model], deadline_ms=1_000.0, fallback={"default": "person"})
    runtime = runtime_of(plan, [model, person])

    async def ask() -> list[str]:
        first = asyncio.create_task(runtime.decide(DecideRequest(request={"text": "first"})))
        await asyncio.sleep(0.02)  # while it is under way the others gather into one batch
        texts = ["poison", *["innocent"] * 6]
        await asyncio.gather(
            first, *(runtime.decide(DecideRequest(request={"text": text})) for text in texts)
        )
        return runtime.open_breakers()

    opened = asyncio.run(ask())
    gate.set()
    runtime.close()

    assert opened == []


def test_a_fallback_is_asked_no_more_often_at_once_than_declared(plan_for: Plans) -> None:
    """A vendor's limit holds for its tier wherever in the walk it is asked."""
    broken = ScriptedTier([RuntimeError("down")], name="model")
    vendor = AsyncScriptedTier(
        [Hang(seconds=0.6, then=Answer("a", score=1.0))], name="llm", kind=TierKind.LLM
    )
    person = PersonQueue(usd=1.0)
    spec = TierSpec(name="llm", kind=TierKind.LLM, concurrency=2)
    plan = plan_for(
        [broken], deadline_ms=1_500.0, fallback={"default": "llm", "high_risk": "person"}
    )
    runtime = runtime_of(plan, [broken, vendor, person], specs=[spec])

    async def together() -> list[Decided]:
        texts = [DecideRequest(request={"text": f"question {i}"}) for i in range(5)]
        return await asyncio.gather(*(runtime.decide(one) for one in texts))

    decided = asyncio.run(together())
    runtime.close()

    assert sorted(one.decision.tier for one in decided) == ["llm", "llm", *["person"] * 3]


def test_a_call_that_never_left_its_queue_costs_nothing(plan_for: Plans) -> None:
    """Whoever only waited was not billed: the price is known."""
    slow = ScriptedTier(
        [Hang(seconds=0.6, then=Answer("a", score=1.0))],
        name="model",
        usd_per_call=0.01,
        worst_usd_per_call=0.01,
    )
    person = PersonQueue(usd=1.0)
    one = msgspec.structs.replace
    plan = plan_for([slow], deadline_ms=400.0, fallback={"default": "person"})
    plan = one(plan, tiers=tuple(one(step, latency_p50_ms=500.0) for step in plan.tiers))
    runtime = runtime_of(plan, [slow, person])

    async def ask() -> Decided:
        first = asyncio.create_task(runtime.decide(ASKED))
        await asyncio.sleep(0.05)
        queued = asyncio.create_task(
            runtime.decide(DecideRequest(request={"text": "behind"}, deadline_ms=150.0))
        )
        await asyncio.wait([first, queued])
        return queued.result()

    behind = asyncio.run(ask())
    slow.release()
    runtime.close()

    step = behind.decision.path[0]
    assert "all of them spent in its queue" in (step.why or "")
    assert step.cost_usd == 0
    assert behind.decision.cost_nusd == 1_000_000_000


def test_one_slow_commit_does_not_hand_everything_to_people(plan_for: Plans) -> None:
    """A disk that hiccups once costs the requests of that moment, not thousands after it."""

    class Hiccup(MemoryLedger):
        stalls = iter([0.5])

        async def append(self, decision: Decision) -> None:
            await asyncio.sleep(next(self.stalls, 0.0))
            await super().append(decision)

    model = ScriptedTier(["a"], name="model")
    person = PersonQueue(usd=1.0)
    one = msgspec.structs.replace
    plan = plan_for([model], deadline_ms=1_000.0, fallback={"default": "person"})
    plan = one(plan, tiers=tuple(one(step, latency_p95_ms=800.0) for step in plan.tiers))

    decided = decide(runtime_of(plan, [model, person], Hiccup()), *[ASKED] * 200)

    assert decided[0].decision.tier == "model"
    assert decided[-1].decision.tier == "model"


# Keys


def test_a_caller_that_goes_away_leaves_its_key_to_the_next(plan_for: Plans) -> None:
    """The decision that is under way is given to whoever asks again with its key."""
    slow = ScriptedTier([Hang(seconds=0.3, then=Answer("a", score=1.0))], name="model")
    keyed = DecideRequest(request={"text": "x"}, idempotency_key="k1")
    ledger = MemoryLedger()
    runtime = runtime_of(plan_for([slow], deadline_ms=5_000.0), [slow], ledger)

    async def ask() -> Decided:
        first = asyncio.create_task(runtime.decide(keyed))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.wait([first])
        return await runtime.decide(keyed)

    decided = asyncio.run(ask())
    runtime.close()

    assert decided.is_repeat
    assert len(slow.calls) == 1
    assert ledger.counts().decisions == 1


def test_nobody_is_refused_for_what_another_request_with_its_key_did_wrong(
    plan_for: Plans,
) -> None:
    """An error belongs to its request: a second one with the key is answered or told of a clash."""

    def read(batch: Sequence[Request]) -> list[Answer]:
        time.sleep(0.1)
        if any("text" not in request for request in batch):
            raise RequestError("the field `text` is missing")
        return [Answer("a", score=1.0) for _ in batch]

    model = Made(read, "model")
    runtime = runtime_of(plan_for([model], deadline_ms=5_000.0), [model])
    bad = DecideRequest(request={"txt": "x"}, idempotency_key="k")
    good = DecideRequest(request={"text": "x"}, idempotency_key="k")

    async def ask() -> list[Decided | BaseException]:
        both = [runtime.decide(bad), runtime.decide(good)]
        return list(await asyncio.gather(*both, return_exceptions=True))

    refused, other = asyncio.run(ask())
    runtime.close()

    assert isinstance(refused, RequestError)
    assert isinstance(other, Decided) or "was used for another request" in str(other)


def test_true_and_1_are_two_requests(plan_for: Plans) -> None:
    """Python takes them for equal; JSON does not."""
    model = ScriptedTier(["a"], name="model")

    with pytest.raises(RequestError, match="was used for another request"):
        decide(
            runtime_of(plan_for([model]), [model]),
            DecideRequest(request={"paid": True}, idempotency_key="k"),
            DecideRequest(request={"paid": 1}, idempotency_key="k"),
        )


# Money


def test_a_cap_is_not_kept_by_taking_an_unknown_price_for_nothing(plan_for: Plans) -> None:
    """Under a cap per decision a tier of unknown worst price is passed over: unknown is not 0."""
    cheap = ScriptedTier([None], name="cheap", usd_per_call=0.009, worst_usd_per_call=0.009)
    unknown = ScriptedTier(
        [Answer("a", score=1.0, cost_usd=5.0)],
        name="unknown",
        usd_per_call=None,
        worst_usd_per_call=None,
    )
    person = PersonQueue(usd=0.0)
    tiers: list[Tier] = [cheap, unknown, person]

    (decided,) = decide(runtime_of(plan_for(tiers, cost_each_usd=0.01), tiers), ASKED)

    assert decided.within["cost_each"] is True
    assert not unknown.calls


# Over ASGI


def service_of(plan: Plan, tiers: Sequence[Tier], **more: Any) -> Service:
    """Give the application over these tiers."""
    return Service(
        runtime_of(plan, tiers),
        headroom=more.pop("headroom", tuple),
        on_label=more.pop("on_label", lambda _label: None),
        gate=Gate(ApiKeys()),
        **more,
    )


async def call(
    service: Service,
    path: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    gate: asyncio.Event | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Send one request to the application; with a gate its body comes once that opens."""
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if gate is not None:
            await gate.wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    await service(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    return told[0]["status"], headers, b"".join(one.get("body", b"") for one in told[1:])


BODY = b'{"request": {"text": "x"}}'


def test_bodies_that_come_late_count_against_the_limit_too(plan_for: Plans) -> None:
    """A thousand clients that send their heads first are not all let in at once."""
    slow = AsyncScriptedTier(
        [Hang(seconds=0.3, then=Answer("a", score=1.0))], name="llm", kind=TierKind.LLM
    )
    service = service_of(plan_for([slow], deadline_ms=5_000.0), [slow], max_in_flight=2)
    most = 0

    async def ask() -> list[int]:
        nonlocal most
        gate = asyncio.Event()
        asks = [
            asyncio.create_task(call(service, "/v1/decide", BODY, gate=gate)) for _ in range(20)
        ]
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.sleep(0.1)
        most = service.runtime.in_flight
        return [(await one)[0] for one in asks]

    statuses = asyncio.run(ask())
    service.runtime.close()

    assert most <= 2
    assert statuses.count(503) == 18


def test_an_error_of_somebody_who_is_only_told_does_not_lose_the_answer(plan_for: Plans) -> None:
    """The decision is durable: whatever a listener does, its caller hears of it."""

    def broken(_decision: Decision) -> None:
        raise RuntimeError("a listener fell over")

    model = ScriptedTier(["a"], name="model")

    (decided,) = decide(runtime_of(plan_for([model]), [model], on_decision=broken), ASKED)

    assert decided.decision.answer == "a"


def test_labels_that_are_stored_are_acknowledged_whatever_a_listener_does(
    plan_for: Plans,
) -> None:
    """A client that is told 500 sends them again for ever."""

    def broken(_label: Any) -> None:
        raise TypeError("unhashable type: 'list'")

    model = ScriptedTier(["a"], name="model")
    service = service_of(plan_for([model]), [model], on_label=broken)

    async def ask() -> int:
        _, _, answer = await call(service, "/v1/decide", BODY)
        label = {
            "decision_id": json.loads(answer)["decision_id"],
            "value": ["red"],
            "source": "human",
            "known_at": "2026-11-01T08:00:00Z",
        }
        return (await call(service, "/v1/labels", json.dumps(label).encode()))[0]

    try:
        status = asyncio.run(ask())
    except TypeError as error:
        pytest.fail(f"TypeError reached the server: {error}")
    finally:
        service.runtime.close()
    assert status == 200


def test_headroom_is_computed_once_a_second_at_most(plan_for: Plans) -> None:
    """Not once per label either: it would hold up every request that is under way."""
    model = ScriptedTier(["a"], name="model")
    computed: list[float] = []

    def rows() -> tuple[()]:
        computed.append(time.monotonic())
        return ()

    service = service_of(plan_for([model]), [model], headroom=rows)

    async def ask() -> None:
        _, _, answer = await call(service, "/v1/decide", BODY)
        for day in range(1, 6):
            label = {
                "decision_id": json.loads(answer)["decision_id"],
                "value": "a",
                "source": "human",
                "known_at": f"2026-11-0{day}T08:00:00Z",
            }
            await call(service, "/v1/labels", json.dumps(label).encode())
            await call(service, "/v1/headroom", method="GET")

    asyncio.run(ask())
    service.runtime.close()

    assert all(later - earlier >= 0.9 for earlier, later in itertools.pairwise(computed))


# Small things


def test_a_port_that_does_not_exist_is_a_bad_input() -> None:
    """Said in words, not as a traceback."""
    with pytest.raises(FeasibleError, match="cannot listen"):
        listen("127.0.0.1", 70_000)


def test_a_load_without_an_answer_has_no_percentile() -> None:
    """Unknown is nan or None, and never an IndexError."""
    found = Load().percentile_ms(0.99)
    assert found is None or np.isnan(found)


def test_callers_in_a_hurry_do_not_shut_a_tier_for_everybody(plan_for: Plans) -> None:
    """A call that had less time than the plan leaves it says nothing about its tier."""

    def in_two_ms(batch: Sequence[Request]) -> list[Answer]:
        time.sleep(0.002)
        return [Answer("a", score=0.9) for _ in batch]

    tier, person = Made(in_two_ms, "slow"), PersonQueue(usd=1.0)
    plan = plan_for([tier, person], deadline_ms=2_000.0, fallback={"default": "slow"})
    runtime = runtime_of(plan, [tier, person])

    async def hurry_then_ask() -> tuple[int, list[str], Decided]:
        for _ in range(20):
            await runtime.decide(msgspec.structs.replace(ASKED, deadline_ms=1.0))
            await asyncio.sleep(0.005)
        late = runtime.call_figures()["slow"].timeouts
        return late, runtime.open_breakers(), await runtime.decide(ASKED)

    late, shut, decided = asyncio.run(hurry_then_ask())
    runtime.close()

    assert late >= 5, "they were late, and late often enough to shut it"
    assert shut == []
    assert decided.decision.tier == "slow"
