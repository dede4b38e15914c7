"""What a brief decides before there is a row."""

from __future__ import annotations

from datetime import date

import pytest

from feasible.planning.before import plan_brief, too_few_labels
from feasible.schema import Brief, Example, parse_brief

TODAY = date(2026, 1, 1)


def brief(envelope: str, tiers: str = "", rest: str = "") -> Brief:
    """Make a brief of some promises and tiers."""
    layers = f"layers: {{tiers: [{tiers}]}}" if tiers else ""
    return parse_brief(f"""\
feasible: 1
name: fraud
goal: {{statement: Stop fraud}}
envelope: [{envelope}]
{rest}
{layers}
""").brief


def test_a_promise_that_takes_labels_is_a_matter_of_evidence() -> None:
    """The answer has no plan, the labels that are missing, and both dates."""
    rate = "labels: {arrive_after: 14 d, positives_per_month: {fraud: 80..99}}"
    report = plan_brief(
        brief("{quality: recall, of: fraud, at_least: 99.5 %}", rest=rate), today=TODAY
    )
    why = report.infeasible

    assert why is not None
    assert (report.feasible, report.plan, why.kind) == (False, None, "evidence")
    assert why.binding == ("recall_fraud",)
    assert why.labels_needed == {"recall_fraud": 598}
    assert (why.earliest_date, why.latest_date) == (date(2026, 7, 18), date(2026, 8, 31))


@pytest.mark.parametrize(
    "promise",
    [
        "quality: accuracy, at_least: 100 %",
        "quality: error_rate, at_most: 0 %",
        "people: reviews, at_most: 0 %",
    ],
)
def test_what_no_number_of_rows_can_show_is_said_at_once(promise: str) -> None:
    """Rows without a miss never show that there is none."""
    tiers = "{name: ann, kind: person, usd: $1, error_rate: 1 %}"
    why = plan_brief(brief(f"{{{promise}}}", tiers), today=TODAY).infeasible

    assert why is not None
    assert why.kind == "structural"
    assert "no number of rows can show" in why.because[0]


def test_a_promise_without_labels_still_takes_rows() -> None:
    """Nothing of this brief needs labels, and nothing of it is known to hold."""
    why = plan_brief(brief("{cost: mean, at_most: $0.01}"), today=TODAY).infeasible

    assert why is not None
    assert (why.kind, why.binding, why.labels_needed) == ("evidence", (), {})
    assert "rows are needed" in why.because[0]


@pytest.mark.parametrize(
    ("envelope", "tiers", "binding", "said"),
    [
        (
            "{latency: p99, at_most: 100 ms}",
            "{name: a, kind: model, latency_p95: 150..300 ms}",
            "latency_p99",
            "the fastest tier, a, takes 150 ms",
        ),
        (
            "{cost: mean, at_most: $0.001}",
            "{name: a, kind: model, usd: $0.002..$0.004}, {name: b, kind: llm, usd: $1}",
            "cost_mean",
            "the cheapest tier, a, costs $0.002",
        ),
        (
            "{delivery: first_version, at_most: 2 weeks}",
            "{name: a, kind: model, ready_in: 5 weeks}",
            "delivery_first_version",
            "no tier is left",
        ),
    ],
)
def test_promises_that_no_declared_tier_can_keep_are_structural(
    envelope: str, tiers: str, binding: str, said: str
) -> None:
    """The kinder end of every range still breaks the promise."""
    why = plan_brief(brief(envelope, tiers), today=TODAY).infeasible

    assert why is not None
    assert (why.kind, why.binding) == ("structural", (binding,))
    assert said in why.because[0]


@pytest.mark.parametrize(
    ("envelope", "tiers"),
    [
        # The range begins below the limit.
        ("{latency: p99, at_most: 200 ms}", "{name: a, kind: model, latency_p95: 150..300 ms}"),
        # One tier's latency is not declared.
        (
            "{latency: p99, at_most: 100 ms}",
            "{name: a, kind: model, latency_p95: 300 ms}, {name: b, kind: rules}",
        ),
        # A p95 says nothing about the median.
        ("{latency: p50, at_most: 100 ms}", "{name: a, kind: model, latency_p95: 300 ms}"),
        # A hand-off answers at once.
        (
            "{latency: p99, at_most: 100 ms}",
            "{name: a, kind: model, latency_p95: 300 ms}, {name: p, kind: person, usd: $1}",
        ),
        # Repeats cost nothing.
        (
            "{cost: mean, at_most: $0.001}",
            "{name: c, kind: cache, usd: $0, ttl: 1 h}, {name: a, kind: model, usd: $0.002}",
        ),
        ("{cost: mean, at_most: $0.01}", "{name: a, kind: model, usd: $0.002}"),
    ],
)
def test_a_way_around_is_no_structural_conflict(envelope: str, tiers: str) -> None:
    """What rows could still turn out to show is left to the rows."""
    why = plan_brief(brief(envelope, tiers), today=TODAY).infeasible

    assert why is not None
    assert why.kind == "evidence"


def test_a_promise_due_before_its_labels_can_be_there_is_structural() -> None:
    """Half a year of frauds cannot be there in two months."""
    made = brief(
        "{quality: recall, of: fraud, at_least: 99.5 %}, "
        "{delivery: recall_fraud, at_most: 2 months}",
        rest="labels: {arrive_after: 14 d, positives_per_month: {fraud: 80..99}}",
    )
    why = plan_brief(made, today=TODAY).infeasible

    assert why is not None
    assert (why.kind, why.binding) == ("structural", ("recall_fraud",))
    assert "2026-07-18" in why.because[0]


def test_tiers_that_come_too_late_are_left_out_with_their_price() -> None:
    """The promise that rules a tier out is named, and what a call would have cost."""
    made = brief(
        "{delivery: first_version, at_most: 2 weeks}",
        "{name: a, kind: rules}, {name: b, kind: model, ready_in: 5 weeks, usd: $0.002}",
    )
    (left,) = plan_brief(made, today=TODAY).left_out

    assert (left.tier, left.objective) == ("b", "delivery_first_version")
    assert "it would cost $0.002 a call" in left.because


def test_rows_that_are_too_few_are_said_before_training() -> None:
    """30 frauds are not 598; 29 rows of the slice show 90 %, and 28 do not."""
    made = brief(
        "{quality: recall, of: fraud, at_least: 99.5 %}, "
        "{quality: accuracy, on: vip, at_least: 90 %}",
        rest="labels: {per_month: 1000}\ntraffic: {slices: {vip: 10 %}}",
    )
    rows = [
        Example(
            row_id=str(i),
            request={},
            label="fraud" if i < 30 else "fine",
            slices=frozenset({"vip"} if i < 29 else ()),
        )
        for i in range(100)
    ]

    (said,) = too_few_labels(made, rows, today=TODAY)
    assert said.startswith("recall_fraud cannot be shown with these rows: 30 count, and 598")
    assert len(too_few_labels(made, rows[1:], today=TODAY)) == 2
