"""The luck of one run, drawn before it: the same seed gives every design the same luck.

Each thing that is drawn has a stream of its own, so that a knob changes what it means to change and
nothing else (common random numbers).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from heapq import heapreplace
from typing import Final

import numpy as np

from feasible.schema import BoolArray, FloatArray, IntArray
from feasible.simulation.arrivals import arrival_times
from feasible.simulation.design import Design, Service, TierLoad, Tokens
from feasible.simulation.unhurried import unhurried

__all__ = ["Draws", "draw"]

_AGAIN: Final = 4096
"""Luck of calls that are made again: drawn once, used in turn."""

_ARRIVALS, _ROWS, _CACHE, _PEOPLE, _JITTER, _TIERS, _FRONT, _OVERHEAD = range(8)


@dataclass(frozen=True, slots=True)
class TierDraws:
    """Luck of one tier's calls, one of each per request.

    Attributes:
        service_s: shape (n,). What the first call takes when nothing is wrong. Seconds.
        usd: shape (n,). What a call costs. Dollars; NaN when unknown.
        reads: shape (n,). Tokens read; None where a tier reads none.
        writes: shape (n,). Tokens written; None where a tier writes none.
        luck: shape (n,). Uniform; whether a fault that hits some calls hits this one.
        again_s: shape (4096,). What further calls take when they are drawn anew. Seconds.
    """

    service_s: FloatArray
    usd: FloatArray
    reads: FloatArray | None
    writes: FloatArray | None
    luck: FloatArray
    again_s: FloatArray


@dataclass(frozen=True)
class Draws:
    """The luck of one run.

    Attributes:
        design: What was drawn for.
        seed: What makes it repeatable.
        at_s: shape (n,). When each request comes, rising. Seconds.
        row: shape (n,). Which row of the cases it is.
        tiers: Luck of each step's calls.
    """

    design: Design
    seed: int
    at_s: FloatArray
    row: IntArray
    tiers: tuple[TierDraws, ...]

    def __len__(self) -> int:
        """Give the number of requests."""
        return len(self.at_s)

    @cached_property
    def begins_s(self) -> FloatArray:
        """Give when the service is done with its own work on each request, rising, shape (n,)."""
        front = self.design.front
        if front is None or not len(self):
            return self.at_s
        service = _times(front.service, len(self), _stream(self.seed, _FRONT))
        free, ends = [0.0] * front.slots, []
        for came, takes in zip(self.at_s.tolist(), service.tolist(), strict=True):
            ends.append(max(free[0], came) + takes)
            heapreplace(free, ends[-1])
        return np.maximum.accumulate(np.array(ends))

    @cached_property
    def hits(self) -> BoolArray:
        """Give whether a cache with a known hit ratio has the answer, shape (n,).

        What a person answers is never in a cache: such a repeat goes all the way again.
        """
        cache = self.design.cache
        assert cache is not None  # noqa: S101  asked of designs with such a cache
        repeats = _stream(self.seed, _CACHE).random(len(self)) < (cache.hit or 0.0)
        return repeats & unhurried(self.design).is_remembered[self.row]

    @cached_property
    def overhead_ms(self) -> FloatArray:
        """Give what reading and writing add to each answer, shape (n,). Milliseconds."""
        measured = self.design.overhead_ms
        if not measured:
            return np.zeros(len(self))
        return np.asarray(_stream(self.seed, _OVERHEAD).choice(measured, len(self)))

    @cached_property
    def keys(self) -> IntArray:
        """Give which of the cache's keys each request asks for, shape (n,)."""
        cache = self.design.cache
        assert cache is not None  # noqa: S101  asked of designs with a cache
        chances = zipf(cache.keys, cache.zipf)
        luck = _stream(self.seed, _CACHE).random(len(self))
        return np.searchsorted(np.cumsum(chances)[:-1], luck, side="right")

    @cached_property
    def seen_by_people(self) -> FloatArray:
        """Give whether people see it besides what is handed over: uniform, shape (n,)."""
        return _stream(self.seed, _PEOPLE).random(len(self))

    @cached_property
    def jitter(self) -> FloatArray:
        """Give what backoffs are multiplied with: 0.5 to 1.5, shape (4096,)."""
        return 0.5 + _stream(self.seed, _JITTER).random(_AGAIN)


def zipf(keys: int, power: float) -> FloatArray:
    """Give the share of requests for each key, most asked first, shape (keys,)."""
    weight = np.arange(1, keys + 1, dtype=np.float64) ** -power
    return np.asarray(weight / weight.sum())


