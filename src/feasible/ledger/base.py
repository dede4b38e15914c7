"""What every ledger can do, whatever keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

import msgspec

from feasible.schema import Decision, Event, Label

__all__ = [
    "LabelOutcome",
    "Ledger",
    "LedgerCounts",
    "LedgerNews",
    "LedgerPosition",
    "Verification",
]

LabelOutcome: TypeAlias = Literal["stored", "duplicate", "unknown_decision", "conflict"]
"""What became of one label.

`stored`: it is in the ledger. Another verdict of the same source on the same decision is stored
too, as a new version: nothing is overwritten, and whoever joins labels takes the one known last.
`duplicate`: the same `label_id` with the same content, or the same decision, source, value and
`known_at`, was there before; nothing was written.
`unknown_decision`: no such decision; nothing of this label was written.
`conflict`: the `label_id` was used before for something else; nothing of this label was written.
"""


class LedgerCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How much a ledger holds."""

    decisions: int
    labels: int
    events: int
    first_at: datetime | None
    """Time of the decision that was written first; None for an empty ledger."""
    last_at: datetime | None
    """Time of the decision that was written last."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Whether every row is there as it was written."""

    whole: bool
    """Nothing that was looked at is missing, edited or added."""
    decisions: int
    """Decisions found."""
    labels: int
    """Labels found."""
    events: int
    """Events found."""
    batches: int
    """Links of the chain that were recomputed."""
    deleted: int = 0
    """Rows that a purge deleted, with a record of it."""
    redacted: int = 0
    """Rows of which a purge redacted a part, with a record of it."""
    missing: int
    """Rows that the chain names and the ledger no longer has."""
    edited_batches: int
    """Batches whose rows are all there and no longer hash to what was recorded."""
    keyed: bool
    """Whether the chain needs a secret to be forged; without one it shows accidents and clumsy
    edits, not an editor who recomputes it."""
    head: str
    """Last hash of the chain; empty for an empty ledger. Keep it elsewhere and hand it to the next
    verification as `anchor`: rows cut off at the end together with their links show only so."""
    faults: tuple[str, ...] = ()
    """What is wrong, one sentence each; the first few when there are many."""

    def __str__(self) -> str:
        """Give the result in a few lines."""
        verdict = "whole" if self.whole else "NOT WHOLE"
        chain = "keyed chain" if self.keyed else "chain without a key"
        held = f"{self.decisions:,} decisions and {self.labels:,} labels"
        if self.events:
            held = f"{self.decisions:,} decisions, {self.labels:,} labels, {self.events:,} events"
        lines = [f"{verdict}: {held} in {self.batches:,} batches, {chain}"]
        if self.deleted or self.redacted:
            lines.append(
                f"  purged  {self.deleted:,} rows deleted and {self.redacted:,} redacted, "
                f"each with a record"
            )
        lines += [f"  {fault}" for fault in self.faults]
        return "\n".join([*lines, f"  head  {self.head or 'none yet'}"])


class LedgerPosition(msgspec.Struct, frozen=True):
    """How far somebody has read: the rows up to these. The default is before everything."""

    decision: int = 0
    label: int = 0


class LedgerNews(msgspec.Struct, frozen=True, kw_only=True):
    """What was written after a position."""

    decisions: tuple[Decision, ...]
    labels: tuple[Label, ...]
    position: LedgerPosition
    """Up to where this goes."""


class Ledger(Protocol):
    """Decisions, labels and events, appended and found again."""

    async def append(self, decision: Decision) -> None:
        """Write a decision; returns once it is durable. Appending the same one again is no change.

        Raises:
            LedgerError: It could not be written, or its id belongs to a different decision. Nothing
                of it is in the ledger then.
            KeyTaken: Its idempotency key belongs to another decision, which the error names.
        """
        ...

    async def record(self, event: Event) -> None:
        """Write an event; returns once it is durable. Recording the same one again is no change.

        Raises:
            LedgerError: It could not be written, or its id belongs to a different event.
        """
        ...

    async def add_labels(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        """Write labels; returns once they are durable, one outcome per label, in order.

        Raises:
            LedgerError: They could not be written; none of them is in the ledger then.
            DataError: A time has no zone or a value is not JSON; none of them is written then.
        """
        ...

    def decision(self, decision_id: str) -> Decision | None:
        """Give the decision of that id."""
        ...

    def decision_by_key(self, idempotency_key: str) -> Decision | None:
        """Give the decision that was made for that idempotency key."""
        ...

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
        ...

    def labels(self, *, known_by: datetime | None = None) -> Iterator[Label]:
        """Go through labels in the order in which they were received.

        Args:
            known_by: Only those whose truth was known, and that were received, by that instant.
        """
        ...

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
        ...

    def news(self, since: LedgerPosition, *, plan: str, most: int) -> LedgerNews:
        """Give what was written next after a position, by whichever process.

        Args:
            since: How far was read before.
            plan: Only decisions of the plan with this id.
            most: Decisions that are looked at, whatever their plan, and labels.
        """
        ...

    def counts(self) -> LedgerCounts:
        """Say how much is there."""
        ...

    def verify(self, *, anchor: str | None = None) -> Verification:
        """Check that nothing is missing and nothing was edited.

        Args:
            anchor: `head` of an earlier verification, kept elsewhere; the chain must still have it.
        """
        ...

    def close(self) -> None:
        """Finish what was accepted and let go; closing twice is no fault."""
        ...
