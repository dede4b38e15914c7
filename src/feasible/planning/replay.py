"""Replaying a fixed plan on other rows: what it would have cost, and which promises it kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from feasible.cascade import Policy, table_of
from feasible.errors import DataError, nearest
from feasible.planning.calibration import Fit
from feasible.planning.chain import Chain, Ingredients, exits_of, machines_only, shares_of, walk
from feasible.planning.constraint import Constraint, Exits, percentile_of
from feasible.planning.judgement import interval_of
from feasible.planning.own_units import dearest_usd, own_limit
from feasible.planning.results import percentiles
from feasible.planning.yardstick import constraints
from feasible.schema import (
    Backtest,
    Brief,
    IntArray,
    Plan,
    Profile,
    PromiseHeld,
    TierKind,
    TierShare,
)
from feasible.stats import quantile_interval

__all__ = ["backtest", "kit_of"]


def backtest(plan: Plan, brief: Brief, profile: Profile) -> Backtest:
    """Replay a plan.

    Args:
        plan: The fixed plan.
        brief: The brief it was made for.
        profile: Other rows; it must have every machine tier of the plan.

    Raises:
        DataError: The profile lacks a tier or a slice.
    """
    kit, chain, policy = kit_of(plan, brief, profile)
    table = table_of(machines_only(policy), profile, router=plan.router)
    gates = None if plan.router is None else table.probability >= table.threshold
    exits = exits_of(chain, kit, profile, policy=policy, gates=gates)
    leaves = walk(policy, profile, exits.is_person.shape[1], table=table)
    rows = np.arange(len(leaves))
    made = constraints(brief, profile, exits)
    cost = exits.cost_usd[rows, leaves]
    shares = shares_of(chain, exits, leaves)
    names = dict.fromkeys([*chain.machines, *([kit.person] if kit.person else []), *shares])
    quality = {c.id: _good(c, leaves) for c in made if c.objective.needs_labels}
    return Backtest(
        rows=len(profile),
        cost_usd=None if np.isnan(cost).all() else float(np.nanmean(cost)),
        latency_ms=percentiles(exits.latency_ms[rows, leaves]),
        quality=quality,
        tiers=tuple(TierShare(name=name, share=shares.get(name, 0.0)) for name in names),
        promises=tuple(_promise(c, exits, leaves) for c in made),
    )


def kit_of(plan: Plan, brief: Brief, profile: Profile) -> tuple[Ingredients, Chain, Policy]:
    """Give what a fixed plan was made of, its chain, and its table without caches.

    Raises:
        DataError: The profile lacks a tier of the plan.
    """
    steps = [t for t in plan.tiers if t.kind not in {TierKind.CACHE, TierKind.PERSON}]
    for step in steps:
        if step.name not in profile.tiers:
            close = nearest(step.name, profile.tiers)
            raise DataError(
                f"the profile has no tier `{step.name}`, which the plan asks",
                found=f"tiers: {', '.join(profile.tiers)}",
                attempt=f"`{close}`?" if close else "profile the plan's tiers on these rows",
            )
    person = next((t for t in plan.tiers if t.kind is TierKind.PERSON), None)
    kit = Ingredients(
        brief=brief,
        specs={t.name: t for t in brief.layers.tiers},
        groups={t.name: t.groups for t in steps},
        fits={t.name: Fit(dict(t.calibrators), 0.0, 0.0, 0) for t in steps},
        machines=tuple(t.name for t in steps),
        person=None if person is None else person.name,
        p95_ms={t.name: t.latency_p95_ms for t in plan.tiers},
        mean_usd={t.name: t.cost_usd for t in plan.tiers},
        worst_usd={t.name: t.worst_cost_usd for t in plan.tiers},
    )
    policy = Policy.from_plan(plan, brief.layers.tiers)
    asked = tuple(s for s in policy.steps if s.kind is not TierKind.CACHE)
    by: Literal["router", "score"] = "router" if plan.router is not None else "score"
    return kit, Chain(kit.machines, by), replace(policy, steps=asked)


def _good(constraint: Constraint, leaves: IntArray) -> float | None:
    value = constraint.value(leaves)
    if value is None:
        return None
    return value if constraint.objective.is_ceiling else 1 - value


def _promise(constraint: Constraint, exits: Exits, leaves: IntArray) -> PromiseHeld:
    objective = constraint.objective
    level = objective.confidence_level
    n, value = constraint.n(leaves), constraint.value(leaves)
    limit = own_limit(objective)
    unit, shown = constraint.unit, value
    span = interval_of(constraint, leaves, level)
    held = _held(span, constraint.limit)
    if objective.kind == "cost" and objective.measure == "each" and n:  # kept by every row or not
        held = "false" if constraint.misses(leaves) else "true"
        dearest = dearest_usd(constraint, exits, leaves)
        return PromiseHeld(
            objective=objective.id,
            limit=limit,
            unit="usd",
            value=dearest,
            interval=None,
            n=n,
            held=held,
        )
    q = percentile_of(objective) if objective.kind == "latency" else None
    if q is not None:
        rows = np.arange(len(leaves))
        took = exits.latency_ms[rows, leaves][constraint.counts[rows, leaves]]
        shown = float(np.quantile(took, q)) if len(took) else None
        span = quantile_interval(took, q, confidence_level=level) if len(took) else None
        unit = "ms"
    elif objective.needs_labels and not objective.is_ceiling:
        shown = None if value is None else 1 - value
        span = None if span is None else (1 - span[1], 1 - span[0])
    elif span is not None and value is not None:
        shown = value * constraint.scale
        span = (span[0] * constraint.scale, span[1] * constraint.scale)
    return PromiseHeld(
        objective=objective.id, limit=limit, unit=unit, value=shown, interval=span, n=n, held=held
    )


def _held(span: tuple[float, float] | None, limit: float) -> Literal["true", "false", "undecided"]:
    if span is None:
        return "undecided"
    if span[1] <= limit:
        return "true"
    return "false" if span[0] > limit else "undecided"
