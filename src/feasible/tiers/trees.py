"""Boosted trees as plain arrays: fitted by scikit-learn, answered without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feasible.errors import ModelFileError
from feasible.schema import BoolArray, FloatArray, IntArray

__all__ = ["BoostedTrees", "fit_trees"]

_STOP: Final = -1
"""Feature of a leaf."""
_SAME: Final = 1e-9
_CHECKED: Final = 200


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """The sum of many trees, as log-odds of one class.

    Attributes:
        start: Log-odds before any tree.
        roots: First node of each tree, shape (n_trees,).
        feature: Column that a node compares, shape (n_nodes,); -1 at a leaf.
        limit: Left is for values up to it, shape (n_nodes,).
        left: Node on the left, the same.
        right: Node on the right, the same; where a value is missing, too.
        value: What a leaf adds, the same.
    """

    start: float
    roots: IntArray
    feature: IntArray
    limit: FloatArray
    left: IntArray
    right: IntArray
    value: FloatArray

    def log_odds(self, rows: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Give the log-odds of many rows, shape (n_rows, n_columns) -> (n_rows,)."""
        total = np.full(len(rows), self.start)
        every = np.arange(len(rows))
        for root in self.roots:
            node = np.full(len(rows), root)
            while True:
                column = self.feature[node]
                inner = column >= 0
                if not inner.any():
                    break
                goes_left = rows[every, np.maximum(column, 0)] <= self.limit[node]
                node = np.where(inner, np.where(goes_left, self.left[node], self.right[node]), node)
            total += self.value[node]
        return total

    def walker(self) -> _Walker:
        """Give what answers one row at a time in the least time."""
        return _Walker(self)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give what belongs into a model's array file."""
        names = ("roots", "feature", "limit", "left", "right", "value")
        return {f"trees_{name}": getattr(self, name) for name in names} | {
            "trees_start": np.array([self.start])
        }

    @classmethod
    def read(cls, arrays: Mapping[str, npt.NDArray[Any]], n_columns: int) -> BoostedTrees:
        """Take what `arrays` gave.

        Raises:
            ModelFileError: Parts are missing or do not fit together.
        """
        try:
            names = ("roots", "feature", "limit", "left", "right", "value")
            found = cls(
                float(arrays["trees_start"][0]), *(arrays[f"trees_{name}"] for name in names)
            )
        except KeyError as error:
            raise ModelFileError(
                "stored trees are not whole", found=f"no {error}", attempt="fit them again"
            ) from error
        nodes = len(found.feature)
        at = np.concatenate([found.roots, found.left, found.right])
        if at.min(initial=0) < 0 or at.max(initial=0) >= nodes or found.feature.max() >= n_columns:
            raise ModelFileError(
                "the parts of stored trees do not fit together",
                asked=f"{n_columns} columns and {nodes} nodes",
                found=f"column {found.feature.max()}, node {at.max(initial=0)}",
                attempt="fit them again",
            )
        return found


class _Walker:
    """Trees as lists: a walk of one row through them costs no array of its own."""

    def __init__(self, trees: BoostedTrees) -> None:
        self._start, self._roots = trees.start, trees.roots.tolist()
        self._feature, self._limit = trees.feature.tolist(), trees.limit.tolist()
        self._left, self._right = trees.left.tolist(), trees.right.tolist()
        self._value = trees.value.tolist()

    def __call__(self, row: Sequence[float]) -> float:
        """Give the log-odds of one row."""
        feature, limit, left, right = self._feature, self._limit, self._left, self._right
        total = self._start
        for root in self._roots:
            node = root
            column = feature[node]
            while column >= 0:
                node = left[node] if row[column] <= limit[node] else right[node]
                column = feature[node]
            total += self._value[node]
        return float(total)


def fit_trees(
    rows: npt.NDArray[np.float32],
    is_positive: BoolArray,
    *,
    n_trees: int,
    learning_rate: float,
    leaves: int,
    fewest: int = 20,
    penalty: float = 1.0,
    weight: FloatArray | None = None,
    seed: int = 0,
) -> BoostedTrees:
    """Fit boosted trees to two classes.

    Args:
        rows: shape (n_rows, n_columns), without missing values.
        is_positive: Class, shape (n_rows,).
        n_trees: Trees, > 0.
        learning_rate: Share of each tree that is added. Ratio.
        leaves: Most leaves of a tree.
        fewest: Fewest rows of a leaf.
        penalty: L2 penalty on what a leaf adds.
        weight: Of each row, shape (n_rows,); the same for all when absent.
        seed: Makes the bins repeatable.
    """
    # A service that loads fitted trees needs neither scikit-learn's import time nor its memory.
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    model = HistGradientBoostingClassifier(
        max_iter=n_trees,
        learning_rate=learning_rate,
        max_leaf_nodes=leaves,
        min_samples_leaf=fewest,
        l2_regularization=penalty,
        early_stopping=False,
        random_state=seed,
    )
    # Sums are rounded differently by another number of threads.
    with threadpool_limits(limits=1):
        model.fit(rows, is_positive, sample_weight=weight)
    found = _as_arrays(model)
    some = rows[:_CHECKED]
    apart = float(np.abs(found.log_odds(some) - model.decision_function(some)).max(initial=0.0))
    if apart > _SAME:  # scikit-learn keeps its trees in a place that it may change
        raise ModelFileError(
            "boosted trees say something else as plain arrays",
            asked="the log-odds that scikit-learn gives",
            found=f"a difference of {apart:g}",
            attempt="use a release of scikit-learn that the lock file names",
        )
    return found


def _as_arrays(model: Any) -> BoostedTrees:
    """Take fitted trees apart, one after the other into the same arrays."""
    roots, parts, begin = [], [], 0
    for (tree,) in model._predictors:  # noqa: SLF001  there is no public way, so it is checked above
        nodes = tree.nodes
        is_leaf = nodes["is_leaf"].astype(np.bool_)
        here = np.arange(begin, begin + len(nodes))
        parts.append(
            (
                np.where(is_leaf, _STOP, nodes["feature_idx"]).astype(np.int64),
                np.where(is_leaf, 0.0, nodes["num_threshold"]).astype(np.float64),
                np.where(is_leaf, here, nodes["left"].astype(np.int64) + begin),
                np.where(is_leaf, here, nodes["right"].astype(np.int64) + begin),
                np.where(is_leaf, nodes["value"], 0.0).astype(np.float64),
            )
        )
        roots.append(begin)
        begin += len(nodes)
    feature, limit, left, right, value = (np.concatenate(one) for one in zip(*parts, strict=True))
    start = float(np.ravel(model._baseline_prediction)[0])  # noqa: SLF001  the same
    return BoostedTrees(start, np.array(roots, dtype=np.int64), feature, limit, left, right, value)
