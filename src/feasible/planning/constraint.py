"""Every objective as per-row losses: one definition for search, certificate, back-test and report.

A row that leaves the cascade at an exit has, for each objective, a loss between 0 and a scale, or
does not count (another slice, a person's answer where machines are judged, no label). The promise
is that the mean loss stays at or below a limit. "p99 <= 200 ms" is mean 1[latency > 200 ms] <=
0.01.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from feasible.errors import DataError
from feasible.planning.entities import EntitySize
from feasible.planning.joint import late_answers
from feasible.planning.traffic_mix import levelled
from feasible.schema import (
    AnsweredBy,
    BoolArray,
    Brief,
    FloatArray,
    IntArray,
    Objective,
    Profile,
)
from feasible.units import MONTH_DAYS

__all__ = [
    "Constraint",
    "Exits",
    "constraint_of",
    "could_judge",
    "percentile_of",
    "positives_of",
    "unjudged",
]

_DAY_S: Final = 86_400
_ROOM: Final = 2.0
"""Where no cap is enforced, costs and latencies are taken to stay below this many limits at least:
below one the promise would hold by assumption."""


@dataclass(frozen=True, slots=True)
class Exits:
    """What every row would get at every exit of one chain of tiers.

    Attributes:
        loss: shape (n_rows, n_exits). Ratio; NaN when unlabelled or abstained.
        latency_ms: shape (n_rows, n_exits). Everything asked until that exit.
        cost_usd: shape (n_rows, n_exits). Everything asked until that exit, people included.
        machine_usd: shape (n_rows, n_exits). The same with people's prices left out.
        answer_class: shape (n_rows, n_exits). Index into the profile's classes; -1 when unknown.
        is_open: shape (n_rows, n_exits). Whether the row can leave there at all: the tier is
            entered in time and within the cap, and does not abstain. The last exit always is.
        is_person: shape (n_rows, n_exits). Whether a person answers there.
        labelled: shape (n_rows,). Whether the row may judge quality.
        last_tier: length n_rows. Who answers at the last exit; None when nobody does.
        person_loss: Declared error rate of people. Ratio.
        worst_usd: Most that one decision can cost, people included; None when a price has no
            declared ceiling.
        worst_machine_usd: The same with people's prices left out.
        is_enforced: Whether something keeps decisions below `worst_usd`; else it is declared only.
        is_machine_enforced: The same for `worst_machine_usd`.
    """

    loss: FloatArray
    latency_ms: FloatArray
    cost_usd: FloatArray
    machine_usd: FloatArray
    answer_class: IntArray
    is_open: BoolArray
    is_person: BoolArray
    labelled: BoolArray
    last_tier: tuple[str | None, ...]
    person_loss: float
    worst_usd: float | None
    worst_machine_usd: float | None
    is_enforced: bool = True
    is_machine_enforced: bool = True

    @property
    def is_silent(self) -> BoolArray:
        """Say where nobody answers, shape (n_rows, n_exits): at the last exit, if anywhere."""
        out = np.zeros(self.is_person.shape, dtype=np.bool_)
        out[:, -1] = [name is None for name in self.last_tier]
        return out


@dataclass(frozen=True, slots=True)
class Constraint:
    """One objective as losses of rows at exits.

    Attributes:
        objective: The promise.
        loss: shape (n_rows, n_exits), in [0, 1].
        counts: shape (n_rows, n_exits). Whether the row judges when it leaves there.
        limit: Largest mean loss allowed, on the scale of `loss`.
        weight: shape (n_rows,). Declared over empirical share of the row's slice; all 1 when judged
            on a slice.
        is_binary: Every loss is 0 or 1, so that exact binomial bounds apply when rows are
            independent and weigh the same.
        scale: What 1 on the scale of `loss` means in the objective's own unit: dollars a decision
            for a mean cost, dollars a day for a cost a day, hand-offs a day.
        unit: `ratio`, `usd`, `ms` or `/ day`.
        decisions: Decisions that the objective's unit is about: those of a day, or one.
        is_bounded: Whether the scale is an enforced cap; otherwise bounds are asymptotic and say
            so.
        is_declared: Whether the scale is what declared prices add up to, which nothing enforces.
        person_rate: Declared error rate of people, when that is their loss while every machine's
            loss is 0 or 1; None otherwise.
        by_person: shape (n_rows, n_exits). Whether a person answers there.
        block: shape (n_rows,). Number of the entity that a row belongs to; None when every row
            stands alone.
        size: How large an entity may be, known from other rows; None where it is not, and the
            largest of these rows is taken for the largest there is.
        heaviest: Most that a row can weigh, where labels were asked for with unequal chances; None
            where they are a fair sample.
        unseen: Declared slices without a row that judges, `REST` for the rest of traffic: a promise
            about all traffic is not shown without them.
        without: Declared slices that these rows do not know: what is shown is of other traffic.
    """

    objective: Objective
    loss: FloatArray
    counts: BoolArray
    limit: float
    weight: FloatArray
    is_binary: bool
    by_person: BoolArray
    scale: float = 1.0
    unit: str = "ratio"
    decisions: float = 1.0
    is_bounded: bool = True
    is_declared: bool = False
    person_rate: float | None = None
    block: IntArray | None = None
    size: EntitySize | None = None
    heaviest: float | None = None
    unseen: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Give the objective's id."""
        return self.objective.id

    @property
    def is_weighted(self) -> bool:
        """Claim that rows carry unequal weights."""
        return bool((self.weight != self.weight[0]).any()) if len(self.weight) else False

    @property
    def is_plain(self) -> bool:
        """Claim that rows are independent of each other and weigh the same."""
        return self.block is None and not self.is_weighted and self.heaviest is None

    def losses(self, exit_of_row: IntArray) -> FloatArray:
        """Give the losses of the rows that count, in [0, 1], in row order."""
        rows = np.arange(len(exit_of_row))
        return np.asarray(self.loss[rows, exit_of_row][self.counts[rows, exit_of_row]])

    def counted(self, exit_of_row: IntArray) -> BoolArray:
        """Say which rows count."""
        return np.asarray(self.counts[np.arange(len(exit_of_row)), exit_of_row])

    def masses(self, exit_of_row: IntArray) -> FloatArray:
        """Give the weight with which each independent unit judges: a row, or an entity's rows."""
        return self._per_unit(exit_of_row, self.weight[self.counted(exit_of_row)])

    def top(self, exit_of_row: IntArray) -> float:
        """Give the largest mass that an independent unit can have."""
        if self.size is None or self.block is None:
            return float(self.masses(exit_of_row).max(initial=0.0))
        return self.size.most * self._heaviest()

    def fill(self, exit_of_row: IntArray) -> float:
        """Give the mean square of masses over the largest: known without these rows, if it can be.

        A stake that follows the sizes that happen to be drawn would bet most where no large entity
        is among them.
        """
        if self.size is None or self.block is None:
            masses = self.masses(exit_of_row)
            return float(np.mean((masses / masses.max()) ** 2))
        if self.heaviest is not None:
            return self.size.spread
        weight = self.weight[self.counted(exit_of_row)]
        return self.size.spread * float(np.mean((weight / self._heaviest()) ** 2))

    def _heaviest(self) -> float:
        if self.heaviest is not None:
            return self.heaviest
        return float(self.weight[self.counts.any(axis=1)].max(initial=0.0))

    def excesses(self, exit_of_row: IntArray) -> FloatArray:
        """Give, per independent unit, limit + weighted sum of (loss - limit) over the largest mass.

        These lie in [0, 1] and their mean is below the limit exactly when the weighted mean loss
        is, whatever the share of rows that count: a promise about a ratio of means.
        """
        counted = self.counted(exit_of_row)
        over = (self.losses(exit_of_row) - self.limit) * self.weight[counted]
        top = max(self.top(exit_of_row), 1e-300)
        return np.asarray(np.clip(self.limit + self._per_unit(exit_of_row, over) / top, 0.0, 1.0))

    def value(self, exit_of_row: IntArray) -> float | None:
        """Give the mean loss of the rows that count, weighted, in [0, 1]; None when none counts."""
        weight = self.weight[self.counted(exit_of_row)]
        if not weight.sum():
            return None
        return float(np.average(self.losses(exit_of_row), weights=weight))

    def n(self, exit_of_row: IntArray) -> int:
        """Count the rows that judge."""
        return int(self.counted(exit_of_row).sum())

    def misses(self, exit_of_row: IntArray) -> float:
        """Add up the losses of the rows that judge, unweighted."""
        return float(self.losses(exit_of_row).sum())

    def _per_unit(self, exit_of_row: IntArray, values: FloatArray) -> FloatArray:
        if self.block is None:
            return values
        block = self.block[self.counted(exit_of_row)]
        present = np.unique(block)
        total = np.bincount(block, weights=values, minlength=int(block.max(initial=-1)) + 1)
        return np.asarray(total[present], dtype=np.float64)


