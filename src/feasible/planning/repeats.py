"""Rows that stand in a log several times under new ids: they are one piece of evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from feasible.schema import FloatArray, IntArray, Profile

__all__ = ["with_repeats"]

_FEWEST: Final = 0.01
"""Share of the rows that must be repeats before anything is done about them."""
_TELLING: Final = 0.5
"""Distinct times over distinct rows above which equal times are no accident."""
_MANY: Final = 50
"""Distinct rows below which nothing is told apart."""


def with_repeats(profile: Profile) -> tuple[Profile, tuple[str, ...]]:
    """Put equal rows together as entities, where rows carry none.

    Rows are equal when their texts, losses, scores, prices and measured times are, all of them.
    It takes times finer than a tenth of a millisecond: equal answers alone are no repeat.

    Returns:
        The profile, and a note where rows were put together.
    """
    n = len(profile)
    times = None if profile.entity is not None else _fine(profile.latency_ms)
    if times is None:
        return profile, ()
    distinct = len(np.unique(times))
    if n - distinct < max(1, _FEWEST * n):
        return profile, ()
    found, first, number = np.unique(_keys(profile), return_index=True, return_inverse=True)
    repeats = n - len(found)
    if repeats < max(1, _FEWEST * n) or distinct < _TELLING * len(found) or len(found) < _MANY:
        return profile, ()
    told = (
        f"{repeats:,} of {n:,} rows repeat another in everything but their id, to the measured "
        "time: equal rows judge as one entity"
    )
    # Named after their first row: keys of texts differ from one run to the next.
    return replace(profile, entity=tuple(map(str, first[number].tolist()))), (told,)


def _fine(latency_ms: FloatArray) -> FloatArray | None:
    """Give the first tier's times that were measured finely for every row; None without any."""
    for values in latency_ms.T:
        known = not np.isnan(values).any()
        if known and np.mean(np.abs(values - np.round(values, 1)) > 1e-9) > _TELLING:  # noqa: PLR2004
            return np.asarray(values)
    return None


def _keys(profile: Profile) -> IntArray:
    """Give equal rows equal numbers, and others different ones but for an accident in 10^6 rows."""
    rng = np.random.default_rng(0)
    key = np.zeros(len(profile), dtype=np.uint64)
    for grid in (profile.latency_ms, profile.loss, profile.score, profile.cost_usd):
        for values in grid.T:
            bits = np.ascontiguousarray(values + 0.0).view(np.uint64)
            factor = rng.integers(2**62, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
            key = (key ^ bits ^ (bits >> np.uint64(29))) * factor
            key ^= key >> np.uint64(32)
    if profile.text is not None:
        words = np.fromiter(map(hash, profile.text), dtype=np.int64, count=len(profile))
        key = (key ^ words.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    return key.view(np.int64)
