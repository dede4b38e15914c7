"""An alarm with a declared rate of false ones: evidence that a mean loss is above its limit.

The Shiryaev-Roberts e-detector starts a gambler at every step. Together, as long as the limit
holds, they are expected to have no more than there were steps. So an alarm at a capital of
1 / alpha comes on average after 1 / alpha steps or later while nothing is wrong, whatever the
losses look like; and by step n with a chance of at most n x alpha.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Detector", "first_alarms"]

_Floats = npt.NDArray[np.float64]
_TIMES: Final = np.array([1.2, 1.5, 2.0, 3.0])
"""Alternatives: so many times the limit."""


class Detector:
    """Watches losses one after the other, in the order in which they became known.

    Args:
        limit: Largest mean loss that is allowed. Ratio in (0, 1).
        alpha: False alarms a step that are declared: the mean time to one is 1 / alpha or more.

    Attributes:
        since: Losses between the likeliest beginning of what the latest alarm is about and that
            alarm, both included; None before the first.

    Source:
        Shin, Ramdas and Rinaldo (2023), E-detectors, arXiv 2203.03532; the beginning is that of the
        largest of the CUSUMs of the same stakes, Page (1954).

    Examples:
        >>> detector = Detector(0.05, alpha=1e-6)
        >>> any(detector.add(0.0) for _ in range(10_000))
        False
        >>> any(detector.add(1.0) for _ in range(20)), detector.since
        (True, 12)
    """

    def __init__(self, limit: float, *, alpha: float) -> None:
        if not 0 < limit < 1 or not 0 < alpha < 1:
            msg = f"limit and alpha lie between 0 and 1; found {limit} and {alpha}"
            raise ValueError(msg)
        self._stakes = _stakes(limit).tolist()
        self._limit = limit
        self._capital = [0.0] * len(self._stakes)
        self._risen = [0.0] * len(self._stakes)  # logarithms of the CUSUMs
        self._steps = [0] * len(self._stakes)  # since each of them rose from nothing
        self._at = 1.0 / alpha
        self.since: int | None = None

    @property
    def capital(self) -> float:
        """Give the evidence by now."""
        return math.fsum(self._capital) / len(self._capital)

    def add(self, loss: float) -> bool:
        """Take in a loss from 0 to 1; True for an alarm, after which it starts anew."""
        gain = loss - self._limit
        self._capital = [
            (capital + 1.0) * (1.0 + stake * gain)
            for capital, stake in zip(self._capital, self._stakes, strict=True)
        ]
        for i, stake in enumerate(self._stakes):
            self._steps[i] = self._steps[i] + 1 if self._risen[i] > 0 else 1
            self._risen[i] = max(self._risen[i], 0.0) + math.log1p(stake * gain)
        if self.capital < self._at:
            return False
        self.since = self._steps[self._risen.index(max(self._risen))]
        self._capital = [0.0] * len(self._stakes)
        self._risen = [0.0] * len(self._stakes)
        return True


def first_alarms(losses: _Floats, limit: float, *, alpha: float) -> npt.NDArray[np.int64]:
    """Give for each of many streams the step of its first alarm, -1 where there is none.

    Args:
        losses: shape (n_streams, n_steps), in [0, 1].
        limit: Largest mean loss that is allowed. Ratio in (0, 1).
        alpha: False alarms a step that are declared.

    Examples:
        >>> first_alarms(np.ones((1, 20)), 0.05, alpha=1e-6)
        array([13])
    """
    stakes = _stakes(limit)
    capital = np.zeros((len(losses), len(stakes)))
    first = np.full(len(losses), -1)
    with np.errstate(over="ignore"):
        for step, column in enumerate(np.ascontiguousarray(losses.T) - limit):
            capital = (capital + 1.0) * (1.0 + stakes * column[:, None])
            found = (capital.mean(axis=1) >= 1.0 / alpha) & (first < 0)
            first[found] = step
            if found.any() and (first >= 0).all():
                break
    return first


def _stakes(limit: float) -> _Floats:
    """Give the stakes of the gamblers, each best against one alternative.

    A stake b makes 1 + b (loss - limit) of a capital: of mean 1 at the limit for any loss from 0
    to 1; for a loss of 0 or 1 this is the likelihood ratio of the alternative.
    """
    means = np.minimum(_TIMES * limit, (1.0 + limit) / 2)
    return (means - limit) / (limit * (1.0 - limit))
