"""Random halves of logged rows: one is planned from, the other is kept aside to judge."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from bench.chance import expected_to_break

from feasible.planning import backtest, plan_profile
from feasible.planning.splits import split_rows
from feasible.schema import Backtest, Brief, IntArray, Profile, load_brief

__all__ = ["Halves", "Made", "brief_of", "certified", "each_split", "halves"]

_SEED = 20261124
_TINY = 1e-12

Task = TypeVar("Task")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Halves:
    """Row numbers of one split, sorted.

    Attributes:
        planned: What planners and peers may look at.
        aside: What nobody looked at.
        cert: Of them, those that our planner keeps to certify.
        together: What our planner did not search: `cert` and `aside`.
    """

    planned: IntArray
    aside: IntArray
    cert: IntArray
    together: IntArray


@dataclass(frozen=True)
class Made:
    """What planning from one half gave.

    Attributes:
        answer: `certified`, or the kind of the infeasible answer.
        tiers: Tiers of the plan; empty without one.
        seconds: Planning.
        usd: Mean dollars a decision on the rows kept aside.
        usd_everywhere: The same on all rows.
        aside: Promises whose value broke the limit on the rows kept aside.
        together: The same on the rows that our planner did not search.
        everywhere: The same on all rows.
        expected: Chance that other rows than the certificate's, as many as were kept aside, break
            any promise; promises are taken as independent.
    """

    answer: str
    tiers: tuple[str, ...]
    seconds: float
    usd: float = float("nan")
    usd_everywhere: float = float("nan")
    aside: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    expected: float = 0.0


def brief_of(text: str) -> Brief:
    """Read a brief from its text."""
    with TemporaryDirectory() as place:
        path = Path(place) / "brief.yaml"
        path.write_text(text, encoding="utf-8")
        return load_brief(path).brief


def halves(profile: Profile, number: int) -> Halves:
    """Halve the rows at random.

    Args:
        profile: All rows.
        number: Of the split; it is the planner's seed too.
    """
    order = np.random.default_rng([_SEED, number]).permutation(len(profile))
    half = len(profile) // 2
    planned, aside = np.sort(order[:half]), np.sort(order[half:])
    cert = planned[split_rows(profile.take(planned), seed=number).cert]
    return Halves(planned, aside, cert, np.sort(np.concatenate([cert, aside])))


def certified(brief: Brief, profile: Profile, rows: Halves, *, data: str, number: int) -> Made:
    """Plan from one half, and replay the plan on the other and on all rows.

    Args:
        brief: Its promises are floors on quality, as far as they are judged here.
        profile: All rows.
        rows: The split.
        data: Name of the rows.
        number: Of the split.
    """
    began = time.perf_counter()
    report = plan_profile(
        brief, profile.take(rows.planned), data=data, synthetic=False, seed=number
    )
    seconds = time.perf_counter() - began
    plan = report.plan
    if plan is None:
        answer = "no plan" if report.infeasible is None else report.infeasible.kind
        return Made(answer, (), seconds)
    aside = backtest(plan, brief, profile.take(rows.aside))
    together = backtest(plan, brief, profile.take(rows.together))
    everywhere = backtest(plan, brief, profile)
    kept = 1.0
    for promise in aside.promises:
        line = next(line for line in plan.certificate if line.objective == promise.objective)
        if line.unit == "ratio" and not line.is_ceiling:
            limit = 1 - promise.limit
            kept *= 1 - expected_to_break(line.misses, line.n, n=promise.n, limit=limit)
    return Made(
        "certified",
        tuple(tier.name for tier in plan.tiers),
        seconds,
        _usd(aside),
        _usd(everywhere),
        _broken(brief, aside),
        _broken(brief, together),
        _broken(brief, everywhere),
        1 - kept,
    )


def each_split(
    work: Callable[[Task], Found], tasks: Sequence[Task], *, name: str, workers: int
) -> list[Found]:
    """Run tasks in processes of their own and say how far they are."""
    if workers == 1:
        return list(_counted(map(work, tasks), name, len(tasks)))
    with get_context("spawn").Pool(workers) as pool:
        return list(_counted(pool.imap(work, tasks, chunksize=2), name, len(tasks)))


def _counted(found: Iterable[Found], name: str, n: int) -> Iterable[Found]:
    for done, one in enumerate(found, start=1):
        print(f"\r{name}: {done} of {n} splits", end="", file=sys.stderr, flush=True)
        yield one
    print(file=sys.stderr)


def _usd(found: Backtest) -> float:
    return float("nan") if found.cost_usd is None else found.cost_usd


def _broken(brief: Brief, found: Backtest) -> tuple[str, ...]:
    out = []
    for promise in found.promises:
        if promise.value is None:
            continue
        over = promise.value - promise.limit
        if (over if brief.objective(promise.objective).is_ceiling else -over) > _TINY:
            out.append(promise.objective)
    return tuple(out)
