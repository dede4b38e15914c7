from __future__ import annotations

from dataclasses import replace

import numpy as np
from bench.late_recall import delays_by, tallies_by
from bench.late_world import DAYS, WINDOW, make_world

from feasible.feedback import estimate_unlabelled


def test_recall_is_known_before_the_labels_have_come() -> None:
    """After a new pattern the estimate follows the truth; the sum of scores stays where it was."""
    world = make_world(1)
    tallies = tallies_by(world, DAYS - 1, delays_by(world, DAYS - 1))

    found = estimate_unlabelled(tallies, window=WINDOW, rng=np.random.default_rng(0)).recall

    truth = world.recall(DAYS - 1)
    expected = tallies.expected[-WINDOW:].sum(axis=0)
    by_scores = expected[tallies.acted].sum() / expected.sum()
    assert found.low <= truth <= found.high
    assert abs(found.value - truth) < 0.03
    assert by_scores - truth > 0.1


def test_nothing_known_is_a_wide_answer_or_none() -> None:
    """Without reports and audits, the interval is many times that of a stream with them."""
    world = make_world(2)
    told = tallies_by(world, DAYS - 1, delays_by(world, DAYS - 1))
    nothing = np.zeros_like(told.rows)
    blind = replace(
        told, reports=nothing, audited=nothing, audited_events=nothing, open_rows=nothing
    )

    seen = estimate_unlabelled(told, window=WINDOW, rng=np.random.default_rng(0))
    unseen = estimate_unlabelled(blind, window=WINDOW, rng=np.random.default_rng(0))

    width = seen.recall.high - seen.recall.low
    assert unseen.recall.high - unseen.recall.low > 4 * width
    assert seen.tells
    assert not unseen.tells
