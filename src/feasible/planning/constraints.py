"""Every objective as per-row losses: one definition for search, certificate, back-test and report.

A row that leaves the cascade at an exit has, for each objective, a loss between 0 and a scale, or
does not count (another slice, a person's answer where machines are judged, no label). The promise
is that the mean loss stays at or below a limit. "p99 <= 200 ms" is mean 1[latency > 200 ms] <=
0.01.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from feasible.errors import DataError, nearest
from feasible.schema import (
    AnsweredBy,
    BoolArray,
    Brief,
    FloatArray,
    IntArray,
    Objective,
    Profile,
)

__all__ = ["Constraint", "Exits", "constraints", "mix_weights", "percentile_of", "unjudged"]

_JUDGED_KINDS = ("latency", "cost", "quality", "people")


@dataclass(frozen=True, slots=True)
class Exits:
    """What every row would get at every exit of one chain of tiers.

    Attributes:
        loss: shape (n_rows, n_exits). Ratio; NaN when unlabelled or abstained.
        latency_ms: shape (n_rows, n_exits). Everything asked until that exit.
        cost_usd: shape (n_rows, n_exits). Everything asked until that exit, people included.
        machine_usd: shape (n_rows, n_exits). The same with people's prices left out.
        answer_class: shape (n_rows, n_exits). Index into the profile's classes; -1 when unknown.
        is_person: shape (n_exits,).
        person_loss: Declared error rate of people. Ratio.
        worst_usd: Most that one decision can cost, people included; None when a price is unknown.
        worst_machine_usd: The same with people's prices left out.
    """

    loss: FloatArray
    latency_ms: FloatArray
    cost_usd: FloatArray
    machine_usd: FloatArray
    answer_class: IntArray
    is_person: BoolArray
    person_loss: float
    worst_usd: float | None
    worst_machine_usd: float | None


@dataclass(frozen=True, slots=True)
class Constraint:
    """One objective as losses of rows at exits.

    Attributes:
        objective: The promise.
        loss: shape (n_rows, n_exits), in [0, 1].
        counts: shape (n_rows, n_exits). Whether the row judges when it leaves there.
        raw_limit: Largest mean loss allowed, on the scale of `loss`.
        weight: shape (n_rows,). Declared over empirical share of the row's slice; all 1 when judged
        on
            a slice.
        is_binary: Every loss is 0 or 1 and weights are equal, so that exact binomial bounds apply.
        scale: What 1 on the scale of `loss` means in the objective's unit (dollars for cost).
        unit: `ratio`, `usd` or `ms`.
        is_bounded: Whether the scale is an enforced cap; otherwise bounds are asymptotic and say
        so.
        person_exit: Exit at which a person's declared error rate is the loss, while every other
        loss
            is 0 or 1; None when people do not judge or losses are not right-or-wrong.
    """

    objective: Objective
    loss: FloatArray
    counts: BoolArray
    raw_limit: float
    weight: FloatArray
    is_binary: bool
    scale: float = 1.0
    unit: str = "ratio"
    is_bounded: bool = True
    person_exit: int | None = None

    @property
    def id(self) -> str:
        """Give the objective's id."""
        return self.objective.id

    @property
    def is_weighted(self) -> bool:
        """Claim that rows carry unequal weights."""
        return bool((self.weight != self.weight[0]).any()) if len(self.weight) else False

    def at(self, exit_of_row: IntArray) -> FloatArray:
        """Give the losses that judge, in [0, 1], in row order; their mean is held to `limit`.

        With equal weights these are the rows that count. With unequal ones every row is there and a
        row that does not count sits at the limit, where it speaks for neither side: the promise is
        about a ratio of means.
        """
        rows = np.arange(len(exit_of_row))
        counted = self.counts[rows, exit_of_row]
        loss = self.loss[rows, exit_of_row]
        if not self.is_weighted:
            return np.asarray(loss[counted])
        top = self.weight.max()
        return np.asarray(np.where(counted, loss, self.raw_limit) * self.weight / top)

    @property
    def limit(self) -> float:
        """Give the largest mean allowed of what `at` gives."""
        if not self.is_weighted:
            return self.raw_limit
        return float(self.raw_limit * self.weight.mean() / self.weight.max())

    def value(self, exit_of_row: IntArray) -> float | None:
        """Give the mean loss of the rows that count, weighted, in [0, 1]; None when none counts."""
        rows = np.arange(len(exit_of_row))
        counted = self.counts[rows, exit_of_row]
        total = float(self.weight[counted].sum())
        if total == 0:
            return None
        return float((self.loss[rows, exit_of_row] * self.weight)[counted].sum() / total)

    def n(self, exit_of_row: IntArray) -> int:
        """Count the rows that judge."""
        return int(self.counts[np.arange(len(exit_of_row)), exit_of_row].sum())

    def misses(self, exit_of_row: IntArray) -> float:
        """Add up the losses of the rows that judge, unweighted."""
        rows = np.arange(len(exit_of_row))
        return float(self.loss[rows, exit_of_row][self.counts[rows, exit_of_row]].sum())


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


