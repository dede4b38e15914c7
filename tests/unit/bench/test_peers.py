from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from bench.frontiers import oracle_usd
from bench.peers.empirical import (
    chains_of,
    exits,
    gates_of,
    plain_grid,
    reliability,
    search,
    table_grid,
    with_margins,
)
from bench.peers.mapie_choice import mapie_choice
from bench.peers.oracle import oracle
from bench.peers.outcomes import outcomes
from bench.peers.routellm import apgr, calls_for, gap_recovered
from bench.peers.singles import cheapest_shown, cheapest_that_kept, shown

from feasible.schema import Brief, Profile, load_brief

PRICES = (0.001, 0.01)
PERSON_USD = 0.05


def brief_in(folder: Path, *, recall: float = 0.8, accuracy: float = 0.8) -> Brief:
    """Give a brief with two floors and a person."""
    path = folder / "brief.yaml"
    path.write_text(
        f"""\
feasible: 1
name: tiny
goal: {{statement: Tell yes from no}}
envelope:
  - {{quality: recall, of: yes_, at_least: {recall}, confidence_level: 0.9}}
  - {{quality: accuracy, at_least: {accuracy}, confidence_level: 0.9}}
layers:
  tiers:
    - {{name: cheap, kind: model}}
    - {{name: dear, kind: model}}
    - {{name: person, kind: person, error_rate: 0 %, usd: ${PERSON_USD}}}
""",
        encoding="utf-8",
    )
    return load_brief(path).brief


