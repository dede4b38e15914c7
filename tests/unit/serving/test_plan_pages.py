"""`/v1/plans` beside the decisions of the same process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request

from feasible.schema import Answer, Event, LivePlans, Plan, PlanChange
from feasible.serving import Runtime
from feasible.serving.plan_pages import PlanPages
from feasible.testing import MemoryLedger, ScriptedTier


class LongLedger(MemoryLedger):
    """A ledger that says which threads go through its events."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[int] = []

    def events(
        self,
        *,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[Event]:
        """Go through events, and note on which thread."""
        self.readers.append(threading.get_ident())
        return super().events(kind=kind, since=since, until=until)


def test_a_long_history_holds_up_no_decision(plan_for: Callable[..., Plan]) -> None:
    """It is read on another thread than the one that answers requests."""
    tier = ScriptedTier([Answer("a", score=0.9)], name="only")
    ledger = LongLedger()
    pages = PlanPages(Runtime(plan_for([tier]), {"only": tier}, ledger))
    change = PlanChange(act="start", live=LivePlans(stable="p"))
    at = datetime(2026, 11, 24, tzinfo=UTC)
    event = Event(event_id="e", at=at, kind="plan.changed", actor="serve", body=change.body())

    async def show() -> bytes:
        await ledger.record(event)
        return bytes((await pages.show(Request({"type": "http"}))).body)

    said = msgspec.json.decode(asyncio.run(show()))
    assert [one["act"] for one in said["changes"]] == ["start"]
    assert ledger.readers
    assert threading.get_ident() not in ledger.readers
