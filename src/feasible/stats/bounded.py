"""Statements about the mean of losses that lie between 0 and 1."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from feasible.stats.inversion import smallest_shown

__all__ = [
    "betting_p_value",
    "betting_upper_bound",
    "fixed_stake_p_value",
    "fixed_stake_upper_bound",
    "hoeffding_bentkus_p_value",
    "hoeffding_bentkus_upper_bound",
    "mean_interval",
]

_MOST_BET: Final = 0.95
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
    bentkus = math.e * float(bdtr(math.ceil(n * mean), n, limit))
    return min(1.0, hoeffding, bentkus)


def hoeffding_bentkus_upper_bound(mean: float, n: int, *, confidence_level: float) -> float:
    """Give a one-sided upper bound on the mean of losses in [0, 1] by inverting the test above.

    Examples:
        >>> round(hoeffding_bentkus_upper_bound(0.02, 1000, confidence_level=0.95), 4)
        0.0315
    """
    return smallest_shown(
        lambda limit: hoeffding_bentkus_p_value(mean, n, limit=limit),
        low=mean,
        delta=1 - confidence_level,
    )


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
    return smallest_shown(
        lambda limit: betting_p_value(losses, limit=limit, delta=delta),
        low=float(losses.mean()) if len(losses) else 1.0,
        delta=delta,
    )


def fixed_stake_p_value(
    losses: npt.NDArray[np.float64], *, limit: float, spread: float, delta: float = 0.05
) -> float:
    """Give a p-value for "the mean of the true means is at least the limit", order-free.

    Every row is bet on with one stake that is fixed beforehand. The expected capital is a product
    of one factor a row; by the inequality of the geometric and the arithmetic mean it is at most 1
    whenever the rows' true means average at least the limit. So rows need to be independent but
    not alike: strata whose sizes are fixed, or blocks of unequal size, are covered.

    Args:
        losses: shape (n,), in [0, 1].
        limit: Largest mean allowed. Ratio in (0, 1).
        spread: Variance that the stake is tuned for, known without looking at the losses.
        delta: Level that the stake is tuned for; the p-value is valid for every level.

    Returns:
        1 / capital, at most 1. Ratio.

    Source:
        Betting as in Waudby-Smith and Ramdas (2024), JRSS B 86(1), with a constant stake; Markov's
        inequality.

    Examples:
        >>> zeros = np.zeros(80)
        >>> fixed_stake_p_value(zeros, limit=0.05, spread=0.05 * 0.95) < 0.05
        True
    """
    n = len(losses)
    if n == 0 or not 0 < limit < 1:
        return 1.0
    stake = math.sqrt(2 * math.log(1 / delta) / (n * max(spread, 1e-12)))
    stake = min(stake, _MOST_BET / (1 - limit))
    capital = float(np.log1p(stake * (limit - losses)).sum())
    return min(1.0, math.exp(-max(0.0, capital)))


def fixed_stake_upper_bound(
    losses: npt.NDArray[np.float64], *, spread: float, confidence_level: float
) -> float:
    """Give a one-sided upper bound on the mean of true means, by inverting the test above.

    Examples:
        >>> bound = fixed_stake_upper_bound(np.zeros(500), spread=0.01, confidence_level=0.95)
        >>> 0.005 < bound < 0.01
        True
    """
    delta = 1 - confidence_level
    return smallest_shown(
        lambda limit: fixed_stake_p_value(losses, limit=limit, spread=spread, delta=delta),
        low=float(losses.mean()) if len(losses) else 1.0,
        delta=delta,
    )


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
