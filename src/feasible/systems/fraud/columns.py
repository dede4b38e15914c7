"""What the models of the fraud system look at: one definition, for training and for serving.

A payment itself is one of the events of its windows. Frauds are counted by when they were made, and
only once they were reported: `delay_days` is how long after a payment its report is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from feasible.features import DAY_MS, Feature, FeatureSet, Ratio, Window
from feasible.schema import FloatArray, IntArray
from feasible.systems.fraud.payments import PAYMENTS, REPORTS

__all__ = ["card_features", "column_names", "design", "handbook_features"]

HOUR_MS: Final = DAY_MS // 24
_SPANS: Final = {"1h": HOUR_MS} | {f"{days}d": days * DAY_MS for days in (1, 3, 7, 14, 30, 60)}
_RISK_DAYS: Final = (1, 3, 7, 14, 21, 30)
_TERMINAL_DAYS: Final = (1, 7, 30)
_CARD_FRAUD_DAYS: Final = (7, 14, 30)
_USUAL: Final = "mean_60d_before_14d"
_DERIVED: Final = (
    "cents",
    "hour",
    "is_weekend",
    "to_mean_7d",
    "to_mean_30d",
    "to_mean_60d",
    "to_usual",
    "mean_1d_to_usual",
    "mean_3d_to_usual",
    "mean_7d_to_usual",
    "mean_14d_to_usual",
    "to_terminal_mean_30d",
)


def card_features(*, delay_days: int, max_report_age_ms: int | None = None) -> FeatureSet:
    """Give the windows of the boosted model.

    Args:
        delay_days: Days before a payment at which counts of reported frauds end.
        max_report_age_ms: Most time since reports were last heard of; None: they never go stale.
    """
    ages = {} if max_report_age_ms is None else {REPORTS: max_report_age_ms}
    return FeatureSet((*_of_card(delay_days), *_of_terminal(delay_days)), ages)


def handbook_features(*, delay_days: int = 7) -> FeatureSet:
    """Give the twelve windows that the Fraud Detection Handbook describes, in its order."""
    found: list[Feature] = []
    for days in (1, 7, 30):
        found += _counted_and_mean("customer", f"{days}d", days * DAY_MS)
    for days in (1, 7, 30):
        made, _, risk = _risk(days, delay_days)
        found += [made, risk]
    return FeatureSet(tuple(found))


def column_names(wanted: FeatureSet) -> tuple[str, ...]:
    """Give the names of the columns of `design`."""
    return (*wanted.names, *_DERIVED)


def design(
    wanted: FeatureSet, values: FloatArray, cents: IntArray, time_ms: IntArray
) -> npt.NDArray[np.float32]:
    """Give what the model looks at: windows, the payment itself, and how unusual it is.

    Args:
        wanted: `card_features`.
        values: Windows, shape (n, n_features).
        cents: Amounts, shape (n,).
        time_ms: When each was made, shape (n,).

    Returns:
        shape (n, n_columns), the columns of `column_names`.
    """
    at = {name: number for number, name in enumerate(wanted.names)}

    def mean(name: str) -> FloatArray:
        return np.maximum(values[:, at[name]], 1.0)

    usual = mean(f"customer_{_USUAL}")
    hours = time_ms // HOUR_MS
    derived = [
        cents,
        hours % 24,
        (hours // 24 + 3) % 7 >= 5,  # 1970 began on a Thursday  # noqa: PLR2004
        *(cents / mean(f"customer_mean_{span}") for span in ("7d", "30d", "60d")),
        cents / usual,
        *(mean(f"customer_mean_{span}") / usual for span in ("1d", "3d", "7d", "14d")),
        cents / mean("terminal_mean_30d"),
    ]
    return np.column_stack([values, *derived]).astype(np.float32)


def _counted_and_mean(
    key: str, span: str, length_ms: int, *, delay_ms: int = 0
) -> tuple[Window, Ratio]:
    counted = Window(f"{key}_payments_{span}", PAYMENTS, key, length_ms, delay_ms)
    cents = Window(f"{key}_cents_{span}", PAYMENTS, key, length_ms, delay_ms, value="cents")
    return counted, Ratio(f"{key}_mean_{span}", cents, counted)


def _risk(days: int, delay_days: int) -> tuple[Window, Window, Ratio]:
    """Give payments, reported frauds and their share at a terminal, up to some days ago."""
    length_ms, delay_ms = days * DAY_MS, delay_days * DAY_MS
    made = Window(f"terminal_known_{days}d", PAYMENTS, "terminal", length_ms, delay_ms)
    frauds = Window(f"terminal_frauds_{days}d", REPORTS, "terminal", length_ms, delay_ms)
    return made, frauds, Ratio(f"terminal_risk_{days}d", frauds, made)


def _of_card(delay_days: int) -> Iterator[Feature]:
    for span, length_ms in _SPANS.items():
        yield from _counted_and_mean("customer", span, length_ms)
    yield from _counted_and_mean("customer", "60d_before_14d", 60 * DAY_MS, delay_ms=14 * DAY_MS)
    for days in _CARD_FRAUD_DAYS:
        delay_ms = delay_days * DAY_MS
        yield Window(f"customer_frauds_{days}d", REPORTS, "customer", days * DAY_MS, delay_ms)


def _of_terminal(delay_days: int) -> Iterator[Feature]:
    for days in _RISK_DAYS:
        yield from _risk(days, delay_days)
    for days in _TERMINAL_DAYS:
        yield from _counted_and_mean("terminal", f"{days}d", days * DAY_MS)
    old = (30 + delay_days) * DAY_MS
    yield Window("terminal_frauds_before_30d", REPORTS, "terminal", 30 * DAY_MS, old)
