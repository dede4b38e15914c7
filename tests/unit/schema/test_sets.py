"""A brief with other values for some of its numbers: each in its place, its unit, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from feasible.errors import BriefError
from feasible.schema import Sets, brief_with, parse_brief
from feasible.units import Rate

HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")
BRIEF = parse_brief(HEALTHY).brief


def test_each_number_is_set_in_its_own_place() -> None:
    """Tiers, parts of layers, labels of a class, limits; the rest stays as it was."""
    sets: Sets = {
        "scorer.capacity": "100 / s",
        "labels.positives_per_month.abuse": 240,
        "retrain.every": "7 d",
        "recall_abuse.confidence_level": 0.9,
    }

    then = brief_with(BRIEF, sets)

    assert then.tier("scorer").capacity == Rate("100 / s")
    assert then.labels.positives_per_month["abuse"].mid == 240
    assert then.layers.feedback is not None
    assert then.layers.feedback.retrain is not None
    assert then.layers.feedback.retrain.every is not None
    assert then.layers.feedback.retrain.every.days == 7
    assert then.objective("recall_abuse").confidence_level == 0.9
    assert then.tier("person") == BRIEF.tier("person")
    assert brief_with(BRIEF, {}) == BRIEF


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("scorr.capacity", "1 / s", "did you mean `scorer`"),
        ("scorer.capasity", "1 / s", "did you mean `capacity`"),
        ("scorer.capacity", "100 ms", "is a duration"),
        ("scorer.capacity", 100, "has no unit"),
        ("scorer.keeps", "x", "is no number of this brief"),
        ("scorer", 1, "is no number of this brief"),
        ("scorer.retries", 1.5, "expected a number"),
        ("scorer.retries", -1, "expected a number"),
        ("scorer.asynchronous", 1, "expected true or false"),
        ("features.max_age", "1 h", "has no `features`"),
    ],
)
def test_what_is_no_number_of_the_brief_is_refused(
    name: str, value: str | float, told: str
) -> None:
    """With the nearest number, or the unit that its place takes."""
    text = HEALTHY[: HEALTHY.index("  features:")] + HEALTHY[HEALTHY.index("  tiers:") :]

    with pytest.raises(ValueError, match=told):
        brief_with(parse_brief(text).brief, {name: value})


def test_a_fix_that_sets_nothing_of_the_brief_is_refused_at_its_line() -> None:
    """When the brief is read, as any other mistake."""
    text = HEALTHY.replace("sets: {scorer.capacity: 100 / s}", "sets: {scorer.capacty: 100 / s}")
    line = next(i for i, one in enumerate(text.splitlines(), 1) if "capacty" in one)

    with pytest.raises(BriefError, match=rf"brief.yaml:{line}: .*did you mean `capacity`"):
        parse_brief(text)
