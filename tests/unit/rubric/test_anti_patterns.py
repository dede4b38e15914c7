"""Every anti-pattern A1 to A13 is raised by what makes it, and not by a healthy brief."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from feasible.rubric import review
from feasible.schema import parse_brief

HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")
TODAY = date(2026, 11, 23)

MADE = {
    "A1": (r"^  statement: ", "  statement: With a BERT model, "),
    "A2": (r"usd: \$1.20, ", ""),
    "A3": (r"^failures:\n  - .*\n", ""),
    "A4": (r"change: a second replica", "change: train on more data"),
    "A5": (r"objective: latency_p99\}\Z", "objective: latency_p99, knob: person.usd}"),
    "A6": (r"latency: p99", "latency: mean"),
    "A7": (r"quality: recall, of: abuse, on: abuse", "quality: accuracy"),
    "A8": (r", peak: \d+x", ""),
    "A9": (r", ttl: [^,]*", ""),
    "A10": (r", retry_budget: 10 %, breaker: [^,]*", ""),
    "A11": (r"^    retrain: .*\n", "    retrain: {trigger: regularly}\n"),
    "A12": (r"^labels: .*\n", ""),
    "A13": (r"(kind: person.*?), capacity: [^,]*", r"\1"),
}
"""Anti-pattern -> what is written otherwise to make it."""


def _found(text: str) -> set[str]:
    return {finding.id for finding in review(parse_brief(text), today=TODAY, draws=10).findings}


@pytest.mark.parametrize("name", MADE)
def test_an_anti_pattern_is_raised_where_it_is_made(name: str) -> None:
    """One change of a healthy brief, and its own finding is there."""
    pattern, instead = MADE[name]
    text, count = re.subn(pattern, instead, HEALTHY.rstrip(), flags=re.MULTILINE)
    assert count == 1, pattern
    text = text.replace("latency_p99", "latency_mean") if name == "A6" else text
    text = text.replace("recall_abuse", "accuracy") if name == "A7" else text

    assert name in _found(text)


@pytest.mark.parametrize("name", MADE)
def test_a_healthy_brief_has_none_of_them(name: str) -> None:
    """The same brief without the change."""
    assert name not in _found(HEALTHY)


def test_a_deep_tradeoff_that_names_what_binds_is_relevant() -> None:
    """A5 is about the knob: the one that moves the first limit is no waste of time."""
    text = HEALTHY.rstrip().replace(
        "objective: latency_p99}", "objective: throughput_peak, knob: scorer.capacity}"
    )

    assert "A5" not in _found(text)
