"""What a router foresees from the words of a request: P(a tier would be right), before it is asked.

Words are what both evaluators see, so that one text and many texts give the same probabilities.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from feasible.cascade.posterior import logistic
from feasible.schema.plan import Router
from feasible.schema.profile import FloatArray, Profile

__all__ = ["foresee", "foresee_all", "words_of"]

_WORD: Final = re.compile(r"\w+|[^\w\s]")
_LONGEST: Final = 20_000
"""Characters of a text that are read."""


def words_of(text: str) -> Iterator[str]:
    """Give the words and marks of a text in lower case, its pairs of neighbours and its length.

    Examples:
        >>> list(words_of("Is it 5?"))
        ['is', 'it', '5', '?', 'is it', 'it 5', '5 ?', '#length 2']
    """
    words = _WORD.findall(text[:_LONGEST].lower())
    yield from words
    yield from (f"{a} {b}" for a, b in pairwise(words))
    yield f"#length {int(math.log2(len(words) + 1))}"


def foresee(router: Router, text: str) -> dict[str, float]:
    """Give, per tier, P(it would be right) about a text. Ratio."""
    places, values = _row(router, text)
    return {tier: _probability(router, tier, places, values) for tier in router.offset}


def foresee_all(router: Router | None, profile: Profile) -> dict[str, FloatArray]:
    """Give, per tier, P(it would be right) about many rows, shape (n_rows,).

    Without a router or texts nothing is foreseen of any tier.
    """
    if router is None or profile.text is None:
        return {}
    rows = [_row(router, text) for text in profile.text]
    return {
        tier: np.array([_probability(router, tier, places, values) for places, values in rows])
        for tier in router.offset
    }


def _probability(router: Router, tier: str, places: list[int], values: list[float]) -> float:
    z = router.offset[tier]
    weights, presence = router.weights.get(tier), router.presence.get(tier)
    if weights is not None:
        for place, value in zip(places, values, strict=True):
            z += weights[place] * value
    if presence is not None:
        for place in places:
            z += presence[place]
    return logistic(z)


def _row(router: Router, text: str) -> tuple[list[int], list[float]]:
    """Give the places of a text's known words, rising, and their weights; of length 1 together."""
    known = _places(router.words)
    count = Counter(known[word] for word in words_of(text) if word in known)
    places = sorted(count)
    values = [(1 + math.log(count[place])) * router.rarity[place] for place in places]
    length = math.sqrt(sum(value * value for value in values))
    return places, [value / length for value in values] if length else values


@functools.lru_cache(maxsize=8)
def _places(words: tuple[str, ...]) -> dict[str, int]:
    return {word: place for place, word in enumerate(words)}
