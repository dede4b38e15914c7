from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feasible.tiers import pattern

LETTERS = st.text("abklsABKLS \u212a\u017f\u00df\u0130i", max_size=12)


@given(st.text("abkls", min_size=1, max_size=3), LETTERS)
def test_a_pattern_finds_what_an_expression_finds_whatever_the_case(word: str, text: str) -> None:
    """Also where another letter stands for a small one: a Kelvin sign is a `k`."""
    for regex in (word, rf"\b{word}\b", f"[{word}]a", f"[^{word}]", rf"{word}\s"):
        found = pattern("yes", regex)({"text": text}) == "yes"
        assert found == (re.search(regex, text, re.IGNORECASE) is not None)


@pytest.mark.parametrize(
    "regex", [r"\x41bc", r"\101bc", r"\u0041bc", r"[!-_]{3}", r"[0-a]bc", r"(?-i:abc)", r"a-?bc"]
)
@pytest.mark.parametrize("text", ["ABC", "abc", "a-bc"])
def test_large_letters_that_are_not_written_as_such_are_found_too(regex: str, text: str) -> None:
    """By number, inside a range, or where the expression itself says that the case counts."""
    found = pattern("yes", regex)({"text": text}) == "yes"
    assert found == (re.search(regex, text, re.IGNORECASE) is not None)
