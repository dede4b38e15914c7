"""How many rows a promise takes, and when they will be there."""

from __future__ import annotations

from datetime import date

import numpy as np

from feasible.planning.evidence import (
    earliest_date,
    evidence_schedule,
    labels_needed,
    minimum_evidence,
    rows_to_judge,
    unshowable,
)
from feasible.schema import CertificateLine, Profile, parse_brief

BRIEF = parse_brief("""\
feasible: 1
name: fraud
goal: {statement: Stop fraud}
envelope:
  - {quality: recall, of: fraud, at_least: 0.995}
  - {quality: accuracy, on: small, at_least: 0.9}
  - {cost: mean, at_most: $0.01}
traffic: {slices: {small: 10 %}}
labels: {arrive_after: 14 d, per_month: 2000, positives_per_month: {fraud: 90}}
""").brief


def line(objective: str, **changes: object) -> CertificateLine:
    """Make a line of a certificate."""
    fields: dict[str, object] = {
        "objective": objective,
        "limit": 0.995,
        "unit": "ratio",
        "is_ceiling": False,
        "value": 1.0,
        "bound": 0.97,
        "n": 97,
        "misses": 0.0,
        "confidence_level": 0.95,
        "method": "exact binomial",
        "assumption": "",
        "holds": False,
    }
    return CertificateLine(**{**fields, **changes})  # type: ignore[arg-type]


def test_ninety_frauds_a_month_show_a_recall_of_995_in_more_than_six_months() -> None:
    """Source: 598 / 90 months and 14 days, by hand: 203 + 14 days after 1 January 2026."""
    schedule = evidence_schedule(BRIEF, today=date(2026, 1, 1))["recall_fraud"]

    assert minimum_evidence(BRIEF)["recall_fraud"] == 598
    assert schedule["rows_without_a_miss"] == 598
    assert schedule["earliest_date"] == "2026-08-06"
    assert schedule["rows_for_four_in_five"] == 1258
    assert schedule["likely_date"] == "2027-03-17"


def test_a_slice_gets_its_share_of_the_labels() -> None:
    """A tenth of 2,000 labels a month: 200 more take a month and the delay."""
    when = earliest_date(BRIEF, {"accuracy_small": 200}, today=date(2026, 1, 1))

    assert when == date(2026, 2, 15)
    assert earliest_date(BRIEF, {}, today=date(2026, 1, 1)) is None


def test_labels_needed_is_what_is_missing_at_the_present_rate() -> None:
    """Source: 598 - 97 without a miss; a mean needs the square of bound over slack."""
    spent = line(
        "cost_mean", limit=0.01, value=0.008, bound=0.012, n=100, method="betting", is_ceiling=True
    )

    needed = labels_needed(BRIEF, (line("recall_fraud"), spent))

    assert needed == {"recall_fraud": 501, "cost_mean": 300}


def test_misses_that_luck_explains_have_to_be_made_up_for() -> None:
    """Four misses at 95 % take 181 rows (Clopper and Pearson), so that 45 of them lack 136."""
    brief = parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: s}\n"
        "envelope: [{quality: accuracy, at_least: 95 %}]\n"
    ).brief
    few = line("accuracy", limit=0.95, value=1 - 4 / 45, bound=0.8, n=45, misses=4.0)

    assert labels_needed(brief, (few,), too_few={"accuracy"}) == {"accuracy": 136}


def test_cost_waits_for_traffic_and_not_for_labels() -> None:
    """What a decision costs is known at once, whatever the delay of labels."""
    brief = parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: s}\n"
        "envelope: [{cost: mean, at_most: $1}]\n"
        "traffic: {rate: 100 / d}\nlabels: {arrive_after: 14 d}\n"
    ).brief

    when = earliest_date(brief, {"cost_mean": 150}, today=date(2026, 1, 1))

    assert when == date(2026, 1, 3)


def test_a_value_on_the_wrong_side_is_not_a_matter_of_labels() -> None:
    """More rows of a broken promise only show it better."""
    broken = line("recall_fraud", value=0.9, bound=0.85, misses=10.0)

    assert labels_needed(BRIEF, (broken,)) == {}


def test_a_value_at_its_limit_is_not_told_apart_from_it() -> None:
    """Half a million rows more are not a plan."""
    near = line("accuracy_small", limit=0.9, value=0.9005, bound=0.86, n=600, misses=59.7)

    assert labels_needed(BRIEF, (near,)) == {}


def test_rows_are_counted_without_looking_at_their_losses() -> None:
    """58 rows of the slice are one too few for 90 % ... 29 are enough; 30 frauds are not 598."""
    n = 400
    rows = Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("m",),
        loss=np.ones((n, 1)),
        answered=np.ones((n, 1), dtype=np.bool_),
        score=np.ones((n, 1)),
        answer_class=np.zeros((n, 1), dtype=np.int64),
        classes=("fraud",),
        latency_ms=np.ones((n, 1)),
        cost_usd=np.ones((n, 1)),
        slices={"small": np.arange(n) < 29},
        label=tuple("fraud" if i < 30 else "fine" for i in range(n)),
    )
    everything = np.ones(n, dtype=np.bool_)

    assert unshowable(BRIEF, rows_to_judge(BRIEF, rows, everything)) == {"recall_fraud": 30}
    assert unshowable(BRIEF, rows_to_judge(BRIEF, rows, np.arange(n) > 0)) == {
        "recall_fraud": 29,
        "accuracy_small": 28,
    }
