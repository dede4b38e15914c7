from __future__ import annotations

import numpy as np
import pytest

from feasible.planning.profiling import hourly_prices, profile_tiers
from feasible.schema import (
    Answer,
    Brief,
    Example,
    Request,
    TierKind,
    TierSpec,
    parse_brief,
    zero_one_loss,
)
from feasible.testing import ScriptedTier
from feasible.tiers import Tier, as_tier

ROWS = [
    Example(f"r{i}", {"text": str(i)}, label="ab"[i % 2], split="test" if i % 3 == 0 else "train")
    for i in range(12)
]


def brief(tiers: str, serving: str = "") -> Brief:
    """Make a brief with these tiers."""
    return parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"
        "  - {quality: accuracy, at_least: 0.9}\nlayers:\n"
        f"  tiers:\n{tiers}{serving}"
    ).brief


def test_a_tier_that_is_paid_by_the_hour_costs_its_seconds() -> None:
    """3.60 dollars an hour are a tenth of a cent a second: 1e-6 dollars a millisecond."""
    found = profile_tiers(
        {"own": ScriptedTier(["a"]), "free": ScriptedTier(["a"])},
        ROWS,
        labels=(),
        loss=zero_one_loss,
        usd_hour={"own": 3.6},
    ).profile

    assert (found.latency_ms[:, 0] > 0).all()
    np.testing.assert_allclose(found.cost_usd[:, 0], found.latency_ms[:, 0] * 1e-6)
    assert (found.cost_usd[:, 1] == 0).all()


def test_the_hour_is_added_to_what_a_call_is_billed() -> None:
    """A price of its own stays; a call without one costs its time alone."""
    billed = ScriptedTier([Answer("a", cost_usd=0.25)])
    unknown = ScriptedTier(["a"], usd_per_call=None, worst_usd_per_call=None)
    found = profile_tiers(
        {"billed": billed, "unknown": unknown},
        ROWS,
        labels=(),
        loss=zero_one_loss,
        usd_hour={"billed": 3.6, "unknown": 7.2},
    ).profile

    took = found.latency_ms
    np.testing.assert_allclose(found.cost_usd[:, 0], 0.25 + took[:, 0] * 1e-6)
    np.testing.assert_allclose(found.cost_usd[:, 1], took[:, 1] * 2e-6)


def test_without_an_hour_an_unknown_price_stays_unknown() -> None:
    """Unknown is not free."""
    tier = ScriptedTier(["a"], usd_per_call=None, worst_usd_per_call=None)
    found = profile_tiers({"llm": tier}, ROWS, labels=(), loss=zero_one_loss).profile

    assert np.isnan(found.cost_usd).all()


@pytest.mark.parametrize("rows", [80, 100])
def test_timed_calls_are_made_in_turns(rows: int) -> None:
    """A machine that is busy for a while is so for all tiers, and every call has a latency."""
    asked: list[str] = []

    def note(name: str) -> Tier:
        def answer(request: Request) -> str:
            asked.append(name)
            return str(request["text"])

        return as_tier(answer, TierSpec(name=name, kind=TierKind.RULES, use="x:y"))

    examples = [
        Example(f"r{i}", {"text": "ab"[i % 2]}, label="ab"[i % 2], split="test")
        for i in range(rows)
    ]
    stages: list[tuple[str, int, int]] = []
    profile = profile_tiers(
        {name: note(name) for name in ("one", "two")},
        examples,
        labels=(),
        loss=zero_one_loss,
        progress=lambda *stage: stages.append(stage),
    ).profile

    assert asked == (["one"] * 40 + ["two"] * 40) * 2 + ["one"] * (rows - 80) + ["two"] * (
        rows - 80
    )
    assert (profile.latency_ms > 0).all()
    assert (profile.loss == 0).all()
    assert stages[-1][0] == "timing calls"
    assert stages[-1][1] == stages[-1][2]


@pytest.mark.parametrize("rows", [40, 55, 80, 350])
def test_rows_to_learn_from_borrow_the_latency_of_a_timed_call(rows: int) -> None:
    """At most 300 of them are timed, and none is left without."""
    examples = [Example(f"r{i}", {"text": "x"}, label="ab"[i % 2]) for i in range(rows)]
    tier = ScriptedTier(["a"])
    profile = profile_tiers({"it": tier}, examples, labels=(), loss=zero_one_loss).profile

    timed = [batch for batch in tier.calls if len(batch) == 1]
    assert len(timed) == min(rows, 300) + 5  # and five to warm up
    assert (profile.latency_ms > 0).all()
    assert len(np.unique(profile.latency_ms)) <= 300


@pytest.mark.parametrize(
    ("tier", "hour"),
    [
        ("kind: model, use: 'tiers:A', usd_hour: $1..$4", 2.0),
        ("kind: model, use: 'tiers:A', usd: $0.01, usd_hour: $2", 2.0),
        ("kind: llm, use: 'tiers:A', usd_hour: $2", 2.0),
        ("kind: model, use: 'tiers:A'", 0.5),
        ("kind: rules, use: 'tiers:A'", 0.5),
        ("kind: model, use: 'tiers:A', usd: $0.01", None),
        ("kind: model, use: 'tiers:A', leaves_site: true", None),
        ("kind: model, use: 'tiers:A', place: device", None),
        ("kind: llm, use: 'tiers:A'", None),
        ("kind: person, usd_hour: $30", None),
    ],
)
def test_the_hour_is_the_tiers_own_or_that_of_the_service_it_runs_in(
    tier: str, hour: float | None
) -> None:
    """What states a price of a call, runs elsewhere or is a person is not in the service's hour."""
    declared = brief(f"    - {{name: it, {tier}}}\n", "  serving: {usd_hour: $0.50}\n")

    assert hourly_prices(declared).get("it") == hour


def test_without_a_price_of_an_hour_there_is_none() -> None:
    """Nothing is made up."""
    assert hourly_prices(brief("    - {name: it, kind: model, use: 'tiers:A'}\n")) == {}
