"""What can be promised on which date: labels needed, labels coming, and the steps on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import msgspec

from feasible.planning.evidence import (
    LabelRate,
    earliest_date,
    fewest_rows,
    label_rate,
    labels_needed,
    minimum_evidence,
    miss_limit,
    ready_on,
    takes_labels,
)
from feasible.schema import (
    AnsweredBy,
    Brief,
    CertificateLine,
    EvidenceLine,
    Objective,
    TimelineStep,
)
from feasible.stats import rows_for_power

__all__ = ["due_date", "evidence_lines", "label_dates", "timeline"]

_MISSES: Final = (0, 1, 3)
_GOOD: Final = 0.2
"""Share of the allowed misses at which a tier is planned to miss."""
_LADDER: Final = (0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Miss rates of the steps on the way to a promise."""
_STEPS: Final = 6


def evidence_lines(
    brief: Brief,
    *,
    today: date,
    lines: Sequence[CertificateLine] = (),
    needed: Mapping[str, int] | None = None,
) -> tuple[EvidenceLine, ...]:
    """Say, per quality objective, what labels it takes and when the brief's rate gives them.

    Args:
        brief: The declaration.
        today: From when on labels are counted.
        lines: A certificate, when there is one: what its rows showed is counted as there.
        needed: Objective id -> rows that the certificate is short of, as the planner counts them.

    Returns:
        In the order of the envelope. Dates are for rows that judge: fitting and searching take
        more.
    """
    shown = {line.objective: line for line in lines}
    short = labels_needed(brief, tuple(lines)) if needed is None else needed
    return tuple(
        _line(brief, brief.objective(name), shown.get(name), short.get(name), today)
        for name in minimum_evidence(brief)
    )


def timeline(
    brief: Brief,
    *,
    today: date,
    evidence: Sequence[EvidenceLine],
    lines: Sequence[CertificateLine] = (),
) -> tuple[TimelineStep, ...]:
    """Say what can be promised now, and what on which date.

    First the thresholds that metrics declare for the launch; then, for each promise that cannot be
    shown yet, what a certificate shows already and a ladder of limits up to the promise.

    Args:
        brief: The declaration.
        today: From when on labels are counted.
        evidence: What each objective takes, as `evidence_lines` gives it.
        lines: A certificate, when there is one.
    """
    shown = {line.objective: line for line in lines}
    steps = _launch(brief, today)
    for need in evidence:
        line, objective = shown.get(need.objective), brief.objective(need.objective)
        if line is not None and line.holds:
            continue
        if line is not None and line.bound is not None:
            steps.append(_already(need, line, today))
        steps += [
            _step(brief, objective, allowed, line, today)
            for allowed in _limits(objective)
            if line is None or line.bound is None or allowed < _missed(objective, line.bound)
        ]
        steps[-1] = _as_needed(steps[-1], need)
    return tuple(steps)


def label_dates(
    brief: Brief, missing: Mapping[str, int], *, today: date
) -> tuple[date | None, date | None]:
    """Give the days on which missing rows will have matured, at the high and the low rate.

    Args:
        brief: The declaration.
        missing: Objective id -> rows still missing.
        today: From when on labels are counted.

    Returns:
        The latest of all, each; None when a rate is not declared or nothing is missing.
    """
    found: list[tuple[date | None, date | None]] = []
    for name, rows in missing.items():
        objective = brief.objective(name)
        rate = label_rate(brief, objective) if objective.needs_labels else None
        if rate is None:
            same = earliest_date(brief, {name: rows}, today=today)
            found.append((same, same))
        else:
            days = [ready_on(brief, rows, per, today=today) for per in (rate.high, rate.low)]
            found.append((days[0], days[1]))
    early = [day for day, _ in found if day is not None]
    late = [day for _, day in found if day is not None]
    return (
        max(early, default=None) if len(early) == len(found) else None,
        max(late, default=None) if len(late) == len(found) else None,
    )


