"""What happened: every decision and every label, durable before anybody is told.

A ledger only grows. A decision is in it, on the disk, before its answer leaves; labels arrive
later and never change what stands there. One service writes a ledger at a time, others read beside
it. This room stores and finds again: it never judges a decision, joins a label or knows what a
brief promises.
"""

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

__all__ = [
    "LabelOutcome",
    "Ledger",
    "LedgerCounts",
    "LedgerNews",
    "LedgerPosition",
    "Purge",
    "Purged",
    "ServiceLock",
    "SqliteLedger",
    "Verification",
    "decision_id_at",
    "ledger_path",
    "new_decision_id",
    "open_ledger",
    "purge",
]
