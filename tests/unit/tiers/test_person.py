from __future__ import annotations

import pytest

from feasible.tiers import PersonQueue


def test_each_hand_off_is_acknowledged_with_an_id_of_its_own() -> None:
    """The answer comes later, under that id."""
    answers = PersonQueue(usd=2.0).answer([{"text": "same"}] * 3)
    assert len({answer.value["handed_off"] for answer in answers}) == 3


def test_what_is_not_declared_about_people_is_unknown() -> None:
    """No price is not a price of 0."""
    person = PersonQueue()
    assert (person.usd_per_call, person.error_rate, person.minutes) == (None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [{"error_rate": 1.1}, {"error_rate": -0.1}, {"usd": -1.0}, {"minutes": float("nan")}],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    """The error names the number."""
    with pytest.raises(ValueError, match="found"):
        PersonQueue(**wrong)
