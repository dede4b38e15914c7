"""Every ledger keeps the same promises; a new engine earns its place here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feasible.clock import VirtualClock
from feasible.errors import DataError, KeyTaken, LedgerError
from feasible.ledger import Ledger, SqliteLedger
from feasible.schema import Decision, Event, Label, PathStep
from feasible.testing import MemoryLedger

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PATH = (
    PathStep(tier="rules", outcome="abstained", latency_ms=0.02, cost_usd=1e-6),
    PathStep(tier="llm", outcome="failed", latency_ms=41.5, cost_usd=None, why="HTTP 500"),
    PathStep(tier="person", outcome="handed_off", latency_ms=0.9, cost_usd=1.5),
)


@pytest.fixture(params=["sqlite", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Give an empty ledger of each kind."""
    made: Ledger = (
        SqliteLedger(tmp_path / "ledger.db") if request.param == "sqlite" else MemoryLedger()
    )
    yield made
    made.close()


def decided(name: str, **changes: Any) -> Decision:
    """Give a decision with every field filled in."""
    usual = Decision(
        decision_id=name,
        at=NOON,
        plan="plan_1",
        answer="refund",
        probability=0.93,
        tier="model",
        path=PATH,
        cost_nusd=1_500_001_000,
        latency_ms=42.123456789,
        slices=("in_scope", "high_risk"),
        fell_back=None,
        request={"text": "Geld zurück \N{MONEY BAG}", "n": [1, None, 2.5]},
    )
    return msgspec.structs.replace(usual, **changes)


def labelled(decision_id: str, value: Any = "refund", **changes: Any) -> Label:
    """Give a label of a decision."""
    usual = Label(decision_id=decision_id, value=value, source="human", known_at=NOON)
    return msgspec.structs.replace(usual, **changes)


def write(ledger: Ledger, *decisions: Decision) -> None:
    """Append decisions at the same time, as a busy service does."""

    async def run() -> None:
        await asyncio.gather(*(ledger.append(decision) for decision in decisions))

    asyncio.run(run())


def test_a_decision_comes_back_as_it_was_written(ledger: Ledger) -> None:
    """Every field survives, exactly."""
    full = decided("d1", fell_back="deadline", handed_off=True, idempotency_key="k1")
    write(ledger, full)
    assert ledger.decision("d1") == full
    assert ledger.decision_by_key("k1") == full
    assert list(ledger.decisions()) == [full]


def test_what_is_unknown_stays_unknown(ledger: Ledger) -> None:
    """A price nobody knows is None afterwards, not 0."""
    unknown = decided("d1", cost_nusd=None, probability=None, answer=None, request=None, path=())
    write(ledger, unknown)
    assert ledger.decision("d1") == unknown


def test_nobody_finds_what_was_never_written(ledger: Ledger) -> None:
    """An unknown id or key is None, and an empty ledger is empty."""
    assert ledger.decision("d1") is None
    assert ledger.decision_by_key("k1") is None
    assert list(ledger.decisions()) == []
    assert list(ledger.labels()) == []
    counts = ledger.counts()
    assert (counts.decisions, counts.labels) == (0, 0)
    assert counts.first_at is None
    assert counts.last_at is None


def test_many_decisions_at_once_are_all_there(ledger: Ledger) -> None:
    """More than one batch of concurrent appends loses none and doubles none."""
    names = [f"d{n:04}" for n in range(700)]
    write(ledger, *(decided(name) for name in names))
    assert sorted(d.decision_id for d in ledger.decisions()) == names
    assert ledger.counts().decisions == 700


def test_costs_add_up_to_the_total(ledger: Ledger) -> None:
    """Money is whole nano-dollars, so that a sum over the ledger is exact."""
    costs = [1, 10**9, 333_333_333, 7]
    write(ledger, *(decided(f"d{n}", cost_nusd=cost) for n, cost in enumerate(costs)))
    assert sum(d.cost_nusd or 0 for d in ledger.decisions()) == sum(costs)


