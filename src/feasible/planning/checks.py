"""What a profile must be before anything is planned from it."""

from __future__ import annotations

from typing import Final

import numpy as np

from feasible.errors import DataError, nearest
from feasible.planning.constraint import positives_of, unjudged
from feasible.planning.evidence import beyond_rows
from feasible.schema import AnsweredBy, Brief, Objective, Profile, TierKind
from feasible.stats import zero_miss_rows

__all__ = ["check_objectives", "check_profile", "check_promises"]

_NEAR: Final = 0.005
"""Share of misses that is offered instead of none: 598 rows without a miss show it at 95 %."""


def check_profile(profile: Profile) -> None:
    """Refuse rows that cannot be planned from.

    Raises:
        DataError: No rows, no tiers, duplicate ids, one class, losses outside 0..1, negative or
            infinite costs or latencies.
    """
    if not len(profile):
        raise DataError("there are no rows to plan from", attempt="`examples()` must yield some")
    if not profile.tiers:
        raise DataError("there are no tiers to plan with")
    _check_ids(profile)
    _check_labels(profile)
    _check_propensity(profile)
    _check_range(profile, "cost_usd", profile.cost_usd, low=0.0, unit="dollars")
    _check_range(profile, "latency_ms", profile.latency_ms, low=0.0, unit="ms")
    _check_range(profile, "loss", profile.loss, low=0.0, high=1.0, unit="")


def check_promises(brief: Brief) -> None:
    """Refuse promises that no rows can show, whatever these say.

    Raises:
        DataError: A promise allows no miss at all, none of them is one that rows judge, or one
            counts people's answers and nobody says how often these are wrong.
    """
    beside = dict(unjudged(brief))
    if all(objective.id in beside for objective in brief.envelope):
        raise DataError(
            "no promise of the brief is one that rows can judge",
            asked=", ".join(objective.id for objective in brief.envelope) or "an empty envelope",
            found="; ".join(f"{name}: {why}" for name, why in beside.items()) or None,
            attempt="promise a cost, a latency, a quality or people's share beside it",
        )
    for objective in brief.envelope:
        if objective.id not in beside:
            _check_limit(objective)
        beyond = beyond_rows(brief, objective)
        if beyond is not None:
            _refuse(objective, beyond)
        _check_people(brief, objective)


def _check_limit(objective: Objective) -> None:
    """Refuse a range as a limit: nobody could say which of its numbers was promised."""
    limit = objective.limit
    if limit is None or limit.low == limit.high:
        return
    ends = str(limit).replace("..", " and ")
    raise DataError(
        f"{objective.id} promises a range, {limit}",
        asked="one number, which rows either show or do not",
        found=f"every number between {ends}",
        attempt=f"give the end that must hold: {objective.id} "
        f"{'at_most' if objective.is_ceiling else 'at_least'} one of the two",
    )


def _check_people(brief: Brief, objective: Objective) -> None:
    """Refuse to take people to be always right because nobody said how often they are not."""
    if not objective.needs_labels or objective.by is AnsweredBy.MACHINES:
        return
    for tier in brief.layers.tiers:
        if tier.kind is TierKind.PERSON and tier.error_rate is None:
            raise DataError(
                f"how often `{tier.name}` is wrong is unknown",
                asked=f"{objective.id} counts their answers: who answers must have an error rate",
                found=f"no `error_rate` of `{tier.name}`",
                attempt="declare `error_rate: 2 %`, `error_rate: 0 %` if people's answers are the "
                "truth by definition, or promise it `by: machines`",
            )


def _check_price_of_people(brief: Brief, profile: Profile) -> None:
    """Refuse to take people to be free because nobody said what they cost."""
    is_priced = any(o.kind == "cost" and o.by is not AnsweredBy.MACHINES for o in brief.envelope)
    for tier in brief.layers.tiers:
        if tier.kind is not TierKind.PERSON or tier.usd is not None:
            continue
        column = profile.tiers.index(tier.name) if tier.name in profile.tiers else None
        is_known = column is not None and not np.isnan(profile.cost_usd[:, column]).all()
        if not is_known and (is_priced or not np.isnan(profile.cost_usd).all()):
            raise DataError(
                f"what an answer of `{tier.name}` costs is unknown",
                asked="the cheapest plan, and each promise on cost, counts people's answers",
                found=f"no `usd` of `{tier.name}`, and no price in the profile",
                attempt="declare `usd: $1.50`, or `usd: $0` if people's time is free",
            )


