"""Several statements at once, and the same statement again and again: who may use how much delta.

Delta is the accepted chance that anything shown is false. It is a budget: what one statement
spends, another lacks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["bonferroni_split", "delta_at", "holm_adjusted", "holm_shown"]


def bonferroni_split(delta: float, shares: Sequence[float]) -> tuple[float, ...]:
    """Divide delta between statements in proportion to their shares.

    Statements that are each tested at their part are together wrong with a chance of at most delta,
    however they depend on each other.

    Args:
        delta: Accepted chance that any statement is wrong. Ratio in (0, 1).
        shares: One per statement, > 0; equal ones for an equal split.

    Source:
        Bonferroni's inequality.

    Examples:
        >>> bonferroni_split(0.05, [1, 1, 2])
        (0.0125, 0.0125, 0.025)
    """
    if not shares or min(shares) <= 0:
        msg = f"`shares` are at least one positive number; found {list(shares)}"
        raise ValueError(msg)
    total = sum(shares)
    return tuple(delta * share / total for share in shares)


def holm_shown(p_values: Sequence[float], *, delta: float) -> tuple[bool, ...]:
    """Say which of several statements are shown, so that all shown ones hold but for delta.

    From the smallest p-value upwards, each is compared with delta over the number of statements not
    yet shown, until one fails. Shows all that an equal split shows, and more.

    Args:
        p_values: One per statement, however they depend on each other. Ratios.
        delta: Accepted chance that any statement shown is wrong.

    Source:
        Holm (1979), Scandinavian Journal of Statistics 6(2).

    Examples:
        >>> holm_shown([0.01, 0.04, 0.03, 0.005], delta=0.05)
        (True, False, False, True)
    """
    return tuple(bool(p <= delta) for p in holm_adjusted(p_values))


def holm_adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Give for each statement the smallest delta at which `holm_shown` shows it.

    Examples:
        >>> holm_adjusted([0.01, 0.04, 0.03, 0.005])
        (0.03, 0.06, 0.06, 0.02)
    """
    p: npt.NDArray[np.float64] = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    left = np.arange(len(p), 0, -1)
    out = np.empty(len(p))
    out[order] = np.minimum(1.0, np.maximum.accumulate(left * p[order]))
    return tuple(float(value) for value in out)


def delta_at(look: int, *, delta: float) -> float:
    """Give the part of delta that the t-th certificate over time may spend.

    However long one goes on, all looks together spend delta: the parts 6 delta / (pi^2 t^2) add up
    to it. A look at new rows and a look again at old ones count alike. For a statement that is
    looked at after every row, `evidence_so_far` costs less.

    Args:
        look: Which look it is, from 1.
        delta: Accepted chance that any of them, ever, is wrong.

    Source:
        Union bound with the Basel series, sum of 1 / t^2 = pi^2 / 6.

    Examples:
        >>> [round(delta_at(t, delta=0.05), 5) for t in (1, 2, 12)]
        [0.0304, 0.0076, 0.00021]
    """
    if look < 1:
        msg = f"`look` counts from 1; found {look}"
        raise ValueError(msg)
    return 6 * delta / (math.pi**2 * look**2)
