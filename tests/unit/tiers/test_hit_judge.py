from __future__ import annotations

import numpy as np
import pytest

from feasible.errors import ModelFileError
from feasible.tiers.hit_judge import CLASS_COLUMNS, COLUMNS, HitJudge, fit_judge

RNG = np.random.default_rng(5)


def made_up(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Give pairs where a negation makes the answer wrong, and a cosine that says the opposite."""
    pairs = np.zeros((n, len(COLUMNS)))
    negated = RNG.random(n) < 0.5
    pairs[:, COLUMNS.index("negation")] = negated
    pairs[:, COLUMNS.index("alike")] = ~negated
    pairs[:, COLUMNS.index("cosine")] = np.where(negated, 0.95, 0.6)
    return pairs, ~negated


def test_a_difference_never_raises_and_a_likeness_never_lowers_the_probability() -> None:
    """Even where the pairs it learnt from say so: here a high cosine goes with a wrong answer."""
    judge = fit_judge(*made_up(200))
    some = made_up(50)[0]
    before = judge.probability(some)
    for column, name in enumerate(COLUMNS):
        more = some.copy()
        more[:, column] += 1
        change = judge.probability(more) - before
        helps = name in {"shared", "letters", "alike", "cosine"}
        assert np.all(change >= 0 if helps else change <= 0), name


def test_it_learns_what_the_pairs_show() -> None:
    """A negated pair is a miss although its cosine is the higher one."""
    pairs, right = made_up(200)
    probability = fit_judge(pairs, right).probability(pairs)
    assert probability[right].min() > 0.9
    assert probability[~right].max() < 0.1


def test_rows_without_negations_do_not_unlearn_them() -> None:
    """Where a classifier agrees, a negation still counts as the hand-written pairs taught."""
    pairs, right = made_up(200)
    rows = np.zeros((300, len(COLUMNS)))
    rows[:, COLUMNS.index("cosine")] = 0.9
    rows[:, COLUMNS.index("alike")] = 1
    evidence = np.zeros((300, len(CLASS_COLUMNS)))
    rows_right = RNG.random(300) < 0.5
    evidence[rows_right] = 1
    judge = fit_judge(pairs, right, rows=rows, evidence=evidence, rows_right=rows_right)
    agreed = np.ones((1, len(CLASS_COLUMNS)))
    plain, negated = rows[:1].copy(), rows[:1].copy()
    negated[0, COLUMNS.index("negation")] = 1
    negated[0, COLUMNS.index("alike")] = 0
    assert judge.probability(plain, agreed)[0] > 0.9
    assert judge.probability(negated, agreed)[0] < 0.5


def test_without_evidence_the_questions_alone_decide() -> None:
    """A stored answer that is no class is judged by its words, whatever the rows taught."""
    pairs, right = made_up(200)
    evidence = np.tile(right[:, None] * 1.0, (1, len(CLASS_COLUMNS)))
    alone = fit_judge(pairs, right)
    both = fit_judge(pairs, right, rows=pairs, evidence=evidence, rows_right=right)
    unknown = np.full((len(pairs), len(CLASS_COLUMNS)), np.nan)
    assert np.array_equal(both.probability(pairs, unknown), alone.probability(pairs))


@pytest.mark.parametrize("missing", ["weights", "base"])
def test_a_stored_judge_that_is_not_whole_is_refused(missing: str) -> None:
    """Half a judge would answer with confidence."""
    judge = fit_judge(*made_up(50))
    facts = {k: v for k, v in judge.facts().items() if k != missing}
    arrays = {k: v for k, v in judge.arrays().items() if k != missing}
    with pytest.raises(ModelFileError, match="not whole"):
        HitJudge.read(facts, arrays)


def test_a_stored_judge_of_other_columns_is_refused() -> None:
    """Weights of other columns mean other things."""
    judge = fit_judge(*made_up(50))
    with pytest.raises(ModelFileError, match="do not fit together"):
        HitJudge.read(judge.facts(), {"weights": judge.weights[1:]})
