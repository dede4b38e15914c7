"""Delta that is shared: by hand, and against the definition of closed testing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import zeta

from feasible.stats import bonferroni_split, delta_at, holm_adjusted, holm_shown


def test_holm_by_hand() -> None:
    """Source: 0.005 x 4 = 0.02 and 0.01 x 3 = 0.03 pass 0.05; 0.03 x 2 = 0.06 does not."""
    p_values = (0.01, 0.04, 0.03, 0.005)

    assert holm_shown(p_values, delta=0.05) == (True, False, False, True)
    # The last would pass alone at 0.04, and waits for the one before it.
    assert holm_adjusted(p_values) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def test_holm_is_the_closure_of_bonferroni() -> None:
    """A statement is shown when every set of statements that holds it is refused (seed 6).

    Source: Marcus, Peritz and Gabriel (1976), the definition of a closed test, set by set.
    """
    rng = np.random.default_rng(6)
    for _ in range(200):
        p = rng.beta(0.5, 6, 5)
        sets = [s for size in range(1, 6) for s in itertools.combinations(range(5), size)]
        refused = {s: len(s) * min(p[i] for i in s) <= 0.05 for s in sets}

        closed = tuple(all(refused[s] for s in sets if i in s) for i in range(5))

        assert holm_shown(p.tolist(), delta=0.05) == closed


def test_holm_shows_what_an_equal_split_shows_and_more() -> None:
    """Three p-values of 0.015, 0.02 and 0.04 at 0.05: an equal split shows the first alone."""
    p_values = (0.015, 0.02, 0.04)

    split = [p <= part for p, part in zip(p_values, bonferroni_split(0.05, [1, 1, 1]), strict=True)]

    assert split == [True, False, False]
    assert holm_shown(p_values, delta=0.05) == (True, True, True)
    assert holm_shown((), delta=0.05) == ()


def test_a_split_spends_delta_and_no_more() -> None:
    """Parts are in proportion and add up; an empty or negative share is refused."""
    assert bonferroni_split(0.1, [3, 1]) == pytest.approx((0.075, 0.025))
    assert sum(bonferroni_split(0.05, [0.2, 1, 7])) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="at least one positive number"):
        bonferroni_split(0.05, [])
    with pytest.raises(ValueError, match="at least one positive number"):
        bonferroni_split(0.05, [1.0, 0.0])


def test_looks_for_ever_spend_delta() -> None:
    """Source: zeta(2) and its tail after n terms, which is zeta(2, n + 1), by scipy."""
    spent = sum(delta_at(t, delta=0.05) for t in range(1, 1001))
    tail = 0.05 * zeta(2, 1001) / zeta(2)

    assert spent + tail == pytest.approx(0.05)
    assert spent < 0.05
    assert delta_at(1, delta=0.05) == pytest.approx(0.05 / 1.6449340668)
    with pytest.raises(ValueError, match="counts from 1; found 0"):
        delta_at(0, delta=0.05)
