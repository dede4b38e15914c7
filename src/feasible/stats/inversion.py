"""From a test to a bound: the smallest limit that the test shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["smallest_shown"]

_HALVINGS: Final = 30
"""Steps of a bisection between 0 and 1: to the ninth decimal."""


def smallest_shown(p_value: Callable[[float], float], *, low: float, delta: float) -> float:
    """Give the smallest limit on a mean that a test shows.

    Args:
        p_value: The test as a function of the limit; it must not rise with the limit.
        low: Where the search starts, at or below the bound.
        delta: Level of the test.

    Returns:
        A limit between `low` and 1; 1 when no limit is shown.

    Examples:
        >>> round(smallest_shown(lambda limit: 1 - limit, low=0.0, delta=0.25), 6)
        0.75
    """
    high = 1.0
    if low >= high or p_value(high - 1e-9) > delta:
        return 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if p_value(middle) <= delta else (middle, high)
    return high
