"""A ledger that keeps every promise but one: it is gone with its process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from feasible.clock import Clock, SystemClock
from feasible.errors import DataError, KeyTaken, LedgerError
from feasible.ledger import (
    LabelOutcome,
    LedgerCounts,
    LedgerNews,
    LedgerPosition,
    Verification,
)
from feasible.schema import Decision, Event, Label

__all__ = ["MemoryLedger"]

_NOT_JSON: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)


@dataclass(slots=True)
class _Failure:
    """What the next writes raise instead of writing."""

    error: LedgerError
    times: int


class MemoryLedger:
    """Decisions, labels and events in lists, with the same refusals as a ledger on a disk.

    Args:
        clock: Gives the time at which a label was received; the machine's own when absent.

    Examples:
        >>> import asyncio
        >>> from datetime import UTC
        >>> ledger = MemoryLedger()
        >>> decision = Decision(
        ...     decision_id="d1", at=datetime(2026, 11, 23, tzinfo=UTC), plan="p", answer="refund",
        ...     probability=0.97, tier="rules", path=(), cost_nusd=1000, latency_ms=0.4)
        >>> asyncio.run(ledger.append(decision))
        >>> ledger.decision("d1") == decision
        True
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock: Clock = SystemClock() if clock is None else clock
        self._decisions: dict[str, Decision] = {}
        self._by_key: dict[str, Decision] = {}
        self._labels: list[Label] = []
        self._received: list[datetime] = []
        """When each label came."""
        self._events: dict[str, Event] = {}
        self._failure: _Failure | None = None
        self._is_open = True

    def fail(self, error: LedgerError, *, times: int = 1) -> None:
        """Let the next writes raise, as a full disk would.

        Args:
            error: What they raise.
            times: How many of them; then writes succeed again.
        """
        self._failure = _Failure(error, times)

    async def append(self, decision: Decision) -> None:
        """Keep a decision. Appending the same one again is no change.

        Raises:
            LedgerError: It is not JSON, its time has no zone, a number is too large, its id belongs
                to a different decision, or `fail` was called.
            KeyTaken: Its idempotency key belongs to another decision.
        """
        self._check_writable()
        try:
            kept = msgspec.json.decode(msgspec.json.encode(decision), type=Decision)
            _check_size(decision.cost_nusd)
            _check_size(round(decision.latency_ms * 1000))
        except _NOT_JSON as error:
            raise LedgerError(
                f"decision {decision.decision_id} cannot be written", found=str(error)
            ) from error
        if kept.at.tzinfo is None:
            raise LedgerError(f"decision {decision.decision_id} has a time without a zone")
        there = self._decisions.get(kept.decision_id)
        if there is not None:
            if there != kept:
                raise LedgerError(
                    f"decision {kept.decision_id} is in the ledger with other content"
                )
            return
        key = kept.idempotency_key
        if key is not None:
            if key in self._by_key:
                holder = self._by_key[key].decision_id
                said = f"the idempotency key {key!r} belongs to decision {holder}"
                raise KeyTaken(said, key=key, holder=holder)
            self._by_key[key] = kept
        self._decisions[kept.decision_id] = kept

    async def record(self, event: Event) -> None:
        """Keep an event. Recording the same one again is no change.

        Raises:
            LedgerError: It is not JSON, its time has no zone, its id belongs to a different event,
                or `fail` was called.
        """
        self._check_writable()
        try:
            kept = msgspec.json.decode(msgspec.json.encode(event), type=Event)
        except _NOT_JSON as error:
            raise LedgerError(
                f"event {event.event_id} cannot be written", found=str(error)
            ) from error
        if kept.at.tzinfo is None:
            raise LedgerError(f"event {event.event_id} has a time without a zone")
        if self._events.setdefault(kept.event_id, kept) != kept:
            raise LedgerError(f"event {kept.event_id} is in the ledger with other content")

    async def add_labels(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        """Keep labels; one outcome per label, in order.

        Raises:
            LedgerError: `fail` was called.
            DataError: A time has no zone or a value is not JSON; none of them is kept then.
        """
        self._check_writable()
        now = self._clock.now()
        kept = [self._read_back(label) for label in labels]
        outcomes: list[LabelOutcome] = []
        for label in kept:
            outcome = self._outcome(label)
            outcomes.append(outcome)
            if outcome == "stored":
                self._labels.append(label)
                self._received.append(now)
        return outcomes

    def decision(self, decision_id: str) -> Decision | None:
        """Give the decision of that id."""
        self._check_open()
        return self._decisions.get(decision_id)

    def decision_by_key(self, idempotency_key: str) -> Decision | None:
        """Give the decision that was made for that idempotency key."""
        self._check_open()
        return self._by_key.get(idempotency_key)

    def decisions(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        plan: str | None = None,
    ) -> Iterator[Decision]:
        """Go through decisions in the order in which they were written.

        Args:
            since: Only those made at or after this instant.
            until: Only those made before this instant.
            plan: Only those of the plan with this id.
        """
        self._check_open()
        for decision in list(self._decisions.values()):
            early = since is not None and decision.at < since
            late = until is not None and decision.at >= until
            if not early and not late and plan in (None, decision.plan):
                yield decision

    def labels(self, *, known_by: datetime | None = None) -> Iterator[Label]:
        """Go through labels in the order in which they were received.

        Args:
            known_by: Only those whose truth was known, and that were received, by that instant.
        """
        self._check_open()
        for label, received_at in list(zip(self._labels, self._received, strict=True)):
            if known_by is None or max(label.known_at, received_at) <= known_by:
                yield label

    def events(
        self,
        *,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Event]:
        """Go through events in the order in which they were written.

        Args:
            kind: Only those of this kind.
            since: Only those at or after this instant.
            until: Only those before this instant.
        """
        self._check_open()
        for event in list(self._events.values()):
            early = since is not None and event.at < since
            late = until is not None and event.at >= until
            if not early and not late and kind in (None, event.kind):
                yield event

    def news(self, since: LedgerPosition, *, plan: str, most: int) -> LedgerNews:
        """Give what was written next after a position, by whichever process.

        Args:
            since: How far was read before.
            plan: Only decisions of the plan with this id.
            most: Decisions that are looked at, whatever their plan, and labels.
        """
        self._check_open()
        new = list(self._decisions.values())[since.decision : since.decision + most]
        labels = self._labels[since.label : since.label + most]
        return LedgerNews(
            decisions=tuple(decision for decision in new if decision.plan == plan),
            labels=tuple(labels),
            position=LedgerPosition(since.decision + len(new), since.label + len(labels)),
        )

    def counts(self) -> LedgerCounts:
        """Say how much is there."""
        self._check_open()
        times = [decision.at for decision in self._decisions.values()]
        return LedgerCounts(
            decisions=len(times),
            labels=len(self._labels),
            events=len(self._events),
            first_at=times[0] if times else None,
            last_at=times[-1] if times else None,
        )

    def verify(self, *, anchor: str | None = None) -> Verification:
        """Say that it is whole: memory has no chain, so that only an anchor can be missing."""
        self._check_open()
        faults = () if not anchor else (f"the anchor {anchor} is not in the chain",)
        return Verification(
            whole=not faults,
            decisions=len(self._decisions),
            labels=len(self._labels),
            events=len(self._events),
            batches=0,
            missing=0,
            edited_batches=0,
            keyed=False,
            head="",
            faults=faults,
        )

    def close(self) -> None:
        """Refuse everything from now on; closing twice is no fault."""
        self._is_open = False

    def _outcome(self, label: Label) -> LabelOutcome:
        if label.label_id is not None:
            for other in self._labels:
                if other.label_id == label.label_id:
                    return "duplicate" if _content(other) == _content(label) else "conflict"
        if label.decision_id not in self._decisions:
            return "unknown_decision"
        same = any(_content(other) == _content(label) for other in self._labels)
        return "duplicate" if same else "stored"

    def _read_back(self, label: Label) -> Label:
        """Give the label as a disk would give it back."""
        try:
            kept = msgspec.json.decode(msgspec.json.encode(label), type=Label)
        except _NOT_JSON as error:
            raise DataError(
                f"the label of decision {label.decision_id} cannot be written", found=str(error)
            ) from error
        if kept.known_at.tzinfo is None:
            raise DataError(f"the label of decision {label.decision_id} has a time without a zone")
        return kept

    def _check_open(self) -> None:
        if not self._is_open:
            raise LedgerError("the ledger is closed", attempt="open it again")

    def _check_writable(self) -> None:
        self._check_open()
        if self._failure is None:
            return
        error = self._failure.error
        self._failure.times -= 1
        if self._failure.times <= 0:
            self._failure = None
        raise error


def _check_size(number: int | None) -> None:
    if number is not None and not -(2**63) <= number < 2**63:
        raise ValueError(f"{number} does not fit into 64 bits")


def _content(label: Label) -> tuple[object, ...]:
    """Give what makes two labels the same."""
    value = msgspec.json.encode(label.value)
    return label.decision_id, label.source, label.known_at, value
