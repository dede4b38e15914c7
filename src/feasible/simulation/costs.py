"""What one decision costs, term by term, from the brief's own numbers."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from feasible.schema import AnsweredBy, Brief, FloatArray, TierKind, TierSpec
from feasible.simulation.design import Tokens
from feasible.simulation.sheet import Values
from feasible.units import MONTH_S

__all__ = ["cadence_curve", "context_curve", "cost_lines"]

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_TURNS: Final = (1, 2, 4, 8, 16, 32)
_CADENCES: Final = (1 / 24, 1.0, 7.0, 14.0, 30.0, 90.0, 365.0)
"""Days between two retrainings: hourly to yearly."""


def cost_lines(
    brief: Brief, values: Values, *, by: AnsweredBy = AnsweredBy.ALL
) -> dict[str, FloatArray] | None:
    """Give dollars per decision, one line for each thing that is paid.

    Calls at the share of decisions that reach them, replicas sized for the peak, people, labels,
    retraining, and what is paid by the month.

    Args:
        brief: The declaration.
        values: Its numbers, shape (n,).
        by: Whose cost: all, machines' alone or people's alone.

    Returns:
        Name -> dollars per decision, shape (n,); None when a price or a reach is not stated.
    """
    lines: dict[str, FloatArray] = {}
    for tier in brief.layers.tiers:
        is_person = tier.kind is TierKind.PERSON
        if by is AnsweredBy.MACHINES and is_person:
            continue
        if by is AnsweredBy.PEOPLE and not is_person:
            continue
        found = _tier_lines(tier, values)
        if found is None:
            return None
        lines |= found
        calls = values.get(f"{tier.name}.usd")
        if tier.retries and tier.retry_budget is not None and calls is not None:
            again = values[f"{tier.name}.reach"] * tier.retry_budget.mid
            lines[f"{tier.name}, retries at most"] = again * calls
    if by is not AnsweredBy.PEOPLE:
        lines |= _monthly_lines(brief, values)
    return lines if brief.layers.tiers else None


def _tier_lines(tier: TierSpec, values: Values) -> dict[str, FloatArray] | None:
    """Give what a tier costs per decision: its calls, and its replicas sized for the peak.

    Where its capacity is known, replicas are two lines: the time that they work, and the time that
    they are there for the peak and idle.
    """
    reach = values.get(f"{tier.name}.reach")
    usd, usd_hour = values.get(f"{tier.name}.usd"), values.get(f"{tier.name}.usd_hour")
    if reach is None or (usd is None and usd_hour is None):
        return None
    line = np.zeros_like(reach) if usd is None else reach * usd
    if usd_hour is None:
        return {tier.name: line}
    rate = values.get("traffic.rate")
    if rate is None:
        return None
    capacity = values.get(f"{tier.name}.capacity")
    if capacity is None:
        return {tier.name: line + usd_hour / (_HOUR_S * rate)}
    peak = values.get("traffic.peak", np.ones_like(rate))
    replicas = np.maximum(1.0, np.ceil(rate * peak * reach / capacity))
    fleet = usd_hour * replicas / (_HOUR_S * rate)
    works = usd_hour * reach / (_HOUR_S * capacity)
    return {tier.name: line + works, f"{tier.name}, idle": np.maximum(fleet - works, 0.0)}


def _monthly_lines(brief: Brief, values: Values) -> dict[str, FloatArray]:
    """Give what is paid by time and not by call, spread over the decisions."""
    rate = values.get("traffic.rate")
    if rate is None:
        return {}
    decisions = rate * MONTH_S
    lines = {}
    for name in ("data", "features"):
        usd_month = values.get(f"{name}.usd_month")
        if usd_month is not None:
            lines[name] = usd_month / decisions
    serving = brief.layers.serving
    if serving is not None and "serving.usd_hour" in values:
        workers = serving.workers or 1
        lines["serving"] = values["serving.usd_hour"] * workers / (_HOUR_S * rate)
    lines |= _learning_lines(brief, values, decisions)
    return lines


def _learning_lines(brief: Brief, values: Values, decisions: FloatArray) -> dict[str, FloatArray]:
    """Give the cost of retraining, and of labels: those bought each month, or those it needs."""
    lines = {}
    every = values.get("retrain.every")
    times = None if every is None else MONTH_S / every
    if times is not None and "retrain.usd" in values:
        lines["retrain"] = values["retrain.usd"] * times / decisions
    usd_each, per_month = values.get("labels.usd_each"), values.get("labels.per_month")
    usd_label, wanted = values.get("retrain.usd_per_label"), values.get("retrain.labels")
    if brief.labels.source == "human" and usd_each is not None and per_month is not None:
        lines["labels"] = usd_each * per_month / decisions
    elif times is not None and usd_label is not None and wanted is not None:
        lines["labels"] = usd_label * wanted * times / decisions
    return lines


def context_curve(tokens: Tokens, *, turns: tuple[int, ...] = _TURNS) -> list[dict[str, float]]:
    """Say what a conversation costs by its length, when every turn sends all turns before again.

    Args:
        tokens: What a call reads and writes, and its prices.
        turns: Lengths to say it for. Counts.

    Returns:
        Per length: tokens that the conversation reads, its dollars, and those of a turn.

    Examples:
        >>> plain = Tokens(reads=100.0, writes=0.0, turn_tokens=50.0, usd_read=1e-6)
        >>> [line["reads"] for line in context_curve(plain, turns=(1, 2, 4))]
        [100.0, 250.0, 700.0]
    """
    cached = tokens.usd_read if tokens.usd_cached is None else tokens.usd_cached
    out = []
    for n in turns:
        new = n * tokens.reads + tokens.turn_tokens * n * (n - 1) / 2
        usd = (
            new * tokens.usd_read
            + n * tokens.prefix * cached
            + n * tokens.writes * tokens.usd_write
        )
        out.append({"turns": n, "reads": new + n * tokens.prefix, "usd": usd, "usd_turn": usd / n})
    return out


def cadence_curve(
    brief: Brief, values: Values, *, decay_per_day: float | None
) -> dict[str, Any] | None:
    """Say what retraining costs per decision by how often, and what waiting costs.

    With the share of answers that turns wrong each day, and what a wrong one costs, the mean loss
    grows with half the time between two retrainings, and there is a best time.

    Args:
        brief: The declaration.
        values: Its numbers, shape (1,).
        decay_per_day: Share of the answers that turns wrong with each day; None: nobody knows, and
            no loss and no best time are given.

    Returns:
        None when the brief states no rate, or no price of a retraining.

    Source:
        The lot size of Harris (1913), with decay in place of demand.
    """
    rate, usd = values.get("traffic.rate"), values.get("retrain.usd")
    if rate is None or usd is None:
        return None
    labels, each = values.get("retrain.labels"), values.get("retrain.usd_per_label")
    once = float(usd[0]) + (0.0 if labels is None or each is None else float(labels[0] * each[0]))
    decisions = float(rate[0]) * _DAY_S
    error = brief.goal.error_usd
    loss = None
    if decay_per_day and error is not None:
        loss = decay_per_day * error.mid
    curve = []
    for days in _CADENCES:
        paid = once / (decisions * days)
        lost = None if loss is None else loss * days / 2
        curve.append(
            {
                "every_days": days,
                "usd_each_retraining": paid,
                "usd_each_lost": lost,
                "usd_each": None if lost is None else paid + lost,
            }
        )
    best = None if loss is None else math.sqrt(2 * once / (loss * decisions))
    every = values.get("retrain.every")
    return {
        "usd_once": once,
        "every_days": None if every is None else float(every[0]) / _DAY_S,
        "best_every_days": best,
        "curve": curve,
    }
