"""The design of a planned feature: its policy, its own rows, and what its brief lets it bear."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from feasible.cascade import Policy, Step, groups_of, table_of, until_all
from feasible.errors import DataError, PlanError
from feasible.schema import (
    DEFAULT_GROUP,
    BoolArray,
    Brief,
    FloatArray,
    Plan,
    Profile,
    TierKind,
    TierSpec,
)
from feasible.simulation.arrivals import Arrivals
from feasible.simulation.design import (
    Breaking,
    CacheFront,
    Cases,
    Design,
    Misses,
    People,
    Retrying,
    Service,
    TierLoad,
)

__all__ = ["asked_policy", "design_of"]

_AWAITED: Final = 64
"""Calls that a service keeps under way at a tier that declares no concurrency."""
_FAILURES: Final = re.compile(r"(\d+)\s+failures?\s+in\s+([\d.]+)\s*(ms|s|min)")
_SECONDS: Final = {"ms": 1e-3, "s": 1.0, "min": 60.0}
_CACHE_MS: Final = 1.0
_BURST_S: Final = 2.0
"""Length of a burst where the brief says only that there are bursts: longer than any queue."""
_KINDS: Final[dict[str | None, Literal["poisson", "diurnal", "waves"]]] = {
    "diurnal": "diurnal",
    "bursty": "waves",
}


def asked_policy(plan: Plan, brief: Brief) -> Policy:
    """Give a plan's table without caches: what is in front of it is simulated on its own."""
    policy = Policy.from_plan(plan, brief.layers.tiers)
    steps = tuple(step for step in policy.steps if step.kind is not TierKind.CACHE)
    return replace(policy, steps=steps)


def design_of(
    plan: Plan,
    brief: Brief,
    profile: Profile,
    *,
    losses: Mapping[str, tuple[FloatArray, BoolArray]],
    weight: FloatArray | None,
    rate_per_s: float | None = None,
) -> tuple[Design, tuple[str, ...]]:
    """Build the design of a plan.

    Args:
        plan: The plan.
        brief: The brief it was made for.
        profile: Rows to draw requests from; every machine tier of the plan is in it.
        losses: Objective id -> loss of each row at each step and with nobody; whether it counts.
        weight: shape (n_rows,). What each row stands for; None: all alike.
        rate_per_s: Mean arrivals; the brief's when absent.

    Returns:
        The design, and what of it nobody measured.

    Raises:
        PlanError: The brief gives no rate.
        DataError: The profile knows no latency of a tier.
    """
    rate = rate_per_s or (None if brief.traffic.rate is None else brief.traffic.rate.mid)
    if not rate:
        raise PlanError(
            f"nobody says how often {brief.name} is asked",
            asked="traffic.rate of the brief",
            attempt="`traffic: {rate: 50 / s}`, or --set traffic.rate=50/s",
        )
    policy = asked_policy(plan, brief)
    specs = {spec.name: spec for spec in brief.layers.tiers}
    profile, assumed = _known_times(policy, profile)
    loads = []
    for step in policy.steps:
        load, told = _load(step, specs.get(step.name), profile)
        loads.append(load)
        assumed += told
    cache, told_of_cache = _cache(brief)
    return (
        Design(
            name=brief.name,
            policy=policy,
            tiers=tuple(loads),
            cases=_cases(plan, policy, profile, losses, weight),
            arrivals=_arrivals(brief, rate),
            cache=cache,
            people=_people(brief),
            budget_usd_day=_budget(brief),
        ),
        tuple(assumed + told_of_cache),
    )


def _arrivals(brief: Brief, rate: float) -> Arrivals:
    traffic = brief.traffic
    peak = 2.0 if traffic.peak is None else max(traffic.peak.mid, 1.0)
    return Arrivals(
        rate_per_s=rate,
        kind=_KINDS.get(traffic.arrivals, "poisson"),
        peak=peak,
        burst_share=min(0.1, 0.5 / peak),
        burst_s=_BURST_S,
    )


def _load(step: Step, spec: TierSpec | None, profile: Profile) -> tuple[TierLoad, list[str]]:
    """Say what a tier can bear, and what of that is a guess."""
    column = profile.latency_ms[:, profile.tiers.index(step.name)]
    slots, told = _slots(step, spec, float(column.mean()) / 1e3)
    retrying = None
    if spec is not None and spec.retries:
        budget = None if spec.retry_budget is None else spec.retry_budget.mid
        retrying = Retrying(spec.retries, budget=budget)
    return (
        TierLoad(
            step.name,
            slots,
            Service("rows"),
            usd=None if spec is None or spec.usd is None else spec.usd.mid,
            vendor=None if spec is None else spec.model,
            retrying=retrying,
            breaking=None if spec is None else _breaking(spec.breaker),
        ),
        told,
    )