def _refuse(objective: Objective, beyond: str) -> None:
    level = objective.confidence_level
    fewest = zero_miss_rows(_NEAR, confidence_level=level)
    share = f"{_NEAR:.1%}" if objective.is_ceiling else f"{1 - _NEAR:.1%}"
    word = "at_most" if objective.is_ceiling else "at_least"
    to_try = f"{word}: {share}, which {fewest:,} rows without a miss show at {level:.0%}"
    if objective.kind == "latency":
        to_try = "a percentile below 100, such as p99.5"
    if objective.kind == "people":
        to_try += ", or a brief without a person"
    raise DataError(
        f"{objective.id}: {beyond}",
        asked=f"{objective.id} {word} {objective.limit}",
        found="rows without a miss always leave room for a miss that they do not hold",
        attempt=to_try,
    )


def check_objectives(brief: Brief, profile: Profile) -> None:
    """Refuse promises that no row can speak about.

    Raises:
        DataError: A slice that no row is in, a class that no row has, quality without a loss, a
            promise that no number of rows can show.
    """
    check_promises(brief)
    _check_price_of_people(brief, profile)
    for objective in brief.envelope:
        if objective.on is not None:
            _check_slice(objective, profile)
        if objective.needs_labels:
            _check_quality(objective, profile)


def _check_slice(objective: Objective, profile: Profile) -> None:
    known = [name for name, rows in profile.slices.items() if rows.any()]
    if objective.on is None or objective.on in known:
        return
    close = nearest(objective.on, known)
    raise DataError(
        f"no row is in slice `{objective.on}`",
        asked=f"{objective.id} is promised on it",
        found=f"slices with rows: {', '.join(known) or 'none'}",
        attempt=f"`{close}`?" if close else "mark its rows, or promise it on another slice",
    )


def _check_quality(objective: Objective, profile: Profile) -> None:
    if np.isnan(profile.loss).all():
        raise DataError(
            "no row has a loss, so that no quality can be judged",
            asked=f"{objective.id} is promised",
            found="neither labels nor losses",
            attempt="label some rows, or give `loss` for them; where two tiers' `answer` is known, "
            "accuracy alone is judged as agreement with the top tier",
        )
    if objective.of is None:
        return
    if objective.measure == "recall" and not positives_of(objective, profile).any():
        labels = sorted({label for label in profile.label or () if label is not None})
        close = nearest(objective.of, labels)
        raise DataError(
            f"no labelled row is of class `{objective.of}`",
            asked=f"{objective.id} is promised",
            found=f"labels: {', '.join(labels[:12]) or 'none'}",
            attempt=f"`{close}`?" if close else "name a class or a slice that rows have",
        )
    if objective.measure == "precision" and not profile.classes:
        raise DataError(
            f"precision of `{objective.of}` needs to know what each tier answered",
            asked=f"{objective.id} is promised",
            found="no `answer` in the profile",
            attempt="give `answer` in the profile",
        )


def _check_ids(profile: Profile) -> None:
    ids = np.array(profile.row_ids, dtype=object)
    distinct, count = np.unique(ids.astype(str), return_counts=True)
    if len(distinct) != len(ids):
        twice = str(distinct[np.argmax(count)])
        raise DataError(
            f"row id {twice!r} stands {int(count.max())} times",
            asked="every row has an id of its own",
            found=f"{len(ids) - len(distinct):,} ids too many",
            attempt="number the rows, or leave `id` out",
        )


def _check_labels(profile: Profile) -> None:
    if profile.label is None:
        return
    known = {label for label in profile.label if label is not None}
    if len(known) == 1:
        raise DataError(
            f"every labelled row has the same label, {next(iter(known))!r}",
            asked="at least two classes: with one, any tier is always right",
            attempt="add rows of the other classes",
        )


def _check_propensity(profile: Profile) -> None:
    chance = profile.propensity
    if chance is None:
        return
    bad = (chance <= 0) | (chance > 1)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"propensity of row {profile.row_ids[row]!r} is {chance[row]:g}",
            asked="the chance with which its label was asked for, above 0 and at most 1",
            found=f"{int(bad.sum()):,} such values",
            attempt="leave it empty for rows that are never asked about",
        )


def _check_range(
    profile: Profile, name: str, values: np.ndarray, *, low: float, unit: str, high: float = np.inf
) -> None:
    bad = (values < low) | (values > high) | np.isinf(values)
    if bad.any():
        row, tier = np.argwhere(bad)[0]
        top = "" if np.isinf(high) else f" and at most {high:g}"
        raise DataError(
            f"{name} of tier `{profile.tiers[tier]}` for row {profile.row_ids[row]!r} is "
            f"{values[row, tier]:g}",
            asked=f"at least {low:g}{top} {unit}".strip(),
            found=f"{int(bad.sum()):,} such values",
            attempt="leave unknown values empty: unknown is not 0",
        )
