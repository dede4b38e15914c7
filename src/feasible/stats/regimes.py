"""Rates that may change on any day: gamma-Poisson regimes, and what is believed of each day's rate.

Events of a day are Poisson with an exposure times a rate. A rate stays for a regime of unknown
length, then another regime begins. The posterior over all ways to cut the days into regimes is
exact and needs no search: within a regime the gamma prior gives the likelihood in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, logsumexp, softmax

__all__ = ["GammaPrior", "RegimeDraws", "draw_regimes"]

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GammaPrior:
    """What is believed of a rate before its events are seen.

    Attributes:
        shape: The smaller, the less is believed. shape (n_strata,), or one for all, > 0.
        mean: shape (n_strata,), or one for all, > 0.
    """

    shape: _Floats | float
    mean: _Floats | float


@dataclass(frozen=True, slots=True)
class RegimeDraws:
    """Draws from what is believed of the rates.

    Attributes:
        rate: shape (n_draws, tail, n_strata). Of each of the last days.
        began: shape (n_draws, n_strata). Day on which the latest regime began; 0 where it is the
            first.
        began_chance: shape (n_strata, n_days). Chance that the latest regime began on that day.
    """

    rate: _Floats
    began: _Ints
    began_chance: _Floats


def draw_regimes(
    events: _Floats,
    exposure: _Floats,
    *,
    first: GammaPrior,
    later: GammaPrior,
    hazard: float,
    tail: int,
    draws: int,
    rng: np.random.Generator,
) -> RegimeDraws:
    """Draw the rate of each of the last days, with regimes of unknown number and length.

    Args:
        events: shape (n_days, n_strata). Events of each day that are known.
        exposure: shape (n_days, n_strata). Events that a rate of 1 would have shown by now, >= 0.
        first: Prior of the rates on the first day.
        later: Prior of the rates of a regime that begins later.
        hazard: Chance that a new regime begins on a day, in one stratum. Ratio in (0, 1).
        tail: Last days whose rates are drawn. Count, <= n_days.
        draws: Count.
        rng: Where the luck comes from.

    Source:
        Fearnhead (2006), Statistics and Computing 16, for the recursions over change-points.
    """
    n_days, n_strata = events.shape
    seen = _Sums(
        np.vstack([np.zeros(n_strata), np.cumsum(events, axis=0)]).T,
        np.vstack([np.zeros(n_strata), np.cumsum(exposure, axis=0)]).T,
    )
    fits = _fits(seen, first, later)
    days = np.arange(n_days + 1)
    length = days[None, :] - days[:, None]
    fits += np.where(length > 0, (length - 1) * math.log1p(-hazard), -np.inf)
    starts = np.full((n_strata, n_days), -np.inf)
    starts[:, 0] = 0.0
    for day in range(1, n_days):
        into = starts[:, :day] + fits[:, :day, day]
        starts[:, day] = logsumexp(into, axis=1) + math.log(hazard)
    chance = softmax(starts + fits[:, :n_days, n_days], axis=1)
    rate = np.empty((draws, tail, n_strata))
    began = np.empty((draws, n_strata), dtype=np.int64)
    for k in range(n_strata):
        ends = np.full(draws, n_days)
        open_draws = np.arange(draws)
        while len(open_draws):
            begins = _begins(starts[k], fits[k], ends, rng)
            if len(open_draws) == draws and ends.min() == n_days:
                began[:, k] = begins
            shape, scale = _posterior(seen, begins, ends, k, first, later)
            drawn = rng.gamma(shape, 1 / scale)
            at = np.arange(n_days - tail, n_days)
            inside = (at >= begins[:, None]) & (at < ends[:, None])
            part = rate[open_draws, :, k]
            rate[open_draws, :, k] = np.where(inside, drawn[:, None], part)
            going_on = begins > n_days - tail
            open_draws, ends = open_draws[going_on], begins[going_on]
    return RegimeDraws(rate, began, chance)


class _Sums(NamedTuple):
    """Events and exposures before each day: shape (n_strata, n_days + 1)."""

    events: _Floats
    exposure: _Floats


def _fits(seen: _Sums, first: GammaPrior, later: GammaPrior) -> _Floats:
    """Give the log likelihood of every segment, shape (n_strata, n_days + 1, n_days + 1).

    A segment goes from the day of its row up to before the day of its column.
    """
    n = seen.events[:, None, :] - seen.events[:, :, None]
    e = seen.exposure[:, None, :] - seen.exposure[:, :, None]
    out = _log_marginal(np.maximum(n, 0.0), np.maximum(e, 0.0), later)
    out[:, 0, :] = _log_marginal(n[:, :1, :], e[:, :1, :], first)[:, 0, :]
    return out


def _log_marginal(n: _Floats, e: _Floats, prior: GammaPrior) -> _Floats:
    """Give the log likelihood of events, but for what does not depend on the segments."""
    shape = np.reshape(prior.shape, (-1, 1, 1))
    scale = shape / np.reshape(prior.mean, (-1, 1, 1))
    out: _Floats = gammaln(shape + n) - gammaln(shape)
    out += shape * np.log(scale) - (shape + n) * np.log(scale + e)
    return out


def _begins(starts: _Floats, fits: _Floats, ends: _Ints, rng: np.random.Generator) -> _Ints:
    """Draw for each end of a regime the day on which it began."""
    out = np.empty(len(ends), dtype=np.int64)
    for end in np.unique(ends):
        rows = np.flatnonzero(ends == end)
        weights = np.cumsum(softmax(starts[:end] + fits[:end, end]))
        drawn = np.searchsorted(weights, rng.random(len(rows)) * weights[-1], side="right")
        out[rows] = np.minimum(drawn, end - 1)
    return out


def _posterior(
    seen: _Sums, begins: _Ints, ends: _Ints, k: int, first: GammaPrior, later: GammaPrior
) -> tuple[_Floats, _Floats]:
    """Give shape and rate of the gamma posterior of each regime."""
    a = np.where(begins == 0, _of(first.shape, k), _of(later.shape, k))
    mean = np.where(begins == 0, _of(first.mean, k), _of(later.mean, k))
    n = seen.events[k, ends] - seen.events[k, begins]
    e = seen.exposure[k, ends] - seen.exposure[k, begins]
    return a + n, a / mean + e


def _of(value: _Floats | float, k: int) -> float:
    found = np.atleast_1d(value)
    return float(found[k if len(found) > 1 else 0])