def unjudged(brief: Brief) -> tuple[tuple[str, str], ...]:
    """List the objectives that rows alone cannot judge, each with what can."""
    reasons = {
        "throughput": "load decides it: it is measured while serving",
        "availability": "faults decide it: it is measured while serving",
        "freshness": "the cache's time to live decides it: reviewed, then measured while serving",
        "adaptation": "tiers that adapt too slowly are left out",
        "delivery": "tiers that are not ready in time are left out",
        "residency": "tiers that send data away are left out",
        "footprint": "the size of the bundle decides it, not rows",
    }
    return tuple((o.id, reasons[o.kind]) for o in brief.envelope if o.kind in reasons)


def could_judge(objective: Objective, profile: Profile, labelled: BoolArray) -> BoolArray:
    """Say which rows could judge a promise, whoever answers them."""
    rows = _slice(objective, profile)
    if not objective.needs_labels:
        return rows
    if objective.measure == "recall" and objective.of is not None:
        rows = rows & positives_of(objective, profile)
    return rows & labelled


def percentile_of(objective: Objective) -> float | None:
    """Give the quantile of a latency objective, 0 to 1; None for a mean.

    Examples:
        >>> from feasible.units import Duration
        >>> percentile_of(Objective(latency="p99", at_most=Duration("200 ms")))
        0.99
    """
    measure = objective.measure
    return None if measure == "mean" else round(float(measure.removeprefix("p")) / 100, 6)