def constraints(brief: Brief, profile: Profile, exits: Exits) -> tuple[Constraint, ...]:
    """Turn every objective that rows can judge into losses.

    Raises:
        DataError: An objective is on a slice that no row has, or about a class that no row has.
    """
    mix = mix_weights(brief, profile)
    return tuple(
        _constraint(brief, objective, profile, exits, mix)
        for objective in brief.envelope
        if objective.kind in _JUDGED_KINDS
    )


def mix_weights(brief: Brief, profile: Profile) -> FloatArray:
    """Weigh rows so that disjoint declared slices have their declared share of traffic.

    Slices that overlap an earlier one, and slices that no row has, are passed over. The weights
    have mean 1.

    Returns:
        shape (n_rows,).
    """
    n = len(profile)
    taken = np.zeros(n, dtype=np.bool_)
    weight = np.ones(n)
    left = 1.0
    found = False
    for name, share in brief.traffic.slices.items():
        member = profile.slices.get(name)
        if member is None or not member.any() or (member & taken).any():
            continue
        weight[member] = share.mid / member.mean()
        taken |= member
        left -= share.mid
        found = True
    rest = ~taken
    if not found:
        return np.ones(n)
    if rest.any():
        weight[rest] = max(left, 0.0) / rest.mean()
    return np.asarray(weight / weight.mean())


def percentile_of(objective: Objective) -> float | None:
    """Give the quantile of a latency objective, 0 to 1; None for a mean.

    Examples:
        >>> from feasible.units import Duration
        >>> percentile_of(Objective(latency="p99", at_most=Duration("200 ms")))
        0.99
    """
    measure = objective.measure
    return None if measure == "mean" else round(float(measure.removeprefix("p")) / 100, 6)


def _constraint(
    brief: Brief, objective: Objective, profile: Profile, exits: Exits, mix: FloatArray
) -> Constraint:
    on = _slice(objective, profile)
    counts = np.repeat(on[:, None], len(exits.is_person), axis=1)
    if objective.by is AnsweredBy.MACHINES and objective.kind != "cost":
        counts &= ~exits.is_person[None, :]
    elif objective.by is AnsweredBy.PEOPLE:
        counts &= exits.is_person[None, :]
    weight = np.ones(len(profile)) if objective.on is not None else mix
    if objective.kind == "quality":
        return _quality(objective, profile, exits, counts, weight)
    if objective.kind == "latency":
        return _latency(objective, exits, counts, weight)
    if objective.kind == "people":
        return _people(brief, objective, exits, counts, weight)
    return _cost(brief, objective, exits, counts, weight)


def _slice(objective: Objective, profile: Profile) -> BoolArray:
    if objective.on is None:
        return np.ones(len(profile), dtype=np.bool_)
    member = profile.slices.get(objective.on)
    if member is None or not member.any():
        known = [name for name, rows in profile.slices.items() if rows.any()]
        close = nearest(objective.on, known)
        raise DataError(
            f"no row is in slice `{objective.on}`",
            asked=f"{objective.id} is promised on it",
            found=f"slices with rows: {', '.join(known) or 'none'}",
            attempt=f"`{close}`?" if close else "mark its rows, or promise it on another slice",
        )
    return member


def _quality(
    objective: Objective,
    profile: Profile,
    exits: Exits,
    counts: BoolArray,
    weight: FloatArray,
) -> Constraint:
    loss = np.where(exits.is_person[None, :], exits.person_loss, exits.loss)
    measure = objective.measure
    if measure == "recall" and objective.of is not None:
        loss, counts = _recall_of(objective, profile, exits, loss, counts)
    elif measure == "precision" and objective.of is not None:
        counts = counts & _answers(objective.of, profile, exits)
    labelled = ~np.isnan(loss)
    counts = counts & labelled
    limit_value = objective.limit.mid if objective.limit is not None else 0.0
    limit = limit_value if objective.is_ceiling else 1.0 - limit_value
    loss = np.clip(np.nan_to_num(loss), 0.0, 1.0)
    by_machine = counts & ~exits.is_person[None, :]
    is_binary = bool(np.isin(loss[by_machine], (0.0, 1.0)).all())
    found = _made(objective, loss, counts, limit, weight, is_binary=is_binary)
    judges_people = bool((counts & exits.is_person[None, :]).any()) and exits.person_loss > 0
    if not (found.is_binary and judges_people):
        return found
    return replace(found, is_binary=False, person_exit=int(np.flatnonzero(exits.is_person)[0]))