def test_appending_twice_is_appending_once(ledger: Ledger) -> None:
    """A retry after a lost acknowledgement changes nothing, alone or in the same batch."""
    one, other = decided("d1", idempotency_key="k1"), decided("d2")
    write(ledger, one)
    write(ledger, one, other, other)
    assert [d.decision_id for d in ledger.decisions()] == ["d1", "d2"]


def test_an_id_is_not_given_to_two_decisions(ledger: Ledger) -> None:
    """What stands in the ledger is never overwritten."""
    write(ledger, decided("d1", answer="refund"))
    with pytest.raises(LedgerError, match="d1 is in the ledger with other content"):
        write(ledger, decided("d1", answer="card"))
    found = ledger.decision("d1")
    assert found is not None
    assert found.answer == "refund"


def test_an_idempotency_key_belongs_to_one_decision(ledger: Ledger) -> None:
    """Two requests with the same key at the same time: one is written, the other is told which."""

    async def race() -> Sequence[BaseException | None]:
        return await asyncio.gather(
            ledger.append(decided("d1", idempotency_key="k")),
            ledger.append(decided("d2", idempotency_key="k")),
            ledger.append(decided("d3", idempotency_key="other")),
            return_exceptions=True,
        )

    won, lost, apart = asyncio.run(race())
    assert won is None
    assert apart is None
    assert isinstance(lost, KeyTaken)
    assert (lost.key, lost.holder) == ("k", "d1")
    assert "'k' belongs to decision d1" in str(lost)
    assert [d.decision_id for d in ledger.decisions()] == ["d1", "d3"]


def test_a_decision_that_is_not_json_is_refused_alone(ledger: Ledger) -> None:
    """Whoever waits beside it is not harmed."""

    async def run() -> Sequence[BaseException | None]:
        return await asyncio.gather(
            ledger.append(decided("bad", answer=object())),
            ledger.append(decided("naive", at=NOON.replace(tzinfo=None))),
            ledger.append(decided("good")),
            return_exceptions=True,
        )

    bad, naive, good = asyncio.run(run())
    assert isinstance(bad, LedgerError)
    assert isinstance(naive, LedgerError)
    assert good is None
    assert [d.decision_id for d in ledger.decisions()] == ["good"]


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": object()},
        {"answer": CYCLE},
        {"answer": "\ud800"},
        {"cost_nusd": 2**63},
        {"latency_ms": float("inf")},
        {"latency_ms": float("nan")},
        {"latency_ms": 1e300},
        {"path": (msgspec.structs.replace(PATH[0], latency_ms=float("nan")),)},
        {"path": (msgspec.structs.replace(PATH[0], outcome="gave up"),)},
        {"plan": None},
        {"decision_id": 7},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_decision_that_could_not_be_read_back_is_refused_alone(
    ledger: Ledger, changes: dict[str, Any]
) -> None:
    """What is in a ledger stays in it, so that nothing unreadable may ever get in."""

    async def run() -> Sequence[BaseException | None]:
        return await asyncio.gather(
            ledger.append(decided("d1")),
            ledger.append(decided("bad", **{"decision_id": "bad", **changes})),
            ledger.append(decided("d2")),
            return_exceptions=True,
        )

    first, bad, second = asyncio.run(run())
    assert first is None
    assert second is None
    assert isinstance(bad, LedgerError)
    assert "cannot be written" in str(bad)
    assert [d.decision_id for d in ledger.decisions()] == ["d1", "d2"]


def test_numbers_and_texts_at_their_limits_survive(ledger: Ledger) -> None:
    """The largest and smallest that are accepted come back exactly."""
    edge = decided(
        "d\x00'\"\N{SNOWMAN}",
        answer={"": [2**100, -(2**63), 1e308, "\x00"]},
        cost_nusd=2**63 - 1,
        latency_ms=0.0,
        plan="",
        idempotency_key="",
        at=datetime(1, 1, 1, tzinfo=UTC),
    )
    write(ledger, edge)
    assert ledger.decision(edge.decision_id) == edge
    assert ledger.decision_by_key("") == edge


