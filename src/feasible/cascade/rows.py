"""The same routing for many rows at once: what a plan would do with every row of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from feasible.cascade.calibrate import calibrate_all
from feasible.cascade.comparisons import is_too_dear, is_too_late, reaches
from feasible.cascade.policy import Policy, Step
from feasible.cascade.posterior import HeardAll, posterior_all
from feasible.cascade.router import foresee_all
from feasible.cascade.timing import over_all, until_all, until_of
from feasible.schema.brief import TierKind
from feasible.schema.plan import DEFAULT_GROUP, Router
from feasible.schema.profile import BoolArray, FloatArray, IntArray, Profile

__all__ = [
    "FELL_BACK",
    "Passed",
    "Routed",
    "Table",
    "accepted_all",
    "entered_all",
    "groups_of",
    "judged_all",
    "past_rows",
    "route_rows",
    "table_of",
    "until_rows",
]

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
        latency_ms: shape (n_rows, n_steps). What each call takes if nobody cuts it off.
        cost_usd: shape (n_rows, n_steps).
        until_ms: When the steps' time is up, for all rows or shape (n_rows,); None: as for a row
            with the default fallback.
    """

    answered: BoolArray
    probability: FloatArray
    threshold: FloatArray
    latency_ms: FloatArray
    cost_usd: FloatArray
    until_ms: float | FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """Where every row left the cascade.

    Attributes:
        position: shape (n_rows,). Step that answered; FELL_BACK when none did.
        latency_ms: shape (n_rows,). Sum over the steps that were asked, each as long as it was
            waited for; NaN when one is unknown.
        cost_usd: shape (n_rows,). Sum over the steps that were asked; NaN when one is unknown.
        asked: shape (n_rows, n_steps).
    """

    position: IntArray
    latency_ms: FloatArray
    cost_usd: FloatArray
    asked: BoolArray


@dataclass(frozen=True, slots=True)
class Passed:
    """What every row has behind it at each step, when no step before was sure enough.

    Attributes:
        asked: shape (n_rows, n_steps). Whether the row fits the step's time and money.
        in_time: shape (n_rows, n_steps). Whether the step is asked, and not cut off.
        at_ms: shape (n_rows, n_steps). Latency of a row that leaves there.
        at_usd: shape (n_rows, n_steps). Cost of a row that leaves there.
        past_ms: shape (n_rows,). Latency of a row that leaves nowhere.
        past_usd: shape (n_rows,). Cost of a row that leaves nowhere.
    """

    asked: BoolArray
    in_time: BoolArray
    at_ms: FloatArray
    at_usd: FloatArray
    past_ms: FloatArray
    past_usd: FloatArray


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
    heard = dict[str, HeardAll]()
    foreseen = foresee_all(router, profile)
    columns = [_column(profile, step.name) for step in policy.steps]
    table = Table(
        answered=profile.answered[:, columns],
        probability=probability,
        threshold=threshold,
        latency_ms=profile.latency_ms[:, columns],
        cost_usd=profile.cost_usd[:, columns],
        until_ms=until_all(policy, profile.slices)[0],
    )
    depends = any(step.posterior is not None for step in policy.steps)
    answered = table.answered
    if depends:  # what came too late, or was never asked, is not heard
        answered = answered & past_rows(policy, table).in_time
    for k, (step, column) in enumerate(zip(policy.steps, columns, strict=True)):
        names = (DEFAULT_GROUP, *sorted(set(step.groups.values()) - {DEFAULT_GROUP}))
        group = groups_of(step, profile, column, names)
        threshold[:, k] = np.array([step.threshold(name) for name in names])[group]
        own = np.full(n_rows, np.nan)
        for index, name in enumerate(names):
            rows = group == index
            calibrator = step.calibrators.get(name) or step.calibrators.get(DEFAULT_GROUP)
            if calibrator is not None:
                own[rows] = calibrate_all(calibrator, profile.score[rows, column])
        said = HeardAll(answered[:, k], profile.answer_class[:, column], own)
        probability[:, k] = judged_all(step, said, group, names, heard)
        if step.gated:
            threshold[:, k] = step.threshold(DEFAULT_GROUP)
            probability[:, k] = foreseen.get(step.name, np.nan)
        heard[step.name] = said
    return table


