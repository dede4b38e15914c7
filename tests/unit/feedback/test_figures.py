"""Figures against their limits, with numbers from elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from feasible.feedback.figures import mean_figure, percentile_figure, share_figure, worst_figure


def test_forty_one_perfect_rows_are_too_few_for_95_percent() -> None:
    """Source: 0.95^59 = 0.0485 <= 0.05 < 0.95^58 = 0.0510, by hand."""
    figure = share_figure(0, 41, limit=0.05, level=0.95)
    assert (figure.value, figure.holds, figure.needed) == (None, None, 59)
    assert figure.span is not None
    assert figure.span[1] == pytest.approx(1 - 0.025 ** (1 / 41))


def test_both_sides_are_shown_by_seventy_two_rows() -> None:
    """Source: a two-sided interval at 95 % leaves 2.5 % a side; ln .025 / ln .95 = 71.9."""
    early = share_figure(0, 71, limit=0.05, level=0.95)
    assert (early.value, early.holds, early.needed) == (0.0, None, 72)
    assert share_figure(0, 72, limit=0.05, level=0.95).holds is True


def test_nine_of_ten_has_the_interval_of_clopper_and_pearson() -> None:
    """Source: 0.555 to 0.9975 for 9 of 10 at 95 %, any table of exact limits."""
    figure = share_figure(1, 10, limit=0.4, level=0.95).flipped()
    assert figure.span == pytest.approx((0.5550, 0.9975), abs=1e-4)


def test_a_few_rows_can_break_a_promise_that_they_cannot_keep() -> None:
    """Ten misses of ten: 0.025^(1/10) = 0.69 is above any 5 %."""
    figure = share_figure(10, 10, limit=0.05, level=0.95)
    assert (figure.value, figure.holds, figure.needed) == (1.0, False, None)


def test_people_miss_in_part() -> None:
    """10 misses of machines and 20 rows of people at 5 % of 200: 11 of 200 miss.

    Source: by hand from exact limits, a tenth of 2.5 % for the share and the rest for the misses.
    """
    figure = share_figure(10, 200, limit=0.10, level=0.95, people=20, rate=0.05)
    missed = beta.ppf(1 - 0.0225, 11, 190)
    share = beta.ppf(1 - 0.0025, 21, 180)
    assert figure.value == pytest.approx(0.055)
    assert figure.span is not None
    assert figure.span[1] == pytest.approx(missed + 0.05 * share)


def test_a_promise_of_everything_is_broken_by_one() -> None:
    """A limit of no miss at all asks for no statistics."""
    assert share_figure(0, 3, limit=0.0, level=0.95).holds is True
    assert share_figure(1, 1000, limit=0.0, level=0.95).holds is False


def test_a_percentile_lies_between_two_of_the_values() -> None:
    """Source: Binomial(1000, .99) is at most 982 in 1.5 % of cases and at least 997 in 1.0 %."""
    values = np.arange(1.0, 1001.0)
    figure = percentile_figure(values, 0.99, limit=1000.0, level=0.95)
    assert figure.value == pytest.approx(990.01)
    assert figure.span == (983.0, 997.0)
    assert figure.holds is True
    assert percentile_figure(values, 0.99, limit=990.0, level=0.95).holds is None
    assert percentile_figure(values, 0.99, limit=900.0, level=0.95).holds is False


def test_a_percentile_of_few_values_is_not_told() -> None:
    """A 99th percentile takes 299 values that all keep the limit."""
    figure = percentile_figure(np.ones(120), 0.99, limit=5.0, level=0.95)
    assert (figure.value, figure.span, figure.needed) == (None, None, 299)


def test_a_mean_below_its_enforced_cap_cannot_be_broken() -> None:
    """A limit above the cap holds from the first row on."""
    assert mean_figure(0.01, 1, cap=0.02, limit=0.05, level=0.95).holds is True


def test_a_mean_that_is_not_shown_says_how_many_rows_could() -> None:
    """Half the distance to the limit takes four times the rows."""
    figure = mean_figure(40.0, 1000, cap=1.0, limit=0.05, level=0.95)
    assert figure.holds is None
    assert figure.span is not None
    short = (figure.span[1] - 0.04) / 0.01
    assert figure.needed == math.ceil(1000 * short**2)


def test_an_enforced_cap_is_a_fact_about_every_value() -> None:
    """One value above it breaks it; a value that is not known leaves it open."""
    values = np.array([0.1, 0.3])
    assert worst_figure(values, limit=0.3, unknown=0).holds is True
    assert worst_figure(values, limit=0.3, unknown=1).holds is None
    assert worst_figure(values, limit=0.2, unknown=1).holds is False
    assert worst_figure(values[:0], limit=0.2, unknown=1).value is None


@given(st.integers(1, 400), st.data(), st.floats(0.01, 0.5))
def test_a_verdict_agrees_with_its_interval(n: int, data: st.DataObject, limit: float) -> None:
    """Holds means the whole interval is within the limit, broken that none of it is."""
    misses = data.draw(st.integers(0, n))
    figure = share_figure(misses, n, limit=limit, level=0.95)
    assert figure.span is not None
    low, high = figure.span
    assert low <= misses / n <= high
    assert figure.holds == (True if high <= limit else False if low > limit else None)
    assert figure.needed is None or figure.needed > n


@given(st.integers(1, 400), st.data())
def test_people_at_no_error_are_rows_that_do_not_miss(n: int, data: st.DataObject) -> None:
    """Without a declared error rate a hand-off is a right answer."""
    people = data.draw(st.integers(0, n))
    bare = share_figure(0, n, limit=0.1, level=0.95)
    assert share_figure(0, n, limit=0.1, level=0.95, people=people) == bare
