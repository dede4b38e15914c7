"""`/v1/plans`: what answers, and changes of it, for whoever has a key with the scope `admin`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from feasible.schema import PLAN_CHANGED, LivePlans, PlanAct
from feasible.serving.bodies import body
from feasible.serving.live import AnyRuntime, LiveRuntime
from feasible.serving.problems import BAD_BODY, UNAVAILABLE, Refused, bad_body

__all__ = ["PlanChangeRequest", "PlanPages", "PlansReply"]

_LONGEST: Final = 4096
_MOST_CHANGES: Final = 100
_EXAMPLE: Final = '{"act": "canary", "plan": "plan_...", "share": 0.05}'

_Order = Callable[[dict[str, Any]], Awaitable[Any]]


class PlanChangeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of what answers."""

    act: PlanAct
    """`shadow` and `canary` take a plan and a share, `promote` a plan, or the canary."""
    plan: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    """Id of a plan in the feature's folder."""
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Share of requests that a canary answers or a shadow is asked. Ratio."""
    usd_per_day: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None
    """Most that a shadow may cost in a day (UTC); 1 when absent."""


class PlanChanged(msgspec.Struct, frozen=True, kw_only=True):
    """One change that was made."""

    at: datetime
    actor: str
    act: str
    live: LivePlans


class PlansReply(msgspec.Struct, frozen=True, kw_only=True):
    """What answers now, and how that came about."""

    live: LivePlans
    changes: tuple[PlanChanged, ...]
    """The latest changes, the last one last."""


class PlanPages:
    """Answers `/v1/plans`.

    Args:
        runtime: What is served.
    """

    def __init__(self, runtime: AnyRuntime) -> None:
        self.order: _Order | None = None
        self._runtime = runtime

    async def show(self, _request: Request) -> Response:
        """Say what answers, and what answered before."""
        return _json(await asyncio.to_thread(self._reply))

    async def change(self, request: Request) -> Response:
        """Carry out a change everywhere, or refuse it."""
        content = await body(dict(request.scope["headers"]), request.receive, _LONGEST)
        try:
            asked = msgspec.json.decode(content, type=PlanChangeRequest)
        except BAD_BODY as error:
            raise bad_body(error, asked=_EXAMPLE) from error
        if self.order is None or asked.act == "start":
            raise Refused(
                "the plans of this service cannot be changed so",
                status=UNAVAILABLE if self.order is None else 400,
                attempt=_EXAMPLE,
            )
        usd = asked.usd_per_day
        if asked.act == "shadow" and usd is None:
            usd = 1.0
        caller = request.scope.get("state", {}).get("caller", "anybody")
        wanted = msgspec.structs.asdict(asked) | {"actor": f"key:{caller}", "usd_per_day": usd}
        await self.order(wanted)
        return _json(await asyncio.to_thread(self._reply))

    def _reply(self) -> PlansReply:
        """Read every event there is, which a shadow may have made millions of: on a thread."""
        runtime = self._runtime
        live = (
            runtime.live if isinstance(runtime, LiveRuntime) else LivePlans(stable=runtime.plan.id)
        )
        changes = [
            PlanChanged(
                at=event.at,
                actor=event.actor,
                act=str(event.body.get("act")),
                live=msgspec.convert(event.body.get("live"), LivePlans),
            )
            for event in runtime.ledger.events(kind=PLAN_CHANGED)
        ]
        return PlansReply(live=live, changes=tuple(changes[-_MOST_CHANGES:]))


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
