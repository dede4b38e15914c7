"""The life of one request: in under its key, along the tiers, onto the ledger, then out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from feasible.clock import Clock, SystemClock
from feasible.errors import KeyTaken, RequestError, nearest
from feasible.ledger import Ledger, decision_id_at
from feasible.schema import Decision, Plan, TierKind, TierSpec
from feasible.serving.budget import Budgets, Standing
from feasible.serving.claims import KeyClaims
from feasible.serving.commit_time import CommitTime
from feasible.serving.eager import in_a_task
from feasible.serving.incoming import MOST_DEPTH, MOST_FIELDS, content_of, is_deeper
from feasible.serving.messages import DecideRequest
from feasible.serving.pressure import Pressure
from feasible.serving.problems import CONFLICT, Refused
from feasible.serving.walk import Given, Walk, Walker
from feasible.state import State
from feasible.tiers import Tier

__all__ = ["Decided", "Runtime"]


_LOG: Final = logging.getLogger(__name__)


class Decided(msgspec.Struct, frozen=True):
    """A durable decision as its caller hears of it.

    Attributes:
        decision: As it stands in the ledger.
        latency_ms: From arrival until it was durable.
        within: `deadline` and `cost_each`, where the plan has them.
        is_repeat: The decision was made before, for the same idempotency key.
    """

    decision: Decision
    latency_ms: float
    within: dict[str, bool | None]
    is_repeat: bool = False


class Runtime:
    """Answers requests by a plan, each inside its deadline and its cap, and writes each decision.

    Args:
        plan: The plan.
        tiers: Every tier of the feature by name, fitted; those of the plan and its fallbacks are
            used.
        ledger: Where decisions go before anybody is told.
        specs: What the brief declares about tiers: how they are to be called.
        slices: Slices that a caller may name, beside those of the plan's fallbacks.
        clock: Where time comes from.
        on_decision: Called with each decision once it is durable; its latency then includes the
            commit.
        state: What the workers of the machine share; needed for a plan with limits on the money of
            many decisions.
        several: Other processes answer too: they are kept from working on the same key.
        under_way: Idempotency key -> what is being decided for it; runtimes of several plans of one
            service share it.
        arrivals_per_s: Requests each second at the peak, as declared; None when nobody knows.
        workers: Processes of the service; they share what a tier may have in flight.
        breakers: File in which they keep their breakers in common; None: each has its own.

    Attributes:
        in_flight: Requests that are being answered.
        pressure: Says from how many requests in flight on dear tiers are passed over, and when to
            come again; None for never.

    Raises:
        PlanError: The plan names a tier that is not there.
    """

    def __init__(
        self,
        plan: Plan,
        tiers: Mapping[str, Tier],
        ledger: Ledger,
        *,
        specs: Iterable[TierSpec] = (),
        slices: Iterable[str] = (),
        clock: Clock | None = None,
        on_decision: Callable[[Decision], None] = lambda _decision: None,
        state: State | None = None,
        several: bool = False,
        under_way: dict[str, tuple[bytes, asyncio.Future[Decided]]] | None = None,
        arrivals_per_s: float | None = None,
        workers: int = 1,
        breakers: Path | None = None,
    ) -> None:
        self.plan = plan
        self.clock = clock or SystemClock()
        self.ledger = ledger
        self.in_flight = 0
        self.pressure: Pressure | None = None
        self._slices = (frozenset(slices) | frozenset(plan.fallback)) - {"default"}
        self._clock = self.clock
        self._on_decision = on_decision
        self._walker = Walker(
            plan,
            tiers,
            specs=specs,
            clock=self._clock,
            is_pressed=self._is_pressed,
            too_much=self._too_much,
            arrivals_per_s=arrivals_per_s,
            workers=workers,
            breakers=breakers,
        )
        self._remembering = self._walker.caches()
        self.warm_up = self._walker.warm_up
        self.open_breakers = self._walker.open_breakers
        self.call_figures = self._walker.figures
        self.close = self._walker.close
        self.worst_usd = self._walker.worst_usd
        self._commit = CommitTime()
        self.budgets = self._budgets_of(plan, tiers, state)
        self._walker.budgets = self.budgets
        self._keys = KeyClaims(state, ledger, self._clock) if several and state else None
        self._by_key = {} if under_way is None else under_way

    def standing(self) -> list[Standing]:
        """Say how the money of many decisions stands; empty without a limit on it."""
        return [] if self.budgets is None else self.budgets.standing()

    def _is_pressed(self) -> bool:
        return self.pressure is not None and self.in_flight >= self.pressure.high_mark

    def _too_much(self) -> Exception:
        assert self.pressure is not None  # noqa: S101  nothing else passes a tier over for the load
        return self.pressure.refusal(self.pressure.high_mark)

    def decide(
        self, asked: DecideRequest, *, arrived_s: float | None = None
    ) -> Coroutine[Any, Any, Decided]:
        """Answer one request; what is awaited returns once its decision is durable.

        Args:
            asked: The request.
            arrived_s: Monotonic time of its arrival; now when absent.

        Raises:
            RequestError: No tier can read it, or its idempotency key was used for another request.
            LedgerError: The decision could not be written: there is no answer without it.
        """
        arrived = self._clock.monotonic() if arrived_s is None else arrived_s
        self._check(asked)
        key = asked.idempotency_key
        return self._decide(asked, arrived) if key is None else self._once(key, asked, arrived)

    async def _once(self, key: str, asked: DecideRequest, arrived: float) -> Decided:
        """Answer the first request under a key, and every later one as the first."""
        await in_a_task()
        content = content_of(asked.request)
        running = self._by_key.get(key)
        if running is not None:
            if running[0] != content:
                raise _key_taken(key, "a decision that is under way")
            try:
                earlier = (await asyncio.shield(running[1])).decision
            except KeyTaken as taken:
                held = self.ledger.decision(taken.holder)
                if held is None:
                    raise
                return self._repeated(held, asked, arrived, content=content)
            return self._decided(earlier, asked, arrived, is_repeat=True)
        found = self.ledger.decision_by_key(key)
        if found is not None:
            return self._repeated(found, asked, arrived, content=content)
        task = asyncio.ensure_future(
            self._decide(asked, arrived)
            if self._keys is None
            else self._decide_alone(self._keys, key, content, asked, arrived)
        )
        self._by_key[key] = (content, task)
        task.add_done_callback(lambda done: self._key_done(key, done))
        try:
            return await asyncio.shield(task)
        except KeyTaken as taken:  # another worker wrote its decision meanwhile, and that counts
            found = self.ledger.decision(taken.holder)
            if found is None:
                raise
            return self._repeated(found, asked, arrived, content=content)

    def _repeated(
        self, found: Decision, asked: DecideRequest, arrived_s: float, *, content: bytes
    ) -> Decided:
        """Answer with the decision that has this key, if it was for the same request."""
        if content_of(found.request) != content:
            raise _key_taken(str(asked.idempotency_key), f"decision {found.decision_id}")
        return self._decided(found, asked, arrived_s, is_repeat=True)

    def _key_done(self, key: str, task: asyncio.Future[Decided]) -> None:
        """Leave the key to the ledger, once its decision is there, whoever still waits."""
        del self._by_key[key]
        if not task.cancelled():
            task.exception()  # seen, so that nobody warns when its only caller went away

    def _budgets_of(
        self, plan: Plan, tiers: Mapping[str, Tier], state: State | None
    ) -> Budgets | None:
        """Give the money of a plan's decisions, with what the ledger says was spent of it."""
        if state is None or not plan.spend:
            return None
        most_calls = self._walker.most_calls()
        budgets = Budgets(
            plan,
            {name: tiers[name].worst_usd_per_call for name in most_calls},
            [name for name in most_calls if tiers[name].kind is TierKind.PERSON],
            state,
            clock=self._clock,
            most_calls=most_calls,
        )
        budgets.adopt(self.ledger.decisions(since=budgets.since()))
        return budgets

    async def _decide_alone(
        self, keys: KeyClaims, key: str, content: bytes, asked: DecideRequest, arrived_s: float
    ) -> Decided:
        """Decide unless another process does, whose decision is then the answer."""
        limits = [ms for ms in (self.plan.deadline_ms, asked.deadline_ms) if ms is not None]
        until_s = arrived_s + min(limits) / 1e3 if limits else None
        self.in_flight += 1  # whoever waits is to be answered before a service stops
        try:
            async with keys.turn(key, until_s=until_s) as found:
                if found is None:
                    self.in_flight -= 1
                    try:
                        return await self._decide(asked, arrived_s)
                    finally:
                        self.in_flight += 1
        finally:
            self.in_flight -= 1
        return self._repeated(found, asked, arrived_s, content=content)

    async def _decide(self, asked: DecideRequest, arrived_s: float) -> Decided:
        self.in_flight += 1
        walk = self._walker.start(asked, arrived_s, commit_s=self._commit.needs_s)
        try:
            given = await self._walker.go(walk)
            decision = self._decision(walk, given)
            committing_s = self._clock.monotonic()
            await self.ledger.append(decision)
            self._commit.note(self._clock.monotonic() - committing_s)
            if self.budgets is not None:
                self.budgets.made(decision, walk.reserved)
        finally:
            self.in_flight -= 1
            if self.budgets is not None and (reserved := walk.to_settle()):
                self.budgets.settle(reserved)
        decided = self._decided(decision, asked, arrived_s)
        self._tell(walk, msgspec.structs.replace(decision, latency_ms=decided.latency_ms))
        return decided

    async def rehearse(self, asked: DecideRequest) -> Decision:
        """Say what would be decided; nothing is written, remembered or told to anybody.

        Raises:
            RequestError: No tier can read it.
        """
        walk = self._walker.start(asked, self._clock.monotonic(), commit_s=self._commit.needs_s)
        walk.is_rehearsal = True
        return self._decision(walk, await self._walker.go(walk))

    def _tell(self, walk: Walk, decision: Decision) -> None:
        """Tell caches and listeners; the decision is on record, and no fault of theirs loses it."""
        try:
            self._on_decision(decision)
            if walk.accepted is not None:
                for cache in self._remembering:
                    cache.remember(walk.asked.request, *walk.accepted)
        except Exception:  # noqa: BLE001  listeners and caches may be anybody's
            _LOG.exception("a durable decision could not be told to everybody")

    def _decision(self, walk: Walk, given: Given) -> Decision:
        cost, at = walk.cost_usd, self._clock.now()
        return Decision(
            decision_id=decision_id_at(at),
            at=at,
            plan=self.plan.id,
            answer=given.answer,
            probability=given.probability,
            tier=given.tier,
            path=tuple(walk.path),
            cost_nusd=None if cost is None else round(cost * 1e9),
            # Its own commit lies ahead: the one before stands in, so that recorded latencies are
            # distributed as those that clients see.
            latency_ms=(self._clock.monotonic() - walk.arrived_s + self._commit.last_s) * 1e3,
            slices=walk.asked.slices,
            fell_back=given.fell_back,
            handed_off=given.handed_off,
            request=walk.asked.request,
            idempotency_key=walk.asked.idempotency_key,
            at_most_nusd=round(walk.spent_usd * 1e9) if cost is None else None,
        )

    def _decided(
        self,
        decision: Decision,
        asked: DecideRequest,
        arrived_s: float,
        *,
        is_repeat: bool = False,
    ) -> Decided:
        latency_ms = (self._clock.monotonic() - arrived_s) * 1e3
        within: dict[str, bool | None] = {}
        limit_ms = self._walker.limit_ms(asked)
        if limit_ms is not None:
            within["deadline"] = latency_ms <= limit_ms
        if self.plan.cost_each_usd is not None:
            cost = decision.cost_nusd
            within["cost_each"] = None if cost is None else cost <= self.plan.cost_each_usd * 1e9
        return Decided(decision, latency_ms, within, is_repeat=is_repeat)

    def _check(self, asked: DecideRequest) -> None:
        """Refuse what no tier should see."""
        if len(asked.request) > MOST_FIELDS:
            raise RequestError(
                "the request has too many fields",
                asked=f"at most {MOST_FIELDS:,}",
                found=f"{len(asked.request):,}",
                attempt="send those that the feature reads",
            )
        if is_deeper(asked.request, MOST_DEPTH):
            raise RequestError(
                "the request is nested too deep",
                asked=f"at most {MOST_DEPTH} lists and objects inside each other",
                attempt="send it flatter",
            )
        for name in asked.slices:
            if name not in self._slices:
                known = sorted(self._slices)
                close = nearest(name, known)
                raise RequestError(
                    f"`slices`: the plan knows no slice {name!r}",
                    found=f"known: {', '.join(known) or 'none'}",
                    attempt=f"`{close}`" if close else "leave `slices` out",
                )


def _key_taken(key: str, holder: str) -> Refused:
    return Refused(
        f"the idempotency key {key!r} was used for another request",
        status=CONFLICT,
        found=holder,
        attempt="give every request a key of its own",
    )
