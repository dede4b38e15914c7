"""Without labels a plan is certified to agree with the top tier, and it is called that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from scipy.stats import binom

from feasible.errors import DataError
from feasible.planning import agreed, backtest, plan_profile
from feasible.schema import Brief, PlanReport, Profile, parse_brief

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PERSON = "layers: {tiers: [{name: ann, kind: person, usd: $1, error_rate: 1 %}]}\n"


def brief(*promises: str, rest: str = "") -> Brief:
    """Make a brief of some promises."""
    said = "".join(f"  - {{{promise}}}\n" for promise in promises)
    return parse_brief(
        f"feasible: 1\nname: x\ngoal: {{statement: s, value_usd: 1}}\nenvelope:\n{said}{rest}"
    ).brief


def draw(n: int, seed: int) -> Profile:
    """Give unlabelled rows on which `small` answers like `large` with chance 0.8 + 0.19 * score."""
    rng = np.random.default_rng(seed)
    score, reference = rng.random(n), rng.integers(0, 2, n)
    agrees = rng.random(n) < 0.8 + 0.19 * score
    return Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("small", "large"),
        loss=np.full((n, 2), np.nan),
        answered=np.ones((n, 2), dtype=np.bool_),
        score=np.column_stack([score, np.full(n, np.nan)]),
        answer_class=np.column_stack([np.where(agrees, reference, 1 - reference), reference]),
        classes=("no", "yes"),
        latency_ms=np.ones((n, 2)),
        cost_usd=np.column_stack([np.full(n, 1e-4), np.full(n, 0.01)]),
    )


def plan(said: Brief, rows: Profile, *, seed: int = 0) -> PlanReport:
    """Plan for a brief."""
    return plan_profile(said, rows, data="drawn", synthetic=True, seed=seed, now=NOW)


ACCURACY = brief("quality: accuracy, at_least: 0.93")


def test_agreement_is_never_called_accuracy() -> None:
    """The whole answer as JSON has the word only where it says that nothing is known of it."""
    made = plan(ACCURACY, draw(2000, 1))

    assert made.feasible
    (line,) = made.certificate
    assert (line.objective, line.agreement_with) == ("agreement_with_large", "large")
    assert line.limit == 0.93
    assert "nothing about being right" in line.assumption
    assert any("agreement with `large`" in note for note in made.notes)
    said = msgspec.structs.replace(made, notes=())
    assert b"accuracy" not in msgspec.json.encode(said, enc_hook=str)
    assert b'"right"' not in msgspec.json.encode(said, enc_hook=str).replace(b'"right":null', b"")


def test_agreement_saves_calls_of_the_top_tier() -> None:
    """The plan keeps 93 % agreement and is cheaper than asking `large` every time."""
    made = plan(ACCURACY, draw(2000, 1))

    assert made.plan is not None
    assert made.plan.forecast.cost_usd is not None
    assert made.plan.forecast.cost_usd < 0.009


def test_people_do_not_agree_at_their_error_rate() -> None:
    """How often a person is right says nothing about how often they answer like `large`."""
    made = plan(brief("quality: accuracy, at_least: 0.93", rest=PERSON), draw(2000, 1))

    assert [left.tier for left in made.left_out] == ["ann"]
    assert made.plan is not None
    assert "ann" not in {step.name for step in made.plan.tiers}


def test_a_single_label_makes_it_a_matter_of_being_right() -> None:
    """Where something is labelled, accuracy keeps its meaning."""
    rows = draw(50, 1)
    loss = rows.loss.copy()
    loss[0] = 0.0
    said, same = agreed(ACCURACY, replace(rows, loss=loss))

    assert said is ACCURACY
    assert same.agreed_with is None


@pytest.mark.parametrize(
    "promise", ["quality: precision, of: yes, at_least: 0.9", "quality: f1, at_least: 0.9"]
)
def test_no_other_quality_is_judged_by_agreement(promise: str) -> None:
    """Precision against another tier's answers is not precision."""
    with pytest.raises(DataError, match="no row has a loss"):
        plan(brief(promise), draw(200, 1))


def test_one_tier_has_nobody_to_agree_with() -> None:
    """Agreement with oneself is not offered."""
    rows = draw(200, 1)
    alone = replace(
        rows,
        tiers=("large",),
        loss=rows.loss[:, 1:],
        answered=rows.answered[:, 1:],
        score=rows.score[:, 1:],
        answer_class=rows.answer_class[:, 1:],
        latency_ms=rows.latency_ms[:, 1:],
        cost_usd=rows.cost_usd[:, 1:],
    )
    with pytest.raises(DataError, match="no row has a loss"):
        plan(ACCURACY, alone)


def test_rows_that_the_top_tier_did_not_answer_judge_nothing() -> None:
    """They are counted in a note."""
    rows = draw(1000, 1)
    answered = rows.answered.copy()
    answered[::10, 1] = False
    made = plan(ACCURACY, replace(rows, answered=answered))

    assert any("100 rows judge no agreement" in note for note in made.notes)
    assert made.certificate[0].n < 400


@pytest.mark.slow
def test_certified_agreement_is_broken_no_more_often_than_declared() -> None:
    """At 95 % at most one certified plan in twenty may break its floor, within a binomial bound."""
    said, truth = agreed(ACCURACY, draw(60_000, 10_000))
    certified = broken = 0
    for seed in range(20):
        made = plan(ACCURACY, draw(1500, seed), seed=seed)
        if made.plan is None:
            continue
        certified += 1
        value = backtest(made.plan, said, truth).quality["agreement_with_large"]
        broken += value is not None and value < 0.93

    seen = f"seeds 0..19: {certified} certified, {broken} broken in truth"
    assert certified > 10, seen
    assert broken <= binom.ppf(0.999, certified, 0.05), seen
