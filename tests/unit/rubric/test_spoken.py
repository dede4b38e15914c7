"""What was said when decides points, caps and findings."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest

from feasible.rubric import Said, SaidKind, review, spoken
from feasible.schema import load_brief

HEALTHY = Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml"
TODAY = date(2026, 11, 23)
FOUND = spoken(load_brief(HEALTHY).brief)
LIMITS = ("latency_p99", "cost_mean", "recall_abuse", "freshness")


def _limits(last_s: float) -> list[Said]:
    """Give the four kinds of limits, one by id or kind each, the last at an instant."""
    return [
        Said(at_s=60.0 * i if i < 3 else last_s, kind=SaidKind.OBJECTIVE, text=name, about=name)
        for i, name in enumerate(LIMITS)
    ]


def test_limits_by_minute_seven_earn_five_points_and_no_cap() -> None:
    """The score is of 100: what was not said is not there."""
    judged = review(FOUND, events=_limits(419.0), today=TODAY)

    assert judged.checkable == 100
    assert judged.caps == ()
    assert {c.id: c.points for c in judged.criteria}["R3"] == 15


@pytest.mark.parametrize("events", [_limits(420.0), _limits(60.0)[:3]])
def test_late_or_missing_limits_cost_five_points(events: list[Said]) -> None:
    """And the finding says when they stood."""
    judged = review(FOUND, events=events, today=TODAY)

    assert {c.id: c.points for c in judged.criteria}["R3"] == 10
    assert any(f.id == "R3" and "minute 7" in f.why for f in judged.findings)


@pytest.mark.parametrize("kind", ["model_named", "pipeline", "data_source"])
def test_a_model_or_data_before_the_limits_is_a_high_risk(kind: str) -> None:
    """With the words and the instant."""
    early = msgspec.convert({"at": 30, "kind": kind, "text": "Let's use BERT"}, Said)

    judged = review(FOUND, events=[early, *_limits(200.0)], today=TODAY)

    (finding,) = [f for f in judged.findings if f.id == "A1"]
    assert finding.risk == "HIGH"
    assert finding.where == "transcript:00:30"
    assert "Let's use BERT" in finding.why


def test_a_stage_that_takes_over_a_fifth_more_costs_a_point() -> None:
    """Scope has five minutes: six and a second are too many, six are not."""
    for end, cost in ((361.0, 1), (360.0, 0)):
        stages = [
            Said(at_s=0.0, kind=SaidKind.STAGE, text="", about="scope"),
            Said(at_s=end, kind=SaidKind.STAGE, text="", about="design"),
        ]
        judged = review(FOUND, events=[*stages, *_limits(200.0)], today=TODAY)

        assert judged.score == round(judged.points) - cost
        assert len(judged.caps) == cost
