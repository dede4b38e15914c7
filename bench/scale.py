"""Seconds and memory from a profile in memory to a certified plan, on one core; rows made up.

    python -m bench.scale [--rows 10000 1000000]

Each size runs in a process of its own that is tied to one core. Beside the planner stands a grid
search over the chain of all tiers with as many thresholds as the planner has there, one a tier and
answer, on no more rows than the planner searches. It certifies nothing. As it would take minutes to
hours, some combinations are timed and the rest is extrapolated.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from bench.page import Section, table
from bench.peers.empirical import gates_of, plain_grid, table_grid
from bench.peers.outcomes import outcomes

from feasible.planning import plan_profile
from feasible.schema import Brief, FloatArray, Profile, load_brief

__all__ = ["Figures", "made_up", "run"]

_ROWS = (10_000, 1_000_000)
_TIERS = ("rules", "small", "medium", "large", "largest")
_SKILL = (-0.6, 0.2, 1.0, 1.8, 2.8)
_PRICE_USD = (0.000_001, 0.000_02, 0.000_3, 0.002, 0.01)
_TYPICAL_MS = (1.0, 8.0, 60.0, 300.0, 900.0)
_CLASSES = ("usual", "rare")
_GRIDS = (4, 8)
"""Values of each threshold."""
_SEARCHED = 50_000
_GRID_SECONDS = 10.0
_BRIEF = """\
feasible: 1
name: scale
goal: {statement: Tell what is rare}
envelope:
  - {quality: accuracy, at_least: 0.93, confidence_level: 0.95}
  - {quality: recall, of: rare, at_least: 0.85, confidence_level: 0.95}
  - {latency: p95, at_most: 2.5 s, confidence_level: 0.95}
"""


@dataclass(frozen=True)
class Grid:
    """What a grid search over the chain of all tiers took.

    Attributes:
        each: Values of each threshold.
        combinations: Of all thresholds.
        seconds: One combination after the other, extrapolated from those that were timed.
        table_seconds: All of them at once by sums over cells.
        usd: Mean dollars of the cheapest that keeps the promises on the rows searched; None when
            none does.
    """

    each: int
    combinations: int
    seconds: float
    table_seconds: float
    usd: float | None


@dataclass(frozen=True)
class Figures:
    """What one size took.

    Attributes:
        rows: Rows of the profile.
        answer: `certified`, or the kind of the infeasible answer.
        tiers: Tiers of the plan.
        seconds: Planning.
        before_mib: Peak memory of the process before planning, the profile in it.
        peak_mib: Peak memory after planning.
        usd: Mean dollars a decision, as the certified plan forecasts; None without a plan.
        grids: One for each of `_GRIDS`.
    """

    rows: int
    answer: str
    tiers: tuple[str, ...]
    seconds: float
    before_mib: float
    peak_mib: float
    usd: float | None
    grids: tuple[Grid, ...]


def made_up(n: int, *, seed: int = 0) -> Profile:
    """Make up rows: five tiers of rising skill and price, two answers of which one is rare.

    A row has a difficulty that all tiers share; a score says how far a tier is from being unsure,
    with noise.

    Args:
        n: Rows.
        seed: Of the draw.
    """
    rng = np.random.default_rng([n, seed])
    rare = rng.random(n) < 0.03
    truth = np.where(rare, 1, 0)
    clear = rng.normal(0.0, 1.0, n)[:, None] + rng.normal(0, 0.7, (n, len(_TIERS)))
    margin = clear + np.array(_SKILL) - 0.4 * rare[:, None]
    right = margin > 0
    given = np.where(right, truth[:, None], 1 - truth[:, None])
    score = 1 / (1 + np.exp(-np.abs(margin + rng.normal(0, 0.3, margin.shape))))
    names = np.array(_CLASSES, dtype=object)
    return Profile(
        row_ids=tuple(map(str, range(n))),
        tiers=_TIERS,
        loss=np.where(right, 0.0, 1.0),
        answered=np.ones((n, len(_TIERS)), dtype=np.bool_),
        score=score,
        answer_class=given.astype(np.int64),
        classes=_CLASSES,
        latency_ms=np.array(_TYPICAL_MS) * rng.lognormal(0, 0.4, (n, len(_TIERS))),
        cost_usd=np.array(_PRICE_USD) * rng.uniform(0.5, 1.5, (n, len(_TIERS))),
        label=tuple(names[truth].tolist()),
        slices={"rare": rare},
    )


def _measure(n: int) -> Figures:
    """Plan once, and search a grid of the same chain."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    brief, profile = _brief(), made_up(n)
    plan_profile(brief, made_up(2_000), data="made up", synthetic=True)  # imports and caches
    before = _peak_mib()
    began = time.perf_counter()
    report = plan_profile(brief, profile, data="made up", synthetic=True)
    seconds = time.perf_counter() - began
    peak = _peak_mib()
    plan = report.plan
    chain = () if plan is None else tuple(tier.name for tier in plan.tiers)
    answer = "certified"
    if plan is None:
        answer = "no plan" if report.infeasible is None else report.infeasible.kind
    searched = profile.take(np.arange(min(int(n * 0.3), _SEARCHED)))
    usd = None if plan is None else plan.forecast.cost_usd
    grids = tuple(_grid(brief, searched, each) for each in _GRIDS)
    return Figures(n, answer, chain, seconds, before, peak, usd, grids)


