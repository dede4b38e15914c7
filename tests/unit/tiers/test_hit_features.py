from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feasible.tiers.hit_features import MISMATCHES, compare, read
from feasible.tiers.hit_judge import cache_pairs


def between(one: str, other: str) -> dict[str, float]:
    """Give the mismatches of two questions by name."""
    return dict(zip(MISMATCHES, compare(read(one), read(other)), strict=True))


@pytest.mark.parametrize(
    ("what", "one", "other"),
    [
        ("negation", "Why was my transfer declined?", "Why wasn't my transfer declined?"),
        ("negation", "Bread with yeast", "Bread without yeast"),
        ("antonym", "How do I turn on roaming?", "How do I turn off roaming?"),
        ("antonym", "turn the alarm on", "turn the alarm off"),
        ("antonym", "Is it safe?", "Is it unsafe?"),
        ("antonym", "deactivate my card", "activate my card"),
        ("number", "Can I send 500 dollars?", "Can I send 5,000 dollars?"),
        ("number", "Is it -5 degrees?", "Is it 5 degrees?"),
        ("number", "the second dose", "the third dose"),
        ("name", "Can I pay with PayPal?", "Can I pay with Klarna?"),
        ("name", "Who is John Smith?", "Who is Joan Smith?"),
        ("direction", "trains from Paris to Lyon", "trains from Lyon to Paris"),
        ("direction", "a train going to Oslo", "a train from Oslo"),
        ("direction", "Do I owe you?", "Do you owe me?"),
        ("order", "Can my boss read my mail?", "Can I read my boss's mail?"),
        ("swapped", "a loop in C++", "a loop in C#"),
        ("swapped", "mute a channel", "archive a channel"),
        ("extra", "student discounts", "discounts"),
        ("number", "1 apple and 3 pears", "3 apples and 1 pear"),
        ("light", "a flight I cancelled", "a flight you cancelled"),
        ("asks", "Why can I pay?", "When can I pay?"),
        ("light", "Tell me my name", "Tell me your name"),
        ("light", "When did it open?", "When will it open?"),
    ],
)
def test_what_turns_an_answer_around_is_seen(what: str, one: str, other: str) -> None:
    """Each of these has a high cosine; none of them is alike."""
    found = between(one, other)
    assert found[what] > 0
    assert found["alike"] == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I change my PIN?", "Please tell me how I can change my PIN"),
        ("I can't log in", "I'm not able to login"),
        ("Switch the subtitles on", "How do I enable subtitles?"),
        ("Cancel my orders", "cancelling my order"),
        ("What is the price of milk?", "What's the milk price?"),
        ("Is it 1,000 or two?", "is it 1000 or 2"),
        ("How do I make a playlist?", "How do I create a playlist?"),
        ("my card\u2019s limit", "the limit of my card"),
    ],
)
def test_other_words_for_the_same_are_alike(one: str, other: str) -> None:
    """Politeness, inflection, contractions and known synonyms do not matter."""
    assert between(one, other)["alike"] == 1


@given(st.text(max_size=80), st.text(max_size=80))
def test_the_order_of_two_questions_does_not_matter(one: str, other: str) -> None:
    """Whichever was stored, the pair is the same; and any text can be read."""
    here, there = read(one), read(other)
    assert compare(here, there) == pytest.approx(compare(there, here))


@given(st.text(max_size=200))
def test_a_question_is_alike_itself(text: str) -> None:
    """Nothing tells a question from itself."""
    assert between(text, text)["alike"] == 1


def test_a_difference_at_the_end_of_a_very_long_text_is_seen() -> None:
    """Only the start is compared word by word, and the rest as a whole; neither takes long."""
    start = " ".join(f"word{chr(97 + i % 26)}{chr(97 + i % 7)}" for i in range(20_000))
    began = time.perf_counter()
    assert between(f"{start} on", f"{start} off")["alike"] == 0
    assert between(f"{start} on", f"{start} on")["alike"] == 1
    assert time.perf_counter() - began < 10


def test_no_hard_negative_kept_from_the_judge_is_alike() -> None:
    """A pair without any difference is a hit in the end, so that none may slip through here."""
    pairs = [pair for pair in cache_pairs("certify", "unseen") if not pair.same_answer]
    slipped = [p for p in pairs if between(p.question_a, p.question_b)["alike"]]
    assert len(pairs) > 150
    assert slipped == []
