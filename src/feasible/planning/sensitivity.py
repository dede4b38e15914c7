"""What a plan would do if a declared number were another one: the plan replayed, nothing guessed.

Thresholds stay as they are: this is what happens to a plan that is served while a number of the
brief turns out to be wrong, and not what another plan could make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np

from feasible.planning.gaps import filled
from feasible.planning.labels import fair_labels
from feasible.planning.repeats import with_repeats
from feasible.planning.replay import backtest
from feasible.planning.splits import split_rows
from feasible.planning.value import Worth, net_usd, value_report, worth_of_design
from feasible.schema import (
    Brief,
    Objective,
    Plan,
    PlanReport,
    Profile,
    PromiseHeld,
    Sensitivity,
    Swing,
    TierKind,
    TierSpec,
)
from feasible.units import MONTH_DAYS, Amount, Quantity, Ratio, Usd

__all__ = ["judging_rows", "sensitivity"]

_MOST_ROWS: Final = 20_000
_EITHER_WAY: Final = 0.1
_DAY_S: Final = 86_400


def judging_rows(brief: Brief, profile: Profile, *, seed: int) -> Profile:
    """Give the rows that judge a plan, at most 20,000, with gaps filled as the planner does.

    Args:
        brief: The declaration.
        profile: All rows.
        seed: The plan's.
    """
    profile, _ = with_repeats(fair_labels(brief, profile)[0])
    split = split_rows(profile, seed=seed)
    specs = {tier.name: tier for tier in brief.layers.tiers}
    whole, _ = filled(brief, specs, profile, judging=split.cert)
    rows = split.cert
    if len(rows) > _MOST_ROWS:
        rng = np.random.default_rng([_MOST_ROWS, seed])
        rows = np.sort(rng.choice(rows, size=_MOST_ROWS, replace=False))
    return whole.take(rows)


def sensitivity(
    plan: Plan, brief: Brief, rows: Profile, report: PlanReport
) -> tuple[Sensitivity, ...]:
    """Replay a plan with one declared number at the low and the high end of its range.

    Shares of slices, people's price and error rate are moved by a tenth where no range is declared;
    prices of other tiers and the worth of answers only where one is.

    Args:
        plan: The fixed plan.
        brief: The brief it was made for.
        rows: What every tier would have answered; rows that the plan was not searched on.
        report: The planner's answer, for what the other designs are worth.
    """
    now = _replayed(_Case(plan, brief, rows), report)
    return tuple(_moved(number, plan, brief, rows, report, now) for number in _numbers(brief))


@dataclass(frozen=True, slots=True)
class _Case:
    """What is replayed."""

    plan: Plan
    brief: Brief
    rows: Profile


@dataclass(frozen=True, slots=True)
class _Number:
    """One declared number, and what changes with it."""

    name: str
    declared: Quantity
    unit: str
    set_to: Callable[[_Case, float], _Case]
    is_worth: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        if self.declared.is_range:
            return self.declared.low, self.declared.high
        low, high = (self.declared.mid * (1 + way * _EITHER_WAY) for way in (-1, 1))
        return low, min(high, 1.0) if self.unit == "ratio" else high


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a replay showed."""

    cost_usd: float | None
    net_usd: float | None
    slack: float | None
    tightest: str | None
    breaks: tuple[str, ...]

    def swing(self, at: float) -> Swing:
        return Swing(
            at=at,
            cost_usd=self.cost_usd,
            net_usd=self.net_usd,
            slack=self.slack,
            tightest=self.tightest,
            breaks=self.breaks,
        )


def _moved(
    number: _Number, plan: Plan, brief: Brief, rows: Profile, report: PlanReport, now: _Seen
) -> Sensitivity:
    low, high = number.ends
    cases = [number.set_to(_Case(plan, brief, rows), at) for at in (low, high)]
    seen = [_replayed(case, report) for case in cases]
    best = None
    if number.is_worth:
        found = [value_report(one, report) for one in (cases[0].brief, brief, cases[1].brief)]
        names = [one.best for one in found if one is not None]
        best = (names[0], names[1], names[2]) if len(names) == len(found) else None
    return Sensitivity(
        number=number.name,
        unit=number.unit,
        basis="declared range" if number.declared.is_range else "10 % either way",
        low=seen[0].swing(low),
        now=now.swing(number.declared.mid),
        high=seen[1].swing(high),
        best=best,
    )


def _numbers(brief: Brief) -> Iterator[_Number]:
    for name, share in brief.traffic.slices.items():
        yield _Number(f"traffic.slices.{name}", share, "ratio", _slice_to(name))
    for tier in brief.layers.tiers:
        at = f"layers.tiers.{tier.name}"
        is_person = tier.kind is TierKind.PERSON
        if tier.usd is not None and tier.usd.mid > 0 and (is_person or tier.usd.is_range):
            to = _person_usd_to(tier.name) if is_person else _tier_usd_to(tier)
            yield _Number(f"{at}.usd", tier.usd, "usd", to)
        if is_person and tier.error_rate is not None and tier.error_rate.high > 0:
            to = _error_rate_to(tier.name)
            yield _Number(f"{at}.error_rate", tier.error_rate, "ratio", to)
    for key in ("value_usd", "error_usd"):
        worth = getattr(brief.goal, key)
        if worth is not None and worth.is_range:
            yield _Number(f"goal.{key}", worth, "usd", _worth_to(key), is_worth=True)


