"""Labels from a file into a ledger, in parts: whatever interrupts it, the same command goes on."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from feasible.clock import Clock, SystemClock
from feasible.feedback.labels_file import stream_labels
from feasible.ledger import Ledger, new_decision_id
from feasible.schema import Event

__all__ = ["Imported", "import_labels"]

_IMPORTED: Final = "labels.imported"
"""Kind of the event that says how much of which file is in the ledger."""
_PART: Final = 5000
"""Labels of a transaction, and of what is done again at most after a crash."""
_BLOCK: Final = 1 << 20


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the labels of a file."""

    labels: int
    """Labels of the file."""
    went_on_after: int
    """Labels that an earlier run, which was cut short, had taken; 0 for a run from the start."""
    outcomes: dict[str, int]
    """Outcome (`stored`, `duplicate`, `unknown_decision`, `conflict`) -> labels, of both runs."""


def import_labels(
    ledger: Ledger,
    path: Path,
    *,
    actor: str,
    progress: Callable[[str, int, int], None] | None = None,
    clock: Clock | None = None,
) -> Imported:
    """Take the labels of a file into a ledger, with no more than a part of it in memory.

    The file is read twice: first to see that it is a labels file from its beginning to its end,
    then to take it. After each part an event says how far that was, by which another run with the
    same file knows where to go on. A part whose event is missing is taken again, which changes
    nothing: every label that is there is a duplicate.

    Args:
        ledger: Where they go.
        path: The file.
        actor: Who sends it, for the record.
        progress: Told what is being done, how much of it is done, and how much there is.
        clock: Gives the time of the events.

    Raises:
        DataError: The file cannot be read; nothing of it is stored.
        LedgerError: The ledger cannot be written; what was stored before stays.
    """
    total = sum(1 for _ in stream_labels(path))
    digest = _digest(path)
    earlier = _stopped(ledger, digest)
    done: int = 0 if earlier is None else earlier["labels"]
    outcomes = Counter[str]({} if earlier is None else earlier["outcomes"])
    went_on_after = done
    time = clock or SystemClock()

    def event() -> Event:
        body = {
            "file": path.name,
            "sha256": digest,
            "labels": done,
            "is_complete": done == total,
            "outcomes": dict(outcomes),
        }
        return Event(
            event_id=new_decision_id(time), at=time.now(), kind=_IMPORTED, actor=actor, body=body
        )

    async def take() -> None:
        nonlocal done
        with closing(stream_labels(path)) as labels:
            left = islice(labels, done, None)
            while part := list(islice(left, _PART)):
                outcomes.update(await ledger.add_labels(part))
                done += len(part)
                await ledger.record(event())
                if progress is not None:
                    progress("taking labels", done, total)

    asyncio.run(take())
    return Imported(labels=total, went_on_after=went_on_after, outcomes=dict(outcomes))


def _stopped(ledger: Ledger, digest: str) -> dict[str, Any] | None:
    """Give what the last run with this file said, if it did not come to its end."""
    last: dict[str, Any] | None = None
    for event in ledger.events(kind=_IMPORTED):
        if event.body.get("sha256") == digest:
            last = event.body
    return None if last is None or last["is_complete"] else last


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
