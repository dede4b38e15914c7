"""The design of a planned feature: its policy, its own rows, and what its brief lets it bear."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from feasible.cascade import (
    MOST_AWAITED,
    QUEUE_SHARE,
    Policy,
    Step,
    groups_of,
    in_flight,
    longest_ms,
    most_waiting,
    table_of,
    until_all,
)
from feasible.errors import DataError, PlanError
from feasible.schema import (
    DEFAULT_GROUP,
    BoolArray,
    BreakerRule,
    Brief,
    FloatArray,
    Plan,
    Profile,
    TierKind,
    TierSpec,
    breaker_rule,
)
from feasible.simulation.arrivals import Arrivals
from feasible.simulation.bursts import CHAT, CODE
from feasible.simulation.design import (
    UNLIMITED,
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

__all__ = ["asked_policy", "design_of", "served_breaker"]

_LONGEST_OPEN_S: Final = 60.0
"""Each trial of a service that fails doubles the time to the next one, up to here."""
_CACHE_MS: Final = 1.0
_USUAL_PEAK: Final = 2.0
_BURST_S: Final = 2.0
"""Length of a burst where the brief says only that there are bursts: longer than any queue."""
_KINDS: Final[dict[str | None, Literal["poisson", "diurnal", "waves"]]] = {
    "steady": "poisson",
    "poisson": "poisson",
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
    for k, step in enumerate(policy.steps):
        usual = in_flight(_at_peak(plan, brief, policy, k), _p95_s(step))
        load, told = _load(step, specs.get(step.name), profile, usual, policy.deadline_ms)
        loads.append(load)
        assumed += told
    cache, told_of_cache = _cache(brief)
    arrivals, told_of_arrivals = _arrivals(brief, rate)
    return (
        Design(
            name=brief.name,
            policy=policy,
            tiers=tuple(loads),
            cases=_cases(plan, policy, profile, losses, weight),
            arrivals=arrivals,
            cache=cache,
            people=_people(brief),
            budget_usd_day=_budget(brief),
        ),
        tuple(assumed + told_of_cache + told_of_arrivals),
    )


def _arrivals(brief: Brief, rate: float) -> tuple[Arrivals, list[str]]:
    """Say how requests come, and what of it nobody said.

    A brief that gives a mean and a peak alone, or a mean, gets bursts as uneven as services were
    that were recorded: one in bursts for a peak, else a calm one.
    """
    traffic = brief.traffic
    kind = _KINDS.get(traffic.arrivals)
    if kind == "poisson":
        return Arrivals(rate), []
    usual = CHAT if traffic.peak is None else CODE
    peak = _USUAL_PEAK if traffic.peak is None else traffic.peak.mid
    if peak <= 1:
        return Arrivals(rate), []
    share = min(0.1, 0.5 / peak) if kind is not None else usual.bursts(peak)[0]
    told = []
    if kind is None:
        why = "names no trace" if traffic.arrivals == "trace" else "does not say how they come"
        shown = f"{share * 100:.2g} % of the time {peak:.3g} times the mean"
        told = [f"arrivals: bursts, {shown}, since the brief {why}"]
    return Arrivals(
        rate_per_s=rate,
        kind=kind or "waves",
        peak=peak,
        burst_share=share,
        burst_s=_BURST_S,
    ), told


def _p95_s(step: Step) -> float | None:
    return None if step.p95_ms is None else step.p95_ms / 1e3


def _at_peak(plan: Plan, brief: Brief, policy: Policy, k: int) -> float | None:
    """Give how many requests each second get as far as a step at the declared peak."""
    traffic, later = brief.traffic, {step.name for step in policy.steps[k:]}
    if traffic.rate is None:
        return None
    peak = 1.0 if traffic.peak is None else traffic.peak.high
    return traffic.rate.high * peak * sum(t.share for t in plan.tiers if t.name in later)


def _load(
    step: Step, spec: TierSpec | None, profile: Profile, usual: int, deadline_ms: float | None
) -> tuple[TierLoad, list[str]]:
    """Say what a tier can bear, and what of that is a guess.

    A language model has the queue that a service gives it: so many may wait, and so long.
    """
    column = profile.latency_ms[:, profile.tiers.index(step.name)]
    mean_s = float(column.mean()) / 1e3
    slots, told = _slots(step, spec, mean_s, usual)
    retrying = None
    if spec is not None and spec.retries:
        budget = None if spec.retry_budget is None else spec.retry_budget.mid
        retrying = Retrying(spec.retries, budget=budget)
    service = Service("rows")
    if step.name in profile.simulated:  # its times are luck, and no row's own
        service = Service("measured", sample_s=tuple((column / 1e3).tolist()))
    waiting, patience_s = UNLIMITED, None
    if step.kind is TierKind.LLM:
        within_s = longest_ms(step, deadline_ms) / 1e3
        waiting, patience_s = most_waiting(slots, mean_s, within_s), QUEUE_SHARE * within_s
    return (
        TierLoad(
            step.name,
            slots,
            service,
            usd=None if spec is None or spec.usd is None else spec.usd.mid,
            waiting=waiting,
            patience_s=patience_s,
            vendor=None if spec is None else spec.model,
            retrying=retrying,
            breaking=None if spec is None else served_breaker(breaker_rule(spec.breaker)),
        ),
        told,
    )


def _slots(step: Step, spec: TierSpec | None, mean_s: float, usual: int) -> tuple[int, list[str]]:
    if step.kind is TierKind.PERSON:
        return 1, []
    if spec is not None and spec.concurrency is not None:
        return spec.concurrency, []
    if spec is not None and spec.capacity is not None:
        return max(1, math.ceil(spec.capacity.mid * mean_s)), []
    if step.kind is TierKind.LLM:
        most = max(MOST_AWAITED, usual)
        return most, [f"{step.name}: {most} calls under way, what a service keeps at most"]
    return 1, [f"{step.name}: one call at a time, since the brief gives no concurrency"]


def served_breaker(rule: BreakerRule | None) -> Breaking | None:
    """Give the breaker that a service makes of a rule; None without a rule."""
    if rule is None:
        return None
    if rule.of_calls is not None:
        share = (rule.failures - 0.5) / rule.of_calls
        return Breaking(
            window=rule.of_calls, least=rule.of_calls, share=share, longest_s=_LONGEST_OPEN_S
        )
    return Breaking(in_a_row=rule.failures, within_s=rule.within_s, longest_s=_LONGEST_OPEN_S)


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
