"""Recall before the labels: how often its interval holds the truth, on worlds with a known one."""

from __future__ import annotations

import numpy as np
import pytest
from bench.late_recall import ask_worlds

pytestmark = pytest.mark.full

SEEDS = range(50_000, 50_060)


def test_intervals_cover_before_and_after_a_drift_that_nobody_is_told() -> None:
    """92 to 98 % of all answers, and 85 % in the two weeks after it, but for luck of 60 worlds.

    Answers of one world depend on each other, so luck is allowed for by worlds and not by answers.
    """
    found = ask_worlds(SEEDS)

    told = found.tells > 0
    inside = (found.low <= found.truth) & (found.truth <= found.high)
    early = (found.age >= 1) & (found.age < 15)

    def covered(part: np.ndarray) -> tuple[float, float]:
        by_world = [inside[part & told & (found.world == seed)].mean() for seed in SEEDS]
        return float(np.mean(by_world)), 2.5 * float(np.std(by_world)) / len(SEEDS) ** 0.5

    every, luck = covered(np.ones_like(told))
    assert 0.92 - luck <= every <= 0.98 + luck
    first, luck = covered(early)
    assert first >= 0.85 - luck
    assert (~told).mean() <= 0.25
