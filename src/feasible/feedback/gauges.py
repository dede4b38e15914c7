"""One gauge an objective: which rows judge it, what each of them says, and the line it becomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

import numpy as np

from feasible.feedback.figures import (
    Figure,
    mean_figure,
    percentile_figure,
    share_figure,
    worst_figure,
)
from feasible.feedback.stream import UNKNOWN, Case, Columns
from feasible.feedback.verdicts import spelling
from feasible.planning import percentile_of, person_ms, within_ms
from feasible.schema import AnsweredBy, Brief, FloatArray, HeadroomRow, Objective, Plan, TierKind
from feasible.stats import zero_miss_rows
from feasible.units import MONTH_DAYS, format_ratio, format_usd

__all__ = ["Evidence", "Gauge", "Verdict", "gauges_of"]

_T = TypeVar("_T")

_PERSON: Final = -1.0
"""Loss of a row that a person answered: their declared error rate, whatever it is."""
_ROOM: Final = 2.0
"""Where no cap is enforced, values are taken to stay below this many limits at least, as in the
certificate."""
_DAY_S: Final = 86_400.0
_UNITS: Final = {"duration": "s", "rate": "/ s", "bytes": "B", "ratio": "ratio", "usd": "usd"}
_ELSEWHERE: Final = {
    "throughput": "a load test: decisions show what was asked, not what could be",
    "freshness": "the time at which each fact changed, beside the answers that used it",
    "adaptation": "the time at which a new pattern began, beside its first right answers",
    "delivery": "the day on which it went live",
    "residency": "a record of where data was sent; tiers that send it away are left out of plans",
    "footprint": "the size of the bundle",
}
"""What would tell how these objectives stand; decisions and labels do not."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one labelled decision.

    Attributes:
        truth: The value of the label that judges.
        inside: Slices of the row, by its truth and by what the decision states.
        loss: How wrong the answer is. Ratio; NaN when the feature's loss cannot say.
        is_audited: The decision was picked at random to be labelled.
    """

    truth: Any
    inside: frozenset[str]
    loss: float
    is_audited: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a gauge reads besides the rows that it has judged.

    Attributes:
        columns: The latest decisions that it is about; None when only labels tell which those are.
        is_full: Older decisions have been forgotten.
        proxies: Labels that stand in for the truth.
        picked: Labels that are there because somebody picked the decision.
        early: Labels that are not known yet by the clock.
        strays: Labelled decisions that are not of this plan, or have not come.
    """

    columns: Columns | None
    is_full: bool = False
    proxies: int = 0
    picked: int = 0
    early: int = 0
    strays: int = 0

    def left_out(self) -> list[str]:
        """Say which labels judge nothing, and why."""
        told = (
            (self.proxies, "proxies not counted"),
            (self.picked, "picked by review or exploration not counted"),
            (self.early, "not known yet by the clock"),
            (self.strays, "labelled decisions are not here or of another plan"),
        )
        return [f"{count:,} {what}" for count, what in told if count]


class _Pools(Generic[_T]):
    """What labelled decisions say, those that were audited apart from the others."""

    def __init__(self) -> None:
        self._audited: dict[str, _T] = {}
        self._organic: dict[str, _T] = {}

    def drop(self, decision_id: str) -> None:
        """Forget what was said before."""
        self._audited.pop(decision_id, None)
        self._organic.pop(decision_id, None)

    def put(self, decision_id: str, said: _T, *, is_audited: bool) -> None:
        """Keep what a decision says."""
        (self._audited if is_audited else self._organic)[decision_id] = said

    def best(self) -> dict[str, _T]:
        """Give what audits say; without any, what came of itself."""
        return dict(self._audited or self._organic)

    def judging(self, fewest: int) -> tuple[list[_T], list[str]]:
        """Give what judges, with what is to be said of it: audits alone when they are enough."""
        audited = list(self._audited.values())
        if self._organic and len(audited) < fewest:
            return audited + list(self._organic.values()), ["assumes that labels arrive at random"]
        return audited, ["audited labels alone"] if audited else []


