"""A profile becomes a plan with its certificate, or the reason why there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest

from feasible.cascade import Policy
from feasible.errors import BriefError, DataError
from feasible.planning import backtest, minimum_evidence, plan_profile, read_profile, write_profile
from feasible.schema import Plan, PlanReport, Profile, parse_brief

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


@pytest.mark.parametrize("percentile", ["p95", "p99"])
def test_a_limit_below_the_fastest_path_is_structural(percentile: str) -> None:
    """The reason names the latency, whether or not it is a deadline that cuts everything off."""
    text = BRIEF.format(accuracy="0.90", cost="$0.02", latency="0.5 ms")
    brief = parse_brief(text.replace("p95", percentile)).brief

    report = plan_profile(brief, profile(), data="test rows", synthetic=True, now=NOW)

    assert report.infeasible is not None
    assert report.infeasible.kind == "structural"
    assert report.infeasible.binding == (f"latency_{percentile}",)


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


HANGS = """\
feasible: 1
name: hangs
goal: {{statement: Answers that come too late help nobody}}
envelope:
  - {{quality: accuracy, at_least: {accuracy}}}
layers:
  tiers: [{{name: rules, kind: rules}}, {{name: slow, kind: model, timeout: 150 ms}}]
  serving: {{deadline: 200 ms, fallback: {{default: rules}}}}
"""


def hangs(n: int = 4000) -> Profile:
    """`slow` is right 988 times in 1,000, and 4 in 100 of its calls hang; `rules` 3 in 10."""
    rng = np.random.default_rng(2)
    loss = (rng.random((n, 2)) < (0.7, 0.012)).astype(float)
    took = np.where(rng.random(n) < 0.04, 5000.0, 100.0)
    return Profile(
        row_ids=tuple(f"r{i}" for i in range(n)),
        tiers=("rules", "slow"),
        loss=loss,
        answered=np.ones((n, 2), dtype=np.bool_),
        score=np.full((n, 2), 0.5),
        answer_class=np.full((n, 2), -1),
        classes=(),
        latency_ms=np.column_stack([np.ones(n), took]),
        cost_usd=np.tile([0.0, 0.001], (n, 1)),
    )


def test_answers_that_serving_cuts_off_are_no_evidence() -> None:
    """97 % cannot be served: 0.96 x 98.8 % + 0.04 x 30 % = 96.0 %; what can be is promised."""
    too_much, enough = (
        plan_profile(
            parse_brief(HANGS.format(accuracy=accuracy)).brief,
            hangs(),
            data="test rows",
            synthetic=True,
            now=NOW,
        )
        for accuracy in ("0.97", "0.94")
    )

    assert not too_much.feasible
    assert enough.plan is not None
    assert enough.certificate[0].value == pytest.approx(0.9605, abs=0.01)
    assert enough.plan.forecast.latency_ms.p99 == 151.0  # cut off at 150 ms, then rules


def test_a_plan_keeps_its_timeouts_and_one_made_before_takes_those_of_the_brief() -> None:
    """Serving cuts off what planning counted as cut off, whatever became of the brief."""
    brief = parse_brief(HANGS.format(accuracy="0.94")).brief
    made = plan_profile(brief, hangs(), data="test rows", synthetic=True, now=NOW).plan
    assert made is not None
    written = msgspec.json.encode(made)
    before = written.replace(b',"timeout_ms":150.0', b"").replace(b',"timeout_ms":null', b"")

    old = msgspec.json.decode(before, type=Plan)

    assert [t.timeout_ms for t in made.tiers if t.name == "slow"] == [150.0]
    assert [t.timeout_ms for t in old.tiers if t.name == "slow"] == [None]
    assert Policy.from_plan(old, brief.layers.tiers) == Policy.from_plan(made)
    assert backtest(old, brief, hangs()) == backtest(made, brief, hangs())


def test_that_nothing_is_ever_missed_is_refused_before_anything_is_planned() -> None:
    """The error has what was asked, why rows cannot show it, and what they can."""
    with pytest.raises(DataError, match="no number of rows can show 100 %") as refused:
        plan(profile(400), accuracy="100 %")

    assert refused.value.asked == "accuracy at_least 100 %"
    assert refused.value.attempt is not None
    assert "598 rows without a miss" in refused.value.attempt


PER_DAY = """\
feasible: 1
name: triage
goal: {statement: Send each message to the right team}
envelope:
  - {quality: accuracy, at_least: 0.80}
  - {cost: day, at_most: $1800}
  - {cost: each, at_most: $1.05}
  - {people: reviews, at_most: 2000 / d}
traffic: {rate: 2 / s}
layers:
  tiers: [{name: ann, kind: person, usd: $1, error_rate: 1 %}]
