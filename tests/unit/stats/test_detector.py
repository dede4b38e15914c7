from __future__ import annotations

import numpy as np
import pytest

from feasible.stats import Detector, first_alarms


def test_quiet_streams_alarm_no_more_often_than_declared() -> None:
    """By step n a stream within its limit has an alarm with a chance of at most n x alpha."""
    rng = np.random.default_rng(3)
    quiet = (rng.random((400, 2_000)) < 0.05).astype(np.float64)

    alarms = first_alarms(quiet, 0.05, alpha=1e-4)

    assert (alarms >= 0).mean() <= 0.2  # n x alpha = .2
    assert (alarms >= 0).mean() > 0.0  # at this alpha a test that can never alarm is broken


def test_one_by_one_says_what_many_at_once_say() -> None:
    """The live detector and the array form alarm at the same step."""
    rng = np.random.default_rng(4)
    stream = (rng.random(6_000) < np.where(np.arange(6_000) < 3_000, 0.05, 0.12)).astype(float)
    detector = Detector(0.05, alpha=1e-6)

    first = next(step for step, loss in enumerate(stream) if detector.add(loss))

    assert first == first_alarms(stream[None], 0.05, alpha=1e-6)[0]
    assert first > 3_000


def test_a_limit_that_cannot_be_watched_is_refused() -> None:
    """A limit of nothing needs no evidence: one miss breaks it."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        Detector(0.0, alpha=1e-6)
