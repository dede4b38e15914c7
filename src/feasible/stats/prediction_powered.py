"""Few labels and many predictions of the loss: a bound that good predictions tighten.

The mean loss is the mean of (loss - prediction) over labelled rows plus the mean prediction over
all rows, whatever the predictions are. Good ones leave little to be learnt from labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feasible.stats.bounded import mean_interval
from feasible.stats.inversion import smallest_shown

__all__ = ["prediction_powered_p_value", "prediction_powered_upper_bound"]

_MOST_BET: Final = 0.95
"""Share of the capital that one row may lose at most; below 1, so that capital stays positive."""
_PILOT: Final = 0.1
"""Share of the unlabelled rows that say roughly where the mean prediction lies."""
_PILOT_DELTA: Final = 0.05
"""Share of delta spent on that."""


def prediction_powered_p_value(
    losses: npt.NDArray[np.float64],
    *,
    predicted: npt.NDArray[np.float64],
    unlabelled: npt.NDArray[np.float64],
    limit: float,
    delta: float = 0.05,
) -> float:
    """Give a p-value for "the mean loss is at least the limit", from labels and predictions.

    Valid whatever the predictions are, as long as no label of these rows made them. How much weight
    they get is learnt from the labelled rows one after the other: useless ones get none.

    Labelled rows must be a fair sample of all rows. Where somebody chose whom to label, use
    `audited_p_value`.

    Args:
        losses: shape (n,), in [0, 1], of the labelled rows, in an order that does not depend on
            them.
        predicted: shape (n,), in [0, 1]. Predicted losses of the same rows.
        unlabelled: shape (m,), in [0, 1]. Predicted losses of other rows of the same kind. Below
            2 n or so they are of little use, and below 1.2 n of none.
        limit: Largest mean loss allowed. Ratio.
        delta: Level that the bets are tuned for; the p-value is valid for every level. A twentieth
            of it is spent on a pilot, and no p-value is smaller than that.

    Returns:
        A twentieth of delta + 1 / largest capital, at most 1. Ratio.

    Raises:
        ValueError: A value lies outside 0 to 1, or losses and predictions differ in number.

    Source:
        Einbinder, Ringel and Romano (2024), arXiv 2412.11174, who test the risk by betting on
        losses corrected by predictions; the weight of the predictions as in Angelopoulos, Duchi and
        Zrnic (2023), arXiv 2311.01453. Labelled and unlabelled rows are bet on side by side, so
        that a stake is limited by the largest loss and not by that plus the largest prediction.

    Examples:
        >>> doubt = np.tile([0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1], 40)
        >>> prediction_powered_p_value(
        ...     np.round(doubt), predicted=doubt, unlabelled=np.tile(doubt, 25), limit=0.12
        ... ) < 0.05
        True
    """
    _check(losses, predicted, unlabelled)
    if not len(losses):
        return 1.0
    spent = _PILOT_DELTA * delta
    bets = _bets(losses, predicted, unlabelled, delta)
    return min(1.0, spent + bets.p_value(limit))


def prediction_powered_upper_bound(
    losses: npt.NDArray[np.float64],
    *,
    predicted: npt.NDArray[np.float64],
    unlabelled: npt.NDArray[np.float64],
    confidence_level: float,
) -> float:
    """Give a one-sided upper bound on the mean loss, by inverting the test above.

    Returns:
        The bound. Ratio, 0 to 1.

    Examples:
        >>> doubt = np.tile([0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1], 40)
        >>> bound = prediction_powered_upper_bound(
        ...     np.round(doubt),
        ...     predicted=doubt,
        ...     unlabelled=np.tile(doubt, 25),
        ...     confidence_level=0.95,
        ... )
        >>> 0.1 < bound < 0.12
        True
    """
    _check(losses, predicted, unlabelled)
    if not len(losses):
        return 1.0
    delta = 1 - confidence_level
    bets = _bets(losses, predicted, unlabelled, delta)
    return smallest_shown(bets.p_value, low=0.0, delta=delta * (1 - _PILOT_DELTA))


@dataclass(frozen=True, slots=True)
class _Bets:
    """What is bet on each labelled row and its share of the unlabelled ones.

    For a mean prediction `a`, a row's capital changes by
    1 + stake (limit - loss + trust (predicted - a)), and its unlabelled rows' by
    1 + stake trust (a - their mean). At the true `a` neither is expected to grow if the promise is
    broken. The logarithm of both together is concave in `a`, so that over the range of the pilot it
    is least at an end; what is least over the range is at most what it is at the true `a`.
    """

    losses: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    trust: npt.NDArray[np.float64]
    stake: npt.NDArray[np.float64]
    batch: npt.NDArray[np.float64]
    ends: tuple[float, float]

    def p_value(self, limit: float) -> float:
        """Give 1 / largest capital; it falls as the limit rises: no stake depends on it."""
        below, above = (self._capital(limit, end) for end in self.ends)
        return math.exp(-max(0.0, float(np.minimum(below, above).max())))

    def _capital(self, limit: float, mean: float) -> npt.NDArray[np.float64]:
        labelled = limit - self.losses + self.trust * (self.predicted - mean)
        others = self.trust * (mean - self.batch)
        return np.cumsum(np.log1p(self.stake * labelled) + np.log1p(self.stake * others))


def _bets(
    losses: npt.NDArray[np.float64],
    predicted: npt.NDArray[np.float64],
    unlabelled: npt.NDArray[np.float64],
    delta: float,
) -> _Bets:
    """Choose trust and stake for each row from the pilot and the rows before it alone."""
    n = len(losses)
    pilot, rest = np.split(unlabelled, [math.ceil(_PILOT * len(unlabelled))])
    size = len(rest) // n
    if not size:
        pilot, rest, size = np.zeros(1), np.zeros(n), 1
        predicted = np.zeros(n)
    batch = rest[: size * n].reshape(n, size).mean(axis=1)
    ends = mean_interval(pilot, cap=1.0, confidence_level=1 - _PILOT_DELTA * delta)
    centre, spread = float(pilot.mean()), float(pilot.var())
    trust = _trust(losses, predicted - centre, spread * (1 + 1 / size))
    corrected = losses - trust * (predicted - batch)
    count = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(corrected)) / (count + 1)
    seen = (0.25 + np.cumsum((corrected - mean) ** 2)) / (count + 1)
    before = np.concatenate(([0.25], seen[:-1]))
    level = delta * (1 - _PILOT_DELTA)
    stake = np.sqrt(2 * math.log(1 / level) / (n * before))
    # A row loses most with a loss of 1 that was predicted to be 0, or a batch that is all ones.
    most = _MOST_BET / (1 + trust * ends[1])
    return _Bets(losses, predicted, trust, np.minimum(stake, most), batch, ends)


def _trust(
    losses: npt.NDArray[np.float64], excess: npt.NDArray[np.float64], spread: float
) -> npt.NDArray[np.float64]:
    """Give the weight of each row's prediction: the slope of losses on it so far, 0 to 1."""
    count = np.arange(1, len(losses) + 1)
    together = np.cumsum(losses * excess) / (count + 1)
    slope = np.clip(together / max(spread, 1e-12), 0.0, 1.0)
    return np.concatenate(([0.0], slope[:-1]))


def _check(
    losses: npt.NDArray[np.float64],
    predicted: npt.NDArray[np.float64],
    unlabelled: npt.NDArray[np.float64],
) -> None:
    if len(losses) != len(predicted):
        msg = f"every loss has a prediction; found {len(losses)} and {len(predicted)}"
        raise ValueError(msg)
    named = {"losses": losses, "predicted": predicted, "unlabelled": unlabelled}
    for name, values in named.items():
        if not bool(((values >= 0) & (values <= 1)).all()):
            msg = f"`{name}` lies between 0 and 1; found {values.min():g} to {values.max():g}"
            raise ValueError(msg)
