"""How much each row weighs, so that slices have their declared shares of traffic.

What cannot be given its share is named: slices that overlap, and slices of which no row judges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.schema import BoolArray, Brief, FloatArray, Profile

__all__ = ["REST", "Mix", "levelled", "mix_weights", "rows_each"]

REST: Final = ""
"""Stands for the traffic that no declared slice has."""
_ALL: Final = 1e-6
"""Share of traffic below which declared slices leave nothing."""


def mix_weights(
    brief: Brief,
    profile: Profile,
    *,
    among: BoolArray | None = None,
    stands_for: FloatArray | None = None,
) -> FloatArray:
    """Weigh rows so that disjoint declared slices have their declared share of traffic.

    Slices that overlap an earlier one, and slices that no row has, weigh nothing: `Mix` names them.

    Args:
        brief: The declaration.
        profile: The rows.
        among: shape (n_rows,). The rows that judge; the others weigh 0. All rows when absent.
        stands_for: shape (n_rows,). Rows that each row stands for; 1 when absent.

    Returns:
        shape (n_rows,), with mean 1 over the rows that judge.
    """
    judging = np.ones(len(profile), dtype=np.bool_) if among is None else among
    count = judging.astype(np.float64) if stands_for is None else judging * stands_for
    weight = count.copy()
    mix = Mix.of(brief, profile, judging)
    for name, share in mix.shares.items():
        member = profile.slices[name]
        weight[member] *= share / count[member].sum()
    rest = judging & ~mix.taken
    if not mix.taken.any() or not judging.any():
        return weight
    if rest.any():
        weight[rest] *= mix.left / count[rest].sum()
    total = float(weight[judging].mean())
    return np.asarray(weight / total) if total > 0 else judging.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Mix:
    """Which declared slices give rows their weight, and which cannot.

    Attributes:
        shares: Slice -> its share of traffic, for those that weigh their rows. Ratio.
        taken: shape (n_rows,). Rows that these weigh.
        left: Share of traffic that no declared slice has. Ratio.
        overlaps: Slice that overlaps an earlier one -> rows that both have.
        missing: Slices of some traffic of which no row judges, though rows say whether they belong.
        unknown: Slices of some traffic that these rows do not know.
    """

    shares: dict[str, float]
    taken: BoolArray
    left: float
    overlaps: dict[str, int]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]

    @classmethod
    def of(cls, brief: Brief, profile: Profile, judging: BoolArray) -> Mix:
        """Go through the declared slices in their order."""
        shares: dict[str, float] = {}
        overlaps: dict[str, int] = {}
        lacking: list[str] = []
        taken, left = np.zeros(len(profile), dtype=np.bool_), 1.0
        for name, share in brief.traffic.slices.items():
            member = profile.slices.get(name)
            both = 0 if member is None else int((member & taken).sum())
            if both:
                overlaps[name] = both
                continue
            left -= share.mid
            if member is not None and (member & judging).any():
                shares[name], taken = share.mid, taken | member
            elif share.mid > 0:
                lacking.append(name)
        missing = [name for name in lacking if name in profile.slices]
        if shares and left > _ALL and not (judging & ~taken).any():
            missing.append(REST)
        unknown = [name for name in lacking if name not in profile.slices]
        return cls(shares, taken, max(left, 0.0), overlaps, tuple(missing), tuple(unknown))


def rows_each(audit: FloatArray | None, labelled: BoolArray) -> FloatArray | float:
    """Give the rows that each labelled row stands for, with mean 1 over them."""
    if audit is None or not labelled.any():
        return 1.0
    return np.asarray(audit / audit[labelled].mean())


_TINY: Final = 1e-9
"""Share by which equal weights may differ after arithmetic."""


def levelled(weight: FloatArray, counts: BoolArray) -> FloatArray:
    """Give weights of 1 where all rows that judge weigh the same."""
    equal = not len(weight) or bool((weight == weight[0]).all())
    if not equal:
        judging = weight[counts.any(axis=1)]
        equal = not len(judging) or bool(judging.max() - judging.min() <= _TINY * judging[0])
    return np.ones(len(weight)) if equal else weight
