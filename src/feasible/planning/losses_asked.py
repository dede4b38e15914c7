"""How promises about quality count a row, whoever of a plan answers it; for whoever moves rows."""

from __future__ import annotations

import numpy as np

from feasible.cascade import Policy, table_of
from feasible.planning.chain import exits_of, machines_only
from feasible.planning.replay import kit_of
from feasible.planning.yardstick import constraints
from feasible.schema import BoolArray, Brief, FloatArray, Plan, Profile, TierKind

__all__ = ["exit_losses"]


def exit_losses(
    plan: Plan, brief: Brief, profile: Profile, policy: Policy
) -> dict[str, tuple[FloatArray, BoolArray]]:
    """Give, per promise about quality, the loss of each row at each step, and whether it judges.

    Args:
        plan: The fixed plan.
        brief: The brief it was made for.
        profile: The rows; every machine tier of the plan is in it.
        policy: The steps, in the order wanted; nobody comes last.

    Returns:
        Objective id -> loss, shape (n_rows, n_steps + 1), and whether it counts, of the same shape.
        Where nobody answers, everything is lost.
    """
    kit, chain, asked = kit_of(plan, brief, profile)
    table = table_of(machines_only(asked), profile, router=plan.router)
    gates = None if plan.router is None else table.probability >= table.threshold
    exits = exits_of(chain, kit, profile, policy=asked, gates=gates)
    last = len(chain.machines)
    column = [
        last if step.kind is TierKind.PERSON else chain.machines.index(step.name)
        for step in policy.steps
    ]
    out = {}
    for constraint in constraints(brief, profile, exits):
        if constraint.objective.kind != "quality":
            continue
        loss = constraint.loss[:, [*column, last]].copy()
        loss[:, -1] = 1.0
        counts = constraint.counts[:, [*column, last]]
        out[constraint.id] = (np.asarray(loss, dtype=np.float64), counts)
    return out
