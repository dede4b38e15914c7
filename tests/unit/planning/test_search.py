"""The search finds what trying everything finds, and orders candidates from safe to cheap."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import ndtr

from feasible.planning.calibration import Fit
from feasible.planning.candidates import (
    Candidate,
    Margin,
    frontier_of,
    margin_of,
)
from feasible.planning.chain import Chain, Ingredients, exits_of, policy_of, walk
from feasible.planning.depth import shallowest
from feasible.planning.search import search
from feasible.planning.sequence import best_order, sequence_of
from feasible.planning.sheet import Sheet
from feasible.planning.solver import Solver
from feasible.schema import Calibrator, Profile, parse_brief

SAME = Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=1)
BRIEF = parse_brief("""\
feasible: 1
name: gates
goal: {statement: s}
envelope:
  - {quality: accuracy, at_least: 0.85}
layers:
  tiers:
    - {name: person, kind: person, error_rate: 0 %, usd: $1}
""").brief


def two_gates(seed: int, n: int = 160) -> Profile:
    """Two tiers with twelve distinct scores each; the dearer one is better but not everywhere."""
    rng = np.random.default_rng(seed)
    score = rng.integers(1, 13, (n, 2)) / 13
    loss = np.column_stack([rng.random(n) > score[:, 0], rng.random(n) > 0.4 + 0.6 * score[:, 1]])
    return Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("small", "large"),
        loss=loss.astype(float),
        answered=np.ones((n, 2), dtype=np.bool_),
        score=score,
        answer_class=np.full((n, 2), -1),
        classes=(),
        latency_ms=np.ones((n, 2)),
        cost_usd=np.tile([0.01, 0.1], (n, 1)),
    )


def kit(profile: Profile, *, person: str | None = "person") -> Ingredients:
    """Give ingredients whose probability is the raw score."""
    return Ingredients(
        brief=BRIEF,
        specs={tier.name: tier for tier in BRIEF.layers.tiers},
        groups={name: {} for name in profile.tiers},
        fits=dict.fromkeys(profile.tiers, Fit({"*": SAME}, 0.0, 0.0, 1)),
        machines=profile.tiers,
        person=person,
        p95_ms=dict.fromkeys((*profile.tiers, "person"), 1.0),
        mean_usd={"small": 0.01, "large": 0.1, "person": 1.0},
        worst_usd={"small": 0.01, "large": 0.1, "person": 1.0},
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("level", [0.0, 1.0, 2.0])
def test_two_gates_match_brute_force(seed: int, level: float) -> None:
    """At each level of slack the cheapest candidate costs what the best of all pairs costs.

    Source: every pair of the twelve distinct probabilities of both tiers, and "never".
    """
    profile = two_gates(seed, 400)
    ingredients = kit(profile)
    board = Solver(ingredients, Chain(profile.tiers), Sheet(ingredients, profile), 1.0).board
    pairs = itertools.product(range(13), range(13))
    stand = [board.stand([np.array([a]), np.array([b])]) for a, b in pairs]
    best = min(one.cost for one in stand if one.least >= level)

    found = search(ingredients, Sheet(ingredients, profile), n_cert=400)

    assert min(c.cost_usd for c in found if c.least_slack >= level) <= best * (1 + 1e-9)


def test_what_a_candidate_says_of_itself_is_what_routing_does() -> None:
    """Cost and mean loss of a candidate are those of its policy walked row by row."""
    profile = two_gates(7)
    ingredients = kit(profile)

    for candidate in search(ingredients, Sheet(ingredients, profile), n_cert=100)[::10]:
        policy = policy_of(candidate.chain, ingredients, candidate.thresholds)
        exits = exits_of(candidate.chain, ingredients, profile)
        leaves = walk(policy, profile, exits.is_person.shape[1])
        cost = exits.cost_usd[np.arange(len(profile)), leaves].mean()
        assert candidate.cost_usd == pytest.approx(cost)
        sheet = Sheet(ingredients, profile)
        assert (sheet.leaves(candidate.chain, candidate.thresholds) == leaves).all()


def test_without_a_person_the_last_tier_answers_everything() -> None:
    """A case that nobody comes after is answered, however unsure the tier is."""
    profile = two_gates(3)

    alone = kit(profile, person=None)
    for candidate in search(alone, Sheet(alone, profile), n_cert=100):
        assert set(candidate.thresholds[candidate.chain.machines[-1]].values()) == {0.0}


def fake(cost: float, slack: dict[str, float], machines: tuple[str, ...] = ("small",)) -> Candidate:
    """Make a candidate of which only cost, slack and the chance that comes with it matter."""
    thresholds = {name: {"*": 0.5} for name in machines}
    margin = {name: one - 1.64 for name, one in slack.items()}
    return Candidate(Chain(machines), thresholds, cost, slack, margin)


def test_the_sequence_goes_from_the_surest_to_cheaper_ones() -> None:
    """It starts where the promise is surest to be shown, and every step costs less."""
    profile = two_gates(5, 400)
    ingredients = kit(profile)
    sheet, fit = Sheet(ingredients, profile), Sheet(ingredients, two_gates(6, 400))
    found = search(ingredients, sheet, n_cert=400)

    sequence = sequence_of(found, sheet, fit, n_cert=400)

    costs = [candidate.cost_usd for candidate in sequence]
    assert len(sequence) > 1
    assert costs == sorted(costs, reverse=True)
    assert sequence[0].margin["accuracy"] >= max(c.margin["accuracy"] for c in sequence[1:]) - 0.5


def test_a_promise_that_cannot_be_shown_does_not_dictate_the_order() -> None:
    """Left apart, it does not keep the walk from ending with a policy that costs less."""
    profile = two_gates(5, 400)
    ingredients = kit(profile)
    sheet, fit = Sheet(ingredients, profile), Sheet(ingredients, two_gates(6, 400))
    found = search(ingredients, sheet, n_cert=400)

    with_all = sequence_of(found, sheet, fit, n_cert=400)
    without = sequence_of(found, sheet, fit, n_cert=400, apart=("accuracy",))

    assert without[-1].cost_usd <= with_all[-1].cost_usd


def test_a_doubtful_step_is_stepped_over_and_a_likely_one_is_not() -> None:
    """By hand: four draws; the walk's expected cost is 1.5 without the step, 2.25 with it."""
    doubtful = np.array([[1, 1, 1], [1, 0, 1], [1, 0, 1], [1, 0, 0]], dtype=np.bool_)
    likely = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 0]], dtype=np.bool_)
    cost = np.array([3.0, 2.0, 1.0])

    assert best_order(doubtful, cost, first=0) == [0, 2]
    assert best_order(likely, cost, first=0) == [0, 1, 2]


