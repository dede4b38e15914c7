"""The boosted model of the fraud system: how it is trained, wherever that is done."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feasible.features import FeatureSet, Requests, compute
from feasible.schema import BoolArray, Events, IntArray
from feasible.systems.fraud.columns import design
from feasible.systems.fraud.payments import PAYMENTS, REPORTS, Payments
from feasible.tiers.trees import BoostedTrees, fit_trees

__all__ = ["columns_of", "fit_boosted", "thinned"]

# Chosen among four settings on the weeks before any test of the handbook's data, which hardly
# differed, as docs/reference/measurements.md#card-fraud tells.
_TREES: Final = 150
_LEARNING_RATE: Final = 0.05
_LEAVES: Final = 15
_GENUINE: Final = 0.1
"""Share of the genuine payments that is trained on: they are plenty and much alike."""


def columns_of(
    wanted: FeatureSet, payments: Payments, reports: Events, rows: IntArray
) -> npt.NDArray[np.float32]:
    """Give what the model looks at, for some payments as known when each was made.

    Args:
        wanted: `card_features`.
        payments: The whole history.
        reports: The reports of its frauds.
        rows: Which payments.
    """
    asked = payments.take(rows)
    keys: dict[str, npt.NDArray[Any]] = {"customer": asked.customer, "terminal": asked.terminal}
    found = compute(
        wanted,
        {PAYMENTS: payments.events(), REPORTS: reports},
        Requests(asked.time_ms, asked.time_ms, keys),
    )
    return design(wanted, found.values, asked.cents, asked.time_ms)


def thinned(is_fraud: BoolArray, *, seed: int) -> IntArray:
    """Give every fraud and a tenth of the genuine payments, as rows."""
    drawn = np.random.default_rng([7_411, seed]).random(len(is_fraud)) < _GENUINE
    return np.flatnonzero(is_fraud | drawn)


def fit_boosted(rows: npt.NDArray[np.float32], is_fraud: BoolArray, *, seed: int) -> BoostedTrees:
    """Fit the trees; their log-odds are those of the thinned rows until they are calibrated."""
    return fit_trees(
        rows,
        is_fraud,
        n_trees=_TREES,
        learning_rate=_LEARNING_RATE,
        leaves=_LEAVES,
        seed=seed,
    )
