"""How many labels a promise takes, and when they are there."""

from __future__ import annotations

from datetime import date

import pytest
from scipy.stats import binom

from feasible.rubric.evidence import evidence_needs, likely_rows
from feasible.schema import Brief, parse_brief

TODAY = date(2026, 11, 23)


def brief(envelope: str, labels: str = "{per_month: 1000}") -> Brief:
    """Give a brief with this envelope and these labels."""
    return parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: x}\n"
        f"envelope:\n{envelope}"
        f"traffic: {{slices: {{risky: 2 %}}}}\nlabels: {labels}\n"
    ).brief


@pytest.mark.parametrize(("floor", "fewest"), [("99.5 %", 598), ("0.99", 299), ("0.95", 59)])
def test_the_fewest_cases_are_those_of_the_exact_binomial(floor: str, fewest: int) -> None:
    """With no miss among n, 1 - 0.05 ** (1 / n) bounds the miss rate (Clopper and Pearson)."""
    (need,) = evidence_needs(brief(f"  - {{quality: recall, of: risky, at_least: {floor}}}\n"))

    assert need.fewest == fewest
    assert (1 - 0.05 ** (1 / fewest)) <= 1 - float(floor.rstrip(" %")) / (
        100 if "%" in floor else 1
    )


def test_the_likely_number_leaves_room_for_misses() -> None:
    """At a true recall of 99.9 %, 1,258 cases show 99.5 % with a chance of 80 %; 947 do not."""
    assert likely_rows(0.005, confidence_level=0.95) == 1258
    assert binom.cdf(2, 1258, 0.001) >= 0.8
    assert binom.cdf(1, 947, 0.001) < 0.8


def test_labels_of_the_class_come_before_labels_of_the_slice() -> None:
    """Positives a month where they are stated, else the slice's share of all labels."""
    objective = "  - {quality: recall, of: fraud, on: risky, at_least: 0.95}\n"

    (stated,) = evidence_needs(
        brief(objective, "{per_month: 1000, positives_per_month: {fraud: 7}}")
    )
    (shared,) = evidence_needs(brief(objective))
    (unknown,) = evidence_needs(brief(objective, "{arrive_after: 1 d}"))

    assert stated.per_month == 7
    assert shared.per_month == pytest.approx(20)
    assert unknown.per_month is None
    assert unknown.day(unknown.fewest, TODAY) is None


def test_the_date_adds_the_label_delay() -> None:
    """59 cases at 59 a month take one month of 30.4 days; 14 days later they have matured."""
    (need,) = evidence_needs(
        brief(
            "  - {quality: recall, of: risky, at_least: 0.95}\n",
            "{arrive_after: 14 d, positives_per_month: {risky: 59}}",
        )
    )

    assert need.days(59) == pytest.approx(365.25 / 12 + 14)
    assert need.day(59, TODAY) == date(2027, 1, 7)


def test_a_delivery_of_its_own_says_when_a_promise_is_due() -> None:
    """Otherwise it is due with the last thing that the brief delivers."""
    recall = "  - {quality: recall, of: risky, at_least: 0.95}\n"
    accuracy = "  - {quality: accuracy, at_least: 0.90}\n"
    first = "  - {delivery: first_version, at_most: 14 d}\n"
    own = "  - {delivery: recall_risky, at_most: 60 d}\n"

    needs = evidence_needs(brief(recall + accuracy + first + own))
    undated = evidence_needs(brief(recall))

    assert [need.due_days for need in needs] == [pytest.approx(60), pytest.approx(14)]
    assert needs[0].due_at == "envelope[3]"
    assert undated[0].due_days is None


def test_a_ceiling_on_an_error_is_its_own_miss_limit() -> None:
    """An error of at most 5 % needs as many cases as an accuracy of at least 95 %."""
    (ceiling,) = evidence_needs(brief("  - {quality: demand_error, at_most: 0.05}\n"))
    (floor,) = evidence_needs(brief("  - {quality: accuracy, at_least: 0.95}\n"))

    assert ceiling.fewest == floor.fewest == 59
