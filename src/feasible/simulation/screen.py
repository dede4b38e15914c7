"""Closed forms over a design: where it breaks if nothing waits and nothing fails. Instant.

The utilisation law says when slots, quotas, people and money run out, each on its own. Waits and
who runs out of time are those of each tier's queue alone, for Poisson arrivals and no retries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.schema import FloatArray, TierKind
from feasible.simulation.design import Design, Service
from feasible.simulation.draws import zipf
from feasible.simulation.queueing import (
    allen_cunneen_wait,
    batch_capacity,
    lru_hit,
    pollaczek_khinchine_wait,
    share_out_of_patience,
    ttl_hit,
)
from feasible.simulation.unhurried import unhurried

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
        wait_s: Mean wait for a slot for Poisson arrivals: by Pollaczek and Khinchine for one slot,
            by Allen and Cunneen for several; infinite when it cannot keep up; None for batches.
        late: Share that would run out of time in the queue, by Baccelli and Hebuterne; None without
            a limit, and for batches. Ratio.
    """

    name: str
    reach: float
    service_s: float
    utilisation: float
    wait_s: float | None
    late: float | None


@dataclass(frozen=True, slots=True)
class Screen:
    """What closed forms say of a design.

    Attributes:
        loads: Per machine tier.
        usd_each: Mean dollars of a decision.
        headroom: Limit -> multiple of the load at which it is reached.
        handed: Share of the decisions that end at a person.
    """

    loads: tuple[Load, ...]
    usd_each: float
    headroom: dict[str, float]
    handed: float


def screen(design: Design) -> Screen:
    """Apply the utilisation law to slots, quotas, people and money."""
    asked, handed = _asked(design)
    rate = design.arrivals.rate_per_s
    loads, headroom, usd = [], dict[str, float](), 0.0
    for k, (load, step) in enumerate(zip(design.tiers, design.policy.steps, strict=True)):
        reach = float(asked[k])
        service_s, usd_call = mean_service(design, k), mean_usd(design, k)
        usd += reach * usd_call
        if step.kind is TierKind.PERSON or reach <= 0:
            continue
        longest = np.inf if step.timeout_ms is None else step.timeout_ms / 1e3
        busy = rate * reach * min(service_s, longest) / load.slots
        if load.batching is not None:
            batch = load.batching
            busy = rate * reach / batch_capacity(load.slots, batch.most, batch.base_s, batch.each_s)
        wait_s, late = _queue(design, k, rate * reach, service_s)
        loads.append(Load(load.name, reach, service_s, busy, wait_s, late))
        if busy > 0:
            headroom[f"{load.name}.slots"] = 1 / busy
        if load.quota is not None and load.quota.calls is not None:
            headroom[f"{load.name}.quota"] = load.quota.calls / 60 / (rate * reach)
    people = design.people
    if people is not None:
        share = 1 - (1 - handed) * (1 - people.share)
        usd += share * people.usd_each
        if share:
            headroom["people.per_hour"] = people.per_hour / (rate * 3600 * share)
    if design.budget_usd_day is not None and usd > 0:
        headroom["budget.day"] = design.budget_usd_day / (usd * rate * _DAY_S)
    return Screen(tuple(loads), usd, headroom, handed)


def mean_service(design: Design, k: int) -> float:
    """Give the mean time of a call of a step, not cut off. Seconds."""
    service: Service = design.tiers[k].service
    if service.kind == "measured":
        return float(np.mean(service.sample_s)) * service.factor
    if service.kind == "rows":
        return float(np.nanmean(design.cases.table.latency_ms[:, k])) / 1e3 * service.factor
    if service.kind != "tokens":
        return service.mean_s * service.factor
    tokens = service.tokens
    reads = tokens.reads + tokens.prefix + (tokens.turns - 1) / 2 * tokens.turn_tokens
    second = reads * reads * np.exp(tokens.spread**2)
    reading = tokens.read_s * reads + tokens.read2_s * second
    return float(tokens.first_s + reading + tokens.write_s * tokens.writes) * service.factor


def _queue(
    design: Design, k: int, rate: float, service_s: float
) -> tuple[float | None, float | None]:
    """Give the mean wait for a slot, and the share that would run out of time in the queue."""
    load, step = design.tiers[k], design.policy.steps[k]
    if load.batching is not None or service_s <= 0:
        return None, None
    variation = _variation(design, k, service_s)
    if load.slots == 1:
        wait_s = pollaczek_khinchine_wait(rate, service_s, variation)
    else:
        wait_s = allen_cunneen_wait(rate, service_s, load.slots, 1.0, variation)
    limits = [load.patience_s]
    limits += [ms / 1e3 for ms in (step.timeout_ms, design.policy.deadline_ms) if ms is not None]
    known = [limit for limit in limits if limit is not None]
    late = share_out_of_patience(rate, service_s, load.slots, min(known)) if known else None
    return wait_s, late


def _variation(design: Design, k: int, mean_s: float) -> float:
    """Give the variance of a step's calls over their squared mean, not cut off."""
    service = design.tiers[k].service
    if service.kind == "exponential":
        return 1.0
    if service.kind == "lognormal":
        return float(np.expm1(service.spread**2))
    if service.kind == "fixed":
        return 0.0
    if service.kind == "tokens":
        tokens = service.tokens
        parts = np.array([tokens.read_s * tokens.reads, tokens.write_s * tokens.writes])
        turns = (tokens.read_s * tokens.turn_tokens) ** 2 * (tokens.turns**2 - 1) / 12
        variance = float((parts**2).sum() * np.expm1(tokens.spread**2) + turns)
        return variance * service.factor**2 / mean_s**2
    took = service.sample_s or design.cases.table.latency_ms[:, k]
    return float(np.nanvar(took) / np.nanmean(took) ** 2)


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
    """Give the share of requests that ask each step, and that end at a person, at no load."""
    calm, weight = unhurried(design), design.cases.weight
    remembered = float(np.average(calm.is_remembered, weights=weight))
    missed = 1.0 - _hit(design, remembered) * calm.is_remembered
    people = [k for k, s in enumerate(design.policy.steps) if s.kind is TierKind.PERSON]
    asked = np.average(calm.asked * missed[:, None], axis=0, weights=weight)
    handed = np.isin(calm.answered_by, people) * missed
    return asked, float(np.average(handed, weights=weight))


def _hit(design: Design, remembered: float) -> float:
    """Give the share of the requests that can be remembered which the cache answers.

    By age or by use, whichever forgets more: an entry that both may forget is there more rarely.
    """
    cache = design.cache
    if cache is None:
        return 0.0
    if cache.hit is not None:
        return cache.hit
    popularity = zipf(cache.keys, cache.zipf)
    by_age = ttl_hit(popularity, design.arrivals.rate_per_s * remembered, cache.ttl_s)
    return min(by_age, lru_hit(popularity, cache.size))
