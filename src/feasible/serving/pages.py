"""What a service tells about itself: its plan, its promises, its health and past decisions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from feasible.schema import HeadroomRow
from feasible.serving.live import AnyRuntime
from feasible.serving.messages import HeadroomReply, HealthReply, ReadyReply
from feasible.serving.problems import NOT_FOUND, UNAVAILABLE, Refused

__all__ = ["Pages"]

_HEADROOM_EVERY_S: Final = 1.0
_JSON: Final = "application/json"


class Pages:
    """Answers the addresses that only read.

    Args:
        runtime: What is served.
        headroom: Gives how each promise stands; it is asked once a second at most, from a
            thread.
    """

    def __init__(
        self, runtime: AnyRuntime, *, headroom: Callable[[], Sequence[HeadroomRow]]
    ) -> None:
        self._runtime = runtime
        self._headroom = headroom
        self._looking = asyncio.Lock()
        self._seen: tuple[float, tuple[HeadroomRow, ...], bytes] | None = None

    async def decision(self, request: Request) -> Response:
        """Find a decision again."""
        decision_id = request.path_params["decision_id"]
        found = self._runtime.ledger.decision(decision_id)
        if found is None:
            raise Refused(
                f"no decision {decision_id[:100]!r} in this ledger",
                status=NOT_FOUND,
                attempt="use the `decision_id` of an answer of this service",
            )
        return _json(found)

    async def plan(self, _request: Request) -> Response:
        """Give the plan that is served."""
        return _json(self._runtime.plan)

    async def headroom(self, _request: Request) -> Response:
        """Say how each promise stands."""
        await self.look()
        assert self._seen is not None  # noqa: S101  it was looked at
        return Response(self._seen[2], media_type=_JSON)

    async def look(self) -> None:
        """Bring what is known of the promises up to a second ago, beside what is being answered."""
        async with self._looking:
            if self._seen is None or time.monotonic() - self._seen[0] > _HEADROOM_EVERY_S:
                self._seen = await asyncio.to_thread(self._headroom_now)

    def headroom_rows(self) -> tuple[HeadroomRow, ...]:
        """Give how each promise stood at the last look."""
        return () if self._seen is None else self._seen[1]

    async def health(self, _request: Request) -> Response:
        """Say that the process lives, and which tiers fail."""
        return _json(HealthReply(failing=tuple(self._runtime.open_breakers())))

    def ready(self, *, draining: bool) -> Response:
        """Say whether requests are taken."""
        if draining:
            raise Refused("this service is stopping", status=UNAVAILABLE)
        return _json(ReadyReply(plan=self._runtime.plan.id))

    def _headroom_now(self) -> tuple[float, tuple[HeadroomRow, ...], bytes]:
        rows = tuple(self._headroom())
        reply = HeadroomReply(plan=self._runtime.plan.id, at=datetime.now(UTC), objectives=rows)
        return time.monotonic(), rows, msgspec.json.encode(reply)


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type=_JSON)
