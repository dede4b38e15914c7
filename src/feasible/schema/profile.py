"""What every tier would have answered to every row: the only thing a planner looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["BoolArray", "FloatArray", "IntArray", "Profile", "Truth"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Truth:
    """The labels of rows as numbers.

    Attributes:
        names: Labels that occur, here or in the rows that these were taken from, sorted.
        code: shape (n_rows,). Index into `names`; -1 where the label is unknown.
    """

    names: tuple[str, ...]
    code: IntArray
    _among: dict[frozenset[str], BoolArray] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    def among(self, names: frozenset[str]) -> BoolArray:
        """Say which rows have one of these labels."""
        if names not in self._among:
            wanted = np.array([*(name in names for name in self.names), False])
            self._among[names] = np.asarray(wanted[self.code])
        return self._among[names]


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
        propensity: Chance with which the row's label was asked for, above 0 to 1, shape (n_rows,);
            NaN where unknown. None when labels are a fair sample.
        known_at: When the row's label became known, seconds since the epoch, shape (n_rows,); NaN
            where unknown. None when nobody wrote it down.
        simulated: Tiers whose answers are not real. They never enter a quality certificate.
        agreed_with: Tier whose answers stand in for the truth: a loss is then a difference from
            them. None where losses are about being right.
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
    propensity: FloatArray | None = None
    known_at: FloatArray | None = None
    agreed_with: str | None = None
    _truth: Truth | None = field(init=False, default=None, compare=False, repr=False)

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.row_ids)

    @property
    def truth(self) -> Truth:
        """Give the labels as numbers, worked out once."""
        if self._truth is None:
            object.__setattr__(self, "_truth", _truth_of(self.label, len(self)))
        assert self._truth is not None  # noqa: S101  set above
        return self._truth

    def take(self, rows: IntArray | BoolArray) -> Profile:
        """Give the profile of some rows, in the order asked for."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        places = index.tolist()
        out = Profile(
            row_ids=_some(self.row_ids, places),
            tiers=self.tiers,
            loss=self.loss[index],
            answered=self.answered[index],
            score=self.score[index],
            answer_class=self.answer_class[index],
            classes=self.classes,
            latency_ms=self.latency_ms[index],
            cost_usd=self.cost_usd[index],
            slices={name: member[index] for name, member in self.slices.items()},
            label=None if self.label is None else _some(self.label, places),
            is_test=None if self.is_test is None else self.is_test[index],
            time_s=None if self.time_s is None else self.time_s[index],
            entity=None if self.entity is None else _some(self.entity, places),
            text=None if self.text is None else _some(self.text, places),
            simulated=self.simulated,
            propensity=None if self.propensity is None else self.propensity[index],
            known_at=None if self.known_at is None else self.known_at[index],
            agreed_with=self.agreed_with,
        )
        truth = self.truth
        object.__setattr__(out, "_truth", Truth(truth.names, truth.code[index]))
        return out


def _some(values: tuple[T, ...], places: list[int]) -> tuple[T, ...]:
    if len(places) > 1:
        found: tuple[T, ...] = itemgetter(*places)(values)
        return found
    return tuple(values[place] for place in places)


def _truth_of(labels: tuple[str | None, ...] | None, n: int) -> Truth:
    if labels is None:
        return Truth((), np.full(n, -1, dtype=np.int64))
    names = tuple(sorted({label for label in labels if label is not None}))
    number: dict[str | None, int] = {name: i for i, name in enumerate(names)}
    number[None] = -1
    return Truth(names, np.fromiter(map(number.__getitem__, labels), dtype=np.int64, count=n))
