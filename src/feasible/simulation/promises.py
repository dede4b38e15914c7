"""What is promised, as a number that a run has: latencies, money, shares, rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from feasible.schema import BoolArray, FloatArray, TierKind
from feasible.simulation.design import Design
from feasible.simulation.outcome import NOBODY, Outcome

__all__ = [
    "Promise",
    "Value",
    "answered_share",
    "cost_each",
    "latency",
    "on_slice",
    "quality",
    "share_of",
]

_DAY_S: Final = 86_400.0
_HOUR_S: Final = 3600.0

Value: TypeAlias = Callable[[Design, Outcome], float]


@dataclass(frozen=True, slots=True)
class Promise:
    """One limit that a design is held to.

    Attributes:
        id: Id of the objective, or the name of a limit that no objective promises.
        value: Gives its value in a run; NaN when it is not known.
        limit: In the unit of `unit`.
        unit: `s`, `usd`, `ratio` or `/ day`, `/ h`.
        is_ceiling: Whether smaller is better.
        scales: Whether the value follows from the load alone, so that a closed form is exact.
        limit_knob: Knob that is this limit itself, such as `budget.day`.
    """

    id: str
    value: Value
    limit: float
    unit: str
    is_ceiling: bool = True
    scales: bool = False
    limit_knob: str | None = None

    def limit_of(self, design: Design) -> float:
        """Give the limit, as the design's own knob says where it is one."""
        if self.limit_knob == "budget.day" and design.budget_usd_day is not None:
            return design.budget_usd_day
        if self.limit_knob == "people.per_hour" and design.people is not None:
            return design.people.per_hour
        return self.limit

    def ratio(self, value: float, limit: float) -> float:
        """Give how much of a limit a value uses: above 1 it is broken."""
        if self.is_ceiling:
            return value / limit if limit > 0 else float("inf") if value > 0 else 0.0
        return (1 - value) / (1 - limit) if limit < 1 else float("inf") if value < 1 else 0.0

    def used(self, design: Design, outcome: Outcome) -> float:
        """Give how much of the limit a run uses; NaN when the value is not known."""
        value = self.value(design, outcome)
        return value if np.isnan(value) else self.ratio(value, self.limit_of(design))


def latency(
    percentile: float | None, *, by: Literal["all", "machines"] = "all", useful: bool = False
) -> Value:
    """Give a percentile of the latency in seconds; its mean for None.

    Args:
        percentile: 0 to 1.
        by: Whose answers count.
        useful: Whether degraded answers are left out: a timeout hides the latency that it cuts.
    """

    def value(design: Design, outcome: Outcome) -> float:
        counts = outcome.answered_by != NOBODY
        if by == "machines":
            counts = counts & ~_by_people(design, outcome)
        if useful:
            counts = counts & ~outcome.degraded
        took = outcome.latency_ms[counts]
        if not len(took):
            return float("nan")
        if percentile is None:
            return float(took.mean()) / 1e3
        rank = min(int(percentile * len(took)), len(took) - 1)
        return float(np.partition(took, rank)[rank]) / 1e3

    return value


def cost_each(*, per_day: bool = False, by: Literal["all", "machines"] = "all") -> Value:
    """Give the mean dollars of a decision, or the dollars of a day at the run's load."""

    def value(design: Design, outcome: Outcome) -> float:
        spent = outcome.cost_usd
        if by == "machines":
            spent = spent - _paid_to_people(design, outcome)
        each = float(spent.sum()) / max(len(outcome), 1)
        people = design.people
        if by == "all" and people is not None and people.usd_each:
            each += people.usd_each * float(outcome.handed.mean())
        return each * design.arrivals.rate_per_s * _DAY_S if per_day else each

    return value


def share_of(
    what: Literal["degraded", "over_quota", "handed", "nobody"],
    *,
    per: Literal["decision", "hour", "day"] = "decision",
) -> Value:
    """Give the share of decisions to which something happened, or how many an hour or a day."""

    def value(design: Design, outcome: Outcome) -> float:
        happened: BoolArray = (
            outcome.answered_by == NOBODY if what == "nobody" else getattr(outcome, what)
        )
        share = float(happened.mean())
        if per == "decision":
            return share
        return share * design.arrivals.rate_per_s * (_HOUR_S if per == "hour" else _DAY_S)

    return value


def answered_share(deadline_s: float | None) -> Value:
    """Give the share of requests that get an answer, and in time."""

    def value(design: Design, outcome: Outcome) -> float:
        del design
        there = outcome.answered_by != NOBODY
        if deadline_s is not None:
            there = there & (outcome.latency_ms <= deadline_s * 1e3)
        return float(there.mean())

    return value


def quality(objective: str, *, within_s: float | None = None) -> Value:
    """Give the share that is right, by the losses of the profile's own rows.

    Args:
        objective: Id of the objective, as in the cases' `quality`.
        within_s: Time within which an answer counts; None: always.
    """

    def value(design: Design, outcome: Outcome) -> float:
        misses = design.cases.quality.get(objective)
        if misses is None:
            return float("nan")
        ends = np.where(outcome.answered_by == NOBODY, -1, outcome.answered_by)
        miss, counts = misses.miss[outcome.row, ends], misses.counts[outcome.row, ends]
        if within_s is not None:
            miss = np.where(outcome.latency_ms > within_s * 1e3, 1.0, miss)
        known = counts & ~np.isnan(miss)
        return float(1 - miss[known].mean()) if known.any() else float("nan")

    return value


def on_slice(value: Value, name: str) -> Value:
    """Give the same value over the requests of one slice; not known where no row is in it."""

    def on(design: Design, outcome: Outcome) -> float:
        member = design.cases.slices.get(name)
        if member is None or not member[outcome.row].any():
            return float("nan")
        return value(design, outcome.some(member[outcome.row]))

    return on


def _paid_to_people(design: Design, outcome: Outcome) -> FloatArray:
    paid = np.zeros(len(outcome))
    for k, step in enumerate(design.policy.steps):
        if step.kind is TierKind.PERSON:
            usd = design.tiers[k].usd
            theirs = design.cases.table.cost_usd[outcome.row, k] if usd is None else usd
            paid += np.where(outcome.answered_by == k, theirs, 0.0)
    return paid


def _by_people(design: Design, outcome: Outcome) -> BoolArray:
    people = [k for k, s in enumerate(design.policy.steps) if s.kind is TierKind.PERSON]
    return np.isin(outcome.answered_by, people)
