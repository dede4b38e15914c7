"""What a row gets where no machine answers by threshold: a person, or the declared fallback."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feasible.planning.calibration import Fit
from feasible.planning.chain import (
    NEVER,
    Chain,
    Ingredients,
    deadline_ms,
    exits_of,
    policy_of,
    shares_of,
    walk,
)
from feasible.schema import Brief, Calibrator, Profile, parse_brief


def brief(rest: str = "", envelope: str = "") -> Brief:
    """Make a brief with this serving layer."""
    return parse_brief(
        "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope:\n"
        f"  - {{quality: accuracy, at_least: 0.9}}\n{envelope}" + rest
    ).brief


def rows() -> Profile:
    """Three rows, the last in slice `risky`: rules know nothing, the model is right but slow."""
    return Profile(
        row_ids=tuple("abc"),
        tiers=("rules", "model"),
        loss=np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]),
        answered=np.ones((3, 2), dtype=np.bool_),
        score=np.full((3, 2), 0.5),
        answer_class=np.full((3, 2), -1),
        classes=(),
        latency_ms=np.array([[1.0, 100.0]] * 3),
        cost_usd=np.array([[0.0, 0.1]] * 3),
        slices={"risky": np.array([False, False, True])},
    )


def kit(one: Brief, *, person: str | None) -> Ingredients:
    """Give ingredients whose probability is the raw score."""
    same = Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=1)
    return Ingredients(
        brief=one,
        specs={tier.name: tier for tier in one.layers.tiers},
        groups={"rules": {}, "model": {}},
        fits={name: Fit({"*": same}, 0.0, 0.0, 1) for name in ("rules", "model")},
        machines=("rules", "model"),
        person=person,
        p95_ms={"rules": 1.0, "model": 120.0, "person": 1.0},
        mean_usd={"rules": 0.0, "model": 0.1, "person": 1.0},
        worst_usd={"rules": 0.0, "model": 0.1, "person": 1.0},
        capped=frozenset({"rules"}),
    )


BOTH = Chain(("rules", "model"))
NOBODY = {"rules": {"*": NEVER}, "model": {"*": NEVER}}
PERSON = (
    "traffic: {slices: {risky: 10 %}}\nlayers: {tiers: [{name: rules, kind: rules}, "
    "{name: model, kind: model}, {name: person, kind: person, usd: $1, error_rate: 2 %}]"
)


def last(one: Brief, *, person: str | None) -> tuple[list[float], list[float], list[float]]:
    """Give loss, latency and cost of the last exit, to which every row goes."""
    ingredients = kit(one, person=person)
    exits = exits_of(BOTH, ingredients, rows())
    leaves = walk(policy_of(BOTH, ingredients, NOBODY), rows(), 3)
    assert (leaves == 2).all()
    columns = (exits.loss, exits.latency_ms, exits.cost_usd)
    return tuple([round(float(v), 9) for v in c[:, 2]] for c in columns)  # type: ignore[return-value]


def test_a_person_takes_what_nobody_answers() -> None:
    """Both tiers were asked and are paid; the person errs at the declared rate."""
    loss, latency, cost = last(brief(PERSON + "}\n"), person="person")

    assert loss == [0.02] * 3
    assert latency == [102.0] * 3
    assert cost == [1.1] * 3


def test_a_tier_that_does_not_fit_the_deadline_is_neither_waited_for_nor_paid() -> None:
    """With 60 ms in all, the model's p95 of 120 ms does not fit: the default fallback answers."""
    serving = ", serving: {deadline: 60 ms}}\n"

    loss, latency, cost = last(brief(PERSON + serving), person="person")

    assert loss == [0.02] * 3
    assert latency == [2.0] * 3
    assert cost == [1.0] * 3


def test_a_slices_own_fallback_answers_its_rows() -> None:
    """For risky rows rules answer when time is up: their answer is in hand and costs no more."""
    serving = ", serving: {deadline: 60 ms, fallback: {default: person, risky: rules}}}\n"

    loss, latency, cost = last(brief(PERSON + serving), person="person")

    assert loss == [0.02, 0.02, 1.0]
    assert latency == [2.0, 2.0, 1.0]
    assert cost == [1.0, 1.0, 0.0]


def test_without_a_person_the_fallback_is_a_machine_that_was_asked() -> None:
    """The first tier that abstains least: nobody waits or pays for it again."""
    loss, latency, cost = last(brief(), person=None)

    assert loss == [0.0, 1.0, 1.0]
    assert latency == [101.0] * 3
    assert cost == [0.1] * 3


