"""What each promise costs: the price that would be saved if its limit were a little looser."""

from __future__ import annotations

from typing import Final

from feasible.planning.candidates import Candidate
from feasible.planning.search import thinned
from feasible.planning.sheet import Sheet
from feasible.planning.solver import Solver

__all__ = ["shadow_prices"]

_MANY_ROWS: Final = 6_000
_LOOSER: Final = 0.1
"""Share of the limit by which it is loosened."""


def shadow_prices(chosen: Candidate, sheet: Sheet, *, n_cert: int) -> dict[str, float]:
    """Give what each promise costs at the margin, on SEARCH rows.

    The thresholds of the chosen chain are placed anew, with the slack that the chosen policy has,
    once with the limit as it is and once with a tenth more of what it allows.

    Returns:
        Objective id -> dollars a decision for each unit of mean loss allowed (for a share, divide
        by 100 for a point); 0 where the promise does not bind.
    """
    if len(sheet) > _MANY_ROWS:
        rows, stands_for = thinned(sheet, _MANY_ROWS)
        sheet = sheet.some(rows, stands_for=stands_for)
    solver = Solver(sheet.kit, chosen.chain, sheet, n_cert / float(sheet.stands_for.sum()))
    if not solver.k:
        return {c.id: 0.0 for c in solver.constraints}
    board, cuts = solver.board, solver.cuts_of(chosen)
    level = board.stand(cuts).least
    here = board.settle(cuts, level)[1]
    out = {}
    for place, constraint in enumerate(solver.constraints):
        looser = _LOOSER * constraint.limit
        if constraint.objective.kind == "cost" or looser <= 0:
            continue
        there = board.shifted(place, looser).settle(cuts, level)[1]
        scale = constraint.scale / constraint.decisions
        out[constraint.id] = max(0.0, here.cost - there.cost) / (looser * scale)
    return out
