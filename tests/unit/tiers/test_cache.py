from __future__ import annotations

from datetime import UTC, datetime

import pytest

from feasible.clock import VirtualClock
from feasible.schema import Request
from feasible.tiers import ExactCache, request_key

CARD: Request = {"text": "Where is my card?"}


def asked(cache: ExactCache, text: str) -> object:
    """Give what the cache says to a text."""
    return cache.answer([{"text": text}])[0].value


def test_a_repeat_gets_the_answer_and_the_probability_it_was_accepted_with() -> None:
    """A repeat is exactly as trustworthy as what it repeats."""
    cache = ExactCache()
    cache.remember(CARD, "card_arrival", 0.97)
    (answer,) = cache.answer([CARD])
    assert (answer.value, answer.score) == ("card_arrival", 0.97)


@pytest.mark.parametrize(
    "same", ["where is my card?", " Where\tis  my\ncard? ", "WHERE IS MY CARD?"]
)
def test_case_and_white_space_do_not_matter(same: str) -> None:
    """They never turn an answer around."""
    cache = ExactCache()
    cache.remember(CARD, "card_arrival", 0.97)
    assert asked(cache, same) == "card_arrival"


@pytest.mark.parametrize("other", ["Where is my card", "Where is my cárd?", "Where's my card?"])
def test_anything_else_matters(other: str) -> None:
    """Close is not the same: that is the business of another cache."""
    cache = ExactCache()
    cache.remember(CARD, "card_arrival", 0.97)
    assert asked(cache, other) is None


def test_composed_and_decomposed_letters_are_the_same() -> None:
    """Unicode has two spellings of é."""
    assert request_key({"text": "café"}) == request_key({"text": "cafe\u0301"})


def test_every_other_field_counts_exactly() -> None:
    """Two merchants who ask the same are two requests; the order of keys is not a difference."""
    one = request_key({"text": "hi", "merchant": "A"})
    assert one == request_key({"merchant": "A", "text": "HI"})
    assert one != request_key({"text": "hi", "merchant": "a"})
    assert one != request_key({"text": "hi"})


def test_half_a_surrogate_pair_is_a_text_like_any_other() -> None:
    """JSON can carry one."""
    assert request_key({"text": "\ud800"}) != request_key({"text": "\ud801"})


def test_an_answer_is_forgotten_when_its_time_is_over() -> None:
    """Time to live is counted from when it was remembered."""
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    cache = ExactCache(ttl_s=60, clock=clock)
    cache.remember(CARD, "card_arrival", 0.97)
    clock.advance(59.9)
    assert asked(cache, CARD["text"]) == "card_arrival"
    clock.advance(0.1)
    assert asked(cache, CARD["text"]) is None
    assert len(cache) == 0


def test_the_least_recently_used_answer_makes_room() -> None:
    """Memory is bounded by `size`."""
    cache = ExactCache(size=2)
    cache.remember({"text": "a"}, "A", None)
    cache.remember({"text": "b"}, "B", None)
    asked(cache, "a")
    cache.remember({"text": "c"}, "C", None)
    assert [asked(cache, text) for text in "abc"] == ["A", None, "C"]


def test_clear_forgets_everything() -> None:
    """A new release of the answers starts from nothing."""
    cache = ExactCache()
    cache.remember(CARD, "card_arrival", 0.97)
    cache.clear()
    assert asked(cache, CARD["text"]) is None


def test_an_abstention_is_not_remembered() -> None:
    """None is not an answer."""
    cache = ExactCache()
    cache.remember(CARD, None, None)
    assert len(cache) == 0


def test_what_a_caller_does_to_an_answer_does_not_reach_the_cache() -> None:
    """Structured answers are copied in and out."""
    cache = ExactCache()
    value = {"people": 2}
    cache.remember(CARD, value, 0.9)
    value["people"] = 3
    first = cache.answer([CARD])[0].value
    first["people"] = 4
    assert cache.answer([CARD])[0].value == {"people": 2}


@pytest.mark.parametrize(("ttl_s", "size"), [(0, 1), (-1, 1), (float("nan"), 1), (60, 0)])
def test_a_cache_that_could_hold_nothing_is_refused(ttl_s: float, size: int) -> None:
    """The error names the number."""
    with pytest.raises(ValueError, match="found"):
        ExactCache(ttl_s=ttl_s, size=size)
