"""What designs are worth by the brief's own numbers."""

from __future__ import annotations

import numpy as np
import pytest

from feasible.planning.value import most_valuable, net_usd, value_report, worth_of
from feasible.schema import (
    Brief,
    Comparison,
    FrontierPoint,
    LatencyForecast,
    PlanReport,
    ValueReport,
    parse_brief,
)

CURVE = "response: [{of: resolved, to: latency_ms, points: {100: 1, 300: 0.5}, basis: assumed}]"


def brief(worth: str, more: str = "") -> Brief:
    """Make a brief with four tiers, of which one is an LLM."""
    return parse_brief(f"""\
feasible: 1
name: desk
goal:
  statement: Answer
  metric: minutes
  now: 40
  target: 20
  {worth}
  {more}
envelope:
  - {{quality: accuracy, at_least: 80 %}}
  - {{cost: mean, at_most: $0.15}}
layers:
  tiers:
    - {{name: rules, kind: rules}}
    - {{name: small, kind: model}}
    - {{name: big, kind: llm}}
    - {{name: person, kind: person, error_rate: 0 %, usd: $1}}
""").brief


def point(usd: float, quality: float, *tiers: str, **more: object) -> FrontierPoint:
    """Make a point of the frontier, 100 ms late."""
    fields: dict[str, object] = {"cost_usd": usd, "quality": quality, "latency_ms": 100.0}
    return FrontierPoint(tiers=tiers, **{**fields, **more})  # type: ignore[arg-type]


POINTS = (
    point(0.01, 0.80, "small", is_chosen=True),
    point(0.10, 0.90, "small", "big"),
    point(0.50, 0.95, "small", "person"),
)
RULES = Comparison(
    name="rules alone",
    quality={"accuracy": 0.6},
    cost_usd=0.0,
    latency_ms=LatencyForecast(p50=1.0, p95=1.0, p99=1.0),
    breaks=("accuracy",),
)


def judged(made: Brief, *points: FrontierPoint) -> ValueReport:
    """Judge a frontier and the rules beside it."""
    report = PlanReport(
        feasible=True,
        plan=None,
        forecast=None,
        certificate=(),
        frontier=points or POINTS,
        comparisons=(RULES,),
    )
    found = value_report(made, report)
    assert found is not None
    return found


def test_net_value_is_right_answers_less_wrong_ones_less_their_cost() -> None:
    """Source: by hand, .9 x 1 - .1 x 2 - .10 = .60; .8 x 1 - .2 x 2 - .01 = .39; .6 - .8 = -.2."""
    found = judged(brief("value_usd: 1\n  error_usd: 2"))
    net = {line.name: line.net_usd.mid for line in found.lines}

    assert net == pytest.approx(
        {
            "the plan": 0.39,
            "best of the frontier": 0.60,
            "no LLM": 0.39,
            "rules only": -0.20,
            "do not build this": 0.0,
        }
    )
    assert (found.best, found.is_best_throughout) == ("best of the frontier", True)
    assert [spread.mid for spread in found.net_usd_by_point if spread] == pytest.approx(
        [0.39, 0.60, 0.35]
    )


def test_low_pairs_the_low_worth_with_the_high_price_of_an_error() -> None:
    """Source: by hand, .9 x 1 - .1 x 8 - .1 = 0 and .9 x 3 - .1 x 4 - .1 = 2.2."""
    found = judged(brief("value_usd: 1..3\n  error_usd: 4..8"))
    best = next(line for line in found.lines if line.name == "best of the frontier")

    assert (best.net_usd.low, best.net_usd.high) == pytest.approx((0.0, 2.2))


def test_doing_nothing_can_be_worth_most() -> None:
    """A wrong answer so dear that no design earns it back."""
    found = judged(brief("value_usd: 0.01\n  error_usd: 50"))

    assert found.best == "do not build this"
    assert found.is_best_throughout


def test_a_rival_at_some_corner_of_the_ranges_is_named() -> None:
    """At a worth of 0.1 and an error of 2 dollars nothing pays; in the middle something does."""
    found = judged(brief("value_usd: 0.1..2\n  error_usd: 0.5..2"))

    assert found.best == "best of the frontier"
    assert not found.is_best_throughout
    assert "do not build this" in found.rivals


def test_a_design_that_is_hardly_better_does_not_displace_the_plan() -> None:
    """A thousandth of what is at stake is told apart by nobody."""
    plan = point(0.1001, 0.90, "small", "big", is_chosen=True)
    found = judged(brief("value_usd: 1\n  error_usd: 2"), plan, POINTS[1])

    assert (found.best, found.is_best_throughout) == ("the plan", True)
    assert "frontier" not in {line.kind for line in found.lines}


