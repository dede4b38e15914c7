"""A design as somebody states it, before anything is built: the brief's own numbers and no rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from feasible.cascade import Policy, Step, until_all
from feasible.errors import PlanError
from feasible.schema import DEFAULT_GROUP, Brief, FloatArray, TierKind, TierSpec
from feasible.simulation.arrivals import Arrivals
from feasible.simulation.design import CacheFront, Design, People, Service, TierLoad
from feasible.simulation.sheet import middles, sheet
from feasible.simulation.synthetic import declared_cases

__all__ = ["stated_design"]

_SPREAD: Final = 0.6  # of the logarithm of a call's time, as `Service` has it
_Z95: Final = 1.6449
_MEAN_OF_P95: Final = math.exp(_SPREAD**2 / 2 - _Z95 * _SPREAD)
_UNSTATED_S: Final = 0.001
_SLOTS: Final = 10_000
"""Calls under way at a tier of which nobody says what it can bear: it never binds."""


def stated_design(
    brief: Brief, *, rate_per_s: float | None = None
) -> tuple[Design, tuple[str, ...]]:
    """Build what a brief states: shares that reach each tier, times, prices and capacities.

    Each tier defers at random the share that the stated reaches imply, and its calls take a
    lognormal time with the stated p95. Nothing of it is measured.

    Args:
        brief: The declaration; a spoken one will do.
        rate_per_s: Mean arrivals; the brief's when absent.

    Returns:
        The design, and what had to be assumed, in words.

    Raises:
        PlanError: The brief states no rate, or no tier.
    """
    rate = rate_per_s or (None if brief.traffic.rate is None else brief.traffic.rate.mid)
    specs = [tier for tier in brief.layers.tiers if _answers(tier)]
    if not rate or not specs:
        raise PlanError(
            f"{brief.name or 'the design'} cannot be simulated from its own words",
            asked="a rate of requests and at least one tier that answers",
            found="no rate" if specs else "no tier",
            attempt="say, for example, 40 requests per second, and what answers them",
        )
    values = middles(sheet(brief), brief)
    cache = _cache(brief)
    steps, loads, assumed = [], [], list[str]()
    for index, spec in enumerate(specs):
        following = specs[index + 1] if index + 1 < len(specs) else None
        defers = _defers(spec, following, values)
        load, told = _load(spec)
        steps.append(Step(spec.name, spec.kind, {DEFAULT_GROUP: defers}, timeout_ms=_timeout(spec)))
        loads.append(load)
        assumed += told
    serving = brief.layers.serving
    fallback = {} if serving is None else dict(serving.fallback)
    deadline = None if serving is None or serving.deadline is None else serving.deadline.ms
    policy = Policy(tuple(steps), fallback=fallback, deadline_ms=deadline)
    person = next((tier for tier in brief.layers.tiers if tier.kind is TierKind.PERSON), None)
    people = None
    if person is not None and person.capacity is not None:
        usd = 0.0 if person.usd is None else person.usd.mid
        people = People(per_hour=person.capacity.mid * 3600, usd_each=usd)
    return (
        Design(
            name=brief.name,
            policy=policy,
            tiers=tuple(loads),
            cases=replace(declared_cases(policy), fallback_ms=until_all(policy, {})[1]),
            arrivals=Arrivals(rate),
            cache=cache,
            people=people,
        ),
        tuple(assumed),
    )


def _answers(tier: TierSpec) -> bool:
    """Claim that a tier stands in the way of an answer; caches stand before, overlays after it."""
    return tier.kind is not TierKind.CACHE and not tier.asynchronous


def _cache(brief: Brief) -> CacheFront | None:
    repeated = brief.traffic.repeated
    has_cache = any(tier.kind is TierKind.CACHE for tier in brief.layers.tiers)
    return CacheFront(hit=repeated.mid) if has_cache and repeated is not None else None


def _defers(spec: TierSpec, following: TierSpec | None, values: Mapping[str, FloatArray]) -> float:
    """Give the share of what reaches a tier that reaches the next one, too."""
    if following is None:
        return 0.0
    here, there = values.get(f"{spec.name}.reach"), values.get(f"{following.name}.reach")
    if there is None:
        return 0.0 if following.kind is TierKind.PERSON else 1.0
    before = 1.0 if here is None else float(here[0])
    return min(float(there[0]) / before, 1.0) if before > 0 else 0.0


def _load(spec: TierSpec) -> tuple[TierLoad, list[str]]:
    usd = None if spec.usd is None else spec.usd.mid
    if spec.kind is TierKind.PERSON:
        return TierLoad(spec.name, 1, Service("fixed", 0.0), usd=usd or 0.0), []
    told = []
    if spec.latency_p95 is None:
        told.append(f"{spec.name}: takes no time, since nobody said how long it takes")
        service = Service("fixed", _UNSTATED_S)
    else:
        service = Service("lognormal", spec.latency_p95.mid * _MEAN_OF_P95, spread=_SPREAD)
    if usd is None:
        told.append(f"{spec.name}: costs nothing, since nobody said what it costs")
    slots = spec.concurrency
    if slots is None and spec.capacity is not None:
        slots = max(1, round(spec.capacity.mid * service.mean_s))
    if slots is None:
        told.append(f"{spec.name}: never full, since nobody said what it can bear")
        slots = _SLOTS
    return TierLoad(spec.name, slots, service, usd=usd or 0.0), told


def _timeout(spec: TierSpec) -> float | None:
    return None if spec.timeout is None else spec.timeout.ms
