"""The metrics by which RouteLLM compares routers between a weak and a strong model.

Ong et al. (2024), "RouteLLM: Learning to Route LLMs with Preference Data", section 2.2. The
performance gap recovered (PGR) is (router - weak) / (strong - weak); APGR is its mean over all
shares of calls to the strong model, one half for a random router; CPT(x) is the smallest share of
such calls that recovers x of the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feasible.schema import FloatArray, Profile
from feasible.stats import binomial_p_value

__all__ = [
    "Routed",
    "apgr",
    "calls_for",
    "gap_recovered",
    "routed",
    "threshold_shown",
    "threshold_that_kept",
]

_STEPS = 100


@dataclass(frozen=True)
class Routed:
    """What a router with a fixed threshold gave.

    Attributes:
        usd: Mean dollars a decision.
        broke: Whether accuracy is below the floor.
    """

    usd: float
    broke: bool


def gap_recovered(order_by: FloatArray, weak: FloatArray, strong: FloatArray) -> FloatArray:
    """Give the gap recovered when the k rows with the largest figure go to the strong model.

    Args:
        order_by: shape (n_rows,). How much a router would like the strong model; ties keep their
            order.
        weak: shape (n_rows,). Quality of the weak model's answers.
        strong: shape (n_rows,). Of the strong model's.

    Returns:
        shape (n_rows + 1,), for k from none to all.
    """
    order = np.argsort(-order_by, kind="stable")
    gained = np.append(0.0, np.cumsum((strong - weak)[order]))
    return np.asarray(gained / gained[-1])


def apgr(recovered: FloatArray) -> float:
    """Give the area under the curve over the share of calls to the strong model."""
    return float(np.trapezoid(recovered, dx=1 / (len(recovered) - 1)))


def calls_for(recovered: FloatArray, share: float) -> float:
    """Give the smallest share of calls to the strong model that recovers so much of the gap."""
    return float(np.flatnonzero(recovered >= share - 1e-12)[0] / (len(recovered) - 1))


def threshold_that_kept(likes: FloatArray, loss: FloatArray, floor: float) -> float:
    """Give the threshold with the fewest calls to the strong model that kept the floor here.

    Args:
        likes: shape (n_rows,). How much a router would like the strong model.
        loss: shape (n_rows, 2). Of the weak and the strong model.
        floor: Least mean of 1 - loss; when no threshold keeps it, all rows go to the strong model.
    """
    recovered = gap_recovered(likes, 1 - loss[:, 0], 1 - loss[:, 1])
    weak, strong = 1 - loss.mean(axis=0)
    kept = np.flatnonzero(weak + recovered * (strong - weak) >= floor - 1e-12)
    calls = int(kept[0]) if len(kept) else len(likes)
    return float(np.append(np.inf, -np.sort(-likes))[calls])


def threshold_shown(likes: FloatArray, loss: FloatArray, floor: float, *, delta: float) -> float:
    """Give the threshold with the fewest calls that is shown, tested from all calls downwards.

    Args:
        likes: shape (n_rows,). How much a router would like the strong model.
        loss: shape (n_rows, 2). 0 or 1, of the weak and the strong model.
        floor: Least mean of 1 - loss; all rows go to the strong model when nothing is shown.
        delta: Accepted chance that the floor does not hold.
    """
    found = -np.inf
    for threshold in np.append(-np.inf, np.quantile(likes, np.arange(1, _STEPS) / _STEPS)):
        misses = round(np.where(likes >= threshold, loss[:, 1], loss[:, 0]).sum())
        if binomial_p_value(misses, len(likes), limit=1 - floor) > delta:
            break
        found = float(threshold)
    return found


def routed(likes: FloatArray, rows: Profile, threshold: float, floor: float) -> Routed:
    """Route rows of two models at a threshold.

    Args:
        likes: shape (n_rows,). How much a router would like the strong model.
        rows: The weak model's column first.
        threshold: From which on the strong model is asked.
        floor: Least mean of 1 - loss.
    """
    column = (likes >= threshold).astype(np.int64)
    here = np.arange(len(column))
    quality = 1 - float(rows.loss[here, column].mean())
    return Routed(float(rows.cost_usd[here, column].mean()), quality < floor - 1e-12)
