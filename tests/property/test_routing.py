"""One case routed alone and many rows routed at once go the same way, whatever the policy."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from feasible.cascade import (
    FELL_BACK,
    Ask,
    Finish,
    Policy,
    Seen,
    State,
    Step,
    Table,
    over,
    route,
    route_rows,
    until_of,
)
from feasible.schema import TierKind

UNIT = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.01])
SIZE = st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0])
TAKES = SIZE | st.floats(0.1, 3.0) | st.sampled_from([float("nan"), 1e6])
"""Some calls hang, and of some nobody knows what they took."""


@st.composite
def cases(draw: DrawFn) -> tuple[Policy, Table]:
    """Draw a policy of up to four steps, perhaps with a person last, and a table for it."""
    n_steps, n_rows = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    kinds = [TierKind.MODEL] * n_steps
    if draw(st.booleans()):
        kinds[-1] = TierKind.PERSON
    steps = tuple(
        Step(
            f"t{i}",
            kind,
            {"*": draw(UNIT)},
            p95_ms=draw(st.none() | SIZE),
            worst_cost_usd=draw(st.none() | SIZE),
            timeout_ms=draw(st.none() | SIZE),
            gated=kind is not TierKind.PERSON and draw(st.booleans()),
        )
        for i, kind in enumerate(kinds)
    )
    policy = Policy(
        steps,
        {"default": "t0"} if draw(st.booleans()) else {},
        deadline_ms=draw(st.none() | SIZE | st.floats(0.1, 9.0)),
        cost_each_usd=draw(st.none() | SIZE),
    )

    def grid(values: st.SearchStrategy[float]) -> np.ndarray:
        cells = draw(st.lists(values, min_size=n_rows * n_steps, max_size=n_rows * n_steps))
        return np.array(cells, dtype=np.float64).reshape(n_rows, n_steps)

    answered = grid(st.sampled_from([0.0, 1.0])) > 0
    answered[:, [kind is TierKind.PERSON for kind in kinds]] = True
    threshold = np.tile([step.thresholds["*"] for step in steps], (n_rows, 1))
    probability = grid(st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan")]))
    return policy, Table(answered, probability, threshold, grid(TAKES), grid(SIZE))


def alone(policy: Policy, table: Table, row: int) -> tuple[int, float, float, list[bool]]:
    """Route one row step by step: exit, latency, cost and the steps asked."""
    latency = cost = 0.0
    asked = [False] * len(policy.steps)
    foreseen = {
        step.name: float(table.probability[row, k])
        for k, step in enumerate(policy.steps)
        if step.gated and not np.isnan(table.probability[row, k])
    }
    until = None
    if policy.deadline_ms is not None:
        until = until_of(policy, policy.fallback.get("default"), policy.deadline_ms).tiers_ms
    state = State(remaining_ms=until, remaining_usd=policy.cost_each_usd, foreseen=foreseen)
    while True:
        move = route(policy, state)
        if isinstance(move, Finish):
            return move.position, latency, cost, asked
        if not isinstance(move, Ask):
            return FELL_BACK, latency, cost, asked
        at = move.position
        asked[at] = True
        latency, in_time = over(policy.steps[at], latency, float(table.latency_ms[row, at]), until)
        cost += float(table.cost_usd[row, at])
        p = float(table.probability[row, at])
        seen = Seen("answered", "*", None if np.isnan(p) else p)
        if not table.answered[row, at]:
            seen = Seen("abstained")
        state = State(
            at=at,
            seen=seen if in_time else Seen("failed"),
            remaining_ms=None if until is None else until - latency,
            remaining_usd=None if policy.cost_each_usd is None else policy.cost_each_usd - cost,
            foreseen=foreseen,
        )


@settings(max_examples=300, deadline=None)
@given(cases())
def test_rows_go_where_each_would_go_alone(case: tuple[Policy, Table]) -> None:
    """Exit, latency, cost and steps asked agree, with deadlines, timeouts, caps and abstentions."""
    policy, table = case

    routed = route_rows(policy, table)

    for row in range(len(table.answered)):
        position, latency, cost, asked = alone(policy, table, row)
        assert routed.position[row] == position
        assert (
            routed.latency_ms[row] == latency or np.isnan([routed.latency_ms[row], latency]).all()
        )
        assert routed.cost_usd[row] == cost
        assert routed.asked[row].tolist() == asked


def small_policies() -> list[Policy]:
    """Every policy of two steps over a small space of gates, timeouts, needs, prices and limits."""
    space = itertools.product(
        (False, True),
        (None, 2.0),
        (None, 2.0),
        (None, 1.0),
        (None, 4.0),
        (None, 1.0),
        (TierKind.MODEL, TierKind.PERSON),
    )
    return [
        Policy(
            (
                Step(
                    "t0",
                    TierKind.MODEL,
                    {"*": 0.5},
                    p95_ms=p95,
                    worst_cost_usd=worst,
                    timeout_ms=timeout,
                    gated=gated,
                ),
                Step("t1", kind, {"*": 0.5}, p95_ms=p95, worst_cost_usd=worst, timeout_ms=timeout),
            ),
            {"default": "t0"},
            deadline_ms=deadline,
            cost_each_usd=cap,
        )
        for gated, timeout, p95, worst, deadline, cap, kind in space
    ]


def test_every_case_of_a_small_space_goes_the_same_way_alone_and_among_others() -> None:
    """Below, at and above every limit: probability, timeout, deadline, price; answers or none."""
    cells = list(
        itertools.product(
            (False, True),
            (0.25, 0.5, 0.75, float("nan")),
            (1.0, 2.0, 2.5),
            (0.0, 1.0),
            (False, True),
            (0.25, 0.5),
        )
    )
    said0, p0, takes, usd, said1, p1 = (np.array(column) for column in zip(*cells, strict=True))
    for policy in small_policies():
        is_person = policy.steps[1].kind is TierKind.PERSON
        table = Table(
            answered=np.column_stack([said0, said1 | is_person]),
            probability=np.column_stack([p0, p1]),
            threshold=np.full((len(cells), 2), 0.5),
            latency_ms=np.column_stack([takes, takes]),
            cost_usd=np.column_stack([usd, usd]),
        )
        routed = route_rows(policy, table)
        for row in range(len(cells)):
            position, latency, cost, asked = alone(policy, table, row)
            assert routed.position[row] == position, (policy, cells[row])
            assert (routed.latency_ms[row], routed.cost_usd[row]) == (latency, cost)
            assert routed.asked[row].tolist() == asked