def constraint_of(
    brief: Brief, objective: Objective, profile: Profile, exits: Exits, mix: FloatArray
) -> Constraint:
    """Turn one objective into losses.

    Args:
        brief: The declaration.
        objective: One of its promises.
        profile: The rows.
        exits: What they would get.
        mix: shape (n_rows,). What each row weighs.
    """
    on = _slice(objective, profile)
    counts = np.repeat(on[:, None], exits.is_person.shape[1], axis=1)
    if objective.by is AnsweredBy.MACHINES and objective.kind != "cost":
        counts &= ~exits.is_person
    elif objective.by is AnsweredBy.PEOPLE:
        counts &= exits.is_person
    if objective.needs_labels:
        return _quality(brief, objective, profile, exits, counts, mix)
    if objective.kind == "latency":
        return _latency(objective, exits, counts, mix)
    if objective.kind == "people":
        return _people(brief, objective, exits, counts, mix)
    if objective.kind == "abstention":
        limit = 0.0 if objective.limit is None else objective.limit.mid
        loss = exits.is_silent.astype(np.float64)
        return _made(objective, loss, counts, limit, mix, is_binary=True)
    return _cost(brief, objective, exits, counts, mix)


def _slice(objective: Objective, profile: Profile) -> BoolArray:
    if objective.on is None:
        return np.ones(len(profile), dtype=np.bool_)
    member = profile.slices.get(objective.on)
    return np.zeros(len(profile), dtype=np.bool_) if member is None else member


def _quality(
    brief: Brief,
    objective: Objective,
    profile: Profile,
    exits: Exits,
    counts: BoolArray,
    weight: FloatArray,
) -> Constraint:
    loss, measure = exits.loss, objective.measure
    if measure == "recall" and objective.of is not None:
        loss, counts = _recall_of(objective, profile, exits, counts)
    elif measure == "precision" and objective.of is not None:
        counts = counts & _answers(objective.of, profile, exits)
    counts = counts & exits.labelled[:, None] & ~np.isnan(loss)
    limit_value = objective.limit.mid if objective.limit is not None else 0.0
    limit = limit_value if objective.is_ceiling else 1.0 - limit_value
    loss, by_person = np.fmin(np.fmax(loss, 0.0), 1.0), exits.is_person
    if objective.kind == "joint":
        late = late_answers(brief, objective, latency_ms=exits.latency_ms, is_person=by_person)
        loss, by_person = np.where(late, 1.0, loss), by_person & ~late
    judged = loss[counts & ~by_person]
    is_binary = bool(((judged == 0.0) | (judged == 1.0)).all())
    judges_people = bool((counts & by_person).any()) and exits.person_loss > 0
    found = _made(objective, loss, counts, limit, weight, is_binary=is_binary and not judges_people)
    rate = exits.person_loss if is_binary and judges_people else None
    return replace(found, person_rate=rate, by_person=by_person)


def _recall_of(
    objective: Objective,
    profile: Profile,
    exits: Exits,
    counts: BoolArray,
) -> tuple[FloatArray, BoolArray]:
    """Give losses for "a row of this class, or of this slice of classes, is recognised as such"."""
    positive = positives_of(objective, profile)
    hit = _answers(str(objective.of), profile, exits)
    # Where only losses were logged, an answer without a loss is the class itself.
    hit = np.where(exits.answer_class < 0, exits.loss == 0, hit)
    recognised = np.where(exits.is_person, exits.loss, np.where(hit, 0.0, 1.0))
    return np.where(np.isnan(exits.loss), np.nan, recognised), counts & positive[:, None]


def positives_of(objective: Objective, profile: Profile) -> BoolArray:
    """Say which rows are of the class, or of a class of the slice, that recall is about."""
    wanted = _classes_of(str(objective.of), profile)
    return profile.truth.among(wanted)


