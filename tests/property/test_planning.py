"""Laws of planning that hold for every set of rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feasible.cascade import (
    FELL_BACK,
    Ask,
    Finish,
    Policy,
    Seen,
    State,
    Table,
    over,
    route,
    route_rows,
    table_of,
    until_of,
)
from feasible.planning import plan_profile
from feasible.planning.calibration import Fit
from feasible.planning.chain import Chain, Ingredients, exits_of, machines_only, policy_of, walk
from feasible.planning.sheet import Sheet
from feasible.planning.splits import split_rows
from feasible.planning.traffic_mix import mix_weights
from feasible.schema import Calibrator, Profile, TierKind, parse_brief

SEEDS = st.integers(0, 10_000)


def drawn(seed: int, n: int = 60, k: int = 3) -> Profile:
    """Draw rows of every sort: abstentions, unlabelled rows, slow and dear calls."""
    rng = np.random.default_rng(seed)
    answered = rng.random((n, k)) < 0.8
    loss = (rng.random((n, k)) < 0.3).astype(float)
    loss[~answered | (rng.random(n) < 0.1)[:, None]] = np.nan
    return Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=tuple(f"t{i}" for i in range(k)),
        loss=loss,
        answered=answered,
        score=rng.random((n, k)),
        answer_class=np.where(answered, rng.integers(0, 2, (n, k)), -1),
        classes=("a", "b"),
        latency_ms=rng.choice([1.0, 10.0, 100.0], (n, k)),
        cost_usd=rng.choice([0.0, 0.01, 0.1], (n, k)),
        slices={"rare": rng.random(n) < 0.2, "other": rng.random(n) < 0.3},
    )


def kit(
    profile: Profile, serving: str, envelope: str, *, person: str | None, tiers: str = ""
) -> Ingredients:
    """Give ingredients whose probability is the raw score."""
    brief = parse_brief(
        "feasible: 1\nname: law\ngoal: {statement: Laws hold}\nenvelope:\n"
        f"  - {{quality: accuracy, at_least: 0.8}}\n{envelope}"
        "traffic: {slices: {rare: 20 %, other: 30 %}}\n"
        "layers:\n  tiers:\n    - {name: person, kind: person, error_rate: 0 %, usd: $1}\n"
        f"{tiers}"
        f"  serving: {serving}\n"
    ).brief
    same = Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=1)
    return Ingredients(
        brief=brief,
        specs={tier.name: tier for tier in brief.layers.tiers},
        groups={name: {} for name in profile.tiers},
        fits=dict.fromkeys(profile.tiers, Fit({"*": same}, 0.0, 0.0, 1)),
        machines=profile.tiers,
        person=person,
        p95_ms={**dict.fromkeys(profile.tiers, 50.0), "person": 1.0},
        mean_usd={**dict.fromkeys(profile.tiers, 0.05), "person": 1.0},
        worst_usd={**dict.fromkeys(profile.tiers, 0.1), "person": 1.0},
    )


@settings(max_examples=60, deadline=None)
@given(
    SEEDS,
    st.sampled_from(["{}", "{deadline: 120 ms}", "{deadline: 60 ms}", "{deadline: 10 ms}"]),
    st.sampled_from(["", "  - {cost: each, at_most: $0.15}\n", "  - {cost: each, at_most: $2}\n"]),
)
def test_an_exit_costs_what_routing_says(seed: int, serving: str, envelope: str) -> None:
    """Planning's account of a row at its exit is that of the routing itself, fallback included."""
    profile = drawn(seed)
    ingredients = kit(profile, serving, envelope, person="person")
    chain = Chain(profile.tiers)
    cuts = np.random.default_rng(seed).random(3)
    policy = policy_of(
        chain, ingredients, {t: {"*": float(c)} for t, c in zip(profile.tiers, cuts, strict=True)}
    )
    exits = exits_of(chain, ingredients, profile)
    leaves = walk(policy, profile, exits.is_person.shape[1])
    rows = np.arange(len(profile))

    with_person = np.column_stack
    table = Table(
        answered=with_person([profile.answered, np.ones(len(profile), dtype=np.bool_)]),
        probability=with_person([profile.score, np.full(len(profile), np.nan)]),
        threshold=np.tile([*cuts, 0.0], (len(profile), 1)),
        latency_ms=with_person([profile.latency_ms, np.ones(len(profile))]),
        cost_usd=with_person([profile.cost_usd, np.ones(len(profile))]),
    )
    routed = route_rows(policy, table)

    by_tier = (routed.position != FELL_BACK) & (routed.position < 3)
    assert (leaves[by_tier] == routed.position[by_tier]).all()
    assert np.allclose(exits.latency_ms[rows, leaves][by_tier], routed.latency_ms[by_tier])
    assert np.allclose(exits.cost_usd[rows, leaves][by_tier], routed.cost_usd[by_tier])
    # The fallback is the person: one hand-off more than what was asked until time was up.
    fell = routed.position == FELL_BACK
    assert np.allclose(exits.cost_usd[rows, leaves][fell], routed.cost_usd[fell] + 1.0)
    assert np.allclose(exits.latency_ms[rows, leaves][fell], routed.latency_ms[fell] + 1.0)
    assert exits.is_person[rows, leaves][~by_tier].all()
    assert exits.is_open[rows, leaves].all()