def _recall_of(
    objective: Objective,
    profile: Profile,
    exits: Exits,
    loss: FloatArray,
    counts: BoolArray,
) -> tuple[FloatArray, BoolArray]:
    """Give losses for "a row of this class, or of this slice of classes, is recognised as such"."""
    wanted = _classes_of(str(objective.of), profile)
    positive = np.array([label in wanted for label in profile.label or ()], dtype=np.bool_)
    if not positive.any():
        raise DataError(
            f"no labelled row is of class `{objective.of}`",
            asked=f"{objective.id} is promised",
            attempt="name a class or a slice that rows have",
        )
    hit = _answers(str(objective.of), profile, exits)
    recognised = np.where(exits.is_person[None, :], loss, np.where(hit, 0.0, 1.0))
    answered = ~np.isnan(exits.loss) | exits.is_person[None, :]
    return np.where(answered, recognised, np.nan), counts & positive[:, None]


def _classes_of(name: str, profile: Profile) -> frozenset[str]:
    """Give the answers that a class name stands for: itself, or every label of the slice."""
    member = profile.slices.get(name)
    if member is None or profile.label is None:
        return frozenset({name})
    return frozenset(
        label for label, inside in zip(profile.label, member, strict=True) if inside and label
    )


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
        cap = max(float(np.nanmax(exits.latency_ms, initial=limit_ms)), limit_ms)
        loss = np.nan_to_num(exits.latency_ms) / cap
        found = _made(objective, loss, counts, limit_ms / cap, weight, is_binary=False)
        return replace(found, scale=cap, unit="ms", is_bounded=False)
    loss = (np.nan_to_num(exits.latency_ms) > limit_ms).astype(np.float64)
    return _made(objective, loss, counts, 1.0 - q, weight, is_binary=True)


def _people(
    brief: Brief, objective: Objective, exits: Exits, counts: BoolArray, weight: FloatArray
) -> Constraint:
    limit = objective.limit
    share = 0.0 if limit is None else limit.mid
    if limit is not None and limit.dimension == "rate":
        if brief.traffic.rate is None:
            raise DataError(
                f"{objective.id} is a number a day, and the brief gives no traffic rate",
                attempt="traffic: {rate: 50 / s}, or promise a share such as 3 %",
            )
        share = min(1.0, limit.mid / brief.traffic.rate.mid)
    loss = np.repeat(exits.is_person.astype(np.float64)[None, :], len(counts), axis=0)
    return _made(objective, loss, counts, share, weight, is_binary=True)


def _cost(
    brief: Brief, objective: Objective, exits: Exits, counts: BoolArray, weight: FloatArray
) -> Constraint:
    machines = objective.by is AnsweredBy.MACHINES
    usd = exits.machine_usd if machines else exits.cost_usd
    worst = exits.worst_machine_usd if machines else exits.worst_usd
    limit_usd = objective.limit.mid if objective.limit is not None else 0.0
    if objective.measure in {"day", "month"}:
        if brief.traffic.rate is None:
            raise DataError(
                f"{objective.id} needs the traffic's rate to become a price per decision",
                attempt="traffic: {rate: 50 / s}",
            )
        days = 1.0 if objective.measure == "day" else 365.25 / 12
        limit_usd /= brief.traffic.rate.mid * 86_400 * days
    counts = counts & ~np.isnan(usd)
    if objective.measure == "each":
        loss = (np.nan_to_num(usd) > limit_usd).astype(np.float64)
        return _made(objective, loss, counts, 0.0, weight, is_binary=True)
    highest = max(float(np.nanmax(usd, initial=0.0)), limit_usd, 1e-12)
    cap = highest if worst is None else max(worst, highest)
    found = _made(
        objective, np.nan_to_num(usd) / cap, counts, limit_usd / cap, weight, is_binary=False
    )
    return replace(found, scale=cap, unit="usd", is_bounded=worst is not None)


def _made(
    objective: Objective,
    loss: FloatArray,
    counts: BoolArray,
    limit: float,
    weight: FloatArray,
    *,
    is_binary: bool,
) -> Constraint:
    judging = weight[counts.any(axis=1)]
    equal = not len(judging) or bool(np.allclose(judging, judging[0]))
    return Constraint(
        objective=objective,
        loss=loss,
        counts=counts,
        raw_limit=limit,
        weight=np.ones(len(weight)) if equal else weight,
        is_binary=is_binary and equal,
    )
