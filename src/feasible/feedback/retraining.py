"""When to fit again: as soon as what waiting costs exceeds what a steady cadence would cost.

A model that gets worse by s dollars a day each day, and costs C to fit again, is best fitted again
every sqrt(2 C / s) days: just when it loses sqrt(2 C s) a day. With luck in s the same threshold
on the loss is near the best there is, and it needs no calendar.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np

from feasible.schema import FloatArray

__all__ = ["RetrainAdvice", "advise_retraining", "growth_of_loss", "retrain_at", "steady_days"]

_SURE: Final = 0.8


class RetrainAdvice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to fit again now, and why."""

    act: str
    """`retrain`, `wait`, or `buy audits`."""
    why: str
    loses_usd_day: float
    """Median of what the live model loses a day against one fitted on what is labelled by now."""
    at_usd_day: float
    """Loss a day from which on fitting again pays."""
    every_days: float
    """Steady cadence at this growth."""


def retrain_at(cost_usd: float, growth_usd_day2: float) -> float:
    """Give the loss in dollars a day from which on a new fit pays.

    Args:
        cost_usd: All that one fit costs: compute, labels, validation, the risk of the rollout.
        growth_usd_day2: How much more is lost a day, each day. Dollars per day per day, > 0.

    Examples:
        >>> retrain_at(2000.0, 4.5)
        134.16...
    """
    return math.sqrt(2.0 * cost_usd * growth_usd_day2)


def steady_days(cost_usd: float, growth_usd_day2: float) -> float:
    """Give the days between fits at a steady growth.

    Examples:
        >>> steady_days(2000.0, 4.0)
        31.62...
    """
    return math.sqrt(2.0 * cost_usd / growth_usd_day2)


def growth_of_loss(
    ages_days: FloatArray, losses_usd_day: FloatArray, *, believed: float, weight: float
) -> float:
    """Estimate how much more is lost a day, each day, from models of different ages.

    A line through zero: a model that was just fitted loses nothing against itself.

    Args:
        ages_days: shape (n,). Ages of past models when their loss was measured.
        losses_usd_day: shape (n,). What they lost against a fresh one.
        believed: Growth that was believed beforehand. Dollars per day per day, > 0.
        weight: How much that counts: as a measurement at an age of sqrt(weight) days.

    Examples:
        >>> growth_of_loss(np.array([10.0, 20.0]), np.array([40.0, 80.0]), believed=4.0, weight=1.0)
        4.0
    """
    seen = float(ages_days @ losses_usd_day) + weight * believed
    return max(seen / (float(ages_days @ ages_days) + weight), 1e-9)


def advise_retraining(
    loses_usd_day: FloatArray, *, cost_usd: float, growth_usd_day2: float, labelled: float
) -> RetrainAdvice:
    """Say whether to fit again now, to wait, or to buy audits first.

    A fit learns of a new pattern only what is labelled of it, so only that share is regained.

    Args:
        loses_usd_day: shape (n,). Draws of what the live model loses a day.
        cost_usd: All that one fit costs.
        growth_usd_day2: How much more is lost a day, each day.
        labelled: Share of what is new that is labelled by now. Ratio.

    Examples:
        >>> advise_retraining(
        ...     np.full(9, 200.0), cost_usd=2000.0, growth_usd_day2=4.0, labelled=0.9
        ... ).act
        'retrain'
    """
    threshold = retrain_at(cost_usd, growth_usd_day2)
    chance = float(np.mean(loses_usd_day * labelled >= threshold))
    chance_with_labels = float(np.mean(loses_usd_day >= threshold))
    median = float(np.median(loses_usd_day))
    act, why = "wait", f"it pays from ${threshold:,.2f} a day on; chance of that {chance:.0%}"
    if chance >= _SURE:
        act, why = "retrain", f"chance {chance:.0%} that a fit regains ${threshold:,.2f} a day"
    elif chance_with_labels >= _SURE:
        act = "buy audits"
        why = f"only {labelled:.0%} of what is new is labelled: a fit now would not learn the rest"
    return RetrainAdvice(
        act=act,
        why=why,
        loses_usd_day=median,
        at_usd_day=threshold,
        every_days=steady_days(cost_usd, growth_usd_day2),
    )
