"""The numbers of a brief as one sheet: named inputs, their middles, and draws from their ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, logit, ndtri

from feasible.schema import Brief, FloatArray, TierKind
from feasible.units import Quantity

__all__ = ["Input", "Values", "drawn", "middles", "sheet"]

Values = Mapping[str, FloatArray]
"""Input -> its values in base units (seconds, dollars, per second, shares), shape (n,)."""

_Z90: Final = float(ndtri(0.95))  # a range is read as the middle 90 %
_DIVISORS: Final = (".rate", ".peak", ".capacity", ".concurrency", ".every", ".per_month")
_TIER_FIELDS: Final = (
    "usd",
    "usd_hour",
    "latency_p95",
    "reach",
    "capacity",
    "adapts_in",
    "ready_in",
    "footprint",
    "ttl",
    "timeout",
)


@dataclass(frozen=True, slots=True)
class Input:
    """One number of a brief.

    Attributes:
        name: What it is called in reports and in `bottleneck.knob`, for example `person.capacity`.
        low: Lower end of its range, in base units.
        high: Upper end; equal to `low` without a range.
        middle: Geometric for positive ranges.
        is_share: Whether it lies between 0 and 1 by its nature.
        is_knob: Whether a design can turn it; traffic cannot be turned.
    """

    name: str
    low: float
    high: float
    middle: float
    is_share: bool
    is_knob: bool

    @property
    def is_range(self) -> bool:
        """Claim that the brief gives two ends."""
        return self.low != self.high


def sheet(brief: Brief) -> tuple[Input, ...]:
    """Give every number of a brief that a closed form can use, in the brief's order.

    A rate or a capacity of zero is none: nothing can be divided by it.
    """
    return tuple(
        Input(
            name=name,
            low=number.low,
            high=number.high,
            middle=number.mid,
            is_share=number.dimension == "ratio",
            is_knob=name not in {"traffic.rate", "traffic.peak"},
        )
        for name, number in _numbers(brief)
        if number is not None and (number.low > 0 or not name.endswith(_DIVISORS))
    )


def _numbers(brief: Brief) -> Iterator[tuple[str, Quantity | None]]:
    traffic, labels, layers = brief.traffic, brief.labels, brief.layers
    yield "traffic.rate", traffic.rate
    yield "traffic.peak", traffic.peak
    yield "traffic.repeated", traffic.repeated
    yield "labels.arrive_after", labels.arrive_after
    yield "labels.per_month", labels.per_month
    for name, count in labels.positives_per_month.items():
        yield f"labels.positives_per_month.{name}", count
    yield "labels.usd_each", labels.usd_each
    for layer, part in (("data", layers.data), ("features", layers.features)):
        yield f"{layer}.usd_month", None if part is None else part.usd_month
    yield "features.max_age", None if layers.features is None else layers.features.max_age
    for tier in layers.tiers:
        for name in _TIER_FIELDS:
            yield f"{tier.name}.{name}", getattr(tier, name)
        if tier.concurrency is not None:
            yield f"{tier.name}.concurrency", Quantity(tier.concurrency)
    yield "serving.usd_hour", None if layers.serving is None else layers.serving.usd_hour
    feedback = layers.feedback
    if feedback is not None:
        yield "feedback.detected_in", feedback.detected_in
        for name in ("every", "usd", "labels", "usd_per_label", "label_delay"):
            yield f"retrain.{name}", getattr(feedback.retrain, name, None)


def middles(inputs: tuple[Input, ...], brief: Brief) -> dict[str, FloatArray]:
    """Give every input at its middle, and the reaches that follow from the traffic. Shape (1,)."""
    return _with_reaches({i.name: np.array([i.middle]) for i in inputs}, brief)


def drawn(
    inputs: tuple[Input, ...], brief: Brief, *, n: int, seed: int
) -> tuple[dict[str, FloatArray], tuple[str, ...]]:
    """Draw every range at once by a Latin hypercube; numbers without a range stay fixed.

    A range is the middle 90 % of a lognormal when positive, of a logit-normal for a share strictly
    between 0 and 1, and of a normal, held at 0, otherwise.

    Args:
        inputs: The sheet.
        brief: The declaration.
        n: Draws. Count.
        seed: Makes the draws repeatable.

    Returns:
        Values of shape (n,), and the names of the inputs that have a range.

    Source:
        McKay, Beckman and Conover (1979), Technometrics 21(2), for the hypercube.
    """
    rng = np.random.default_rng(seed)
    values, ranged = {}, []
    for item in inputs:
        if not item.is_range:
            values[item.name] = np.full(n, item.middle)
            continue
        ranged.append(item.name)
        z: FloatArray = ndtri((rng.permutation(n) + rng.random(n)) / n)
        values[item.name] = _spread(item, z)
    return _with_reaches(values, brief), tuple(ranged)


def _spread(item: Input, z: FloatArray) -> FloatArray:
    """Turn standard normal draws into draws of an input."""
    low, high = item.low, item.high
    if item.is_share and low > 0 and high < 1:
        return np.asarray(expit(_line(logit(low), logit(high), z)))
    if item.is_share:
        return np.clip(_line(low, high, z), 0.0, 1.0)
    if low > 0:
        return np.exp(_line(np.log(low), np.log(high), z))
    return np.maximum(_line(low, high, z), min(low, 0.0))


def _line(low: float, high: float, z: FloatArray) -> FloatArray:
    return (low + high) / 2 + z * (high - low) / (2 * _Z90)


def _with_reaches(values: dict[str, FloatArray], brief: Brief) -> dict[str, FloatArray]:
    """Add reaches that need no statement: all reach the first tier, caches keep repeats back."""
    tiers = brief.layers.tiers
    rows = next(iter(values.values())).shape if values else (1,)
    repeated = values.get("traffic.repeated")
    for index, tier in enumerate(tiers):
        name = f"{tier.name}.reach"
        if name in values:
            continue
        before = tiers[:index]
        if not before:
            values[name] = np.ones(rows)
        elif repeated is not None and all(t.kind is TierKind.CACHE for t in before):
            values[name] = 1.0 - repeated
    return values
