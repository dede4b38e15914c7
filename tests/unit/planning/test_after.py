"""What is added to a finished answer: prices of promises, dates and margins."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import numpy as np

from feasible.planning.after import explained
from feasible.schema import (
    Brief,
    DataUsed,
    Forecast,
    FrontierPoint,
    Infeasible,
    LatencyForecast,
    LeftOut,
    Plan,
    PlanReport,
    Profile,
    parse_brief,
)

TODAY = date(2026, 1, 1)
NOTHING = LatencyForecast(p50=None, p95=None, p99=None)
BRIEF = parse_brief("""\
feasible: 1
name: desk
goal: {statement: Answer}
envelope:
  - {quality: accuracy, at_least: 90 %}
  - {delivery: first_version, at_most: 2 weeks}
labels: {arrive_after: 14 d, per_month: 80..99}
layers:
  tiers:
    - {name: small, kind: model, usd: $0.01}
    - {name: big, kind: llm, usd: $0.02, ready_in: 6 weeks}
    - {name: unseen, kind: llm, usd: $0.03, ready_in: 8 weeks}
""").brief
ROWS = Profile(
    row_ids=tuple(str(i) for i in range(40)),
    tiers=("small", "big"),
    loss=np.zeros((40, 2)),
    answered=np.ones((40, 2), dtype=np.bool_),
    score=np.ones((40, 2)),
    answer_class=np.full((40, 2), -1),
    classes=(),
    latency_ms=np.ones((40, 2)),
    cost_usd=np.full((40, 2), 0.01),
)
LEFT = LeftOut(tier="big", because="ready in 6 weeks", objective="delivery_first_version")


def answer(cost_usd: float | None) -> PlanReport:
    """Make the planner's answer: a plan at a price, or none."""
    forecast = Forecast(
        cost_usd=cost_usd, cost_usd_machines=None, latency_ms=NOTHING, quality={}, people_share=0.0
    )
    plan = Plan(
        id="",
        feature="desk",
        brief_fingerprint="",
        made_at=datetime(2026, 1, 1, tzinfo=UTC),
        tiers=(),
        fallback={},
        deadline_ms=None,
        cost_each_usd=None,
        forecast=forecast,
        certificate=(),
        data=DataUsed(
            name="", synthetic=False, fingerprint="", n_fit=1, n_search=1, n_cert=1, split=""
        ),
    )
    return PlanReport(
        feasible=cost_usd is not None,
        plan=None if cost_usd is None else plan,
        forecast=None,
        certificate=(),
        frontier=(),
        left_out=(LEFT,),
    )


class Planner:
    """A planner with one answer, which remembers what it was asked."""

    def __init__(self, found: PlanReport) -> None:
        self.found, self.asked = found, list[Brief]()

    def __call__(self, brief: Brief) -> PlanReport:
        """Give the answer."""
        self.asked.append(brief)
        return self.found


def test_a_promise_that_rules_a_tier_out_makes_a_note_where_nothing_holds_with_it() -> None:
    """It is planned once more without that promise, and with all others."""
    again = Planner(answer(0.5))
    found = explained(answer(None), BRIEF, ROWS, again=again, today=TODAY)

    assert [[o.id for o in brief.envelope] for brief in again.asked] == [["accuracy"]]
    (note,) = found.notes
    assert note.startswith("planned again without delivery_first_version")
    assert note.endswith("every other promise holds, at $0.500 a decision")
    assert found.left_out[0].saves_usd is None


def test_a_tier_without_rows_is_left_out_with_its_price_and_without_a_guess() -> None:
    """Nobody knows what it would have answered."""
    found = explained(answer(None), BRIEF, ROWS, again=Planner(answer(None)), today=TODAY)
    left = {one.tier: one for one in found.left_out}

    assert set(left) == {"big", "unseen"}
    assert "it would cost $0.03 a call" in left["unseen"].because
    assert left["unseen"].saves_usd is None
    assert found.notes == ()


def test_a_simulated_tier_is_not_planned_again() -> None:
    """Its answers are not real, so that no saving could be."""
    again = Planner(answer(0.5))
    made_up = Profile(
        **{
            name: getattr(ROWS, name)
            for name in ("row_ids", "tiers", "loss", "answered", "score", "answer_class")
        },
        classes=(),
        latency_ms=ROWS.latency_ms,
        cost_usd=ROWS.cost_usd,
        simulated=frozenset({"big"}),
    )
    explained(answer(None), BRIEF, made_up, again=again, today=TODAY)

    assert again.asked == []


def test_missing_labels_get_a_date_for_each_end_of_the_rate() -> None:
    """Source: by hand, 598 labels at 99 and at 80 a month, and 14 days."""
    why = Infeasible(
        kind="evidence", binding=("accuracy",), because=("",), labels_needed={"accuracy": 598}
    )
    short = msgspec.structs.replace(answer(None), infeasible=why)
    found = explained(short, BRIEF, ROWS, again=Planner(answer(None)), today=TODAY).infeasible

    assert found is not None
    assert (found.earliest_date, found.latest_date) == (date(2026, 7, 18), date(2026, 8, 31))


def test_points_of_the_frontier_get_what_their_quality_costs() -> None:
    """Source: by hand, 2 dollars per 1,000 more for 4 points."""
    points = tuple(
        FrontierPoint(cost_usd=usd, quality=quality, latency_ms=None, tiers=())
        for usd, quality in ((0.001, 0.90), (0.003, 0.94))
    )
    report = msgspec.structs.replace(answer(None), frontier=points)
    found = explained(report, BRIEF, ROWS, again=Planner(answer(None)), today=TODAY)

    first, second = (point.marginal_usd for point in found.frontier)
    assert first is None
    assert second is not None
    assert round(second, 9) == 0.5
