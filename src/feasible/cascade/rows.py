"""The same routing for many rows at once: what a plan would do with every row of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from feasible.cascade.calibrate import calibrate_all
from feasible.cascade.policy import Policy, Step
from feasible.cascade.posterior import HeardAll, posterior_all
from feasible.cascade.router import foresee_all
from feasible.schema.brief import TierKind
from feasible.schema.plan import DEFAULT_GROUP, Router
from feasible.schema.profile import BoolArray, FloatArray, IntArray, Profile

__all__ = ["FELL_BACK", "Routed", "Table", "groups_of", "judged_all", "route_rows", "table_of"]

FELL_BACK = -1
"""Exit position of a row that no tier of the policy answered."""


@dataclass(frozen=True, slots=True)
class Table:
    """What the steps of one policy would do with every row. Columns in the policy's order.

    Attributes:
        answered: shape (n_rows, n_steps). False where a step abstains.
        probability: shape (n_rows, n_steps). What thresholds are compared with: P(right), or what
            the router foresees of a gated step; NaN when there is none.
        threshold: shape (n_rows, n_steps). The threshold of the answer's group.
        latency_ms: shape (n_rows, n_steps).
        cost_usd: shape (n_rows, n_steps).
    """

    answered: BoolArray
    probability: FloatArray
    threshold: FloatArray
    latency_ms: FloatArray
    cost_usd: FloatArray


@dataclass(frozen=True, slots=True)
class Routed:
    """Where every row left the cascade.

    Attributes:
        position: shape (n_rows,). Step that answered; FELL_BACK when none did.
        latency_ms: shape (n_rows,). Sum over the steps that were asked; NaN when one is unknown.
        cost_usd: shape (n_rows,). Sum over the steps that were asked; NaN when one is unknown.
        asked: shape (n_rows, n_steps).
    """

    position: IntArray
    latency_ms: FloatArray
    cost_usd: FloatArray
    asked: BoolArray


def table_of(policy: Policy, profile: Profile, *, router: Router | None = None) -> Table:
    """Look every step of a policy up in a profile.

    Args:
        policy: The table of tiers.
        profile: The rows.
        router: What is foreseen from a row's text, where a step is gated.

    Raises:
        KeyError: The profile lacks a tier of the policy.
    """
    n_rows, n_steps = len(profile), len(policy.steps)
    probability = np.full((n_rows, n_steps), np.nan)
    threshold = np.full((n_rows, n_steps), np.inf)
    columns, heard = [], dict[str, HeardAll]()
    foreseen = foresee_all(router, profile)
    for k, step in enumerate(policy.steps):
        if step.name not in profile.tiers:
            raise KeyError(step.name)
        column = profile.tiers.index(step.name)
        columns.append(column)
        names = (DEFAULT_GROUP, *sorted(set(step.groups.values()) - {DEFAULT_GROUP}))
        group = groups_of(step, profile, column, names)
        threshold[:, k] = np.array([step.threshold(name) for name in names])[group]
        own = np.full(n_rows, np.nan)
        for index, name in enumerate(names):
            rows = group == index
            calibrator = step.calibrators.get(name) or step.calibrators.get(DEFAULT_GROUP)
            if calibrator is not None:
                own[rows] = calibrate_all(calibrator, profile.score[rows, column])
        said = HeardAll(profile.answered[:, column], profile.answer_class[:, column], own)
        probability[:, k] = judged_all(step, said, group, names, heard)
        if step.gated:
            threshold[:, k] = step.threshold(DEFAULT_GROUP)
            probability[:, k] = foreseen.get(step.name, np.nan)
        heard[step.name] = said
    return Table(
        answered=profile.answered[:, columns],
        probability=probability,
        threshold=threshold,
        latency_ms=profile.latency_ms[:, columns],
        cost_usd=profile.cost_usd[:, columns],
    )


def groups_of(step: Step, profile: Profile, column: int, names: tuple[str, ...]) -> IntArray:
    """Give the answer group of every row as an index into names, shape (n_rows,)."""
    index = {name: i for i, name in enumerate(names)}
    of_class = [index[step.group(value)] for value in profile.classes]
    return np.array([*of_class, index[DEFAULT_GROUP]])[profile.answer_class[:, column]]


def judged_all(
    step: Step,
    own: HeardAll,
    group: IntArray,
    names: tuple[str, ...],
    earlier: Mapping[str, HeardAll],
) -> FloatArray:
    """Give the probabilities that thresholds are compared with, as `Step.judged` gives each."""
    if step.posterior is None:
        return own.probability
    found = posterior_all(step.posterior, own, group, names, earlier)
    if step.rival is None:
        return found
    return (1.0 + found - posterior_all(step.rival, own, group, names, earlier)) / 2.0


def route_rows(policy: Policy, table: Table) -> Routed:
    """Route every row as `route` would route it alone, with nothing blocked and no tier failing.

    Args:
        policy: The table of tiers.
        table: What each step would do with each row.

    Returns:
        Exit, latency, cost and the steps asked, row by row.
    """
    n_rows, n_steps = table.answered.shape
    position = np.full(n_rows, FELL_BACK, dtype=np.int64)
    latency, cost = np.zeros(n_rows), np.zeros(n_rows)
    asked = np.zeros((n_rows, n_steps), dtype=np.bool_)
    walking = np.ones(n_rows, dtype=np.bool_)
    for k, step in enumerate(policy.steps):
        entered = walking.copy()
        if step.gated:
            entered &= table.probability[:, k] >= table.threshold[:, k]
        if policy.cost_each_usd is not None:
            left_usd = policy.cost_each_usd - cost
            worst_usd = np.inf if step.worst_cost_usd is None else step.worst_cost_usd
            entered &= ~(worst_usd > left_usd)
        if policy.deadline_ms is not None:
            left_ms = policy.deadline_ms - latency
            late = entered & ((left_ms <= 0) | ((step.p95_ms or 0.0) > left_ms))
            walking &= ~late
            entered &= ~late
        asked[:, k] = entered
        latency[entered] += table.latency_ms[entered, k]
        cost[entered] += table.cost_usd[entered, k]
        accepted = entered & table.answered[:, k]
        if step.kind is not TierKind.PERSON and not step.gated:
            accepted &= table.probability[:, k] >= table.threshold[:, k]
        position[accepted] = k
        walking &= ~accepted
    return Routed(position=position, latency_ms=latency, cost_usd=cost, asked=asked)
