"""The comparisons that decide a case's way, written once: for one case and for many at once.

Planning, simulation and serving all come down to these, so that none of them can disagree with the
others about what is sure enough, too late or too dear.
"""

from __future__ import annotations

from typing import overload

from feasible.schema.profile import BoolArray, FloatArray

__all__ = ["is_too_dear", "is_too_late", "reaches"]


@overload
def reaches(probability: float, threshold: float) -> bool: ...
@overload
def reaches(probability: FloatArray, threshold: float | FloatArray) -> BoolArray: ...
def reaches(probability: float | FloatArray, threshold: float | FloatArray) -> bool | BoolArray:
    """Claim that an answer is sure enough: at its threshold it is."""
    return probability >= threshold


@overload
def is_too_late(needs_ms: float, left_ms: float) -> bool: ...
@overload
def is_too_late(needs_ms: float, left_ms: FloatArray) -> BoolArray: ...
def is_too_late(needs_ms: float, left_ms: float | FloatArray) -> bool | BoolArray:
    """Claim that a call does not fit the time that is left: what just fits is made."""
    return (left_ms <= 0) | (needs_ms > left_ms)


@overload
def is_too_dear(worst_usd: float, left_usd: float) -> bool: ...
@overload
def is_too_dear(worst_usd: float, left_usd: FloatArray) -> BoolArray: ...
def is_too_dear(worst_usd: float, left_usd: float | FloatArray) -> bool | BoolArray:
    """Claim that a call could cost more than is left: what costs just as much is made."""
    return worst_usd > left_usd
