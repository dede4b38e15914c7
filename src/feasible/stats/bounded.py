"""Statements about the mean of losses that lie between 0 and 1."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

__all__ = [
    "betting_p_value",
    "betting_upper_bound",
    "hoeffding_bentkus_p_value",
    "mean_interval",
]

_MOST_BET = 0.95
"""Share of the capital that one row may lose at most; below 1, so that capital stays positive."""


def hoeffding_bentkus_p_value(mean: float, n: int, *, limit: float) -> float:
    """Give a p-value for "the true mean is at least the limit" from the mean of losses in [0, 1].

    Args:
        mean: Mean loss observed. Ratio.
        n: Rows. Count.
        limit: Largest mean allowed. Ratio in (0, 1).

    Returns:
        The smaller of Hoeffding's and Bentkus' p-values. Ratio.

    Source:
        Bates et al. (2021), arXiv 2101.02703, section 3.

    Examples:
        >>> round(hoeffding_bentkus_p_value(0.02, 1000, limit=0.05), 6)
        2e-06
    """
    if n == 0 or mean >= limit:
        return 1.0
    relative_entropy = (1 - mean) * math.log((1 - mean) / (1 - limit))
    if mean > 0:
        relative_entropy += mean * math.log(mean / limit)
    hoeffding = math.exp(-n * relative_entropy)
    bentkus = math.e * float(binom.cdf(math.ceil(n * mean), n, limit))
    return min(1.0, hoeffding, bentkus)


def betting_p_value(losses: npt.NDArray[np.float64], *, limit: float, delta: float = 0.05) -> float:
    """Give a p-value for "the true mean is at least the limit" by betting against it.

    A gambler who bets that losses stay below the limit gains when they do. If the true mean were at
    the limit no strategy could be expected to gain, so that large capital is evidence.

    Args:
        losses: shape (n,), in [0, 1], in an order that does not depend on them.
        limit: Largest mean allowed. Ratio in [0, 1].
        delta: Level that the bets are tuned for; the p-value is valid for every level.

    Returns:
        1 / largest capital, at most 1. Ratio.

    Source:
        Waudby-Smith and Ramdas (2024), JRSS B 86(1), predictable plug-in bets, one side.

    Examples:
        >>> [betting_p_value(np.zeros(n), limit=0.05) < 0.05 for n in (70, 50)]
        [True, False]
    """
    n = len(losses)
    if n == 0:
        return 1.0
    capital = np.cumsum(np.log1p(_bets(losses, limit, delta) * (limit - losses)))
    return float(min(1.0, math.exp(-max(0.0, float(capital.max())))))


def betting_upper_bound(losses: npt.NDArray[np.float64], *, confidence_level: float) -> float:
    """Give a one-sided upper bound on the mean of losses in [0, 1], by inverting the betting test.

    Args:
        losses: shape (n,), in [0, 1], in an order that does not depend on them.
        confidence_level: Chance that the true mean lies below the bound.

    Returns:
        The bound. Ratio, 0 to 1.

    Examples:
        >>> round(betting_upper_bound(np.zeros(500), confidence_level=0.95), 3)
        0.006
    """
    delta = 1 - confidence_level
    if len(losses) == 0:
        return 1.0
    low, high = float(losses.mean()), 1.0
    if betting_p_value(losses, limit=high, delta=delta) > delta:
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        shown = betting_p_value(losses, limit=middle, delta=delta) <= delta
        low, high = (low, middle) if shown else (middle, high)
    return high


def mean_interval(
    values: npt.NDArray[np.float64], *, cap: float, confidence_level: float
) -> tuple[float, float]:
    """Give a two-sided interval for the mean of values between 0 and a cap.

    Args:
        values: shape (n,), in [0, cap], in an order that does not depend on them.
        cap: Largest value possible, > 0.
        confidence_level: Chance that the interval covers the true mean.
    """
    side = 1 - (1 - confidence_level) / 2
    scaled = np.clip(values / cap, 0.0, 1.0)
    high = betting_upper_bound(scaled, confidence_level=side)
    low = 1 - betting_upper_bound(1 - scaled, confidence_level=side)
    return low * cap, high * cap


def _bets(losses: npt.NDArray[np.float64], limit: float, delta: float) -> npt.NDArray[np.float64]:
    """Give each row's stake, from the rows before it alone."""
    n = len(losses)
    count = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(losses)) / (count + 1)
    spread = (0.25 + np.cumsum((losses - mean) ** 2)) / (count + 1)
    before = np.concatenate(([0.25], spread[:-1]))
    stakes = np.sqrt(2 * math.log(1 / delta) / (n * before))
    most = _MOST_BET / max(1 - limit, _MOST_BET)
    return np.asarray(np.minimum(stakes, most))
