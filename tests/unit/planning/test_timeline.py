"""What can be promised on which date, from a brief and from what a certificate showed."""

from __future__ import annotations

from datetime import date

import pytest

from feasible.planning.timeline import evidence_lines, label_dates, timeline
from feasible.schema import CertificateLine, parse_brief

TODAY = date(2026, 1, 1)
BRIEF = parse_brief("""\
feasible: 1
name: fraud
goal: {statement: Stop fraud}
metrics:
  - {name: launch_accuracy, kind: model, at_least: 85 %, basis: proxies for two weeks}
envelope:
  - {quality: recall, of: fraud, on: high_risk, at_least: 99.5 %}
  - {quality: accuracy, at_least: 90 %}
  - {delivery: first_version, at_most: 2 weeks}
  - {delivery: recall_fraud_high_risk, at_most: 18 months}
traffic: {slices: {high_risk: 2 %}}
labels: {arrive_after: 14 d, positives_per_month: {fraud: 80..99}}
""").brief


def line(objective: str, **changes: object) -> CertificateLine:
    """Make a line of a certificate: 200 rows without a miss, not enough to hold."""
    fields: dict[str, object] = {
        "objective": objective,
        "limit": 0.995,
        "unit": "ratio",
        "is_ceiling": False,
        "value": 1.0,
        "bound": 0.985,
        "n": 200,
        "misses": 0.0,
        "confidence_level": 0.95,
        "method": "exact binomial",
        "assumption": "",
        "holds": None,
    }
    return CertificateLine(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_recall_of_995_takes_598_frauds_and_more_with_every_miss() -> None:
    """Source: P(Bin(n, 0.005) <= k) <= 0.05 for k = 0, 1, 3, by tables of the binomial."""
    need = evidence_lines(BRIEF, today=TODAY)[0]

    assert need.rows_by_misses == {"0": 598, "1": 947, "3": 1549}
    assert (need.have, need.missing, need.likely_rows) == (0, 598, 1258)
    assert need.likely_at == pytest.approx(0.999)


def test_a_range_of_label_rates_gives_two_dates() -> None:
    """Source: by hand, 598 / 99 and 598 / 80 months of 30.4375 days, and 14 days: 198 and 242."""
    need = evidence_lines(BRIEF, today=TODAY)[0]

    assert (need.per_month, need.rate_from) == ((80.0, 99.0), "labels.positives_per_month.fraud")
    assert (need.earliest, need.latest) == (date(2026, 7, 18), date(2026, 8, 31))
    assert (need.likely_earliest, need.likely_latest) == (date(2027, 2, 6), date(2027, 5, 9))


def test_the_rows_that_count_are_named_and_what_the_dates_take_for_granted() -> None:
    """The rate is of every fraud; the promise is about those in a slice."""
    need = evidence_lines(BRIEF, today=TODAY)[0]

    assert need.counts == "labelled rows whose truth is `fraud` in slice `high_risk`"
    assert need.note is not None
    assert "how much of it is in slice `high_risk` is not declared" in need.note
    assert need.due == date(2027, 7, 2)  # 18 months of 30.4375 days


def test_without_a_label_rate_there_is_no_date_and_the_reason_is_given() -> None:
    """Accuracy is judged on every label, and the brief says nothing of how many there are."""
    need = evidence_lines(BRIEF, today=TODAY)[1]

    assert (need.per_month, need.earliest, need.latest, need.likely_latest) == (None,) * 4
    assert "declares no label rate" in (need.note or "")
    assert label_dates(BRIEF, {"accuracy": 29}, today=TODAY) == (None, None)


def test_rows_of_a_certificate_are_not_collected_again() -> None:
    """598 - 200 without a miss are missing; a promise that holds misses nothing."""
    needs = evidence_lines(
        BRIEF,
        today=TODAY,
        lines=(line("recall_fraud_high_risk"), line("accuracy", limit=0.9, holds=True)),
    )

    assert (needs[0].have, needs[0].missing) == (200, 398)
    assert (needs[1].have, needs[1].missing, needs[1].earliest) == (200, 0, TODAY)


def test_a_value_on_the_wrong_side_is_mended_by_no_number_of_rows() -> None:
    """At 10 misses in 200 the recall is 95 %: there is no day on which 99.5 % could be shown."""
    broken = line("recall_fraud_high_risk", value=0.95, bound=0.916, misses=10.0, holds=False)

    need = evidence_lines(BRIEF, today=TODAY, lines=(broken,))[0]
    promised = timeline(BRIEF, today=TODAY, evidence=(need,), lines=(broken,))[-1]

    assert (need.missing, need.earliest, need.likely_rows) == (None, None, None)
    assert promised.is_promised
    assert (promised.rows, promised.earliest, promised.likely_earliest) == (None, None, None)


def test_the_timeline_begins_with_what_a_metric_declares_for_the_launch() -> None:
    """85 % on proxies from the first version on; nobody certified it."""
    first = timeline(BRIEF, today=TODAY, evidence=())[0]

    assert (first.promise, first.limit, first.basis) == ("launch_accuracy", 0.85, "declared")
    assert (first.earliest, first.rows) == (date(2026, 1, 15), None)
    assert first.note == "proxies for two weeks"


def test_floors_rise_to_the_promise_and_so_do_their_rows_and_dates() -> None:
    """Source: ceil(ln 0.05 / ln floor) = 59, 149, 299, 598 for 95, 98, 99 and 99.5 %."""
    needs = evidence_lines(BRIEF, today=TODAY)[:1]
    steps = [s for s in timeline(BRIEF, today=TODAY, evidence=needs) if s.basis != "declared"]

    assert [(s.limit, s.rows) for s in steps[-4:]] == [
        (0.95, 59),
        (0.98, 149),
        (0.99, 299),
        (0.995, 598),
    ]
    assert [s.is_promised for s in steps] == [False] * (len(steps) - 1) + [True]
    days = [s.earliest for s in steps if s.earliest is not None]
    assert len(days) == len(steps)
    assert days == sorted(days)
    assert (steps[-1].earliest, steps[-1].latest) == (needs[0].earliest, needs[0].latest)


def test_what_a_certificate_shows_already_is_promised_today() -> None:
    """200 rows without a miss show 98.5 %: steps below it are not listed any more."""
    lines = (line("recall_fraud_high_risk"),)
    needs = evidence_lines(BRIEF, today=TODAY, lines=lines)[:1]
    steps = timeline(BRIEF, today=TODAY, evidence=needs, lines=lines)[1:]

    assert [(s.limit, s.basis) for s in steps] == [
        (0.985, "shown"),
        (0.99, "if no row misses"),
        (0.995, "if no row misses"),
    ]
    assert steps[0].earliest == TODAY
    assert steps[1].rows == 299


def test_a_promise_that_holds_has_no_timeline() -> None:
    """What is shown needs no date."""
    lines = (line("recall_fraud_high_risk", holds=True),)
    needs = evidence_lines(BRIEF, today=TODAY, lines=lines)[:1]

    steps = timeline(BRIEF, today=TODAY, evidence=needs, lines=lines)

    assert {step.basis for step in steps} == {"declared"}


def test_weighted_rows_need_more_by_the_square_of_their_distance() -> None:
    """Source: by hand, from .97 to .94 with 1,000 rows: to .95 with 1.5 squared times as many."""
    brief = parse_brief("""\
feasible: 1
name: shop
goal: {statement: Sell}
envelope: [{quality: accuracy, at_least: 96.5 %}]
labels: {per_month: 1000}
""").brief
    weighted = line("accuracy", value=0.97, bound=0.94, n=1000, misses=30.0, method="betting")
    needs = evidence_lines(brief, today=TODAY, lines=(weighted,), needed={"accuracy": 9})

    steps = timeline(brief, today=TODAY, evidence=needs, lines=(weighted,))

    assert [(s.limit, s.rows, s.basis) for s in steps[1:]] == [
        (0.95, 2250, "at the present miss rate"),
        (0.965, 1009, "at the present miss rate"),  # as the planner counted them
    ]
