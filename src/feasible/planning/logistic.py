"""Logistic regression drawn towards prior weights, by Newton's method."""

from __future__ import annotations

from typing import Final

import numpy as np

from feasible.schema import FloatArray

__all__ = ["fit_logistic"]

_RIDGE: Final = 4.0
"""How many rows' worth of belief there is in the prior weights."""
_STEPS: Final = 12


def fit_logistic(x: FloatArray, y: FloatArray, prior: FloatArray) -> tuple[FloatArray, float]:
    """Fit a logistic regression by Newton's method, drawn towards prior weights.

    Args:
        x: shape (n_rows, n_features).
        y: shape (n_rows,). What is predicted. Ratio.
        prior: shape (n_features,). Weights in the absence of evidence.

    Returns:
        shape (n_features,) weights; and the offset.
    """
    design = np.column_stack([x, np.ones(len(x))])
    pull = np.append(np.full(x.shape[1], _RIDGE), 1e-3)
    target = np.append(prior, 0.0)
    weights = target.copy()
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (p - y) + pull * (weights - target)
        curvature = (design * np.maximum(p * (1 - p), 1e-6)[:, None]).T @ design + np.diag(pull)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-4:  # noqa: PLR2004  the next step would be its square
            break
    return weights[:-1], float(weights[-1])
