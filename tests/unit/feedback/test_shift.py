from __future__ import annotations

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance

from feasible.feedback.shift import Reference


def test_distances_are_those_of_scipy_up_to_the_width_of_a_cell() -> None:
    """Each column's distances agree with the exact ones; the one that moved is named first."""
    rng = np.random.default_rng(0)
    before, now = rng.normal(size=(20_000, 3)), rng.normal(size=(20_000, 3))
    now[:, 1] += 0.3

    moved = Reference(before, ("a", "b", "c")).distances(now, chunk=20_000)

    for j in range(3):
        assert abs(moved.ks[0, j] - ks_2samp(before[:, j], now[:, j]).statistic) < 0.01
        exact = wasserstein_distance(before[:, j], now[:, j]) / before[:, j].std()
        assert abs(moved.wasserstein[0, j] - exact) < 0.02
    edges = np.linspace(-4, 4, 513)
    shares = (np.histogram(table[:, 1], edges)[0] for table in (before, now))
    assert abs(moved.jensen_shannon[0, 1] - jensenshannon(*shares, base=2)) < 0.02
    assert moved.ks[0].argmax() == 1


def test_a_source_that_stops_shows_as_missing() -> None:
    """A column of nothing is far from one of values, and no value is made up for it."""
    rng = np.random.default_rng(0)
    now = rng.normal(size=(1_000, 2))
    now[:, 0] = np.nan

    moved = Reference(rng.normal(size=(1_000, 2)), ("a", "b")).distances(now, chunk=400)

    assert moved.ks.shape == (3, 2)
    assert (moved.ks[:, 0] == 1.0).all()
    assert (moved.ks[:, 1] < 0.2).all()
