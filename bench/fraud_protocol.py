"""The Fraud Detection Handbook's way of judging, re-implemented from its description.

Train on some days, wait for labels, test on the days after. Payments of cards that are known by
then to be compromised are left out. Card precision@k: each day the k cards with the highest scores
are checked; compromised ones that are found leave the pool of the days after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from feasible.features import DAY_MS
from feasible.schema import FloatArray, IntArray
from feasible.systems.fraud.payments import Payments

__all__ = ["FOLDS", "WINDOW", "Fold", "Judged", "card_precision", "judge", "published_order"]

Order: TypeAlias = Callable[[FloatArray], npt.NDArray[np.int64]]

_SMALL: Final = 16


@dataclass(frozen=True)
class Fold:
    """Which days train and which test.

    Attributes:
        first: First day of the seven days of training that the handbook uses, as ISO date.
        test_days: Days of the test.
        train_days: Days of training in its place, ending on the same day.
        delay_days: Days between training and test, in which labels arrive.
    """

    first: str
    test_days: int = 7
    train_days: int = 7
    delay_days: int = 7

    @property
    def test_first(self) -> np.datetime64:
        """Give the first day of the test."""
        return np.datetime64(self.first) + 7 + self.delay_days

    @property
    def dates(self) -> str:
        """Give the days of the test in words."""
        return f"{self.test_first}..{self.test_first + self.test_days - 1}"

    def train(self, payments: Payments) -> IntArray:
        """Give the rows of training."""
        end = _day(np.datetime64(self.first)) + 7
        day = payments.time_ms // DAY_MS
        return np.flatnonzero((day >= end - self.train_days) & (day < end))

    def test(self, payments: Payments) -> IntArray:
        """Give the rows of the test, without cards that are known to be compromised by then."""
        day, fraud, card = payments.time_ms // DAY_MS, payments.is_fraud, payments.customer
        begin = _day(np.datetime64(self.first))
        known = set(card[fraud & (day >= begin) & (day < begin + 7)].tolist())
        rows = []
        for today in range(_day(self.test_first), _day(self.test_first) + self.test_days):
            known |= set(card[fraud & (day == today - self.delay_days - 1)].tolist())
            made = np.flatnonzero(day == today)
            rows.append(made[~np.isin(card[made], list(known))])
        return np.concatenate(rows)


WINDOW: Final = Fold("2018-07-25")
"""The handbook's own window: train 2018-07-25..31, test 2018-08-08..14."""

FOLDS: Final = (WINDOW, Fold("2018-08-01"), Fold("2018-08-08"), Fold("2018-08-15", test_days=5))
"""Four successive test weeks; the public file ends on 2018-09-02, on the fifth day of the last."""


@dataclass(frozen=True)
class Judged:
    """What a model reaches on one fold.

    Attributes:
        auc: Area under the ROC curve.
        average_precision: Area under the precision-recall curve, as steps.
        card_precision: Mean of `daily`.
        daily: Share of the checked cards that are compromised, day by day.
        left: Compromised cards that are in the pool, day by day.
    """

    auc: float
    average_precision: float
    card_precision: float
    daily: tuple[float, ...]
    left: tuple[int, ...]


def judge(
    payments: Payments, rows: IntArray, score: FloatArray, *, order: Order | None = None
) -> Judged:
    """Judge scores of test rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score  # noqa: PLC0415

    truth = payments.is_fraud[rows]
    daily, left = card_precision(payments, rows, score, order=order)
    return Judged(
        float(roc_auc_score(truth, score)),
        float(average_precision_score(truth, score)),
        float(np.mean(daily)),
        daily,
        left,
    )


def card_precision(
    payments: Payments,
    rows: IntArray,
    score: FloatArray,
    *,
    k: int = 100,
    order: Order | None = None,
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Give the share of compromised cards among the k checked each day, and those in the pool.

    Args:
        payments: All of them.
        rows: Rows of the test.
        score: Their scores, higher is more suspicious.
        k: Cards that are checked each day.
        order: From least to most suspicious; who comes first of equals is the order's own business.
    """
    found: set[int] = set()
    daily, left = [], []
    day = payments.time_ms[rows] // DAY_MS
    for today in np.unique(day):
        here = (day == today) & ~np.isin(payments.customer[rows], list(found))
        cards, place = np.unique(payments.customer[rows[here]], return_inverse=True)
        top, is_bad = np.full(len(cards), -np.inf), np.zeros(len(cards), dtype=np.bool_)
        np.maximum.at(top, place, score[here])
        np.logical_or.at(is_bad, place, payments.is_fraud[rows[here]])
        # Reversed before and after: among equals of a stable order the lowest card comes first.
        ascending = (order or _stable)(top[::-1])
        checked = (len(cards) - 1 - ascending)[::-1][:k]
        hits = is_bad[checked]
        daily.append(float(hits.sum()) / k)
        left.append(int(is_bad.sum()))
        found |= set(cards[checked][hits].tolist())
    return tuple(daily), tuple(left)


def published_order(values: FloatArray) -> npt.NDArray[np.int64]:
    """Order as the published figures did, equals included.

    A tree of depth two knows four scores, so that who is checked of many equal cards is left to the
    sort. The handbook's was a quicksort with the median of three as pivot that leaves pieces of at
    most 16 to insertion. Today's numpy sorts equals differently on different processors.
    """
    found = list(range(len(values)))
    keys = values.tolist()
    pieces = [(0, len(found) - 1)]
    while pieces:
        low, high = pieces.pop()
        while high - low > _SMALL:
            middle = _partition(found, keys, low, high)
            pieces.append((middle + 1, high))
            high = middle - 1
        for i in range(low + 1, high + 1):
            moved, j = found[i], i
            while j > low and keys[moved] < keys[found[j - 1]]:
                found[j] = found[j - 1]
                j -= 1
            found[j] = moved
    return np.array(found, dtype=np.int64)


def _partition(found: list[int], keys: list[float], low: int, high: int) -> int:
    """Put the median of three where it belongs and give its place."""

    def swap(i: int, j: int) -> None:
        found[i], found[j] = found[j], found[i]

    middle = (low + high) // 2
    for a, b in ((middle, low), (high, middle), (middle, low)):
        if keys[found[a]] < keys[found[b]]:
            swap(a, b)
    pivot = keys[found[middle]]
    i, j = low, high - 1
    swap(middle, j)
    while True:
        i += 1
        while keys[found[i]] < pivot:
            i += 1
        j -= 1
        while pivot < keys[found[j]]:
            j -= 1
        if i >= j:
            break
        swap(i, j)
    swap(i, high - 1)
    return i


def _stable(values: FloatArray) -> npt.NDArray[np.int64]:
    return np.argsort(values, kind="stable")


def _day(date: np.datetime64) -> int:
    return int(date.astype("datetime64[D]").astype(np.int64))