def _column(profile: Profile, name: str) -> int:
    if name not in profile.tiers:
        raise KeyError(name)
    return profile.tiers.index(name)


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
    """Route every row as `route` would route it alone, with nothing blocked.

    A step that takes longer than it may has failed, and the row goes on: see `over`.

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
    until = until_rows(policy, table)
    for k, step in enumerate(policy.steps):
        wanted = walking
        if step.gated:
            wanted = walking & reaches(table.probability[:, k], table.threshold[:, k])
        entered, too_late = entered_all(policy, step, wanted, latency, cost, until)
        if too_late is not None:
            walking &= ~too_late
        asked[:, k] = entered
        ends, in_time = over_all(step, latency, table.latency_ms[:, k], until)
        np.copyto(latency, ends, where=entered)
        np.add(cost, table.cost_usd[:, k], out=cost, where=entered)
        accepted = entered & accepted_all(step, table, k)
        if in_time is not None:
            accepted &= in_time
        position[accepted] = k
        walking &= ~accepted
    return Routed(position=position, latency_ms=latency, cost_usd=cost, asked=asked)


def accepted_all(step: Step, table: Table, k: int) -> BoolArray:
    """Say which rows' answers a step gives when it is asked and in time, shape (n_rows,)."""
    if step.kind is TierKind.PERSON or step.gated:
        return table.answered[:, k]
    return table.answered[:, k] & reaches(table.probability[:, k], table.threshold[:, k])


def past_rows(policy: Policy, table: Table, *, gates: BoolArray | None = None) -> Passed:
    """Send every row past every step, as though none was sure enough to answer it.

    Args:
        policy: The table of tiers.
        table: What each step would do with each row; probabilities and thresholds are not read.
        gates: shape (n_rows, n_steps). Which rows a gated step is asked for; where nobody knows
            yet, one that would be late is taken as asked.
    """
    n_rows, n_steps = table.answered.shape
    latency, cost = np.zeros(n_rows), np.zeros(n_rows)
    asked = np.zeros((n_rows, n_steps), dtype=np.bool_)
    kept, at_ms, at_usd = asked.copy(), np.zeros(asked.shape), np.zeros(asked.shape)
    walking = np.ones(n_rows, dtype=np.bool_)
    until = until_rows(policy, table)
    for k, step in enumerate(policy.steps):
        wanted = walking & gates[:, k] if step.gated and gates is not None else walking
        entered, too_late = entered_all(policy, step, wanted, latency, cost, until)
        if too_late is not None:
            walking &= ~too_late
        ends, in_time = over_all(step, latency, table.latency_ms[:, k], until)
        asked[:, k] = entered
        at_ms[:, k] = np.where(entered, ends, latency)
        at_usd[:, k] = cost + np.where(entered, table.cost_usd[:, k], 0.0)
        kept[:, k] = entered if in_time is None else entered & in_time
        if not step.gated:
            latency, cost = at_ms[:, k], at_usd[:, k]
            continue
        # What answers at its gate ends the walk there: it is past the others, or failed.
        failed = entered & ~kept[:, k]
        if gates is not None:
            failed = entered & ~(kept[:, k] & table.answered[:, k])
        latency = np.where(failed, at_ms[:, k], latency)
        cost = np.where(failed, at_usd[:, k], cost)
    return Passed(asked, kept, at_ms, at_usd, latency, cost)


def until_rows(policy: Policy, table: Table) -> float | FloatArray | None:
    """Give when the steps' time is up, in milliseconds: for all rows, or shape (n_rows,)."""
    if table.until_ms is not None or policy.deadline_ms is None:
        return table.until_ms
    return until_of(policy, policy.fallback.get("default"), policy.deadline_ms).tiers_ms


def entered_all(
    policy: Policy,
    step: Step,
    wanted: BoolArray,
    latency: FloatArray,
    cost: FloatArray,
    until: float | FloatArray | None,
) -> tuple[BoolArray, BoolArray | None]:
    """Say which of some rows a step is asked for, and for which there is no time left for it.

    Args:
        policy: The table of tiers.
        step: The step.
        wanted: shape (n_rows,). Rows that got as far, and that its gate lets through.
        latency: shape (n_rows,). Milliseconds that each has behind it.
        cost: shape (n_rows,). Dollars that each has spent.
        until: When the tiers' time is up, in milliseconds, for all or shape (n_rows,).

    Returns:
        shape (n_rows,) each; None for the second without a deadline.
    """
    entered = wanted.copy()
    if policy.cost_each_usd is not None:
        left_usd = policy.cost_each_usd - cost
        worst_usd = np.inf if step.worst_cost_usd is None else step.worst_cost_usd
        entered &= ~is_too_dear(worst_usd, left_usd)
    if until is None:
        return entered, None
    left_ms = until - latency
    too_late = entered & is_too_late(step.needs_ms, left_ms)
    return entered & ~too_late, too_late
