from __future__ import annotations

from dataclasses import replace

import numpy as np
from bench.late_recall import delays_by, tallies_by
from bench.late_world import DAYS, WINDOW, make_world

from feasible.feedback import estimate_unlabelled, recall_bounds


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


def test_errors_have_a_price_when_one_is_given() -> None:
    """$100 a missed event and $5 a needless action: the interval holds what they really cost."""
    world = make_world(1)
    tallies = tallies_by(world, DAYS - 1, delays_by(world, DAYS - 1))

    found = estimate_unlabelled(
        tallies, window=WINDOW, rng=np.random.default_rng(0), usd=(100.0, 5.0)
    ).cost_usd

    fraud, rows = world.fraud[-WINDOW - 1 : -1], world.rows[-WINDOW - 1 : -1]
    missed = fraud[:, ~world.blocked].sum()
    needless = (rows - fraud)[:, world.blocked].sum()
    assert found is not None
    assert found.low <= 100 * missed + 5 * needless <= found.high
    assert found.high < 1.3 * found.low


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


def test_where_exploration_is_forbidden_there_are_bounds_and_they_hold() -> None:
    """Nothing that was blocked is ever looked at: recall lies between bounds, far apart."""
    world = make_world(3)
    told = tallies_by(world, DAYS - 1, delays_by(world, DAYS - 1))
    acted = told.acted[None, :]
    blind = replace(
        told,
        reports=np.where(acted, 0.0, told.reports),
        audited=np.zeros_like(told.rows),
        audited_events=np.zeros_like(told.rows),
        open_rows=np.where(acted, 0.0, told.open_rows),
    )

    low, high = recall_bounds(blind, window=WINDOW)

    assert low <= world.recall(DAYS - 1) <= high
    assert high - low > 0.4
