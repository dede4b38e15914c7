"""What is declared of traffic and not among the rows is never passed over in silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.stats import binom

from feasible.planning import plan_profile
from feasible.schema import BoolArray, PlanReport, Profile, parse_brief

NOW = datetime(2026, 1, 1, tzinfo=UTC)
N = 2000


def rows(**slices: BoolArray) -> Profile:
    """One tier that is right 98 times in 100."""
    return Profile(
        row_ids=tuple(str(i) for i in range(N)),
        tiers=("m",),
        loss=(np.random.default_rng(1).random((N, 1)) < 0.02).astype(float),
        answered=np.ones((N, 1), dtype=np.bool_),
        score=np.random.default_rng(2).random((N, 1)),
        answer_class=np.zeros((N, 1), dtype=np.int64),
        classes=("a",),
        latency_ms=np.ones((N, 1)),
        cost_usd=np.full((N, 1), 0.001),
        slices=slices,
    )


def plan(profile: Profile, shares: str, seed: int = 0) -> PlanReport:
    """Plan for a quality and a cost of all traffic."""
    text = (
        "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"
        "  - {quality: accuracy, at_least: 0.9}\n  - {cost: mean, at_most: $0.01}\n"
        f"traffic: {{slices: {{{shares}}}}}\n"
    )
    caps = {"m": 0.002}
    brief = parse_brief(text).brief
    return plan_profile(
        brief, profile, data="d", synthetic=True, worst_usd=caps, seed=seed, now=NOW
    )


def test_a_declared_slice_without_a_judging_row_is_missing_evidence() -> None:
    """`vip` is 30 % of traffic, and its only labelled rows were searched on."""
    is_test = np.arange(N) >= 1000
    vip = np.arange(N) < 5

    why = plan(replace(rows(vip=vip), is_test=is_test), "vip: 30 %").infeasible

    assert why is not None
    assert why.kind == "evidence"
    assert why.binding == ("accuracy", "cost_mean")
    # 0.1 / 0.3 of them may be wrong: eight without a miss show that.
    assert why.labels_needed["accuracy"] == 8
    assert why.because[0].startswith("accuracy: 0 rows of `vip` judge it; at least 8 can show")


def test_a_slice_that_the_rows_do_not_know_leaves_quality_unshown_and_the_rest_conditional() -> (
    None
):
    """Without the slice nobody can say how right its answers are; its prices are assumed away."""
    report = plan(rows(), "vip: 2 %")
    lines = {line.objective: line for line in report.certificate}

    assert report.infeasible is not None
    assert report.infeasible.binding == ("accuracy",)
    assert lines["cost_mean"].holds
    assert "of traffic without `vip`, of which there is no row" in lines["cost_mean"].assumption


def test_traffic_outside_every_declared_slice_needs_rows_too() -> None:
    """All rows are of a slice that is 40 % of traffic: nothing is known of the other 60 %."""
    why = plan(rows(eu=np.ones(N, dtype=np.bool_)), "eu: 40 %").infeasible

    assert why is not None
    assert "accuracy: 0 rows of the rest of traffic judge it" in why.because[0]


def test_a_share_of_nothing_needs_no_rows() -> None:
    """What is declared to be no traffic is not missed."""
    assert plan(rows(vip=np.zeros(N, dtype=np.bool_)), "vip: 0 %").feasible


def test_a_share_that_weighs_no_row_is_named() -> None:
    """`hard` overlaps `eu`, which is declared before it."""
    place = np.arange(N)
    report = plan(rows(eu=place % 2 == 0, hard=place % 10 < 2), "eu: 50 %, hard: 40 %")

    assert report.feasible
    (told,) = [note for note in report.notes if "weighs no row" in note]
    assert told.startswith("slice `hard`: its share of 40 % weighs no row, since ")


@pytest.mark.parametrize("draws", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_a_dear_slice_that_was_hardly_logged_is_rarely_promised_for(draws: int) -> None:
    """`vip` is 30 % of traffic, 0.2 % of the log, and wrong 60 % of the time: 0.80, not 0.90.

    At 95 % one draw in twenty may be certified falsely (seed 41).
    """
    false = 0
    for index in range(draws):
        rng = np.random.default_rng([41, index])
        vip = rng.random(N) < 0.002
        wrong = rng.random(N) < np.where(vip, 0.6, 0.03)
        profile = replace(rows(vip=vip), loss=wrong[:, None].astype(float))
        false += plan(profile, "vip: 30 %", index).feasible

    assert false <= binom.ppf(0.999, draws, 0.05), f"{false} of {draws} at seed 41"
