"""One order of tiers on one set of rows: what every row would get at every exit, and the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from feasible.cascade import (
    FELL_BACK,
    Passed,
    Policy,
    Step,
    Table,
    longest_ms,
    over_all,
    past_rows,
    route_rows,
    table_of,
    until_all,
)
from feasible.planning.calibration import Fit, own_probabilities
from feasible.planning.constraint import Exits, percentile_of
from feasible.planning.scores import Scores
from feasible.schema import (
    DEFAULT_GROUP,
    BoolArray,
    Brief,
    FloatArray,
    IntArray,
    Posterior,
    Profile,
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

_NEARLY_ALL: Final = 0.99
"""Percentile from which on a promised latency is a deadline of every decision."""


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
        capped: Tiers whose highest price is known beforehand, rather than the highest seen.
        unenforced: Those of them, and people, whose price is declared and nothing enforces it.
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
    unenforced: frozenset[str] = frozenset()
    answered: Mapping[str, float] = field(default_factory=dict)
    scores: Scores | None = None

    @property
    def person_usd(self) -> float:
        """Give the price of a hand-off by which plans are compared. Dollars; 0 when unknown."""
        usd = self.mean_usd.get(self.person) if self.person is not None else None
        return 0.0 if usd is None else usd

    @property
    def person_loss(self) -> float:
        """Give the declared error rate of people, the high end of a range. Ratio."""
        spec = self.specs.get(self.person) if self.person is not None else None
        return spec.error_rate.high if spec is not None and spec.error_rate is not None else 0.0


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
    gates: BoolArray | None = None,
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
        gates: shape (n_rows, n_machines). Whether a gated machine is asked; where thresholds are
            not known yet, one that would be late takes time and money of every row behind it.
    """
    policy = policy or policy_of(
        chain, kit, {name: {DEFAULT_GROUP: NEVER} for name in chain.machines}
    )
    k, n = len(chain.machines), len(profile)
    columns = [profile.tiers.index(name) for name in chain.machines]
    passed = _passed(policy, profile, columns, gates)
    heard = passed.in_time[:, :k] & profile.answered[:, columns]
    last = _last(policy, kit, profile, passed, chain, gates)
    machine_usd = np.hstack([passed.at_usd[:, :k], last.machine_usd[:, None]])
    is_person = np.zeros((n, k + 1), dtype=np.bool_)
    is_person[:, k] = last.is_person
    cost = machine_usd.copy()
    is_known = kit.person is None or kit.mean_usd.get(kit.person) is not None
    cost[:, k] += np.where(last.is_person, kit.person_usd if is_known else np.nan, 0.0)
    worst, cap = _worst(chain, kit), cost_cap_usd(kit.brief)
    most = None if worst is None else worst + kit.person_usd
    declared = not kit.unenforced.isdisjoint(chain.machines)
    return Exits(
        loss=np.hstack([profile.loss[:, columns], last.loss[:, None]]),
        latency_ms=np.hstack([passed.at_ms[:, :k], last.latency_ms[:, None]]),
        cost_usd=cost,
        machine_usd=machine_usd,
        answer_class=np.hstack([profile.answer_class[:, columns], last.answer_class[:, None]]),
        is_open=np.hstack([heard, np.ones((n, 1), dtype=np.bool_)]),
        is_person=is_person,
        labelled=labelled_rows(kit, profile) if labelled is None else labelled,
        last_tier=last.tier,
        person_loss=kit.person_loss,
        worst_usd=_capped(most, cap),
        worst_machine_usd=_capped(worst, cap),
        is_enforced=_is_below(cap, most) or not (declared or kit.person in kit.unenforced),
        is_machine_enforced=_is_below(cap, worst) or not declared,
    )


def _is_below(cap: float | None, worst: float | None) -> bool:
    """Claim that the cap on a decision, which serving keeps, bounds it more than prices do."""
    return cap is not None and (worst is None or cap <= worst)


def _capped(worst: float | None, cap: float | None) -> float | None:
    return cap if _is_below(cap, worst) else worst


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
    """What rows get that no machine answers by threshold; each of shape (n_rows,).

    Latency and dollars are those of the whole decision.
    """

    is_person: BoolArray
    loss: FloatArray
    answer_class: IntArray
    latency_ms: FloatArray
    machine_usd: FloatArray
    tier: tuple[str | None, ...]


def _passed(
    policy: Policy, profile: Profile, columns: list[int], gates: BoolArray | None
) -> Passed:
    """Say what rows have behind them that nobody answered: at each machine and after all steps."""
    took, paid = profile.latency_ms[:, columns], profile.cost_usd[:, columns]
    answered = profile.answered[:, columns]
    machines = policy.steps[: len(columns)]
    if policy.deadline_ms is None and policy.cost_each_usd is None:
        most = np.array([longest_ms(step, None) for step in machines])
        gate_fails = gates is not None and not answered.all()
        if not gate_fails and not (took > most).any():  # nothing is cut off or left out
            asked = np.ones((len(profile), len(policy.steps)), dtype=np.bool_)
            gated = [step.gated for step in machines]
            at_ms, past_ms = _so_far(took, gated)
            at_usd, past_usd = _so_far(paid, gated)
            return Passed(asked, asked, at_ms, at_usd, past_ms, past_usd)
    if len(policy.steps) > len(columns):  # a person, whose part is added to those who get there
        nothing = np.zeros((len(profile), 1))
        took, paid = np.hstack([took, nothing]), np.hstack([paid, nothing])
        answered = np.hstack([answered, nothing == 0])
        gates = None if gates is None else np.hstack([gates, nothing == 0])
    unknown = np.full(took.shape, np.nan)
    until, _ = until_all(policy, profile.slices)
    return past_rows(policy, Table(answered, unknown, unknown, took, paid, until), gates=gates)


