"""Labels that are too young, or that nobody knows the chance of, judge no quality."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from feasible.errors import DataError
from feasible.planning import plan_profile
from feasible.planning.checks import check_profile
from feasible.planning.labels import fair_labels, least_chance
from feasible.schema import Brief, PlanReport, Profile, parse_brief

NOW = datetime(2026, 1, 1, tzinfo=UTC)
N = 3000
DAY_S = 86_400.0
DAYS = np.arange(N) * DAY_S / 30
"""A hundred days of thirty rows."""


def rows() -> Profile:
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
    )


def brief(rest: str = "labels: {arrive_after: 10 d}\n", least: str = "0.9") -> Brief:
    """Promise a quality and a cost."""
    return parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"
        f"  - {{quality: accuracy, at_least: {least}}}\n  - {{cost: mean, at_most: $0.01}}\n{rest}"
    ).brief


def plan(promise: Brief, profile: Profile) -> PlanReport:
    """Plan as users do."""
    caps = {"m": 0.002}
    return plan_profile(promise, profile, data="d", synthetic=True, worst_usd=caps, now=NOW)


def test_rows_younger_than_a_label_takes_judge_cost_and_no_quality() -> None:
    """Of 90 days that are old enough the last 36 judge quality; the last ten judge cost as well."""
    report = plan(brief(), replace(rows(), time_s=DAYS))
    lines = {line.objective: line for line in report.certificate}

    assert lines["accuracy"].n == pytest.approx(0.4 * 2700, abs=2)
    assert lines["cost_mean"].n == lines["accuracy"].n + 300
    assert "300 rows of the last 10 d judge no quality: their labels have not all come" in (
        report.notes
    )


def test_labels_that_are_known_to_have_come_since_make_rows_old_enough() -> None:
    """The log was written when the last label came, not when the last row did."""
    known_at = DAYS + 10 * DAY_S

    fair, notes = fair_labels(brief(), replace(rows(), time_s=DAYS, known_at=known_at))

    assert not np.isnan(fair.loss).any()
    assert notes == ()


def test_labels_that_came_later_than_declared_are_told() -> None:
    """A tenth took 20 days where the brief says 10."""
    known_at = DAYS + np.where(np.arange(N) % 10 == 0, 20.0, 5.0) * DAY_S

    _, notes = fair_labels(brief(), replace(rows(), time_s=DAYS, known_at=known_at))

    assert notes[0] == "10.0% of the labels came later than `labels.arrive_after`, 10 d"


def test_labels_that_are_all_too_young_are_refused_with_the_reason() -> None:
    """Nothing is left to judge by."""
    with pytest.raises(DataError, match="no label may judge quality"):
        fair_labels(brief("labels: {arrive_after: 200 d}\n"), replace(rows(), time_s=DAYS))


def test_a_label_without_a_chance_judges_nothing_where_chances_are_logged() -> None:
    """It came by a way that nobody knows."""
    chance = np.where(np.arange(N) < 100, np.nan, 0.5)

    fair, notes = fair_labels(brief(), replace(rows(), propensity=chance))

    assert np.isnan(fair.loss).sum() == 100
    assert notes == ("100 labels without a `propensity` judge no quality",)


def audited() -> Profile:
    """Half of the rows are doubtful and wrong 15 % of the time; labels were asked for there."""
    rng = np.random.default_rng(3)
    doubtful = rng.random(N) < 0.5
    chance = np.where(doubtful, 1.0, 0.25)
    loss = (rng.random(N) < np.where(doubtful, 0.15, 0.01)).astype(float)
    loss[rng.random(N) >= chance] = np.nan
    return replace(rows(), loss=loss[:, None], propensity=chance)


def test_labels_weigh_by_the_chance_with_which_they_were_asked_for() -> None:
    """The truth is 8 %; of the labels alone 12 % are misses."""
    with_chances = plan(brief("", "0.85"), audited())
    alone = plan(brief("", "0.85"), replace(audited(), propensity=None))
    (line, _), (naive, _) = with_chances.certificate, alone.certificate

    assert line.method == "betting, by inverse propensity"
    assert "labels were asked for with the logged chances" in line.assumption
    assert line.holds
    assert line.value == pytest.approx(0.92, abs=0.02)
    assert naive.value == pytest.approx(0.88, abs=0.02)


def test_one_chance_for_all_is_a_fair_sample() -> None:
    """Every row was asked about with the same chance: the exact bound stands."""
    report = plan(brief(""), replace(rows(), propensity=np.full(N, 0.3)))

    assert report.certificate[0].method == "exact binomial"


def test_chances_outside_what_is_possible_are_refused() -> None:
    """A row that is never asked about has no chance, rather than one of 0."""
    assert least_chance(replace(rows(), propensity=np.full(N, np.nan))) is None
    with pytest.raises(DataError, match="propensity of row '0' is 0"):
        check_profile(replace(rows(), propensity=np.zeros(N)))
