"""Finding candidates: every useful order of tiers, its family from safe to cheap, then polish.

Everything here looks at SEARCH rows only. Which candidate is deployed is decided on CERT rows,
elsewhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from feasible.planning.candidates import Candidate
from feasible.planning.chain import Chain, Ingredients
from feasible.planning.solver import Solver
from feasible.schema import Profile

__all__ = ["chains_of", "search"]

_LEVELS: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
"""Least slacks at which candidates are polished. Standard errors."""
_POLISHED: Final = 4
"""Chains that are polished at each level."""
_LONGEST: Final = 4
"""Machine tiers in one chain at most."""
_TIE: Final = 1e-9


def chains_of(kit: Ingredients) -> tuple[Chain, ...]:
    """Give every order worth trying: subsets of the tiers, cheapest first."""
    return tuple(
        Chain(machines)
        for size in range(min(_LONGEST, len(kit.machines)) + 1)
        for machines in itertools.combinations(kit.machines, size)
        if size or kit.person is not None
    )


def search(
    kit: Ingredients,
    profile: Profile,
    *,
    n_cert: int,
    for_slack: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Candidate]:
    """Find candidates on SEARCH rows.

    Args:
        kit: What a plan can be made of.
        profile: SEARCH rows.
        n_cert: Rows that the certificate will have; only their number is looked at.
        for_slack: Look for the safest candidates only, whatever they cost.
        progress: Told chains done and chains in all.
    """
    solvers = {}
    found: list[Candidate] = []
    chains = chains_of(kit)
    for index, chain in enumerate(chains):
        solvers[chain] = Solver(kit, chain, profile, n_cert)
        found.extend(solvers[chain].family(for_slack=for_slack))
        if progress is not None:
            progress(index + 1, len(chains) + 1)
    found.extend(_safest(solvers, found))
    if not for_slack:
        found.extend(_polished(solvers, found))
    if progress is not None:
        progress(len(chains) + 1, len(chains) + 1)
    return found


def _safest(solvers: Mapping[Chain, Solver], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Make the candidates with most slack of a few chains safer still."""
    best: dict[Chain, Candidate] = {}
    for candidate in candidates:
        held = best.get(candidate.chain)
        if held is None or candidate.least_slack > held.least_slack:
            best[candidate.chain] = candidate
    few = sorted(best.values(), key=lambda c: -c.least_slack)[:_POLISHED]
    return [solvers[c.chain].polish(c, math.inf) for c in few if c.chain.machines]


def _polished(solvers: Mapping[Chain, Solver], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Make the cheapest candidates of each level of slack cheaper, from the safest level down.

    Each level starts anew and, of the same chain, also from where the level above ended.
    """
    out: list[Candidate] = []
    above: dict[Chain, Candidate] = {}
    for level in reversed(_LEVELS):
        for start in _cheapest_at(level, candidates):
            if not start.chain.machines:
                continue
            solver = solvers[start.chain]
            ends = [solver.polish(start, level)]
            if start.chain in above:
                ends.append(solver.polish(above[start.chain], level))
            kept = [end for end in ends if end.least_slack >= level - _TIE] or ends
            above[start.chain] = min(kept, key=lambda c: c.cost_usd)
            out.extend(ends)
    return out


def _cheapest_at(level: float, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Give the cheapest candidates that have a level of slack, of different chains."""
    cheapest: dict[Chain, Candidate] = {}
    for candidate in candidates:
        held = cheapest.get(candidate.chain)
        if candidate.least_slack >= level and (held is None or candidate.cost_usd < held.cost_usd):
            cheapest[candidate.chain] = candidate
    few = sorted(cheapest.values(), key=lambda c: (c.cost_usd, len(c.chain.machines)))
    return few[:_POLISHED]
