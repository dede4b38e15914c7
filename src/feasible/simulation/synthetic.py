"""Cases for a design that has no profile: each tier is sure with a declared chance, independently.

Rows are a low-discrepancy sequence, so that a few thousand of them have the declared shares, and
all their products, to a part in a thousand.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from feasible.cascade import Policy, Table
from feasible.schema import DEFAULT_GROUP, FloatArray
from feasible.simulation.design import Cases

__all__ = ["declared_cases"]

_ROWS: Final = 4096


def declared_cases(policy: Policy, *, rows: int = _ROWS) -> Cases:
    """Give rows on which each step's probability is uniform: it defers what its threshold cuts.

    Args:
        policy: The table; the threshold of a step is the share that it defers.
        rows: Rows. Count.
    """
    steps = len(policy.steps)
    answered = np.ones((rows, steps), dtype=np.bool_)
    default = policy.fallback.get("default")
    names = [step.name for step in policy.steps]
    return Cases(
        table=Table(
            answered=answered,
            probability=_spread(rows, steps),
            threshold=np.tile([step.threshold(DEFAULT_GROUP) for step in policy.steps], (rows, 1)),
            latency_ms=np.full((rows, steps), np.nan),
            cost_usd=np.full((rows, steps), np.nan),
        ),
        group=((DEFAULT_GROUP,),) * steps,
        group_of=((0,) * rows,) * steps,
        fallback=((names.index(default) if default in names else -1),) * rows,
    )


def _spread(rows: int, columns: int) -> FloatArray:
    """Give points that fill the unit cube evenly, shape (rows, columns).

    Source:
        Roberts (2018), the R-sequence: the additive recurrence of the generalised golden ratio.
    """
    ratio = 2.0
    for _ in range(64):
        ratio = (1 + ratio) ** (1 / (columns + 1))
    steps = ratio ** -np.arange(1.0, columns + 1)
    return np.asarray((0.5 + np.outer(np.arange(1, rows + 1), steps)) % 1.0)
