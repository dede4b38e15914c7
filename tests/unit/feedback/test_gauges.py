"""A gauge means what the planner means: one stream of rows, replayed there and counted here."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from feasible.clock import VirtualClock
from feasible.feedback import HeadroomTracker
from feasible.planning import backtest
from feasible.schema import (
    Calibrator,
    DataUsed,
    Decision,
    Forecast,
    Label,
    LatencyForecast,
    PathStep,
    Plan,
    PlanTier,
    Profile,
    TierKind,
    parse_brief,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BRIEF = parse_brief("""\
feasible: 1
name: questions
goal: {statement: Answer questions}
envelope:
  - {latency: p50, at_most: 6 ms, by: machines}
  - {latency: p50, at_most: 6 ms}
  - {cost: mean, at_most: $0.01, by: machines}
  - {cost: mean, at_most: $0.5}
  - {quality: accuracy, on: known, at_least: 0.90}
  - {quality: accuracy, on: known, by: machines, at_least: 0.90}
  - {quality: accuracy, on: danger, at_least: 0.5}
  - {quality: recall, of: danger, on: danger, at_least: 0.90}
  - {quality: recall, of: fire, at_least: 0.90}
  - {quality: precision, of: danger, at_least: 0.90}
  - {quality: error_rate, at_most: 0.10}
  - {joint: right_in_time, within: 6 ms, at_least: 0.50}
  - {joint: right_in_time, within: 6 ms, by: machines, at_least: 0.50}
  - {joint: right_in_time, within: 6 ms, on: known, at_least: 0.50}
  - {abstention: share, at_most: 5 %}
  - {people: reviews, at_most: 30 %}
  - {people: reviews, on: known, at_most: 30 %}
layers:
  tiers:
    - {name: model, kind: model, use: "tiers:Model", usd: $0.001}
    - {name: ann, kind: person, usd: $1.50, error_rate: 5 %}
""").brief
CLASSES = ("chat", "else", "fire", "smoke")


def slices_of(value: object) -> frozenset[str]:
    """Give the slices of a true value."""
    if value == "else":
        return frozenset()
    return frozenset({"known", "danger"} if value in {"fire", "smoke"} else {"known"})


def step(name: str, kind: TierKind, usd: float, calibrator: Calibrator) -> PlanTier:
    """Make a step that answers from a probability of 0.5 on."""
    return PlanTier(
        name=name,
        kind=kind,
        version="1",
        share=0.5,
        thresholds={"*": 0.5},
        groups={},
        calibrators={"*": calibrator},
        latency_p50_ms=None,
        latency_p95_ms=None,
        cost_usd=usd,
        worst_cost_usd=usd,
    )


AS_IT_IS = Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=100)
PLAN = Plan(
    id="plan_1",
    feature="questions",
    brief_fingerprint="",
    made_at=NOON,
    tiers=(
        step("model", TierKind.MODEL, 0.001, AS_IT_IS),
        step("ann", TierKind.PERSON, 1.5, AS_IT_IS),
    ),
    fallback={},
    deadline_ms=None,
    cost_each_usd=None,
    forecast=Forecast(
        cost_usd=None,
        cost_usd_machines=None,
        latency_ms=LatencyForecast(p50=None, p95=None, p99=None),
        quality={},
        people_share=0.1,
    ),
    certificate=(),
    data=DataUsed(name="", synthetic=True, fingerprint="", n_fit=1, n_search=1, n_cert=1, split=""),
)


def test_every_value_is_the_one_that_a_back_test_gives() -> None:
    """400 rows, routed by the planner and told as decisions: values and counts are the same."""
    rng = np.random.default_rng(7)
    n = 400
    truth = rng.choice(4, size=n)
    given = np.where(rng.random(n) < 0.8, truth, rng.choice(4, size=n))
    score, took = rng.random(n) * 0.75 + 0.25, rng.uniform(2.0, 9.0, size=n)
    wrong = (given != truth).astype(float)
    labels = tuple(CLASSES[i] for i in truth)
    names = ("known", "danger")
    profile = Profile(
        row_ids=tuple(f"d{i}" for i in range(n)),
        tiers=("model", "ann"),
        loss=np.column_stack([wrong, np.full(n, 0.05)]),
        answered=np.ones((n, 2), dtype=np.bool_),
        score=np.column_stack([score, np.full(n, np.nan)]),
        answer_class=np.column_stack([given, np.full(n, -1)]),
        classes=CLASSES,
        latency_ms=np.column_stack([took, np.ones(n)]),
        cost_usd=np.column_stack([np.full(n, 0.001), np.full(n, 1.5)]),
        slices={s: np.array([s in slices_of(label) for label in labels]) for s in names},
        label=labels,
    )
    tracker = HeadroomTracker(BRIEF, PLAN, slices_of=slices_of, clock=VirtualClock(NOON))
    for i in range(n):
        handed = bool(score[i] < 0.5)
        path = [PathStep(tier="model", outcome="answered", latency_ms=took[i], cost_usd=0.001)]
        path += [PathStep(tier="ann", outcome="handed_off", latency_ms=1.0, cost_usd=1.5)] * handed
        tracker.add_decision(
            Decision(
                decision_id=f"d{i}",
                at=NOON,
                plan="plan_1",
                answer=None if handed else CLASSES[given[i]],
                probability=None if handed else float(score[i]),
                tier="ann" if handed else "model",
                path=tuple(path),
                cost_nusd=1_501_000_000 if handed else 1_000_000,
                latency_ms=float(took[i]) + handed,
                handed_off=handed,
            )
        )
        tracker.add_label(
            Label(decision_id=f"d{i}", value=labels[i], source="human", known_at=NOON)
        )

    replayed = {line.objective: line for line in backtest(PLAN, BRIEF, profile).promises}
    rows = {row.objective: row for row in tracker.rows()}
    assert rows.keys() == replayed.keys()
    for name, line in replayed.items():
        assert rows[name].n == line.n, name
        assert rows[name].unit == line.unit, name
        assert rows[name].limit == pytest.approx(line.limit), name
        assert rows[name].value == pytest.approx(line.value), name
        held = {True: "true", False: "false", None: "undecided"}[rows[name].holds]
        assert held in {line.held, "undecided"}, f"{name}: the opposite of the back-test"


@pytest.mark.parametrize(("declared", "value"), [("", 0.5), (", answer_within: 1 s", 1.0)])
def test_a_hand_off_is_in_time_when_the_person_is(declared: str, value: float) -> None:
    """Of 200 decisions every second is handed over; within 2 s a declared second is soon enough."""
    text = (
        "feasible: 1\nname: questions\ngoal: {statement: Answer}\nenvelope:\n"
        "  - {joint: right_in_time, within: 2 s, at_least: 0.2}\n"
        f"layers: {{tiers: [{{name: ann, kind: person{declared}}}]}}\n"
    )
    tracker = HeadroomTracker(
        parse_brief(text).brief, PLAN, slices_of=slices_of, clock=VirtualClock(NOON)
    )
    for i in range(200):
        handed = i % 2 == 1
        tracker.add_decision(
            Decision(
                decision_id=f"d{i}",
                at=NOON,
                plan="plan_1",
                answer=None if handed else "fire",
                probability=None,
                tier="ann" if handed else "model",
                path=(),
                cost_nusd=0,
                latency_ms=5.0,
                handed_off=handed,
            )
        )
        tracker.add_label(Label(decision_id=f"d{i}", value="fire", source="human", known_at=NOON))

    (row,) = tracker.rows()

    assert (row.n, row.value, row.holds) == (200, value, True)
