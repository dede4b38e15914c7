"""How often a promise that is kept appears to break on few rows: what a back-test must allow for.

A back-test sees n rows of a long traffic. Each row of a valid plan misses (a wrong answer, a call
over the latency limit) with some true rate that no row tells exactly. Two rates bracket what a
reader may expect of certificates that are worth their level:

- *at the limit*: the true rate is the limit itself, the worst plan that keeps its promise. Its
  misses on n rows are binomial, so that the value is on the wrong side of the limit with
  P(Binomial(n, limit) > n x limit), nearly one half, and the two-sided interval at 95 % lies beyond
  the limit with at most 2.5 %.
- *expected*: the true rate is as far inside as the certificate shows. Given m misses on the n0 rows
  that certified, the rate has the distribution Beta(m + 1/2, n0 - m + 1/2) (Jeffreys), and the
  misses on n other rows are beta-binomial. A certificate at 95 % needs the upper bound of the rate
  within the limit, so that m is well below n0 x limit and this is far below one half. It is a
  little too low: of several candidates in a fixed order the cheapest that passed is certified, so
  that its m is a little lucky.

Mean costs are no counts of misses and get neither rate.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import betabinom, binom

from feasible.stats import interval

__all__ = ["breaks_at_the_limit", "expected_to_break", "refuted_at_the_limit"]

_TINY = 1e-9
"""n x limit is computed in floating point: 3.0000000000000004 misses are still 3."""


def breaks_at_the_limit(n: int, limit: float) -> float:
    """Give how often the value of n rows breaks the limit when the true rate is the limit.

    Args:
        n: Rows kept aside.
        limit: Rate of misses that the promise allows. Ratio.
    """
    return float(binom.sf(math.floor(n * limit + _TINY), n, limit))


def refuted_at_the_limit(n: int, limit: float, *, confidence_level: float) -> float:
    """Give how often n rows say `false` when the true rate is the limit.

    Args:
        n: Rows kept aside.
        limit: Rate of misses that the promise allows. Ratio.
        confidence_level: Of the two-sided interval.
    """
    misses = np.arange(n + 1)
    said = [interval(int(m), n, confidence_level=confidence_level)[0] > limit for m in misses]
    return float(binom.pmf(misses, n, limit)[np.array(said)].sum())


def expected_to_break(misses: float, certified: int, *, n: int, limit: float) -> float:
    """Give how often n other rows break the limit, as far as a certificate tells.

    Args:
        misses: Rows that missed among those that certified.
        certified: Rows that certified.
        n: Rows kept aside.
        limit: Rate of misses that the promise allows. Ratio.
    """
    allowed = math.floor(n * limit + _TINY)
    return float(betabinom.sf(allowed, n, misses + 0.5, certified - misses + 0.5))
