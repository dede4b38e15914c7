"""How long labels take, from those that have arrived, when the late ones cannot have been seen yet.

What is known at a time is cut off on the right: of a decision of yesterday only a delay of a day
can have been seen. Going backwards through the delays takes that into account: of the labels that
came within a lag, which share came in its last step, among decisions old enough to tell.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr

__all__ = ["arrived_share"]

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


def arrived_share(lags: _Ints, ages: _Ints, *, longest: int) -> _Floats:
    """Estimate the share of labels that has arrived by the end of each lag.

    The shape comes from the reverse hazard (Kaplan-Meier with time reversed), which assumes nothing
    of it. How much is still to come after the oldest age that was seen cannot be known from
    arrivals alone: a lognormal tail that fits the arrivals says it.

    Args:
        lags: shape (n,). Steps from each decision to its label, of those that have arrived, >= 0.
        ages: shape (n,). Steps from the same decisions to now: the longest lag that could have been
            seen of it, >= lags.
        longest: Lags that are asked for. Count.

    Returns:
        shape (longest,). Never falls; ratio, 0 to 1.

    Source:
        Lagakos, Barraj and De Gruttola (1988), Biometrika 75(3), for right-truncated delays.

    Examples:
        >>> lags = np.array([0, 0, 1, 1, 2, 0])
        >>> ages = np.array([2, 2, 2, 2, 2, 0])
        >>> share = arrived_share(lags, ages, longest=3)
        >>> bool(np.all(np.diff(share) >= 0))
        True
    """
    if not len(lags):
        msg = "a delay distribution needs at least one label that has arrived"
        raise ValueError(msg)
    top = int(ages.max())
    # came[lag]: labels of that lag. within[lag]: of a lag up to it, of an age at which it shows.
    came = np.bincount(lags, minlength=top + 1).astype(np.float64)
    younger = np.concatenate([[0.0], np.cumsum(np.bincount(ages, minlength=top + 1))[:-1]])
    within = np.cumsum(came) - younger
    step = np.where(within > 0, 1.0 - came / np.maximum(within, 1.0), 1.0)
    share = np.ones(top + 1)
    share[:-1] = np.cumprod(step[:0:-1])[::-1]
    share *= _tail(lags, ages, top)
    out = np.full(longest, share[-1])
    out[: min(longest, top + 1)] = share[:longest]
    return out


def _tail(lags: _Ints, ages: _Ints, top: int) -> float:
    """Give the share that comes by the oldest age, by a lognormal fitted to what has arrived."""
    many = np.bincount(lags).astype(np.float64)
    seen = np.flatnonzero(many)
    low = np.log(np.maximum(seen - 0.5, 0.05))
    high = np.log(seen + 0.5)
    cut = np.bincount(ages).astype(np.float64)
    end = np.log(np.arange(len(cut)) + 0.5)

    def misfit(at: _Floats) -> float:
        middle, spread = at[0], np.exp(at[1])
        a, b = log_ndtr((high - middle) / spread), log_ndtr((low - middle) / spread)
        inside = a + np.log(-np.expm1(np.minimum(b - a, -1e-12)))
        return float(cut @ log_ndtr((end - middle) / spread) - many[seen] @ inside)

    start = np.array([np.log(np.median(lags) + 0.5), -0.3])
    found = minimize(misfit, start, method="Nelder-Mead", options={"maxiter": 80, "fatol": 0.1})
    middle, spread = found.x[0], np.exp(found.x[1])
    return float(ndtr((np.log(top + 0.5) - middle) / spread))
