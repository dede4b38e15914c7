"""When requests come: Poisson, by the day, in bursts, with spikes, or as they came once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from feasible.schema import FloatArray

__all__ = ["Arrivals", "Spike", "arrival_times", "replayed"]

_DAY_S: Final = 86_400.0

RateAt: TypeAlias = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class Spike:
    """A stretch of time in which a multiple of the usual load comes."""

    start_s: float
    end_s: float
    multiple: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How requests come.

    Attributes:
        rate_per_s: Mean arrivals outside of spikes.
        kind: `poisson`; `diurnal`: the rate follows a sine over `period_s`; `bursty`: it changes
            between calm and burst at random (MMPP); `waves`: a burst at even intervals; `trace`: as
            in `trace_s`.
        peak: Peak over mean, for `diurnal`, `bursty` and `waves`.
        period_s: Length of a day, for `diurnal`. Seconds.
        burst_share: Share of the time that is burst, for `bursty` and `waves`.
        burst_s: Length of a burst, its mean for `bursty`. Seconds.
        spikes: Stretches with more load, on top of any kind.
        trace_s: Times of a recorded stretch of traffic, rising, from 0. Seconds.
    """

    rate_per_s: float
    kind: Literal["poisson", "diurnal", "bursty", "waves", "trace"] = "poisson"
    peak: float = 2.0
    period_s: float = _DAY_S
    burst_share: float = 0.1
    burst_s: float = 10.0
    spikes: tuple[Spike, ...] = ()
    trace_s: tuple[float, ...] = ()


def arrival_times(arrivals: Arrivals, n: int, rng: np.random.Generator) -> FloatArray:
    """Give the first n times at which requests come, rising, shape (n,). Seconds.

    A rate that changes is exact by thinning: candidates come at the highest rate, and each stays
    with the share that the rate of its moment is of the highest.

    Args:
        arrivals: How they come.
        n: Requests.
        rng: Where luck comes from.
    """
    if arrivals.kind == "poisson" and not arrivals.spikes:
        return np.cumsum(rng.standard_exponential(n)) / arrivals.rate_per_s
    if arrivals.kind == "trace":
        return replayed(np.asarray(arrivals.trace_s), arrivals.rate_per_s, n, rng)
    highest = _usual_peak(arrivals) * max([1.0, *(spike.multiple for spike in arrivals.spikes)])
    kept: list[FloatArray] = []
    rate_at, last, have = _rate(arrivals, rng), 0.0, 0
    while have < n:
        gaps = rng.standard_exponential(2 * n) / (arrivals.rate_per_s * highest)
        times = last + np.cumsum(gaps)
        last = float(times[-1])
        stays = rng.random(len(times)) * arrivals.rate_per_s * highest < rate_at(times)
        kept.append(times[stays])
        have += int(stays.sum())
    return np.concatenate(kept)[:n]


def replayed(
    trace_s: FloatArray, rate_per_s: float, n: int, rng: np.random.Generator
) -> FloatArray:
    """Give n times from a recorded trace at another mean rate, its burstiness kept.

    Less traffic is the trace thinned, more is several shifted copies of it laid over each other;
    gaps are never shrunk. It begins anywhere, and a trace that is too short begins again.

    Args:
        trace_s: Recorded times, rising, shape (m,). Seconds.
        rate_per_s: Mean rate wanted.
        n: Times wanted.
        rng: Where luck comes from.
    """
    length = float(trace_s[-1] - trace_s[0]) * len(trace_s) / max(len(trace_s) - 1, 1)
    times = trace_s - trace_s[0]
    share = rate_per_s * length / len(times)
    copies, rest = int(share), share - int(share)
    shifts = rng.random(copies + 1) * length
    out: list[FloatArray] = []
    have, lap = 0, 0
    while have < n:
        parts = [(times + shift) % length for shift in shifts[:copies]]
        if rest:
            thinned = times[rng.random(len(times)) < rest]
            parts.append((thinned + shifts[copies]) % length)
        laid = np.sort(np.concatenate(parts)) + lap * length
        out.append(laid)
        have, lap = have + len(laid), lap + 1
    return np.concatenate(out)[:n]


def _usual_peak(arrivals: Arrivals) -> float:
    return 1.0 if arrivals.kind == "poisson" else arrivals.peak


def _rate(arrivals: Arrivals, rng: np.random.Generator) -> RateAt:
    """Give the rate at any time. Per second."""
    usual = _usual_rate(arrivals, rng)

    def rate_at(times: FloatArray) -> FloatArray:
        rate = usual(times)
        for spike in arrivals.spikes:
            during = (times >= spike.start_s) & (times < spike.end_s)
            rate = np.where(during, rate * spike.multiple, rate)
        return rate

    return rate_at


def _usual_rate(arrivals: Arrivals, rng: np.random.Generator) -> RateAt:
    mean, peak = arrivals.rate_per_s, arrivals.peak
    if arrivals.kind == "diurnal":
        swing = min(peak - 1.0, 1.0)
        turn = 2 * np.pi / arrivals.period_s
        return lambda times: np.asarray(mean * (1 + swing * np.sin(turn * times)))
    if arrivals.kind == "bursty":
        return _BurstyRate(arrivals, rng)
    if arrivals.kind == "waves":
        calm, high = _calm_and_high(arrivals)
        cycle = arrivals.burst_s / arrivals.burst_share
        return lambda times: np.where(times % cycle >= cycle - arrivals.burst_s, high, calm)
    return lambda times: np.full(times.shape, mean)


def _calm_and_high(arrivals: Arrivals) -> tuple[float, float]:
    """Give the rates outside and inside of a burst, so that the mean is kept. Per second."""
    share = arrivals.burst_share
    high = min(arrivals.peak, 1 / share)
    calm = (1 - share * high) / (1 - share)
    return calm * arrivals.rate_per_s, high * arrivals.rate_per_s


class _BurstyRate:
    """Calm and burst in turns, each for an exponential time; the mean is kept."""

    def __init__(self, arrivals: Arrivals, rng: np.random.Generator) -> None:
        share = arrivals.burst_share
        self._rates = np.array(_calm_and_high(arrivals))
        self._stays = (arrivals.burst_s * (1 - share) / share, arrivals.burst_s)
        self._rng = rng
        self._turns = np.zeros(1)

    def __call__(self, times: FloatArray) -> FloatArray:
        while self._turns[-1] <= times[-1]:
            stays = self._rng.standard_exponential(64).reshape(-1, 2) * self._stays
            self._turns = np.append(self._turns, self._turns[-1] + np.cumsum(stays))
        turn = np.searchsorted(self._turns, times, side="right") - 1
        return self._rates[turn % 2]
