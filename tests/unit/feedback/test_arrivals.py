"""Labels as they really come: twice, out of order, early, late, from the future, contradicting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feasible.feedback import arrivals_of
from feasible.schema import Decision, Label

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _decision(name: str, at: datetime = NOON) -> Decision:
    return Decision(
        decision_id=name, at=at, plan="p", answer="ok", probability=0.9, tier="model", path=(),
        cost_nusd=0, latency_ms=1.0,
    )  # fmt: skip


def _label(name: str, days: float, value: str = "ok", **more: Any) -> Label:
    return Label(
        decision_id=name, value=value, source=more.pop("source", "outcome"),
        known_at=NOON + timedelta(days=days), **more,
    )  # fmt: skip


def test_a_label_that_comes_twice_is_one() -> None:
    """The same verdict again changes no count but that of repeats."""
    label = _label("a", 1)

    found = arrivals_of([_decision("a")], [label, label, label], now=NOON + timedelta(days=2))

    assert (found.labelled, found.twice, found.contradicting) == (1, 2, 0)


def test_a_label_before_its_decision_waits_for_it() -> None:
    """It is a stray while the decision is not there, and judges when it is."""
    label, now = _label("a", 1), NOON + timedelta(days=2)

    assert arrivals_of([], [label], now=now).strays == 1
    assert arrivals_of([_decision("a")], [label], now=now).labelled == 1


def test_a_label_from_the_future_is_not_known_yet() -> None:
    """It counts from its time on, and not a moment before."""
    label = _label("a", 3)

    early = arrivals_of([_decision("a")], [label], now=NOON + timedelta(days=2))
    late = arrivals_of([_decision("a")], [label], now=NOON + timedelta(days=3))

    assert (early.labelled, early.not_yet) == (0, 1)
    assert (late.labelled, late.not_yet) == (1, 0)


def test_labels_that_contradict_each_other_are_said_so() -> None:
    """The one known last stands, and the decision is counted as contested."""
    labels = [_label("a", 1, "fraud"), _label("a", 2, "ok"), _label("a", 1, "ok", source="human")]

    found = arrivals_of([_decision("a")], labels, now=NOON + timedelta(days=9))

    assert (found.labelled, found.contradicting) == (1, 1)


def test_a_clock_that_is_wrong_spoils_no_delay() -> None:
    """A label known before its decision was made says the truth, and nothing of the delays."""
    rng = np.random.default_rng(0)
    names = [f"d{i}" for i in range(200)]
    decisions = [_decision(name) for name in names]
    labels = [
        _label(name, float(days)) for name, days in zip(names, rng.uniform(1, 5, 200), strict=True)
    ]
    skewed = [_label("s", -0.5)]
    now = NOON + timedelta(days=60)

    clean = arrivals_of(decisions, labels, now=now)
    found = arrivals_of([*decisions, _decision("s")], labels + skewed, now=now)

    assert found.before_decision == 1
    assert found.labelled == clean.labelled + 1
    assert found.arrived_by_day == clean.arrived_by_day


def test_a_decision_of_later_is_not_known_yet() -> None:
    """As of a past time, neither later decisions nor later labels are there."""
    decisions = [_decision("a"), _decision("b", NOON + timedelta(days=5))]
    labels = [_label("a", 1), _label("b", 6)]

    found = arrivals_of(decisions, labels, now=NOON + timedelta(days=2))

    assert (found.decisions, found.labelled) == (1, 1)
    assert found.arrived_by_day == {1: None, 7: None, 14: None, 30: None}


@settings(max_examples=50, deadline=None)
@given(order=st.permutations(range(6)))
def test_order_makes_no_difference(order: list[int]) -> None:
    """However labels are shuffled, the same is known."""
    labels = [
        _label("a", 1), _label("a", 2, "bad"), _label("b", 1), _label("b", 1), _label("c", -1),
        _label("z", 1),
    ]  # fmt: skip
    decisions = [_decision(name) for name in "abc"]
    now = NOON + timedelta(days=3)

    shuffled = arrivals_of(decisions, [labels[i] for i in order], now=now)

    assert shuffled == arrivals_of(decisions, labels, now=now)
