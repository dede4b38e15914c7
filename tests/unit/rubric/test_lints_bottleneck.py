"""What is said of a named bottleneck before a plan or a simulation can judge it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from feasible.rubric import Finding, review
from feasible.schema import parse_brief

HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")


def lint(written: str, instead: str) -> list[Finding]:
    """Give the findings of a brief with one thing written otherwise."""
    assert written in HEALTHY
    text = HEALTHY.replace(written, instead)
    return list(review(parse_brief(text), today=date(2026, 11, 23), draws=10).findings)


def test_a_brief_names_its_bottleneck() -> None:
    """R5 proposes the knob that the brief's own numbers show."""
    bottleneck = HEALTHY[HEALTHY.index("bottleneck:") : HEALTHY.index("tradeoff:")]

    (found,) = lint(bottleneck, "")

    assert (found.id, found.risk) == ("R5", "MEDIUM")
    assert "knob: scorer." in found.fix


@pytest.mark.parametrize(
    ("written", "instead", "fix"),
    [
        ("knob: scorer.capacity", "knob: scorer.capacty", "`knob: scorer.capacity`"),
        ("knob: scorer.capacity", "knob: gpu.memory", "one of "),
        ("objective: throughput_peak", "objective: throughput_pek", "`objective: throughput_peak`"),
    ],
)
def test_a_name_that_is_nothing_in_the_brief_is_asked_about(
    written: str, instead: str, fix: str
) -> None:
    """R5 never guesses what was meant; it offers the nearest."""
    (found,) = lint(written, instead)

    assert (found.id, found.risk) == ("R5", "MEDIUM")
    assert fix in found.fix


def test_a_tier_may_be_named_as_a_whole() -> None:
    """Which of its properties is for the simulation to ask."""
    assert lint("knob: scorer.capacity", "knob: scorer") == []


def test_another_knob_than_the_guess_is_worth_knowing() -> None:
    """R5 is LOW: a closed form is a guess."""
    (found,) = lint("knob: scorer.capacity", "knob: rules.latency_p95")

    assert (found.id, found.risk) == ("R5", "LOW")
    assert "`knob: scorer." in found.fix


def test_a_fix_has_a_price_and_an_alternative() -> None:
    """R6 lists what is missing."""
    (found,) = lint("    usd_month: $70\n", "")

    assert (found.id, found.risk) == ("R6", "MEDIUM")
    assert "no price" in found.why
