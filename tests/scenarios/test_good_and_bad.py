"""Good and bad answers to the same question: far apart, and for the reason that one would give."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from feasible.rubric import Review
from feasible.rubric.interview import judge, read_design, read_file

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "good_and_bad"
TODAY = date(2026, 12, 1)
APART = 25

NAMED = {
    "model_first": "A1",
    "no_failure_point": "A3",
    "more_data": "A4",
    "three_cents": "A14",
    "labels_late": "A4",
    "depth": "A5",
}
"""Pair -> the finding that the bad one earns and the good one does not."""


def _judged(name: str, kind: str) -> Review:
    return judge(read_design(read_file(HERE / f"{name}.{kind}.txt")), today=TODAY)


@pytest.mark.parametrize("name", NAMED)
def test_a_good_answer_is_far_above_a_bad_one(name: str) -> None:
    """At least 25 points lie between them."""
    assert _judged(name, "good").score >= _judged(name, "bad").score + APART


@pytest.mark.parametrize(("name", "finding"), NAMED.items())
def test_the_bad_answer_has_the_finding_that_names_its_flaw(name: str, finding: str) -> None:
    """What an interviewer would say of it is a finding; the good answer is free of it."""
    assert finding in {found.id for found in _judged(name, "bad").findings}
    assert finding not in {found.id for found in _judged(name, "good").findings}