def tiny(seed: int, n: int = 14) -> Profile:
    """Give a few rows that two tiers answer, the dear one better."""
    rng = np.random.default_rng(seed)
    truth = (np.arange(n) % 2).astype(np.int64)
    right = rng.random((n, 2)) < (0.55, 0.8)
    given = np.where(right, truth[:, None], 1 - truth[:, None])
    classes = ("yes_", "no_")
    return Profile(
        row_ids=tuple(map(str, range(n))),
        tiers=("cheap", "dear"),
        loss=np.where(right, 0.0, 1.0),
        answered=np.ones((n, 2), dtype=np.bool_),
        score=np.round(0.4 + 0.3 * right + 0.29 * rng.random((n, 2)), 3),
        answer_class=given.astype(np.int64),
        classes=classes,
        latency_ms=np.full((n, 2), np.nan),
        cost_usd=np.tile(PRICES, (n, 1)),
        label=tuple(classes[i] for i in truth),
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_empirical_search_finds_what_trying_every_threshold_finds(
    tmp_path: Path, seed: int
) -> None:
    """On a few rows every threshold that makes a difference can be tried by hand."""
    brief, profile = brief_in(tmp_path), tiny(seed)

    found = search(brief, profile, profile.score)

    best = PERSON_USD  # the person alone keeps both promises
    yes = np.array(profile.label) == "yes_"
    values = [[*sorted(profile.score[:, k]), np.inf] for k in (0, 1)]
    for chain in [("cheap",), ("dear",), ("cheap", "dear")]:
        columns = [("cheap", "dear").index(name) for name in chain]
        for with_person in (False, True):
            gated = columns if with_person else columns[:-1]
            for thresholds in itertools.product(*(values[k] for k in gated)):
                right, usd = np.empty(len(profile)), np.empty(len(profile))
                for i in range(len(profile)):
                    paid = 0.0
                    for k, least in itertools.zip_longest(columns, thresholds):
                        paid += PRICES[k]
                        if least is None or profile.score[i, k] >= least:
                            right[i], usd[i] = 1 - profile.loss[i, k], paid
                            break
                    else:
                        right[i], usd[i] = 1.0, paid + PERSON_USD
                if right.mean() >= 0.8 - 1e-9 and right[yes].mean() >= 0.8 - 1e-9:
                    best = min(best, float(usd.mean()))
    assert found is not None
    assert found.cost_usd == pytest.approx(best)


@pytest.mark.parametrize("by_class", [False, True])
def test_sums_over_cells_and_one_combination_after_the_other_agree(
    tmp_path: Path, *, by_class: bool
) -> None:
    """The quick way of a grid search gives the choice of the plain way."""
    brief, profile = brief_in(tmp_path), tiny(3, n=40)
    chain = ("cheap", "dear", "person")
    seen = outcomes(brief, profile, chain)
    gates = gates_of(profile, profile.score, chain, by_class=by_class)
    grids = [
        np.unique(np.append(np.quantile(profile.score, np.linspace(0, 1, 5)), np.inf))
        for _ in range(gates.n_gates)
    ]

    plain = plain_grid(seen, gates, grids)
    quick = table_grid(seen, gates, grids)

    assert plain is not None
    assert quick is not None
    assert quick[0] == pytest.approx(plain[0])
    leaves = exits(gates, quick[1])
    assert seen.broken(leaves) == ()
    assert seen.cost_usd(leaves) == pytest.approx(quick[0])


def test_tighter_limits_cost_more_and_miss_less(tmp_path: Path) -> None:
    """Candidates run from bold to safe."""
    brief, profile = brief_in(tmp_path), tiny(1, n=200)

    found = with_margins(brief, profile, profile.score, (0.0, 1.0, 2.0), cert_share=0.5)

    assert len(found) > 1
    assert [one.cost_usd for one in found] == sorted(one.cost_usd for one in found)


def test_chains_are_singles_pairs_and_triples_in_the_order_of_price(tmp_path: Path) -> None:
    """A person comes last, with and without machines before."""
    assert chains_of(brief_in(tmp_path), tiny(0)) == [
        ("cheap",),
        ("dear",),
        ("cheap", "dear"),
        ("person",),
        ("cheap", "person"),
        ("dear", "person"),
        ("cheap", "dear", "person"),
    ]


def test_a_tier_that_abstained_is_never_relied_on(tmp_path: Path) -> None:
    """Its row goes on whatever the threshold is."""
    whole = tiny(2, n=30)
    answered = whole.answered.copy()
    answered[5, 0] = False
    profile = Profile(
        **{
            name: getattr(whole, name) for name in ("row_ids", "tiers", "score", "classes", "label")
        },
        loss=np.where(answered, whole.loss, np.nan),
        answered=answered,
        answer_class=np.where(answered, whole.answer_class, -1),
        latency_ms=whole.latency_ms,
        cost_usd=whole.cost_usd,
    )

    sure = reliability(profile, np.arange(len(profile)))
    gates = gates_of(profile, sure, ("cheap", "dear"), by_class=False)

    assert sure[5, 0] == -np.inf
    assert exits(gates, (-np.inf,))[5] == 1
    assert exits(gates, (-np.inf,))[6] == 0
    assert outcomes(brief_in(tmp_path), profile, ("cheap", "dear")).usd[5, 1] == pytest.approx(
        0.011
    )


def test_holm_corrects_over_tiers_and_takes_the_worst_promise_of_each() -> None:
    """By hand, delta 0.1 over three tiers: 0.02 <= 0.1 / 3, 0.045 <= 0.1 / 2, 0.2 > 0.1."""
    assert shown([[0.01, 0.045], [0.02, 0.001], [0.2, 0.0]], delta=0.1) == (True, True, False)
    # 0.06 > 0.1 / 2 stops the walk, so that 0.07 is not shown either, although it is below 0.1.
    assert shown([[0.01], [0.06], [0.07]], delta=0.1) == (True, False, False)


def test_the_cheapest_tier_that_kept_a_floor_need_not_be_shown(tmp_path: Path) -> None:
    """Fourteen rows are enough to look good and too few to show it; the person is always shown."""
    brief = brief_in(tmp_path, recall=0.4, accuracy=0.5)
    whole = tiny(0)
    right = np.ones((14, 2))
    right[:5, 0] = 0
    profile = Profile(
        **{
            name: getattr(whole, name)
            for name in ("row_ids", "tiers", "score", "classes", "label", "latency_ms", "cost_usd")
        },
        loss=1 - right,
        answered=whole.answered,
        answer_class=np.where(
            right == 1, np.arange(14)[:, None] % 2, 1 - np.arange(14)[:, None] % 2
        ),
    )

    assert cheapest_that_kept(brief, profile) == "cheap"
    # P(Bin(14, 0.5) <= 5) = 0.212 against 0.1 / 2 at best.
    assert cheapest_shown(brief, profile) == "dear"


def test_the_oracle_asks_the_cheapest_tier_that_is_right() -> None:
    """By hand: right are cheap; dear alone; nobody."""
    whole = tiny(0, n=3)
    profile = Profile(
        **{
            name: getattr(whole, name)
            for name in ("row_ids", "tiers", "score", "classes", "label", "latency_ms", "cost_usd")
        },
        loss=np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]),
        answered=whole.answered,
        answer_class=whole.answer_class,
    )

    assert oracle(profile, person_usd=0.05) == pytest.approx((0.001 + 0.01 + 0.05) / 3)
    assert oracle(profile) == pytest.approx((0.001 + 0.01 + 0.001) / 3)
    # Two of three right: the second row must be asked of the dear tier.
    assert oracle_usd(profile, 2 / 3) == pytest.approx((0.001 + 0.01 + 0.001) / 3, rel=1e-3)
    assert np.isnan(oracle_usd(profile, 0.9))


def test_gap_recovered_by_hand() -> None:
    """The strong model gains on rows 0 and 3 and loses on row 1: the gap is 1 of 4 rows."""
    weak = np.array([0.0, 1.0, 1.0, 0.0])
    strong = np.array([1.0, 0.0, 1.0, 1.0])
    likes = np.array([0.9, 0.1, 0.2, 0.8])

    recovered = gap_recovered(likes, weak, strong)

    assert recovered.tolist() == [0.0, 1.0, 2.0, 2.0, 1.0]
    assert apgr(recovered) == pytest.approx((0.5 + 1.5 + 2.0 + 1.5) / 4)
    assert calls_for(recovered, 0.8) == 0.25


def test_mapie_holds_valid_what_the_rows_show() -> None:
    """Two hundred rows without a miss show 90 %, half of them right do not."""
    pytest.importorskip("mapie")
    truth = np.ones(200, dtype=np.int64)
    predicted = np.column_stack([truth, np.arange(200) % 2])

    found = mapie_choice(predicted, truth, {"accuracy": 0.9}, confidence_level=0.9)

    assert found.valid == (0,)
    assert found.own == 0
