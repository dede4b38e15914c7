"""P(an answer is right) from all that was heard so far, for one case and for many at once.

Both evaluators add the same numbers in the same order and look logarithms and exponentials up in
one table, so that they agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import msgspec
import numpy as np

from feasible.cascade.calibrate import calibrate, calibrate_all
from feasible.schema.plan import Calibrator, Posterior
from feasible.schema.profile import BoolArray, FloatArray, IntArray

__all__ = [
    "Heard",
    "HeardAll",
    "gain",
    "log_odds_all",
    "logistic",
    "logistic_all",
    "posterior_all",
    "posterior_of",
    "term_of",
]

_MOST: Final = 8.0
"""Log odds beyond which an answer is no surer in practice."""
_Z: Final = np.linspace(-_MOST, _MOST, 321)
_P: Final = 1 / (1 + np.exp(-_Z))
_LOGISTIC: Final = Calibrator(method="platt", x=tuple(_Z.tolist()), y=tuple(_P.tolist()), n=0)
_LOG_ODDS: Final = Calibrator(method="platt", x=tuple(_P.tolist()), y=tuple(_Z.tolist()), n=0)


class Heard(msgspec.Struct, frozen=True):
    """What one tier said of one case.

    Attributes:
        value: Its answer.
        probability: Calibrated P(right) from its score alone; None when it has none.
    """

    value: str
    probability: float | None


@dataclass(frozen=True)
class HeardAll:
    """What one tier said of many cases.

    Attributes:
        answered: shape (n_rows,).
        value: shape (n_rows,). Index of the answer; -1 when unknown.
        probability: shape (n_rows,). Calibrated P(right) from its score alone; NaN without one.
    """

    answered: BoolArray
    value: IntArray
    probability: FloatArray

    @cached_property
    def log_odds(self) -> FloatArray:
        """Give the log odds of being right, 0 without a probability, shape (n_rows,)."""
        return np.nan_to_num(log_odds_all(self.probability))


def posterior_of(
    posterior: Posterior,
    own: Heard,
    group: str,
    earlier: Mapping[str, Heard],
) -> float | None:
    """Give P(right) of one answer; None when the tier's own probability is unknown.

    Args:
        posterior: The fitted model.
        own: What the tier said.
        group: Answer group of that.
        earlier: Tier -> what it said, of those that were asked before and answered.
    """
    if own.probability is None:
        return None
    z = posterior.offset
    for term, weight in zip(posterior.terms, posterior.weights, strict=True):
        z += weight * _value(term, own, group, earlier)
    return logistic(z)


def _value(term: str, own: Heard, group: str, earlier: Mapping[str, Heard]) -> float:
    kind, _, name = term.partition(":")
    if kind == "own":
        return calibrate(_LOG_ODDS, own.probability) or 0.0
    if kind == "group":
        return 1.0 if group == name else 0.0
    heard = earlier.get(name)
    if heard is None or (heard.value == own.value) != (kind in {"same", "for"}):
        return 0.0
    if kind in {"same", "other"}:
        return 1.0
    return calibrate(_LOG_ODDS, heard.probability) or 0.0


def posterior_all(
    posterior: Posterior,
    own: HeardAll,
    group: IntArray,
    groups: tuple[str, ...],
    earlier: Mapping[str, HeardAll],
) -> FloatArray:
    """Give P(right) of many answers at once, as `posterior_of` would give each.

    Args:
        posterior: The fitted model.
        own: What the tier said.
        group: shape (n_rows,). Index into `groups`.
        groups: Names of the tier's answer groups.
        earlier: Tier -> what it said.
    """
    z = np.full(len(own.value), posterior.offset)
    for term, weight in zip(posterior.terms, posterior.weights, strict=True):
        z += weight * term_of(term, own, group, groups, earlier)
    return np.where(np.isnan(own.probability), np.nan, logistic_all(z))


def term_of(
    term: str,
    own: HeardAll,
    group: IntArray,
    groups: tuple[str, ...],
    earlier: Mapping[str, HeardAll],
) -> FloatArray:
    """Give the value of one term for many answers, shape (n_rows,)."""
    kind, _, name = term.partition(":")
    if kind == "own":
        return own.log_odds
    if kind == "group":
        return np.asarray((np.array(groups, dtype=object) == name)[group].astype(np.float64))
    heard = earlier.get(name)
    if heard is None:
        return np.zeros(len(own.value))
    agrees = heard.value == own.value
    known = heard.answered & (heard.value >= 0) & (own.value >= 0)
    counts = known & (agrees if kind in {"same", "for"} else ~agrees)
    if kind in {"same", "other"}:
        return np.asarray(counts.astype(np.float64))
    return np.where(counts, heard.log_odds, 0.0)


def gain(own: float, rival: float) -> float:
    """Give how much surer an answer is than the next one would be, from 0 to 1.

    Source:
        Jitkrittum et al. (2023), arXiv 2307.02764: defer when the next tier is better by more than
        it costs; Chow (1970) for a next tier that is always right.
    """
    return (1.0 + own - rival) / 2.0


def logistic(z: float) -> float:
    """Turn log odds into a probability."""
    return calibrate(_LOGISTIC, z) or 0.0


def logistic_all(z: FloatArray) -> FloatArray:
    """Turn log odds into probabilities, shape kept."""
    return calibrate_all(_LOGISTIC, z)


def log_odds_all(probability: FloatArray) -> FloatArray:
    """Turn probabilities into log odds, shape kept; NaN stays."""
    return calibrate_all(_LOG_ODDS, probability)
