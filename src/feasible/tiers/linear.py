"""A linear classifier: multinomial logistic regression over any features."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from feasible.errors import DataError, ModelFileError, nearest
from feasible.schema import Answer, Example

__all__ = ["LinearHead", "check_care", "fit_linear", "labelled", "labels_on"]

Float32: TypeAlias = npt.NDArray[np.float32]
Features: TypeAlias = Float32 | sparse.csr_matrix

# Sparse rows of a large set see 10 passes, a few hundred rows see up to 200: on 8,003 rows of
# n-grams and 77 classes, 10 passes of saga give the accuracy of 40 steps of lbfgs (0.900 against
# 0.902, +-0.007) in a sixth of the time. On 384 dense columns lbfgs is the quicker one.
_ROW_VISITS: Final = 100_000
_PASSES: Final = (10, 200)
_STEPS: Final = 60
_FEWEST: Final = 2


@dataclass(frozen=True, slots=True)
class LinearHead:
    """A fitted classifier.

    Attributes:
        classes: Answer values, in the order of the columns.
        coef: float32, shape (n_features, n_classes).
        intercept: float32, shape (n_classes,).
    """

    classes: tuple[Any, ...]
    coef: Float32
    intercept: Float32

    def answers(self, features: Features) -> list[Answer]:
        """Give the likeliest class of each row; score = its softmax share, 1/n_classes to 1."""
        logits = np.asarray(features @ self.coef) + self.intercept
        best = logits.argmax(axis=1)
        top = logits.max(axis=1)
        share = 1 / np.exp(logits - top[:, None]).sum(axis=1)
        return [
            Answer(self.classes[column], score=float(score))
            for column, score in zip(best.tolist(), share.tolist(), strict=True)
        ]

    def careful(self, labels: Collection[Any], *, care: float) -> LinearHead:
        """Give a head for which missing some classes costs `care` times any other error.

        Their shares are multiplied by `care` before the likeliest class is chosen: the decision of
        least expected cost, and a score that is low wherever one of them is a rival.
        """
        extra = [np.log(care) if value in labels else 0.0 for value in self.classes]
        return replace(self, intercept=self.intercept + np.asarray(extra, dtype=np.float32))

    def facts(self) -> dict[str, Any]:
        """Give what belongs into a model's JSON file."""
        return {"classes": list(self.classes)}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give what belongs into a model's array file."""
        return {"coef": self.coef, "intercept": self.intercept}

    @classmethod
    def read(
        cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], n_features: int
    ) -> LinearHead:
        """Take what `facts` and `arrays` gave.

        Raises:
            ModelFileError: Parts are missing or do not fit together.
        """
        try:
            head = cls(tuple(facts["classes"]), arrays["coef"], arrays["intercept"])
        except (KeyError, TypeError) as error:
            raise ModelFileError(
                "a stored classifier is not whole", found=f"no {error}", attempt="fit it again"
            ) from error
        wanted = (n_features, len(head.classes))
        if head.coef.shape != wanted or head.intercept.shape != wanted[1:]:
            raise ModelFileError(
                "the parts of a stored classifier do not fit together",
                asked=f"coefficients of shape {wanted}",
                found=f"{head.coef.shape} and {head.intercept.shape}",
                attempt="fit it again",
            )
        return head


def labelled(examples: Sequence[Example], who: str) -> tuple[list[Example], list[Any]]:
    """Give the rows that have a label, and their labels.

    Raises:
        DataError: There are none, only one class, or a label is not text, a number or a boolean.
    """
    rows = [row for row in examples if row.label is not None]
    labels = [row.label for row in rows]
    strange = next((x for x in labels if not isinstance(x, str | int | float | bool)), None)
    if strange is not None:
        raise DataError(
            f"tier {who!r} cannot learn from a label that is a {type(strange).__name__}",
            asked="labels that are text, numbers or true/false",
            found=repr(strange)[:200],
            attempt="use another tier for structured answers, or map labels to words in data.py",
        )
    kinds = {_key(label) for label in labels}
    if len(kinds) < _FEWEST:
        raise DataError(
            f"tier {who!r} cannot learn to tell classes apart from these rows",
            asked="rows of at least 2 classes",
            found=f"{len(rows)} labelled of {len(examples)} rows, {len(kinds)} classes",
            attempt="add labelled rows of the other classes, or leave this tier out of the brief",
        )
    return rows, labels


def labels_on(rows: Sequence[Example], name: str, who: str) -> frozenset[Any]:
    """Give the labels that lie on a slice: at least half of their rows do.

    Raises:
        DataError: There are none.
    """
    total = Counter(row.label for row in rows)
    inside = Counter(row.label for row in rows if name in row.slices)
    found = frozenset(label for label, count in inside.items() if 2 * count >= total[label])
    if not found:
        slices = sorted({one for row in rows for one in row.slices})
        close = nearest(name, slices)
        raise DataError(
            f"tier {who!r} cannot be careful on slice {name!r}",
            asked="a label at least half of whose rows lie there",
            found=f"slices of the rows: {', '.join(slices) or 'none'}",
            attempt=f"`{close}`?" if close else "give `slices` in data.py, or leave it out",
        )
    return found


def check_care(careful_on: str, care: float) -> None:
    """Refuse settings that would do nothing.

    Raises:
        ValueError: `care` is below 1, or there is one without the other.
    """
    if not care >= 1:
        raise ValueError(f"care is at least 1; found {care}")
    if bool(careful_on) != (care > 1):
        raise ValueError(
            f"careful_on names a slice and care is above 1, or neither is given; "
            f"found careful_on={careful_on!r} and care={care}"
        )


def fit_linear(
    features: Features, labels: Sequence[Any], *, inverse_penalty: float, seed: int
) -> LinearHead:
    """Fit multinomial logistic regression with an L2 penalty.

    Args:
        features: shape (n_rows, n_features).
        labels: One per row, at least two classes.
        inverse_penalty: scikit-learn's `C`, > 0; larger follows the rows more closely.
        seed: Order in which rows are visited.
    """
    # Imported here because a service that loads a fitted model needs neither the second that
    # scikit-learn takes to import nor its memory.
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    # scikit-learn requires it, so that it is always there.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

    by_key = {_key(label): label for label in labels}
    order = {key: index for index, key in enumerate(sorted(by_key))}
    targets = np.asarray([order[_key(label)] for label in labels])
    if sparse.issparse(features):
        passes = int(np.clip(_ROW_VISITS // len(targets), *_PASSES))
        model = LogisticRegression(
            C=inverse_penalty, solver="saga", max_iter=passes, tol=1e-3, random_state=seed
        )
    else:
        model = LogisticRegression(C=inverse_penalty, max_iter=_STEPS)
    # One thread: the matrices are too small to share. Two threads took twice as long on two free
    # cores and ten times as long beside another busy process (1.1 s, 2.2 s and up to 26 s), and
    # sums would round differently with the number of cores.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        # Stopping after a fixed number of rounds is the point: it bounds the time of a fit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, targets)
    coef, intercept = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(coef) == 1:  # two classes: one column of log-odds: the first class is the origin
        coef = np.vstack([np.zeros_like(coef), coef])
        intercept = np.concatenate([np.zeros_like(intercept), intercept])
    return LinearHead(
        classes=tuple(by_key[key] for key in order),
        coef=np.ascontiguousarray(coef.T, dtype=np.float32),
        intercept=intercept.astype(np.float32),
    )


def _key(label: Any) -> str:
    """Give text that tells 1, 1.0, True and "1" apart and sorts."""
    return json.dumps(label)
