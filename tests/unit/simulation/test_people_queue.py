"""The queue of people: its waits are those of the closed form, and nothing begins out of hours."""

from __future__ import annotations

import numpy as np
import pytest

from feasible.simulation import People
from feasible.simulation.people_queue import ages_s, backlog
from feasible.simulation.queueing import waiting


def test_without_shifts_people_are_a_plain_queue() -> None:
    """M/M/4 at 80 %: cases wait as Erlang C says."""
    rng = np.random.default_rng(1)
    came = np.cumsum(rng.exponential(1 / 3.2, 400_000))
    service = rng.exponential(1.0, 400_000)

    waits = ages_s(came, service, 4, (0.0, 24.0)) - service

    assert waits[10_000:].mean() == pytest.approx(waiting(3.2, 1.0, 4).mean_wait, rel=0.06)


def test_nothing_begins_out_of_hours() -> None:
    """A case of the evening is settled in the morning, one that has begun is finished."""
    came = np.array([8.5, 16.9, 17.5]) * 3600
    takes = np.full(3, 1800.0)

    settled = came + ages_s(came, takes, 1, (9.0, 17.0))

    assert (settled / 3600).tolist() == [9.5, 17.4, 33.5]


def test_a_backlog_says_how_old_cases_get() -> None:
    """By night nobody is there: the 95th percentile is most of a night, by day it is minutes."""
    even = np.full(24, 10.0)
    by_day = backlog(People(per_hour=20.0, minutes_each=5.0, shift_hours=(9.0, 17.0)), even, seed=1)
    always = backlog(People(per_hour=20.0, minutes_each=5.0), even, seed=1)

    assert by_day is not None
    assert always is not None
    assert by_day.cases == always.cases == 720
    assert 12.0 < by_day.p95_h < 19.0
    assert always.p95_h < 0.6
    assert always.utilisation == pytest.approx(0.5)


def test_nothing_handed_over_leaves_no_backlog() -> None:
    """There is nothing to say about a queue that nobody joins."""
    assert backlog(People(per_hour=20.0), np.zeros(24), seed=1) is None
