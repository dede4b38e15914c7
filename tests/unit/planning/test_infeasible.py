"""Infeasible is an answer: impossible, not shown yet, or promises that pull apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from feasible.errors import DataError
from feasible.planning import plan_profile
from feasible.schema import PlanReport, Profile, parse_brief

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIERS = "layers: {tiers: [{name: person, kind: person, error_rate: 0 %, usd: $1}]}\n"


def rows(n: int = 3000, *, seed: int = 0) -> Profile:
    """One tier, right 85 times in 100 and surer when it is; 100 rows in each 1,000 are `rare`."""
    rng = np.random.default_rng(seed)
    score = rng.random((n, 1))
    loss = (rng.random((n, 1)) > 0.7 + 0.3 * score).astype(float)
    return Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("model",),
        loss=loss,
        answered=np.ones((n, 1), dtype=np.bool_),
        score=score,
        answer_class=np.zeros((n, 1), dtype=np.int64),
        classes=("a",),
        latency_ms=np.full((n, 1), 5.0),
        cost_usd=np.full((n, 1), 0.001),
        slices={"rare": np.arange(n) % 10 == 0, "tiny": np.arange(n) % 60 == 0},
    )


def plan(*envelope: str, rest: str = TIERS, profile: Profile | None = None) -> PlanReport:
    """Plan for these promises."""
    lines = "".join(f"  - {{{one}}}\n" for one in envelope)
    text = f"feasible: 1\nname: x\ngoal: {{statement: s}}\nenvelope:\n{lines}{rest}"
    found = rows() if profile is None else profile
    return plan_profile(parse_brief(text).brief, found, data="drawn", synthetic=True, now=NOW)


def test_a_cap_below_the_cheapest_path_is_structural() -> None:
    """No threshold makes the only machine cheaper."""
    report = plan("cost: mean, at_most: $0.0001")

    assert report.infeasible is not None
    assert report.infeasible.kind == "structural"
    assert report.infeasible.binding == ("cost_mean",)
    assert "cheapest path costs $0.001" in report.infeasible.because[0]


def test_an_oracle_that_misses_by_luck_alone_is_not_called_impossible() -> None:
    """One right in four of 60 rows more or less does not make 86 % impossible."""
    small = rows(60, seed=3)

    report = plan("quality: accuracy, at_least: 0.86", rest="", profile=small)

    assert report.infeasible is None or report.infeasible.kind != "structural"


def test_a_person_who_is_asked_at_once_may_be_the_fastest_path() -> None:
    """The model takes 5 ms, and handing a case over 1 ms."""
    assert plan("latency: mean, at_most: 3 ms").feasible

    report = plan("latency: mean, at_most: 3 ms", rest="")
    assert report.infeasible is not None
    assert report.infeasible.kind == "structural"
    assert "the fastest path takes 5 ms on average" in report.infeasible.because[0]


def test_a_cap_on_each_decision_conflicts_with_what_only_a_dearer_tier_can_do() -> None:
    """A cap that no row breaks has no slack to show, and is offered at what asking both costs."""
    cheap = rows()
    both = replace(
        cheap,
        tiers=("model", "sure"),
        loss=np.hstack([cheap.loss, np.zeros_like(cheap.loss)]),
        answered=np.hstack([cheap.answered] * 2),
        score=np.hstack([cheap.score, np.full_like(cheap.score, np.nan)]),
        answer_class=np.hstack([cheap.answer_class] * 2),
        latency_ms=np.hstack([cheap.latency_ms] * 2),
        cost_usd=np.hstack([cheap.cost_usd, np.full_like(cheap.cost_usd, 0.01)]),
    )
    accuracy = "quality: accuracy, at_least: 0.97"
    report = plan("cost: each, at_most: $0.005", accuracy, rest="", profile=both)

    assert report.infeasible is not None
    assert report.infeasible.binding == ("cost_each", "accuracy")
    assert report.infeasible.because[0].startswith("cost_each and accuracy conflict: ")
    offered = {r.objective: r.to for r in report.infeasible.relaxations}
    assert 0.01 <= offered["cost_each"] < 0.013
    assert plan(
        f"cost: each, at_most: ${offered['cost_each']}", accuracy, rest="", profile=both
    ).feasible


def test_promises_that_the_certificate_shows_together_are_not_said_to_conflict() -> None:
    """50 slice rows to search see less than the 400 that judge, of which none misses."""
    many = rows(3400)
    few = (np.arange(3400) % 30 == 0) | (np.arange(3400) >= 3000)
    many.loss[few] = 0.0
    judging = (np.arange(3400) // 30 % 2 == 0) | (np.arange(3400) >= 3000)
    found = replace(many, slices={"few": few}, is_test=judging)

    report = plan(
        "quality: accuracy, at_least: 0.95",
        "quality: accuracy, on: few, at_least: 0.99",
        "people: reviews, at_most: 5 %",
        profile=found,
    )

    assert report.infeasible is not None
    held = {line.objective for line in report.certificate if line.holds}
    assert "accuracy_few" in held
    assert not held.issuperset(report.infeasible.binding)
    # No offer gives a promise up: 0 % right, or all cases to people.
    assert all(0 < offer.to < 1 for offer in report.infeasible.relaxations)


def test_promises_that_pull_apart_are_named_with_relaxations_that_work() -> None:
    """97 % right needs people for about half of the rows, and 5 % are allowed."""
    report = plan("quality: accuracy, at_least: 0.97", "people: reviews, at_most: 5 %")

    assert report.infeasible is not None
    assert report.infeasible.kind == "tradeoff"
    assert set(report.infeasible.binding) == {"accuracy", "people_reviews"}
    assert report.infeasible.because[0].startswith("accuracy and people_reviews conflict: ")
    relaxed = {r.objective: r for r in report.infeasible.relaxations}
    assert all(r.verified for r in relaxed.values())
    quality, people = relaxed["accuracy"].to, relaxed["people_reviews"].to
    assert 0.8 < quality < 0.97
    assert 0.05 < people < 1.0
    # Planning again with either change succeeds on rows that the relaxation never saw certified.
    assert plan(
        f"quality: accuracy, at_least: {quality - 0.02}", "people: reviews, at_most: 5 %"
    ).feasible
    assert plan(
        "quality: accuracy, at_least: 0.97", f"people: reviews, at_most: {100 * people + 5} %"
    ).feasible


def test_a_promise_with_too_few_rows_is_left_for_later_and_the_rest_is_promised_now() -> None:
    """20 rows of `tiny` certify; 59 without a miss are the fewest for 95 %."""
    report = plan(
        "quality: accuracy, at_least: 0.80",
        "quality: accuracy, on: tiny, at_least: 0.95",
        rest=TIERS + "labels: {per_month: 600, arrive_after: 10 d}\n"
        "traffic: {slices: {tiny: 2 %}}\n",
    )

    assert not report.feasible
    assert report.infeasible is not None
    assert report.infeasible.kind == "evidence"
    assert report.infeasible.binding == ("accuracy_tiny",)
    assert report.infeasible.labels_needed["accuracy_tiny"] >= 39
    assert "even without a miss" in report.infeasible.because[0]
    assert report.infeasible.earliest_date is not None
    assert report.fallback_plan is not None
    held = {line.objective: line.holds for line in report.fallback_plan.certificate}
    assert held == {"accuracy": True, "accuracy_tiny": False}
    assert report.minimum_evidence["accuracy_tiny"] == 59


def test_no_tier_that_may_be_used_is_structural() -> None:
    """Every tier is left out with its reason, and the answer says that none is left."""
    report = plan(
        "quality: accuracy, at_least: 0.8",
        rest="",
        profile=replace(rows(), simulated=frozenset({"model"})),
    )

    assert report.infeasible is not None
    assert report.infeasible.kind == "structural"
    assert "no tier is left" in report.infeasible.because[0]
    assert "simulated" in report.left_out[0].because


def test_no_losses_at_all_is_refused() -> None:
    """Quality cannot be judged without a single label."""
    blank = rows()
    blank.loss[:] = np.nan

    with pytest.raises(DataError, match="no row has a loss"):
        plan("quality: accuracy, at_least: 0.8", profile=blank)


def test_a_class_that_no_row_has_is_refused_with_the_nearest() -> None:
    """The error offers the labels that there are."""
    labelled = replace(rows(), label=("fraud", "fine") * 1500)

    with pytest.raises(DataError, match="no labelled row is of class `fruad`") as error:
        plan("quality: recall, of: fruad, at_least: 0.8", profile=labelled)
    assert error.value.attempt == "`fraud`?"
