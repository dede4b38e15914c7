"""Statements about a percentile that hold for any distribution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from feasible.stats.binomial import binomial_quantile

__all__ = ["quantile_interval", "quantile_upper_bound"]


def quantile_upper_bound(
    values: npt.NDArray[np.float64], q: float, *, confidence_level: float
) -> float | None:
    """Give a one-sided upper bound on the q-quantile: the order statistic that covers it.

    Args:
        values: shape (n,).
        q: Quantile. Ratio in (0, 1).
        confidence_level: Chance that the true quantile lies below the bound.

    Returns:
        The bound, or None when there are too few values to give one.

    Source:
        The binomial argument for order statistics, for example Conover (1999), section 3.2.

    Examples:
        >>> quantile_upper_bound(np.arange(1.0, 1001.0), 0.99, confidence_level=0.95)
        996.0
        >>> quantile_upper_bound(np.arange(10.0), 0.99, confidence_level=0.95) is None
        True
    """
    n = len(values)
    if n == 0:
        return None
    rank = binomial_quantile(confidence_level, n, q) + 1
    return float(np.sort(values)[rank - 1]) if rank <= n else None


def quantile_interval(
    values: npt.NDArray[np.float64], q: float, *, confidence_level: float
) -> tuple[float, float] | None:
    """Give a two-sided interval for the q-quantile from two order statistics.

    Returns:
        Low and high, or None when there are too few values to give both.

    Examples:
        >>> quantile_interval(np.arange(1.0, 1001.0), 0.5, confidence_level=0.95)
        (469.0, 532.0)
    """
    n = len(values)
    side = 1 - (1 - confidence_level) / 2
    high = quantile_upper_bound(values, q, confidence_level=side)
    if high is None:
        return None
    rank = binomial_quantile(1 - side, n, q)
    if rank < 1:
        return None
    return float(np.sort(values)[rank - 1]), high
