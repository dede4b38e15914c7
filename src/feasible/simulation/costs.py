"""What one decision costs, term by term, from the brief's own numbers."""

from __future__ import annotations

from typing import Final

import numpy as np

from feasible.schema import AnsweredBy, Brief, FloatArray, TierKind, TierSpec
from feasible.simulation.sheet import Values
from feasible.units import MONTH_S

__all__ = ["cost_lines"]

_HOUR_S: Final = 3600.0


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
        line = _tier_line(tier, values)
        if line is None:
            return None
        lines[tier.name] = line
        calls = values.get(f"{tier.name}.usd")
        if tier.retries and tier.retry_budget is not None and calls is not None:
            again = values[f"{tier.name}.reach"] * tier.retry_budget.mid
            lines[f"{tier.name}, retries at most"] = again * calls
    if by is not AnsweredBy.PEOPLE:
        lines |= _monthly_lines(brief, values)
    return lines if brief.layers.tiers else None


def _tier_line(tier: TierSpec, values: Values) -> FloatArray | None:
    """Give what a tier costs per decision: its calls, and its replicas sized for the peak."""
    reach = values.get(f"{tier.name}.reach")
    usd, usd_hour = values.get(f"{tier.name}.usd"), values.get(f"{tier.name}.usd_hour")
    if reach is None or (usd is None and usd_hour is None):
        return None
    line = np.zeros_like(reach) if usd is None else reach * usd
    if usd_hour is None:
        return line
    rate = values.get("traffic.rate")
    if rate is None:
        return None
    capacity = values.get(f"{tier.name}.capacity")
    peak = values.get("traffic.peak", np.ones_like(rate))
    replicas = np.ones_like(rate)
    if capacity is not None:
        replicas = np.maximum(1.0, np.ceil(rate * peak * reach / capacity))
    return line + usd_hour * replicas / (_HOUR_S * rate)


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
