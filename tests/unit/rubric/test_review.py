"""A review is whole for any brief that can be read, and the same every time."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest

from feasible.rubric import Verdict, review
from feasible.schema import SECTIONS, parse_brief

HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")
LEAST = "feasible: 1\nname: x\ngoal: {statement: x}\nenvelope: [{latency: p99, at_most: 1 s}]\n"
TODAY = date(2026, 11, 23)


def test_the_least_that_is_a_brief_is_reviewed() -> None:
    """Four sections are enough to plan from logs, and few of the points."""
    judged = review(parse_brief(LEAST), today=TODAY)

    assert judged.verdict is Verdict.NOT_READY
    assert judged.points == 2 + 5  # a percentile, stated before any tier
    assert judged.score == round(100 * 7 / 46)
    assert {finding.id for finding in judged.findings} == {"A2", "A3", "A8"}


@pytest.mark.parametrize("section", [s for s in SECTIONS if s not in LEAST])
def test_any_section_may_be_missing(section: str) -> None:
    """The review says what is missing, and does not stumble over it."""
    lines = HEALTHY.splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{section}:"))
    end = next(
        (i for i in range(start + 1, len(lines)) if not lines[i].startswith((" ", "\n"))),
        len(lines),
    )

    rest = "".join(lines[:start] + lines[end:])
    if section == "traffic":  # a fallback for a slice that no traffic names is refused on reading
        rest = rest.replace(", abuse: person}", "}")

    judged = review(parse_brief(rest), today=TODAY)

    assert 0 <= judged.score <= 100
    assert judged.findings or judged.points < 46 or section == "bottleneck"


def test_the_keys_that_pipelines_rely_on_are_there() -> None:
    """As JSON, with numbers where numbers are promised."""
    answer = msgspec.json.decode(msgspec.json.encode(review(parse_brief(LEAST), today=TODAY)))

    assert {"score", "verdict", "criteria", "findings"} <= answer.keys()
    assert {"id", "points", "max", "evidence"} <= answer["criteria"][0].keys()
    assert {"id", "risk", "where", "why", "fix"} == answer["findings"][0].keys()
    assert answer["verdict"] == "not ready"


def test_the_gravest_findings_come_first() -> None:
    """HIGH, then MEDIUM, then LOW, each by its line."""
    text = HEALTHY.replace("peak: 8x, ", "").replace("capacity: 200 / h, ", "")

    assert [f.risk for f in review(parse_brief(text), today=TODAY).findings] == ["HIGH", "MEDIUM"]


def test_missing_points_alone_ask_for_work() -> None:
    """No risk is open, and a seventh of the points is not there."""
    text = HEALTHY.replace("metrics:\n", "metrics: []\nx:\n", 1)
    start = text.index("x:\n")
    text = text[:start] + text[text.index("envelope:") :]

    judged = review(parse_brief(text), today=TODAY)

    assert judged.findings == ()
    assert judged.points == 46 - 7
    assert judged.verdict is Verdict.NEEDS_WORK


def test_the_same_brief_on_the_same_day_gives_the_same_review() -> None:
    """Draws are seeded."""
    first, second = (review(parse_brief(HEALTHY), today=TODAY) for _ in range(2))

    assert first == second


def test_without_a_day_it_is_today() -> None:
    """The label dates count from now."""
    assert review(parse_brief(HEALTHY)).score == 100
