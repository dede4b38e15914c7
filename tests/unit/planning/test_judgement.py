"""Which test judges which losses, and what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feasible.planning.constraint import Constraint
from feasible.planning.judgement import interval_of, verdict_on
from feasible.schema import FloatArray, IntArray, Objective
from feasible.stats import betting_upper_bound, hoeffding_bentkus_upper_bound, upper_bound
from feasible.units import Ratio, Usd


def constraint(
    losses: FloatArray,
    *,
    limit: float = 0.1,
    weight: FloatArray | None = None,
    block: IntArray | None = None,
    person_rate: float | None = None,
    by_person: FloatArray | None = None,
) -> Constraint:
    """Make a promise with one exit."""
    n = len(losses)
    person = np.zeros((n, 1), dtype=np.bool_) if by_person is None else by_person[:, None] > 0
    return Constraint(
        objective=Objective(quality="accuracy", at_least=Ratio(1 - limit)),
        loss=losses[:, None],
        counts=np.ones((n, 1), dtype=np.bool_),
        limit=limit,
        weight=np.ones(n) if weight is None else weight,
        is_binary=bool(np.isin(losses, (0, 1)).all()) and person_rate is None,
        by_person=person,
        person_rate=person_rate,
        block=block,
    )


def there(found: Constraint) -> IntArray:
    """Let every row leave by the one exit."""
    return np.zeros(len(found.weight), dtype=np.int64)


def misses(k: int, n: int) -> FloatArray:
    """Give n losses of which k are 1."""
    return np.concatenate([np.ones(k), np.zeros(n - k)])


def test_right_or_wrong_gets_the_exact_binomial() -> None:
    """Four misses in 93 rows show 10 %; in 92 they do not (Clopper and Pearson)."""
    shown, not_shown = constraint(misses(4, 93)), constraint(misses(4, 88))

    found = verdict_on(shown, there(shown), 0.95)

    assert found.method == "exact binomial"
    assert found.bound == pytest.approx(upper_bound(4, 93, confidence_level=0.95))
    assert found.holds == (found.bound is not None and found.bound <= 0.1)
    assert not verdict_on(not_shown, there(not_shown), 0.95).holds


def test_partial_losses_get_bets_in_a_fixed_order() -> None:
    """The same rows in another order are the same evidence only once they are shuffled alike."""
    losses = np.random.default_rng(1).beta(1, 20, 300)
    one = constraint(losses)

    found = verdict_on(one, there(one), 0.95)

    assert found.method == "betting"
    assert found.bound == verdict_on(one, there(one), 0.95).bound
    assert found.bound == pytest.approx(
        betting_upper_bound(losses, confidence_level=0.95), abs=0.01
    )


def test_partial_losses_get_hoeffding_bentkus_where_it_was_chosen() -> None:
    """62 rows without a loss are enough for it at 5 %, and too few for bets; 0/1 losses stay."""
    nothing = constraint(np.full(62, 1e-9), limit=0.05)

    found = verdict_on(nothing, there(nothing), 0.95, mean_test="hoeffding_bentkus")

    assert (found.method, found.holds) == ("Hoeffding-Bentkus", True)
    assert found.bound == pytest.approx(
        hoeffding_bentkus_upper_bound(1e-9, 62, confidence_level=0.95)
    )
    assert not verdict_on(nothing, there(nothing), 0.95).holds
    counted = constraint(misses(1, 100))
    judged = verdict_on(counted, there(counted), 0.95, mean_test="hoeffding_bentkus")
    assert judged.method == "exact binomial"


def test_rows_of_one_entity_are_one_piece_of_evidence() -> None:
    """Ten copies of each of 40 rows show no more than a few dozen rows can."""
    alone = constraint(misses(0, 400))
    copied = constraint(misses(0, 400), block=np.arange(400) // 10)

    assert verdict_on(alone, there(alone), 0.95).bound == pytest.approx(0.0075, abs=1e-4)
    found = verdict_on(copied, there(copied), 0.95)
    assert "entities" in found.method
    assert found.bound is not None
    assert found.bound >= upper_bound(0, 40, confidence_level=0.95)


def test_unequal_weights_widen_the_bound() -> None:
    """A tenth of the rows carries half of the weight: the misses among them count for more."""
    weight = np.where(np.arange(1000) < 100, 5.0, 0.5 / 0.9)
    losses = misses(4, 1000)
    plain, weighted = constraint(losses), constraint(losses, weight=weight)

    bounds = [verdict_on(one, there(one), 0.95).bound for one in (plain, weighted)]

    assert bounds[0] is not None
    assert bounds[1] is not None
    assert bounds[0] < 0.02 < bounds[1]
    value = weighted.value(there(weighted))
    assert value is not None
    assert bounds[1] > value == pytest.approx(0.02)


def test_people_err_at_their_declared_rate_on_a_bound_of_their_share() -> None:
    """Two machine misses and 50 hand-offs at 2 % in 500 rows: parts by hand."""
    losses = np.concatenate([np.ones(2), np.zeros(448), np.full(50, 0.02)])
    by_person = np.concatenate([np.zeros(450), np.ones(50)])
    one = constraint(losses, person_rate=0.02, by_person=by_person)

    found = verdict_on(one, there(one), 0.95)

    share = upper_bound(50, 500, confidence_level=0.995)
    missed = upper_bound(2, 500, confidence_level=0.955)
    assert found.bound == pytest.approx(missed + 0.02 * share)


def test_no_number_of_rows_shows_that_nothing_is_ever_missed() -> None:
    """A hundred rows without a miss show 2.95 % of misses at most, and never none."""
    one = constraint(misses(0, 100), limit=0.0)

    found = verdict_on(one, there(one), 0.95)

    assert not found.holds
    assert found.bound == pytest.approx(upper_bound(0, 100, confidence_level=0.95))


@pytest.mark.parametrize(("dear", "holds"), [(0, True), (1, False)])
def test_a_cap_on_each_decision_is_kept_by_every_row_or_broken_by_one(
    dear: int, *, holds: bool
) -> None:
    """Serving enforces a cap on each decision, so that rows need not show it."""
    capped = Objective(cost="each", at_most=Usd("$1"))
    one = replace(constraint(misses(dear, 10), limit=0.0), objective=capped)

    assert verdict_on(one, there(one), 0.95).holds is holds


def test_nobody_is_asked_where_there_is_nobody() -> None:
    """A plan that has no person asks none."""
    none = Objective(people="share", at_most=Ratio(0.0))
    one = replace(constraint(misses(0, 10), limit=0.0), objective=none)

    assert verdict_on(one, there(one), 0.95).holds


def test_a_limit_that_any_loss_keeps_holds() -> None:
    """A loss of 1 is the most there is."""
    one = constraint(misses(1, 10), limit=1.0)

    assert verdict_on(one, there(one), 0.95).holds


def test_no_rows_show_nothing() -> None:
    """Without a row that judges nothing holds."""
    one = constraint(np.array([]))

    assert not verdict_on(one, there(one), 0.95).holds
    assert interval_of(one, there(one), 0.95) is None


def test_intervals_hold_the_value_inside() -> None:
    """Exact, betting and fixed-stake intervals all lie around the weighted mean."""
    rng = np.random.default_rng(4)
    partial = rng.beta(2, 20, 500)
    for one in (
        constraint(misses(30, 500)),
        constraint(partial),
        constraint(partial, weight=rng.choice([0.5, 1.5], 500)),
        constraint(misses(30, 500), block=np.arange(500) // 2),
    ):
        value, span = one.value(there(one)), interval_of(one, there(one), 0.95)
        assert value is not None
        assert span is not None
        assert 0 < span[0] < value < span[1] < 0.25
