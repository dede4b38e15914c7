"""A profile becomes a plan with its certificate, or the reason why there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from feasible.errors import BriefError, DataError
from feasible.planning import backtest, minimum_evidence, plan_profile, read_profile, write_profile
from feasible.schema import PlanReport, Profile, parse_brief

BRIEF = """\
feasible: 1
name: triage
goal: {{statement: Send each message to the right team}}
envelope:
  - {{quality: accuracy, at_least: {accuracy}}}
  - {{cost: mean, at_most: {cost}}}
  - {{latency: p95, at_most: {latency}}}
labels: {{arrive_after: 14 d, per_month: 1000}}
"""
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def profile(n: int = 4000, *, seed: int = 0) -> Profile:
    """Two tiers: `small` is right for sure cases only, `large` is right 97 times in 100."""
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    small = (rng.random(n) > 0.5 + 0.5 * score).astype(float)
    large = (rng.random(n) > 0.97).astype(float)
    truth = rng.integers(0, 2, n)
    given = np.column_stack([np.where(x > 0, 1 - truth, truth) for x in (small, large)])
    return Profile(
        row_ids=tuple(f"r{i}" for i in range(n)),
        tiers=("small", "large"),
        loss=np.column_stack([small, large]),
        answered=np.ones((n, 2), dtype=np.bool_),
        score=np.column_stack([score, np.full(n, 0.5)]),
        answer_class=given,
        classes=("a", "b"),
        latency_ms=np.column_stack([np.full(n, 1.0), np.full(n, 80.0)]),
        cost_usd=np.column_stack([np.full(n, 1e-5), np.full(n, 0.01)]),
        label=tuple("ab"[i] for i in truth),
    )


def plan(
    rows: Profile, accuracy: str = "0.90", cost: str = "$0.02", latency: str = "200 ms"
) -> PlanReport:
    """Plan for a brief with these limits."""
    brief = parse_brief(BRIEF.format(accuracy=accuracy, cost=cost, latency=latency)).brief
    return plan_profile(brief, rows, data="test rows", synthetic=True, now=NOW)


def test_the_plan_is_cheaper_than_the_dear_tier_and_holds() -> None:
    """The certified cascade keeps every promise and asks the dear tier only for doubtful cases."""
    report = plan(profile())

    assert report.feasible
    assert report.plan is not None
    assert all(line.holds for line in report.certificate)
    assert report.forecast is not None
    assert report.forecast.cost_usd is not None
    assert report.forecast.cost_usd < 0.0085
    assert {line.objective for line in report.certificate} == {
        "accuracy",
        "cost_mean",
        "latency_p95",
    }


def test_the_same_seed_gives_the_same_plan() -> None:
    """Nothing in a plan depends on chance that nobody set."""
    first, second = plan(profile()).plan, plan(profile()).plan

    assert first is not None
    assert first == second


def test_a_floor_above_the_oracle_is_structural() -> None:
    """No threshold helps when even the best tier for every row is not good enough."""
    report = plan(profile(), accuracy="0.999")

    assert report.infeasible is not None
    assert report.infeasible.kind == "structural"
    assert report.infeasible.binding == ("accuracy",)


def test_a_limit_below_the_fastest_path_is_structural() -> None:
    """The reason names the latency and what was found."""
    report = plan(profile(), latency="0.5 ms")

    assert report.infeasible is not None
    assert report.infeasible.binding == ("latency_p95",)


def test_too_few_rows_is_a_matter_of_evidence_with_a_date() -> None:
    """The value holds, the bound does not: the answer is how many rows are missing and when."""
    report = plan(profile(150), accuracy="0.94")

    assert report.infeasible is not None
    assert report.infeasible.kind == "evidence"
    assert report.infeasible.labels_needed["accuracy"] > 0
    assert report.infeasible.earliest_date is not None
    assert report.infeasible.earliest_date > date(2026, 1, 15)


def test_minimum_evidence_is_known_before_anything_is_trained() -> None:
    """Accuracy of 99.5 % needs 598 rows without a miss."""
    brief = parse_brief(BRIEF.format(accuracy="0.995", cost="$1", latency="1 s")).brief

    assert minimum_evidence(brief) == {"accuracy": 598}


def test_a_back_test_says_whether_each_promise_held(tmp_path: Path) -> None:
    """A fixed plan replayed on rows of the same kind keeps its promises there too."""
    report = plan(profile())
    assert report.plan is not None
    write_profile(profile(seed=9), tmp_path / "later.parquet")
    brief = parse_brief(BRIEF.format(accuracy="0.90", cost="$0.02", latency="200 ms")).brief

    result = backtest(report.plan, brief, read_profile(tmp_path / "later.parquet"))

    assert result.rows == 4000
    assert [p.held for p in result.promises if p.objective == "latency_p95"] == ["true"]
    assert "false" not in [p.held for p in result.promises]


def test_a_back_test_needs_every_tier_of_the_plan() -> None:
    """The error names the tier that is missing."""
    report = plan(profile())
    assert report.plan is not None
    brief = parse_brief(BRIEF.format(accuracy="0.90", cost="$0.02", latency="200 ms")).brief
    other = replace(profile(), tiers=("smal", "large"))

    with pytest.raises(DataError, match="no tier `small`"):
        backtest(report.plan, brief, other)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"row_ids": ("r0",) * 4000}, "stands 4000 times"),
        ({"label": ("a",) * 4000}, "the same label"),
        ({"cost_usd": np.full((4000, 2), -1.0)}, "cost_usd of tier `small`"),
        ({"loss": np.full((4000, 2), 2.0)}, "loss of tier `small`"),
    ],
)
def test_rows_that_cannot_be_planned_from_are_refused(
    change: dict[str, object], reason: str
) -> None:
    """Each error names the tier, the row and what to do."""
    with pytest.raises(DataError, match=reason):
        plan(replace(profile(), **change))  # type: ignore[arg-type]


def test_a_slice_that_no_row_has_is_refused() -> None:
    """The error offers the slices that rows do have."""
    text = BRIEF.format(accuracy="0.9, on: risky", cost="$1", latency="1 s")
    rows = replace(profile(), slices={"risk": np.ones(4000, dtype=np.bool_)})

    with pytest.raises(DataError, match="no row is in slice `risky`"):
        plan_profile(parse_brief(text).brief, rows, data="x", synthetic=True)


def test_answers_that_are_right_and_in_time_are_planned_and_replayed(tmp_path: Path) -> None:
    """`large` would be right and late; the certificate and a back-test count both as misses."""
    brief = parse_brief(
        "feasible: 1\nname: triage\ngoal: {statement: Send each message on}\nenvelope:\n"
        "  - {joint: right_in_time, within: 100 ms, at_least: 90 %}\n"
    ).brief
    rows = profile()
    slow = replace(rows, latency_ms=rows.latency_ms * [1.0, 2.0])

    in_time = plan_profile(brief, rows, data="rows", synthetic=True, now=NOW)
    too_late = plan_profile(brief, slow, data="rows", synthetic=True, now=NOW)

    assert in_time.plan is not None
    (line,) = in_time.certificate
    assert (line.objective, line.method, line.unit) == ("right_in_time", "exact binomial", "ratio")
    assert line.value is not None
    assert line.bound is not None
    assert line.value > line.bound >= 0.9
    write_profile(profile(seed=9), tmp_path / "later.parquet")
    (held,) = backtest(in_time.plan, brief, read_profile(tmp_path / "later.parquet")).promises
    assert (held.objective, held.held) == ("right_in_time", "true")
    assert too_late.plan is None
    assert too_late.infeasible is not None
    assert too_late.infeasible.binding == ("right_in_time",)


def test_the_share_that_nobody_answers_is_promised_without_labels() -> None:
    """Both tiers abstain on the same 3 % of the rows, which no plan can answer."""
    rows = profile()
    silent = np.arange(4000) % 100 < 3
    answered = rows.answered & ~silent[:, None]
    loss = np.where(answered, rows.loss, np.nan)
    text = (
        "feasible: 1\nname: triage\ngoal: {{statement: Send each message on}}\nenvelope:\n"
        "  - {{abstention: share, at_most: {limit}}}\n"
    )

    def planned(limit: str) -> PlanReport:
        brief = parse_brief(text.format(limit=limit)).brief
        made = replace(rows, answered=answered, loss=loss)
        return plan_profile(brief, made, data="rows", synthetic=True, now=NOW)

    enough, too_little = planned("5 %"), planned("1 %")

    (line,) = enough.certificate
    assert (line.holds, line.n, line.method) == (True, 1600, "exact binomial")
    assert line.value == pytest.approx(0.03, abs=0.01)
    assert too_little.infeasible is not None
    assert too_little.infeasible.kind == "structural"
    assert "no answer from any tier" in too_little.infeasible.because[0]


VALUED = BRIEF.replace("right team}}", "right team, value_usd: 0.4, error_usd: 4}}")


def chosen(text: str, choose: Literal["cost", "value"]) -> PlanReport:
    """Plan for an easy floor, from which many plans are safe."""
    brief = parse_brief(text.format(accuracy="0.80", cost="$0.02", latency="200 ms")).brief
    return plan_profile(brief, profile(), data="rows", synthetic=True, choose=choose, now=NOW)


def test_the_certified_plan_that_is_worth_most_may_be_chosen() -> None:
    """A wrong answer costs $4: the plan that asks `large` more often is dearer and worth more."""
    cheapest, best = chosen(VALUED, "cost"), chosen(VALUED, "value")

    assert cheapest.plan is not None
    assert best.plan is not None
    assert (cheapest.plan.chosen_by, best.plan.chosen_by) == ("cost", "value")
    assert all(line.holds for line in best.certificate)
    accuracy = [report.plan.forecast.quality["accuracy"] for report in (cheapest, best)]  # type: ignore[union-attr]
    cost = [report.plan.forecast.cost_usd for report in (cheapest, best)]  # type: ignore[union-attr]
    assert accuracy[1] > accuracy[0]  # type: ignore[operator]
    assert cost[1] > cost[0]  # type: ignore[operator]
    (told,) = [note for note in best.notes if note.startswith("chosen by value")]
    assert "certified plans" in told
    assert [point.is_chosen for point in best.frontier].count(True) == 1


def test_a_brief_without_a_worth_gives_nothing_to_choose_by() -> None:
    """The error says what is missing and how it is written."""
    with pytest.raises(BriefError, match="does not say what an answer is worth") as caught:
        chosen(BRIEF, "value")

    assert "goal: {value_usd" in str(caught.value)
