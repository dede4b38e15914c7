from __future__ import annotations

import numpy as np
import pytest

from feasible.planning.hit_certificate import ScoredPairs, certify_hits

RNG = np.random.default_rng(11)


def drawn(n: int, *, wrong_above: float) -> ScoredPairs:
    """Draw pairs whose low scores are half wrong and whose high ones are wrong at a known rate."""
    score = RNG.random(n)
    rate = np.where(score >= 0.5, wrong_above, 0.5)
    return ScoredPairs(score, RNG.random(n) >= rate)


def test_hits_that_are_always_right_are_certified_and_the_others_left_out() -> None:
    """The threshold lands where answers begin to be wrong."""
    found = certify_hits(drawn(4_000, wrong_above=0.0), drawn(4_000, wrong_above=0.0))
    assert found is not None
    assert 0.45 < found.threshold < 0.55
    assert found.precision_bound >= 0.99
    assert found.hits > 1_500


@pytest.mark.parametrize(("n", "certified"), [(298, False), (299, True)])
def test_299_hits_without_a_miss_are_the_fewest_that_show_99_percent(
    n: int,
    certified: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    """0.99 to the power of 299 is just below 0.05."""
    perfect = ScoredPairs(np.ones(n), np.ones(n, dtype=bool))
    found = certify_hits(perfect, perfect)
    assert (found is not None) == certified
    if found is not None:
        assert (found.hits, found.wrong) == (299, 0)


def test_an_abstention_is_no_hit() -> None:
    """A cache that holds nothing is never wrong and never certified."""
    silent = ScoredPairs(np.full(500, np.nan), np.zeros(500, dtype=bool))
    assert certify_hits(silent, silent) is None


def test_a_cache_that_misses_too_often_is_certified_no_oftener_than_promised() -> None:
    """Hits wrong at 1.2 %: below the promise, so that a certificate is luck; 5 % of it at most."""
    n_runs, luck = 300, 0
    for _ in range(n_runs):
        search, judge = (drawn(2_000, wrong_above=0.012) for _ in range(2))
        found = certify_hits(search, judge)
        # Below 0.5 half the answers are wrong, so that no threshold keeps the promise.
        luck += found is not None
    assert luck <= 0.05 * n_runs + 3 * np.sqrt(0.05 * 0.95 * n_runs)


def test_a_ratio_out_of_range_or_a_missing_outcome_is_refused() -> None:
    """A promise of 100 % cannot be shown."""
    pairs = drawn(10, wrong_above=0.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        certify_hits(pairs, pairs, precision=1.0)
    with pytest.raises(ValueError, match="outcomes"):
        certify_hits(ScoredPairs(pairs.score, pairs.right[1:]), pairs)