def test_decisions_are_found_by_time_and_plan(ledger: Ledger) -> None:
    """`since` is included, `until` is not, whatever zone they are given in."""
    hours = [NOON + timedelta(hours=n) for n in range(4)]
    for n, at in enumerate(hours):
        write(ledger, decided(f"d{n}", at=at, plan="new" if n > 1 else "old"))
    berlin = timezone(timedelta(hours=1))
    since = hours[1].astimezone(berlin)
    assert [d.decision_id for d in ledger.decisions(since=since)] == ["d1", "d2", "d3"]
    assert [d.decision_id for d in ledger.decisions(since=since, until=hours[3])] == ["d1", "d2"]
    assert [d.decision_id for d in ledger.decisions(plan="new")] == ["d2", "d3"]
    assert list(ledger.decisions(since=NOON + timedelta(days=9))) == []
    counts = ledger.counts()
    assert (counts.first_at, counts.last_at) == (hours[0], hours[3])


def test_times_that_do_not_rise_are_found_all_the_same(ledger: Ledger) -> None:
    """Decisions are written when they end, so that a slow one stands behind later ones."""
    write(ledger, decided("fast", at=NOON + timedelta(seconds=5)))
    write(ledger, decided("slow", at=NOON))
    write(ledger, decided("next", at=NOON + timedelta(seconds=6)))
    found = ledger.decisions(since=NOON + timedelta(seconds=1))
    assert [d.decision_id for d in found] == ["fast", "next"]


def test_a_label_comes_back_as_it_was_written(ledger: Ledger) -> None:
    """When it became known is kept to the microsecond, which is not when it was sent."""
    known_at = NOON + timedelta(days=3, microseconds=123_457)
    full = labelled(
        "d1",
        {"people": 2},
        source="outcome",
        selection="audit",
        known_at=known_at,
        label_id="chargeback-9",
        reviewer="ana",
    )
    write(ledger, decided("d1"))
    assert asyncio.run(ledger.add_labels([full])) == ["stored"]
    assert list(ledger.labels()) == [full]
    assert ledger.counts().labels == 1


def test_a_label_sent_twice_is_one_label(ledger: Ledger) -> None:
    """The same content or the same `label_id` is a duplicate, in one call or in two."""
    write(ledger, decided("d1"), decided("d2"))
    plain, named = labelled("d1"), labelled("d2", label_id="x")
    first = asyncio.run(ledger.add_labels([plain, named, plain, named]))
    again = asyncio.run(ledger.add_labels([named, plain]))
    assert first == ["stored", "stored", "duplicate", "duplicate"]
    assert again == ["duplicate", "duplicate"]
    assert ledger.counts().labels == 2


def test_a_label_id_is_not_given_to_two_labels(ledger: Ledger) -> None:
    """The sender's id used again for another truth is a fault of the sender; the first stays."""
    write(ledger, decided("d1"))
    first = labelled("d1", "refund", label_id="x")
    outcomes = asyncio.run(ledger.add_labels([first, labelled("d1", "card", label_id="x")]))
    assert outcomes == ["stored", "conflict"]
    assert list(ledger.labels()) == [first]


def test_a_source_may_change_its_mind_and_both_verdicts_stay(ledger: Ledger) -> None:
    """Labels are only ever added: a later verdict stands beside the earlier one."""
    write(ledger, decided("d1"))
    verdicts = [labelled("d1", "refund"), labelled("d1", "card", known_at=NOON + timedelta(1))]
    assert asyncio.run(ledger.add_labels(verdicts)) == ["stored", "stored"]
    assert list(ledger.labels()) == verdicts