@dataclass
class Served:
    """One row on its way through a policy, as serving sends it.

    Attributes:
        policy: The table.
        profile: The rows.
        row: Which.
        said: Tier -> whether it answered, of those that did anything in time.
    """

    policy: Policy
    profile: Profile
    row: int
    foreseen: dict[str, float] = field(default_factory=dict)
    latency: float = 0.0
    cost: float = 0.0
    said: dict[str, bool] = field(default_factory=dict)

    def call(self, name: str, until_ms: float | None) -> Seen:
        """Call a tier once."""
        if name == "person":
            self.latency, self.cost = self.latency + 1.0, self.cost + 1.0
            return Seen("answered", "*", 1.0)
        step = next(step for step in self.policy.steps if step.name == name)
        at = (self.row, self.profile.tiers.index(name))
        took = float(self.profile.latency_ms[at])
        self.latency, in_time = over(step, self.latency, took, until_ms)
        self.cost += float(self.profile.cost_usd[at])
        if not in_time:
            return Seen("failed")
        self.said[name] = bool(self.profile.answered[at])
        if not self.said[name]:
            return Seen("abstained")
        return Seen("answered", "*", float(self.profile.score[at]))

    def answerer(self) -> str | None:
        """Go from tier to tier, then to the fallback and to a person; say who answers."""
        policy, profile = self.policy, self.profile
        slices = tuple(name for name, member in profile.slices.items() if member[self.row])
        declared = policy.fallback_of(slices)
        tiers_ms = fallback_ms = None
        if policy.deadline_ms is not None:
            until = until_of(policy, declared, policy.deadline_ms)
            tiers_ms, fallback_ms = until.tiers_ms, until.fallback_ms
        state = State(remaining_ms=tiers_ms, foreseen=self.foreseen)
        while isinstance(move := route(policy, state), Ask):
            seen = self.call(policy.steps[move.position].name, tiers_ms)
            left = None if tiers_ms is None else tiers_ms - self.latency
            state = State(at=move.position, seen=seen, remaining_ms=left, foreseen=self.foreseen)
        if isinstance(move, Finish):
            return policy.steps[move.position].name
        people = [step.name for step in policy.steps if step.kind is TierKind.PERSON]
        for name in dict.fromkeys([*([declared] if declared else []), *people]):
            if name not in self.said:
                self.call(name, fallback_ms)
            if name == "person" or self.said.get(name):
                return name
        return None