def test_a_longer_chain_must_save_more_than_luck() -> None:
    """Of two policies that send every row the same way the one with fewer tiers is taken."""
    sheet = Sheet(kit(two_gates(1)), two_gates(1))
    short = fake(0.5, {"accuracy": 3.0})
    cuts = {"small": {"*": 0.5}, "large": {"*": 1.01}}
    same_way = Candidate(Chain(("small", "large")), cuts, 0.499, {"accuracy": 3.0})
    # Asking the dear tier in vain costs ten cents a doubtful case, well beyond luck.
    assert shallowest([same_way], [short, same_way], sheet) == [short]
    everyone = {"small": {"*": 1.01}}
    dear = Candidate(Chain(("small",)), everyone, 1.01, {"accuracy": 9.0})
    assert shallowest([same_way], [dear, same_way], sheet) == [same_way]


def test_a_margin_is_the_chance_of_being_certified() -> None:
    """Source: 20,000 beta-binomial draws: a share seen on 300 rows, judged on 400 others."""
    rng = np.random.default_rng(11)
    for missed in (6, 9, 12):
        rate = rng.beta(missed + 0.5, 300 - missed + 0.5, 20_000)
        shown = np.mean(rng.binomial(400, rate) <= 12)  # the most misses of 400 that show 5 %
        margin = margin_of(
            missed / 300, limit=0.05, confidence_level=0.95, n_search=300, n_cert=400
        )
        assert ndtr(margin) == pytest.approx(shown, abs=0.06)
    assert margin_of(0.0, limit=0.05, confidence_level=0.95, n_search=300, n_cert=58) < -5


def test_every_threshold_that_lets_rows_pass_costs_some_margin() -> None:
    """At the same miss rate the policy that placed fewer thresholds is likelier to hold."""
    margin = Margin.of_share(0.15, 0.95, 400, 400, per_threshold=0.5 / 400)
    margins = [margin.of(0.1, 0.0, placed) for placed in range(3)]

    assert margins == sorted(margins, reverse=True)
    assert len(set(margins)) == 3


def test_the_frontier_rises() -> None:
    """A candidate that costs more and is no better is not on it."""
    a, b, c = (fake(cost, {"q": 1.0}) for cost in (1.0, 2.0, 3.0))
    quality = {id(a): 0.8, id(b): 0.79, id(c): 0.9}

    assert frontier_of([c, b, a], lambda one: quality[id(one)]) == [(a, 0.8), (c, 0.9)]
    assert frontier_of([a], lambda _: None) == []
    assert math.isinf(fake(1.0, {}).least_slack)


def expected(passes: np.ndarray, cost: np.ndarray, order: list[int]) -> float:
    """Walk every draw by hand: the cost of the last candidate before the first failure."""
    total = 0.0
    for draw in passes:
        last = order[0]
        for i in order:
            if not draw[i]:
                break
            last = i
        total += float(cost[last])
    return total / len(passes)


@pytest.mark.parametrize("seed", range(20))
def test_no_single_change_of_an_order_saves_more(seed: int) -> None:
    """Neither a step left out nor one put in ends the walk a thousandth cheaper."""
    rng = np.random.default_rng(seed)
    cost = np.sort(rng.random(12))[::-1] + 0.1
    passes = rng.random((100, 12)) < np.linspace(1.0, 0.3, 12) + rng.normal(0, 0.1, 12)
    passes[:, 0] = True

    order = best_order(passes, cost, first=0)

    reached = expected(passes, cost, order)
    for i in range(1, 12):
        other = sorted(set(order) ^ {i}, key=lambda j: -cost[j])
        assert expected(passes, cost, other) >= reached * (1 - 1e-3) - 1e-12
