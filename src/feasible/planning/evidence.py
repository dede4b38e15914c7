"""What evidence a brief needs, before anything is trained, and when it could be there."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from feasible.planning.constraint import could_judge, percentile_of
from feasible.planning.entities import blocks_of
from feasible.planning.judgement import NONE_OF
from feasible.schema import BoolArray, Brief, CertificateLine, Objective, Profile, TierKind
from feasible.stats import (
    binomial_p_value,
    lower_bound,
    rows_for_power,
    rows_needed,
    zero_miss_rows,
)
from feasible.units import MONTH_DAYS, MONTH_S

__all__ = [
    "AGREES",
    "LabelRate",
    "beyond_rows",
    "earliest_date",
    "evidence_schedule",
    "fewest_rows",
    "label_rate",
    "labels_needed",
    "minimum_evidence",
    "miss_limit",
    "ready_on",
    "rows_to_judge",
    "takes_labels",
    "unshowable",
]

AGREES: Final = "agreement_with_"
"""How the name of a promise begins that is judged by another tier's answers, without labels."""
_NEVER_DAYS: Final = 365_250
"""A thousand years: above, a date says nothing."""
_FAR: Final = 50
"""Times as many rows as there are: above, the value is not told apart from its limit."""
_GOOD: Final = 0.2
"""Share of the allowed misses at which a tier is planned to miss."""


def minimum_evidence(brief: Brief) -> dict[str, int]:
    """Give, per quality objective, the fewest labelled rows that can show it if none misses.

    Returns:
        Objective id -> rows of its slice, or positives for recall. Rows that certify; fitting and
        searching need more.
    """
    out = {}
    for objective in brief.envelope:
        limit = miss_limit(objective)
        if objective.needs_labels and limit is not None and 0 < limit < 1:
            out[objective.id] = zero_miss_rows(limit, confidence_level=objective.confidence_level)
    return out


def takes_labels(objective: Objective) -> bool:
    """Claim that only rows whose truth is known can judge a promise; cost and time need none."""
    return objective.needs_labels and not objective.measure.startswith(AGREES)


def _day(when: date | None) -> str | None:
    return None if when is None else when.isoformat()


def miss_limit(objective: Objective) -> float | None:
    """Give the largest mean loss that a quality objective allows; None when it has no limit."""
    if objective.limit is None:
        return None
    return objective.limit.mid if objective.is_ceiling else 1 - objective.limit.mid


def row_limit(objective: Objective) -> float | None:
    """Give the share of rows that may miss; None for objectives that are not about shares."""
    if objective.needs_labels:
        return miss_limit(objective)
    if objective.kind == "latency":
        q = percentile_of(objective)
        return None if q is None else 1 - q
    is_share = objective.limit is not None and objective.limit.dimension != "rate"
    return (
        miss_limit(objective) if objective.kind in {"people", "abstention"} and is_share else None
    )


def beyond_rows(brief: Brief, objective: Objective) -> str | None:
    """Say why no number of rows can show a promise: it allows no miss; None where rows can.

    Rows without a miss show a small share of misses, never none. A cap on each decision is another
    matter: serving enforces it.
    """
    limit = row_limit(objective)
    if limit is None or limit > 0:
        return None
    if objective.kind == "people" and all(
        t.kind is not TierKind.PERSON for t in brief.layers.tiers
    ):
        return None
    return f"no number of rows can show {_none_of(objective)}"


def _none_of(objective: Objective) -> str:
    if objective.kind == "latency":
        return f"that no decision takes longer than {objective.limit}"
    return "0 %" if objective.is_ceiling else "100 %"


