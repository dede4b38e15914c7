"""The latest decisions as columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from feasible.feedback.stream import UNKNOWN, Case, Columns, Stream, case_of
from feasible.schema import Decision, PathStep


def case(number: int, *slices: str) -> Case:
    """Make a case whose latency and price are its number."""
    return Case("a", slices, None, False, False, True, float(number), number, number)


def handed_over(*steps: PathStep, cost_nusd: int | None) -> Case:
    """Make the case of a hand-off to `ann` that took this path."""
    decision = Decision(
        decision_id="d1",
        at=datetime(2026, 11, 23, tzinfo=UTC),
        plan="p",
        answer={"handed_off": "h1"},
        probability=None,
        tier="ann",
        path=steps,
        cost_nusd=cost_nusd,
        latency_ms=3.0,
    )
    return case_of(decision, people=frozenset({"ann"}), deadline_ms=2.0, with_request=False)


def test_the_oldest_decision_makes_room() -> None:
    """Four decisions in a stream of three: the first is forgotten with its slice."""
    stream = Stream(["big"], most=3)
    for number in range(4):
        stream.add(f"d{number}", case(number, *(["big"] if number < 2 else [])))

    assert len(stream) == 3
    assert stream.is_full
    assert stream.case("d0") is None
    assert sorted(stream.columns().cost_nusd.tolist()) == [1, 2, 3]
    assert stream.columns().where(stream.member("big")).cost_nusd.tolist() == [1]
    assert stream.columns().latency_ms.tolist() == [3.0, 1.0, 2.0]


def test_cases_and_a_stream_give_the_same_columns() -> None:
    """Labelled decisions and the latest ones are judged by the same code."""
    cases = [case(number) for number in range(5)]
    stream = Stream([], most=9)
    for number, one in enumerate(cases):
        stream.add(str(number), one)
    kept, made = stream.columns(), Columns.of(cases)
    assert kept.latency_ms.tolist() == made.latency_ms.tolist()
    assert kept.cost_nusd.tolist() == made.cost_nusd.tolist()
    assert kept.is_person.tolist() == made.is_person.tolist()
    assert kept.in_time.tolist() == made.in_time.tolist()


def test_a_person_s_price_is_told_apart_from_the_machines() -> None:
    """Rules at $0.000002 were asked, then Ann at $1.50: the machines cost 2,000 nano-dollars."""
    found = handed_over(
        PathStep(tier="rules", outcome="deferred", latency_ms=0.1, cost_usd=0.000002),
        PathStep(tier="llm", outcome="skipped", latency_ms=0.0, cost_usd=None),
        PathStep(tier="ann", outcome="handed_off", latency_ms=1.0, cost_usd=1.5),
        cost_nusd=1_500_002_000,
    )
    assert found.is_person
    assert found.answer is None
    assert (found.cost_nusd, found.machine_nusd) == (1_500_002_000, 2_000)
    assert not found.in_time, "3 ms are later than a deadline of 2 ms"


def test_an_unknown_price_stays_unknown() -> None:
    """A call that nobody can price is not free."""
    step = PathStep(tier="llm", outcome="timed_out", latency_ms=0.1, cost_usd=None)
    found = handed_over(step, cost_nusd=None)
    assert (found.cost_nusd, found.machine_nusd) == (UNKNOWN, UNKNOWN)


def test_a_stream_keeps_something() -> None:
    """A stream of no decisions is a mistake."""
    with pytest.raises(ValueError, match="at least one"):
        Stream([], most=0)
