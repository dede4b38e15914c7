"""When a lint on a promise fires, how gravely, and what it leaves alone."""

from __future__ import annotations

from datetime import date

import pytest

from feasible.rubric.lints_promises import lint_promises
from feasible.rubric.records import Finding
from feasible.schema import parse_brief

TODAY = date(2026, 11, 23)
GOAL = "{statement: answer merchants, metric: minutes_to_answer, value_usd: 1}"
LATENCY = "  - {latency: p99, at_most: 200 ms}\n"
COST = "  - {cost: mean, at_most: $0.005}\n"
RECALL = "  - {quality: recall, of: fraud, at_least: 0.95}\n"
TRAFFIC = "traffic: {rate: 10 / s, peak: 5x}\n"
LABELS = "labels: {arrive_after: 1 d, per_month: 5000, positives_per_month: {fraud: 400}}\n"


def lint(
    envelope: str = LATENCY + COST + RECALL,
    *,
    goal: str = GOAL,
    metrics: str = "",
    rest: str = TRAFFIC + LABELS,
) -> dict[str, Finding]:
    """Give the findings of a brief by their id; each id is found at most once here."""
    text = f"feasible: 1\nname: x\ngoal: {goal}\n{metrics}envelope:\n{envelope}{rest}"
    found = list(lint_promises(parse_brief(text), today=TODAY))
    assert len(found) == len({finding.id for finding in found})
    return {finding.id: finding for finding in found}


def test_a_whole_promise_has_no_finding() -> None:
    """The lines that the other tests break one by one."""
    assert lint() == {}


def test_a_model_in_a_metric_before_the_envelope_is_the_same_flaw() -> None:
    """A1 reads every text that stands before the limits, and gives its line."""
    found = lint(metrics="metrics:\n  - {name: bert accuracy, kind: model}\n")

    assert found["A1"].where == "brief.yaml:5"
    assert "'bert'" in found["A1"].why


def test_a_design_without_a_model_is_no_flaw() -> None:
    """A1 leaves "no LLM" alone."""
    assert lint(goal=GOAL.replace("answer merchants", "answer merchants without an LLM")) == {}


def test_a_goal_after_the_envelope_may_name_a_model() -> None:
    """A1 is about the order and not about the word."""
    text = (
        f"feasible: 1\nname: x\nenvelope:\n{LATENCY}{COST}{RECALL}"
        f"goal: {GOAL.replace('answer merchants', 'use BERT')}\n{TRAFFIC}{LABELS}"
    )

    assert list(lint_promises(parse_brief(text), today=TODAY)) == []


def test_dollars_a_day_are_dollars_per_decision_once_there_is_a_rate() -> None:
    """A2 divides; without a rate it cannot."""
    daily = LATENCY + RECALL + "  - {cost: day, at_most: $900}\n"

    assert "A2" not in lint(daily)
    assert "only with a rate" in lint(daily, rest=LABELS)["A2"].why


@pytest.mark.parametrize(
    ("due", "risk"), [("", "MEDIUM"), ("2 months", "HIGH"), ("9 months", None)]
)
def test_evidence_is_held_to_its_date(due: str, risk: str | None) -> None:
    """A4: 598 cases at 90 a month and 14 days late take 7.1 months."""
    envelope = LATENCY + COST + RECALL.replace("0.95", "99.5 %")
    if due:
        envelope += f"  - {{delivery: recall_fraud, at_most: {due}}}\n"
    labels = "labels: {arrive_after: 14 d, positives_per_month: {fraud: 90}}\n"

    found = lint(envelope, rest=TRAFFIC + labels).get("A4")

    assert (None if found is None else found.risk) == risk
    if found is not None:
        assert "598 labelled cases without a miss" in found.why
        assert "7.1 months, not before 2027-06-28" in found.why
        assert "at_most: 8 months" in found.fix


@pytest.mark.parametrize(
    ("lines", "risk"),
    [
        (["mean"], "HIGH"),
        (["p50"], "MEDIUM"),
        (["p95"], None),
        (["mean", "p99"], None),
        (["p50", "p99"], None),
    ],
)
def test_a_tail_is_limited_by_a_tail(lines: list[str], risk: str | None) -> None:
    """A6: a mean is no limit for the slow tenth, a median only half of one."""
    envelope = "".join(f"  - {{latency: {line}, at_most: 200 ms}}\n" for line in lines)

    found = lint(envelope + COST + RECALL).get("A6")

    assert (None if found is None else found.risk) == risk