@dataclass(slots=True)
class Gauge:
    """One objective and what has been judged for it.

    Attributes:
        objective: The promise.
        limit: In the unit that its line is shown in.
        unit: That unit.
        per_unit: What 1 in the unit of a single decision is in that unit.
        moves_with_load: The figure is proportional to the load.
        people_rate: Declared error rate of people. Ratio; None when none is declared.
        worst_usd: Most that a decision can cost, where that is enforced.
        person_ms: Time to a person's answer, for joint promises. Milliseconds.
        slices_of: The slices of a value.
        reason: Why nothing here can measure it; None when it can be.
    """

    objective: Objective
    limit: float
    unit: str
    slices_of: Callable[[Any], Iterable[str]]
    per_unit: float = 1.0
    moves_with_load: bool = False
    people_rate: float | None = None
    worst_usd: float | None = None
    person_ms: float = 0.0
    reason: str | None = None
    _losses: _Pools[float] = field(default_factory=_Pools[float])
    _cases: _Pools[Case] = field(default_factory=_Pools[Case])

    @property
    def _is_precision(self) -> bool:
        return self.objective.measure == "precision" and self.objective.of is not None

    def judge(self, decision_id: str, case: Case, verdict: Verdict) -> None:
        """Take in what is known of a decision, in place of what was known before."""
        self._losses.drop(decision_id)
        self._cases.drop(decision_id)
        if self.reason is not None or not self._is_inside(verdict):
            return
        if not self.objective.needs_labels:
            self._cases.put(decision_id, case, is_audited=verdict.is_audited)
            return
        loss = self._loss(case, verdict)
        if not math.isnan(loss):
            self._losses.put(decision_id, loss, is_audited=verdict.is_audited)

    def row(self, evidence: Evidence) -> HeadroomRow:
        """Say how the objective stands."""
        if self.reason is not None:
            return self._line(Figure(), f"not measured here: needs {self.reason}")
        if self.objective.needs_labels:
            losses, told = self._losses.judging(self._fewest())
            figure, more = self._quality(np.array(losses, dtype=np.float64))
            return self._line(figure, _note(figure, "labels", [*told, *more, *evidence.left_out()]))
        columns, what, told = self._columns(evidence)
        figure, more = self._of_decisions(columns)
        figure = figure.scaled(self.per_unit)
        told = [*more, *told]
        if self.objective.kind == "availability" and figure.holds:
            # What was refused or lost has left nothing behind that could be counted here.
            unseen = "holds among decisions alone: requests refused or lost leave none"
            return self._line(replace(figure, holds=None), "; ".join([unseen, *told]))
        return self._line(figure, _note(figure, what, told))

    def _is_inside(self, verdict: Verdict) -> bool:
        """Say whether labels judge a row: quality, and figures of a slice that only they tell."""
        if self.objective.on is None:
            return self.objective.needs_labels
        return self.objective.on in verdict.inside

    def _loss(self, case: Case, verdict: Verdict) -> float:
        """Give the loss of a row as the certificate defines it; NaN when it does not judge."""
        objective = self.objective
        if objective.by is AnsweredBy.MACHINES and case.is_person:
            return math.nan
        if self._is_precision:
            is_judging = self._is_of(str(objective.of), case.answer)
            return verdict.loss if is_judging else math.nan
        if objective.kind == "joint":
            took = case.latency_ms + (self.person_ms if case.is_person else 0.0)
            if took > within_ms(objective):
                return 1.0
        loss = _PERSON if case.is_person else verdict.loss
        if objective.measure == "recall" and objective.of is not None:
            if not self._is_of(objective.of, verdict.truth):
                return math.nan
            missed = not self._is_of(objective.of, case.answer)
            loss = _PERSON if case.is_person else float(missed)
        return loss

    def _is_of(self, name: str, value: Any) -> bool:
        """Say whether a value is the class of this name, or of a class in the slice of it."""
        return value is not None and (spelling(value) == name or name in self.slices_of(value))

    def _fewest(self) -> int:
        """Give the fewest rows that could show the promise; 1 where rows do not count so."""
        allowed = self.allowed
        level = self.objective.confidence_level
        return zero_miss_rows(allowed, confidence_level=level) if 0 < allowed < 1 else 1

    def losses(self) -> dict[str, float]:
        """Give the loss of each decision that judges: those of audits, if there are any."""
        rate = self.people_rate or 0.0
        return {
            name: rate if loss == _PERSON else loss for name, loss in self._losses.best().items()
        }

    @property
    def allowed(self) -> float:
        """Give the largest share of rows that may miss."""
        objective = self.objective
        if objective.kind == "latency":
            q = percentile_of(objective)
            return 0.0 if q is None else 1.0 - q
        if objective.kind == "cost":
            return 0.0
        limit = self.limit / self.per_unit
        return limit if objective.is_ceiling else 1.0 - limit

    def _quality(self, losses: FloatArray) -> tuple[Figure, list[str]]:
        by_person = losses == _PERSON
        people, machine = int(by_person.sum()), losses[~by_person]
        level, allowed = self.objective.confidence_level, self.allowed
        # Machines alone are judged by machines, and by precision: a hand-off is of no class.
        is_alone = self.objective.by is AnsweredBy.MACHINES or self._is_precision
        rate = 0.0 if is_alone else self.people_rate or 0.0
        if np.isin(machine, (0.0, 1.0)).all():
            figure = share_figure(
                int(machine.sum()),
                len(losses),
                limit=allowed,
                level=level,
                people=people,
                rate=rate,
            )
        else:
            total = math.fsum(machine.tolist()) + rate * people
            figure = mean_figure(total, len(losses), cap=1.0, limit=allowed, level=level)
        told = self._told_of(people, machine) if people else []
        return (figure if self.objective.is_ceiling else figure.flipped()), told

    def _told_of(self, people: int, machine: FloatArray) -> list[str]:
        rate = self.people_rate
        but = "no error rate is declared" if rate is None else f"but for {format_ratio(rate)}"
        told = [f"{people:,} hand-offs counted as right, {but}"]
        if len(machine):
            mean = float(machine.mean())
            alone = mean if self.objective.is_ceiling else 1.0 - mean
            told.append(f"machines alone {format_ratio(alone)}")
        return told

    def _columns(self, evidence: Evidence) -> tuple[Columns, str, list[str]]:
        """Give the decisions that judge, what to call them, and what is to be said of them."""
        if evidence.columns is not None:
            latest = f"the latest {len(evidence.columns.latency_ms):,} decisions"
            return evidence.columns, "decisions", [latest] if evidence.is_full else []
        cases, told = self._cases.judging(self._fewest())
        return Columns.of(cases), "labels", ["the slice is known from labels alone", *told]

    def _of_decisions(self, columns: Columns) -> tuple[Figure, list[str]]:
        objective = self.objective
        if objective.by is AnsweredBy.MACHINES and objective.kind != "cost":
            columns = columns.where(~columns.is_person)
        elif objective.by is AnsweredBy.PEOPLE:
            columns = columns.where(columns.is_person)
        if objective.kind == "cost":
            return self._cost(columns)
        if objective.kind == "latency":
            return self._latency(columns)
        level, n = objective.confidence_level, len(columns.latency_ms)
        if objective.kind == "people":
            asked = int(columns.is_person.sum())
            return share_figure(asked, n, limit=min(1.0, self.allowed), level=level), []
        if objective.kind == "abstention":
            silent = int(columns.is_silent.sum())
            return share_figure(silent, n, limit=self.allowed, level=level), []
        late = n - int(columns.in_time.sum())
        return share_figure(late, n, limit=self.allowed, level=level).flipped(), []

    def _latency(self, columns: Columns) -> tuple[Figure, list[str]]:
        objective, took = self.objective, columns.latency_ms
        level, q = objective.confidence_level, percentile_of(objective)
        if q is not None:
            return percentile_figure(took, q, limit=self.limit, level=level), []
        cap = max(float(took.max(initial=0.0)), _ROOM * self.limit)
        total = math.fsum(took.tolist())  # exact, whatever the order
        figure = mean_figure(total, len(took), cap=cap, limit=self.limit, level=level)
        told = [f"asymptotic: takes no reply to be later than {cap:.4g} ms"] if len(took) else []
        return figure, told

    def _cost(self, columns: Columns) -> tuple[Figure, list[str]]:
        objective = self.objective
        machines = objective.by is AnsweredBy.MACHINES
        every = columns.machine_nusd if machines else columns.cost_nusd
        known = every[every != UNKNOWN]
        unknown = len(every) - len(known)
        told = [f"{unknown:,} of unknown price left out"] if unknown else []
        limit = self.limit / self.per_unit
        if objective.measure == "each":
            return worst_figure(known / 1e9, limit=limit, unknown=unknown), told
        seen = float(known.max(initial=0)) / 1e9
        is_capped = self.worst_usd is not None and seen <= self.worst_usd + 1e-12
        cap = max(seen, (self.worst_usd or 0.0) if is_capped else _ROOM * limit, 1e-12)
        figure = mean_figure(
            int(known.sum()) / 1e9,
            len(known),
            cap=cap,
            limit=limit,
            level=objective.confidence_level,
        )
        if not is_capped and len(known):
            told.append(f"asymptotic: takes no decision to cost more than {format_usd(cap)}")
        return figure, told

    def _line(self, figure: Figure, note: str) -> HeadroomRow:
        value, limit, slack = figure.value, self.limit, None
        if value is not None and limit > 0:
            slack = (limit - value if self.objective.is_ceiling else value - limit) / limit
        headroom = limit / value if self.moves_with_load and value else None
        return HeadroomRow(
            objective=self.objective.id,
            limit=None if math.isnan(limit) else limit,
            unit=self.unit,
            value=value,
            interval=figure.span,
            n=figure.n,
            slack=slack,
            headroom=headroom,
            holds=figure.holds,
            note=note,
        )


