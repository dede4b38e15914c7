"""One figure against its limit: value, interval and verdict, with the bounds of the certificate.

Every interval here is exact for the figure's own kind and does not depend on the order of rows:
binomial for shares, order statistics for percentiles, Hoeffding and Bentkus for means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from feasible.schema import FloatArray
from feasible.stats import (
    hoeffding_bentkus_upper_bound,
    interval,
    lower_bound,
    quantile_interval,
    rows_needed,
    upper_bound,
    zero_miss_rows,
)

__all__ = ["Figure", "mean_figure", "percentile_figure", "share_figure", "worst_figure"]

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """How one objective stands.

    Attributes:
        value: In the unit of the promise; None while there are too few rows for a promise of this
            size to be shown by any of them.
        span: Two-sided at the confidence level; None when there are too few rows to give one.
        n: Rows that judge.
        holds: The whole interval is on the right side of the limit; False: on the wrong side;
            None: neither.
        needed: Where neither: rows at which it could be shown; None when that cannot be told.
    """

    value: float | None = None
    span: Span | None = None
    n: int = 0
    holds: bool | None = None
    needed: int | None = None

    def scaled(self, factor: float) -> Figure:
        """Give the same figure in another unit."""
        span = None if self.span is None else (self.span[0] * factor, self.span[1] * factor)
        return replace(self, value=None if self.value is None else self.value * factor, span=span)

    def flipped(self) -> Figure:
        """Give the share of rows that do not miss."""
        span = None if self.span is None else (1 - self.span[1], 1 - self.span[0])
        return replace(self, value=None if self.value is None else 1 - self.value, span=span)


def share_figure(
    misses: int, n: int, *, limit: float, level: float, people: int = 0, rate: float = 0.0
) -> Figure:
    """Judge a share of misses against the largest one allowed.

    Where people answer, each of their rows counts as a miss in part: by their declared error rate.
    A tenth of the error allowed goes to the share of people, the rest to the misses, as in the
    certificate; both are exact, and together they hold by the union bound.

    Args:
        misses: Rows of machines that miss. Count.
        n: Rows that judge. Count.
        limit: Largest share allowed. Ratio.
        level: Confidence level of the two-sided interval.
        people: Rows that people answered. Count.
        rate: Declared error rate of people. Ratio.

    Examples:
        >>> figure = share_figure(0, 41, limit=0.05, level=0.95)
        >>> figure.holds, figure.value, figure.needed
        (None, None, 59)
        >>> share_figure(0, 72, limit=0.05, level=0.95).holds
        True
    """
    fewest = zero_miss_rows(limit, confidence_level=level) if 0 < limit < 1 else 1
    if n == 0:
        return Figure(needed=fewest if 0 < limit < 1 else None)
    share = (misses + rate * people) / n
    span = _share_span(misses, people, n, rate=rate, level=level)
    holds = _verdict(span, limit)
    if limit <= 0:  # every row keeps it, or it is broken
        holds = share == 0
    if holds is not None or n >= fewest:
        needed = None if holds is not None else _needed(share, n, limit=limit, level=level)
        return Figure(share, span, n, holds, needed)
    return Figure(None, span, n, None, fewest)


def _share_span(misses: int, people: int, n: int, *, rate: float, level: float) -> Span:
    if rate == 0:
        return interval(misses, n, confidence_level=level)
    delta = (1 - level) / 2
    by_people, missing = 1 - delta / 10, 1 - delta * 9 / 10
    low = lower_bound(misses, n, confidence_level=missing)
    low += rate * lower_bound(people, n, confidence_level=by_people)
    high = upper_bound(misses, n, confidence_level=missing)
    high += rate * upper_bound(people, n, confidence_level=by_people)
    return low, min(1.0, high)


def _verdict(span: Span, limit: float) -> bool | None:
    if span[1] <= limit:
        return True
    return False if span[0] > limit else None


def _needed(share: float, n: int, *, limit: float, level: float) -> int | None:
    """Give the rows at which the whole interval would be on the right side at this share."""
    found = rows_needed(share, limit=limit, confidence_level=1 - (1 - level) / 2)
    return found if found is not None and found > n else None


def percentile_figure(values: FloatArray, q: float, *, limit: float, level: float) -> Figure:
    """Judge a percentile: at most a share 1 - q of the values may lie above the limit.

    Args:
        values: shape (n,).
        q: Quantile. Ratio in (0, 1).
        limit: Largest percentile allowed, in the unit of the values.
        level: Confidence level of the two-sided interval.

    Examples:
        >>> figure = percentile_figure(np.arange(1.0, 1001.0), 0.5, limit=600.0, level=0.95)
        >>> figure.value, figure.span, figure.holds
        (500.5, (469.0, 532.0), True)
    """
    late = int(np.count_nonzero(values > limit))
    judged = share_figure(late, len(values), limit=1.0 - q, level=level)
    if not len(values):
        return judged
    ordered = np.sort(values)
    value = None if judged.value is None else float(np.quantile(ordered, q))
    return replace(judged, value=value, span=quantile_interval(ordered, q, confidence_level=level))


def mean_figure(total: float, n: int, *, cap: float, limit: float, level: float) -> Figure:
    """Judge a mean of values between 0 and a cap.

    Args:
        total: Sum of the values.
        n: Their count.
        cap: Largest value possible, > 0.
        limit: Largest mean allowed.
        level: Confidence level of the two-sided interval.

    Examples:
        >>> figure = mean_figure(20.0, 1000, cap=1.0, limit=0.05, level=0.95)
        >>> figure.value, figure.holds
        (0.02, True)
    """
    if n == 0:
        return Figure()
    side = 1 - (1 - level) / 2
    mean = min(1.0, total / n / cap)
    high = hoeffding_bentkus_upper_bound(mean, n, confidence_level=side)
    low = 1 - hoeffding_bentkus_upper_bound(1 - mean, n, confidence_level=side)
    holds = _verdict((low * cap, high * cap), limit)
    value, needed = total / n, None
    if holds is None and value < limit:
        # The distance from value to bound shrinks with the root of the rows.
        needed = math.ceil(n * ((high * cap - value) / (limit - value)) ** 2)
    return Figure(value, (low * cap, high * cap), n, holds, needed)


def worst_figure(values: FloatArray, *, limit: float, unknown: int) -> Figure:
    """Judge a cap that every single value keeps or breaks.

    Args:
        values: shape (n,), those that are known.
        limit: The cap.
        unknown: Values that are not known, any of which could be above it. Count.
    """
    if not len(values):
        return Figure()
    worst = float(values.max())
    holds = False if worst > limit else None if unknown else True
    return Figure(worst, None, len(values), holds)
