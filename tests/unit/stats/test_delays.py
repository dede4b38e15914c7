from __future__ import annotations

import numpy as np
import pytest

from feasible.stats import arrived_share


def test_delays_are_found_though_the_late_ones_cannot_have_been_seen() -> None:
    """Of decisions up to now only short delays show; the shares are those of all delays."""
    rng = np.random.default_rng(1)
    ages = rng.integers(0, 60, 40_000)
    delays = np.floor(rng.lognormal(np.log(8), 0.6, 40_000)).astype(np.int64)
    came = delays <= ages

    share = arrived_share(delays[came], ages[came], longest=40)

    truth = np.array([(delays <= lag).mean() for lag in range(40)])
    assert np.abs(share - truth).max() < 0.01
    seen = np.array([(delays[came] <= lag).mean() for lag in range(40)])
    assert np.abs(seen - truth).max() > 0.04  # what arrived alone would say


def test_without_an_arrival_no_delay_is_made_up() -> None:
    """Unknown is an error here, never a distribution of nothing."""
    with pytest.raises(ValueError, match="at least one label"):
        arrived_share(np.array([], dtype=np.int64), np.array([], dtype=np.int64), longest=3)
