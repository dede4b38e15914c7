"""Preferring the shorter chain when a longer one is cheaper by no more than luck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from feasible.planning.candidates import Candidate
from feasible.planning.sheet import Sheet
from feasible.schema import FloatArray

__all__ = ["shallowest"]

_TRIED: Final = 5
_AMPLE: Final = 4.0
"""Standard errors of slack beyond which more is no safer in practice."""


def shallowest(
    sequence: Sequence[Candidate], candidates: Sequence[Candidate], sheet: Sheet
) -> list[Candidate]:
    """Replace each candidate by a shallower one that costs the same within one standard error.

    The standard error is that of the paired difference on SEARCH rows. The shallower one must have
    as much slack in every objective, so that the sequence stays one from safe to cheap; candidates
    that no longer save anything are dropped.

    Args:
        sequence: From the safest towards cheaper ones.
        candidates: Everything that was found.
        sheet: SEARCH rows.
    """
    costs = _Costs(sheet)
    out: list[Candidate] = []
    for one in sequence:
        found = _shallower(one, candidates, costs)
        if not out or found.cost_usd < out[-1].cost_usd - 1e-12:
            out.append(found)
    return out


def _shallower(one: Candidate, candidates: Sequence[Candidate], costs: _Costs) -> Candidate:
    depth = len(one.chain.machines)
    others = [
        c
        for c in candidates
        if len(c.chain.machines) < depth
        and all(slack >= min(one.slack[name], _AMPLE) for name, slack in c.slack.items())
    ]
    others.sort(key=lambda c: (c.cost_usd, len(c.chain.machines)))
    equal = [c for c in others[:_TRIED] if costs.are_level(c, one)]
    return min(equal, key=lambda c: (len(c.chain.machines), c.cost_usd), default=one)


class _Costs:
    """What each candidate pays for each row, worked out once."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.known: dict[int, FloatArray] = {}

    def of(self, candidate: Candidate) -> FloatArray:
        """Give weighted dollars, shape (n_rows,)."""
        if id(candidate) not in self.known:
            leaves = self.sheet.leaves(candidate.chain, candidate.thresholds)
            cost = self.sheet.exits(candidate.chain).cost_usd[np.arange(len(leaves)), leaves]
            self.known[id(candidate)] = np.nan_to_num(cost * self.sheet.mix)
        return self.known[id(candidate)]

    def are_level(self, one: Candidate, other: Candidate) -> bool:
        """Claim that the first costs no more than the other, within one standard error."""
        gap = self.of(one) - self.of(other)
        return bool(gap.mean() <= gap.std() / np.sqrt(max(1, len(gap))))
