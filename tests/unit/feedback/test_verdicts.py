"""Which of several labels of a decision is the truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from feasible.feedback.verdicts import Verdicts, same, spelling
from feasible.schema import Label

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def label(value: str, *, hour: int = 0, **fields: Any) -> Label:
    """Make a label of one decision, known some hours after noon."""
    given_fields = {"source": "human", **fields}
    return Label(
        decision_id="d1", value=value, known_at=NOON + timedelta(hours=hour), **given_fields
    )


def truth_of(*labels: Label) -> Any:
    """Add labels in this order and give the value that judges; None without one."""
    verdicts = Verdicts()
    for one in labels:
        verdicts.add(one)
    return None if verdicts.truth is None else verdicts.truth.value


def test_the_verdict_known_last_stands() -> None:
    """Time of knowledge decides, not the order in which labels are sent."""
    assert truth_of(label("new", hour=2), label("old", hour=1)) == "new"


def test_an_outcome_beats_a_person_and_a_proxy_is_no_truth() -> None:
    """A later opinion does not overrule what happened."""
    happened = label("chargeback", source="outcome")
    assert truth_of(happened, label("fine", hour=5)) == "chargeback"
    assert truth_of(label("maybe", source="proxy")) is None


def test_what_somebody_picked_is_no_truth() -> None:
    """Reviewed and explored decisions are no random sample, however late their label."""
    reviewed = label("b", hour=5, selection="review")
    assert truth_of(reviewed, label("c", selection="explored")) is None
    assert truth_of(label("a"), reviewed) == "a"


def test_a_decision_is_audited_whatever_else_became_known() -> None:
    """An organic outcome corrects an audit's verdict and does not undo the draw."""
    verdicts = Verdicts()
    verdicts.add(label("a", selection="audit"))
    verdicts.add(label("b", source="outcome"))
    assert verdicts.is_audited
    assert verdicts.truth is not None
    assert verdicts.truth.value == "b"


@given(
    st.lists(
        st.builds(
            label,
            st.sampled_from("ab"),
            hour=st.integers(0, 2),
            source=st.sampled_from(["proxy", "human", "outcome"]),
            selection=st.sampled_from(["organic", "audit", "review", "explored"]),
        ),
        max_size=8,
    ),
    st.randoms(),
)
def test_order_and_repeats_make_no_difference(labels: list[Label], random: Any) -> None:
    """Whatever arrives when, and however often, the truth is the same."""
    mixed = labels * 2
    random.shuffle(mixed)
    assert truth_of(*mixed) == truth_of(*labels)


def test_numbers_and_their_text_are_the_same() -> None:
    """CSV holds text; an answer may be a number, a claim or a list."""
    assert same(True, "true")
    assert same([1, "a"], '[1,"a"]')
    assert not same(None, "null")
    assert not same("1.0", 1)
    assert spelling(None) == "null"
