"""What travels over HTTP: typed records, from which the OpenAPI description is generated."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from feasible.schema import HeadroomRow, Label, LabelSelection, LabelSource, PathStep

__all__ = [
    "MAX_BATCH",
    "MAX_LABELS",
    "BatchItem",
    "BatchReply",
    "BatchRequest",
    "DecideRequest",
    "DecisionReply",
    "HeadroomReply",
    "HealthReply",
    "LabelIn",
    "LabelsReply",
    "LabelsRequest",
    "Problem",
    "ReadyReply",
    "ShortText",
]

MAX_LABELS = 10_000
"""Most labels of one call."""

MAX_BATCH = 100
"""Most requests of one batch."""

ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class DecideRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked."""

    request: dict[str, Any]
    """The request as the tiers see it; a text feature's is `{"text": "..."}`."""
    idempotency_key: ShortText | None = None
    """The same key with the same request gives the same decision, for as long as the ledger."""
    deadline_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Time that this caller has. Milliseconds; it can shorten the plan's deadline only."""
    slices: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=50)] = ()
    """Slices that the caller knows the request to be in: they choose the fallback."""


class DecisionReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, with its price and its path."""

    decision_id: str
    """Finds the decision again; late labels name it."""
    answer: Any
    """None when a person answers later, or when nobody could."""
    probability: float | None
    """Calibrated P(this answer is right). Ratio; None for a hand-off."""
    tier: str
    """Who answered; `nobody` when no tier could and no fallback did."""
    path: tuple[PathStep, ...]
    cost_usd: float | None
    """None when a price on the path is unknown."""
    latency_ms: float
    """From the request's arrival to this answer, the ledger's commit included."""
    plan: str
    within: dict[str, bool | None]
    """`deadline` (the plan's, or the caller's when shorter) and `cost_each`, where there are any;
    None when the cost is unknown."""
    handed_off: bool
    """A person answers later."""
    fell_back: str | None = None
    """Why the declared fallback answered; None when it did not."""


class HealthReply(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the process lives."""

    status: Literal["alive"] = "alive"
    failing: tuple[str, ...]
    """Tiers that are not asked now, since they failed too often."""


class ReadyReply(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests are taken."""

    status: Literal["ready"] = "ready"
    plan: str
    """Id of the plan that is served."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong (RFC 9457): what was asked, what was found, what to try."""

    title: str
    status: int
    type: str = "about:blank"
    asked: str | None = None
    found: str | None = None
    attempt: str | None = msgspec.field(default=None, name="try")
    retry_after_s: int | None = None
    """Seconds after which the same request may be answered, as in the header Retry-After."""
    outcomes: tuple[str, ...] | None = None
    """For labels: what became of each, in order."""


class BatchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several requests at once; each is decided, refused and written by itself."""

    requests: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]
    """Each as `/v1/decide` takes it."""
    deadline_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """For all of them. Milliseconds; one with a shorter deadline of its own keeps that."""


class BatchItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one request of a batch: a decision or a problem."""

    status: int
    """The HTTP status that the request alone would have had."""
    decision: DecisionReply | None = None
    problem: Problem | None = None


class BatchReply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each."""

    decided: int
    failed: int
    results: tuple[BatchItem, ...]
    """One per request, in order."""


class LabelIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The truth about one decision."""

    decision_id: ShortText
    value: Any
    source: LabelSource
    known_at: Annotated[datetime, msgspec.Meta(tz=True)]
    """When the truth became known, with its time zone."""
    selection: LabelSelection = "organic"
    """Why this decision was looked at."""
    label_id: ShortText | None = None
    """The sender's own id: the same id twice is the same label."""
    reviewer: ShortText | None = None

    def label(self) -> Label:
        """Give the noun."""
        return Label(
            decision_id=self.decision_id,
            value=self.value,
            source=self.source,
            known_at=self.known_at,
            selection=self.selection,
            label_id=self.label_id,
            reviewer=self.reviewer,
        )


class LabelsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Late labels, one or many."""

    labels: Annotated[tuple[LabelIn, ...], msgspec.Meta(min_length=1, max_length=MAX_LABELS)]


class LabelsReply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of them."""

    stored: int
    duplicate: int
    """There already; nothing was written."""
    unknown_decision: int
    """They name no decision of this ledger; nothing of them was written."""
    conflict: int
    """Their `label_id` belongs to another label; nothing of them was written."""
    outcomes: tuple[str, ...]
    """One per label, in order."""


class HeadroomReply(msgspec.Struct, frozen=True, kw_only=True):
    """How each promise stands."""

    plan: str
    at: datetime
    objectives: tuple[HeadroomRow, ...]
