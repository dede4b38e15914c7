"""Recall before the labels come, on 400 worlds of `late_world`, beside what others would say.

A world is asked on every fourth day, which day it begins with being its number's: so days of the
week and ages of the drift are met alike.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.late_world import AUDIT_DAYS, DAYS, EDGES, LET_THROUGH, WINDOW, World, make_world
from bench.peers.monitors.running import run_monitor

from feasible.feedback import Tallies, estimate_unlabelled
from feasible.schema import FloatArray
from feasible.stats import arrived_share

__all__ = ["FIRST_DAY", "Answers", "Weeks", "ask_worlds", "cbpe_weeks", "delays_by", "tallies_by"]

FIRST_DAY = 37
"""Waiting for mature labels can answer from then on."""
_KEPT = 60
_MATURE = 30
_STRATA = len(EDGES) - 1
_REFERENCE = slice(0, 7)
_CBPE_DAYS = (91, 119)
_EVERY = 4
_ORACLE_EVERY = 3


@dataclass(frozen=True)
class Answers:
    """All answers of all worlds, one row a question.

    Attributes:
        world: shape (n,).
        age: Days since the drift; at most 0 before it. shape (n,).
        truth: Recall. shape (n,).
        value: Our estimate. shape (n,).
        low: shape (n,).
        high: shape (n,).
        tells: Whether we give a figure. shape (n,).
        oracle: Width of the interval with the true delays, NaN where not asked. shape (n,).
        knowing: The same with the true day of the drift as well. shape (n,).
        mature: What waiting for mature labels says. shape (n,).
        plug_in: Sum of scores, as CBPE has it. shape (n,).
    """

    world: FloatArray
    age: FloatArray
    truth: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    tells: FloatArray
    oracle: FloatArray
    knowing: FloatArray
    mature: FloatArray
    plug_in: FloatArray


def tallies_by(world: World, day: int, arrived: FloatArray, *, since: int = 0) -> Tallies:
    """Give what is known of the days before one, at its start."""
    first = max(0, since, day - _KEPT)
    days, strata = np.arange(first, day), np.eye(_STRATA)[world.stratum]
    kept = slice(first, day)
    told = (days <= day - 1 - AUDIT_DAYS)[:, None]
    decided, cell, lag = world.reports.T
    come = (decided >= first) & (decided + lag <= day - 1)
    reports = np.zeros((day - first, _STRATA))
    np.add.at(reports, (decided[come] - first, world.stratum[cell[come]]), 1.0)
    return Tallies(
        acted=np.array([world.blocked[world.stratum == k].all() for k in range(_STRATA)]),
        rows=world.rows[kept] @ strata,
        expected=(world.rows[kept] * world.score) @ strata,
        open_rows=world.observable[kept] @ strata,
        arrived=arrived[day - 1 - days],
        reports=reports,
        audited=(world.audited[kept] @ strata) * told,
        audited_events=(world.audit_fraud[kept] @ strata) * told,
    )


def delays_by(world: World, day: int) -> FloatArray:
    """Estimate the delays from the reports that have come by the start of a day."""
    decided, _, lag = world.reports.T
    come = decided + lag <= day - 1
    return arrived_share(lag[come], day - 1 - decided[come], longest=DAYS)


def _mature(world: World, day: int) -> float:
    """Give recall of the latest week whose labels are 30 days old; blocked ones by weight."""
    decided, cell, lag = world.reports.T
    end = day - _MATURE
    come = (decided >= end - WINDOW) & (decided < end) & (decided + lag <= day - 1)
    blocked = world.blocked[cell[come]]
    caught = blocked.sum() / LET_THROUGH
    return float(caught / max(caught + (~blocked).sum(), 1.0))


def _plug_in(world: World, day: int) -> float:
    expected = world.rows[day - WINDOW : day] * world.score
    return float(expected[:, world.blocked].sum() / expected.sum())


def ask_worlds(seeds: range) -> Answers:
    """Ask every world on every fourth day."""
    rows = []
    for seed in seeds:
        world, rng = make_world(seed), np.random.default_rng([1, seed])
        for number, day in enumerate(range(FIRST_DAY + seed % _EVERY, DAYS, _EVERY)):
            ours = estimate_unlabelled(
                tallies_by(world, day, delays_by(world, day)), window=WINDOW, rng=rng
            )
            oracle, knowing = math.nan, math.nan
            if number % _ORACLE_EVERY == seed % _ORACLE_EVERY:
                oracle, knowing = _oracles(world, day, rng)
            rows.append(
                (
                    seed,
                    day - world.drift_day,
                    world.recall(day),
                    ours.recall.value,
                    ours.recall.low,
                    ours.recall.high,
                    float(ours.tells),
                    oracle,
                    knowing,
                    _mature(world, day),
                    _plug_in(world, day),
                )
            )
        if seed % 50 == 49:
            print(f"  {seed + 1} worlds", flush=True)
    return Answers(*np.array(rows).T)


def _oracles(world: World, day: int, rng: np.random.Generator) -> tuple[float, float]:
    """Give widths with the true delays; and with the true day of the drift as well."""
    told = tallies_by(world, day, world.lag_cdf)
    one = estimate_unlabelled(told, window=WINDOW, rng=rng)
    if day - world.drift_day >= WINDOW:
        told = tallies_by(world, day, world.lag_cdf, since=world.drift_day)
    two = estimate_unlabelled(told, window=WINDOW, rng=rng, hazard=1e-9)
    return one.recall.high - one.recall.low, two.recall.high - two.recall.low


@dataclass(frozen=True)
class Weeks:
    """Weeks after things had settled, for which NannyML was asked too.

    Attributes:
        truth: shape (n,).
        cbpe: NannyML's answer. shape (n,).
        plug_in: The sum of scores, for the same weeks. shape (n,).
    """

    truth: FloatArray
    cbpe: FloatArray
    plug_in: FloatArray


def cbpe_weeks(seeds: range, *, settled: int) -> Weeks:
    """Ask NannyML's CBPE about the last weeks of each world.

    Its reference is the first 7 days, with the truth of every row: more than anybody has.

    Args:
        seeds: Worlds.
        settled: Days after the drift from which on a week is asked about.
    """
    groups: dict[tuple[int, ...], list[World]] = {}
    for seed in seeds:
        world = make_world(seed)
        days = tuple(day for day in _CBPE_DAYS if day - world.drift_day >= settled)
        groups.setdefault(days, []).append(world)
    truth, cbpe, plug_in = [], [], []
    for days, worlds in groups.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "weeks.npz"
            np.savez(
                file,
                score=worlds[0].score,
                reference_rows=[world.rows[_REFERENCE].sum(axis=0) for world in worlds],
                reference_fraud=[world.fraud[_REFERENCE].sum(axis=0) for world in worlds],
                weeks=[[w.rows[day - WINDOW : day].sum(axis=0) for day in days] for w in worlds],
            )
            found = run_monitor("nannyml", "recall.py", file)
        cbpe += [value for weeks in found for value in weeks]
        truth += [world.recall(day) for world in worlds for day in days]
        plug_in += [_plug_in(world, day) for world in worlds for day in days]
    return Weeks(np.array(truth), np.array(cbpe), np.array(plug_in))
