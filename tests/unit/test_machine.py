"""What a service takes of this machine: fair requests, and answers in the form of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feasible.cascade import Policy, Step
from feasible.machine import Requests, commit_s, outcome_of
from feasible.measuring import Answered, Measured
from feasible.schema import Profile, TierKind
from feasible.simulation import (
    CACHED,
    NOBODY,
    Arrivals,
    CacheFront,
    Design,
    Service,
    TierLoad,
    declared_cases,
)

POLICY = Policy(
    (Step("small", TierKind.MODEL, {"*": 0.5}), Step("person", TierKind.PERSON, {"*": 0.0}))
)
DESIGN = Design(
    "small and people",
    POLICY,
    (
        TierLoad("small", 1, Service("fixed", 0.001), usd=0.01),
        TierLoad("person", 1, Service("fixed", 0.0), usd=1.5),
    ),
    declared_cases(POLICY, rows=50),
    Arrivals(50.0),
    cache=CacheFront(hit=0.4),
)


def profile(rows: int = 50) -> Profile:
    """Give rows with nothing but their texts."""
    nothing = np.full((rows, 1), np.nan)
    return Profile(
        row_ids=tuple(map(str, range(rows))),
        tiers=("small",),
        loss=nothing,
        answered=np.zeros((rows, 1), dtype=np.bool_),
        score=nothing,
        answer_class=np.full((rows, 1), -1),
        classes=("a",),
        latency_ms=nothing,
        cost_usd=nothing,
        text=tuple(f"text {i}" for i in range(rows)),
    )


def step(tier: str, outcome: str, **more: Any) -> dict[str, Any]:
    """Give one step of a path as a service tells it."""
    return {"tier": tier, "outcome": outcome, "latency_ms": 2.0, "cost_usd": 0.0, **more}


def test_every_row_is_asked_about_equally_often_and_repeats_are_as_many_as_declared() -> None:
    """40 % are asked again, each word for word; the others are new, though their text is not."""
    requests = Requests(DESIGN, profile(), np.random.default_rng(1))

    asked, rows = requests.make(5000)

    known = [request for _, request in requests.known]
    again = [request in known for request in asked]
    assert sum(again) == 2000
    fresh = [request["case"] for request, repeats in zip(asked, again, strict=True) if not repeats]
    assert len(set(fresh)) == 3000
    counts = Counter(rows.tolist())
    assert set(counts) == set(range(50))
    assert max(counts.values()) <= 1.2 * min(counts.values())
    assert all(r["text"] == f"text {row}" for r, row in zip(asked, rows.tolist(), strict=True))


def test_rows_that_stand_for_more_are_asked_more_often() -> None:
    """One row in two has three times the weight of the others."""
    weight = np.where(np.arange(50) % 2, 1.0, 3.0)
    weighted = replace(DESIGN, cases=replace(DESIGN.cases, weight=weight), cache=None)

    _, rows = Requests(weighted, profile(), np.random.default_rng(1)).make(4000)

    assert (rows % 2 == 0).mean() == pytest.approx(0.75, abs=0.01)


def test_answers_are_judged_as_a_run_is() -> None:
    """From the cache, by the model, by a person after a failure, by nobody; one was refused."""
    seen = Measured(
        [
            Answered(3, 9.0, "person", (step("small", "failed"), step("person", "handed_off"))),
            Answered(0, 1.0, "cache", (step("cache", "answered"),)),
            Answered(1, 3.0, "small", (step("small", "answered", cost_usd=0.01),)),
            Answered(4, 5.0, "nobody", (step("small", "skipped", why="blocked"),)),
        ],
        {503: 1},
    )

    found = outcome_of(DESIGN, seen, np.arange(5), np.linspace(0.0, 4.0, 5))

    assert found.at_s.tolist() == [0.0, 1.0, 3.0, 4.0]
    assert found.row.tolist() == [0, 1, 3, 4]
    assert found.exit.tolist() == [CACHED, 0, 1, NOBODY]
    assert found.degraded.tolist() == [False, False, True, True]
    assert found.handed.tolist() == [False, False, True, False]
    assert found.cost_usd.tolist() == [0.0, 0.01, 0.0, 0.0]
    assert (found.latency_ms.tolist(), found.span_s) == ([1.0, 3.0, 9.0, 5.0], 4.0)


def test_a_call_that_gave_nothing_costs_as_a_simulation_counts_it() -> None:
    """Nobody knows what a vendor bills: cut off counts at its price, failed is free."""
    path = (
        step("llm", "timed_out", cost_usd=None),
        step("llm", "failed", cost_usd=None),
        step("person", "handed_off", cost_usd=1.5),
    )
    answer = Answered(0, 10.0, "person", path)

    assert answer.cost_usd({"llm": 0.25}) == pytest.approx(1.75)
    assert answer.own_ms == pytest.approx(4.0)
    assert answer.is_degraded


def test_what_the_router_passed_over_is_not_degraded() -> None:
    """Only what was passed over for time or load is."""
    path = (step("llm", "skipped", why="router"), step("small", "answered"))

    assert not Answered(0, 5.0, "small", path).is_degraded


def test_a_commit_is_timed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Alone it takes some time; each further decision in it adds no less than nothing."""
    alone, each = commit_s(tmp_path)

    assert 0 < alone < 1
    assert 0 <= each < alone
    assert list(tmp_path.iterdir()) == []
