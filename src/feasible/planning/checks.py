"""What a profile must be before anything is planned from it."""

from __future__ import annotations

import numpy as np

from feasible.errors import DataError, nearest
from feasible.planning.constraints import positives_of
from feasible.schema import Brief, Objective, Profile

__all__ = ["check_objectives", "check_profile"]


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
    _check_range(profile, "cost_usd", profile.cost_usd, low=0.0, unit="dollars")
    _check_range(profile, "latency_ms", profile.latency_ms, low=0.0, unit="ms")
    _check_range(profile, "loss", profile.loss, low=0.0, high=1.0, unit="")


def check_objectives(brief: Brief, profile: Profile) -> None:
    """Refuse promises that no row can speak about.

    Raises:
        DataError: A slice that no row is in, a class that no row has, quality without a loss.
    """
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
            attempt="label some rows, or give `loss` for them",
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
