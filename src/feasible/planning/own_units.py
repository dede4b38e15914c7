"""What a line of a certificate or a back-test shows, in the unit of its own promise."""

from __future__ import annotations

from typing import Final

import numpy as np

from feasible.planning.constraint import Constraint, Exits
from feasible.schema import AnsweredBy, IntArray, Objective

__all__ = ["dearest_usd", "own_limit"]

_DAY_S: Final = 86_400


def own_limit(objective: Objective) -> float:
    """Give the promised number as its line shows it: milliseconds, dollars, a share, or a day's.

    Examples:
        >>> from feasible.units import Rate
        >>> own_limit(Objective(people="reviews", at_most=Rate("500 / d")))
        500.0
    """
    if objective.limit is None:
        return 0.0
    per = {"duration": 1e3, "rate": float(_DAY_S)}.get(objective.limit.dimension, 1.0)
    return round(objective.limit.mid * per, 9)


def dearest_usd(constraint: Constraint, exits: Exits, exit_of_row: IntArray) -> float | None:
    """Give what the dearest decision that counts costs, for a cap on each; None without any."""
    usd = (
        exits.cost_usd if constraint.objective.by is not AnsweredBy.MACHINES else exits.machine_usd
    )
    paid = usd[np.arange(len(exit_of_row)), exit_of_row][constraint.counted(exit_of_row)]
    return float(paid.max()) if len(paid) else None
