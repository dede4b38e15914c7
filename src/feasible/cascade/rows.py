"""The same routing for many rows at once: what a plan would do with every row of a profile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feasible.cascade.policy import Policy, calibrate_all
from feasible.schema.brief import TierKind
from feasible.schema.plan import DEFAULT_GROUP
from feasible.schema.profile import BoolArray, FloatArray, IntArray, Profile

__all__ = ["FELL_BACK", "Routed", "Table", "route_rows", "table_of"]

FELL_BACK = -1
"""Exit position of a row that no tier of the policy answered."""


@dataclass(frozen=True, slots=True)
class Table:
    """What the steps of one policy would do with every row. Columns in the policy's order.

    Attributes:
        answered: shape (n_rows, n_steps). False where a step abstains.
        probability: shape (n_rows, n_steps). Calibrated P(right); NaN when a step has none.
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


def table_of(policy: Policy, profile: Profile) -> Table:
    """Look every step of a policy up in a profile.

    Raises:
        KeyError: The profile lacks a tier of the policy.
    """
    n_rows, n_steps = len(profile), len(policy.steps)
    probability = np.full((n_rows, n_steps), np.nan)
    threshold = np.full((n_rows, n_steps), np.inf)
    columns = []
    for k, step in enumerate(policy.steps):
        if step.name not in profile.tiers:
            raise KeyError(step.name)
        column = profile.tiers.index(step.name)
        columns.append(column)
        groups = [step.group(value) for value in profile.classes] + [DEFAULT_GROUP]
        group_of_row = np.array(groups, dtype=object)[profile.answer_class[:, column]]
        for group in set(groups):
            rows = group_of_row == group
            threshold[rows, k] = step.threshold(group)
            calibrator = step.calibrators.get(group) or step.calibrators.get(DEFAULT_GROUP)
            if calibrator is not None:
                probability[rows, k] = calibrate_all(calibrator, profile.score[rows, column])
    return Table(
        answered=profile.answered[:, columns],
        probability=probability,
        threshold=threshold,
        latency_ms=profile.latency_ms[:, columns],
        cost_usd=profile.cost_usd[:, columns],
    )


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
        if step.kind is not TierKind.PERSON:
            accepted &= table.probability[:, k] >= table.threshold[:, k]
        position[accepted] = k
        walking &= ~accepted
    return Routed(position=position, latency_ms=latency, cost_usd=cost, asked=asked)
