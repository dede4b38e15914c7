"""What a profile does not say about prices and latencies, and what is done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from feasible.errors import DataError
from feasible.schema import BoolArray, Brief, FloatArray, IntArray, Profile, TierKind, TierSpec

__all__ = ["filled", "needs_latency"]


def filled(
    brief: Brief,
    specs: Mapping[str, TierSpec],
    profile: Profile,
    *,
    judging: IntArray | None = None,
) -> tuple[Profile, tuple[str, ...]]:
    """Fill in what is safe to fill in: declared prices, and what an abstention takes.

    A tier whose price or latency is unknown throughout, or for some rows that it answered, has
    none and is left out later, where a promise needs them.

    Args:
        brief: What is promised.
        specs: Tier -> its declaration.
        profile: What every tier would have answered.
        judging: Rows that certify: nothing is learnt from them.

    Returns:
        The profile, and one note for everything that was filled in.

    Raises:
        DataError: A tier answered a row at an unknown price or latency that it has for others, and
            there is no other tier to plan with.
    """
    cost, latency = profile.cost_usd.copy(), profile.latency_ms.copy()
    learning = np.ones(len(profile), dtype=np.bool_)
    if judging is not None:
        learning[judging] = False
    notes = []
    for column, name in enumerate(profile.tiers):
        spec = specs.get(name)
        if name in profile.simulated or (spec and spec.kind in {TierKind.CACHE, TierKind.PERSON}):
            continue
        declared = spec.usd.mid if spec is not None and spec.usd is not None else None
        answered = profile.answered[:, column]
        known = (column, answered, learning)
        notes += _fill(profile, cost, "cost_usd", *known, declared=declared)
        if needs_latency(brief):
            notes += _fill(profile, latency, "latency_ms", *known, declared=None)
    return replace(profile, cost_usd=cost, latency_ms=latency), tuple(notes)


def needs_latency(brief: Brief) -> bool:
    """Claim that a promise or the deadline needs every tier's latency."""
    serving = brief.layers.serving
    return any(o.kind in {"latency", "joint"} for o in brief.envelope) or (
        serving is not None and serving.deadline is not None
    )


def _fill(
    profile: Profile,
    values: FloatArray,
    what: str,
    column: int,
    answered: BoolArray,
    learning: BoolArray,
    *,
    declared: float | None,
) -> list[str]:
    """Fill one tier's gaps in place and say so."""
    unknown = np.isnan(values[:, column])
    name = profile.tiers[column]
    if not unknown.any():
        return []
    if declared is not None:
        values[unknown, column] = declared
        return [f"{name}: {what} of {int(unknown.sum()):,} rows is the declared price"]
    if unknown[learning].all():
        return []
    bad = unknown & answered
    if bad.any():
        first = profile.row_ids[int(np.flatnonzero(bad)[0])]
        others = np.delete(np.isnan(values) & profile.answered, column, axis=1)
        if others.size and not others.any(axis=0).all():
            values[:, column] = np.nan
            where = f"{int(bad.sum()):,} rows that it answered (row {first!r} first)"
            return [f"{name}: {what} of {where} is unknown, so that it is left out"]
        raise DataError(
            f"{what} of tier `{name}` is unknown for row {first!r}, which it answered",
            asked=f"{what} for every row that a tier answered, or for none",
            found=f"{int(bad.sum()):,} of {int(answered.sum()):,} answered rows without it",
            attempt=f"give it, leave these rows out, or declare `usd` for `{name}`",
        )
    mean = float(values[~unknown & learning, column].mean())
    values[unknown, column] = mean
    return [f"{name}: {what} of {int(unknown.sum()):,} abstentions is taken to be its mean"]