def test_accuracy_over_a_rare_class_is_found_in_the_metrics_too() -> None:
    """A7: 400 of 5,000 labels are frauds, so that 92 % is what never answering fraud scores."""
    accuracy = LATENCY + COST + "  - {quality: accuracy, at_least: 0.90}\n"
    metric = "metrics:\n  - {name: accuracy, kind: model, at_least: 85 %}\n"
    unlimited = LATENCY + COST

    assert "scores 92 %" in lint(accuracy)["A7"].why
    assert lint(unlimited, metrics=metric)["A7"].where == "brief.yaml:5"


def test_accuracy_is_fine_beside_recall_and_on_balanced_classes() -> None:
    """A7 asks for the costly class and not for the end of accuracy."""
    accuracy = LATENCY + COST + "  - {quality: accuracy, at_least: 0.90}\n"

    assert "A7" not in lint(accuracy + RECALL)
    assert "A7" not in lint(accuracy, rest=TRAFFIC + "labels: {per_month: 5000}\n")


def test_a_launch_threshold_on_proxies_with_a_date_is_fine() -> None:
    """A7 does not punish 85 % on heuristic labels that says when the real ones come."""
    metric = (
        "metrics:\n  - {name: accuracy, kind: model, at_least: 85 %, "
        "basis: chargeback-like proxies until verified labels come on day 14}\n"
    )

    assert "A7" not in lint(LATENCY + COST, metrics=metric)


@pytest.mark.parametrize(
    ("traffic", "missing"),
    [("", "no rate and no peak"), ("traffic: {rate: 10 / s}\n", "no peak")],
)
def test_traffic_without_its_peak_is_found(traffic: str, missing: str) -> None:
    """A8 says what is missing and keeps what is stated."""
    found = lint(rest=traffic + LABELS)["A8"]

    assert missing in found.why
    assert ("10 / s" in found.fix) == bool(traffic)


def test_nobody_can_show_a_hundred_percent() -> None:
    """A12: no n is large enough."""
    found = lint(LATENCY + COST + RECALL.replace("0.95", "100 %"))

    assert "no number of cases" in found["A12"].why
    assert found["A12"].risk == "HIGH"


def test_a_guarantee_in_words_needs_an_objective() -> None:
    """A12 reads the goal when no quality is promised."""
    goal = GOAL.replace("answer merchants", "guaranteed right answers")

    assert "guarantees" in lint(LATENCY + COST, goal=goal)["A12"].why
    assert lint(LATENCY + COST, goal=goal)["A12"].risk == "HIGH"
    assert lint(goal=goal)["A12"].risk == "MEDIUM"


def test_a_guarantee_to_be_quick_is_no_guarantee_to_be_right() -> None:
    """A12 asks for the number, and is no HIGH risk."""
    goal = GOAL.replace("answer merchants", "guaranteed within a second")

    assert lint(LATENCY + COST, goal=goal)["A12"].risk == "MEDIUM"


def test_a_coin_is_not_evidence() -> None:
    """A12: a statement that is wrong in half of all briefs says nothing."""
    found = lint(LATENCY + COST + RECALL.replace("0.95", "0.95, confidence_level: 0.5"))["A12"]

    assert found.risk == "MEDIUM"
    assert "50 of 100" in found.why


@pytest.mark.parametrize(
    ("labels", "tiers", "risk"),
    [
        ("labels: {per_month: 0, arrive_after: 1 d}\n", "", "HIGH"),
        ("labels: {arrive_after: 1 d}\n", "", "HIGH"),
        ("", "layers: {tiers: [{name: rules, kind: rules, usd: $0}]}\n", "HIGH"),
        ("", "", "MEDIUM"),
    ],
)
def test_a_promise_without_labels_is_graver_once_something_is_built(
    labels: str, tiers: str, risk: str
) -> None:
    """A12: an envelope alone is an open question, a design without labels is not."""
    assert lint(rest=TRAFFIC + labels + tiers)["A12"].risk == risk


def test_labels_that_stand_first_are_data_that_stand_first() -> None:
    """A1 is MEDIUM: which data there is was asked before what is promised."""
    text = (
        f"feasible: 1\nname: x\ngoal: {GOAL}\n{LABELS}envelope:\n{LATENCY}{COST}{RECALL}{TRAFFIC}"
    )

    (found,) = lint_promises(parse_brief(text), today=TODAY)

    assert (found.id, found.risk, found.where) == ("A1", "MEDIUM", "brief.yaml:4")


def test_a_tradeoff_that_stands_first_may_speak_of_a_model() -> None:
    """A1 is MEDIUM: it only stands too early."""
    tradeoff = "tradeoff: {gave_up: an LLM summary, got: speed}\n"

    assert lint(metrics=tradeoff)["A1"].risk == "MEDIUM"


