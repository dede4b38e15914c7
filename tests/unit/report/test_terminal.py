"""An answer that there is no plan, in a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from feasible.report import infeasible_panel
from feasible.schema import Infeasible, PlanReport, Relaxation


def test_an_offer_has_every_digit_that_a_brief_takes() -> None:
    """What was planned with is 99.39 %; 99.4 %, to which it rounds, was not."""
    why = Infeasible(
        kind="tradeoff",
        binding=("accuracy", "cost_mean"),
        because=(),
        relaxations=(
            Relaxation(objective="accuracy", from_=0.995, to=0.9939, unit="ratio", verified=True),
            Relaxation(objective="cost_mean", from_=0.00512, to=0.0061, unit="usd", verified=True),
        ),
    )
    report = PlanReport(
        feasible=False, plan=None, forecast=None, certificate=(), frontier=(), infeasible=why
    )
    out = io.StringIO()
    Console(file=out, width=80).print(infeasible_panel(report))

    assert "accuracy 99.5 % -> 99.39 % (planned again: holds)" in out.getvalue()
    assert "cost_mean $0.00512 -> $0.0061 (planned again: holds)" in out.getvalue()


def test_only_quality_takes_labels() -> None:
    """Rows that show what a decision costs need no label."""
    why = Infeasible(
        kind="evidence",
        binding=("cost_mean", "accuracy"),
        because=(),
        labels_needed={"cost_mean": 1200, "accuracy": 30},
    )
    report = PlanReport(
        feasible=False, plan=None, forecast=None, certificate=(), frontier=(), infeasible=why
    )
    out = io.StringIO()
    Console(file=out, width=80).print(infeasible_panel(report))

    assert "cost_mean: 1,200 more rows are needed" in out.getvalue()
    assert "accuracy: 30 more labelled rows are needed" in out.getvalue()