def test_a_fallback_that_was_not_asked_is_paid_for() -> None:
    """Out of the chain: asked once more, with its own latency and price."""
    one = brief("layers: {serving: {fallback: {default: model}}}\n")
    ingredients = kit(one, person=None)

    exits = exits_of(Chain(("rules",)), ingredients, rows())

    assert exits.latency_ms[:, 1].tolist() == [101.0] * 3
    assert exits.cost_usd[:, 1].tolist() == pytest.approx([0.1] * 3)
    assert exits.last_tier == ("model",) * 3


def test_a_call_that_takes_longer_than_its_timeout_gives_no_answer() -> None:
    """It was waited for that long and is paid; the row cannot leave there: a person takes it."""
    one = brief(PERSON.replace("kind: model", "kind: model, timeout: 40 ms") + "}\n")
    ingredients = kit(one, person="person")

    exits = exits_of(BOTH, ingredients, rows())

    assert exits.is_open[:, 1].tolist() == [False] * 3
    assert exits.latency_ms[:, 2].tolist() == [42.0] * 3
    assert exits.cost_usd[:, 2].tolist() == pytest.approx([1.1] * 3)


def test_a_call_that_outlasts_the_time_that_is_left_gives_no_answer() -> None:
    """Of 100 ms, 25 are kept back for the commit and 10 for the fallback: the model has 64."""
    one = brief(PERSON + ", serving: {deadline: 100 ms}}\n")
    p95_ms = {"rules": 1.0, "model": 50.0, "person": 1.0}
    ingredients = replace(kit(one, person="person"), p95_ms=p95_ms)

    exits = exits_of(BOTH, ingredients, rows())

    assert exits.is_open.tolist() == [[True, False, True]] * 3
    assert exits.latency_ms[:, 2].tolist() == [66.0] * 3
    assert exits.last_tier == ("person",) * 3


def test_a_fallback_that_is_cut_off_is_no_answer() -> None:
    """Rules, asked alone, fall back to a model that takes too long: nobody answers, or a person."""
    layers = "layers: {tiers: [{name: model, kind: model, timeout: 40 ms}%s], serving: {%s}}\n"
    fallback = "fallback: {default: model}"
    alone = kit(brief(layers % ("", fallback)), person=None)
    helped = kit(brief(layers % (", {name: person, kind: person}", fallback)), person="person")

    exits = exits_of(Chain(("rules",)), alone, rows())

    assert exits.last_tier == (None,) * 3
    assert exits.loss[:, 1].tolist() == [1.0] * 3
    assert exits.latency_ms[:, 1].tolist() == [41.0] * 3
    assert exits_of(Chain(("rules",)), helped, rows()).last_tier == ("person",) * 3


def test_a_call_that_nobody_timed_is_not_cut_off() -> None:
    """Unknown is not late."""
    one = brief(PERSON.replace("kind: model", "kind: model, timeout: 40 ms") + "}\n")
    unknown = replace(rows(), latency_ms=np.array([[1.0, np.nan]] * 3))

    exits = exits_of(BOTH, kit(one, person="person"), unknown)

    assert exits.is_open.all()
    assert np.isnan(exits.latency_ms[:, 1]).all()


def test_shares_name_who_answered() -> None:
    """Two rows by rules' threshold, one by the fallback."""
    exits = exits_of(BOTH, kit(brief(PERSON + "}\n"), person="person"), rows())

    shares = shares_of(BOTH, exits, np.array([0, 0, 2]))

    assert shares == {"rules": pytest.approx(2 / 3), "person": pytest.approx(1 / 3)}


def test_a_cost_is_capped_only_where_every_price_is_declared() -> None:
    """The model's highest price was only seen, so that no chain with it has a worst case."""
    ingredients = kit(brief(), person=None)

    assert exits_of(Chain(("rules",)), ingredients, rows()).worst_usd == 0.0
    assert exits_of(BOTH, ingredients, rows()).worst_usd is None


def test_rows_judged_for_some_tiers_only_judge_no_quality() -> None:
    """Otherwise who answers would decide whether the row counts."""
    some = replace(rows(), loss=np.array([[0.0, np.nan], [1.0, 0.0], [np.nan, np.nan]]))

    assert exits_of(BOTH, kit(brief(), person=None), some).labelled.tolist() == [False, True, False]


def test_only_a_promise_about_nearly_every_decision_is_a_deadline() -> None:
    """Means and lower percentiles say how many may be late; a slice says nothing of the others."""
    promises = {
        "latency: mean, at_most: 50 ms": None,
        "latency: p50, at_most: 50 ms": None,
        "latency: p95, at_most: 50 ms": None,
        "latency: p99, at_most: 80 ms": 80.0,
        "latency: p99.9, at_most: 90 ms": 90.0,
        "latency: p99, on: risky, at_most: 50 ms": None,
    }

    found = {one: deadline_ms(brief(envelope=f"  - {{{one}}}\n")) for one in promises}

    assert found == promises
