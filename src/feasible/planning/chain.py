"""One order of tiers on one set of rows: what every row would get at every exit, and the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from feasible.cascade import FELL_BACK, Policy, Step, calibrate_all, route_rows, table_of
from feasible.planning.calibration import Fit
from feasible.planning.constraints import Exits
from feasible.schema import (
    DEFAULT_GROUP,
    Brief,
    FloatArray,
    IntArray,
    Profile,
    TierKind,
    TierSpec,
)

__all__ = ["NEVER", "Chain", "Ingredients", "exits_of", "policy_of", "walk"]

NEVER = 1.01
"""A threshold that no probability reaches."""

_PERSON_MS = 1.0
"""A hand-off's acknowledgement when the profile has no measured one. Milliseconds."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What a plan can be made of.

    Attributes:
        brief: The declaration.
        specs: Tier name -> its part of the brief; empty when planning from a profile alone.
        groups: Tier name -> answer value -> group.
        fits: Tier name -> calibrators.
        machines: Usable machine tiers, cheapest first.
        person: Name of the person tier; None when there is none.
        p95_ms: Tier name -> 95th percentile of one call; None when unknown.
        mean_usd: Tier name -> mean price of one call; None when unknown.
        worst_usd: Tier name -> highest price of one call; None when unknown.
    """

    brief: Brief
    specs: Mapping[str, TierSpec]
    groups: Mapping[str, Mapping[str, str]]
    fits: Mapping[str, Fit]
    machines: tuple[str, ...]
    person: str | None
    p95_ms: Mapping[str, float | None]
    mean_usd: Mapping[str, float | None]
    worst_usd: Mapping[str, float | None]

    @property
    def person_usd(self) -> float:
        """Give the price of a hand-off. Dollars; 0 when the brief declares none."""
        usd = self.mean_usd.get(self.person) if self.person is not None else None
        return 0.0 if usd is None else usd

    @property
    def person_loss(self) -> float:
        """Give the declared error rate of people. Ratio."""
        spec = self.specs.get(self.person) if self.person is not None else None
        return spec.error_rate.mid if spec is not None and spec.error_rate is not None else 0.0


@dataclass(frozen=True, slots=True)
class Chain:
    """Machine tiers in the order in which they are asked; a person, if any, comes last."""

    machines: tuple[str, ...]


def exits_of(chain: Chain, kit: Ingredients, profile: Profile) -> Exits:
    """Say what every row would get at every exit of a chain.

    The last exit is the person, or, without one, "no answer", which is wrong and costs nothing
    more.
    """
    n, k = len(profile), len(chain.machines)
    columns = [profile.tiers.index(name) for name in chain.machines]
    loss = np.full((n, k + 1), np.nan)
    answers = np.full((n, k + 1), -1, dtype=np.int64)
    loss[:, :k] = profile.loss[:, columns]
    answers[:, :k] = profile.answer_class[:, columns]
    spent = np.cumsum(profile.cost_usd[:, columns], axis=1) if k else np.zeros((n, 0))
    took = np.cumsum(profile.latency_ms[:, columns], axis=1) if k else np.zeros((n, 0))
    machine_usd = np.hstack([spent, spent[:, -1:] if k else np.zeros((n, 1))])
    latency = np.hstack([took, (took[:, -1:] if k else np.zeros((n, 1))) + _PERSON_MS])
    cost = machine_usd.copy()
    cost[:, k] += kit.person_usd
    loss[:, k] = kit.person_loss if kit.person is not None else 1.0
    worst = [kit.worst_usd.get(name) for name in chain.machines]
    known = [usd for usd in worst if usd is not None]
    worst_machine = sum(known) if len(known) == len(worst) else None
    return Exits(
        loss=loss,
        latency_ms=latency,
        cost_usd=cost,
        machine_usd=machine_usd,
        answer_class=answers,
        is_person=np.array([False] * k + [kit.person is not None]),
        person_loss=kit.person_loss,
        worst_usd=None if worst_machine is None else worst_machine + kit.person_usd,
        worst_machine_usd=worst_machine,
    )


def policy_of(
    chain: Chain, kit: Ingredients, thresholds: Mapping[str, Mapping[str, float]]
) -> Policy:
    """Give the table that planning, simulation and serving route by."""
    steps = [
        Step(
            name=name,
            kind=kit.specs[name].kind if name in kit.specs else TierKind.MODEL,
            thresholds=thresholds[name],
            groups=kit.groups[name],
            calibrators=kit.fits[name].calibrators,
            p95_ms=kit.p95_ms[name],
            worst_cost_usd=kit.worst_usd[name],
        )
        for name in chain.machines
    ]
    if kit.person is not None:
        steps.append(
            Step(
                name=kit.person,
                kind=TierKind.PERSON,
                thresholds={DEFAULT_GROUP: 0.0},
                p95_ms=_PERSON_MS,
                worst_cost_usd=kit.person_usd,
            )
        )
    serving = kit.brief.layers.serving
    fallback = dict(serving.fallback) if serving is not None else {}
    if "default" not in fallback and kit.person is not None:
        fallback["default"] = kit.person
    return Policy(tuple(steps), fallback, deadline_ms(kit.brief), cost_cap_usd(kit.brief))


def deadline_ms(brief: Brief) -> float | None:
    """Give the time for a whole decision: the declared deadline, else the tightest percentile."""
    serving = brief.layers.serving
    if serving is not None and serving.deadline is not None:
        return serving.deadline.ms
    limits = [
        o.limit.mid * 1e3 for o in brief.envelope if o.kind == "latency" and o.limit is not None
    ]
    return min(limits) if limits else None


def cost_cap_usd(brief: Brief) -> float | None:
    """Give the enforced cap of one decision. Dollars; None when none is declared."""
    caps = [
        o.limit.mid
        for o in brief.envelope
        if o.kind == "cost" and o.measure == "each" and o.limit is not None
    ]
    return min(caps) if caps else None


def walk(policy: Policy, profile: Profile, n_exits: int) -> IntArray:
    """Route every row and give its exit; a row that fell back leaves by the last exit.

    Returns:
        shape (n_rows,), 0 <= exit < n_exits.
    """
    machines = tuple(step for step in policy.steps if step.kind is not TierKind.PERSON)
    asked = Policy(machines, policy.fallback, policy.deadline_ms, policy.cost_each_usd)
    position = route_rows(asked, table_of(asked, profile)).position
    return np.where(position == FELL_BACK, n_exits - 1, position)


def probabilities(kit: Ingredients, name: str, profile: Profile) -> tuple[FloatArray, IntArray]:
    """Give a tier's calibrated probabilities and the index of each answer's group.

    Returns:
        shape (n_rows,) probabilities; shape (n_rows,) indices into `group_names(kit, name)`.
    """
    column = profile.tiers.index(name)
    names = group_names(kit, name)
    index = {group: i for i, group in enumerate(names)}
    of_class = [index[kit.groups[name].get(v, DEFAULT_GROUP)] for v in profile.classes]
    group = np.array([*of_class, index[DEFAULT_GROUP]])[profile.answer_class[:, column]]
    out = np.full(len(profile), np.nan)
    calibrators = kit.fits[name].calibrators
    for i, label in enumerate(names):
        rows = group == i
        chosen = calibrators.get(label) or calibrators[DEFAULT_GROUP]
        out[rows] = calibrate_all(chosen, profile.score[rows, column])
    return out, group


def group_names(kit: Ingredients, name: str) -> tuple[str, ...]:
    """Give the answer groups of a tier, `*` first."""
    return (DEFAULT_GROUP, *sorted(set(kit.groups[name].values()) - {DEFAULT_GROUP}))
