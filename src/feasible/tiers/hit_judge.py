"""P(the answer to one question is right for another), learnt from pairs of questions.

A logistic regression whose signs are fixed: whatever tells two questions apart can only lower the
probability, whatever they share can only raise it. So a pair with a difference never seen before
still falls, and no coincidence of the pairs it learnt from is turned into a rule.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from feasible.errors import ModelFileError
from feasible.tiers.hit_features import MISMATCHES

__all__ = ["CLASS_COLUMNS", "COLUMNS", "HitJudge", "Pair", "cache_pairs", "fit_judge"]

Float64: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

COLUMNS: Final = (*MISMATCHES, "cosine")
"""What two questions alone tell."""
CLASS_COLUMNS: Final = ("predicted", "margin", "agreement")
"""What a classifier of the same rows tells, where the answers are its classes."""
HARD: Final = frozenset({"negation", "antonym", "number", "name", "direction"})
"""Differences that the rows of one feature rarely show and that turn an answer around."""

_FOR: Final = frozenset({"shared", "letters", "alike", "cosine", *CLASS_COLUMNS})
_PENALTY: Final = 0.05
_PAIRS: Final = Path(__file__).with_name("cache_pairs.csv")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions written by hand, and whether one answer is right for both.

    Attributes:
        kind: What tells them apart, or `paraphrase`.
        question_a: One question.
        question_b: The other.
        same_answer: Whether the answer to one is right for the other.
        split: `fit` trains the judge; `certify` and `unseen` are kept from it.
    """

    kind: str
    question_a: str
    question_b: str
    same_answer: bool
    split: Literal["fit", "certify", "unseen"]


def cache_pairs(*splits: str) -> list[Pair]:
    """Give the pairs that ship with Feasible.

    Args:
        splits: Which of them; all when none is named.

    Examples:
        >>> {pair.same_answer for pair in cache_pairs("fit") if pair.kind == "negation"}
        {False}
    """
    with _PAIRS.open(newline="", encoding="utf-8") as file:
        return [
            Pair(
                row["kind"],
                row["question_a"],
                row["question_b"],
                row["same_answer"] == "1",
                cast("Literal['fit', 'certify', 'unseen']", row["split"]),
            )
            for row in csv.DictReader(file)
            if not splits or row["split"] in splits
        ]


@dataclass(frozen=True, slots=True)
class HitJudge:
    """A fitted judge.

    Attributes:
        weights: Log-odds of one unit of each of `COLUMNS`.
        base: Log-odds of a pair with nothing to tell.
        class_weights: The same for `COLUMNS` and `CLASS_COLUMNS` where answers are classes; None
            when no classes were learnt.
        class_base: As `base`, where answers are classes.
    """

    weights: Float64
    base: float
    class_weights: Float64 | None = None
    class_base: float = 0.0

    def probability(self, pairs: Float64, evidence: Float64 | None = None) -> Float64:
        """Give P(right) of pairs. Ratio.

        Args:
            pairs: shape (n, len(COLUMNS)).
            evidence: shape (n, len(CLASS_COLUMNS)); None or NaN where answers are not classes.
        """
        logits = pairs @ self.weights + self.base
        if evidence is not None and self.class_weights is not None:
            known = ~np.isnan(evidence).any(axis=1)
            both = np.hstack([pairs[known], evidence[known]])
            logits[known] = both @ self.class_weights + self.class_base + self.penalty(pairs[known])
        return np.asarray(1 / (1 + np.exp(-logits)))

    def penalty(self, pairs: Float64) -> Float64:
        """Give what the differences of a pair cost by hand-written pairs, where one is hard.

        Rows of one feature rarely differ in a negation or a name alone. They say nothing about
        such pairs and cannot unlearn what the hand-written ones taught.
        """
        against = [name not in _FOR for name in COLUMNS]
        unlike = self.weights[COLUMNS.index("alike")]
        return np.where(_is_hard(pairs), pairs[:, against] @ self.weights[against] - unlike, 0.0)

    def facts(self) -> dict[str, Any]:
        """Give what belongs into a model's JSON file."""
        return {"base": self.base, "class_base": self.class_base}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give what belongs into a model's array file."""
        learnt = {} if self.class_weights is None else {"class_weights": self.class_weights}
        return {"weights": self.weights, **learnt}

    @classmethod
    def read(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> HitJudge:
        """Take what `facts` and `arrays` gave.

        Raises:
            ModelFileError: Parts are missing or do not fit together.
        """
        learnt = arrays.get("class_weights")
        try:
            judge = cls(arrays["weights"], float(facts["base"]), learnt, float(facts["class_base"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                "a stored judge is not whole", found=f"no {error}", attempt="fit it again"
            ) from error
        wanted = (len(COLUMNS),), (len(COLUMNS) + len(CLASS_COLUMNS),)
        found = judge.weights.shape, wanted[1] if learnt is None else learnt.shape
        if found != wanted:
            raise ModelFileError(
                "the parts of a stored judge do not fit together",
                asked=f"weights of shape {wanted}",
                found=f"{found}",
                attempt="fit it again",
            )
        return judge


def fit_judge(
    pairs: Float64,
    right: Bools,
    *,
    rows: Float64 | None = None,
    evidence: Float64 | None = None,
    rows_right: Bools | None = None,
) -> HitJudge:
    """Learn from hand-written pairs and, where there are classes, from pairs of rows.

    Args:
        pairs: Hand-written pairs, shape (n, len(COLUMNS)).
        right: Whether one answer was right for both, shape (n,).
        rows: Pairs of rows, shape (m, len(COLUMNS)); None when there are none.
        evidence: What the classifier tells of them, shape (m, len(CLASS_COLUMNS)).
        rows_right: Whether they have one answer, shape (m,).
    """
    weights, base = _fit_signed(pairs, right, COLUMNS)
    if rows is None or evidence is None or rows_right is None:
        return HitJudge(weights, base)
    soft = ~_is_hard(rows)
    if len(set(rows_right[soft].tolist())) == 1:
        return HitJudge(weights, base)
    both = np.hstack([rows, evidence])[soft]
    names = (*COLUMNS, *CLASS_COLUMNS)
    return HitJudge(weights, base, *_fit_signed(both, rows_right[soft], names))


def _is_hard(pairs: Float64) -> Bools:
    """Claim that a pair differs in what turns an answer around."""
    hard = [name in HARD for name in COLUMNS]
    return np.asarray(pairs[:, hard].any(axis=1))


def _fit_signed(features: Float64, right: Bools, names: Sequence[str]) -> tuple[Float64, float]:
    """Fit logistic regression with an L2 penalty, every weight on its own side of zero."""
    # Imported here: a service that loads a fitted judge does not wait for it.
    from scipy.optimize import minimize  # noqa: PLC0415

    sign = np.where(right, 1.0, -1.0)

    def loss(point: Float64) -> tuple[float, Float64]:
        weights = point[:-1]
        agreed = sign * (features @ weights + point[-1])
        pull = -sign / (1 + np.exp(agreed))
        total = np.logaddexp(0, -agreed).sum() + _PENALTY * weights @ weights
        return total, np.append(features.T @ pull + 2 * _PENALTY * weights, pull.sum())

    bounds = [(0, None) if name in _FOR else (None, 0) for name in names] + [(None, None)]
    found = minimize(loss, np.zeros(len(bounds)), jac=True, bounds=bounds, method="L-BFGS-B").x
    return np.asarray(found[:-1]), float(found[-1])