def _grid(brief: Brief, searched: Profile, each: int) -> Grid:
    """Time the plain grid search of the chain of all tiers, and the same by sums over cells."""
    seen = outcomes(brief, searched, _TIERS)
    gates = gates_of(searched, searched.score, _TIERS, by_class=True)
    grids: list[FloatArray] = [
        np.append(np.quantile(gates.score[gates.gate == k], np.linspace(0, 1, each - 1)), np.inf)
        for k in range(gates.n_gates)
    ]
    combinations = each**gates.n_gates
    began, timed = time.perf_counter(), 0
    while time.perf_counter() - began < _GRID_SECONDS and timed < combinations:
        step = min(100, combinations - timed)
        plain_grid(seen, gates, grids, first=timed, at_most=step)
        timed += step
    took = (time.perf_counter() - began) / timed * combinations
    began = time.perf_counter()
    found = table_grid(seen, gates, grids)
    by_tables = time.perf_counter() - began
    return Grid(each, combinations, took, by_tables, None if found is None else found[0])


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _brief() -> Brief:
    with TemporaryDirectory() as place:
        path = Path(place) / "brief.yaml"
        path.write_text(_BRIEF, encoding="utf-8")
        return load_brief(path).brief


def _usd(usd: float | None) -> str:
    return "-" if usd is None else f"{usd * 1000:.3f}"


def run(*, sizes: Sequence[int] = _ROWS) -> Section:
    """Measure every size in a process of its own.

    Args:
        sizes: Rows.
    """
    lines = []
    for n in sizes:
        with get_context("spawn").Pool(1) as pool:
            f = pool.apply(_measure, (n,))
        lines.append(
            [
                f"{n:,}: plan ({', '.join(f.tiers) or f.answer})",
                f"{f.seconds:.2f}",
                "-",
                "-",
                f"{f.peak_mib:,.0f} ({f.before_mib:,.0f})",
                _usd(f.usd),
            ]
        )
        lines += [
            [
                f"{n:,}: grid of {grid.combinations:,} ({grid.each} a threshold)",
                f"{grid.seconds:,.0f}",
                f"{grid.seconds / f.seconds:,.0f}x",
                f"{grid.table_seconds:.2f}",
                "-",
                _usd(grid.usd),
            ]
            for grid in f.grids
        ]
    header = ["rows", "s", "against the plan", "by sums, s", "peak MiB (before)", "$ / 1,000"]
    text = f"""\
Synthetic rows: {len(_TIERS)} tiers, two answers of which one is rare (3 %), promises on accuracy,
recall of the rare answer and p95 of latency, each at 95 %. One core; the profile is in memory.

{table(header, lines)}

- *plan*: `plan_profile` from profile to certificate: calibration, the search over all chains at
  every distinct score, certification, the report. Its price is of a plan that is certified.
- *grid*: a grid search over the thresholds of the one chain of all tiers, one a tier and answer,
  one combination after the other, each judged by array operations on as many rows as the planner
  searches (30 %, {_SEARCHED:,} at most). It calibrates nothing, compares no chains and certifies
  nothing: its price is of the cheapest that kept the promises on the rows it looked at. About
  {_GRID_SECONDS:.0f} s of it are timed, the rest is extrapolated.
- *by sums*: the same combinations judged at once by sums over cells, our own faster way of a grid
  search (`bench/peers/empirical.py`), with which the other benchmarks run.
- *peak MiB*: largest resident memory of the process; in brackets before planning, with the profile.
"""
    return Section("Planning at scale", "python -m bench.scale", text)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, nargs="+", default=list(_ROWS))
    print(run(sizes=arguments.parse_args().rows).text)
