"""Means over rows that weigh differently: labels seen where somebody looked, and precision.

Both are ratios, E[weight * loss] / E[weight], and such a ratio is at most a limit exactly when
E[weight * (loss - limit)] is at most 0. That is a mean of bounded numbers, which can be bet on.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from feasible.stats.inversion import smallest_shown

__all__ = [
    "audited_p_value",
    "audited_upper_bound",
    "weighted_p_value",
    "weighted_upper_bound",
]

_MOST_BET: Final = 0.95
"""Share of the capital that one row may lose at most; below 1, so that capital stays positive."""


def weighted_p_value(
    losses: npt.NDArray[np.float64],
    *,
    weight: npt.NDArray[np.float64],
    limit: float,
    delta: float = 0.05,
) -> float:
    """Give a p-value for "the weighted mean loss is at least the limit".

    With a weight of 1 where a class was answered and 0 elsewhere this is a test of precision:
    losses say which of these answers were wrong, and the limit is 1 - the promised precision. Rows
    that weigh nothing add nothing and may be left out. Rows that weigh 1 give `betting_p_value`.

    Args:
        losses: shape (n,), in [0, 1]. Independent rows, in an order that does not depend on them.
        weight: shape (n,), in [0, 1]. May depend on everything about a row but its loss.
        limit: Largest weighted mean allowed. Ratio in [0, 1].
        delta: Level that the bets are tuned for; the p-value is valid for every level.

    Returns:
        1 / largest capital, at most 1. Ratio.

    Raises:
        ValueError: A loss or a weight lies outside 0 to 1.

    Source:
        Waudby-Smith and Ramdas (2024), JRSS B 86(1), predictable plug-in bets, on
        weight * (loss - limit) in place of loss - limit.

    Examples:
        >>> says_fraud = np.tile([1.0, 0.0], 70)
        >>> wrong = np.zeros(140)
        >>> weighted_p_value(wrong, weight=says_fraud, limit=0.05) < 0.05
        True
    """
    _check(losses, "losses")
    _check(weight, "weight")
    stakes = _stakes(losses, weight, delta)
    return _p_value(losses, weight, stakes, limit)


def weighted_upper_bound(
    losses: npt.NDArray[np.float64],
    *,
    weight: npt.NDArray[np.float64],
    confidence_level: float,
) -> float:
    """Give a one-sided upper bound on a weighted mean loss, by inverting the test above.

    Examples:
        >>> weight = np.where(np.arange(600) < 500, 1.0, 0.1)
        >>> round(weighted_upper_bound(np.zeros(600), weight=weight, confidence_level=0.95), 3)
        0.006
    """
    _check(losses, "losses")
    _check(weight, "weight")
    delta = 1 - confidence_level
    total = float(weight.sum())
    stakes = _stakes(losses, weight, delta)
    return smallest_shown(
        lambda limit: _p_value(losses, weight, stakes, limit),
        low=float((weight * losses).sum()) / total if total > 0 else 1.0,
        delta=delta,
    )


def audited_p_value(
    losses: npt.NDArray[np.float64],
    *,
    propensity: npt.NDArray[np.float64],
    least: float,
    limit: float,
    delta: float = 0.05,
) -> float:
    """Give a p-value for "the mean loss of all rows is at least the limit", from audited rows.

    Somebody looked at each row with a known chance, which may depend on everything but its label. A
    row that is looked at with a chance of one in ten stands for ten rows. Rows that nobody looked
    at add nothing and are left out. With one propensity for all, those looked at are a fair sample,
    and this is `betting_p_value` of them.

    It pays when looks go where losses are. Where losses are 0 or 1 and spread evenly, keep each row
    with a chance of least / propensity: the exact binomial test of that fair sample says more.

    Args:
        losses: shape (n,), in [0, 1]. Of the rows that were looked at, in an order that does not
            depend on them.
        propensity: shape (n,), in [least, 1]. The logged chance of each row to be looked at.
        least: The smallest chance that the audit gives any row, known beforehand. Every row must
            have at least this chance, or nothing is known of rows like it. Ratio in (0, 1].
        limit: Largest mean loss allowed. Ratio.
        delta: Level that the bets are tuned for; the p-value is valid for every level.

    Raises:
        ValueError: A propensity lies outside [least, 1], or a loss outside [0, 1].

    Source:
        Horvitz and Thompson (1952), JASA 47(260), for the weights; Karampatziakis, Mineiro and
        Ramdas (2021), arXiv 2102.09540, and Waudby-Smith et al. (2024), arXiv 2210.10768, for bets
        on them.

    Examples:
        >>> rows = {"losses": np.zeros(300), "least": 0.1, "limit": 0.02}
        >>> audited_p_value(**rows, propensity=np.full(300, 0.1)) < 0.05
        True
    """
    weight = _audit_weight(propensity, least)
    return weighted_p_value(losses, weight=weight, limit=limit, delta=delta)


def audited_upper_bound(
    losses: npt.NDArray[np.float64],
    *,
    propensity: npt.NDArray[np.float64],
    least: float,
    confidence_level: float,
) -> float:
    """Give a one-sided upper bound on the mean loss of all rows, from those that were audited.

    Args:
        losses: shape (n,), in [0, 1]. Of the rows that were looked at, in an order that does not
            depend on them.
        propensity: shape (n,), in [least, 1].
        least: The smallest chance that the audit gives any row, known beforehand.
        confidence_level: Chance that the true mean lies below the bound.

    Returns:
        The bound. Ratio, 0 to 1; 1 when nobody looked at anything.

    Examples:
        >>> chance = np.where(np.arange(900) < 600, 1.0, 0.1)
        >>> bound = audited_upper_bound(
        ...     np.zeros(900), propensity=chance, least=0.1, confidence_level=0.95
        ... )
        >>> 0.005 < bound < 0.02
        True
    """
    weight = _audit_weight(propensity, least)
    return weighted_upper_bound(losses, weight=weight, confidence_level=confidence_level)


def _audit_weight(propensity: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.float64]:
    # A rounding error below the least is one; anything more is another audit than was declared.
    if not 0 < least <= 1 or not _inside(propensity, least - 1e-12, 1.0):
        found = (
            "no rows" if not len(propensity) else f"{propensity.min():g} to {propensity.max():g}"
        )
        msg = f"`propensity` lies between `least` = {least:g}, above 0, and 1; found {found}"
        raise ValueError(msg)
    return np.asarray(np.minimum(least / propensity, 1.0))


def _stakes(
    losses: npt.NDArray[np.float64], weight: npt.NDArray[np.float64], delta: float
) -> npt.NDArray[np.float64]:
    """Give each row's stake, from the rows before it alone."""
    n = len(losses)
    if n == 0:
        return np.array([])
    count = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(weight * losses)) / (1 + np.cumsum(weight))
    spread = (0.25 + np.cumsum((weight * (losses - mean)) ** 2)) / (count + 1)
    before = np.concatenate(([0.25], spread[:-1]))
    return np.asarray(np.sqrt(2 * math.log(1 / delta) / (n * before)))


def _p_value(
    losses: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    stakes: npt.NDArray[np.float64],
    limit: float,
) -> float:
    """Give 1 / largest capital; it falls as the limit rises, because the stakes do not shrink."""
    if not len(losses):
        return 1.0
    most = _MOST_BET / max(1 - limit, _MOST_BET)
    capital = np.cumsum(np.log1p(np.minimum(stakes, most) * weight * (limit - losses)))
    return math.exp(-max(0.0, float(capital.max())))


def _check(values: npt.NDArray[np.float64], name: str) -> None:
    if not _inside(values, 0.0, 1.0):
        msg = f"`{name}` lies between 0 and 1; found {values.min():g} to {values.max():g}"
        raise ValueError(msg)


def _inside(values: npt.NDArray[np.float64], low: float, high: float) -> bool:
    """Claim that every value lies in a range; NaN does not."""
    return bool(((values >= low) & (values <= high)).all())