def _so_far(each: FloatArray, gated: Sequence[bool]) -> tuple[FloatArray, FloatArray]:
    """Add up what is spent at each exit and after all: a gated tier that was not asked is free."""
    passed = np.where(gated, 0.0, each) if any(gated) else each
    spent = np.cumsum(np.hstack([np.zeros((len(each), 1)), passed]), axis=1)
    return spent[:, :-1] + each, spent[:, -1]


def _last(
    policy: Policy,
    kit: Ingredients,
    profile: Profile,
    passed: Passed,
    chain: Chain,
    gates: BoolArray | None,
) -> _Last:
    n = len(profile)
    handed = passed.asked[:, -1].copy() if kit.person is not None else np.zeros(n, dtype=np.bool_)
    loss, answers = np.ones(n), np.full(n, -1, dtype=np.int64)
    latency, usd = passed.past_ms.copy(), passed.past_usd.copy()
    _, until = until_all(policy, profile.slices)
    tier = np.full(n, None, dtype=object)
    for name, rows in _fallbacks(policy, profile, ~handed).items():
        if not rows.any():
            continue
        if name != kit.person and name in profile.tiers:
            column = profile.tiers.index(name)
            given = rows & profile.answered[:, column]
            again = rows.copy()
            if name in chain.machines:
                place = chain.machines.index(name)
                in_hand = passed.in_time[:, place]
                if policy.steps[place].gated:  # else it was passed over
                    in_hand = in_hand & (False if gates is None else gates[:, place])
                again &= ~in_hand
            step = _step_of(name, policy, kit)
            ends, in_time = over_all(step, latency, profile.latency_ms[:, column], until)
            given &= ~again | (True if in_time is None else in_time)
            # An answer that nobody has judged counts as wrong.
            loss[given] = np.nan_to_num(profile.loss[given, column], nan=1.0)
            tier[given] = name
            answers[given] = profile.answer_class[given, column]
            latency[again] = ends[again]
            usd[again] += profile.cost_usd[again, column]
            handed |= rows & ~given if kit.person is not None else False  # a person gets the rest
        elif name == kit.person:
            handed |= rows
    loss[handed], latency[handed] = kit.person_loss, latency[handed] + _PERSON_MS
    tier[handed] = kit.person
    return _Last(handed, loss, answers, latency, usd, tuple(tier))


def _step_of(name: str, policy: Policy, kit: Ingredients) -> Step:
    """Give the step of a fallback, whether or not it is one of the policy's."""
    found = next((step for step in policy.steps if step.name == name), None)
    return found or Step(name, _kind(kit, name), {}, timeout_ms=_timeout_ms(kit, name))


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
            kind=_kind(kit, name),
            thresholds=thresholds[name],
            groups=kit.groups[name],
            calibrators=kit.fits[name].calibrators,
            p95_ms=kit.p95_ms[name],
            worst_cost_usd=kit.worst_usd[name],
            timeout_ms=_timeout_ms(kit, name),
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


def _kind(kit: Ingredients, name: str) -> TierKind:
    return kit.specs[name].kind if name in kit.specs else TierKind.MODEL


def _timeout_ms(kit: Ingredients, name: str) -> float | None:
    timeout = kit.specs[name].timeout if name in kit.specs else None
    return None if timeout is None else timeout.ms


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
    """Give the time for a whole decision; None when none is declared or implied.

    Absent a declared deadline, the tightest promise about nearly every decision is one: p99 or
    above, on all of them, or as large a share right and in time. Lower percentiles, means and
    shares say how many may be late, not that none is.
    """
    serving = brief.layers.serving
    if serving is not None and serving.deadline is not None:
        return serving.deadline.ms
    limits = [
        o.limit.mid * 1e3
        for o in brief.envelope
        if o.kind == "latency" and o.limit is not None and o.on is None
        if (percentile_of(o) or 0.0) >= _NEARLY_ALL
    ]
    limits += [
        o.within.mid * 1e3
        for o in brief.envelope
        if o.within is not None and o.limit is not None and o.on is None
        if o.limit.mid >= _NEARLY_ALL
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


def machines_only(policy: Policy) -> Policy:
    """Give the same table without its person, who takes what the machines leave."""
    machines = tuple(step for step in policy.steps if step.kind is not TierKind.PERSON)
    return replace(policy, steps=machines)


def walk(policy: Policy, profile: Profile, n_exits: int, *, table: Table | None = None) -> IntArray:
    """Route every row and give its exit; a row that fell back leaves by the last exit.

    Args:
        policy: The table of tiers.
        profile: The rows.
        n_exits: Exits of the chain.
        table: What its machines would do with every row, where it is known already.

    Returns:
        shape (n_rows,), 0 <= exit < n_exits.
    """
    asked = machines_only(policy)
    position = route_rows(asked, table or table_of(asked, profile)).position
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
