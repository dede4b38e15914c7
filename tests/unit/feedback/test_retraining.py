"""The rule against a calendar, never, and the best threshold in hindsight. Paths are synthetic."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from feasible.feedback.retraining import advise_retraining, growth_of_loss, retrain_at

DAYS, PATHS, COST, REGAINED, LAG = 720, 30, 2000.0, 0.85, 7
GROWTH = 1.5 + 150 * math.exp(0.18) / 60
"""Steady growth, and a jump of $150 in the median every 60 days."""


def _cost_a_day(rule: Callable[[int, float], bool]) -> float:
    """Give the mean of loss and fits a day; the loss is seen with noise, a week late."""
    total = 0.0
    for path in range(PATHS):
        rng = np.random.default_rng([8, path])
        steps = (rng.random(DAYS) < 1 / 60) * rng.lognormal(np.log(150), 0.6, DAYS) + 1.5
        noise = rng.normal(0.0, 40.0, DAYS)
        loss, seen, last, ready = 0.0, 0.0, 0, -1
        past: list[float] = []
        for day in range(DAYS):
            if ready == day:
                loss, seen, last, ready = loss * (1 - REGAINED), seen * (1 - REGAINED), day, -1
                past = [value * (1 - REGAINED) for value in past]
            loss += steps[day]
            past.append(loss)
            if len(past) > LAG:
                seen += 0.35 * (past[-1 - LAG] + noise[day] - seen)
            total += loss
            if ready < 0 and rule(day - last, seen):
                total += COST
                ready = day + 2
    return total / DAYS / PATHS


def _every(days: int) -> Callable[[int, float], bool]:
    return lambda age, _seen: age >= days


def _above(loss: float) -> Callable[[int, float], bool]:
    return lambda age, seen: age > LAG and seen >= loss


def test_the_square_root_rule_is_near_the_best_threshold_in_hindsight() -> None:
    """It costs less than never, than any calendar, and at most 5 % more than hindsight."""
    threshold = retrain_at(COST, GROWTH)

    ours = _cost_a_day(lambda age, seen: age > LAG and max(seen, 0) + GROWTH * LAG >= threshold)

    never = _cost_a_day(lambda _age, _seen: False)
    calendar = min(_cost_a_day(_every(days)) for days in (14, 28, 56))
    best = min(_cost_a_day(_above(loss)) for loss in (25, 50, 75, 100, 150))
    assert ours < calendar < never
    assert ours <= 1.05 * best


def test_a_fit_before_the_labels_come_is_not_advised() -> None:
    """The loss is large, but little of what is new is labelled: audits first, then the fit."""
    loses = np.random.default_rng(0).normal(400.0, 40.0, 1000)

    early = advise_retraining(loses, cost_usd=2000.0, growth_usd_day2=4.0, labelled=0.1)
    late = advise_retraining(loses, cost_usd=2000.0, growth_usd_day2=4.0, labelled=0.8)
    calm = advise_retraining(loses / 10, cost_usd=2000.0, growth_usd_day2=4.0, labelled=0.8)

    assert [early.act, late.act, calm.act] == ["buy audits", "retrain", "wait"]


def test_growth_is_drawn_to_what_was_believed_while_little_is_measured() -> None:
    """One noisy measurement hardly moves it; many do."""
    rng = np.random.default_rng(0)
    ages = rng.uniform(5, 40, 200)
    losses = 8.0 * ages + rng.normal(0, 30, 200)

    few = growth_of_loss(ages[:1], losses[:1], believed=2.0, weight=5_000.0)
    many = growth_of_loss(ages, losses, believed=2.0, weight=5_000.0)

    assert abs(few - 2.0) < 2.0
    assert abs(many - 8.0) < 0.5