def test_a_label_of_an_unknown_decision_is_refused_alone(ledger: Ledger) -> None:
    """Nothing of it is written; the others are stored."""
    write(ledger, decided("d1"))
    outcomes = asyncio.run(
        ledger.add_labels([labelled("nobody", label_id="n"), labelled("d1"), labelled("nobody")])
    )
    assert outcomes == ["unknown_decision", "stored", "unknown_decision"]
    assert [label.decision_id for label in ledger.labels()] == ["d1"]


def test_labels_are_given_as_they_were_known_at_an_instant(ledger: Ledger) -> None:
    """A question is always "as known at T"; both were received before it."""
    write(ledger, decided("d1"))
    soon = datetime.now(UTC) + timedelta(days=1)
    early = labelled("d1", "a", known_at=soon)
    late = labelled("d1", "b", known_at=soon + timedelta(days=1))
    asyncio.run(ledger.add_labels([late, early]))
    assert list(ledger.labels(known_by=soon)) == [early]
    assert list(ledger.labels(known_by=soon + timedelta(days=2))) == [late, early]


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_a_label_counts_from_when_it_was_received(kind: str, tmp_path: Path) -> None:
    """What was true and not yet told was not known; what is told early is not known before."""
    clock = VirtualClock(NOON)
    path = tmp_path / "ledger.db"
    ledger: Ledger = (
        SqliteLedger(path, clock=clock) if kind == "sqlite" else MemoryLedger(clock=clock)
    )
    write(ledger, decided("d1"))
    day = timedelta(days=1)
    clock.advance(3 * day.total_seconds())
    told_late, ahead = labelled("d1", "a"), labelled("d1", "b", known_at=NOON + 5 * day)
    asyncio.run(ledger.add_labels([told_late, ahead]))

    known = [list(ledger.labels(known_by=NOON + days * day)) for days in (0, 2, 3, 4, 5)]
    ledger.close()

    assert known == [[], [], [told_late], [told_late], [told_late, ahead]]


@pytest.mark.parametrize(
    "bad",
    [
        labelled("d1", object()),
        labelled("d1", CYCLE),
        labelled("d1", known_at=NOON.replace(tzinfo=None)),
        labelled("d1", source="rumour"),
        labelled("d1", reviewer=7),
    ],
)
def test_a_label_that_cannot_be_written_leaves_nothing_behind(ledger: Ledger, bad: Label) -> None:
    """A call with such a label is refused before anything is written."""
    write(ledger, decided("d1"))
    with pytest.raises(DataError, match="the label of decision d1"):
        asyncio.run(ledger.add_labels([labelled("d1"), bad]))
    assert list(ledger.labels()) == []


def done(name: str, **changes: Any) -> Event:
    """Give an event."""
    usual = Event(event_id=name, at=NOON, kind="plan.promoted", actor="ana", body={"plan": "p2"})
    return msgspec.structs.replace(usual, **changes)


def note(ledger: Ledger, *events: Event) -> None:
    """Record events one after the other."""

    async def run() -> None:
        for event in events:
            await ledger.record(event)

    asyncio.run(run())


def test_events_come_back_as_they_were_written_and_are_found(ledger: Ledger) -> None:
    """What was done, when and by whom is asked for by its kind and its time."""
    later = NOON + timedelta(hours=1, microseconds=7)
    first, second = done("e1"), done("e2", at=later, body={"plan": "p3", "share": [0.1, None]})
    other = done("e3", kind="key.added", at=later, body={})
    note(ledger, first, second, other)
    assert list(ledger.events()) == [first, second, other]
    assert list(ledger.events(kind="plan.promoted")) == [first, second]
    assert list(ledger.events(since=later)) == [second, other]
    assert list(ledger.events(kind="plan.promoted", until=later)) == [first]
    assert ledger.counts().events == 3
    assert ledger.verify().whole
    assert ledger.verify().events == 3


