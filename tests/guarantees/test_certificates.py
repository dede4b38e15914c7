"""Plans on data with a known truth: how often a certified promise is broken in truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from feasible.planning import backtest, plan_profile
from feasible.schema import Profile, parse_brief

BRIEF = parse_brief("""\
feasible: 1
name: known
goal: {statement: A truth that the test knows}
envelope:
  - {quality: accuracy, at_least: 0.90}
  - {cost: mean, at_most: $0.02}
""").brief


def draw(n: int, seed: int) -> Profile:
    """Draw rows whose chance of being right is known: 0.80 + 0.19 * score, and 0.93."""
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    loss = np.column_stack([rng.random(n) > 0.8 + 0.19 * score, rng.random(n) > 0.93])
    return Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("small", "large"),
        loss=loss.astype(float),
        answered=np.ones((n, 2), dtype=np.bool_),
        score=np.column_stack([score, np.full(n, 0.5)]),
        answer_class=np.zeros((n, 2), dtype=np.int64),
        classes=("a",),
        latency_ms=np.ones((n, 2)),
        cost_usd=np.column_stack([np.full(n, 1e-5), np.full(n, 0.01)]),
    )


@pytest.mark.parametrize("trials", [8, pytest.param(120, marks=pytest.mark.slow)])
def test_certified_promises_are_broken_no_more_often_than_declared(trials: int) -> None:
    """At 95 % at most one certified plan in twenty may break its floor, within a binomial bound."""
    truth = draw(60_000, seed=10_000)
    certified = broken = 0
    for seed in range(trials):
        report = plan_profile(BRIEF, draw(1500, seed), data="drawn", synthetic=True, seed=seed)
        if report.plan is None:
            continue
        certified += 1
        value = backtest(report.plan, BRIEF, truth).quality["accuracy"]
        broken += value is not None and value < 0.90

    seen = f"seeds 0..{trials - 1}: {certified} certified, {broken} broken in truth"
    assert certified > trials // 2, seen
    assert broken <= binom.ppf(0.999, certified, 0.05), seen
