"""Several worker processes as one service: one change of plans, one page of figures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from feasible.errors import FeasibleError
from feasible.ledger import Ledger
from feasible.schema import Event, LivePlans, PlanChange
from feasible.serving.gathered import Gathered
from feasible.serving.live import LiveRuntime
from feasible.serving.plan_desk import PlanDesk
from feasible.serving.supervisor import Worker

__all__ = ["Alone", "Several", "worker_handlers"]

_PREPARE_S: Final = 110.0
_QUICK_S: Final = 10.0
_FIGURES_S: Final = 1.0
_MOST_SILENT: Final = 10
"""Looks in a row, of two seconds each at least, at which a worker says nothing before it is ended:
one whose loop is only busy answers a look within them."""
_LOG: Final = logging.getLogger(__name__)

MakeEvent = Callable[[PlanChange, str], Event]


class Alone:
    """One process that answers, for a `PlanDesk`.

    Args:
        runtime: What answers here.
        ledger: Where changes go on record.
        event: Gives the event of a change.
    """

    def __init__(self, runtime: LiveRuntime, ledger: Ledger, event: MakeEvent) -> None:
        self._runtime = runtime
        self._ledger = ledger
        self._event = event

    async def prepare(self, live: LivePlans) -> None:
        """Load and warm what a set of plans needs."""
        await self._runtime.prepare(live)

    async def record(self, change: PlanChange, actor: str) -> None:
        """Put a change on record."""
        await self._ledger.record(self._event(change, actor))

    async def switch(self, live: LivePlans) -> None:
        """Let a set answer that was prepared."""
        self._runtime.switch(live)

    async def drop_prepared(self) -> None:
        """Let go of what was prepared."""
        self._runtime.drop_prepared()


def worker_handlers(
    answering: Alone, metrics: Callable[[], bytes]
) -> dict[str, Callable[[Any], Awaitable[Any]]]:
    """Give what a worker answers its supervisor."""

    async def prepare(body: Any) -> None:
        await answering.prepare(msgspec.convert(body, LivePlans))

    async def record(body: Any) -> None:
        change = msgspec.convert(body["change"], PlanChange)
        await answering.record(change, body["actor"])

    async def switch(body: Any) -> None:
        await answering.switch(msgspec.convert(body, LivePlans))

    async def drop(_body: Any) -> None:
        await answering.drop_prepared()

    async def figures(_body: Any) -> str:
        return metrics().decode()

    return {
        "prepare": prepare,
        "record": record,
        "switch": switch,
        "drop": drop,
        "figures": figures,
    }


class Several:
    """The workers of a supervisor as one, for a `PlanDesk`; and the supervisor's answers to them.

    Args:
        workers: Their places.
        live: What answers.
        figures_s: How long a worker's figures are waited for, and between two looks at all.
    """

    def __init__(
        self, workers: list[Worker], live: LivePlans, *, figures_s: float = _FIGURES_S
    ) -> None:
        self.desk = PlanDesk(live, self)
        self._workers = workers
        self._figures_s = figures_s
        self._gathered = Gathered()

    async def prepare(self, live: LivePlans) -> None:
        """Load and warm what a set of plans needs, in every worker."""
        await self._ask_all("prepare", live, within_s=_PREPARE_S)

    async def record(self, change: PlanChange, actor: str) -> None:
        """Let one worker put a change on record."""
        for worker in self._ready():
            if worker.channel is not None:
                body = msgspec.to_builtins({"change": change, "actor": actor})
                await worker.channel.ask("record", body, within_s=_QUICK_S)
                return
        raise FeasibleError("no worker takes requests now", attempt="ask again")

    async def switch(self, live: LivePlans) -> None:
        """Let a set answer that was prepared, in every worker; one that cannot is replaced."""
        body = msgspec.to_builtins(live)

        async def one(worker: Worker) -> None:
            try:
                if worker.channel is not None:
                    await worker.channel.ask("switch", body, within_s=_QUICK_S)
            except FeasibleError:
                if worker.process is not None:
                    worker.process.terminate()

        await asyncio.gather(*(one(worker) for worker in self._ready()))

    async def drop_prepared(self) -> None:
        """Let go of what was prepared, in every worker."""
        for worker in self._ready():
            if worker.channel is not None:
                worker.channel.tell("drop")

    async def admit(self, worker: Worker, told: Any) -> None:
        """Bring a worker that starts to what answers by now."""
        async with self.desk.guard:
            live = self.desk.live
            if worker.channel is not None and msgspec.convert(told["live"], LivePlans) != live:
                body = msgspec.to_builtins(live)
                await worker.channel.ask("prepare", body, within_s=_PREPARE_S)
                await worker.channel.ask("switch", body, within_s=_QUICK_S)
            worker.is_ready = True

    async def handle(self, worker: Worker, what: str, body: Any) -> Any:
        """Answer a worker: orders that came to it over HTTP, and the figures of all."""
        if what == "order":
            return await self.desk.handle(body)
        if what == "figures":
            return await self._figures(worker, body)
        raise FeasibleError(f"a supervisor cannot answer `{what}`")

    async def _figures(self, asking: Worker, own: str) -> str:
        """Add up the pages of all workers; one that does not answer counts as it last did."""

        async def one(worker: Worker) -> None:
            if worker is asking or worker.channel is None:
                return
            try:
                page = await worker.channel.ask("figures", within_s=self._figures_s)
            except FeasibleError:
                return
            self._gathered.put(worker.number, worker.life, page)

        self._gathered.put(asking.number, asking.life, own)
        await asyncio.gather(*(one(worker) for worker in self._ready()))
        alive = {worker.number: worker.life for worker in self._workers}
        return self._gathered.text(alive, asked=asking.number)

    async def keep_figures(self) -> None:
        """Ask for every worker's figures now and then, so that few are lost with one that dies.

        One that says nothing for long is ended, and replaced: it may have been stopped while it was
        its turn to write the ledger, and then all others wait for it.
        """
        silent: dict[tuple[int, int], int] = {}
        while True:
            await asyncio.sleep(self._figures_s)
            for worker in self._ready():
                if worker.channel is None:
                    continue
                key = worker.number, worker.life
                try:
                    page = await worker.channel.ask("figures", within_s=self._figures_s)
                except FeasibleError:
                    silent[key] = silent.get(key, 0) + 1
                    if silent[key] >= _MOST_SILENT:
                        _LOG.error("worker %d says nothing: it is ended", worker.number + 1)
                        worker.kill()
                    continue
                silent.pop(key, None)
                self._gathered.put(worker.number, worker.life, page)

    async def _ask_all(self, what: str, live: LivePlans, *, within_s: float) -> None:
        body = msgspec.to_builtins(live)
        channels = [worker.channel for worker in self._ready() if worker.channel is not None]
        asked = [channel.ask(what, body, within_s=within_s) for channel in channels]
        said = await asyncio.gather(*asked, return_exceptions=True)
        for one in said:
            if isinstance(one, BaseException):
                raise one

    def _ready(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.is_ready]