def _slice_to(name: str) -> Callable[[_Case, float], _Case]:
    def change(case: _Case, at: float) -> _Case:
        slices = {**case.brief.traffic.slices, name: Ratio(at)}
        traffic = msgspec.structs.replace(case.brief.traffic, slices=slices)
        return replace(case, brief=msgspec.structs.replace(case.brief, traffic=traffic))

    return change


def _person_usd_to(name: str) -> Callable[[_Case, float], _Case]:
    def change(case: _Case, at: float) -> _Case:
        steps = tuple(
            msgspec.structs.replace(step, cost_usd=at, worst_cost_usd=at)
            if step.name == name
            else step
            for step in case.plan.tiers
        )
        return replace(case, plan=msgspec.structs.replace(case.plan, tiers=steps))

    return change


def _tier_usd_to(tier: TierSpec) -> Callable[[_Case, float], _Case]:
    """Scale what calls cost; where a replica's hours are in it, move the price of a call alone."""
    declared = tier.usd.mid if tier.usd is not None else 0.0

    def change(case: _Case, at: float) -> _Case:
        if tier.name not in case.rows.tiers:
            return case
        cost = case.rows.cost_usd.copy()
        column = case.rows.tiers.index(tier.name)
        if tier.usd_hour is None:
            cost[:, column] *= at / declared
        else:
            cost[:, column] += at - declared
        return replace(case, rows=replace(case.rows, cost_usd=cost))

    return change


def _error_rate_to(name: str) -> Callable[[_Case, float], _Case]:
    def change(case: _Case, at: float) -> _Case:
        tiers = tuple(
            msgspec.structs.replace(tier, error_rate=Ratio(at)) if tier.name == name else tier
            for tier in case.brief.layers.tiers
        )
        layers = msgspec.structs.replace(case.brief.layers, tiers=tiers)
        return replace(case, brief=msgspec.structs.replace(case.brief, layers=layers))

    return change


def _worth_to(key: str) -> Callable[[_Case, float], _Case]:
    def change(case: _Case, at: float) -> _Case:
        goal = msgspec.structs.replace(case.brief.goal, **{key: Amount(at)})
        return replace(case, brief=msgspec.structs.replace(case.brief, goal=goal))

    return change


_COST: Final = Objective(cost="mean", at_most=Usd("$1"))
_RIGHT: Final = Objective(quality="accuracy", at_least=Ratio(0.0))


def _replayed(case: _Case, report: PlanReport) -> _Seen:
    """Replay a plan, and read its cost and its right answers on the declared mix beside it.

    Both are asked as objectives of their own, so that slices weigh what the brief says they do.
    """
    envelope = case.brief.envelope
    extra = tuple(o for o in (_COST, _RIGHT) if o.id not in {one.id for one in envelope})
    asked = msgspec.structs.replace(case.brief, envelope=(*envelope, *extra))
    found = backtest(case.plan, asked, case.rows)
    held = {promise.objective: promise for promise in found.promises}
    cost, right = held[_COST.id].value, held[_RIGHT.id].value
    slacks = [
        (slack, o.id)
        for o in envelope
        if o.id in held and (slack := _slack(case.brief, o, held[o.id])) is not None
    ]
    least = min(slacks, default=(None, None))
    return _Seen(
        cost_usd=cost,
        net_usd=_net(case.brief, report, cost, right),
        slack=least[0],
        tightest=least[1],
        breaks=tuple(name for slack, name in slacks if slack < 0),
    )


def _net(brief: Brief, report: PlanReport, cost: float | None, right: float | None) -> float | None:
    goal = brief.goal
    if cost is None or right is None or (goal.value_usd is None and goal.error_usd is None):
        return None
    chosen = next((point for point in report.frontier if point.is_chosen), None)
    worth = None if chosen is None else worth_of_design(brief, chosen)
    # What latency leaves of a right answer's worth does not move with these numbers.
    kept = worth.earned / worth.right if worth is not None and worth.right else 1.0
    return net_usd(goal, Worth(right, right * kept), cost).mid


def _slack(brief: Brief, objective: Objective, held: PromiseHeld) -> float | None:
    """Give the share of the limit that is left by the value; None where that cannot be said."""
    limit = _limit(brief, objective, held)
    if held.value is None or not limit:
        return None
    left = limit - held.value if objective.is_ceiling else held.value - limit
    return left / limit


def _limit(brief: Brief, objective: Objective, held: PromiseHeld) -> float | None:
    """Give the limit in the unit of the value: a rate as a share, a day's dollars per decision."""
    limit, rate = objective.limit, brief.traffic.rate
    if limit is None or (objective.kind == "cost" and objective.measure == "each"):
        return None
    if limit.dimension == "rate":
        return None if rate is None else limit.mid / rate.mid
    if objective.kind == "cost" and objective.measure in {"day", "month"}:
        days = 1.0 if objective.measure == "day" else MONTH_DAYS
        return None if rate is None else limit.mid / (rate.mid * _DAY_S * days)
    return held.limit
