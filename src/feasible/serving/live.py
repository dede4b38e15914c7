"""Which runtime a request goes to, and how one set of plans takes the place of another."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from feasible.ledger import Ledger
from feasible.schema import LivePlans, Plan, PlanShare
from feasible.serving.budget import Standing
from feasible.serving.calls import CallFigures
from feasible.serving.incoming import content_of
from feasible.serving.messages import DecideRequest
from feasible.serving.pressure import Pressure
from feasible.serving.runtime import Decided, Runtime
from feasible.serving.shadow import Shadow, check_price

__all__ = ["AnyRuntime", "LiveRuntime"]

_LONGEST_LET_GO_S: Final = 120.0

MakeRuntime = Callable[[str], Runtime]
"""Loads the plan of an id with its tiers, checks that it fits, and warms it up."""
MakeShadow = Callable[[Runtime, PlanShare], Shadow]


class LiveRuntime:
    """The runtimes of all plans that answer now; it stands for them where one runtime is expected.

    A request goes to one runtime and ends there, whatever changes meanwhile. The tiers of a plan
    that no longer answers are closed once its last request has ended.

    Args:
        live: What answers.
        make: Gives the runtime of a plan.
        shadow: Gives what asks a shadow plan.

    Attributes:
        live: What answers now.
        stable: Its runtime.
        decide: Answers a request, as `Runtime.decide` does.
    """

    decide: Callable[..., Awaitable[Decided]]

    def __init__(self, live: LivePlans, *, make: MakeRuntime, shadow: MakeShadow) -> None:
        self._make = make
        self._make_shadow = shadow
        self._runtimes = {name: make(name) for name in live.plans()}
        self._spare: dict[str, Runtime] = {}
        self._leaving: set[Runtime] = set()
        self._letting_go: set[asyncio.Task[None]] = set()
        self._shadow: Shadow | None = None
        self._guard = asyncio.Lock()
        self._pressure: Pressure | None = None
        self.live = live
        self._point(live)

    @property
    def plan(self) -> Plan:
        """Give the stable plan."""
        return self.stable.plan

    @property
    def ledger(self) -> Ledger:
        """Give where decisions go."""
        return self.stable.ledger

    @property
    def in_flight(self) -> int:
        """Give the requests that are being answered, by whichever plan."""
        if len(self._runtimes) == 1 and not self._leaving:
            return self.stable.in_flight
        every = (*self._runtimes.values(), *self._leaving)
        return sum(runtime.in_flight for runtime in every)

    def open_breakers(self) -> list[str]:
        """Name the tiers that are not asked now because they failed too often."""
        names = (name for one in self._answering() for name in one.open_breakers())
        return list(dict.fromkeys(names))

    @property
    def pressure(self) -> Pressure | None:
        """Give what says when there is too much to do; None for never."""
        return self._pressure

    @pressure.setter
    def pressure(self, pressure: Pressure | None) -> None:
        self._pressure = pressure
        for runtime in (*self._runtimes.values(), *self._spare.values()):
            runtime.pressure = pressure

    def call_figures(self) -> dict[str, CallFigures]:
        """Say what the calls of each tier do; where two plans answer, those of the stable one."""
        found: dict[str, CallFigures] = {}
        for runtime in reversed(self._answering()):
            found |= runtime.call_figures()
        return found

    def standing(self) -> list[Standing]:
        """Say how the money of many decisions stands under the stable plan."""
        return self.stable.standing()

    async def prepare(self, live: LivePlans) -> None:
        """Load and warm what a set of plans needs; nothing that answers is touched.

        Raises:
            FeasibleError: A plan of it does not fit, or cannot be loaded.
        """
        async with self._guard:
            missing = [
                name
                for name in live.plans()
                if name not in self._runtimes and name not in self._spare
            ]
            made = {}
            try:
                for name in missing:
                    made[name] = await asyncio.to_thread(self._make, name)
                if live.shadow is not None:
                    check_price((self._runtimes | self._spare | made)[live.shadow.plan])
            except BaseException:
                for runtime in made.values():
                    runtime.close()
                raise
            self._spare |= made
            self.pressure = self._pressure

    def switch(self, live: LivePlans) -> None:
        """Let a set of plans answer that was prepared; every request from now on is theirs."""
        every = self._runtimes | self._spare
        needed = {name: every[name] for name in live.plans()}
        gone = [runtime for name, runtime in self._runtimes.items() if name not in needed]
        unused = [runtime for name, runtime in self._spare.items() if name not in needed]
        self._runtimes, self._spare = needed, {}
        self._point(live)
        for runtime in gone:
            self._leaving.add(runtime)
            task = asyncio.ensure_future(self._let_go(runtime))
            self._letting_go.add(task)
            task.add_done_callback(self._letting_go.discard)
        for runtime in unused:
            runtime.close()

    def drop_prepared(self) -> None:
        """Let go of what was prepared for a change that did not come."""
        spare, self._spare = self._spare, {}
        for runtime in spare.values():
            runtime.close()

    def close(self) -> None:
        """Let all tiers go."""
        if self._shadow is not None:
            self._shadow.close()
        for runtime in (*self._runtimes.values(), *self._spare.values(), *self._leaving):
            runtime.close()

    def _point(self, live: LivePlans) -> None:
        """Send requests where a set of plans wants them."""
        is_same = self._shadow is not None and live.shadow == self.live.shadow
        before = None if is_same else self._shadow
        self.live = live
        self.stable = self._runtimes[live.stable]
        self._canary = None if live.canary is None else self._runtimes[live.canary.plan]
        if live.shadow is None:
            self._shadow = None
        elif not is_same:
            self._shadow = self._make_shadow(self._runtimes[live.shadow.plan], live.shadow)
        if before is not None:
            before.close()
        # Without company the stable runtime is called as it is: a request pays nothing for what
        # could be.
        is_alone = self._canary is None and self._shadow is None
        self.decide = self.stable.decide if is_alone else self._decide

    async def _decide(self, asked: DecideRequest, *, arrived_s: float | None = None) -> Decided:
        runtime, shadow = self._chosen(asked), self._shadow
        decided = await runtime.decide(asked, arrived_s=arrived_s)
        if shadow is not None and not decided.is_repeat:
            shadow.consider(asked, decided.decision)
        return decided

    def _chosen(self, asked: DecideRequest) -> Runtime:
        """Give the canary its share: the same request, or the same key, meets the same plan."""
        live = self.live
        if self._canary is None or live.canary is None:
            return self.stable
        key = asked.idempotency_key
        content = content_of(asked.request) if key is None else key.encode()
        salt = live.canary.plan.encode()[:16]
        digest = hashlib.blake2b(content, digest_size=8, salt=salt).digest()
        is_its = int.from_bytes(digest, "big") < live.canary.share * 2**64
        return self._canary if is_its else self.stable

    def _answering(self) -> list[Runtime]:
        return [self.stable] if self._canary is None else [self.stable, self._canary]

    async def _let_go(self, runtime: Runtime) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _LONGEST_LET_GO_S
        await asyncio.sleep(0.1)  # a request that was sent there may not have begun
        while runtime.in_flight and loop.time() < until_s:  # noqa: ASYNC110  many requests
            await asyncio.sleep(0.05)
        self._leaving.discard(runtime)
        await asyncio.to_thread(runtime.close)


AnyRuntime: TypeAlias = Runtime | LiveRuntime
"""What answers requests: by one plan, or by those that are live."""
