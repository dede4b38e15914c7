"""One policy, three users: planning, simulation and serving stand or fall by the same comparisons.

Each user is asked about a case that lies exactly at a limit; turning one comparison round in
`cascade` makes each of them give another answer.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import feasible
from feasible.cascade import Policy, Step, Table
from feasible.clock import SystemClock
from feasible.planning.chain import walk
from feasible.schema import (
    Answer,
    Calibrator,
    DataUsed,
    Forecast,
    LatencyForecast,
    Plan,
    PlanTier,
    Profile,
    TierKind,
)
from feasible.serving import DecideRequest, Runtime
from feasible.simulation import (
    Arrivals,
    Design,
    Service,
    TierLoad,
    declared_cases,
    draw,
    run_calendar,
    sweep,
)
from feasible.testing import MemoryLedger, ScriptedTier

CAP_USD = 0.5
"""The second tier costs exactly this much: it just fits the cap."""


def two_tiers() -> Policy:
    """Give two tiers: the first accepts from 0.5 on, the second costs all that may be spent."""
    return Policy(
        (
            Step("first", TierKind.MODEL, {"*": 0.5}, worst_cost_usd=0.0),
            Step("second", TierKind.MODEL, {"*": 0.0}, worst_cost_usd=CAP_USD),
        ),
        cost_each_usd=CAP_USD,
    )


def table_at(probability: float) -> Table:
    """Give one row on which the first tier is so sure."""
    return Table(
        answered=np.array([[True, True]]),
        probability=np.array([[probability, 1.0]]),
        threshold=np.array([[0.5, 0.0]]),
        latency_ms=np.array([[1.0, 1.0]]),
        cost_usd=np.array([[0.0, CAP_USD]]),
    )


def planned(probability: float) -> int:
    """Ask planning which tier answers."""
    profile = Profile(
        row_ids=("r",),
        tiers=("first", "second"),
        loss=np.zeros((1, 2)),
        answered=np.array([[True, True]]),
        score=np.array([[probability, 1.0]]),
        answer_class=np.zeros((1, 2), dtype=np.int64),
        classes=("a",),
        latency_ms=np.ones((1, 2)),
        cost_usd=np.array([[0.0, CAP_USD]]),
    )
    policy = two_tiers()
    return int(walk(policy, profile, 3, table=table_at(probability))[0])


def simulated(probability: float) -> int:
    """Ask both engines of the simulation which tier answers."""
    policy = two_tiers()
    cases = replace(declared_cases(policy, rows=1), table=table_at(probability))
    loads = tuple(
        TierLoad(step.name, 4, Service("fixed", 0.001), usd=step.worst_cost_usd)
        for step in policy.steps
    )
    design = Design("limit", policy, loads, cases, Arrivals(1.0))
    draws = draw(design, 3, seed=0)
    swept, exact = sweep(design, draws).exit, run_calendar(design, draws).exit
    assert np.array_equal(swept, exact)
    return int(exact[0])


def served(probability: float) -> int:
    """Ask a runtime which tier answers."""
    first = ScriptedTier([Answer("a", score=probability)], name="first", usd_per_call=0.0)
    second = ScriptedTier([Answer("b", score=1.0)], name="second", usd_per_call=CAP_USD)
    as_is = Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=100)
    plan = Plan(
        id="",
        feature="limit",
        brief_fingerprint="0",
        made_at=SystemClock().now(),
        tiers=tuple(
            PlanTier(
                name=step.name,
                kind=step.kind,
                version="1",
                share=0.5,
                thresholds=dict(step.thresholds),
                groups={},
                calibrators={"*": as_is},
                latency_p50_ms=None,
                latency_p95_ms=None,
                cost_usd=step.worst_cost_usd,
                worst_cost_usd=step.worst_cost_usd,
            )
            for step in two_tiers().steps
        ),
        fallback={},
        deadline_ms=None,
        cost_each_usd=CAP_USD,
        forecast=Forecast(
            cost_usd=None,
            cost_usd_machines=None,
            latency_ms=LatencyForecast(p50=None, p95=None, p99=None),
            quality={},
            people_share=0.0,
        ),
        certificate=(),
        data=DataUsed(
            name="none", synthetic=True, fingerprint="0", n_fit=0, n_search=0, n_cert=0, split=""
        ),
    ).with_id()
    runtime = Runtime(plan, {"first": first, "second": second}, MemoryLedger())
    try:
        decided = asyncio.run(runtime.decide(DecideRequest(request={"text": "x"})))
    finally:
        runtime.close()
    return {"first": 0, "second": 1}.get(decided.decision.tier, -1)


@pytest.mark.parametrize("user", [planned, simulated, served], ids=lambda user: user.__name__)
def test_what_is_just_sure_enough_is_given(user: object) -> None:
    """At the threshold the first tier answers, a hair below it the second."""
    assert callable(user)
    assert user(0.5) == 0
    assert user(0.5 - 1e-9) == 1


@pytest.mark.parametrize("user", [planned, simulated, served], ids=lambda user: user.__name__)
def test_what_just_fits_the_money_is_asked(user: object) -> None:
    """The second tier costs all that is left, and not more."""
    assert callable(user)
    assert user(0.1) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("written", "instead", "test"),
    [
        ("probability >= threshold", "probability > threshold", "just_sure_enough"),
        ("worst_usd > left_usd", "worst_usd >= left_usd", "just_fits_the_money"),
    ],
)
def test_turning_one_comparison_round_is_noticed_by_all_three(
    tmp_path: Path, written: str, instead: str, test: str
) -> None:
    """A copy of the package with one comparison flipped fails for each of its users."""
    source = Path(feasible.__file__).parent
    copy = tmp_path / "feasible"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    flipped = copy / "cascade" / "comparisons.py"
    text = flipped.read_text(encoding="utf-8")
    assert text.count(written) == 1
    flipped.write_text(text.replace(written, instead), encoding="utf-8")

    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"),
            *("--rootdir", str(tmp_path), "-c", os.devnull, "--import-mode=importlib"),
            *("-k", f"{test} and not turning", __file__),
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    for user in ("planned", "simulated", "served"):
        assert f"[{user}]" in done.stdout, done.stdout[-2000:]
    assert "3 failed" in done.stdout, done.stdout[-2000:]