def _classes_of(name: str, profile: Profile) -> frozenset[str]:
    """Give the answers that a class name stands for: itself, or every label of the slice."""
    member = profile.slices.get(name)
    if member is None or profile.label is None:
        return frozenset({name})
    truth = profile.truth
    inside = truth.code[member]
    times = np.bincount(inside[inside >= 0], minlength=len(truth.names))
    return frozenset(truth.names[i] for i in np.flatnonzero(times))


def _answers(name: str, profile: Profile, exits: Exits) -> BoolArray:
    """Say where the answer at an exit is of a class."""
    wanted = _classes_of(name, profile)
    known = [value in wanted for value in profile.classes] + [False]
    return np.asarray(np.array(known, dtype=np.bool_)[exits.answer_class])


def _latency(
    objective: Objective, exits: Exits, counts: BoolArray, weight: FloatArray
) -> Constraint:
    limit_ms = objective.limit.mid * 1e3 if objective.limit is not None else 0.0
    q = percentile_of(objective)
    counts = counts & ~np.isnan(exits.latency_ms)
    if q is None:
        cap = max(float(np.nanmax(exits.latency_ms, initial=0.0)), _ROOM * limit_ms)
        loss = np.fmax(exits.latency_ms, 0.0) / cap
        found = _made(objective, loss, counts, limit_ms / cap, weight, is_binary=False)
        return replace(found, scale=cap, unit="ms", is_bounded=False)
    loss = (exits.latency_ms > limit_ms).astype(np.float64)
    return _made(objective, loss, counts, 1.0 - q, weight, is_binary=True)


def _people(
    brief: Brief, objective: Objective, exits: Exits, counts: BoolArray, weight: FloatArray
) -> Constraint:
    limit = objective.limit
    share = 0.0 if limit is None else limit.mid
    loss = exits.is_person.astype(np.float64)
    if limit is not None and limit.dimension == "rate":
        if brief.traffic.rate is None:
            raise DataError(
                f"{objective.id} is a number a day, and the brief gives no traffic rate",
                attempt="traffic: {rate: 50 / s}, or promise a share such as 3 %",
            )
        a_day = brief.traffic.rate.mid * _DAY_S
        share = min(1.0, limit.mid * _DAY_S / a_day)
        found = _made(objective, loss, counts, share, weight, is_binary=True)
        return replace(found, scale=a_day, unit="/ day", decisions=a_day)
    return _made(objective, loss, counts, share, weight, is_binary=True)


def _cost(
    brief: Brief, objective: Objective, exits: Exits, counts: BoolArray, weight: FloatArray
) -> Constraint:
    machines = objective.by is AnsweredBy.MACHINES
    usd = exits.machine_usd if machines else exits.cost_usd
    worst = exits.worst_machine_usd if machines else exits.worst_usd
    limit_usd, decisions = objective.limit.mid if objective.limit is not None else 0.0, 1.0
    if objective.measure in {"day", "month"}:
        if brief.traffic.rate is None:
            raise DataError(
                f"{objective.id} needs the traffic's rate to become a price per decision",
                attempt="traffic: {rate: 50 / s}",
            )
        days = 1.0 if objective.measure == "day" else MONTH_DAYS
        decisions = brief.traffic.rate.mid * _DAY_S * days
        limit_usd /= decisions
    counts = counts & ~np.isnan(usd)
    if objective.measure == "each":
        loss = (usd > limit_usd).astype(np.float64)
        return _made(objective, loss, counts, 0.0, weight, is_binary=True)
    seen = float(np.nanmax(usd, initial=0.0))
    # A price above what was declared bounds nothing any more: there may be dearer ones.
    is_known = worst is not None and seen <= worst + 1e-12
    cap = max(seen, (worst or 0.0) if is_known else _ROOM * limit_usd, 1e-12)
    is_enforced = exits.is_machine_enforced if machines else exits.is_enforced
    found = _made(
        objective, np.fmax(usd, 0.0) / cap, counts, limit_usd / cap, weight, is_binary=False
    )
    return replace(
        found,
        scale=cap * decisions,
        unit="usd",
        decisions=decisions,
        is_bounded=is_known and is_enforced,
        is_declared=is_known and not is_enforced,
    )


def _made(
    objective: Objective,
    loss: FloatArray,
    counts: BoolArray,
    limit: float,
    weight: FloatArray,
    *,
    is_binary: bool,
) -> Constraint:
    return Constraint(
        objective=objective,
        loss=loss,
        counts=counts,
        by_person=np.zeros(counts.shape, dtype=np.bool_),
        limit=limit,
        weight=levelled(weight, counts),
        is_binary=is_binary,
    )
