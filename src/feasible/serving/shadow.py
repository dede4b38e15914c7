"""Asking a plan that nobody hears: what would it have said, how sure, and for how much."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from feasible.errors import PlanError
from feasible.schema import Decision, Plan, PlanShare
from feasible.serving.messages import DecideRequest
from feasible.serving.runtime import Runtime

__all__ = ["Shadow", "worst_usd_of"]

_AT_ONCE: Final = 4
_MOST_WAITING: Final = 256
_DAY_US: Final = 86_400 * 10**6
_LOG: Final = logging.getLogger(__name__)


class Shadow:
    """Asks a plan a share of the requests once their answers have left, and keeps what it says.

    So many are asked at once and no more wait than a queue holds; the others are let go. A day's
    calls cost no more than they may: the worst price of each is set aside before it is made.

    Args:
        runtime: The plan's.
        share: Which plan, for which share of requests, and for how much.
        record: Told what the plan said, of which decision, and what it cost.
        spent_nusd: Spent today already, by this process's part of the money.
        parts: Processes among which the money is divided.

    Raises:
        PlanError: It is not known what a decision of the plan can cost.
    """

    def __init__(
        self,
        runtime: Runtime,
        share: PlanShare,
        *,
        record: Callable[[dict[str, Any]], Awaitable[None]],
        spent_nusd: int = 0,
        parts: int = 1,
    ) -> None:
        self.skipped = 0
        self._runtime = runtime
        self._share = share
        self._record = record
        self._worst_nusd = _worst_nusd(runtime.plan)
        self._cap_nusd = (
            None if share.usd_per_day is None else int(share.usd_per_day * 1e9) // parts
        )
        self._spent_nusd = spent_nusd
        self._day = _today(runtime)
        self._waiting: asyncio.Queue[tuple[DecideRequest, Decision]] = asyncio.Queue(_MOST_WAITING)
        self._askers: list[asyncio.Task[None]] = []

    def consider(self, asked: DecideRequest, decision: Decision) -> None:
        """Take a decision's request if it is one of the share; never waits."""
        # The end of an id is random, and drawn anew for a request that repeats.
        drawn = int(decision.decision_id[-8:], 16) / 2**32
        if drawn >= self._share.share:
            return
        try:
            self._waiting.put_nowait((asked, decision))
        except asyncio.QueueFull:
            self.skipped += 1
            return
        if not self._askers:
            self._askers = [asyncio.ensure_future(self._ask_on()) for _ in range(_AT_ONCE)]

    def close(self) -> None:
        """Ask no more."""
        for task in self._askers:
            task.cancel()
        self._askers = []

    async def _ask_on(self) -> None:
        while True:
            asked, decision = await self._waiting.get()
            try:
                await self._ask(asked, decision)
            except Exception:  # noqa: BLE001  whatever it is, nobody who was answered may notice
                _LOG.exception("a shadow could not be asked")

    async def _ask(self, asked: DecideRequest, decision: Decision) -> None:
        day = _today(self._runtime)
        if day != self._day:
            self._day, self._spent_nusd = day, 0
        if self._cap_nusd is not None and self._spent_nusd + self._worst_nusd > self._cap_nusd:
            self.skipped += 1
            return
        self._spent_nusd += self._worst_nusd
        said = await self._runtime.rehearse(asked)
        cost = said.cost_nusd
        if cost is not None:
            self._spent_nusd += cost - self._worst_nusd
        await self._record(
            {
                "decision": decision.decision_id,
                "plan": said.plan,
                "answer": said.answer,
                "probability": said.probability,
                "tier": said.tier,
                "cost_nusd": cost,
                "latency_ms": said.latency_ms,
                "fell_back": said.fell_back,
                "handed_off": said.handed_off,
                "live_plan": decision.plan,
                "live_answer": decision.answer,
            }
        )


def worst_usd_of(plan: Plan) -> float | None:
    """Give the most that the machines of a plan can cost for one decision; None when unknown."""
    found = [step.worst_cost_usd for step in plan.tiers if step.kind != "person"]
    known = [usd for usd in found if usd is not None]
    if len(known) < len(found):
        return plan.cost_each_usd
    total = sum(known)
    return total if plan.cost_each_usd is None else min(total, plan.cost_each_usd)


def _worst_nusd(plan: Plan) -> int:
    worst = worst_usd_of(plan)
    if worst is None:
        raise PlanError(
            f"it is not known what a decision of plan {plan.id} can cost",
            asked="to ask it in the shadow, for no more than a sum of money a day",
            found="a tier without a worst price",
            attempt="declare `usd` for its tiers or `cost: each` in the brief, and plan again",
        )
    return round(worst * 1e9)


def _today(runtime: Runtime) -> int:
    return int(runtime.clock.now().timestamp() * 1e6) // _DAY_US