def evidence_schedule(brief: Brief, *, today: date) -> dict[str, dict[str, float | str | None]]:
    """Say, per quality objective, what evidence it takes and when the brief's label rate gives it.

    Two counts: the fewest rows, all without a miss, and the rows at which four attempts in five
    succeed when rows miss a fifth as often as allowed.
    """
    out: dict[str, dict[str, float | str | None]] = {}
    for name, fewest in minimum_evidence(brief).items():
        objective = brief.objective(name)
        limit = miss_limit(objective) or 0.0
        likely = rows_for_power(
            limit * _GOOD, limit=limit, confidence_level=objective.confidence_level
        )
        out[name] = {
            "rows_without_a_miss": fewest,
            "earliest_date": _day(earliest_date(brief, {name: fewest}, today=today)),
            "rows_for_four_in_five": likely,
            "at_a_true_rate_of": 1 - limit * _GOOD if not objective.is_ceiling else limit * _GOOD,
            "likely_date": None
            if likely is None
            else _day(earliest_date(brief, {name: likely}, today=today)),
        }
    return out


def rows_to_judge(brief: Brief, judging: Profile, labelled: BoolArray) -> dict[str, int]:
    """Count, per quality objective, the rows that could judge it, whoever answers them.

    Only rows are counted here, never their losses, so that this is not a look at them.

    Args:
        brief: The declaration.
        judging: CERT rows.
        labelled: shape (n_rows,). Whether a row may judge quality.

    Returns:
        Objective id -> rows; entities, where rows go together.
    """
    out = {}
    block = blocks_of(judging)
    for objective in brief.envelope:
        if not objective.needs_labels:
            continue
        rows = could_judge(objective, judging, labelled)
        out[objective.id] = int(rows.sum()) if block is None else len(np.unique(block[rows]))
    return out


def unshowable(brief: Brief, judging: Mapping[str, int]) -> dict[str, int]:
    """Give the quality objectives that rows are too few to show, whatever they say.

    Args:
        brief: The declaration.
        judging: Objective id -> rows that could judge it.

    Returns:
        The same for those that have too few.
    """
    fewest = minimum_evidence(brief)
    return {name: n for name, n in judging.items() if n < fewest.get(name, 0)}


def fewest_rows(misses: int, allowed: float, level: float) -> int:
    """Give the fewest rows that show a miss rate of at most `allowed` with so many misses.

    Examples:
        >>> [fewest_rows(k, 0.005, 0.95) for k in (0, 1, 3)]
        [598, 947, 1549]
    """
    low, high = misses, 2 * misses + 2
    while binomial_p_value(misses, high, limit=allowed) > 1 - level:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        is_shown = binomial_p_value(misses, middle, limit=allowed) <= 1 - level
        low, high = (low, middle) if is_shown else (middle, high)
    return high


def labels_needed(
    brief: Brief, lines: tuple[CertificateLine, ...], *, too_few: Collection[str] = ()
) -> dict[str, int]:
    """Give, per promise whose value holds but whose bound does not, the rows still missing.

    Args:
        brief: The declaration.
        lines: What the rows that judge showed.
        too_few: Objectives that could not have been shown by so few rows, whatever these said. A
            value on the wrong side that luck explains is no verdict on them.
    """
    out: dict[str, int] = {}
    for line in lines:
        if line.holds:
            continue
        objective = brief.objective(line.objective)
        if line.method.startswith(NONE_OF):
            out[line.objective] = _rows_unseen(brief, objective, line)
            continue
        needed = _rows_in_all(objective, line)
        limit = row_limit(objective)
        if needed is None and limit is not None and line.objective in too_few:
            is_luck = _least_rate(line) <= limit
            # The misses that are there stay: the rows to come have to make up for them.
            fewest = fewest_rows(math.ceil(line.misses), limit, line.confidence_level)
            needed = max(fewest, line.n + 1) if is_luck else None
        if needed is not None and needed <= max(_FAR * line.n, _FAR * _FAR):
            out[line.objective] = max(1, needed - line.n)
    return out


def _rows_unseen(brief: Brief, objective: Objective, line: CertificateLine) -> int:
    """Give the fewest rows of slices without any that could show their part of a promise."""
    limit, rows = row_limit(objective), 0
    for name, share in brief.traffic.slices.items():
        if f"`{name}`" in line.method:
            is_small = limit is None or not 0 < limit < share.mid
            part = 1.0 if is_small or limit is None else limit / share.mid
            level = line.confidence_level
            rows += 1 if is_small else zero_miss_rows(part, confidence_level=level)
    return max(rows, 1)