def due_date(brief: Brief, objective_id: str, *, today: date) -> date | None:
    """Give the day by which the brief promises to have shown an objective; None without one."""
    for other in brief.envelope:
        if other.kind == "delivery" and other.measure == objective_id and other.limit is not None:
            return today + timedelta(seconds=other.limit.mid)
    return None


def _line(
    brief: Brief,
    objective: Objective,
    line: CertificateLine | None,
    short: int | None,
    today: date,
) -> EvidenceLine:
    allowed, level = miss_limit(objective) or 0.0, objective.confidence_level
    have, misses = (0, 0) if line is None else (line.n, round(line.misses))
    missing = fewest_rows(0, allowed, level) if line is None else 0 if line.holds else short
    expected = _expected(objective, line)
    likely = rows_for_power(expected, limit=allowed, confidence_level=level)
    rate, limit = label_rate(brief, objective), objective.limit
    earliest, latest = _days(brief, rate, missing, today)
    early, late = _days(brief, rate, None if likely is None else likely - have, today)
    return EvidenceLine(
        objective=objective.id,
        limit=0.0 if limit is None else limit.mid,
        is_ceiling=objective.is_ceiling,
        confidence_level=level,
        counts=_counts(objective),
        rows_by_misses={str(k): fewest_rows(k, allowed, level) for k in _MISSES},
        have=have,
        misses=misses,
        missing=missing,
        per_month=None if rate is None else (rate.low, rate.high),
        rate_from=None if rate is None else rate.where,
        earliest=earliest,
        latest=latest,
        likely_rows=likely,
        likely_at=expected if objective.is_ceiling else 1 - expected,
        likely_earliest=early,
        likely_latest=late,
        due=due_date(brief, objective.id, today=today),
        note=_note(objective, rate),
    )


def _days(
    brief: Brief, rate: LabelRate | None, rows: int | None, today: date
) -> tuple[date | None, date | None]:
    """Give the days on which so many more rows are there, at the high and the low label rate."""
    if rows is None or (rate is None and rows > 0):
        return None, None
    ends = (0.0, 0.0) if rate is None else (rate.high, rate.low)
    first, last = (ready_on(brief, rows, per_month, today=today) for per_month in ends)
    return first, last


def _expected(objective: Objective, line: CertificateLine | None) -> float:
    """Give the miss rate to plan for: the one that was seen, else a fifth of what is allowed."""
    if line is not None and line.misses and line.value is not None:
        return _missed(objective, line.value)
    return (miss_limit(objective) or 0.0) * _GOOD


def _missed(objective: Objective, figure: float) -> float:
    """Turn a quality into its miss rate."""
    return figure if objective.is_ceiling else 1 - figure


def _counts(objective: Objective) -> str:
    """Say which rows an objective is judged on."""
    said = "labelled rows" if takes_labels(objective) else "rows"
    if objective.measure == "recall" and objective.of is not None and objective.of != objective.on:
        said += f" whose truth is `{objective.of}`"
    if objective.measure == "precision" and objective.of is not None:
        said += f" that are answered `{objective.of}`"
    if objective.on is not None:
        said += f" in slice `{objective.on}`"
    who = {AnsweredBy.MACHINES: "a machine", AnsweredBy.PEOPLE: "a person"}.get(objective.by)
    return said if who is None else f"{said} that {who} answers"


def _note(objective: Objective, rate: LabelRate | None) -> str | None:
    """Say what the dates take for granted."""
    if rate is None and not takes_labels(objective):
        return "the brief declares no rate of traffic, so that no date can be given"
    if rate is None:
        return "the brief declares no label rate for these rows, so that no date can be given"
    if objective.on is not None and rate.of != objective.on:
        what = "every label" if rate.of is None else f"every `{rate.of}`"
        return (
            f"{rate.where} counts {what}; how much of it is in slice `{objective.on}` is not "
            f"declared. The dates take all of it to be there: none can be earlier"
        )
    if objective.measure == "precision" or objective.by is not AnsweredBy.ALL:
        return "the plan decides how many of the labelled rows count: none can be earlier"
    return None