def _slots(step: Step, spec: TierSpec | None, mean_s: float) -> tuple[int, list[str]]:
    if step.kind is TierKind.PERSON:
        return 1, []
    if spec is not None and spec.concurrency is not None:
        return spec.concurrency, []
    if spec is not None and spec.capacity is not None:
        return max(1, math.ceil(spec.capacity.mid * mean_s)), []
    if step.kind is TierKind.LLM:
        return _AWAITED, [f"{step.name}: {_AWAITED} calls under way, what a service keeps at most"]
    return 1, [f"{step.name}: one call at a time, since the brief gives no concurrency"]


def _breaking(rule: str | None) -> Breaking | None:
    """Read a breaker such as `5 failures in 10 s`; None where it says anything else."""
    found = _FAILURES.search(rule or "")
    if found is None:
        return None
    return Breaking(in_a_row=int(found[1]), open_s=float(found[2]) * _SECONDS[found[3]])


def _cache(brief: Brief) -> tuple[CacheFront | None, list[str]]:
    tier = next((t for t in brief.layers.tiers if t.kind is TierKind.CACHE), None)
    repeated = brief.traffic.repeated
    if tier is None or repeated is None or repeated.mid <= 0:
        return None, []
    took = _CACHE_MS if tier.latency_p95 is None else tier.latency_p95.ms
    told = f"{tier.name}: {repeated.mid * 100:.3g} % of requests are repeats, as the brief declares"
    return CacheFront(hit=repeated.mid, answers_ms=took), [told]


def _people(brief: Brief) -> People | None:
    person = next((t for t in brief.layers.tiers if t.kind is TierKind.PERSON), None)
    if person is None or person.capacity is None:
        return None
    return People(per_hour=person.capacity.mid * 3600)


def _budget(brief: Brief) -> float | None:
    for objective in brief.envelope:
        if objective.kind == "cost" and objective.measure == "day" and objective.limit is not None:
            return objective.limit.mid
    return None


def _known_times(policy: Policy, profile: Profile) -> tuple[Profile, list[str]]:
    """Fill single unknown latencies with the tier's median; refuse a tier without any."""
    latency, cost, told = profile.latency_ms.copy(), profile.cost_usd, list[str]()
    for step in policy.steps:
        if step.name not in profile.tiers:
            raise DataError(
                f"the profile has no tier `{step.name}`, which the plan asks",
                found=f"tiers: {', '.join(profile.tiers)}",
                attempt="plan again: feasible plan NAME",
            )
        column = profile.tiers.index(step.name)
        values = latency[:, column]
        unknown = np.isnan(values)
        if unknown.all() and step.kind is TierKind.PERSON:
            latency[:, column] = 1.0
        elif unknown.all():
            raise DataError(
                f"nobody measured how long `{step.name}` takes",
                asked="`latency_ms` of the profile",
                found="no line of this tier has one",
                attempt="profile the tier, or log its latencies",
            )
        elif unknown.any():
            latency[unknown, column] = np.median(values[~unknown])
            told.append(f"{step.name}: unknown latencies are taken as its median")
    return replace(profile, latency_ms=latency, cost_usd=cost), told


def _cases(
    plan: Plan,
    policy: Policy,
    profile: Profile,
    losses: Mapping[str, tuple[FloatArray, BoolArray]],
    weight: FloatArray | None,
) -> Cases:
    table = table_of(policy, profile, router=plan.router)
    groups, group_of = [], []
    for step in policy.steps:
        names = (DEFAULT_GROUP, *sorted(set(step.groups.values()) - {DEFAULT_GROUP}))
        column = profile.tiers.index(step.name)
        groups.append(names)
        group_of.append(tuple(groups_of(step, profile, column, names).tolist()))
    return Cases(
        table=table,
        group=tuple(groups),
        group_of=tuple(group_of),
        fallback=_fallbacks(policy, profile),
        fallback_ms=until_all(policy, profile.slices)[1],
        weight=weight,
        quality={name: Misses(miss, counts) for name, (miss, counts) in losses.items()},
        slices=profile.slices,
    )


def _fallbacks(policy: Policy, profile: Profile) -> tuple[int, ...]:
    """Give the position of every row's fallback; a person where it is no step of the policy."""
    names = [step.name for step in policy.steps]
    person = next((k for k, s in enumerate(policy.steps) if s.kind is TierKind.PERSON), -1)
    out = np.full(len(profile), person, dtype=np.int64)
    default = policy.fallback.get("default")
    if default in names:
        out[:] = names.index(default)
    for name in reversed([name for name in profile.slices if name in policy.fallback]):
        if policy.fallback[name] in names:
            out[profile.slices[name]] = names.index(policy.fallback[name])
    return tuple(out.tolist())
