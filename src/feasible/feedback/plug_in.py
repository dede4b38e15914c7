"""Figures from probabilities alone, with what they assume printed beside them.

A sum of calibrated probabilities is an estimate of a count. It is right for as long as a score
means what it meant when it was calibrated, and cannot see anything that the model cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from feasible.schema import BoolArray, FloatArray

__all__ = ["ASSUMES", "PlugIn", "PlugInFigures"]

ASSUMES: Final = (
    "valid if P(truth | score) is what it was in the mature cohort; cannot see new patterns"
)
_ENOUGH: Final = 1000
"""Positives from which on a free monotone curve is fitted; a sigmoid below."""
_GRID: Final = 4096


@dataclass(frozen=True, slots=True)
class PlugInFigures:
    """Estimates of each chunk of rows, each of shape (n_chunks,); NaN where it is not defined.

    Attributes:
        recall: Share of the positives that was acted on.
        precision: Share of what was acted on that is positive.
        f1: Their harmonic mean.
        accuracy: Share of answers that are right.
        auc: Chance that a positive scores above a negative.
        assumes: What has to be true for all of it.
    """

    recall: FloatArray
    precision: FloatArray
    f1: FloatArray
    accuracy: FloatArray
    auc: FloatArray
    assumes: str = ASSUMES


class PlugIn:
    """Calibrated on rows whose truth is known; then estimates without labels.

    Args:
        score: shape (n,), 0 to 1. Of the latest mature cohort.
        truth: shape (n,).
        act_at: Score from which on the answer is positive.

    Raises:
        ValueError: All rows of the cohort have one truth: nothing can be calibrated on them.
    """

    def __init__(self, score: FloatArray, truth: BoolArray, *, act_at: float) -> None:
        positives = int(truth.sum())
        if positives in {0, len(truth)}:
            msg = f"a cohort has rows of both truths; found {positives} of {len(truth)} positive"
            raise ValueError(msg)
        self._act_at = act_at
        grid = (np.arange(_GRID) + 0.5) / _GRID
        if positives >= _ENOUGH:
            curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
            self._p: FloatArray = curve.fit(score, truth).predict(grid)
        else:
            sigmoid = LogisticRegression().fit(_logit(score)[:, None], truth)
            self._p = sigmoid.predict_proba(_logit(grid)[:, None])[:, 1]

    def figures(self, score: FloatArray, *, chunk: int) -> PlugInFigures:
        """Estimate the figures of each chunk of rows; the last one may be shorter.

        Args:
            score: shape (n,), 0 to 1, in time order.
            chunk: Rows of a chunk. Count.
        """
        n_chunks = -(-len(score) // chunk)
        cells = np.minimum(score * _GRID, _GRID - 1).astype(np.int32)
        cells += (np.arange(len(score), dtype=np.int32) // np.int32(chunk)) * np.int32(_GRID)
        counts = np.bincount(cells, minlength=n_chunks * _GRID).reshape(n_chunks, _GRID)
        cut = round(self._act_at * _GRID)
        positive = counts * self._p
        negative = counts - positive
        every, none = positive.sum(axis=1), negative.sum(axis=1)
        caught = positive[:, cut:].sum(axis=1)
        acted = counts[:, cut:].sum(axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return PlugInFigures(
                recall=caught / every,
                precision=caught / acted,
                f1=2 * caught / (acted + every),
                accuracy=(caught + none - (acted - caught)) / (every + none),
                auc=(positive * below).sum(axis=1) / (every * none),
            )


def _logit(score: FloatArray) -> FloatArray:
    inside = np.clip(score, 1e-6, 1 - 1e-6)
    out: FloatArray = np.log(inside / (1 - inside))
    return out