@settings(max_examples=150, deadline=None)
@given(
    SEEDS,
    st.sampled_from(["", "deadline: 160 ms, ", "deadline: 90 ms, ", "deadline: 30 ms, "]),
    st.sampled_from(["{}", "{default: t0}", "{default: t2, rare: t1}", "{rare: t0, other: t2}"]),
    st.lists(st.sampled_from(["", ", timeout: 5 ms", ", timeout: 50 ms"]), min_size=3, max_size=3),
    st.sampled_from([None, "person"]),
    st.sampled_from(["score", "router"]),
)
def test_an_exit_is_what_one_row_gets_alone(
    seed: int,
    deadline: str,
    fallback: str,
    timeouts: list[str],
    person: str | None,
    by: Literal["score", "router"],
) -> None:
    """Who answers, after how long and for how much: calls that are cut off and fallbacks too.

    Where a router lets rows in, it foresees the score.
    """
    profile = drawn(seed)
    tiers = "".join(f"    - {{name: t{i}, kind: model{t}}}\n" for i, t in enumerate(timeouts))
    serving = f"{{{deadline}fallback: {fallback}}}"
    ingredients = kit(profile, serving, "", person=person, tiers=tiers)
    cuts = np.random.default_rng(seed).random(3)
    chain = Chain(profile.tiers, by)
    thresholds = {t: {"*": float(c)} for t, c in zip(profile.tiers, cuts, strict=True)}
    policy = policy_of(chain, ingredients, thresholds)
    table = replace(
        table_of(machines_only(policy), profile),
        probability=profile.score,
        threshold=np.tile(cuts, (len(profile), 1)),
    )
    gates = table.probability >= table.threshold if by == "router" else None

    exits = exits_of(chain, ingredients, profile, gates=gates)
    leaves = walk(policy, profile, exits.is_person.shape[1], table=table)

    scores = dict(zip(profile.tiers, profile.score.T, strict=True))
    sheet = Sheet(ingredients, profile, foreseen=scores)
    assert (sheet.leaves(chain, thresholds) == leaves).all()
    judged = sheet.exits(chain, thresholds)
    for row, leaf in enumerate(leaves):
        foreseen = dict(zip(profile.tiers, profile.score[row].tolist(), strict=True))
        alone = Served(policy, profile, row, foreseen)
        who, latency, cost = alone.answerer(), alone.latency, alone.cost
        assert exits.is_open[row, leaf]
        assert judged.last_tier[row] == exits.last_tier[row]
        assert judged.latency_ms[row, leaf] == exits.latency_ms[row, leaf]
        assert judged.cost_usd[row, leaf] == exits.cost_usd[row, leaf]
        assert (*profile.tiers, exits.last_tier[row])[leaf] == who
        assert np.isclose(exits.latency_ms[row, leaf], latency)
        assert np.isclose(exits.cost_usd[row, leaf], cost)
        if policy.deadline_ms is not None:
            assert latency <= policy.deadline_ms


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.floats(0.05, 0.6))
def test_weights_give_a_slice_its_declared_share(seed: int, share: float) -> None:
    """Over the rows that judge, weights average 1 and a slice weighs what the brief declares."""
    profile = drawn(seed)
    brief = parse_brief(
        "feasible: 1\nname: mix\ngoal: {statement: s}\nenvelope:\n"
        "  - {quality: accuracy, at_least: 0.8}\n"
        f"traffic: {{slices: {{rare: {share * 100:.4f} %}}}}\n"
    ).brief
    judging = np.asarray(~np.isnan(profile.loss).all(axis=1))

    weight = mix_weights(brief, profile, among=judging)

    rare = profile.slices["rare"] & judging
    assert np.isclose(weight[judging].mean(), 1.0)
    assert (weight[~judging] == 0).all()
    if rare.any() and (judging & ~rare).any():
        assert np.isclose(weight[rare].sum() / weight.sum(), share, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.booleans())
def test_no_row_is_used_twice(seed: int, with_entities: bool) -> None:  # noqa: FBT001
    """FIT, SEARCH and CERT share no row and no entity, and every row is in one of them."""
    profile = drawn(seed, n=90)
    entity = tuple(str(i // 3) for i in range(90)) if with_entities else None

    split = split_rows(replace(profile, entity=entity), seed=seed)

    parts = [set(part.tolist()) for part in (split.fit, split.search, split.cert)]
    assert sorted(row for part in parts for row in part) == list(range(90))
    if with_entities:
        names = [{row // 3 for row in part} for part in parts]
        assert sum(len(part) for part in names) == len(names[0] | names[1] | names[2])


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_spending_more_never_lowers_the_best_reachable_quality(seed: int) -> None:
    """Along the frontier both cost and quality rise."""
    profile = drawn(seed, n=600)
    brief = parse_brief(
        "feasible: 1\nname: law\ngoal: {statement: s}\nenvelope:\n"
        "  - {quality: accuracy, at_least: 0.5}\n  - {cost: mean, at_most: $1}\n"
    ).brief

    points = plan_profile(brief, profile, data="drawn", synthetic=True, seed=seed).frontier
    points = tuple(p for p in points if not p.is_chosen)

    costs, qualities = [p.cost_usd for p in points], [p.quality for p in points]
    assert costs == sorted(costs)
    assert qualities == sorted(qualities)
