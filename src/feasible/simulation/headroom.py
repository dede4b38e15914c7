"""How many times the load a promise bears: a ramp over loads, then a search on each crossing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from scipy.special import stdtrit

from feasible.schema import FloatArray
from feasible.simulation.design import Design
from feasible.simulation.engine import run
from feasible.simulation.moves import Moves
from feasible.simulation.outcome import Outcome
from feasible.simulation.promises import Promise

__all__ = ["Bench", "Ramp", "at_load", "crossing", "fitted", "interval", "ramp", "refine", "search"]

_LOW, _HIGH, _LOADS = 0.5, 20.0, 14
_LONGEST: Final = 100_000
"""Requests of a run of bursts or of a trace. A longer trace is cut, at another place for each seed;
bursts are shorter where they would take more."""

Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Ramp:
    """What every promise uses of its limit at every load and seed.

    Attributes:
        multiples: Loads, as multiples of the design's own, rising, shape (n_loads,).
        used: Promise id -> share of its limit, shape (n_loads, n_seeds); NaN when not known.
    """

    multiples: FloatArray
    used: Mapping[str, FloatArray]


class Bench:
    """Runs of one design under several loads with the same luck, each kept.

    Args:
        design: What is simulated.
        promises: What it is held to.
        seeds: Seeds of the runs.
        n: Requests of each run.
    """

    def __init__(
        self, design: Design, promises: Sequence[Promise], *, seeds: Sequence[int], n: int
    ) -> None:
        self.design, self.promises = design, tuple(promises)
        self.seeds, self.n = tuple(seeds), n
        self._moves = Moves(design.policy, design.cases)
        self._kept: dict[tuple[float, int], dict[str, float]] = {}
        self.kept_runs: dict[float, Outcome] = {}
        self.requests = 0
        self.keeps_runs = False
        """Whether the runs of the first seed are kept whole, by multiple."""

    def used(self, multiple: float, seed: int) -> dict[str, float]:
        """Give what each promise uses of its limit at a multiple of the load."""
        key = (multiple, seed)
        if key not in self._kept:
            design, n = fitted(at_load(self.design, multiple), self.n)
            outcome = run(design, n, seed=seed, moves=self._moves)
            self.requests += n
            self._kept[key] = {p.id: p.used(design, outcome) for p in self.promises}
            if self.keeps_runs and seed == self.seeds[0]:
                self.kept_runs[multiple] = outcome
        return self._kept[key]

    def alone(self, seed: int) -> Bench:
        """Give the same runs with one seed."""
        other = Bench(self.design, self.promises, seeds=(seed,), n=self.n)
        other._moves, other._kept = self._moves, self._kept
        return other

    def mean(self, multiple: float, promise: str) -> float:
        """Give the mean over the seeds of what a promise uses."""
        return float(np.mean([self.used(multiple, seed)[promise] for seed in self.seeds]))


def at_load(design: Design, multiple: float) -> Design:
    """Give a design under a multiple of its load."""
    rate = design.arrivals.rate_per_s * multiple
    return replace(design, arrivals=replace(design.arrivals, rate_per_s=rate))


def fitted(design: Design, n: int) -> tuple[Design, int]:
    """Let a run see the whole of what comes: a day in small, or whole waves of bursts.

    What a tier does is over in seconds, so that a day can be run through in less time than it has;
    bursts keep their length, and a run has as many requests as whole waves of them, or a whole
    trace, take. At a rate at which one wave would be more than a run, bursts are shorter.

    Args:
        design: The design.
        n: Requests that the run should have at least.

    Returns:
        The design and the number of requests.
    """
    arrivals = design.arrivals
    if arrivals.kind == "diurnal":
        day = replace(arrivals, period_s=n / arrivals.rate_per_s)
        return replace(design, arrivals=day), n
    if arrivals.kind == "waves":
        wave = arrivals.rate_per_s * arrivals.burst_s / arrivals.burst_share
        most = max(n, _LONGEST)
        if wave > most:
            short = replace(arrivals, burst_s=arrivals.burst_s * most / wave)
            return replace(design, arrivals=short), most
        return design, max(n, math.ceil(math.ceil(n / wave - _NEAR) * wave))
    if arrivals.kind == "trace":
        whole = round(arrivals.rate_per_s * arrivals.trace_s[-1])
        return design, max(n, min(whole, _LONGEST))
    return design, n


def ramp(
    bench: Bench,
    *,
    low: float = _LOW,
    high: float = _HIGH,
    loads: int = _LOADS,
    progress: Progress | None = None,
) -> Ramp:
    """Run a design at rising loads.

    Args:
        bench: The design with its seeds.
        low: Smallest multiple of its load.
        high: Largest.
        loads: How many loads, evenly spaced by their ratio.
        progress: Told how far the work is.
    """
    multiples = np.geomspace(low, high, loads)
    used = {p.id: np.zeros((loads, len(bench.seeds))) for p in bench.promises}
    for g, multiple in enumerate(multiples.tolist()):
        for s, seed in enumerate(bench.seeds):
            for promise, value in bench.used(multiple, seed).items():
                used[promise][g, s] = value
        if progress is not None:
            progress("loads", g + 1, loads)
    return Ramp(multiples, used)


def crossing(multiples: FloatArray, used: FloatArray) -> float:
    """Give the first load at which a promise uses its whole limit; infinite when it never does.

    Between two loads of the ramp it is read off a straight line, on logarithmic scales; a promise
    that is broken at the smallest load breaks there or before.
    """
    broken = np.flatnonzero(used > 1.0)
    if not broken.size:
        return math.inf
    g = int(broken[0])
    if g == 0:
        return float(multiples[0])
    part = _part(float(used[g - 1]), float(used[g]))
    return float(multiples[g - 1] * (multiples[g] / multiples[g - 1]) ** part)


_SMALL: Final = 0.05
"""Below this share of a limit a value grows from nothing, and has no logarithm to speak of."""


def _part(below: float, above: float) -> float:
    """Give how far between two loads a limit is reached. Ratio."""
    if not math.isfinite(above):
        return 0.0
    if below < _SMALL:
        return (1.0 - below) / (above - below)
    return -math.log(below) / (math.log(above) - math.log(below))


def interval(of_seeds: Sequence[float], *, level: float = 0.95) -> tuple[float, float]:
    """Give an interval for the mean of what several seeds say, on a logarithmic scale.

    Args:
        of_seeds: A headroom per seed; where some seeds never break, the largest is open.
        level: Confidence level of both sides together.
    """
    known = [value for value in of_seeds if math.isfinite(value) and value > 0]
    if len(known) < len(of_seeds) or len(known) < 2:  # noqa: PLR2004  no deviation of one value
        return (min(known), math.inf) if known else (math.inf, math.inf)
    logs = np.log(known)
    half = float(stdtrit(len(logs) - 1, (1 + level) / 2) * logs.std(ddof=1) / math.sqrt(len(logs)))
    middle = float(logs.mean())
    return math.exp(middle - half), math.exp(middle + half)


_STEPS: Final = 10
_NEAR: Final = 2e-3
_FLAT: Final = 0.2
_FURTHEST: Final = 0.7
_TRIES: Final = 6


def refine(
    used: Callable[[float], float], start: float, slope: float
) -> tuple[float, float] | None:
    """Find a crossing from a good first guess in a few runs; None where that does not work.

    Args:
        used: Gives the share of the limit that is used at a load.
        start: First guess.
        slope: How fast that share grows there, both on logarithmic scales.

    Returns:
        The load, and the slope found on the way.
    """
    at, before = math.log(start), None
    for _ in range(_TRIES):
        share = used(math.exp(at))
        if not 0 < share < math.inf:
            return None
        value = math.log(share)
        if before is not None and abs(at - before[0]) > _NEAR:
            found = (value - before[1]) / (at - before[0])
            slope = found if found > _FLAT else slope
        if slope <= _FLAT:
            return None
        step = min(max(-value / slope, -_FURTHEST), _FURTHEST)
        before, at = (at, value), at + step
        if abs(step) < _NEAR * 2:
            return math.exp(at), slope
    return None


def search(
    used: Callable[[float], float], start: float, *, low: float = 0.05, high: float = 20_000.0
) -> float:
    """Find the load at which a promise uses its whole limit, near a first guess.

    Args:
        used: Gives the share of the limit that is used at a load.
        start: First guess.
        low: Smallest load that is looked at.
        high: Largest; infinite is given when the promise holds there.

    Returns:
        The load to a part in a thousand or so.
    """
    inside, outside, step = 0.0, math.inf, 1.12
    at = start
    below = above = 0.0
    while not (inside and math.isfinite(outside)):
        value = used(at)
        if value > 1.0:
            outside, above = at, value
            at = at / step
        else:
            inside, below = at, value
            at = at * step
        step *= step
        if at < low and not inside:
            return low
        if at > high and not math.isfinite(outside):
            return math.inf
    for _ in range(_STEPS):
        if outside / inside < 1 + _NEAR:
            break
        at = _between(inside, outside, below, above)
        value = used(at)
        if value > 1.0:
            outside, above = at, value
        else:
            inside, below = at, value
    return _between(inside, outside, below, above)


def _between(inside: float, outside: float, below: float, above: float) -> float:
    """Read a crossing off a straight line on logarithmic scales, away from the ends."""
    part = min(max(_part(below, above), 0.02), 0.98)
    return float(inside * (outside / inside) ** part)
