"""A review is whole for any brief that can be read, and the same every time."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import msgspec
import pytest

from feasible.rubric import Risk, Verdict, review
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
    grave = {finding.id for finding in judged.findings if finding.risk is Risk.HIGH}
    assert grave == {"A2"}


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
    if section == "layers":  # a number of a tier that is not there cannot be set
        rest = rest.replace("    sets: {scorer.capacity: 100 / s}\n", "")

    judged = review(parse_brief(rest), today=TODAY)

    assert 0 <= judged.score <= 100
    assert judged.findings


def test_the_keys_that_pipelines_rely_on_are_there() -> None:
    """As JSON, with numbers where numbers are promised."""
    answer = msgspec.json.decode(msgspec.json.encode(review(parse_brief(LEAST), today=TODAY)))

    assert {"score", "verdict", "criteria", "findings"} <= answer.keys()
    assert {"id", "points", "max", "evidence"} <= answer["criteria"][0].keys()
    assert {"id", "risk", "where", "why", "fix", "buys", "waived"} == answer["findings"][0].keys()
    assert answer["verdict"] == "not ready"


def test_the_gravest_findings_come_first() -> None:
    """HIGH, then MEDIUM, then LOW, each by its line."""
    text = HEALTHY.replace("peak: 8x, ", "").replace("capacity: 200 / h, ", "")

    assert [f.risk for f in review(parse_brief(text), today=TODAY).findings] == ["HIGH", "MEDIUM"]


def test_missing_points_are_findings_too() -> None:
    """No lint speaks of metrics that are not there; the criterion does, at the goal."""
    start, end = HEALTHY.index("metrics:\n"), HEALTHY.index("envelope:\n")

    judged = review(parse_brief(HEALTHY[:start] + HEALTHY[end:]), today=TODAY)

    (finding,) = judged.findings
    assert (finding.id, finding.risk, finding.where) == ("R2", "MEDIUM", "brief.yaml:4")
    assert judged.points == 46 - 7
    assert judged.verdict is Verdict.NEEDS_WORK


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("latency_p95: 3 ms", "latency_p95: 0.003 s"),
        ("latency_p95: 80 ms", "latency_p95: 60..100 ms"),
        ("rate: 10 / s", "rate: 9..11 / s"),
        ("rate: 10 / s", "rate: 36000 / h"),
        ("abuse: 3 %}}", "abuse: 0.03}}"),
        ("usd: $0.0002", "usd: $0..0.0004"),
        ("  actor: shopper\n", ""),
        (", reach: 40 %", ""),
        (", latency_p95: 80 ms", ""),
        ("    source: return requests as they are sent\n", ""),
        ("confidence_level: 0.95", "confidence_level: 0.90"),
        ("envelope:\n", "envelope:\n  - {cost: each, at_most: $0.02}\n"),
        ("envelope:\n", "envelope:\n  - {freshness: blocked_items, at_most: 10 s}\n"),
    ],
)
def test_another_way_to_say_the_same_is_no_high_risk(written: str, instead: str) -> None:
    """Units, ranges and optional keys are free."""
    assert written in HEALTHY
    text = HEALTHY.replace(written, instead, 1)

    judged = review(parse_brief(text), today=TODAY)

    assert [f for f in judged.findings if f.risk is Risk.HIGH] == []


@pytest.mark.parametrize("section", ["traffic", "failures", "bottleneck", "tradeoff", "labels"])
def test_sections_may_stand_in_another_order(section: str) -> None:
    """Only tiers and models before the envelope are a HIGH risk."""
    lines = HEALTHY.splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{section}:"))
    end = next(
        (i for i in range(start + 1, len(lines)) if not lines[i].startswith(" ")), len(lines)
    )
    rest = "".join(lines[:start] + lines[end:])
    text = rest.replace("envelope:\n", "".join(lines[start:end]) + "envelope:\n")

    judged = review(parse_brief(text), today=TODAY)

    assert [f for f in judged.findings if f.risk is Risk.HIGH] == []


@pytest.mark.parametrize("instead", ["rate: 0 / s", "peak: 0x", "capacity: 0 / s"])
def test_a_zero_divides_nothing(instead: str) -> None:
    """A rate or a capacity of zero is treated as unknown."""
    key = instead.split(":", maxsplit=1)[0]
    text = re.sub(rf"{key}: [\d.]+( / \w+|x)", instead, HEALTHY, count=1)

    assert instead in text
    assert 0 <= review(parse_brief(text), today=TODAY).score <= 100


def test_the_same_brief_on_the_same_day_gives_the_same_review() -> None:
    """Draws are seeded."""
    first, second = (review(parse_brief(HEALTHY), today=TODAY) for _ in range(2))

    assert first == second


def test_without_a_day_it_is_today() -> None:
    """The label dates count from now."""
    assert review(parse_brief(HEALTHY)).score == 100
