"""One case walks the cascade as the table says, and as many cases at once do."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feasible.cascade import (
    FELL_BACK,
    Ask,
    Fallback,
    Finish,
    Policy,
    Seen,
    State,
    Step,
    Table,
    calibrate,
    calibrate_all,
    over,
    route,
    route_rows,
    until_of,
)
from feasible.schema import Calibrator, TierKind

RULES = Step("rules", TierKind.RULES, {"*": 0.9}, p95_ms=1.0, worst_cost_usd=0.0)
MODEL = Step("model", TierKind.MODEL, {"*": 0.8, "risky": 0.95}, p95_ms=5.0, worst_cost_usd=0.001)
LLM = Step("llm", TierKind.LLM, {"*": 0.5}, p95_ms=900.0, worst_cost_usd=0.02)
PERSON = Step("person", TierKind.PERSON, {"*": 0.0}, p95_ms=1.0, worst_cost_usd=1.5)
POLICY = Policy((RULES, MODEL, LLM, PERSON), {"default": "person", "high_risk": "rules"})


def test_an_answer_at_its_threshold_is_given() -> None:
    """The threshold itself is accepted."""
    assert route(POLICY, State(at=1, seen=Seen("answered", "*", 0.8))) == Finish(1)


def test_a_group_has_its_own_threshold() -> None:
    """0.9 is enough in general and not near a risky slice."""
    assert route(POLICY, State(at=1, seen=Seen("answered", "risky", 0.9))) == Ask(2)


def test_an_answer_without_a_probability_is_never_accepted() -> None:
    """Unknown is not 1."""
    assert route(POLICY, State(at=1, seen=Seen("answered", "*", None))) == Ask(2)


def test_a_tier_that_does_not_fit_the_time_ends_the_walk() -> None:
    """The declared fallback answers instead of a late tier."""
    move = route(POLICY, State(at=1, seen=Seen("abstained"), remaining_ms=150.0))

    assert move == Fallback("deadline", (("llm", "deadline"),))


def test_a_blocked_or_unaffordable_tier_is_passed_over() -> None:
    """The walk goes on with the next tier that may be asked."""
    blocked = State(at=0, seen=Seen("failed"), blocked=frozenset({"model", "llm"}))
    poor = State(at=1, seen=Seen("abstained"), remaining_usd=0.01)

    assert route(POLICY, blocked) == Ask(3, (("model", "blocked"), ("llm", "blocked")))
    assert route(POLICY, poor) == Fallback("exhausted", (("llm", "cost"), ("person", "cost")))


def test_a_person_takes_every_case() -> None:
    """A person needs no probability."""
    assert route(POLICY, State(at=3, seen=Seen("answered"))) == Finish(3)


def test_the_fallback_of_a_slice_comes_before_the_default() -> None:
    """The first slice with a fallback of its own decides."""
    assert POLICY.fallback_of(("in_scope", "high_risk")) == "rules"
    assert POLICY.fallback_of(("in_scope",)) == "person"
    assert Policy(()).fallback_of(()) is None


scores = st.floats(-3, 3, allow_nan=False)


@given(st.lists(scores, min_size=1, max_size=20), st.data())
def test_calibrating_one_score_or_many_gives_the_same_probability(
    values: list[float], data: st.DataObject
) -> None:
    """Scalar and array evaluators agree to the last bit, so that no case flips at a threshold."""
    x = sorted(set(data.draw(st.lists(scores, min_size=2, max_size=8, unique=True))))
    y = sorted(data.draw(st.lists(st.floats(0, 1), min_size=len(x), max_size=len(x))))
    calibrator = Calibrator(method="isotonic", x=tuple(x), y=tuple(y), n=100)

    many = calibrate_all(calibrator, np.array(values))

    assert [calibrate(calibrator, value) for value in values] == many.tolist()


def test_two_points_too_close_for_a_slope_still_give_a_probability() -> None:
    """A score on a point has that point's probability, never NaN."""
    close = Calibrator(method="isotonic", x=(0.0, 5e-324), y=(0.0, 1.0), n=100)

    assert calibrate(close, 0.0) == calibrate_all(close, np.array([0.0]))[0] == 0.0


@given(st.data())
def test_one_case_and_many_cases_are_routed_the_same_way(data: st.DataObject) -> None:
    """Planning (arrays) and serving (one at a time) never disagree about a case."""
    n_steps = data.draw(st.integers(1, 4))
    unit = st.floats(0, 1)
    kinds = st.sampled_from([TierKind.RULES, TierKind.MODEL, TierKind.PERSON])
    limit = st.one_of(st.none(), st.floats(0, 20))
    steps = tuple(
        Step(
            f"t{k}",
            data.draw(kinds),
            {"*": data.draw(unit)},
            p95_ms=data.draw(limit),
            worst_cost_usd=data.draw(limit),
        )
        for k in range(n_steps)
    )
    policy = Policy(steps, deadline_ms=data.draw(limit), cost_each_usd=data.draw(limit))
    rows = st.lists(unit, min_size=n_steps, max_size=n_steps)
    answered = np.array([data.draw(st.lists(st.booleans(), min_size=n_steps, max_size=n_steps))])
    probability = np.array([data.draw(rows)])
    latency, cost = np.array([data.draw(rows)]) * 10, np.array([data.draw(rows)]) * 10
    threshold = np.array([[step.thresholds["*"] for step in steps]])

    routed = route_rows(policy, Table(answered, probability, threshold, latency, cost))

    state, spent_ms, spent_usd = State(), 0.0, 0.0
    until = None
    if policy.deadline_ms is not None:
        until = until_of(policy, None, policy.deadline_ms).tiers_ms
    while True:
        move = route(
            policy,
            State(
                at=state.at,
                seen=state.seen,
                remaining_ms=None if until is None else until - spent_ms,
                remaining_usd=None
                if policy.cost_each_usd is None
                else policy.cost_each_usd - spent_usd,
            ),
        )
        if not isinstance(move, Ask):
            break
        k = move.position
        spent_ms, in_time = over(policy.steps[k], spent_ms, float(latency[0, k]), until)
        spent_usd += float(cost[0, k])
        seen = (
            Seen("answered", "*", float(probability[0, k])) if answered[0, k] else Seen("abstained")
        )
        state = State(at=k, seen=seen if in_time else Seen("failed"))
    expected = move.position if isinstance(move, Finish) else FELL_BACK
    assert routed.position[0] == expected
    assert routed.latency_ms[0] == spent_ms
    assert routed.cost_usd[0] == spent_usd
