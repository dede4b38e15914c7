"""A fixed plan replayed with one declared number moved: every figure worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from feasible.planning.sensitivity import judging_rows, sensitivity
from feasible.schema import (
    Brief,
    Calibrator,
    DataUsed,
    Forecast,
    FrontierPoint,
    LatencyForecast,
    Plan,
    PlanReport,
    PlanTier,
    Profile,
    Sensitivity,
    TierKind,
    parse_brief,
)

NOTHING = LatencyForecast(p50=None, p95=None, p99=None)
BRIEF = parse_brief("""\
feasible: 1
name: desk
goal: {statement: Answer, value_usd: 1..4, error_usd: 2}
envelope:
  - {cost: mean, at_most: $0.60}
  - {quality: accuracy, at_least: 90 %}
  - {people: reviews, at_most: 70 %}
traffic: {slices: {hard: 40..62.5 %}}
layers:
  tiers:
    - {name: small, kind: model, usd: $0.05..$0.20}
    - {name: person, kind: person, usd: $1, error_rate: 10 %}
""").brief


def step(name: str, kind: TierKind, usd: float) -> PlanTier:
    """Make a tier that answers from a score of 0.5 on."""
    return PlanTier(
        name=name,
        kind=kind,
        version="v1",
        share=0.5,
        thresholds={"*": 0.5},
        groups={},
        calibrators={"*": Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=9)},
        latency_p50_ms=1.0,
        latency_p95_ms=1.0,
        cost_usd=usd,
        worst_cost_usd=usd,
    )


PLAN = Plan(
    id="",
    feature="desk",
    brief_fingerprint="",
    made_at=datetime(2026, 1, 1, tzinfo=UTC),
    tiers=(step("small", TierKind.MODEL, 0.1), step("person", TierKind.PERSON, 1.0)),
    fallback={"default": "person"},
    deadline_ms=None,
    cost_each_usd=None,
    forecast=Forecast(
        cost_usd=None, cost_usd_machines=None, latency_ms=NOTHING, quality={}, people_share=0.5
    ),
    certificate=(),
    data=DataUsed(
        name="rows", synthetic=False, fingerprint="", n_fit=1, n_search=1, n_cert=1, split=""
    ),
)


def rows(n: int = 200) -> Profile:
    """Make rows of which every other one is hard: a person gets it, and 10 cents are lost."""
    is_hard = np.arange(n) % 2 == 1
    return Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("small",),
        loss=np.where(is_hard, 1.0, 0.0)[:, None],
        answered=np.ones((n, 1), dtype=np.bool_),
        score=np.where(is_hard, 0.1, 0.9)[:, None],
        answer_class=np.full((n, 1), -1),
        classes=(),
        latency_ms=np.ones((n, 1)),
        cost_usd=np.full((n, 1), 0.1),
        slices={"hard": is_hard},
    )


def report(*points: FrontierPoint) -> PlanReport:
    """Make a planner's answer with a frontier."""
    return PlanReport(feasible=True, plan=PLAN, forecast=None, certificate=(), frontier=points)


def moved(made: Brief = BRIEF, *points: FrontierPoint) -> dict[str, Sensitivity]:
    """Replay the plan; give the lines by the number that is moved."""
    return {s.number: s for s in sensitivity(PLAN, made, rows(), report(*points))}


def test_a_persons_price_moves_the_cost_by_their_share() -> None:
    """Source: by hand, .1 for all and a person for half: .1 + .5 x (.9, 1, 1.1)."""
    found = moved()["layers.tiers.person.usd"]

    assert found.basis == "10 % either way"
    costs = [found.low.cost_usd, found.now.cost_usd, found.high.cost_usd]
    assert costs == pytest.approx([0.55, 0.60, 0.65])
    assert (found.now.breaks, found.high.breaks) == ((), ("cost_mean",))
    assert found.high.slack == pytest.approx((0.60 - 0.65) / 0.60)
    assert found.high.tightest == "cost_mean"


