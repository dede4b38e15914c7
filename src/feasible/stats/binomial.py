"""Exact statements about a rate from counts."""

from __future__ import annotations

import math

# scipy.stats has the same under friendlier names, and takes over a second to import.
from scipy.special import bdtr, bdtrik, betaincinv

__all__ = [
    "binomial_p_value",
    "binomial_quantile",
    "interval",
    "lower_bound",
    "rows_for_power",
    "rows_needed",
    "upper_bound",
    "zero_miss_rows",
]


def binomial_p_value(misses: int, trials: int, *, limit: float) -> float:
    """Give the chance of so few misses if the true miss rate were the limit; small means below it.

    Args:
        misses: Rows that missed. Count, 0 <= misses <= trials.
        trials: Rows that judge. Count; 0 gives 1.
        limit: Largest miss rate allowed. Ratio in [0, 1].

    Returns:
        P(Binomial(trials, limit) <= misses). Ratio.

    Source:
        The exact binomial test; its dual is Clopper and Pearson (1934).

    Examples:
        >>> round(binomial_p_value(0, 598, limit=0.005), 4)
        0.0499
    """
    _check(misses, trials)
    return float(bdtr(misses, trials, limit)) if trials else 1.0


def binomial_quantile(share: float, trials: int, rate: float) -> int:
    """Give the smallest count that a binomial variable stays at or below with that probability.

    Examples:
        >>> binomial_quantile(0.95, 100, 0.05)
        9
    """
    above = math.ceil(float(bdtrik(share, trials, rate)))
    below = max(above - 1, 0)  # the inverse is continuous, and may land a whole count too high
    return below if bdtr(below, trials, rate) >= share else above


def lower_bound(hits: int, trials: int, *, confidence_level: float) -> float:
    """Give a one-sided lower bound on a success rate, exact for any sample size.

    Args:
        hits: Successes observed. Count, 0 <= hits <= trials.
        trials: Labelled cases observed. Count, > 0.
        confidence_level: Chance that the true rate lies above the bound. Ratio in (0, 1).

    Returns:
        The bound. Ratio, 0 to 1; 0 when nothing was hit.

    Raises:
        ValueError: The counts are out of range.

    Source:
        Clopper and Pearson (1934), Biometrika 26(4), the lower limit.

    Examples:
        >>> round(lower_bound(100, 100, confidence_level=0.95), 4)
        0.9705
    """
    _check(hits, trials)
    if hits == 0:
        return 0.0
    return float(betaincinv(hits, trials - hits + 1, 1 - confidence_level))


def upper_bound(misses: int, trials: int, *, confidence_level: float) -> float:
    """Give a one-sided upper bound on a rate, exact for any sample size.

    Examples:
        >>> round(upper_bound(0, 59, confidence_level=0.95), 4)
        0.0495
    """
    return 1.0 - lower_bound(trials - misses, trials, confidence_level=confidence_level)


def interval(hits: int, trials: int, *, confidence_level: float) -> tuple[float, float]:
    """Give a two-sided interval for a rate, exact for any sample size.

    Source:
        Clopper and Pearson (1934).

    Examples:
        >>> low, high = interval(9, 10, confidence_level=0.95)
        >>> round(low, 3), round(high, 3)
        (0.555, 0.997)
    """
    side = 1 - (1 - confidence_level) / 2
    return (
        lower_bound(hits, trials, confidence_level=side),
        upper_bound(hits, trials, confidence_level=side),
    )


def zero_miss_rows(limit: float, *, confidence_level: float) -> int:
    """Give the fewest rows that can show a miss rate below the limit, if none of them misses.

    Args:
        limit: Largest miss rate allowed. Ratio in (0, 1).
        confidence_level: 1 - delta. Ratio in (0, 1).

    Returns:
        ceil(ln(delta) / ln(1 - limit)).

    Examples:
        >>> [zero_miss_rows(a, confidence_level=0.95) for a in (0.005, 0.01, 0.05)]
        [598, 299, 59]
    """
    if not 0 < limit < 1:
        msg = f"`limit` lies between 0 and 1; found {limit}"
        raise ValueError(msg)
    # Rounding first keeps 1 - 0.995 from asking for a row more than 0.005 does.
    return math.ceil(math.log(1 - confidence_level) / math.log(1 - round(limit, 12)))


def rows_needed(
    miss_rate: float, *, limit: float, confidence_level: float, most: int = 10_000_000
) -> int | None:
    """Give the fewest rows that show the limit when rows keep missing at `miss_rate`.

    Args:
        miss_rate: Rate at which rows are expected to miss. Ratio.
        limit: Largest miss rate allowed. Ratio.
        confidence_level: 1 - delta.
        most: Give up above this. Count.

    Returns:
        Rows, or None when no number below `most` is enough.

    Examples:
        >>> rows_needed(0.0, limit=0.05, confidence_level=0.95)
        59
        >>> rows_needed(0.06, limit=0.05, confidence_level=0.95) is None
        True
    """
    if miss_rate >= limit:
        return None
    low, high = 0, zero_miss_rows(limit, confidence_level=confidence_level)
    delta = 1 - confidence_level

    def shown(n: int) -> bool:
        return binomial_p_value(math.ceil(n * miss_rate), n, limit=limit) <= delta

    while not shown(high):
        low, high = high, high * 2
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def rows_for_power(
    miss_rate: float, *, limit: float, confidence_level: float, power: float = 0.8
) -> int | None:
    """Give the rows at which the limit will probably be shown, if rows miss at `miss_rate`.

    `rows_needed` says what is enough when exactly the expected number misses; luck makes that
    happen about half of the time. This is what to plan for.

    Args:
        miss_rate: True rate of misses. Ratio.
        limit: Largest miss rate allowed. Ratio.
        confidence_level: 1 - delta.
        power: Chance of success wanted. Ratio in (0, 1).

    Returns:
        The fewest rows from which on the chance stays at `power`, one allowed count of misses
        after the other; None when the rate is not below the limit.

    Examples:
        >>> rows_for_power(0.001, limit=0.005, confidence_level=0.95)
        1258
    """
    if not miss_rate < limit:
        return None
    delta = 1 - confidence_level
    for allowed in range(100_000):
        # The fewest rows that show the limit with this many misses: P(Bin(n, limit) <= k) <= delta.
        rows = _fewest(allowed, limit, delta)
        if float(bdtr(allowed, rows, miss_rate)) >= power:
            return rows
    return None


def _fewest(misses: int, limit: float, delta: float) -> int:
    low, high = misses, max(2 * misses, 2)
    while float(bdtr(misses, high, limit)) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        shown = float(bdtr(misses, middle, limit)) <= delta
        low, high = (low, middle) if shown else (middle, high)
    return high


def _check(count: int, trials: int) -> None:
    if trials < 0 or not 0 <= count <= trials:
        msg = f"a count lies between 0 and the trials; found {count} of {trials}"
        raise ValueError(msg)