def gauges_of(
    brief: Brief, plan: Plan, slices_of: Callable[[Any], Iterable[str]]
) -> tuple[Gauge, ...]:
    """Make a gauge for every objective of a brief's envelope."""
    return tuple(_gauge(brief, plan, objective, slices_of) for objective in brief.envelope)


def _gauge(
    brief: Brief, plan: Plan, objective: Objective, slices_of: Callable[[Any], Iterable[str]]
) -> Gauge:
    limit = math.nan if objective.limit is None else objective.limit.mid
    dimension = "" if objective.limit is None else objective.limit.dimension
    person = next((t for t in brief.layers.tiers if t.kind is TierKind.PERSON), None)
    rate = None if person is None or person.error_rate is None else person.error_rate.mid
    made = Gauge(
        objective,
        limit,
        _UNITS.get(dimension, ""),
        slices_of,
        people_rate=rate,
        reason=_ELSEWHERE.get(objective.kind),
    )
    if objective.needs_labels:
        made = replace(made, unit="ratio", person_ms=person_ms(brief))
        if objective.by is AnsweredBy.PEOPLE:
            made = replace(made, reason="people's own answers, and audits of them")
    elif objective.kind == "latency":
        made = replace(made, unit="ms", limit=limit * 1e3)
    elif objective.kind == "cost":
        made = _priced(replace(made, worst_usd=_worst_usd(plan, objective)), brief)
    elif objective.kind == "people" and dimension == "rate":
        made = _a_day(made, brief)
    return made


