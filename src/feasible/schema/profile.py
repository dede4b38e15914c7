"""What every tier would have answered to every row: the only thing a planner looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["BoolArray", "FloatArray", "IntArray", "Profile"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Profile:
    """Rows by tiers. Columns are in the order of `tiers`, cheapest first; unknown is NaN, never 0.

    Attributes:
        row_ids: shape (n_rows,), unique.
        tiers: Names, length n_tiers.
        loss: shape (n_rows, n_tiers). Ratio 0 to 1; NaN when unlabelled or when the tier abstained.
        answered: shape (n_rows, n_tiers). False where the tier abstained.
        score: shape (n_rows, n_tiers). Raw, higher is surer; NaN when the tier gives none.
        answer_class: shape (n_rows, n_tiers). Index into `classes`; -1 when unknown or abstained.
        classes: Answer values seen, as text.
        latency_ms: shape (n_rows, n_tiers). Milliseconds of one call on its own; NaN when unknown.
        cost_usd: shape (n_rows, n_tiers). Dollars of one call; NaN when unknown.
        slices: Name -> membership, shape (n_rows,).
        label: Truth as text, shape (n_rows,), None when unknown; None when the profile has no
        labels.
        is_test: shape (n_rows,): rows kept for certification. None when no split was published.
        time_s: Seconds since the epoch, shape (n_rows,); None when rows carry no time.
        entity: shape (n_rows,); None when rows carry no entity.
        text: shape (n_rows,); None when rows carry no text.
        simulated: Tiers whose answers are not real. They never enter a quality certificate.
    """

    row_ids: tuple[str, ...]
    tiers: tuple[str, ...]
    loss: FloatArray
    answered: BoolArray
    score: FloatArray
    answer_class: IntArray
    classes: tuple[str, ...]
    latency_ms: FloatArray
    cost_usd: FloatArray
    slices: dict[str, BoolArray] = field(default_factory=dict)
    label: tuple[str | None, ...] | None = None
    is_test: BoolArray | None = None
    time_s: FloatArray | None = None
    entity: tuple[str, ...] | None = None
    text: tuple[str, ...] | None = None
    simulated: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.row_ids)

    def take(self, rows: IntArray | BoolArray) -> Profile:
        """Give the profile of some rows, in the order asked for."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows

        def some(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
            return None if values is None else tuple(values[i] for i in index)

        return Profile(
            row_ids=tuple(self.row_ids[i] for i in index),
            tiers=self.tiers,
            loss=self.loss[index],
            answered=self.answered[index],
            score=self.score[index],
            answer_class=self.answer_class[index],
            classes=self.classes,
            latency_ms=self.latency_ms[index],
            cost_usd=self.cost_usd[index],
            slices={name: member[index] for name, member in self.slices.items()},
            label=None if self.label is None else tuple(self.label[i] for i in index),
            is_test=None if self.is_test is None else self.is_test[index],
            time_s=None if self.time_s is None else self.time_s[index],
            entity=some(self.entity),
            text=some(self.text),
            simulated=self.simulated,
        )
