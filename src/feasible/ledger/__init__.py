"""What happened: every decision and every label, durable before anybody is told.

A ledger only grows. A decision is in it, on the disk, before its answer leaves; labels arrive
later and never change what stands there. One service writes a ledger at a time, others read beside
it. This room stores and finds again: it never judges a decision, joins a label or knows what a
brief promises.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from feasible.ledger.account import this_account
from feasible.ledger.base import (
    LabelOutcome,
    Ledger,
    LedgerCounts,
    LedgerNews,
    LedgerPosition,
    Verification,
)
from feasible.ledger.decision_id import decision_id_at, new_decision_id
from feasible.ledger.opening import ServiceLock, ledger_path
from feasible.ledger.purging import Purge, Purged, purge
from feasible.ledger.sqlite import SqliteLedger, open_ledger

if TYPE_CHECKING:
    from feasible.ledger.analytics import query_export
    from feasible.ledger.exporting import Exported, export
    from feasible.ledger.statistics import LedgerStats, Percentiles, ledger_stats

__all__ = [
    "Exported",
    "LabelOutcome",
    "Ledger",
    "LedgerCounts",
    "LedgerNews",
    "LedgerPosition",
    "LedgerStats",
    "Percentiles",
    "Purge",
    "Purged",
    "ServiceLock",
    "SqliteLedger",
    "Verification",
    "decision_id_at",
    "export",
    "ledger_path",
    "ledger_stats",
    "new_decision_id",
    "open_ledger",
    "purge",
    "query_export",
    "this_account",
]

# Memory and start-up time: a service that exports nothing needs no Parquet.
_HOME: Final = {
    "Exported": "exporting",
    "LedgerStats": "statistics",
    "Percentiles": "statistics",
    "export": "exporting",
    "ledger_stats": "statistics",
    "query_export": "analytics",
}


def __getattr__(name: str) -> Any:
    """Load a name's file when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List what the door offers."""
    return sorted(__all__)