def test_what_breaks_a_promise_is_said_and_passed_over() -> None:
    """The point with a person is worth most here, and costs more than is promised."""
    found = judged(brief("value_usd: 1\n  error_usd: 20"))
    best = next(line for line in found.lines if line.is_best)

    assert (found.best, best.tiers) == ("do not build this", ())
    dear = judged(brief("value_usd: 20\n  error_usd: 20"))
    line = next(line for line in dear.lines if line.is_best)
    assert (line.tiers, line.breaks) == (("small", "person"), ("cost_mean",))
    assert dear.best_within == "the plan"


def test_a_late_answer_is_worth_what_the_curve_leaves() -> None:
    """Source: by hand, half way from 100 to 300 ms leaves .75: .9 x .75 - .1 x 2 - .10 = .375."""
    made = brief("value_usd: 1\n  error_usd: 2", CURVE)
    found = judged(made, point(0.10, 0.90, "small", is_chosen=True, latency_ms=200.0))

    assert found.lines[0].net_usd.mid == pytest.approx(0.375)
    assert any("assumed" in one and "resolved" in one for one in found.assumptions)


def test_a_metric_that_should_fall_is_worth_most_where_it_is_lowest() -> None:
    """Source: by hand, 20 minutes against 40 at this latency: half of the worth is left."""
    curve = "response: [{of: minutes, to: latency_ms, points: {0: 20, 100: 40}, basis: measured}]"
    found = judged(brief("value_usd: 1\n  error_usd: 0", curve), point(0, 0.9, is_chosen=True))

    assert found.lines[0].net_usd.mid == pytest.approx(0.45)


def test_a_curve_of_quality_weighs_what_is_right() -> None:
    """Source: by hand, at an accuracy of .9 the curve leaves .8 of its best: .9 x .8 = .72."""
    curve = "response: [{of: kept, to: accuracy, points: {0.8: 0.6, 1.0: 1.0}, basis: assumed}]"
    found = judged(brief("value_usd: 1\n  error_usd: 0", curve), point(0, 0.9, is_chosen=True))

    assert found.lines[0].net_usd.mid == pytest.approx(0.72)


def test_a_curve_of_something_else_is_said_to_be_unused() -> None:
    """Nothing that is declared is passed over in silence."""
    curve = "response: [{of: kept, to: price_usd, points: {1: 1, 2: 0.5}, basis: assumed}]"
    found = judged(brief("value_usd: 1\n  error_usd: 2", curve))

    assert any("kept by price_usd" in one and "not used" in one for one in found.assumptions)


def test_right_answers_that_were_counted_go_before_the_accuracy_of_a_slice() -> None:
    """Source: by hand, .5 x 1 - .5 x 2 - .1 = -.6, whatever the promised slice says."""
    found = judged(
        brief("value_usd: 1\n  error_usd: 2"),
        point(0.1, 0.9, "small", is_chosen=True, right=0.5, earned=0.5),
    )

    assert found.lines[0].net_usd.mid == pytest.approx(-0.6)
    assert not any("taken to be accuracy" in one for one in found.assumptions)


def test_rows_are_counted_by_their_weight_and_unjudged_ones_not_at_all() -> None:
    """Source: by hand, (3 x 1 + 1 x 0) / 4 right; the right ones at 200 ms keep 3/4."""
    made = brief("value_usd: 1", CURVE)
    worth = worth_of(
        made,
        loss=np.array([0.0, 1.0, np.nan]),
        latency_ms=np.array([200.0, 100.0, 100.0]),
        weight=np.array([3.0, 1.0, 9.0]),
    )

    assert worth is not None
    assert (worth.right, worth.earned) == pytest.approx((0.75, 0.5625))
    assert net_usd(made.goal, worth, 0.1).mid == pytest.approx(0.4625)
    nobody = worth_of(
        made, loss=np.array([np.nan]), latency_ms=np.array([1.0]), weight=np.array([1.0])
    )
    assert nobody is None


def test_the_most_valuable_of_several_designs_is_found_and_the_first_of_equals() -> None:
    """Unknown worth or unknown cost is passed over, never taken for nothing."""
    made = brief("value_usd: 1\n  error_usd: 2")
    good = worth_of(made, loss=np.array([0.0]), latency_ms=np.array([1.0]), weight=np.array([1.0]))

    designs = [(None, 0.0), (good, None), (good, 0.5), (good, 0.1), (good, 0.1)]
    assert most_valuable(made, designs) == 3
    assert most_valuable(made, designs[:2]) is None


def test_without_a_worth_nothing_is_said() -> None:
    """A value that nobody declared is unknown, not 0."""
    bare = brief("")
    report = PlanReport(feasible=True, plan=None, forecast=None, certificate=(), frontier=POINTS)

    assert value_report(bare, report) is None
    assert most_valuable(bare, []) is None