def _launch(brief: Brief, today: date) -> list[TimelineStep]:
    """Give the thresholds that metrics declare for the launch, on labels that are not yet true."""
    due = [
        o.limit.mid
        for o in brief.envelope
        if o.kind == "delivery" and o.limit is not None and o.measure not in _ids(brief)
    ]
    when = today + timedelta(seconds=min(due)) if due else today
    return [
        TimelineStep(
            promise=metric.name,
            limit=limit.mid,
            is_ceiling=metric.at_most is not None,
            unit="ratio" if limit.dimension == "ratio" or "%" in str(limit.raw) else "",
            rows=None,
            earliest=when,
            latest=when,
            likely_earliest=None,
            likely_latest=None,
            basis="declared",
            is_promised=False,
            note=metric.basis,
        )
        for metric in brief.metrics
        if metric.basis is not None
        for limit in [metric.at_most if metric.at_most is not None else metric.at_least]
        if limit is not None
    ]


def _ids(brief: Brief) -> set[str]:
    return {objective.id for objective in brief.envelope}


def _already(need: EvidenceLine, line: CertificateLine, today: date) -> TimelineStep:
    return TimelineStep(
        promise=need.objective,
        limit=line.bound or 0.0,
        is_ceiling=need.is_ceiling,
        unit=line.unit,
        rows=line.n,
        earliest=today,
        latest=today,
        likely_earliest=None,
        likely_latest=None,
        basis="shown",
        is_promised=False,
        note=f"the bound at {line.confidence_level:.0%}, on {line.n:,} rows",
    )


def _limits(objective: Objective) -> tuple[float, ...]:
    """Give the miss rates on the way to a promise, the promise itself last."""
    allowed = miss_limit(objective) or 0.0
    return (*[step for step in _LADDER if step > allowed + 1e-12][-_STEPS:], allowed)


def _step(
    brief: Brief,
    objective: Objective,
    allowed: float,
    line: CertificateLine | None,
    today: date,
) -> TimelineStep:
    level, rate = objective.confidence_level, label_rate(brief, objective)
    rows = _rows_for(objective, allowed, line)
    likely = rows_for_power(_expected(objective, line), limit=allowed, confidence_level=level)
    have = 0 if line is None else line.n
    earliest, latest = _days(brief, rate, None if rows is None else rows - have, today)
    early, late = _days(brief, rate, None if likely is None else likely - have, today)
    return TimelineStep(
        promise=objective.id,
        limit=allowed if objective.is_ceiling else round(1 - allowed, 12),
        is_ceiling=objective.is_ceiling,
        unit="ratio",
        rows=rows,
        earliest=earliest,
        latest=latest,
        likely_earliest=early,
        likely_latest=late,
        basis="if no row misses" if _is_counted(line) else "at the present miss rate",
        is_promised=allowed == (miss_limit(objective) or 0.0),
    )


def _as_needed(step: TimelineStep, need: EvidenceLine) -> TimelineStep:
    """Give the promise itself the rows and days that its evidence line has."""
    return msgspec.structs.replace(
        step,
        rows=None if need.missing is None else need.have + need.missing,
        earliest=need.earliest,
        latest=need.latest,
        basis="at the present miss rate" if need.misses else "if no row misses",
    )


def _is_counted(line: CertificateLine | None) -> bool:
    """Claim that rows and misses alone decide: rows are independent and weigh the same."""
    return line is None or line.method.startswith("exact binomial")


def _rows_for(objective: Objective, allowed: float, line: CertificateLine | None) -> int | None:
    """Give the rows that show a limit, in all; None when the value itself is beyond it.

    Where rows and misses alone decide, with no further miss. Elsewhere the distance from value to
    bound shrinks with the root of the rows.
    """
    level = objective.confidence_level
    if line is None:
        return fewest_rows(0, allowed, level)
    if line.value is None or allowed <= _missed(objective, line.value):
        return None
    if _is_counted(line):
        return fewest_rows(math.ceil(line.misses), allowed, level)
    if line.bound is None:
        return None
    value, bound = _missed(objective, line.value), _missed(objective, line.bound)
    return math.ceil(round(line.n * ((bound - value) / (allowed - value)) ** 2, 6))
