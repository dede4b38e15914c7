"""The same promise again and again, and several at once: delta is spent once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom

from feasible.schema import FloatArray
from feasible.stats import (
    any_time_upper_bound,
    binomial_p_value,
    delta_at,
    evidence_so_far,
    holm_shown,
)

DELTA = 0.05
LIMIT = 0.05
LOOKS, ROWS = 24, 200
FEW, MANY = 200, 1000
draws = pytest.mark.parametrize("draws", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


def most_wrong(n: int) -> int:
    """Give the count of false statements that a valid method passes once in a thousand runs."""
    return int(binom.ppf(0.999, n, DELTA))


def months(rate: float, rng: np.random.Generator) -> FloatArray:
    """Draw two years of rows that miss at a rate, 200 a month."""
    return (rng.random(LOOKS * ROWS) < rate).astype(float)


def first_month(losses: FloatArray, *, spend: bool) -> int | None:
    """Give the month of the first certificate on all rows so far; None without one."""
    for month in range(1, LOOKS + 1):
        misses = int(losses[: month * ROWS].sum())
        delta = delta_at(month, delta=DELTA) if spend else DELTA
        if binomial_p_value(misses, month * ROWS, limit=LIMIT) <= delta:
            return month
    return None


@draws
def test_monthly_certificates_that_spend_delta_are_rarely_ever_false(draws: int) -> None:
    """In two years at the limit at most 5 % of runs see even one certificate (seed 31)."""
    rng = np.random.default_rng(31)

    wrong = sum(first_month(months(LIMIT, rng), spend=True) is not None for _ in range(draws))

    assert wrong <= most_wrong(draws), f"{wrong} of {draws} at seed 31"


@draws
def test_monthly_certificates_at_full_delta_are_false_sooner_or_later(draws: int) -> None:
    """Each look at 95 % gives more than 10 % of runs a false certificate in two years (seed 32)."""
    rng = np.random.default_rng(32)

    wrong = sum(first_month(months(LIMIT, rng), spend=False) is not None for _ in range(draws))

    assert wrong > 2 * DELTA * draws, f"{wrong} of {draws} at seed 32"


@draws
def test_evidence_may_be_looked_at_after_every_row(draws: int) -> None:
    """In 4,800 looks at most 5 % of runs ever see evidence of ln 20 at the limit (seed 33)."""
    rng = np.random.default_rng(33)

    wrong = sum(
        evidence_so_far(months(LIMIT, rng), limit=LIMIT).max() >= math.log(1 / DELTA)
        for _ in range(draws)
    )

    assert wrong <= most_wrong(draws), f"{wrong} of {draws} at seed 33"


@draws
def test_evidence_holds_when_losses_drift_as_long_as_the_promise_is_broken(draws: int) -> None:
    """A rate that swings between 5 % and 15 % every month, never below the limit (seed 34)."""
    rng = np.random.default_rng(34)
    rate = LIMIT + 0.05 * (1 + np.sin(np.arange(LOOKS * ROWS) / ROWS))
    wrong = 0
    for _ in range(draws):
        losses = (rng.random(LOOKS * ROWS) < rate).astype(float)
        wrong += evidence_so_far(losses, limit=LIMIT).max() >= math.log(1 / DELTA)

    assert wrong <= most_wrong(draws), f"{wrong} of {draws} at seed 34"


@draws
def test_evidence_shows_a_kept_promise_sooner_than_spending_does(draws: int) -> None:
    """At 3.3 %, evidence after every row comes before the monthly certificate (seed 35).

    Both keep the same delta over two years. Runs that show nothing count as two years and a month.
    """
    rng = np.random.default_rng(35)
    by_evidence, by_month = [], []
    for _ in range(draws):
        losses = months(LIMIT / 1.5, rng)
        shown = np.flatnonzero(evidence_so_far(losses, limit=LIMIT) >= math.log(1 / DELTA))
        month = first_month(losses, spend=True)
        by_evidence.append(int(shown[0]) + 1 if len(shown) else (LOOKS + 1) * ROWS)
        by_month.append((LOOKS + 1 if month is None else month) * ROWS)

    told = (float(np.median(by_evidence)), float(np.median(by_month)))
    assert told[0] < told[1], told
    assert np.mean(np.array(by_evidence) <= LOOKS * ROWS) > 0.9, told


@pytest.mark.parametrize("draws", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_no_bound_of_a_whole_year_is_ever_too_low(draws: int) -> None:
    """Twelve monthly any-time bounds are all above the true rate in 95 % of runs (seed 36)."""
    rng = np.random.default_rng(36)
    wrong = 0
    for _ in range(draws):
        losses = months(0.1, rng)
        bounds = [
            any_time_upper_bound(losses[: month * ROWS], confidence_level=1 - DELTA)
            for month in range(1, 13)
        ]
        wrong += min(bounds) < 0.1

    assert wrong <= most_wrong(draws), f"{wrong} of {draws} at seed 36"


# ------------------------------------------------------------------------------------------------
# Several statements at once


def p_values(shift: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw p-values of normal tests that share half of their variance; no shift: a true null."""
    noise = np.sqrt(0.5) * (rng.standard_normal() + rng.standard_normal(len(shift)))
    return np.asarray(ndtr(-(noise + shift)))


SHIFTS = np.array([0.0, 0.0, 2.6, 2.6, 3.2, 3.2])
"""Two fronts that do not hold among six."""


@draws
def test_holm_rarely_shows_a_front_that_does_not_hold(draws: int) -> None:
    """Of six dependent fronts two do not hold; 5 % of runs at most show either (seed 37)."""
    rng = np.random.default_rng(37)
    wrong = sum(
        any(holm_shown(p_values(SHIFTS, rng).tolist(), delta=DELTA)[:2]) for _ in range(draws)
    )

    assert wrong <= most_wrong(draws), f"{wrong} of {draws} at seed 37"


@draws
def test_holm_shows_more_than_an_equal_split(draws: int) -> None:
    """It shows every front that a split of delta by six shows, and more in all (seed 38)."""
    rng = np.random.default_rng(38)
    by_holm = by_split = 0
    for _ in range(draws):
        p = p_values(SHIFTS, rng)
        shown = np.array(holm_shown(p.tolist(), delta=DELTA))
        split = p <= DELTA / 6
        assert (shown >= split).all()
        by_holm += int(shown[2:].sum())
        by_split += int(split[2:].sum())

    assert by_holm > 1.05 * by_split, (by_holm, by_split)
