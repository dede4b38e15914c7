"""From a raw score to P(this answer is right): one case and many cases agree to the last bit."""

from __future__ import annotations

import bisect

import numpy as np

from feasible.schema.plan import Calibrator
from feasible.schema.profile import FloatArray

__all__ = ["calibrate", "calibrate_all"]


def calibrate(calibrator: Calibrator, score: float | None) -> float | None:
    """Turn one raw score into P(right); None when the calibrator needs a score and there is none.

    Examples:
        >>> rising = Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.5, 0.9), n=100)
        >>> calibrate(rising, 0.5), calibrate(rising, 2.0), calibrate(rising, None)
        (0.7, 0.9, None)
    """
    x, y = calibrator.x, calibrator.y
    if calibrator.method == "constant":
        return y[0]
    if score is None or score != score:  # noqa: PLR0124  NaN is the one value unequal to itself
        return None
    right = bisect.bisect_right(x, score)
    if right == 0:
        return y[0]
    if right == len(x):
        return y[-1]
    # Spelt as numpy.interp computes it, so that the array evaluator gives the same last bit; on a
    # point itself there is nothing to interpolate, and two points may lie too close for a slope.
    if score == x[right - 1]:
        return y[right - 1]
    slope = (y[right] - y[right - 1]) / (x[right] - x[right - 1])
    return slope * (score - x[right - 1]) + y[right - 1]


def calibrate_all(calibrator: Calibrator, scores: FloatArray) -> FloatArray:
    """Turn raw scores into P(right), shape kept; NaN where the score is NaN and one is needed."""
    if calibrator.method == "constant":
        return np.full(scores.shape, calibrator.y[0])
    out = np.interp(scores, calibrator.x, calibrator.y)
    return np.where(np.isnan(scores), np.nan, out)