"""


def test_limit_value_and_bound_of_a_promise_are_in_its_own_unit() -> None:
    """At two a second, a tier of one cent costs at most $1,728 a day."""
    made = plan_profile(
        parse_brief(PER_DAY).brief, profile(), data="test rows", synthetic=True, now=NOW
    )
    lines = {line.objective: line for line in made.certificate}

    day, each, people = (lines[name] for name in ("cost_day", "cost_each", "people_reviews"))
    assert (day.limit, day.unit) == (1800, "usd")
    assert day.value is not None
    assert made.forecast is not None
    assert made.forecast.cost_usd is not None
    assert day.value == pytest.approx(made.forecast.cost_usd * 172_800)
    assert day.bound is not None
    assert day.value < day.bound <= 1800
    assert people.limit == pytest.approx(2000)
    assert people.unit == "/ day"
    assert people.bound is not None
    assert people.value is not None
    assert people.value <= people.bound <= 2000
    assert (each.limit, each.unit) == (1.05, "usd")
    assert each.value is not None
    assert each.value <= 1.05


COST_AND_TIME = """\
feasible: 1
name: triage
goal: {statement: Send each message to the right team}
envelope:
  - {cost: mean, at_most: $0.012}
  - {latency: p95, at_most: 100 ms}
"""


@pytest.mark.parametrize("tiers", [slice(0, 2), slice(1, 2)])
def test_cost_and_time_need_no_labels(tiers: slice) -> None:
    """Without a loss, and without a promise on it, every row judges what tiers cost and take."""
    rows = profile(1000)
    bare = replace(
        rows,
        tiers=rows.tiers[tiers],
        loss=np.full((1000, 2), np.nan)[:, tiers],
        answered=rows.answered[:, tiers],
        score=rows.score[:, tiers],
        answer_class=np.full((1000, 2), -1)[:, tiers],
        classes=(),
        latency_ms=rows.latency_ms[:, tiers],
        cost_usd=rows.cost_usd[:, tiers],
        label=None,
    )

    made = plan_profile(
        parse_brief(COST_AND_TIME).brief, bare, data="test rows", synthetic=True, now=NOW
    )

    assert made.feasible
    assert made.left_out == ()
    assert made.plan is not None
    assert {line.n for line in made.certificate} == {made.plan.data.n_cert}
    assert made.extras["calibration"] == {}


def priced(cert_usd: float = 0.0008, early_usd: float = 0.0008, rest: str = "") -> PlanReport:
    """Plan one tier declared at $0.001 a call whose last CERT row, or first row, costs this."""
    rows = profile(1000)
    usd = np.full((1000, 1), 0.0008)
    usd[0], usd[-1] = early_usd, cert_usd
    one = replace(
        rows,
        tiers=("large",),
        loss=rows.loss[:, 1:],
        answered=rows.answered[:, 1:],
        score=rows.score[:, 1:],
        answer_class=rows.answer_class[:, 1:],
        latency_ms=rows.latency_ms[:, 1:],
        cost_usd=usd,
        is_test=np.arange(1000) >= 600,
    )
    said = f"""\
feasible: 1
name: triage
goal: {{statement: s}}
envelope: [{{cost: mean, at_most: $0.002}}{rest}]
layers: {{tiers: [{{name: large, kind: llm, usd: $0.001}}]}}
"""
    return plan_profile(parse_brief(said).brief, one, data="test rows", synthetic=True, now=NOW)


def test_a_declared_price_is_no_enforced_cap() -> None:
    """The bound says that it stands on a price that nothing enforces."""
    (line,) = priced().certificate

    assert line.method == "cannot be broken at the declared price"
    assert line.note == "asymptotic: at the declared price, which nothing enforces"


def test_a_declared_price_that_a_judging_row_exceeds_bounds_nothing() -> None:
    """A call at $0.0011 shows that there may be dearer ones: the rows have to show the mean."""
    (line,) = priced(cert_usd=0.0011).certificate

    assert line.method == "betting"
    assert line.note is not None
    assert "no cap is enforced" in line.note


def test_a_declared_price_that_earlier_rows_exceed_is_no_cap() -> None:
    """Whoever was dearer than declared when thresholds were chosen may be so again."""
    (line,) = priced(early_usd=0.0011).certificate

    assert line.method == "betting"


def test_a_cap_on_each_decision_bounds_the_mean() -> None:
    """Serving keeps the cap, so that the mean cannot be above it."""
    lines = {x.objective: x for x in priced(rest=", {cost: each, at_most: $0.001}").certificate}

    assert lines["cost_mean"].method == "cannot be broken below the enforced cap"
    assert lines["cost_mean"].note is None


def test_a_cap_of_the_tier_itself_is_enforced() -> None:
    """What the tier's own code allows at most needs no declaration."""
    rows = profile(1000)
    brief = parse_brief(COST_AND_TIME.replace("$0.012", "$0.02")).brief
    made = plan_profile(
        brief,
        rows,
        data="test rows",
        synthetic=True,
        now=NOW,
        worst_usd={"small": 0.0001, "large": 0.012},
    )

    assert {x.note for x in made.certificate} == {None}