def _priced(gauge: Gauge, brief: Brief) -> Gauge:
    """Judge a price a day or a month at the declared rate of traffic."""
    if gauge.objective.measure not in {"day", "month"}:
        return gauge
    if brief.traffic.rate is None:
        return replace(gauge, reason="the traffic's rate in the brief")
    days = 1.0 if gauge.objective.measure == "day" else MONTH_DAYS
    decisions = brief.traffic.rate.mid * _DAY_S * days
    return replace(gauge, per_unit=decisions, moves_with_load=True)


def _a_day(gauge: Gauge, brief: Brief) -> Gauge:
    """Judge a number of reviews a day at the declared rate of traffic."""
    if brief.traffic.rate is None:
        return replace(gauge, reason="the traffic's rate in the brief")
    return replace(
        gauge,
        limit=gauge.limit * _DAY_S,
        unit="/ day",
        per_unit=brief.traffic.rate.mid * _DAY_S,
        moves_with_load=True,
    )


def _worst_usd(plan: Plan, objective: Objective) -> float | None:
    """Give the most that a decision can cost, where the certificate says that this is enforced."""
    line = next((x for x in plan.certificate if x.objective == objective.id), None)
    if line is None or line.note is not None:
        return None
    without_people = objective.by is AnsweredBy.MACHINES
    asked = [t for t in plan.tiers if not (without_people and t.kind is TierKind.PERSON)]
    if any(t.worst_cost_usd is None for t in asked):
        return None
    return sum(t.worst_cost_usd or 0.0 for t in asked)


def _note(figure: Figure, what: str, told: list[str]) -> str:
    return "; ".join([_head(figure, what), *told])


def _head(figure: Figure, what: str) -> str:
    if figure.holds is not None:
        return "holds" if figure.holds else "broken"
    if figure.needed is not None:
        return f"too early to say: {figure.n:,} of {figure.needed:,} {what}"
    if figure.span is not None:
        return f"too early to say: {figure.n:,} {what}, and the interval straddles the limit"
    return f"too early to say: {figure.n:,} {what}"
