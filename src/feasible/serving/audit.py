"""Keys on record: which key was made and revoked, when and by whom, as events of the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from feasible.errors import FeasibleError
from feasible.ledger import Ledger
from feasible.schema import Event
from feasible.serving.key_file import Key

__all__ = ["KeyAudit"]

_LOG: Final = logging.getLogger(__name__)


class KeyAudit:
    """Puts keys on record, each once, whichever of several processes sees them first.

    Args:
        ledger: Where to.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._recorded: set[str] = set()
        self._running: asyncio.Task[None] | None = None
        self._waiting: dict[str, Event] = {}

    def begin(self, keys: Iterable[Key]) -> None:
        """Have keys put on record soon; nobody waits for it."""
        for event in _events(keys):
            if event.event_id not in self._recorded:
                self._waiting[event.event_id] = event
        if self._waiting and (self._running is None or self._running.done()):
            self._running = asyncio.ensure_future(self._record())

    async def _record(self) -> None:
        """Write what waits; what could not be written waits for the next time."""
        while self._waiting:
            event_id, event = next(iter(self._waiting.items()))
            try:
                await self._ledger.record(event)
            except FeasibleError:
                _LOG.exception("a change of keys could not be put on record yet")
                return
            self._recorded.add(event_id)
            self._waiting.pop(event_id, None)


def _events(keys: Iterable[Key]) -> Iterator[Event]:
    """Give what happened to keys; the same keys give the same events, ids included."""
    for key in keys:
        yield Event(
            event_id=_event_id(key, "made", key.made_at),
            at=key.made_at,
            kind="key.made",
            actor=key.made_by,
            body={"name": key.name, "scopes": list(key.scopes)},
        )
        if key.revoked_at is not None:
            yield Event(
                event_id=_event_id(key, "revoked", key.revoked_at),
                at=key.revoked_at,
                kind="key.revoked",
                actor=key.revoked_by or "unknown",
                body={"name": key.name},
            )


def _event_id(key: Key, what: str, at: datetime) -> str:
    """Give a UUID of version 7 whose random part is a hash, so that two processes give one id."""
    digest = hashlib.sha256(f"{key.name} {key.sha256} {what}".encode()).digest()
    value = (int(at.timestamp() * 1000) & (2**48 - 1)) << 80 | int.from_bytes(digest[:10])
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
