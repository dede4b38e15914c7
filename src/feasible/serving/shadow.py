"""Asking a plan that nobody hears: what would it have said, how sure, and for how much."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from feasible.errors import FeasibleError, PlanError
from feasible.schema import Decision, PlanShare
from feasible.serving.messages import DecideRequest
from feasible.serving.runtime import Runtime

__all__ = ["Shadow", "check_price"]

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
        spent: Gives what this process has spent of its part today; asked once, from a thread.
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
        spent: Callable[[], int] = lambda: 0,
        parts: int = 1,
    ) -> None:
        self.skipped = 0
        self._runtime = runtime
        self._share = share
        self._record = record
        self._worst_nusd = check_price(runtime)
        self._cap_nusd = (
            None if share.usd_per_day is None else int(share.usd_per_day * 1e9) // parts
        )
        self._spent = spent
        self._spent_nusd = 0
        self._day = _today(runtime)
        self._remembered = asyncio.Event()
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
            self._askers.append(asyncio.ensure_future(self._remember()))

    def close(self) -> None:
        """Ask no more."""
        for task in self._askers:
            task.cancel()
        self._askers = []

    async def _remember(self) -> None:
        """Learn what was spent before this process began."""
        try:
            self._spent_nusd += await asyncio.to_thread(self._spent)
        except FeasibleError:
            _LOG.exception("what a shadow has spent today cannot be read: it is not asked")
            return
        self._remembered.set()

    async def _ask_on(self) -> None:
        await self._remembered.wait()
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
        # A person who would have been asked is not: that part costs nothing.
        machines = [step.cost_usd for step in said.path if step.outcome != "handed_off"]
        known = [usd for usd in machines if usd is not None]
        spent = round(sum(known) * 1e9) if len(known) == len(machines) else self._worst_nusd
        self._spent_nusd += spent - self._worst_nusd
        await self._record(
            {
                "decision": decision.decision_id,
                "plan": said.plan,
                "answer": said.answer,
                "probability": said.probability,
                "tier": said.tier,
                "cost_nusd": said.cost_nusd,
                "spent_nusd": spent,
                "latency_ms": said.latency_ms,
                "fell_back": said.fell_back,
                "handed_off": said.handed_off,
                "live_plan": decision.plan,
                "live_answer": decision.answer,
            }
        )


def check_price(runtime: Runtime) -> int:
    """Give the most that a decision of a plan can cost, people left out. Nano-dollars.

    Raises:
        PlanError: It is not known.
    """
    worst = runtime.worst_usd()
    if worst is None:
        raise PlanError(
            f"it is not known what a decision of plan {runtime.plan.id} can cost",
            asked="to ask it in the shadow, for no more than a sum of money a day",
            found="a tier without a worst price",
            attempt="declare `usd` for its tiers or `cost: each` in the brief, and plan again",
        )
    return round(worst * 1e9)


def _today(runtime: Runtime) -> int:
    return int(runtime.clock.now().timestamp() * 1e6) // _DAY_US
