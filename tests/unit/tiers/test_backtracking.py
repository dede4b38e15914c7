from __future__ import annotations

import re
import time

import pytest

from feasible.tiers import RulesTier, pattern
from feasible.tiers.backtracking import may_backtrack


@pytest.mark.parametrize(
    "regex",
    [
        r"(a+)+$",
        r"(a*)*$",
        r"(?:a+)+?b",
        r"^(\w+\s?)*$",
        r"((ab|c)+x?)+$",
        r"(?P<word>[a-z]+)*(?P=word)\d",
        r"(?i:(a+)+)b",
        r"(?=(a+)+$)a",
        r"(a{1,}){20}b",
        r"(a{1,3})*b",
        r".*a.*b.*c",
        r"card.*lost.*now",
        r"(card|visa)(.*lost).*now",
        r"card[^.]*lost[^.]*now",
        r"(aa?)*b",
        r"(a{0,9}){9}b",
        r"(a|aa)+$",
        r"(?:Ab|ab)*c",
        r"(?:a|b|ab)*c",
        r"(?:ab|\wb)*!",
        r"(?:(?:very|very very) )*late",
    ],
)
def test_a_repeat_around_what_is_found_in_several_ways_is_seen(regex: str) -> None:
    """Groups with and without names, lookaheads, flags, limits and alternatives do not hide it."""
    assert may_backtrack(regex)


@pytest.mark.parametrize(
    "regex",
    [
        r"\b(lost|misplaced)\b.*\bcard\b",
        r"refund(s|ed|ing)?",
        r"lost.*card|card.*lost",
        r"(?:so |very |really )*late",
        r"(?:please |pls )*help",
        r"(?:\d{4} ){4}",
        r"(?:\w+ ){0,5}card",
        r"\d{3}-\d{4}",
        r"(?:mon|tues|wednes)day\s+\d+",
    ],
)
def test_what_people_write_is_let_pass(regex: str) -> None:
    """A plain expression stays in the service's own process."""
    assert not may_backtrack(regex)


def test_what_is_let_pass_ends_on_a_text_that_was_made_to_hold_it() -> None:
    """The square of a text's length is still seconds for the longest that is taken."""
    began_s = time.thread_time()
    re.search(r"\b(lost|misplaced)\b.*\bcard\b", "lost " * 1_000)
    assert time.thread_time() - began_s < 5.0


def test_a_tier_of_rules_says_whether_one_of_them_may_hold_it() -> None:
    """One is enough; a function's own expressions cannot be seen."""
    assert RulesTier(pattern("a", "plain"), pattern("b", "plain", "(x+)+y")).may_hold
    assert not RulesTier(pattern("a", "plain"), lambda _request: None).may_hold
