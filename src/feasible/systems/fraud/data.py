"""Rows of the fraud system: payments of the last 24 days before it is served, made up.

Which of them are frauds is known by construction. In the world itself reports come 3 to 28 days
later, and the features see only those that had come.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from feasible.errors import DataError
from feasible.features import DAY_MS
from feasible.schema import DataSet, Example
from feasible.systems.fraud.stream import HIGH_RISK_CENTS, history, history_ends_ms

__all__ = ["FRAUD", "GENUINE", "examples", "request_of", "slices_of"]

FRAUD, GENUINE = "fraud", "genuine"
_DAYS: Final = 24
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def examples(data: str | None = None) -> DataSet:
    """Give the labelled rows.

    Args:
        data: None: there is one data set, the synthetic one.

    Raises:
        DataError: Another one was asked for.
    """
    if data is not None:
        raise DataError(
            f"the fraud system has no data set {data!r}",
            found="one, made up: payments after the published description of a public generator",
            attempt="leave --data out",
        )
    return DataSet(
        name="synthetic card payments",
        examples=list(_rows()),
        synthetic=True,
        origin=f"{_DAYS} days of 800 made-up cards, with frauds of three made-up kinds",
    )


def request_of(
    payment: int, time_ms: int, customer: int, terminal: int, cents: int
) -> dict[str, Any]:
    """Give a payment as a request."""
    return {
        "payment": payment,
        "time_ms": time_ms,
        "customer": customer,
        "terminal": terminal,
        "cents": cents,
    }


def slices_of(cents: int) -> frozenset[str]:
    """Give the slices of a payment, which are known before anybody answers."""
    return frozenset({"high_risk"} if cents >= HIGH_RISK_CENTS else ())


def _rows() -> Iterator[Example]:
    every = history()
    found = every.take(every.time_ms >= history_ends_ms() - _DAYS * DAY_MS)
    columns = (found.payment, found.time_ms, found.customer, found.terminal, found.cents)
    lines = np.column_stack(columns).tolist()
    for line, is_fraud in zip(lines, found.is_fraud.tolist(), strict=True):
        request = request_of(*line)
        yield Example(
            str(request["payment"]),
            request,
            label=FRAUD if is_fraud else GENUINE,
            slices=slices_of(request["cents"]),
            time=_EPOCH + timedelta(milliseconds=request["time_ms"]),
            entity=f"card {request['customer']}",
        )
