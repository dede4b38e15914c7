"""Where changes of what answers are made: one after the other, on record, in every process."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec

from feasible.errors import FeasibleError
from feasible.schema import LivePlans, PlanAct, PlanChange, changed

__all__ = ["Answering", "PlanDesk", "PlanOrder"]


class PlanOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants changed, and who."""

    act: PlanAct
    actor: str
    plan: str | None = None
    """Id of a plan of the feature."""
    share: float | None = None
    usd_per_day: float | None = None


class Answering(Protocol):
    """All processes that answer, as one."""

    async def prepare(self, live: LivePlans) -> None:
        """Load and warm what a set of plans needs.

        Raises:
            FeasibleError: It does not fit somewhere; the old set goes on everywhere.
        """
        ...

    async def record(self, change: PlanChange, actor: str) -> None:
        """Put a change on record; returns once it is durable.

        Raises:
            LedgerError: It could not be written.
        """
        ...

    async def switch(self, live: LivePlans) -> None:
        """Let a set answer that was prepared."""
        ...

    async def drop_prepared(self) -> None:
        """Let go of what was prepared."""
        ...


class PlanDesk:
    """Takes orders, one at a time.

    The new set is loaded and warmed everywhere first. Then the change goes on record, and only then
    does anybody decide by it: no decision names a plan that was not live by the ledger.

    Args:
        live: What answers.
        answering: Who answers.

    Attributes:
        guard: Held while something changes.
    """

    def __init__(self, live: LivePlans, answering: Answering) -> None:
        self.live = live
        self.guard = asyncio.Lock()
        self._answering = answering

    async def change(self, order: PlanOrder) -> LivePlans:
        """Carry out an order and give what answers from now on.

        Raises:
            FeasibleError: It cannot be done, or the plan does not fit; nothing has changed then.
        """
        async with self.guard:
            wanted = changed(
                self.live,
                order.act,
                plan=order.plan,
                share=order.share,
                usd_per_day=order.usd_per_day,
            )
            try:
                await self._answering.prepare(wanted)
                change = PlanChange(act=order.act, live=wanted, was=self.live)
                await self._answering.record(change, order.actor)
            except FeasibleError:
                await self._answering.drop_prepared()
                raise
            self.live = wanted
            await self._answering.switch(wanted)
            return wanted

    async def handle(self, body: Any) -> Any:
        """Carry out an order that came as data."""
        live = await self.change(msgspec.convert(body, PlanOrder))
        return msgspec.to_builtins(live)
