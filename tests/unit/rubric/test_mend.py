"""What a fix buys: the points that are lost without it, and limits in a second review."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from feasible.rubric import Finding, review
from feasible.schema import parse_brief

HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")


def _found(finding: str, *pairs: tuple[str, str]) -> Finding:
    text = HEALTHY
    for written, instead in pairs:
        assert written in text
        text = text.replace(written, instead)
    judged = review(parse_brief(text), today=date(2026, 11, 23), draws=10)
    return next(one for one in judged.findings if one.id == finding)


def test_a_lost_point_is_named_with_its_criterion() -> None:
    """Without an actor R1 lacks one point; an average latency costs one of R3."""
    assert _found("R1", ("  actor: shopper\n", "")).buys == "points: 1 of R1"
    average = _found("A6", ("latency: p99", "latency: mean"), ("latency_p99", "latency_mean"))
    assert average.buys.startswith("points: 1 of R3")
    assert "HIGH risk less" in average.buys


def test_an_infeasible_limit_is_reviewed_again_with_what_moves_it() -> None:
    """People at $3 a look: a quarter fewer looks, and the cost of a decision in dollars."""
    dear = _found("R3", ("usd: $1.20", "usd: $3.00"))

    assert dear.why.startswith("infeasible")
    assert "reviewed again: cost_mean from 123 % to" in dear.buys
    assert "(-$0.0" in dear.buys
    assert "a month less" in dear.buys
    assert "points" not in dear.buys


def test_retries_with_a_budget_are_counted() -> None:
    """Four tries of each call are at most 1.1 with a budget of a tenth."""
    again = _found(
        "A10", ("retries: 1, retry_budget: 10 %, breaker: 5 failures in 10 s", "retries: 3")
    )

    assert "1.1x the calls when it slows down, not 4x" in again.buys