def draw(design: Design, n: int, *, seed: int) -> Draws:
    """Draw the luck of n requests.

    Args:
        design: What is simulated.
        n: Requests. Count.
        seed: Makes it repeatable.
    """
    rng = _stream(seed, _ROWS)
    weight, rows = design.cases.weight, len(design.cases.table.answered)
    if weight is None:
        row = rng.integers(0, rows, n)
    else:
        sums = np.cumsum(weight)
        row = np.searchsorted(sums[:-1], rng.random(n) * sums[-1], side="right")
    return Draws(
        design,
        seed,
        arrival_times(design.arrivals, n, _stream(seed, _ARRIVALS)),
        row,
        tuple(_tier_draws(design, k, row, seed) for k in range(len(design.tiers))),
    )


def _stream(seed: int, *which: int) -> np.random.Generator:
    return np.random.default_rng((seed, *which))


def _tier_draws(design: Design, k: int, row: IntArray, seed: int) -> TierDraws:
    load, n = design.tiers[k], len(row)
    rng = _stream(seed, _TIERS, k)
    table, tokens = design.cases.table, load.service.tokens
    reads, writes = None, None
    if load.service.kind == "rows":
        service = table.latency_ms[row, k] * (load.service.factor / 1e3)
    elif load.service.kind == "measured":
        service = rng.choice(load.service.sample_s, n) * load.service.factor
    elif load.service.kind == "tokens":
        reads, writes = _tokens(tokens, n, rng)
        service = _token_time(tokens, reads, writes) * load.service.factor
    else:
        service = _times(load.service, n, rng)
    return TierDraws(
        service,
        _prices(load, table.cost_usd[row, k], reads, writes),
        reads,
        writes,
        _stream(seed, _TIERS, k, 1).random(n) if load.outages else np.zeros(0),
        _again(design, k, seed),
    )


def _again(design: Design, k: int, seed: int) -> FloatArray:
    load = design.tiers[k]
    if load.retrying is None:
        return np.zeros(0)
    rng = _stream(seed, _TIERS, k, 2)
    if load.service.kind == "measured":
        return np.asarray(rng.choice(load.service.sample_s, _AGAIN) * load.service.factor)
    if load.service.kind == "rows":
        column = design.cases.table.latency_ms[:, k]
        return np.asarray(rng.choice(column, _AGAIN) * (load.service.factor / 1e3))
    if load.service.kind == "tokens":
        tokens = load.service.tokens
        reads, writes = _tokens(tokens, _AGAIN, rng)
        return _token_time(tokens, reads, writes) * load.service.factor
    return _times(load.service, _AGAIN, rng)


def _times(service: Service, n: int, rng: np.random.Generator) -> FloatArray:
    mean = service.mean_s * service.factor
    if service.kind == "exponential":
        return rng.standard_exponential(n) * mean
    if service.kind == "lognormal":
        return _lognormal(mean, service.spread, n, rng)
    return np.full(n, mean)


def _lognormal(mean: float, spread: float, n: int, rng: np.random.Generator) -> FloatArray:
    return np.asarray(np.exp(rng.standard_normal(n) * spread - spread * spread / 2) * mean)


def _tokens(tokens: Tokens, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw what each call reads, the turns before it included, and writes."""
    reads = _lognormal(tokens.reads, tokens.spread, n, rng) + tokens.prefix
    writes = _lognormal(tokens.writes, tokens.spread, n, rng)
    if tokens.turns > 1:
        reads = reads + rng.integers(0, tokens.turns, n) * tokens.turn_tokens
    return reads, writes


def _token_time(tokens: Tokens, reads: FloatArray, writes: FloatArray) -> FloatArray:
    reading = tokens.read_s * reads + tokens.read2_s * reads * reads
    return tokens.first_s + reading + tokens.write_s * writes


def _prices(
    load: TierLoad, of_rows: FloatArray, reads: FloatArray | None, writes: FloatArray | None
) -> FloatArray:
    if load.usd is not None:
        return np.full(len(of_rows), load.usd)
    if reads is None or writes is None:
        return of_rows
    tokens = load.service.tokens
    cached = tokens.usd_read if tokens.usd_cached is None else tokens.usd_cached
    new = (reads - tokens.prefix) * tokens.usd_read + tokens.prefix * cached
    return new + writes * tokens.usd_write
