from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from feasible.errors import RequestError, TierError
from feasible.schema import Answer, Request, TierKind, TierSpec
from feasible.tiers import PersonQueue, Tier, as_tier, checked_answers

TWO: list[Request] = [{"text": "a"}, {"text": "b"}]
LABELS = frozenset({"refund", "card"})


def tier_that(gives: Callable[[Sequence[Request]], Any]) -> Tier:
    """Give a tier whose answers are whatever a function makes of the batch."""

    class Some:
        def answer(self, batch: Sequence[Request]) -> Any:
            return gives(batch)

    return as_tier(Some(), TierSpec(name="odd", kind=TierKind.MODEL))


def test_good_answers_come_back_as_they_are() -> None:
    """Abstentions, unknown scores and unknown costs are good answers."""
    good = [Answer("refund", score=0.9, cost_usd=0.0), Answer()]
    assert checked_answers(tier_that(lambda _: good), TWO, labels=LABELS) == good


def test_any_value_will_do_without_a_label_set() -> None:
    """An extractor gives structures."""
    answers = [Answer({"people": 2}), Answer([1])]
    assert checked_answers(tier_that(lambda _: answers), TWO, labels=None) == answers
    assert checked_answers(tier_that(lambda _: answers), TWO, labels=frozenset()) == answers


def test_numpy_floats_are_numbers() -> None:
    """A model's own score type is as good as a float."""
    answers = [Answer("card", score=np.float64(0.5))] * 2
    assert checked_answers(tier_that(lambda _: answers), TWO, labels=LABELS) == answers


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        ([Answer("card")], "1 answers to 2 requests"),
        ([Answer("card")] * 3, "3 answers to 2 requests"),
        ([Answer("card"), "card"], "a str where an Answer belongs"),
        ([Answer("card"), None], "a NoneType where an Answer belongs"),
        ([Answer("crad"), Answer()], "the unknown answer 'crad'"),
        ([Answer(["card"]), Answer()], "the unknown answer"),
        ([Answer("card", score=float("nan")), Answer()], "the score nan"),
        ([Answer("card", score=float("inf")), Answer()], "the score inf"),
        ([Answer("card", cost_usd=-0.01), Answer()], "the cost -0.01"),
        ([Answer("card", cost_usd=float("nan")), Answer()], "the cost nan"),
    ],
)
def test_unusable_answers_are_refused_by_name(answers: list[Any], complaint: str) -> None:
    """The error says which tier and what came back."""
    with pytest.raises(TierError, match=rf"tier 'odd' gave {complaint}"):
        checked_answers(tier_that(lambda _: answers), TWO, labels=LABELS)


def test_a_tier_that_raises_is_named_and_its_cause_kept() -> None:
    """The user's traceback stays attached."""

    def broken(_batch: Sequence[Request]) -> Any:
        raise KeyError("amount")

    with pytest.raises(TierError, match=r"(?s)'odd' raised KeyError.*amount") as caught:
        checked_answers(tier_that(broken), TWO, labels=None)
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_is_no_sequence_is_refused() -> None:
    """A forgotten `return` gives None."""
    with pytest.raises(TierError, match="raised TypeError"):
        checked_answers(tier_that(lambda _: None), TWO, labels=None)


def test_a_bad_request_is_not_blamed_on_the_tier() -> None:
    """The caller can mend a request; the message reaches them unchanged."""

    def refuse(_batch: Sequence[Request]) -> Any:
        raise RequestError("no text")

    with pytest.raises(RequestError, match="no text"):
        checked_answers(tier_that(refuse), TWO, labels=None)


def test_a_hand_off_is_not_held_to_the_label_set() -> None:
    """A person is acknowledged with a number."""
    person = as_tier(PersonQueue(), TierSpec(name="clerk", kind=TierKind.PERSON))
    first, second = checked_answers(person, TWO, labels=LABELS)
    assert first.value["handed_off"] != second.value["handed_off"]
