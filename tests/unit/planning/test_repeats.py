"""Copies of a row under new ids are one piece of evidence; equal answers are not copies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from feasible.planning import plan_profile
from feasible.planning.repeats import with_repeats
from feasible.schema import IntArray, Profile, parse_brief

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rows(n: int = 1500) -> Profile:
    """One tier that is right nine times in ten, with measured times."""
    rng = np.random.default_rng(1)
    return Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("m",),
        loss=(rng.random((n, 1)) < 0.1).astype(float),
        answered=np.ones((n, 1), dtype=np.bool_),
        score=rng.integers(0, 10, (n, 1)) / 10,
        answer_class=np.zeros((n, 1), dtype=np.int64),
        classes=("a",),
        latency_ms=rng.lognormal(3, 0.5, (n, 1)),
        cost_usd=np.full((n, 1), 0.001),
    )


def copied(which: IntArray) -> Profile:
    """Give some rows, again and again, under new ids."""
    return replace(rows().take(which), row_ids=tuple(str(i) for i in range(len(which))))


def test_ten_copies_of_each_row_judge_as_one() -> None:
    """150 rows logged ten times over are 150 entities, and are told."""
    found, notes = with_repeats(copied(np.arange(1500) % 150))

    assert found.entity is not None
    assert len(set(found.entity)) == 150
    assert found.entity[0] == found.entity[150]
    assert notes[0].startswith("1,350 of 1,500 rows repeat another in everything but their id")


def test_copies_certify_no_more_than_their_originals_can() -> None:
    """At 1,500 copies of 150 rows, 90 of 100 right is not shown to be more than 85 of 100."""
    text = "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"
    brief = parse_brief(text + "  - {quality: accuracy, at_least: 0.85}\n").brief
    profile = copied(np.arange(1500) % 150)

    report = plan_profile(brief, profile, data="d", synthetic=True, now=NOW)
    apart = tuple(map(str, range(1500)))
    fooled = plan_profile(brief, replace(profile, entity=apart), data="d", synthetic=True, now=NOW)

    assert not report.feasible
    assert "entities" in report.certificate[0].method
    assert any("repeat another" in note for note in report.notes)
    assert fooled.feasible


def test_few_copies_change_nothing() -> None:
    """Below one row in a hundred it is not worth a word."""
    which = np.arange(1500)
    which[:14] = which[100:114]

    assert with_repeats(copied(which))[1] == ()


def test_equal_answers_without_measured_times_are_no_copies() -> None:
    """Ten scores, two losses, one price and whole milliseconds: rows are alike by accident."""
    for times in (np.full((1500, 1), 5.0), np.round(rows().latency_ms), np.full((1500, 1), np.nan)):
        assert with_repeats(replace(rows(), latency_ms=times))[0].entity is None


def test_rows_with_entities_keep_them() -> None:
    """Whoever says whose rows they are knows better."""
    profile = replace(copied(np.arange(1500) % 150), entity=tuple(map(str, range(1500))))

    assert with_repeats(profile)[0] is profile


def test_the_same_question_asked_twice_is_no_copy() -> None:
    """People ask alike; a copy has the same measured time too."""
    profile = replace(rows(), text=tuple(f"question {i % 150}" for i in range(1500)))

    assert with_repeats(profile)[0].entity is None