def _least_rate(line: CertificateLine) -> float:
    """Give a lower bound on the miss rate of a line: above its limit it is broken, not unshown."""
    misses = math.floor(line.misses)
    return lower_bound(misses, max(1, line.n), confidence_level=line.confidence_level)


def _rows_in_all(objective: Objective, line: CertificateLine) -> int | None:
    """Give the rows at which a promise would be shown if they kept missing as they do."""
    limit, level = row_limit(objective), line.confidence_level
    if limit is not None and 0 < limit < 1 and not line.n:
        return zero_miss_rows(limit, confidence_level=level)
    if limit is not None and 0 < limit < 1 and line.method.startswith("exact binomial"):
        return rows_needed(line.misses / line.n, limit=limit, confidence_level=level)
    if line.value is None or line.bound is None or line.limit == 0:
        return None
    left, short = line.limit - line.value, line.bound - line.value
    if left == 0 or short / left <= 0:
        return None
    # The distance from value to bound shrinks with the root of the rows.
    return math.ceil(line.n * (short / left) ** 2)


def earliest_date(brief: Brief, missing: Mapping[str, int], *, today: date) -> date | None:
    """Give the day on which the missing labels will have matured at the brief's label rate.

    Returns:
        The latest of all dates; None when a rate is not declared or nothing is missing.
    """
    dates = []
    for objective_id, count in missing.items():
        rate = _per_month(brief, brief.objective(objective_id))
        if rate is None or rate <= 0:
            return None
        days = count / rate * MONTH_DAYS
        delay = brief.labels.arrive_after if takes_labels(brief.objective(objective_id)) else None
        days += 0.0 if delay is None else delay.days
        dates.append(today + timedelta(days=math.ceil(days)))
    return max(dates, default=None)


@dataclass(frozen=True, slots=True)
class LabelRate:
    """Rows a month that can judge an objective.

    Attributes:
        low: Low end of what is declared.
        mid: Its middle.
        high: Its high end.
        where: Place in the brief, for example `labels.per_month`.
        of: Class or slice whose rows are counted; None for all.
    """

    low: float
    mid: float
    high: float
    where: str
    of: str | None = None


def label_rate(brief: Brief, objective: Objective) -> LabelRate | None:
    """Give the labelled rows a month that can judge a quality objective: its class, slice, or all.

    Returns:
        None when the brief does not say, or says that there are none.
    """
    labels, rate = brief.labels, brief.traffic.rate
    if not takes_labels(objective):
        if rate is None:
            return None
        month = MONTH_S
        return LabelRate(rate.low * month, rate.mid * month, rate.high * month, "traffic.rate")
    for name in (objective.of, objective.on):
        count = labels.positives_per_month.get(name or "")
        if count is not None:
            where = f"labels.positives_per_month.{name}"
            return LabelRate(count.low, count.mid, count.high, where, name) if count.high else None
    every = labels.per_month
    if every is None or not every.high:
        return None
    name = objective.on or objective.of
    share = brief.traffic.slices.get(name or "")
    if share is None:
        return LabelRate(every.low, every.mid, every.high, "labels.per_month")
    ends = (every.low * share.low, every.mid * share.mid, every.high * share.high)
    return LabelRate(*ends, f"labels.per_month x traffic.slices.{name}", name)


def _per_month(brief: Brief, objective: Objective) -> float | None:
    """Give the rows a month that can judge an objective: labelled ones, where labels matter."""
    if not takes_labels(objective) and brief.traffic.rate is not None:
        share = brief.traffic.slices.get(objective.on or "")
        each = brief.traffic.rate.mid * MONTH_S
        return each * (1.0 if share is None else share.mid)
    rate = label_rate(brief, objective)
    return None if rate is None else rate.mid


def ready_on(brief: Brief, rows: int, per_month: float, *, today: date) -> date | None:
    """Give the day on which so many more rows will have come and matured; None without a rate."""
    if rows <= 0:
        return today
    if per_month <= 0:
        return None
    delay = brief.labels.arrive_after
    days = rows / per_month * MONTH_DAYS + (0.0 if delay is None else delay.days)
    return None if days > _NEVER_DAYS else today + timedelta(days=math.ceil(days))
