"""What staying fresh costs: how old each layer may get, how often it is renewed, for how much."""

from __future__ import annotations

import msgspec

from feasible.schema import Brief, Retrain
from feasible.units import MONTH_DAYS, Duration, Quantity

__all__ = ["LayerUpkeep", "upkeep_of"]


class LayerUpkeep(msgspec.Struct, frozen=True, kw_only=True):
    """One layer, by what the brief declares; None is not declared, and not 0."""

    layer: str
    may_age_days: float | None = None
    """How old what it uses may be."""
    renewed_every_days: float | None = None
    usd_month: float | None = None
    note: str = ""


def upkeep_of(brief: Brief) -> tuple[LayerUpkeep, ...]:
    """Give freshness and its price for each of the five layers, in their order."""
    return (_data(brief), _features(brief), _models(brief), _serving(brief), _feedback(brief))


def _data(brief: Brief) -> LayerUpkeep:
    labels, data = brief.labels, brief.layers.data
    each = _mid(None if labels is None else labels.usd_each)
    per_month = _mid(None if labels is None else labels.per_month)
    paid = None if each is None or per_month is None else each * per_month
    source = _mid(None if data is None else data.usd_month)
    known = [part for part in (paid, source) if part is not None]
    return LayerUpkeep(
        layer="data",
        may_age_days=_days(None if labels is None else labels.arrive_after),
        usd_month=sum(known) if known else None,
        note="labels come this long after the decision; their price and that of the source",
    )


def _features(brief: Brief) -> LayerUpkeep:
    features = brief.layers.features
    if features is None:
        return LayerUpkeep(layer="features")
    stale = features.when_stale
    return LayerUpkeep(
        layer="features",
        may_age_days=_days(features.max_age),
        usd_month=_mid(features.usd_month),
        note=f"older ones are not used: {stale} answers" if stale else "",
    )


def _models(brief: Brief) -> LayerUpkeep:
    every = {
        tier.name: tier.retrain_every.days
        for tier in brief.layers.tiers
        if tier.retrain_every is not None
    }
    return LayerUpkeep(
        layer="models",
        renewed_every_days=min(every.values(), default=_cadence(brief)),
        note=", ".join(every),
    )


def _serving(brief: Brief) -> LayerUpkeep:
    hour = _mid(None if brief.layers.serving is None else brief.layers.serving.usd_hour)
    month = None if hour is None else hour * 24 * MONTH_DAYS
    return LayerUpkeep(layer="serving", usd_month=month)


def _feedback(brief: Brief) -> LayerUpkeep:
    feedback, days = brief.layers.feedback, _cadence(brief)
    retrain = None if feedback is None else feedback.retrain
    once = None if retrain is None else _once_usd(retrain)
    return LayerUpkeep(
        layer="feedback",
        may_age_days=_days(None if feedback is None else feedback.detected_in),
        renewed_every_days=days,
        usd_month=None if once is None or not days else once * MONTH_DAYS / days,
        note="" if once is None else f"one fit costs ${once:,.2f} with its labels",
    )


def _cadence(brief: Brief) -> float | None:
    feedback = brief.layers.feedback
    retrain = None if feedback is None else feedback.retrain
    return _days(None if retrain is None else retrain.every)


def _once_usd(retrain: Retrain) -> float | None:
    """Give what one fit costs with its labels; None where a part of it is not declared."""
    if retrain.usd is None:
        return None
    if retrain.labels is None:
        return retrain.usd.mid
    if retrain.usd_per_label is None:
        return None
    return retrain.usd.mid + retrain.labels.mid * retrain.usd_per_label.mid


def _mid(quantity: Quantity | None) -> float | None:
    return None if quantity is None else quantity.mid


def _days(duration: Duration | None) -> float | None:
    return None if duration is None else duration.days
