"""Finding candidates: the useful orders of tiers, and of each a family from safe to cheap.

Everything here looks at SEARCH rows only. Which candidate is deployed is decided on CERT rows,
elsewhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from feasible.planning.board import Cuts, Standing
from feasible.planning.candidates import Candidate
from feasible.planning.chain import Chain, Ingredients
from feasible.planning.sheet import Sheet
from feasible.planning.solver import Solver
from feasible.schema import FloatArray, IntArray

__all__ = ["chains_of", "search", "thinned"]

_LEVELS: Final = (5.0, 4.0, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.0)
"""Least slacks for which policies are looked for. Standard errors."""
_FEWER_LEVELS: Final = (4.0, 2.8, 2.2, 1.7, 1.2, 0.6)
"""The same for many rows, of which one standard error is little."""
_MANY_ROWS: Final = 2_000
_FIRST_ROUNDS: Final = 6
_ROUNDS: Final = 3
"""Changes of prices at each level of slack."""
_POLISHED: Final = 2
"""Orders of tiers that are polished at each level of slack."""
_AMPLE: Final = 6.0
"""Standard errors of slack beyond which more is no safer in practice."""
_GAPS: Final = 4
"""Levels of slack that are looked at between those that were planned."""
_WIDE: Final = 0.1
"""Share of the dearest cost by which neighbours differ before one is looked for between them."""
_SAME: Final = 0.02
"""Standard errors of slack that make no difference."""
_GLANCE: Final = 2.0
"""Level of slack by which orders of tiers are compared at a glance."""
_HOPELESS: Final = -8.0
"""Slack below which a glance says enough. Standard errors."""
_GLANCE_ROWS: Final = 800
_GLANCE_ROUNDS: Final = 2
_MIDDLE_ROWS: Final = 6_000
"""Rows on which families are worked out; of more, the best are then settled on all."""
_KEPT: Final = 4
"""Orders of tiers that are worked out in full."""
_FEWER_KEPT: Final = 2
"""The same for many rows, of which a glance tells more."""
_LONGEST: Final = 4
"""Machine tiers in one chain at most."""
_ALL_ORDERS: Final = 6
"""Machine tiers up to which every subset is tried; of more, chains are grown tier by tier."""
_STREAM: Final = 7_919


_Policy: TypeAlias = tuple[Cuts, Standing]


@dataclass(frozen=True, slots=True)
class _Glance:
    """What a first look at one order of tiers found.

    Attributes:
        chain: The order.
        cost: Of its cheapest policy with enough slack; infinite when there is none.
        least: Most slack of any policy that was seen.
        slack: Most slack of each promise that any policy had.
        price: Prices of slack at which it was found.
    """

    chain: Chain
    cost: float
    least: float
    slack: FloatArray
    price: FloatArray


def chains_of(machines: Sequence[str], *, with_nobody: bool) -> tuple[Chain, ...]:
    """Give every subset of tiers in their order, cheapest first.

    Args:
        machines: Tiers, cheapest first.
        with_nobody: Whether the chain without a machine is one of them: a person answers all.
    """
    return tuple(
        Chain(some)
        for size in range(min(_LONGEST, len(machines)) + 1)
        for some in itertools.combinations(machines, size)
        if size or with_nobody
    )


def search(
    kit: Ingredients,
    sheet: Sheet,
    *,
    n_cert: int,
    for_slack: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Candidate]:
    """Find candidates on SEARCH rows.

    Args:
        kit: What a plan can be made of.
        sheet: SEARCH rows.
        n_cert: Rows that the certificate will have; only their number is looked at.
        for_slack: Look for the safest candidates only, whatever they cost.
        progress: Told chains done and chains in all.
    """
    few, some = _fewer(sheet, _GLANCE_ROWS), _fewer(sheet, _MIDDLE_ROWS)
    ratio = n_cert / float(some.stands_for.sum())
    is_many = len(sheet) >= _MANY_ROWS
    kept = _FEWER_KEPT if is_many else _KEPT
    glances = _glances(kit, few, n_cert / float(few.stands_for.sum()))
    chosen = _promising(glances, kept=kept)
    levels = _FEWER_LEVELS if is_many else _LEVELS
    families = []
    for index, glance in enumerate(chosen):
        families.append(_Family(Solver(kit, glance.chain, some, ratio), glance.price))
        families[-1].climb(levels[:1] if for_slack else levels)
        if progress is not None:
            progress(index + 1, len(chosen) + 1)
    _polish_safest(families, most=1 if is_many else _POLISHED)
    if not for_slack:
        _polish_levels(families, levels, most=1 if is_many else _POLISHED)
        levels = (*levels, *_fill_gaps(families, kit.person_usd))
    if some is not sheet:
        families = _settled(kit, families, sheet, n_cert, levels)
    if progress is not None:
        progress(len(chosen) + 1, len(chosen) + 1)
    found = [candidate for family in families for candidate in family.candidates()]
    return [*found, *_alone(kit, sheet, n_cert, glances)]


def _alone(
    kit: Ingredients, sheet: Sheet, n_cert: int, glances: Sequence[_Glance]
) -> list[Candidate]:
    """Give each tier alone, answering everything: nothing was placed, so nothing was overfitted.

    Where there is a person, a person alone is the plan that always holds. A tier that a glance
    already shows to be far from a promise is left out.
    """
    if kit.person is not None:
        return []
    ratio = n_cert / float(sheet.stands_for.sum())
    hopeful = {g.chain for g in glances if g.least > _HOPELESS}
    chains = [Chain((name,)) for name in kit.machines]
    some = [chain for chain in chains if chain in hopeful] or chains
    solvers = [Solver(kit, chain, sheet, ratio, seen=1.0) for chain in some]
    return [solver.candidate(solver.board.never()) for solver in solvers]


def _settled(
    kit: Ingredients,
    families: Sequence[_Family],
    sheet: Sheet,
    n_cert: int,
    levels: Sequence[float],
) -> list[_Family]:
    """Move what was found on some rows to its best places on all of them."""
    ratio = n_cert / float(sheet.stands_for.sum())
    by_level: dict[int, list[float]] = {}
    for level in (*levels, math.inf):
        best = min(range(len(families)), key=lambda i: _rank(families[i].best(level)[1], level))
        by_level.setdefault(best, []).append(level)
    out = []
    for index, mine in by_level.items():
        family = families[index]
        solver = Solver(kit, family.solver.chain, sheet, ratio)
        full = _Family(solver, family.price)
        for level in mine if solver.k else ():
            found = family.solver.candidate(family.best(level)[0])
            cuts, _ = solver.from_thresholds(found)
            full.policies.append(solver.board.settle(cuts, level))
        out.append(full)
    return out


def _fewer(sheet: Sheet, most: int) -> Sheet:
    """Take some of very many rows, more of those that are in rare slices."""
    if len(sheet) <= most * 3 // 2:
        return sheet
    rows, stands_for = thinned(sheet, most)
    return sheet.some(rows, stands_for=stands_for)


def thinned(sheet: Sheet, most: int) -> tuple[IntArray, FloatArray]:
    """Draw about so many rows, half of them evenly from the rows of rare slices and classes.

    Returns:
        Row numbers, rising; and the rows that each of them stands for.
    """
    n = len(sheet)
    rare = np.zeros(n, dtype=np.bool_)
    for member in sheet.rare():
        rare |= member
    share = np.full(n, min(1.0, most / max(1, n)))
    if rare.any():
        share[rare] = min(1.0, most / 2 / rare.sum())
        share[~rare] = min(1.0, most / 2 / max(1, int((~rare).sum())))
    kept = np.random.default_rng([_STREAM, n]).random(n) < share
    rows = np.flatnonzero(kept)
    return rows, sheet.stands_for[rows] / share[rows]


def _glances(kit: Ingredients, sheet: Sheet, ratio: float) -> list[_Glance]:
    """Look at every order of tiers, or, of very many tiers, grow the most promising ones."""
    nobody = kit.person is not None
    if len(kit.machines) <= _ALL_ORDERS:
        alone = [Chain((name,)) for name in kit.machines]
        seen = _looked_at(kit, sheet, ratio, alone)
        # Tiers that are all far from one promise are far together, unless a person follows.
        far = {} if nobody else {g.chain.machines[0]: g.slack < _HOPELESS for g in seen}
        rest = [
            chain
            for chain in chains_of(kit.machines, with_nobody=nobody)
            if len(chain.machines) != 1
            and not (far and np.all([far[name] for name in chain.machines], axis=0).any())
        ]
        seen += _looked_at(kit, sheet, ratio, rest)
        return seen + _looked_at(kit, sheet, ratio, _variants(kit, seen))
    place = {name: i for i, name in enumerate(kit.machines)}
    chains = chains_of((), with_nobody=nobody) + tuple(Chain((name,)) for name in kit.machines)
    seen = _looked_at(kit, sheet, ratio, chains)
    grown = seen
    for _ in range(_LONGEST - 1):
        best = {glance.chain for glance in _promising(grown)}
        longer = {
            Chain(tuple(sorted((*chain.machines, name), key=place.__getitem__)))
            for chain in best
            for name in kit.machines
            if name not in chain.machines
        } - {glance.chain for glance in seen}
        chains = tuple(sorted(longer, key=lambda c: [place[name] for name in c.machines]))
        grown = _looked_at(kit, sheet, ratio, chains)
        before = {glance.chain for glance in _promising(seen)}
        seen = seen + grown
        if {glance.chain for glance in _promising(seen)} == before:
            break
    return seen + _looked_at(kit, sheet, ratio, _variants(kit, seen))


def _variants(kit: Ingredients, glances: Sequence[_Glance]) -> list[Chain]:
    """Give other things that thresholds may stand on: for promising orders, or for all."""
    if kit.scores is None:
        return []
    out = []
    if kit.scores.knows_answers:
        several = [g.chain for g in _promising(glances, kept=2) if len(g.chain.machines) > 1]
        most = max((len(g.chain.machines) for g in glances), default=0)
        # What earlier tiers said helps most where most were asked.
        longest = [g.chain for g in glances if len(g.chain.machines) == most > 1]
        out += [replace(chain, by="posterior") for chain in dict.fromkeys([*several, *longest])]
        out += [replace(chain, by="gain") for chain in several[:1]]
    if kit.scores.router is not None:
        fewest = 1 if kit.person is not None else 2
        foreseen = kit.scores.router.offset
        out += [
            replace(g.chain, by="router")
            for g in glances
            if len(g.chain.machines) >= fewest
            and foreseen.keys() >= set(g.chain.machines[: None if kit.person else -1])
        ]
    return out


def _looked_at(
    kit: Ingredients, sheet: Sheet, ratio: float, chains: Sequence[Chain]
) -> list[_Glance]:
    out = []
    price: FloatArray | None = None
    for chain in sorted(chains, key=lambda c: -len(c.machines)):
        solver = Solver(kit, chain, sheet, ratio)
        start = solver.start() if price is None else price
        cuts = solver.board.never()
        rounds = _GLANCE_ROUNDS if chain.machines else 1
        policies, after = solver.climb(_GLANCE, start, cuts, rounds=rounds)
        if chain.machines:
            best = min(policies, key=lambda found: _rank(found[1], _GLANCE))
            policies.append(solver.board.settle(best[0], _GLANCE))
        least = max(standing.least for _, standing in policies)
        costs = [s.cost for _, s in policies if s.least >= _GLANCE]
        if price is None and costs:
            price = after
        slack = np.max([standing.slack for _, standing in policies], axis=0)
        out.append(_Glance(chain, min(costs, default=math.inf), least, slack, after))
    return out


def _promising(glances: Sequence[_Glance], *, kept: int = _KEPT) -> list[_Glance]:
    """Give the cheapest orders with enough slack, and those with most slack of all."""
    cheap = sorted(glances, key=lambda g: (g.cost, -g.least, len(g.chain.machines)))[:kept]
    safest = sorted(glances, key=lambda g: (-min(g.least, 6.0), g.cost, len(g.chain.machines)))
    safe = safest[: (kept + 1) // 2]
    alone = [g for g in glances if not g.chain.machines]
    return list({glance.chain: glance for glance in [*cheap, *safe, *alone]}.values())


class _Family:
    """The policies of one order of tiers, from safe to cheap."""

    def __init__(self, solver: Solver, price: FloatArray) -> None:
        self.solver, self.board, self.price = solver, solver.board, price
        self.policies: list[_Policy] = []
        if not solver.k:
            self.policies.append(([], self.board.stand([])))

    def climb(self, levels: Sequence[float]) -> None:
        """Look for a policy at each level of slack, each from where the last one ended."""
        if not self.solver.k:
            return
        cuts, price = self.board.never(), self.price
        for level in levels:
            rounds = _FIRST_ROUNDS if not self.policies else _ROUNDS
            found, price = self.solver.climb(level, price, cuts, rounds=rounds)
            self.policies += found
            cuts = self.best(level)[0]

    def best(self, level: float) -> _Policy:
        """Give the cheapest policy at a level of slack, or the one with most slack."""
        return min(self.policies, key=lambda found: _rank(found[1], level))

    def polish(self, level: float) -> None:
        """Make the best policy at a level of slack better."""
        if self.solver.k:
            # Of many rows single steps find the place: pairs of steps save less than a hundredth.
            in_pairs = len(self.solver.sheet) < _MANY_ROWS
            self.policies.append(self.board.polish(self.best(level)[0], level, in_pairs=in_pairs))

    def candidates(self) -> list[Candidate]:
        """Describe what was found, and what common floors make of the safest of it."""
        if not self.policies:
            return []
        distinct = {tuple(cut.tobytes() for cut in cuts): (cuts, s) for cuts, s in self.policies}
        out = [self.solver.candidate(*found) for found in distinct.values()]
        if self.solver.k:
            safe = max(self.policies, key=lambda found: min(found[1].least, _AMPLE))
            out.extend(self.solver.candidate(raised) for raised in self.solver.floored(safe[0]))
        return out


def _polish_safest(families: Sequence[_Family], *, most: int) -> None:
    """Make the safest policies of the safest orders safer still."""
    by_slack = sorted(families, key=lambda f: -min(f.best(math.inf)[1].least, _AMPLE))
    for family in by_slack[:most]:
        family.polish(math.inf)


def _polish_levels(families: Sequence[_Family], levels: Sequence[float], *, most: int) -> None:
    """Make the cheapest policies of each level of slack cheaper, from the safest level down."""
    for level in levels:
        by_cost = sorted(families, key=lambda f: _rank(f.best(level)[1], level))
        for family in [f for f in by_cost if f.solver.k][:most]:
            family.polish(level)


def _fill_gaps(families: Sequence[_Family], dearest_usd: float) -> list[float]:
    """Look between neighbours on the frontier of cost and slack that are far apart in cost.

    A walk towards cheaper policies cannot stop where there is none.

    Returns:
        The levels of slack that were looked at.
    """
    looked: list[float] = []
    while len(looked) < _GAPS:
        seen = [(s.cost, min(s.least, _AMPLE), f) for f in families for _, s in f.policies]
        frontier: list[tuple[float, float, _Family]] = []
        for cost, least, family in sorted(seen, key=lambda one: (one[0], -one[1])):
            if not frontier or least > frontier[-1][1] + _SAME:
                frontier.append((cost, least, family))
        gaps = [
            (above[0] - below[0], (below[1] + above[1]) / 2, above[2])
            for below, above in itertools.pairwise(frontier)
            if above[1] - below[1] > _SAME and below[1] > 0
        ]
        gaps = [gap for gap in gaps if all(abs(gap[1] - level) > _SAME / 2 for level in looked)]
        if not gaps:
            break
        wide, level, family = max(gaps, key=lambda gap: gap[0])
        if wide < _WIDE * max(frontier[-1][0], dearest_usd * _WIDE):
            break
        family.polish(level)
        looked.append(level)
    return looked


def _rank(standing: Standing, level: float) -> tuple[float, float]:
    """Order policies: those that have the slack by cost, then the others by slack."""
    return (0.0, standing.cost) if standing.least >= level else (1.0, -standing.least)
