"""Which labels may judge quality: those of rows old enough, asked for with a known chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from feasible.errors import DataError
from feasible.schema import BoolArray, Brief, FloatArray, Profile

__all__ = ["audit_weight", "fair_labels", "least_chance"]


def fair_labels(brief: Brief, profile: Profile) -> tuple[Profile, tuple[str, ...]]:
    """Forget the labels that say nothing fair about quality; costs and latencies stay.

    Labels of the newest rows have not all come: those that have are not like the others. Where
    chances were logged, a label without one came by a way that nobody knows.

    Args:
        brief: Says how long a label takes, in `labels.arrive_after`.
        profile: All rows.

    Returns:
        The profile, and one note for everything that was forgotten.

    Raises:
        DataError: No label is left.
    """
    known = ~np.isnan(profile.loss).all(axis=1)
    young, notes = _young(brief, profile)
    unfair = np.zeros(len(profile), dtype=np.bool_)
    if profile.propensity is not None:
        unfair = known & np.isnan(profile.propensity)
    if unfair.any():
        notes.append(f"{int(unfair.sum()):,} labels without a `propensity` judge no quality")
    forgotten = young | unfair
    if not forgotten.any():
        return profile, tuple(notes)
    if known.any() and not (known & ~forgotten).any():
        raise DataError(
            "no label may judge quality",
            found="; ".join(notes),
            attempt="give older rows, or `known_at`, or a shorter `labels.arrive_after`",
        )
    loss = profile.loss.copy()
    loss[forgotten] = np.nan
    label = profile.label
    if label is not None:
        label = tuple(None if f else one for one, f in zip(label, forgotten.tolist(), strict=True))
    return replace(profile, loss=loss, label=label), tuple(notes)


def _young(brief: Brief, profile: Profile) -> tuple[BoolArray, list[str]]:
    """Say which rows are younger than a label takes, and what is to be told of that."""
    none, delay, time_s = np.zeros(len(profile), dtype=np.bool_), brief.labels.arrive_after, None
    if delay is not None:
        time_s = profile.time_s
    if delay is None or time_s is None or np.isnan(time_s).all():
        return none, []
    newest, notes = float(np.nanmax(time_s)), []
    if profile.known_at is not None and not np.isnan(profile.known_at).all():
        newest = max(newest, float(np.nanmax(profile.known_at)))
        took = profile.known_at - time_s
        late = (
            float((took[~np.isnan(took)] > delay.mid).mean()) if not np.isnan(took).all() else 0.0
        )
        if late > 0:
            notes.append(f"{late:.1%} of the labels came later than `labels.arrive_after`, {delay}")
    young = np.asarray(time_s > newest - delay.mid)
    if young.any():
        told = f"{int(young.sum()):,} rows of the last {delay} judge no quality"
        notes.append(f"{told}: their labels have not all come")
    return young, notes


def least_chance(profile: Profile) -> float | None:
    """Give the smallest logged chance of any row, labelled or not; None without one."""
    if profile.propensity is None or np.isnan(profile.propensity).all():
        return None
    return float(np.nanmin(profile.propensity))


def audit_weight(profile: Profile, least: float | None) -> FloatArray | None:
    """Give what each row weighs beside one that was asked for with the least chance, above 0 to 1.

    Returns:
        shape (n_rows,); None where every row was asked for with the same chance.
    """
    least = least_chance(profile) if least is None else least
    if profile.propensity is None or least is None:
        return None
    chance = np.nan_to_num(profile.propensity, nan=least)
    weight = np.minimum(least / chance, 1.0)
    return None if bool((weight > 1 - 1e-9).all()) else weight
