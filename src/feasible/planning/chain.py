"""One order of tiers on one set of rows: what every row would get at every exit, and the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from feasible.cascade import (
    FELL_BACK,
    Policy,
    Step,
    Table,
    route_rows,
    table_of,
)
from feasible.planning.calibration import Fit, own_probabilities
from feasible.planning.constraints import Exits
from feasible.planning.scores import Scores
from feasible.schema import (
    DEFAULT_GROUP,
    BoolArray,
    Brief,
    FloatArray,
    IntArray,
    Posterior,
    Profile,
    Router,
    TierKind,
    TierSpec,
)

__all__ = [
    "NEVER",
    "Chain",
    "Ingredients",
    "cost_cap_usd",
    "deadline_ms",
    "exits_of",
    "group_names",
    "labelled_rows",
    "machines_only",
    "policy_of",
    "probabilities",
    "shares_of",
    "walk",
]

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
        capped: Tiers whose highest price is declared, rather than the highest that was seen.
        answered: Tier name -> share of rows that it answers.
        scores: What thresholds may stand on besides scores; None: nothing.
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
    capped: frozenset[str] = frozenset()
    answered: Mapping[str, float] = field(default_factory=dict)
    scores: Scores | None = None

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
    """Machine tiers in the order in which they are asked; a person, if any, comes last.

    Attributes:
        machines: Names.
        by: What thresholds stand on: each tier's own `score`; the `posterior` given what earlier
            tiers said; the `gain` over the next tier; or what the `router` foresees.
    """

    machines: tuple[str, ...]
    by: Literal["score", "posterior", "gain", "router"] = "score"

    def is_gated(self, place: int, *, with_person: bool) -> bool:
        """Claim that a tier is asked only where enough is foreseen of it.

        The last tier takes every case where no person comes after it.
        """
        return self.by == "router" and (with_person or place < len(self.machines) - 1)


def exits_of(
    chain: Chain,
    kit: Ingredients,
    profile: Profile,
    *,
    labelled: BoolArray | None = None,
    policy: Policy | None = None,
) -> Exits:
    """Say what every row would get at every exit of a chain.

    The last exit is for rows that no machine answers by threshold: a person takes them, or, where
    there is none or time is up, the declared fallback does.

    Args:
        chain: The order of tiers.
        kit: What plans are made of.
        profile: The rows.
        labelled: `labelled_rows` of them, where it is known already.
        policy: The chain's table with any thresholds, where it is known already.
    """
    policy = policy or policy_of(
        chain, kit, {name: {DEFAULT_GROUP: NEVER} for name in chain.machines}
    )
    asked = _asked(policy, profile)
    k = len(chain.machines)
    columns = [profile.tiers.index(name) for name in chain.machines]
    paid = np.where(asked[:, :k], profile.cost_usd[:, columns], 0.0)
    took = np.where(asked[:, :k], profile.latency_ms[:, columns], 0.0)
    start = np.zeros((len(profile), 1))
    gated = [chain.is_gated(i, with_person=kit.person is not None) for i in range(k)]
    spent, waited = _so_far(start, paid, gated), _so_far(start, took, gated)
    last = _last(policy, kit, profile, asked, chain)
    machine_usd = np.hstack([spent[:, :-1] + paid, spent[:, -1:] + last.machine_usd[:, None]])
    is_person = np.zeros((len(profile), k + 1), dtype=np.bool_)
    is_person[:, k] = last.is_person
    cost = machine_usd.copy()
    cost[:, k] += np.where(last.is_person, kit.person_usd, 0.0)
    worst = _worst(chain, kit)
    return Exits(
        loss=np.hstack([profile.loss[:, columns], last.loss[:, None]]),
        latency_ms=np.hstack([waited[:, :-1] + took, waited[:, -1:] + last.latency_ms[:, None]]),
        cost_usd=cost,
        machine_usd=machine_usd,
        answer_class=np.hstack([profile.answer_class[:, columns], last.answer_class[:, None]]),
        is_open=np.hstack([asked[:, :k] & profile.answered[:, columns], start == 0]),
        is_person=is_person,
        labelled=labelled_rows(kit, profile) if labelled is None else labelled,
        last_tier=last.tier,
        person_loss=kit.person_loss,
        worst_usd=None if worst is None else worst + kit.person_usd,
        worst_machine_usd=worst,
    )


def _so_far(start: FloatArray, each: FloatArray, gated: Sequence[bool]) -> FloatArray:
    """Add up what was spent before each exit: a gated tier that was not asked takes nothing."""
    passed = np.where(gated, 0.0, each) if gated else each
    return np.cumsum(np.hstack([start, passed]), axis=1)


def labelled_rows(kit: Ingredients, profile: Profile) -> BoolArray:
    """Say which rows may judge quality: every usable tier's answer has a loss there.

    A row whose truth is known for some tiers only would be judged or not depending on who answers,
    and a promise must not be judged on rows that the policy picks.
    """
    columns = [profile.tiers.index(name) for name in kit.machines]
    loss, answered = profile.loss[:, columns], profile.answered[:, columns]
    complete = ~(answered & np.isnan(loss)).any(axis=1)
    known = ~np.isnan(profile.loss).all(axis=1)
    if profile.label is not None:
        known |= profile.truth.code >= 0
    return np.asarray(complete & known)


@dataclass(frozen=True, slots=True)
class _Last:
    """What rows get that no machine answers by threshold; each of shape (n_rows,)."""

    is_person: BoolArray
    loss: FloatArray
    answer_class: IntArray
    latency_ms: FloatArray
    machine_usd: FloatArray
    tier: tuple[str | None, ...]


def _asked(policy: Policy, profile: Profile) -> BoolArray:
    """Say which steps a row enters that nobody answers: those that fit its time and money.

    Whoever gets past a gated tier was not asked by it, so that it takes neither.
    """
    n = len(profile)
    if policy.deadline_ms is None and policy.cost_each_usd is None:
        return np.ones((n, len(policy.steps)), dtype=np.bool_)
    nothing = np.zeros(n)
    columns = [
        (profile.latency_ms[:, c], profile.cost_usd[:, c])
        if step.kind is not TierKind.PERSON and not step.gated
        else (nothing, nothing)
        if step.gated
        else (nothing + _PERSON_MS, nothing + (step.worst_cost_usd or 0.0))
        for step in policy.steps
        for c in [profile.tiers.index(step.name) if step.name in profile.tiers else -1]
    ]
    shape = (n, len(columns))
    latency = np.array([took for took, _ in columns]).T.reshape(shape)
    cost = np.array([paid for _, paid in columns]).T.reshape(shape)
    unanswered = np.zeros(shape, dtype=np.bool_)
    unknown = np.full(shape, np.nan)
    steps = tuple(replace(step, gated=False) for step in policy.steps)
    table = Table(unanswered, unknown, unknown, latency, cost)
    return route_rows(replace(policy, steps=steps), table).asked


def _last(
    policy: Policy, kit: Ingredients, profile: Profile, asked: BoolArray, chain: Chain
) -> _Last:
    n = len(profile)
    handed = asked[:, -1].copy() if kit.person is not None else np.zeros(n, dtype=np.bool_)
    loss, answers = np.ones(n), np.full(n, -1, dtype=np.int64)
    latency, usd = np.zeros(n), np.zeros(n)
    tier = np.full(n, None, dtype=object)
    for name, rows in _fallbacks(policy, profile, ~handed).items():
        if name == kit.person:
            handed |= rows
        elif name in profile.tiers:
            column = profile.tiers.index(name)
            again = rows.copy()
            if name in chain.machines:
                again &= ~asked[:, chain.machines.index(name)]
            given = rows & profile.answered[:, column]
            # An answer that nobody has judged counts as wrong.
            loss[given] = np.nan_to_num(profile.loss[given, column], nan=1.0)
            tier[given] = name
            answers[given] = profile.answer_class[given, column]
            latency[again] = profile.latency_ms[again, column]
            usd[again] = profile.cost_usd[again, column]
    loss[handed], latency[handed] = kit.person_loss, _PERSON_MS
    tier[handed] = kit.person
    return _Last(handed, loss, answers, latency, usd, tuple(tier))


def _fallbacks(policy: Policy, profile: Profile, rows: BoolArray) -> dict[str, BoolArray]:
    """Give, per fallback tier, the rows for which it answers: by their first slice with one."""
    out: dict[str, BoolArray] = {}
    left = rows.copy()
    declared = [(s, policy.fallback[s]) for s in profile.slices if s in policy.fallback]
    everyone = np.ones(len(profile), dtype=np.bool_)
    default = policy.fallback.get("default")
    members = [(profile.slices[s], tier) for s, tier in declared]
    members += [(everyone, default)] if default is not None else []
    for member, tier in members:
        mine = left & member
        out[tier] = out.get(tier, np.zeros(len(profile), dtype=np.bool_)) | mine
        left &= ~member
    return out


def _worst(chain: Chain, kit: Ingredients) -> float | None:
    """Give the most that asking every machine of a chain can cost; None without declared prices."""
    if not kit.capped.issuperset(chain.machines):
        return None
    return sum(kit.worst_usd[name] or 0.0 for name in chain.machines)


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
            posterior=_posterior(chain, kit, place),
            rival=_rival(chain, kit, place),
            gated=chain.is_gated(place, with_person=kit.person is not None),
        )
        for place, name in enumerate(chain.machines)
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
    if "default" not in fallback and steps:
        fallback["default"] = kit.person or _most_answering(chain, kit)
    return Policy(tuple(steps), fallback, deadline_ms(kit.brief), cost_cap_usd(kit.brief))


def _posterior(chain: Chain, kit: Ingredients, place: int) -> Posterior | None:
    if kit.scores is None or chain.by not in {"posterior", "gain"}:
        return None
    if place == 0 and chain.by == "posterior":
        return None  # nothing was heard before
    return kit.scores.posterior(chain.machines[: place + 1])


def _rival(chain: Chain, kit: Ingredients, place: int) -> Posterior | None:
    if kit.scores is None or chain.by != "gain" or place + 1 >= len(chain.machines):
        return None
    return kit.scores.posterior(chain.machines[: place + 1], of=chain.machines[place + 1])


def _most_answering(chain: Chain, kit: Ingredients) -> str:
    """Give the machine that abstains least, the earliest of several: its answer is in hand."""
    return max(chain.machines, key=lambda name: kit.answered.get(name, 1.0))


def deadline_ms(brief: Brief) -> float | None:
    """Give the time for a whole decision: the declared deadline, else the tightest promise."""
    serving = brief.layers.serving
    if serving is not None and serving.deadline is not None:
        return serving.deadline.ms
    limits = [
        o.limit.mid * 1e3
        for o in brief.envelope
        if o.kind == "latency" and o.measure != "mean" and o.limit is not None
    ]
    limits += [o.within.mid * 1e3 for o in brief.envelope if o.within is not None]
    return min(limits) if limits else None


def cost_cap_usd(brief: Brief) -> float | None:
    """Give the enforced cap of one decision. Dollars; None when none is declared."""
    caps = [
        o.limit.mid
        for o in brief.envelope
        if o.kind == "cost" and o.measure == "each" and o.limit is not None
    ]
    return min(caps) if caps else None


def machines_only(policy: Policy) -> Policy:
    """Give the same table without its person, who takes what the machines leave."""
    machines = tuple(step for step in policy.steps if step.kind is not TierKind.PERSON)
    return replace(policy, steps=machines)


def walk(
    policy: Policy, profile: Profile, n_exits: int, *, router: Router | None = None
) -> IntArray:
    """Route every row and give its exit; a row that fell back leaves by the last exit.

    Returns:
        shape (n_rows,), 0 <= exit < n_exits.
    """
    asked = machines_only(policy)
    position = route_rows(asked, table_of(asked, profile, router=router)).position
    return np.where(position == FELL_BACK, n_exits - 1, position)


def shares_of(chain: Chain, exits: Exits, exit_of_row: IntArray) -> dict[str, float]:
    """Give the share of rows that each tier answers; `no answer` when nobody does."""
    names = np.array([*chain.machines, None], dtype=object)[exit_of_row]
    last = exit_of_row == len(chain.machines)
    names[last] = np.array(exits.last_tier, dtype=object)[last]
    found, count = np.unique([name or "no answer" for name in names], return_counts=True)
    return {str(name): float(c) / len(names) for name, c in zip(found, count, strict=True)}


def probabilities(kit: Ingredients, name: str, profile: Profile) -> tuple[FloatArray, IntArray]:
    """Give a tier's calibrated probabilities and the index of each answer's group.

    Returns:
        shape (n_rows,) probabilities; shape (n_rows,) indices into `group_names(kit, name)`.
    """
    return own_probabilities(
        kit.fits[name],
        kit.groups[name],
        group_names(kit, name),
        profile,
        profile.tiers.index(name),
    )


def group_names(kit: Ingredients, name: str) -> tuple[str, ...]:
    """Give the answer groups of a tier, `*` first."""
    return (DEFAULT_GROUP, *sorted(set(kit.groups[name].values()) - {DEFAULT_GROUP}))
