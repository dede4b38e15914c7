"""Payments as columns, and the public handbook's files read into them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from feasible.schema import BoolArray, Events, IntArray
from feasible.systems.datasets import dataset_file

__all__ = ["HANDBOOK_FIRST_DAY", "PAYMENTS", "REPORTS", "Payments", "handbook_payments"]

HANDBOOK_FIRST_DAY = np.datetime64("2018-04-01")
PAYMENTS = "payments"
"""Source: every payment, known when it is asked about."""
REPORTS = "reports"
"""Source: payments that were reported as fraud, known when the report came."""


@dataclass(frozen=True, slots=True)
class Payments:
    """Card payments, in the order of time.

    Attributes:
        payment: Number of each, unique.
        time_ms: When it was made. Milliseconds since 1970 (UTC).
        customer: Card.
        terminal: Where it was made.
        cents: Amount.
        is_fraud: The truth.
        scenario: Which scenario made it a fraud; 0 for genuine ones.
    """

    payment: IntArray
    time_ms: IntArray
    customer: IntArray
    terminal: IntArray
    cents: IntArray
    is_fraud: BoolArray
    scenario: IntArray

    def __len__(self) -> int:
        return len(self.payment)

    def take(self, rows: IntArray | BoolArray) -> Payments:
        """Give some of them."""
        return Payments(
            self.payment[rows],
            self.time_ms[rows],
            self.customer[rows],
            self.terminal[rows],
            self.cents[rows],
            self.is_fraud[rows],
            self.scenario[rows],
        )

    def events(self) -> Events:
        """Give them as a stream that is known at once."""
        return Events(
            self.time_ms,
            self.time_ms,
            {"customer": self.customer, "terminal": self.terminal},
            {"cents": self.cents},
            ids=self.payment,
        )

    def reports(self, delay_ms: IntArray | int) -> Events:
        """Give the frauds as a stream of reports.

        Args:
            delay_ms: After which time each payment is reported. Milliseconds, one or shape (n,).
        """
        delays = np.broadcast_to(np.asarray(delay_ms, dtype=np.int64), len(self))
        fraud = self.is_fraud
        return Events(
            self.time_ms[fraud],
            self.time_ms[fraud] + delays[fraud],
            {"customer": self.customer[fraud], "terminal": self.terminal[fraud]},
            ids=self.payment[fraud],
        )


def handbook_payments() -> Payments:
    """Read the simulated transactions of the Fraud Detection Handbook.

    Raises:
        DataError: They are not in the data directory, or not as recorded.
    """
    file = dataset_file("fraud_handbook", "transactions_2018-04-01_2018-09-02.parquet")
    table = pq.read_table(file)

    def column(name: str) -> IntArray:
        return np.asarray(table[name].to_numpy(), dtype=np.int64)

    time_ms = np.asarray(table["TX_DATETIME"].cast("timestamp[ms]").cast("int64").to_numpy())
    cents = np.round(table["TX_AMOUNT"].to_numpy() * 100).astype(np.int64)
    return Payments(
        column("TRANSACTION_ID"),
        time_ms,
        column("CUSTOMER_ID"),
        column("TERMINAL_ID"),
        cents,
        column("TX_FRAUD").astype(np.bool_),
        column("TX_FRAUD_SCENARIO"),
    )
