"""What happened: decisions, labels that arrive later, events, and how each objective stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

__all__ = [
    "BUDGET",
    "Decision",
    "Event",
    "HeadroomRow",
    "Label",
    "LabelSelection",
    "LabelSource",
    "PathStep",
]

BUDGET: Final = "budget"
"""Why a tier was passed over whose price the money of a day, a month or a mean does not allow."""

LabelSource = Literal["proxy", "human", "outcome"]
LabelSelection = Literal["organic", "review", "audit", "explored"]


class _Noun(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen record."""


class PathStep(_Noun, frozen=True, kw_only=True):
    """One tier on the way to an answer."""

    tier: str
    outcome: Literal[
        "answered",
        "deferred",
        "abstained",
        "failed",
        "timed_out",
        "skipped",
        "handed_off",
        "retried",
        "cancelled",
    ]
    """`retried`: the call failed and was made again; `cancelled`: a second call was faster."""
    latency_ms: float
    cost_usd: float | None
    """None when the call's price is unknown."""
    why: str | None = None
    """For failed and skipped: what happened; for an answer: which attempt gave it, or that another
    request paid for it."""


class Decision(_Noun, frozen=True, kw_only=True):
    """One answer the feature gave, with its price and path."""

    decision_id: str
    """UUID version 7: sorts by time."""
    at: datetime
    plan: str
    answer: Any
    """None when it was handed to a person who has not answered yet."""
    probability: float | None
    """Calibrated P(this answer is right); None for a hand-off."""
    tier: str
    """Tier that answered."""
    path: tuple[PathStep, ...]
    cost_nusd: int | None
    """Whole nano-dollars; None when a price on the path is unknown."""
    latency_ms: float
    """From the request's arrival to its answer. In a ledger the commit of an earlier decision
    stands in for its own, which is not over when it is written."""
    slices: tuple[str, ...] = ()
    fell_back: str | None = None
    """Why the declared fallback answered; None when it did not."""
    handed_off: bool = False
    """A person answers later."""
    request: Any = None
    idempotency_key: str | None = None
    at_most_nusd: int | None = None
    """Most that it may have cost, where that is not known: what budgets count it with."""


class Label(_Noun, frozen=True, kw_only=True):
    """The truth about one decision, when it became known."""

    decision_id: str
    value: Any
    source: LabelSource
    known_at: datetime
    """When the truth became known, which is not when it was sent here."""
    selection: LabelSelection = "organic"
    label_id: str | None = None
    """The sender's own id; the same id twice is the same label."""
    reviewer: str | None = None


class Event(_Noun, frozen=True, kw_only=True):
    """Something that was done to the service or its ledger: a plan put live, a purge, a key."""

    event_id: str
    """UUID version 7: sorts by time."""
    at: datetime
    kind: str
    """What was done, such as `plan.promoted` or `ledger.purged`."""
    actor: str
    """Who did it, as far as that is known; never a secret."""
    body: dict[str, Any] = {}
    """What belongs to that kind, as JSON."""


class HeadroomRow(_Noun, frozen=True, kw_only=True):
    """How one objective stands: a line of the headroom table."""

    objective: str
    limit: float | None
    """None for a promise that is not a number, such as where data stay."""
    unit: str
    value: float | None
    """None while it is too early to say."""
    interval: tuple[float, float] | None
    n: int
    slack: float | None
    """Share of the limit that is left; negative when broken."""
    headroom: float | None
    """Load multiple at which it breaks; None when load does not move it or nobody knows."""
    holds: bool | None
    """None while the interval straddles the limit or nothing is known."""
    note: str
    """In words: `holds`, `broken`, or `too early to say: 41 of 59 labels`."""
