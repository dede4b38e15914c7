"""What can be promised when, what it is worth and what moves it, in a terminal of 80 columns."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console, RenderableType

from feasible.planning import plan_brief
from feasible.report import (
    check_text,
    evidence_text,
    frontier_table,
    left_out_lines,
    sensitivity_table,
    timeline_table,
    value_table,
)
from feasible.schema import (
    Expired,
    FrontierPoint,
    LeftOut,
    PlanCheck,
    PlanReport,
    Sensitivity,
    Spread,
    Swing,
    ValueLine,
    ValueReport,
    load_brief,
)

SYSTEMS = Path(__file__).parents[3] / "src/feasible/systems"


def printed(part: RenderableType) -> str:
    """Print into a terminal of 80 columns; no line may be longer."""
    out = io.StringIO()
    Console(file=out, width=80).print(part)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    return "\n".join(" ".join(line.split()) for line in lines)


def fraud() -> PlanReport:
    """Answer the fraud system from its brief on a fixed day."""
    return plan_brief(load_brief(SYSTEMS / "fraud").brief, today=date(2026, 11, 24))


def test_evidence_says_rows_rates_and_dates_with_where_they_come_from() -> None:
    """Source: 598 / 99 and 598 / 80 months after 24 November 2026, and 14 days."""
    shown = printed(evidence_text(fraud()))

    assert "needed 598 without a miss, 947 with 1, 1,549 with 3" in shown
    assert "there none; missing 598 if none of them misses" in shown
    assert "80 to 99 a month (declared: labels.positives_per_month.fraud)" in shown
    assert "shown on 2027-06-10 .. 2027-07-24 at the earliest" in shown
    assert "1,258 rows at a true rate of 99.9 % (assumed)" in shown


def test_the_timeline_ends_with_the_promise() -> None:
    """The launch threshold first, marked as declared; the promise last."""
    shown = printed(timeline_table(fraud().timeline))

    assert "launch accuracy (declared) >= 85.0 % - 2026-12-08 -" in shown
    assert "recall fraud high risk >= 99.5 % 598 2027-06-10 2027-12-30" in shown


def test_every_reference_brief_fits_its_screen() -> None:
    """No system's answer from its brief is wider than a terminal."""
    for brief in sorted(SYSTEMS.glob("*/brief.yaml")):
        report = plan_brief(load_brief(brief).brief, today=date(2026, 11, 24))
        assert printed(evidence_text(report))
        assert printed(timeline_table(report.timeline))


def points() -> tuple[FrontierPoint, ...]:
    """Make a frontier of three points, the second chosen."""
    return tuple(
        FrontierPoint(
            cost_usd=usd, quality=quality, latency_ms=9.0, tiers=tiers, is_chosen=usd == 0.002
        )
        for usd, quality, tiers in (
            (0.001, 0.8, ("rules",)),
            (0.002, 0.9, ("rules", "small")),
            (0.012, 0.91, ("rules", "small", "person")),
        )
    )


def test_the_frontier_says_what_a_point_of_quality_costs_and_where_the_plan_stands() -> None:
    """Source: by hand, 1 dollar per 1,000 for 10 points, then 10 dollars for one."""
    report = PlanReport(feasible=True, plan=None, forecast=None, certificate=(), frontier=points())
    lines = printed(frontier_table(report)).splitlines()

    assert "$0.00100 80.0 % - 9 - rules" in lines
    assert "> $0.00200 90.0 % $0.10 9 - rules > small" in lines
    assert "$0.0120 91.0 % $10.00 9 - rules > small > person" in lines


def test_a_long_frontier_is_thinned_and_keeps_its_ends_and_the_plan() -> None:
    """At most a dozen of 100 points, the chosen one and the last."""
    many = tuple(
        FrontierPoint(
            cost_usd=i / 1000, quality=i / 200, latency_ms=None, tiers=("a",), is_chosen=i == 41
        )
        for i in range(1, 101)
    )
    report = PlanReport(feasible=True, plan=None, forecast=None, certificate=(), frontier=many)
    lines = [line for line in printed(frontier_table(report)).splitlines() if line.endswith(" a")]

    assert len(lines) <= 14
    assert lines[-1].startswith("$0.100 50.0 %")
    assert sum(line.startswith("> $0.0410") for line in lines) == 1


def test_value_names_the_best_design_its_rivals_and_its_assumptions() -> None:
    """Losses are negative, doing nothing is zero, and what is assumed is said."""
    value = ValueReport(
        lines=(
            ValueLine(
                name="the plan",
                kind="plan",
                tiers=("rules", "small"),
                right=0.9,
                cost_usd=0.01,
                net_usd=Spread(low=-0.2, mid=0.1, high=0.4),
                is_best=True,
            ),
            ValueLine(
                name="do not build this",
                kind="nothing",
                tiers=(),
                right=None,
                cost_usd=0.0,
                net_usd=Spread(low=0.0, mid=0.0, high=0.0),
            ),
        ),
        best="the plan",
        best_within="the plan",
        is_best_throughout=False,
        rivals=("do not build this",),
        assumptions=("declared in the brief, not measured",),
    )
    shown = printed(value_table(value))

    assert "the plan 90.0 % $0.010 -$0.20 $0.10 $0.40 rules > small" in shown
    assert "worth most: the plan at their middle; do not build this at some corner" in shown
    assert "declared in the brief, not measured" in shown


def test_sensitivity_shows_both_ends_and_what_breaks() -> None:
    """One line for each end; a promise that breaks is named."""
    now = Swing(at=1.0, cost_usd=0.6, net_usd=0.2, slack=0.1, tightest="accuracy", breaks=())
    high = Swing(
        at=1.1, cost_usd=0.65, net_usd=0.1, slack=-0.08, tightest="cost_mean", breaks=("cost_mean",)
    )
    found = Sensitivity(
        number="layers.tiers.person.usd",
        unit="usd",
        basis="10 % either way",
        low=now,
        now=now,
        high=high,
        best=("the plan", "the plan", "no LLM"),
    )
    shown = printed(sensitivity_table([found]))

    assert "as declared $0.600 $0.200 +10.0 % accuracy" in shown
    assert "person.usd (+-10 %) $1.00 $0.600 $0.200 +10.0 % accuracy" in shown
    assert "$1.10 $0.650 $0.100 -8.0 % breaks cost mean" in shown
    assert "worth most is the plan at $1.00, no LLM at $1.10" in shown


def test_a_tier_left_out_says_what_it_would_have_saved() -> None:
    """Planned again, or nothing is said."""
    report = PlanReport(
        feasible=True,
        plan=None,
        forecast=None,
        certificate=(),
        frontier=(),
        left_out=(
            LeftOut(tier="big", because="ready in 5 weeks", saves_usd=0.004),
            LeftOut(tier="old", because="off site", saves_usd=-0.001),
            LeftOut(tier="odd", because="it is simulated"),
        ),
    )

    assert left_out_lines(report) == [
        "left out: big: ready in 5 weeks; with it a plan saves $0.00400 a decision (planned again)",
        "left out: old: off site; with it a plan costs $0.00100 a decision (planned again)",
        "left out: odd: it is simulated",
    ]


def test_a_check_says_every_reason() -> None:
    """What was, what is, and what was looked at."""
    found = PlanCheck(
        plan="plan_1",
        made_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        stands=False,
        expired=(Expired(what="price", name="small", was="$1", now="$2"),),
        checked=("the brief",),
    )

    assert check_text(found).splitlines() == [
        "the certificate of plan_1, made 2026-01-02 03:04, has EXPIRED",
        "  price    small: was $1, is $2",
        "  looked at: the brief",
    ]