def test_a_brief_that_rows_cannot_judge_is_refused() -> None:
    """Load decides throughput: with that promise alone there is nothing to plan for."""
    alone = BRIEF.split("envelope:", maxsplit=1)[0].replace("{{", "{").replace("}}", "}")
    said = parse_brief(f"{alone}envelope: [{{throughput: peak, at_least: 10 / s}}]\n").brief

    with pytest.raises(DataError, match="no promise of the brief is one that rows can judge"):
        plan_profile(said, profile(400), data="test rows", synthetic=True, now=NOW)


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ("usd: $1", "how often `ann` is wrong is unknown"),
        ("error_rate: 1 %", "what an answer of `ann` costs is unknown"),
    ],
)
def test_people_are_neither_right_nor_free_because_nobody_said(person: str, reason: str) -> None:
    """Unknown is not 0: the brief has to say how often people err and what they cost."""
    layers = f"layers: {{tiers: [{{name: ann, kind: person, {person}}}]}}\n"
    said = BRIEF.format(accuracy="0.90", cost="$0.02", latency="200 ms") + layers

    with pytest.raises(DataError, match=reason):
        plan_profile(parse_brief(said).brief, profile(400), data="x", synthetic=True, now=NOW)


def test_what_people_cost_stays_unknown_where_nothing_has_a_price() -> None:
    """Without any price a plan can be made, and says that its cost is unknown."""
    rows = replace(profile(1000), cost_usd=np.full((1000, 2), np.nan))
    said = """\
feasible: 1
name: triage
goal: {statement: s}
envelope: [{quality: accuracy, at_least: 0.9}]
layers: {tiers: [{name: ann, kind: person, error_rate: 1 %}]}
"""
    made = plan_profile(parse_brief(said).brief, rows, data="x", synthetic=True, now=NOW)

    person = next(one for one in made.comparisons if one.name == "every case to a person")
    assert person.cost_usd is None
    assert made.forecast is not None
    assert made.forecast.cost_usd is None


def test_a_range_is_no_limit() -> None:
    """Nobody could say which of its numbers was promised."""
    with pytest.raises(DataError, match="accuracy promises a range"):
        plan(profile(400), accuracy="0.80..0.95")


def test_people_err_at_the_high_end_of_what_is_declared() -> None:
    """A range of 1 to 20 % is certified at 20 %, and the line says so."""
    layers = "layers: {tiers: [{name: ann, kind: person, usd: $0.02, error_rate: 1..20 %}]}\n"
    said = BRIEF.format(accuracy="0.75", cost="$0.02", latency="200 ms") + layers
    made = plan_profile(parse_brief(said).brief, profile(1000), data="x", synthetic=True, now=NOW)

    assert "every case to a person" in {one.name for one in made.comparisons}
    person = next(one for one in made.comparisons if one.name == "every case to a person")
    assert person.quality["accuracy"] == pytest.approx(0.80)
    line = next(one for one in made.certificate if one.objective == "accuracy")
    assert line.method == "exact binomial, people at their declared error rate of at most 20 %"


def test_a_tier_judged_on_few_rows_does_not_take_the_evidence_of_the_others() -> None:
    """A pilot with twenty judged answers is left out, with its reason."""
    rows = profile(2000)
    pilot = np.full((2000, 1), np.nan)
    pilot[::100] = 0.0
    more = replace(
        rows,
        tiers=("small", "large", "pilot"),
        loss=np.hstack([rows.loss, pilot]),
        answered=np.ones((2000, 3), dtype=np.bool_),
        score=np.hstack([rows.score, np.full((2000, 1), 0.5)]),
        answer_class=np.hstack([rows.answer_class, np.full((2000, 1), -1)]),
        latency_ms=np.hstack([rows.latency_ms, np.full((2000, 1), 5.0)]),
        cost_usd=np.hstack([rows.cost_usd, np.full((2000, 1), 0.02)]),
    )
    made = plan(more)

    assert made.feasible
    assert [left.tier for left in made.left_out] == ["pilot"]
    assert "judged on 1 % of the rows" in made.left_out[0].because


def test_tiers_screened_out_of_many_are_named() -> None:
    """Of twelve tiers eight are made orders of; the report says which are not, and why."""
    rows = profile(600)
    twelve = replace(
        rows,
        tiers=tuple(f"t{i:02}" for i in range(12)),
        loss=np.repeat(rows.loss[:, 1:], 12, axis=1),
        answered=np.ones((600, 12), dtype=np.bool_),
        score=np.repeat(rows.score[:, :1], 12, axis=1),
        answer_class=np.repeat(rows.answer_class[:, 1:], 12, axis=1),
        latency_ms=np.repeat(rows.latency_ms[:, 1:], 12, axis=1),
        cost_usd=rows.cost_usd[:, 1:] * (1 + np.arange(12)),
    )
    made = plan(twelve, accuracy="0.80")

    assert len(made.left_out) == 4
    assert all("of very many tiers" in left.because for left in made.left_out)


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