def test_a_persons_errors_move_what_is_right() -> None:
    """Source: by hand, half by a person at 9 to 11 % errors; right earns 2 and wrong loses 2."""
    found = moved()["layers.tiers.person.error_rate"]

    nets = [found.low.net_usd, found.now.net_usd, found.high.net_usd]
    assert nets == pytest.approx([2 * (1 - e / 2) - 2 * e / 2 - 0.60 for e in (0.09, 0.10, 0.11)])


def test_a_slices_share_moves_who_answers_and_so_the_cost() -> None:
    """Source: by hand, 40 or 62.5 % of the traffic cost a dollar for a person, after .1 for all."""
    found = moved()["traffic.slices.hard"]

    assert found.basis == "declared range"
    assert (found.low.at, found.high.at) == (0.4, 0.625)
    assert [found.low.cost_usd, found.high.cost_usd] == pytest.approx([0.50, 0.725])
    assert found.high.breaks == ("cost_mean",)
    # People have 3/7 of their limit left there, and the cost 1/6 of its own.
    assert found.low.tightest == "accuracy"
    assert found.low.slack == pytest.approx((0.96 - 0.90) / 0.90)


def test_a_tiers_declared_range_scales_what_its_calls_cost() -> None:
    """Source: by hand, half and double of .1, and half a dollar for people."""
    found = moved()["layers.tiers.small.usd"]

    assert [found.low.cost_usd, found.now.cost_usd, found.high.cost_usd] == pytest.approx(
        [0.55, 0.60, 0.70]
    )


def test_the_worth_of_an_answer_moves_net_value_and_the_best_design() -> None:
    """Source: by hand, at 1 dollar the cheap point wins, at 4 the one that is right more often."""
    cheap = FrontierPoint(
        cost_usd=0.05, quality=0.90, latency_ms=None, tiers=("small",), is_chosen=True
    )
    dear = FrontierPoint(cost_usd=0.44, quality=1.0, latency_ms=None, tiers=("small", "person"))
    found = moved(BRIEF, cheap, dear)["goal.value_usd"]

    # .9 x 1 - .1 x 2 - .05 = .65 against 1 - .44 = .56; .9 x 4 - .25 = 3.35 against 3.56.
    assert found.best == ("the plan", "best of the frontier", "best of the frontier")
    assert found.low.cost_usd == found.high.cost_usd
    # The plan itself is replayed: .95 right, at 60 cents.
    assert [found.low.net_usd, found.high.net_usd] == pytest.approx(
        [0.95 - 0.1 - 0.6, 3.8 - 0.1 - 0.6]
    )


def test_numbers_without_a_range_that_nobody_doubts_are_not_moved() -> None:
    """A fixed price of a machine and a fixed worth are left as they are."""
    assert "goal.error_usd" not in moved()
    tiers = tuple(
        msgspec.structs.replace(tier, usd=type(tier.usd)("$0.1")) if tier.usd else tier
        for tier in BRIEF.layers.tiers
    )
    layers = msgspec.structs.replace(BRIEF.layers, tiers=tiers)
    fixed = msgspec.structs.replace(BRIEF, layers=layers)
    assert "layers.tiers.small.usd" not in moved(fixed)


def test_without_a_worth_no_net_value_is_said() -> None:
    """Unknown is None, and the cost is still there."""
    bare: Any = msgspec.structs.replace(
        BRIEF, goal=msgspec.structs.replace(BRIEF.goal, value_usd=None, error_usd=None)
    )
    found = moved(bare)["layers.tiers.person.usd"]

    assert found.now.net_usd is None
    assert found.now.cost_usd == pytest.approx(0.60)


def test_rows_that_judge_are_few_enough_to_replay_and_the_same_every_time() -> None:
    """Of 80,000 rows 32,000 judge; 20,000 of them are replayed."""
    many = rows(80_000)
    once, twice = (judging_rows(BRIEF, many, seed=3) for _ in range(2))

    assert len(once) == 20_000
    assert once.row_ids == twice.row_ids
    assert 0 < len(judging_rows(BRIEF, rows(), seed=3)) < 200
