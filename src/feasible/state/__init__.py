"""What the workers of a service share: money that is set aside or spent, and keys in use.

A reservation sets money aside before a call and is settled after it; one that nobody settles comes
back when its lease is over. A claim keeps two workers from answering the same request twice. This
room adds and compares: it knows no plan, no tier and no ledger, and whoever asks names the windows.
What it holds can be made again from the ledger, which is the truth.
"""

from feasible.state.base import (
    ORDINARY,
    Claim,
    Limit,
    Part,
    Refusal,
    Reservation,
    Spending,
    State,
    Taken,
    left_nusd,
)
from feasible.state.memory import MemoryState
from feasible.state.sqlite import SqliteState

__all__ = [
    "ORDINARY",
    "Claim",
    "Limit",
    "MemoryState",
    "Part",
    "Refusal",
    "Reservation",
    "Spending",
    "SqliteState",
    "State",
    "Taken",
    "left_nusd",
]
