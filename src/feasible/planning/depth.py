"""Preferring the shorter chain when a longer one is cheaper by no more than luck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from feasible.planning.candidates import Candidate
from feasible.planning.chain import Chain, Ingredients, exits_of, walk
from feasible.planning.constraints import Exits, mix_weights
from feasible.schema import FloatArray, Profile

__all__ = ["shallowest"]

_TRIED: Final = 5
_AMPLE: Final = 4.0
"""Standard errors of slack beyond which more is no safer in practice."""


def shallowest(
    kit: Ingredients, sequence: Sequence[Candidate], candidates: Sequence[Candidate], rows: Profile
) -> list[Candidate]:
    """Replace each candidate by a shallower one that costs the same within one standard error.

    The standard error is that of the paired difference on SEARCH rows. The shallower one must have
    as much slack in every objective, so that the sequence stays one from safe to cheap; candidates
    that no longer save anything are dropped.

    Args:
        kit: What the candidates are made of.
        sequence: From the safest towards cheaper ones.
        candidates: Everything that was found.
        rows: SEARCH rows.
    """
    costs = _Costs(kit, rows)
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
    """What each candidate pays for each row, worked out once per chain."""

    def __init__(self, kit: Ingredients, rows: Profile) -> None:
        self.kit, self.rows = kit, rows
        self.weight = mix_weights(kit.brief, rows)
        self.exits: dict[Chain, Exits] = {}

    def of(self, candidate: Candidate) -> FloatArray:
        """Give weighted dollars, shape (n_rows,)."""
        exits = self.exits.setdefault(
            candidate.chain, exits_of(candidate.chain, self.kit, self.rows)
        )
        leaves = walk(candidate.policy, self.rows, exits.is_person.shape[1])
        return np.asarray(exits.cost_usd[np.arange(len(leaves)), leaves] * self.weight)

    def are_level(self, one: Candidate, other: Candidate) -> bool:
        """Claim that the first costs no more than the other, within one standard error."""
        gap = np.nan_to_num(self.of(one) - self.of(other))
        return bool(gap.mean() <= gap.std() / np.sqrt(max(1, len(gap))))
