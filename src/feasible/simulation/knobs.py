"""The numbers of a design that can be turned, by name: `llm.slots`, `cache.hit`, `budget.day`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np

from feasible.cascade import Step, accepted_all
from feasible.errors import KnobError, nearest
from feasible.schema import TierKind
from feasible.simulation.design import Design, TierLoad
from feasible.units import Quantity

__all__ = ["Knob", "knob_typed", "knobs_of", "turned"]

_MORE: Final = True
_LESS: Final = False
"""Which way of turning a knob relaxes a design."""
_HAIR: Final = 1e-9
_MOST_SLOTS: Final = 100_000
"""Every run keeps a record of every slot: a number that was mistyped must not fill the memory."""
_EXAMPLES: Final = {
    "duration": "300 ms",
    "usd": "$0.006",
    "ratio": "50 %",
    "rate": "20/s",
    "count": "2",
}

Turn: TypeAlias = Callable[[Design, float], Design]


@dataclass(frozen=True, slots=True)
class Knob:
    """One number that can be turned.

    Attributes:
        name: For example `llm.slots`.
        value: What it is now, in base units (seconds, dollars, shares, per second).
        more_is_better: Whether turning it up relaxes the design; None: it is no choice of it.
        turn: Gives the design with another value.
        low: Smallest value.
        high: Largest value.
        dimension: What a typed value is: `duration`, `usd`, `ratio`, `rate` or `count`.
        whole: Whether it is a whole number.
    """

    name: str
    value: float
    more_is_better: bool | None
    turn: Turn
    low: float = 0.0
    high: float = float("inf")
    dimension: str = "count"
    whole: bool = False

    def relaxed(self, design: Design, by: float) -> tuple[Design, float] | None:
        """Give the design with this knob relaxed, and by which factor; None where it cannot be.

        Args:
            design: The design.
            by: Factor in the good direction, above 1.
        """
        if self.more_is_better is None or self.value <= 0:
            return None
        value = self.value * by if self.more_is_better else self.value / by
        if self.whole:
            value = math.ceil(value - _HAIR) if self.more_is_better else math.floor(value + _HAIR)
        value = min(max(value, self.low), self.high)
        if value <= 0 or value == self.value:
            return None
        return self.turn(design, value), max(value / self.value, self.value / value)


def knobs_of(design: Design) -> dict[str, Knob]:
    """Give every knob of a design by name, in the order of its tiers."""
    found = [Knob("traffic.rate", design.arrivals.rate_per_s, None, _rate, 1e-9, dimension="rate")]
    for k, load in enumerate(design.tiers):
        found += _tier_knobs(design, k, load)
    cache, people = design.cache, design.people
    if cache is not None and cache.hit is not None:
        found.append(Knob("cache.hit", cache.hit, _MORE, _hit, 0.0, 1.0, "ratio"))
    elif cache is not None:
        found.append(Knob("cache.ttl", cache.ttl_s, _MORE, _ttl, dimension="duration"))
    if design.budget_usd_day is not None:
        found.append(Knob("budget.day", design.budget_usd_day, _MORE, _budget, dimension="usd"))
    if people is not None:
        found.append(Knob("people.per_hour", people.per_hour, _MORE, _per_hour))
        if people.share:
            found.append(Knob("people.share", people.share, _LESS, _share, 0.0, 1.0, "ratio"))
    return {knob.name: knob for knob in found}


def knob_typed(name: str, raw: str, dimension: str) -> float:
    """Read the value of a knob as somebody typed it.

    Args:
        name: The knob.
        raw: For example `$0.006`, `300 ms`, `50 %` or `50/s`.
        dimension: What it must be.

    Raises:
        KnobError: It is no number, of another unit, or below zero.
    """
    attempt = f"{name}={_EXAMPLES[dimension]}"
    allowed = {dimension, "count"} | ({"multiple"} if dimension == "count" else set())
    try:
        quantity = Quantity(raw)
    except ValueError as error:
        raise KnobError(
            f"`{name}` cannot be {raw!r}", asked=f"{name}={raw}", found=str(error), attempt=attempt
        ) from error
    if quantity.dimension not in allowed:
        raise KnobError(
            f"`{name}` cannot be {raw!r}",
            asked=f"{name}={raw}",
            found=f"that is a {quantity.dimension}; `{name}` is a {dimension}",
            attempt=attempt,
        )
    if quantity.low < 0 or (dimension == "rate" and quantity.low == 0):
        raise KnobError(
            f"`{name}` cannot be {raw!r}",
            asked=f"{name}={raw}",
            found="it is a number above 0" if dimension == "rate" else "it is at least 0",
            attempt=attempt,
        )
    return quantity.mid


def turned(design: Design, values: Mapping[str, float]) -> Design:
    """Give a design with some knobs at other values.

    Raises:
        KnobError: The design has no such knob, or the value is out of its range.
    """
    for name, value in values.items():
        knobs = knobs_of(design)
        knob = knobs.get(name)
        if knob is None:
            close = nearest(name, knobs)
            raise KnobError(
                f"{design.name} has no knob {name!r}",
                asked=f"{name}={value:g}",
                found=f"knobs: {', '.join(knobs)}",
                attempt=f"`{close}`?" if close else "one of these",
            )
        if not knob.low <= value <= knob.high:
            upper = "" if knob.high == float("inf") else f" and at most {knob.high:g}"
            raise KnobError(
                f"`{name}` cannot be {value:g}",
                asked=f"{name}={value:g}",
                found=f"it is {knob.value:g} now; it is at least {knob.low:g}{upper}",
                attempt=f"{name}={min(max(value, knob.low), knob.high):.9g}",
            )
        if knob.whole and value != round(value):
            raise KnobError(
                f"`{name}` cannot be {value:g}",
                asked=f"{name}={value:g}",
                found=f"it is {knob.value:g} now; it is a whole number",
                attempt=f"{name}={math.ceil(value)}",
            )
        design = knob.turn(design, value)
    return design


def _tier_knobs(design: Design, k: int, load: TierLoad) -> list[Knob]:
    step, name = design.policy.steps[k], load.name
    found = []
    if step.kind is not TierKind.PERSON:
        most = max(_MOST_SLOTS, load.slots)
        found.append(Knob(f"{name}.slots", load.slots, _MORE, _slots(k), 1.0, most, whole=True))
        if load.batching is None:
            found.append(Knob(f"{name}.time", load.service.factor, _LESS, _time(k), 1e-9))
    if step.timeout_ms is not None:
        found.append(
            Knob(
                f"{name}.timeout",
                step.timeout_ms / 1e3,
                more_is_better=True,
                turn=_timeout(k),
                low=1e-9,
                dimension="duration",
            )
        )
    if load.usd is not None and load.usd > 0:
        found.append(Knob(f"{name}.usd", load.usd, _LESS, _usd(k), dimension="usd"))
    found += _declared_knobs(k, load)
    share = _deferred(design, k)
    if k + 1 < len(design.tiers) and not step.gated and 0 < share < 1:
        found.append(Knob(f"{name}.defer", share, _LESS, _defer(k), 0.0, 1.0, "ratio"))
    return found


def _declared_knobs(k: int, load: TierLoad) -> list[Knob]:
    """Give the knobs of what a scenario says that a tier can bear."""
    name, found = load.name, list[Knob]()
    for field, title in (("calls", "quota"), ("reads", "quota_read"), ("writes", "quota_write")):
        most = getattr(load.quota, field, None)
        if most is not None:
            found.append(Knob(f"{name}.{title}", most, _MORE, _part(k, "quota", field), 1e-9))
    if load.batching is not None:
        turn = _part(k, "batching", "most", whole=True)
        found.append(Knob(f"{name}.batch", load.batching.most, _MORE, turn, 1.0, 1e4, whole=True))
    if load.scaling is not None:
        lag = load.scaling.lag_s
        found.append(
            Knob(f"{name}.lag", lag, _LESS, _part(k, "scaling", "lag_s"), dimension="duration")
        )
    if load.service.kind == "tokens":
        tokens = load.service.tokens
        for field, title in (("reads", "read"), ("writes", "write"), ("turn_tokens", "turn")):
            value = getattr(tokens, field)
            found.append(Knob(f"{name}.tokens_{title}", value, _LESS, _tokens(k, field)))
        turns = Knob(
            f"{name}.turns", tokens.turns, _LESS, _tokens(k, "turns"), 1.0, 1e3, whole=True
        )
        found.append(turns)
    return found


def _rate(design: Design, value: float) -> Design:
    return replace(design, arrivals=replace(design.arrivals, rate_per_s=value))


def _load(design: Design, k: int, load: TierLoad) -> Design:
    return replace(design, tiers=(*design.tiers[:k], load, *design.tiers[k + 1 :]))


def _step(design: Design, k: int, step: Step) -> Design:
    steps = design.policy.steps
    policy = replace(design.policy, steps=(*steps[:k], step, *steps[k + 1 :]))
    return replace(design, policy=policy)


def _slots(k: int) -> Turn:
    return lambda design, value: _load(
        design, k, replace(design.tiers[k], slots=max(1, round(value)))
    )


def _time(k: int) -> Turn:
    def turn(design: Design, value: float) -> Design:
        load = design.tiers[k]
        return _load(design, k, replace(load, service=replace(load.service, factor=value)))

    return turn


def _timeout(k: int) -> Turn:
    return lambda design, value: _step(
        design, k, replace(design.policy.steps[k], timeout_ms=value * 1e3)
    )


def _usd(k: int) -> Turn:
    return lambda design, value: _load(design, k, replace(design.tiers[k], usd=value))


def _part(k: int, part: str, field: str, *, whole: bool = False) -> Turn:
    """Turn a number of a record that a tier has: the knob is there because the record is."""

    def turn(design: Design, value: float) -> Design:
        load = design.tiers[k]
        record = replace(getattr(load, part), **{field: round(value) if whole else value})
        return _load(design, k, replace(load, **{part: record}))

    return turn


def _tokens(k: int, field: str) -> Turn:
    def turn(design: Design, value: float) -> Design:
        load = design.tiers[k]
        changed: dict[str, Any] = {field: round(value) if field == "turns" else value}
        tokens = replace(load.service.tokens, **changed)
        return _load(design, k, replace(load, service=replace(load.service, tokens=tokens)))

    return turn


def _hit(design: Design, value: float) -> Design:
    assert design.cache is not None  # noqa: S101  the same
    return replace(design, cache=replace(design.cache, hit=value))


def _ttl(design: Design, value: float) -> Design:
    assert design.cache is not None  # noqa: S101  the same
    return replace(design, cache=replace(design.cache, ttl_s=value))


def _per_hour(design: Design, value: float) -> Design:
    assert design.people is not None  # noqa: S101  the same
    return replace(design, people=replace(design.people, per_hour=value))


def _share(design: Design, value: float) -> Design:
    assert design.people is not None  # noqa: S101  the same
    return replace(design, people=replace(design.people, share=value))


def _budget(design: Design, value: float) -> Design:
    return replace(design, budget_usd_day=value)


def _deferred(design: Design, k: int) -> float:
    """Give the share of the rows that a step, asked for all of them, would defer or abstain on."""
    return 1.0 - float(accepted_all(design.policy.steps[k], design.cases.table, k).mean())


_ABSTAINED: Final = float("inf")


def _defer(k: int) -> Turn:
    """Move all thresholds of a step by as much as gives the wanted share; who abstains still does.

    The policy and the rows move together, so that both evaluators see the same thresholds.
    """

    def turn(design: Design, value: float) -> Design:
        table, step = design.cases.table, design.policy.steps[k]
        lacks = np.where(
            table.answered[:, k], table.threshold[:, k] - table.probability[:, k], _ABSTAINED
        )
        order = np.sort(np.nan_to_num(lacks, nan=_ABSTAINED, posinf=_ABSTAINED))
        accept = min(round((1 - value) * len(order)), int((order < _ABSTAINED).sum()))
        # Halfway between the last row that is to be accepted and the first that is not.
        inner = order[max(accept - 1, 0)]
        outer = order[accept] if accept < len(order) and order[accept] < _ABSTAINED else inner
        by = float((inner + outer) / 2) if accept else float(order[0]) - 1.0
        threshold = table.threshold.copy()
        threshold[:, k] = threshold[:, k] - by
        moved = {group: at - by for group, at in step.thresholds.items()}
        cases = replace(design.cases, table=replace(table, threshold=threshold))
        return _step(replace(design, cases=cases), k, replace(step, thresholds=moved))

    return turn