def test_an_llm_that_judges_is_a_measure() -> None:
    """A1 leaves a metric by an LLM as a judge alone."""
    assert lint(metrics="metrics:\n  - {name: llm_judge_score, kind: model}\n") == {}


@pytest.mark.parametrize("kind", ["llm", "person"])
def test_nobody_answers_for_nothing(kind: str) -> None:
    """A2: a price of $0 for a call that somebody pays for is a price not stated."""
    tier = f"layers: {{tiers: [{{name: t, kind: {kind}, usd: $0}}]}}\n"

    assert lint(rest=TRAFFIC + LABELS + tier)["A2"].risk == "MEDIUM"
    assert lint(rest=TRAFFIC + LABELS + tier.replace("$0", "$0, usd_hour: $1")) == {}


def test_a_limit_for_people_alone_limits_no_machine() -> None:
    """A2 wants dollars per decision of what runs."""
    assert "A2" in lint(LATENCY + RECALL + COST.replace("$0.005", "$0.005, by: people"))


def test_accuracy_on_a_slice_does_not_cover_the_rare_class() -> None:
    """A7: a quality of the wide slice is not one of the class that costs."""
    accuracy = "  - {quality: accuracy, on: most, at_least: 0.9}\n"
    traffic = TRAFFIC.replace("5x}", "5x, slices: {most: 95 %}}")

    found = lint(LATENCY + COST + accuracy, rest=traffic + LABELS)["A7"]

    assert found.risk == "HIGH"
    assert "fraud is 8 %" in found.why


def test_a_rare_slice_is_no_rare_class() -> None:
    """A7 is MEDIUM: a small group of customers may be answered like all others."""
    accuracy = "  - {quality: accuracy, at_least: 0.9}\n"
    traffic = TRAFFIC.replace("5x}", "5x, slices: {vip: 3 %}}")
    labels = "labels: {arrive_after: 1 d, per_month: 5000}\n"

    assert lint(LATENCY + COST + accuracy, rest=traffic + labels)["A7"].risk == "MEDIUM"


def test_a_launch_threshold_says_when_real_labels_come() -> None:
    """A7 is MEDIUM where recall is promised besides."""
    metric = "metrics:\n  - {name: accuracy, kind: model, at_least: 85 %, basis: proxies}\n"

    assert lint(metrics=metric)["A7"].risk == "MEDIUM"
    assert lint(metrics=metric.replace("proxies", "proxies until day 14")) == {}


def test_a_monthly_bill_is_a_price_per_decision() -> None:
    """A14 by hand: $500,000 a month at 10 / s is 500000 / (10 x 2629800) = $0.019."""
    month = "  - {cost: month, at_most: $500000}\n"
    goal = GOAL.replace("value_usd: 1", "value_usd: 0.001")

    assert lint(LATENCY + RECALL + month, goal=goal)["A14"].why.startswith("$0.0190 a decision")


def test_a_cap_of_each_call_may_lie_above_the_mean() -> None:
    """A14 judges the mean where there is one."""
    goal = GOAL.replace("value_usd: 1", "value_usd: 0.001")
    each = "  - {cost: each, at_most: $0.05}\n"

    assert lint(LATENCY + COST + each + RECALL, goal=goal) == {}
    assert lint(LATENCY + each + RECALL, goal=goal)["A14"].risk == "HIGH"


def test_a_model_metric_that_is_called_a_business_metric_is_found() -> None:
    """A15 reads the name as well as the kind."""
    found = lint(metrics="metrics:\n  - {name: roc_auc, kind: business}\n")["A15"]

    assert found.where == "brief.yaml:5"


@pytest.mark.parametrize(
    ("cost", "value", "fires"),
    [
        ("$0.005", "0.001", False),
        ("$0.03", "0.02", True),
        ("$0.03", "0.02..0.90", True),
        ("$0.03", "0.40..0.90", False),
    ],
)
def test_a_price_above_the_usual_cap_is_justified_in_dollars(
    cost: str, value: str, *, fires: bool
) -> None:
    """A14: $0.03 is fine for an answer that is surely worth more."""
    goal = GOAL.replace("value_usd: 1", f"value_usd: {value}")

    assert ("A14" in lint(LATENCY + RECALL + COST.replace("$0.005", cost), goal=goal)) == fires


def test_a_metric_that_is_declared_a_models_is_not_the_primary_one() -> None:
    """A15 believes the brief's own word about its kind."""
    metrics = (
        "metrics:\n  - {name: minutes_to_answer, kind: model}\n"
        "  - {name: solved_share, kind: business}\n"
    )

    found = lint(metrics=metrics)["A15"]

    assert found.risk == "MEDIUM"
    assert "metric: solved_share" in found.fix
