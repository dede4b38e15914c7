"""Labels to start with: how good heuristic labelling functions are, without a single true label.

Functions that err independently of each other, given the truth, agree more often than chance, and
how often they agree in pairs tells how often each is right. That assumption is all there is to it:
two that copy each other look better than they are, so a launch on proxies says that it is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from feasible.schema import BoolArray, FloatArray, IntArray

__all__ = ["ProxyQuality", "proxy_quality"]

ABSTAINS: Final = -1
_STEPS: Final = 500
_STILL: Final = 1e-8
_FEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class ProxyQuality:
    """What is estimated of labelling functions and of the rows that they vote on.

    Attributes:
        accuracy: Chance that a vote is right. shape (n_functions,); NaN where it never votes.
        coverage: Share of the rows on which a function votes. shape (n_functions,).
        probability: P(label is 1) of each row. shape (n_rows,); NaN where nobody votes.
        label_accuracy: Estimated share of right labels among the rows that somebody votes on.
        covered: Rows that somebody votes on. shape (n_rows,).
        assumes: What has to be true for that.
    """

    accuracy: FloatArray
    coverage: FloatArray
    probability: FloatArray
    label_accuracy: float
    covered: BoolArray
    assumes: str = "functions err independently given the truth, and are right more often than not"


def proxy_quality(votes: IntArray) -> ProxyQuality:
    """Estimate accuracies and labels from votes alone.

    Args:
        votes: shape (n_rows, n_functions). 0, 1, or -1 where a function abstains.

    Raises:
        ValueError: Fewer than three functions vote: two that disagree tell nothing of who is right.

    Source:
        Dawid and Skene (1979), Applied Statistics 28(1), with one accuracy for each function.
    """
    voted = votes != ABSTAINS
    if (voted.any(axis=0)).sum() < _FEWEST:
        msg = f"three labelling functions or more must vote; found {int(voted.any(axis=0).sum())}"
        raise ValueError(msg)
    counts = voted.sum(axis=0)
    covered = voted.any(axis=1)
    says_one, says_zero = (votes == 1) & voted, (votes == 0) & voted
    accuracy, base = np.full(votes.shape[1], 0.7), 0.5
    p = np.full(len(votes), 0.5)
    for _ in range(_STEPS):
        weight = np.log(accuracy / (1 - accuracy))
        score = np.log(base / (1 - base)) + (says_one * 1.0 - says_zero * 1.0) @ weight
        p = 1 / (1 + np.exp(-np.clip(score, -500, 500)))
        right = (says_one * p[:, None] + says_zero * (1 - p[:, None])).sum(axis=0)
        fitted = np.clip((right + 1) / (counts + 2), 0.5 + 1e-6, 1 - 1e-6)
        base = float(np.clip(p[covered].mean(), 1e-6, 1 - 1e-6))
        moved = float(np.abs(fitted - accuracy).max())
        accuracy = fitted
        if moved < _STILL:
            break
    return ProxyQuality(
        accuracy=np.where(counts > 0, accuracy, np.nan),
        coverage=voted.mean(axis=0),
        probability=np.where(covered, p, np.nan),
        label_accuracy=float(np.maximum(p, 1 - p)[covered].mean()),
        covered=covered,
    )
