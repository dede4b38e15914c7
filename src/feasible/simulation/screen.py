"""Closed forms over a design: where it breaks if nothing waits and nothing fails. Instant.

The utilisation law says when slots, quotas, people and money run out, each on its own. It knows no
queue, no timeout and no retry: what it says of a latency is a floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.cascade import route_rows
from feasible.schema import FloatArray, TierKind
from feasible.simulation.design import Design, Service
from feasible.simulation.draws import zipf
from feasible.simulation.queueing import ttl_hit

__all__ = ["Load", "Screen", "screen"]

_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one tier sees at the design's own load.

    Attributes:
        name: Tier.
        reach: Share of requests that get as far.
        service_s: Mean time of a call, not cut off. Seconds.
        utilisation: Share of its slots that is busy.
    """

    name: str
    reach: float
    service_s: float
    utilisation: float


@dataclass(frozen=True, slots=True)
class Screen:
    """What closed forms say of a design.

    Attributes:
        loads: Per machine tier.
        usd_each: Mean dollars of a decision.
        headroom: Limit -> multiple of the load at which it is reached.
    """

    loads: tuple[Load, ...]
    usd_each: float
    headroom: dict[str, float]


def screen(design: Design) -> Screen:
    """Apply the utilisation law to slots, quotas, people and money."""
    asked, handed = _asked(design)
    rate, missed = design.arrivals.rate_per_s, 1.0 - _hit(design)
    loads, headroom, usd = [], dict[str, float](), 0.0
    for k, (load, step) in enumerate(zip(design.tiers, design.policy.steps, strict=True)):
        reach = missed * float(asked[k])
        service_s, usd_call = mean_service(design, k), mean_usd(design, k)
        usd += reach * usd_call
        if step.kind is TierKind.PERSON or reach <= 0:
            continue
        longest = np.inf if step.timeout_ms is None else step.timeout_ms / 1e3
        busy = rate * reach * min(service_s, longest) / load.slots
        if load.batching is not None:
            batching = load.batching
            busy = rate * reach * (batching.base_s / batching.most + batching.each_s) / load.slots
        loads.append(Load(load.name, reach, service_s, busy))
        if busy > 0:
            headroom[f"{load.name}.slots"] = 1 / busy
        if load.quota is not None and load.quota.calls is not None:
            headroom[f"{load.name}.quota"] = load.quota.calls / 60 / (rate * reach)
    people = design.people
    if people is not None:
        share = 1 - (1 - missed * handed) * (1 - people.share)
        usd += share * people.usd_each
        if share:
            headroom["people.per_hour"] = people.per_hour / (rate * 3600 * share)
    if design.budget_usd_day is not None and usd > 0:
        headroom["budget.day"] = design.budget_usd_day / (usd * rate * _DAY_S)
    return Screen(tuple(loads), usd, headroom)


def mean_service(design: Design, k: int) -> float:
    """Give the mean time of a call of a step, not cut off. Seconds."""
    service: Service = design.tiers[k].service
    if service.kind == "rows":
        return float(np.nanmean(design.cases.table.latency_ms[:, k])) / 1e3 * service.factor
    if service.kind != "tokens":
        return service.mean_s * service.factor
    tokens = service.tokens
    reads = tokens.reads + tokens.prefix + (tokens.turns - 1) / 2 * tokens.turn_tokens
    second = reads * reads * np.exp(tokens.spread**2)
    reading = tokens.read_s * reads + tokens.read2_s * second
    return float(tokens.first_s + reading + tokens.write_s * tokens.writes) * service.factor


def mean_usd(design: Design, k: int) -> float:
    """Give the mean price of a call of a step. Dollars; 0 where none is known."""
    load = design.tiers[k]
    if load.usd is not None:
        return load.usd
    if load.service.kind == "tokens":
        tokens = load.service.tokens
        cached = tokens.usd_read if tokens.usd_cached is None else tokens.usd_cached
        new = tokens.reads + (tokens.turns - 1) / 2 * tokens.turn_tokens
        return new * tokens.usd_read + tokens.prefix * cached + tokens.writes * tokens.usd_write
    column = design.cases.table.cost_usd[:, k]
    return float(np.nanmean(column)) if not np.isnan(column).all() else 0.0


def _asked(design: Design) -> tuple[FloatArray, float]:
    """Give the share of cases that ask each step, and that end at a person, at no load."""
    routed = route_rows(design.policy, design.cases.table)
    weight = design.cases.weight
    ends = np.where(routed.position >= 0, routed.position, np.asarray(design.cases.fallback))
    people = [k for k, s in enumerate(design.policy.steps) if s.kind is TierKind.PERSON]
    asked = np.average(routed.asked, axis=0, weights=weight)
    return asked, float(np.average(np.isin(ends, people), weights=weight))


def _hit(design: Design) -> float:
    """Give the share of requests that the cache before all tiers answers."""
    cache = design.cache
    if cache is None:
        return 0.0
    if cache.hit is not None:
        return cache.hit
    return ttl_hit(zipf(cache.keys, cache.zipf), design.arrivals.rate_per_s, cache.ttl_s)
