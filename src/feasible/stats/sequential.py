"""Evidence that may be looked at after every row, for as long as one likes.

A p-value is for one look. Here a gambler's capital is the evidence: if the promise is broken no
strategy is expected to gain, and capital ever reaches 1 / delta with a chance of at most delta. So
one may look at any time, stop when it is enough, and go on when it is not.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from feasible.stats.inversion import smallest_shown

__all__ = ["any_time_upper_bound", "evidence_so_far"]

_STAKES: Final = 0.5 ** np.arange(10)
"""Shares of the capital that a loss of 1 costs: one gambler each, from all of it to 1 in 512."""
_SHARES: Final = 1.0 / (np.arange(1, 11) * np.arange(2, 12)) / (1 - 1 / 11)
"""What each gambler starts with: 55 % bets everything, which is best while nothing misses."""


def evidence_so_far(losses: npt.NDArray[np.float64], *, limit: float) -> npt.NDArray[np.float64]:
    """Give the evidence that the mean loss is below the limit, after every row.

    Ten gamblers with fixed stakes share the capital; what they have together is near what the best
    of them has. Neither the number of rows to come nor a level has to be known beforehand.

    Evidence of 3.0 (the logarithm of 20) at any time shows the promise at 95 %. Evidence from
    independent sources of rows adds up. For evidence that a promise is *broken*, pass 1 - losses
    and 1 - limit.

    Args:
        losses: shape (n,), in [0, 1], in the order in which they became known. The mean of each,
            given those before, must be at or above the limit if the promise is broken.
        limit: Largest mean allowed. Ratio in (0, 1).

    Returns:
        shape (n,). Natural logarithm of the capital; it starts at 0 before the first row, and is
        below 0 where rows speak against the promise.

    Source:
        Ville (1939) for the inequality; Waudby-Smith and Ramdas (2024), JRSS B 86(1), for bets on a
        bounded mean; a mixture of fixed stakes as in Cover (1991), Mathematical Finance 1(1).

    Examples:
        >>> evidence = evidence_so_far(np.zeros(100), limit=0.05)
        >>> int(np.argmax(evidence >= np.log(20))) + 1
        69
    """
    if not 0 < limit < 1:
        msg = f"`limit` lies between 0 and 1; found {limit}"
        raise ValueError(msg)
    gain = (limit - losses) / (1 - limit)
    out = np.full(len(losses), -np.inf)
    # The gambler who bets everything is out after a loss of 1: his logarithm is minus infinity.
    with np.errstate(divide="ignore"):
        for stake, share in zip(_STAKES, _SHARES, strict=True):
            out = np.logaddexp(out, math.log(share) + np.cumsum(np.log1p(stake * gain)))
    return out


def any_time_upper_bound(losses: npt.NDArray[np.float64], *, confidence_level: float) -> float:
    """Give an upper bound on a mean loss that holds at all looks together, however many.

    The bounds after 1, 2, 3 ... rows are all above the true mean, but for one chance in
    1 / (1 - confidence_level) that any of them ever is not.

    Args:
        losses: shape (n,), in [0, 1], all so far, in the order in which they became known.
        confidence_level: Chance that no bound is ever below the true mean.

    Returns:
        The bound. Ratio, 0 to 1.

    Examples:
        >>> round(any_time_upper_bound(np.zeros(500), confidence_level=0.95), 4)
        0.007
    """
    delta = 1 - confidence_level
    if not len(losses):
        return 1.0
    return smallest_shown(
        lambda limit: math.exp(-max(0.0, float(evidence_so_far(losses, limit=limit).max()))),
        low=1e-12,
        delta=delta,
    )
