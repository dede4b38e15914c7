"""How tiers are called: directly, awaited, in batches, in processes; never for longer than asked.

From the inside out: `DirectCalls`, `PromptCalls`, `AwaitedCalls`, `BatchedCalls`,
`IsolatedCalls` and `CallsByLength` make a call; `GuardedCalls` tells the tier's breaker how it
ended; `RepeatedCalls` makes it again inside the same time; `SharedCalls` lets those that ask the
same at the same time share it. Nothing here knows the plan, and nothing here chooses whom to ask.
"""

from feasible.serving.calls.awaited import AwaitedCalls
from feasible.serving.calls.base import (
    Attempt,
    CallFigures,
    Calls,
    CallTimedOut,
    TierCalls,
    Told,
    cost_of_failure,
    words_of,
)
from feasible.serving.calls.batched import BatchedCalls
from feasible.serving.calls.by_length import CallsByLength
from feasible.serving.calls.choosing import calls_of
from feasible.serving.calls.direct import DirectCalls
from feasible.serving.calls.guarded import GuardedCalls
from feasible.serving.calls.isolated import IsolatedCalls
from feasible.serving.calls.prompt import PromptCalls
from feasible.serving.calls.repeated import RepeatedCalls, RetryBudget
from feasible.serving.calls.shared import SharedCalls

__all__ = [
    "Attempt",
    "AwaitedCalls",
    "BatchedCalls",
    "CallFigures",
    "CallTimedOut",
    "Calls",
    "CallsByLength",
    "DirectCalls",
    "GuardedCalls",
    "IsolatedCalls",
    "PromptCalls",
    "RepeatedCalls",
    "RetryBudget",
    "SharedCalls",
    "TierCalls",
    "Told",
    "calls_of",
    "cost_of_failure",
    "words_of",
]
