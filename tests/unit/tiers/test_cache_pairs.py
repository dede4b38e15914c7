from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter

from feasible.tiers.hit_judge import cache_pairs

KINDS = {"negation", "antonym", "number", "name", "product", "direction", "paraphrase"}
FRAME = frozenset(
    re.split(" ", "how do i my the a an to is it can you of in for on what does are s me be was")
)


def plain(text: str) -> str:
    """Give a text without case and white space."""
    return " ".join(text.casefold().split())


def words(text: str) -> frozenset[str]:
    """Give the words that say what a question is about."""
    return frozenset(re.findall(r"\w+", text.lower())) - FRAME


def test_there_are_enough_pairs_of_every_kind() -> None:
    """At least fifty of each way to be wrong, and 150 ways to be right."""
    counts = Counter(pair.kind for pair in cache_pairs())
    assert counts.keys() == KINDS
    assert sum(counts[kind] for kind in KINDS - {"paraphrase"}) >= 320
    assert min(counts[kind] for kind in KINDS) >= 50
    assert counts["paraphrase"] >= 150


def test_paraphrases_share_an_answer_and_nothing_else_does() -> None:
    """The kind says what the label says."""
    assert all(pair.same_answer == (pair.kind == "paraphrase") for pair in cache_pairs())


def test_every_kind_is_in_every_split() -> None:
    """What is certified on one split is what the judge met in another."""
    counts = Counter((pair.split, pair.kind) for pair in cache_pairs())
    assert min(counts[split, kind] for split in ("fit", "certify", "unseen") for kind in KINDS) >= 8


def test_the_split_follows_from_the_first_question_alone() -> None:
    """Nobody chose what is unseen: four tenths fit, three certify, three are kept."""
    for pair in cache_pairs():
        byte = hashlib.sha256(plain(pair.question_a).encode()).digest()[0]
        expected = "fit" if byte < 102 else "certify" if byte < 179 else "unseen"
        assert pair.split == expected, pair.question_a


def test_no_question_stands_twice() -> None:
    """A question in two pairs would carry one pair's label to the other."""
    questions = [plain(q) for pair in cache_pairs() for q in {pair.question_a, pair.question_b}]
    assert [q for q, n in Counter(questions).items() if n > 1] == []


def test_no_pair_of_one_split_is_nearly_a_pair_of_another() -> None:
    """What is unseen was not seen in other words: less than six tenths of the words are shared."""
    pairs = [(pair, words(pair.question_a), words(pair.question_b)) for pair in cache_pairs()]
    near = [
        (one.question_a, other.question_a)
        for (one, *ones), (other, *others) in itertools.combinations(pairs, 2)
        if one.split != other.split
        for a, b in itertools.product(ones, others)
        if len(a & b) >= 0.6 * len(a | b)
    ]
    assert near == []


def test_a_split_is_given_alone() -> None:
    """And all of them together are the whole."""
    parts = [cache_pairs(split) for split in ("fit", "certify", "unseen")]
    assert [{pair.split for pair in part} for part in parts] == [{"fit"}, {"certify"}, {"unseen"}]
    assert sum(len(part) for part in parts) == len(cache_pairs())