def test_recording_an_event_twice_is_recording_it_once(ledger: Ledger) -> None:
    """The same one again is no change, and its id is not given to another."""
    note(ledger, done("e1"), done("e1"))
    with pytest.raises(LedgerError, match="event e1 is in the ledger with other content"):
        note(ledger, done("e1", actor="ben"))
    assert list(ledger.events()) == [done("e1")]


@pytest.mark.parametrize(
    "bad",
    [
        done("e1", body={"x": object()}),
        done("e1", at=NOON.replace(tzinfo=None)),
        done("e1", kind=7),
        done("e1", body=[1]),
    ],
)
def test_an_event_that_could_not_be_read_back_is_refused(ledger: Ledger, bad: Event) -> None:
    """What is in a ledger has to stay readable."""
    with pytest.raises(LedgerError, match="event e1"):
        note(ledger, bad)
    assert list(ledger.events()) == []


def test_a_healthy_ledger_is_whole(ledger: Ledger) -> None:
    """Verification counts what is there."""
    write(ledger, decided("d1"), decided("d2"))
    asyncio.run(ledger.add_labels([labelled("d1")]))
    found = ledger.verify()
    assert found.whole
    assert (found.decisions, found.labels, found.missing) == (2, 1, 0)
    assert str(found).startswith("whole: 2 decisions and 1 labels")


def test_an_anchor_that_the_chain_never_had_is_reported(ledger: Ledger) -> None:
    """The end of a ledger cannot be cut off without whoever kept its head noticing."""
    write(ledger, decided("d1"))
    found = ledger.verify(anchor="0" * 64)
    assert not found.whole
    assert "anchor" in found.faults[0]


def test_the_head_of_an_empty_ledger_is_an_anchor_too(ledger: Ledger) -> None:
    """Whoever kept the head from before the first decision is not told of a loss."""
    head = ledger.verify().head
    write(ledger, decided("d1"))
    assert ledger.verify(anchor=head).whole


def test_a_label_of_a_decision_in_the_same_moment_is_stored(ledger: Ledger) -> None:
    """A label may follow its decision at once."""

    async def run() -> list[str]:
        decision = asyncio.create_task(ledger.append(decided("d1")))
        await asyncio.sleep(0)
        outcomes = await ledger.add_labels([labelled("d1")])
        await decision
        return list(outcomes)

    assert asyncio.run(run()) == ["stored"]


def test_ten_thousand_labels_in_one_call_are_taken(ledger: Ledger) -> None:
    """A nightly delivery, with every tenth line twice, is one call."""
    write(ledger, decided("d1"))
    size = 10_000 if isinstance(ledger, SqliteLedger) else 200  # memory compares each with each
    times = [NOON + timedelta(seconds=n) for n in range(size)]
    labels = [
        labelled("d1", known_at=at) for n, at in enumerate(times) for _ in range(1 + (n % 10 == 0))
    ]
    outcomes = asyncio.run(ledger.add_labels(labels))
    assert (outcomes.count("stored"), outcomes.count("duplicate")) == (size, size // 10)
    assert ledger.counts().labels == size
    assert ledger.verify().whole


def test_a_closed_ledger_refuses_and_may_be_closed_again(ledger: Ledger) -> None:
    """Nothing is accepted that nobody would write."""
    write(ledger, decided("d1"))
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        write(ledger, decided("d2"))
    with pytest.raises(LedgerError, match="closed"):
        ledger.decision("d1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=JSON, request=JSON, cost=st.none() | st.integers(0, 2**62))
def test_any_json_answer_survives(ledger: Ledger, answer: Any, request: Any, cost: int) -> None:
    """Answers and requests are the user's; whatever is JSON comes back equal."""
    name = f"d{ledger.counts().decisions}"
    written = decided(name, answer=answer, request=request, cost_nusd=cost)
    write(ledger, written)
    assert ledger.decision(name) == written
