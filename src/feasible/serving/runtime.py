"""The life of one request: walk the plan's tiers, fall back in time, write the decision."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import msgspec

from feasible.cascade import Ask, Fallback, Finish, Policy, Seen, State, Step, route
from feasible.clock import Clock, SystemClock
from feasible.errors import FeasibleError, PlanError, RequestError, nearest
from feasible.ledger import Ledger, new_decision_id
from feasible.schema import Answer, Decision, PathStep, Plan, TierKind, TierSpec
from feasible.serving.breaker import Breaker
from feasible.serving.calls import Calls, CallTimedOut, calls_of
from feasible.serving.messages import DecideRequest
from feasible.serving.problems import CONFLICT, Refused
from feasible.tiers import RememberingTier, Tier

__all__ = ["NOBODY", "Decided", "Runtime"]

NOBODY: Final = "nobody"
"""Who answered when no tier could and no fallback did."""

_NO_DEADLINE_S: Final = 30.0
"""Longest wait for one tier under a plan without a deadline."""
_COMMIT_AT_FIRST_S: Final = 0.025
_COMMIT_FORGETS: Final = 0.999
_COMMIT_SAFETY: Final = 2.0
"""What is kept back for the commit, in commits as long as the longest of late."""
_SHARE: Final = 0.25
"""Most of a deadline that is kept back for the commit, and most for the fallback."""
_FALLBACK_AT_LEAST_S: Final = 0.01
_WARM_UP: Final = {"text": "warm up"}

_Outcome: TypeAlias = Literal[
    "answered", "deferred", "abstained", "failed", "timed_out", "skipped", "handed_off"
]


@dataclass(frozen=True, slots=True)
class Decided:
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


@dataclass(slots=True)
class _Tier:
    """One tier with what guards it.

    Attributes:
        tier: Whom to ask.
        calls: How it is asked.
        breaker: Whether it is asked.
        needs_s: Time that is kept back for it where it is the fallback.
        timeout_s: Longest that one call of it may take, whatever the deadline; may be infinite.
    """

    tier: Tier
    calls: Calls
    breaker: Breaker
    needs_s: float
    timeout_s: float


@dataclass(slots=True)
class _Walk:
    """Where one request stands.

    Attributes:
        asked: What came in.
        arrived_s: Monotonic time of its arrival.
        until_s: When the plan's tiers must have answered, so that the fallback and the commit still
            fit; None without a deadline.
        fallback_until_s: When the fallback must have answered, so that the commit still fits.
        path: What happened so far.
        spent_usd: Most that may have been spent so far; guards the cap.
        cost_usd: What was spent; None once a price is unknown.
    """

    asked: DecideRequest
    arrived_s: float
    until_s: float | None
    fallback_until_s: float | None
    path: list[PathStep]
    spent_usd: float = 0.0
    cost_usd: float | None = 0.0

    def note(
        self,
        tier: str,
        outcome: _Outcome,
        *,
        latency_ms: float = 0.0,
        cost_usd: float | None = 0.0,
        why: str | None = None,
    ) -> None:
        """Add a step and its price."""
        step = PathStep(
            tier=tier, outcome=outcome, latency_ms=latency_ms, cost_usd=cost_usd, why=why
        )
        self.path.append(step)
        if cost_usd is None or self.cost_usd is None:
            self.cost_usd = None
        else:
            self.cost_usd += cost_usd


@dataclass(frozen=True, slots=True)
class _Given:
    """The answer that a walk ended with."""

    tier: str
    answer: Any
    probability: float | None
    handed_off: bool = False
    fell_back: str | None = None


class Runtime:
    """Answers requests by a plan, each inside its deadline and its cap, and writes each decision.

    Args:
        plan: The plan.
        tiers: Every tier of the feature by name, fitted; those of the plan and its fallbacks are
            used.
        ledger: Where decisions go before anybody is told.
        specs: What the brief declares about tiers: their `timeout` and `concurrency` are kept.
        slices: Slices that a caller may name, beside those of the plan's fallbacks.
        clock: Where time comes from.
        on_decision: Called with each decision once it is durable; its latency then includes the
            commit.

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
    ) -> None:
        self.plan = plan
        self.ledger = ledger
        self.in_flight = 0
        self._policy = Policy.from_plan(plan)
        self._slices = (frozenset(slices) | frozenset(plan.fallback)) - {"default"}
        self._clock = clock or SystemClock()
        self._on_decision = on_decision
        self._deadline_s = None if plan.deadline_ms is None else plan.deadline_ms / 1e3
        declared = {spec.name: spec for spec in specs}
        self._tiers = {
            name: self._guarded(tiers[name], declared.get(name)) for name in _needed(plan, tiers)
        }
        self._person = next(
            (name for name, held in self._tiers.items() if held.tier.kind is TierKind.PERSON), None
        )
        self._remembering = [
            held.tier for held in self._tiers.values() if isinstance(held.tier, RememberingTier)
        ]
        self._last_commit_s = 0.0
        self._commit_s = _COMMIT_AT_FIRST_S
        self._by_key: dict[str, asyncio.Future[Decided]] = {}

    def warm_up(self) -> None:
        """Ask every tier but people and language models something, so that models are loaded."""
        for held in self._tiers.values():
            if held.tier.kind in {TierKind.RULES, TierKind.MODEL}:
                try:
                    held.tier.answer([_WARM_UP])
                except Exception:  # noqa: BLE001, S112  a tier may want other fields; it is only a warm-up
                    continue

    def open_breakers(self) -> list[str]:
        """Name the tiers that are not asked now because they failed too often."""
        return [name for name, held in self._tiers.items() if held.breaker.is_open]

    def close(self) -> None:
        """Let the tiers' threads go."""
        for held in self._tiers.values():
            held.calls.close()

    async def decide(self, asked: DecideRequest, *, arrived_s: float | None = None) -> Decided:
        """Answer one request; returns once its decision is durable.

        Args:
            asked: The request.
            arrived_s: Monotonic time of its arrival; now when absent.

        Raises:
            RequestError: No tier can read it, or its idempotency key was used for another request.
            LedgerError: The decision could not be written: there is no answer without it.
        """
        arrived = self._clock.monotonic() if arrived_s is None else arrived_s
        key = asked.idempotency_key
        if key is None:
            return await self._decide(asked, arrived)
        running = self._by_key.get(key)
        if running is not None:
            earlier = await asyncio.shield(running)
            return self._again(earlier.decision, asked, arrived)
        found = self.ledger.decision_by_key(key)
        if found is not None:
            return self._again(found, asked, arrived)
        task = asyncio.ensure_future(self._decide(asked, arrived))
        self._by_key[key] = task
        try:
            return await asyncio.shield(task)
        finally:
            del self._by_key[key]

    def _again(self, earlier: Decision, asked: DecideRequest, arrived_s: float) -> Decided:
        """Give a decision once more to who asks with the same key."""
        if msgspec.to_builtins(earlier.request) != msgspec.to_builtins(asked.request):
            raise Refused(
                f"the idempotency key {asked.idempotency_key!r} was used for another request",
                status=CONFLICT,
                found=f"decision {earlier.decision_id}",
                attempt="give every request a key of its own",
            )
        return self._decided(earlier, arrived_s, is_repeat=True)

    async def _decide(self, asked: DecideRequest, arrived_s: float) -> Decided:
        self._check_slices(asked.slices)
        self.in_flight += 1
        try:
            walk = self._start(asked, arrived_s)
            given = await self._walk(walk)
            decision = self._decision(walk, given)
            committing_s = self._clock.monotonic()
            await self.ledger.append(decision)
            self._note_commit(self._clock.monotonic() - committing_s)
        finally:
            self.in_flight -= 1
        decided = self._decided(decision, arrived_s)
        self._on_decision(msgspec.structs.replace(decision, latency_ms=decided.latency_ms))
        return decided

    async def _walk(self, walk: _Walk) -> _Given:
        """Go from tier to tier until one answers or the fallback must."""
        policy, at, seen, last = self._policy, -1, None, None
        while True:
            left_s = self._left_s(walk)
            state = State(
                at=at,
                seen=seen,
                remaining_ms=None if walk.until_s is None else left_s * 1e3,
                remaining_usd=self._left_usd(walk),
                blocked=self._blocked(left_s),
            )
            move = route(policy, state)
            if isinstance(move, Finish):
                return self._finish(walk, policy.steps[move.position], last, seen)
            for name, why in move.skipped:
                walk.note(name, "skipped", why=why)
            if isinstance(move, Fallback):
                return await self._fall_back(walk, move.why)
            assert isinstance(move, Ask)  # noqa: S101  the third of three moves
            at = move.position
            seen, last = await self._ask(walk, policy.steps[at], left_s)

    async def _ask(self, walk: _Walk, step: Step, within_s: float) -> tuple[Seen, Answer | None]:
        """Ask one tier of the plan and note what it did."""
        answer = await self._call(walk, step.name, within_s)
        if answer is None:
            return Seen("failed"), None
        if answer.abstained:
            self._retell(walk, "abstained")
            return Seen("abstained"), None
        group = step.group(answer.value) if isinstance(answer.value, str) else step.group("")
        probability = step.probability(answer.score, group)
        self._retell(walk, "deferred")  # unless the policy accepts it
        return Seen("answered", group, probability), answer

    async def _call(self, walk: _Walk, name: str, within_s: float) -> Answer | None:
        """Call one tier, note its time and price, and keep its breaker; None when it failed."""
        held = self._tiers[name]
        tier = held.tier
        held.breaker.entered()
        walk.spent_usd += tier.worst_usd_per_call or 0.0
        began_s = self._clock.monotonic()
        try:
            answer = await held.calls.ask(
                walk.asked.request, within_s=min(within_s, held.timeout_s)
            )
        except RequestError:
            held.breaker.succeeded()
            raise
        except FeasibleError as error:
            late = isinstance(error, CallTimedOut)
            if not (isinstance(error, CallTimedOut) and error.waited):
                held.breaker.failed()
            # Whether a call that failed is billed, nobody told us; one that costs nothing is free.
            cost = 0.0 if tier.worst_usd_per_call == 0 else None
            took_ms = (self._clock.monotonic() - began_s) * 1e3
            why = error.message if error.found is None else f"{error.message}: {error.found}"
            walk.note(
                name, "timed_out" if late else "failed", latency_ms=took_ms, cost_usd=cost, why=why
            )
            return None
        held.breaker.succeeded()
        cost = tier.usd_per_call if answer.cost_usd is None else answer.cost_usd
        if cost is not None:
            walk.spent_usd += cost - (tier.worst_usd_per_call or 0.0)
        took_ms = (self._clock.monotonic() - began_s) * 1e3
        walk.note(name, "answered", latency_ms=took_ms, cost_usd=cost)
        return answer

    @staticmethod
    def _retell(walk: _Walk, outcome: _Outcome) -> None:
        """Say how the last step ended."""
        walk.path[-1] = msgspec.structs.replace(walk.path[-1], outcome=outcome)

    def _finish(self, walk: _Walk, step: Step, answer: Answer | None, seen: Seen | None) -> _Given:
        """Give the answer that the policy accepted."""
        assert answer is not None  # noqa: S101  only an answer is accepted
        assert seen is not None  # noqa: S101  the same
        if step.kind is TierKind.PERSON:
            self._retell(walk, "handed_off")
            return _Given(step.name, None, None, handed_off=True)
        self._retell(walk, "answered")
        if step.kind is not TierKind.CACHE:
            for cache in self._remembering:
                cache.remember(walk.asked.request, answer.value, seen.probability)
        return _Given(step.name, answer.value, seen.probability)

    async def _fall_back(self, walk: _Walk, why: str) -> _Given:
        """Let the declared fallback answer, then a person, then nobody; never fail open."""
        told = "the deadline came too near" if why == "deadline" else "no tier was sure enough"
        failed = [step for step in walk.path if step.outcome in {"failed", "timed_out"}]
        if failed:
            told = f"{told}; {failed[-1].tier} {failed[-1].outcome.replace('_', ' ')}"
        declared = self._policy.fallback_of(walk.asked.slices)
        for name in dict.fromkeys(name for name in (declared, self._person) if name is not None):
            given = await self._ask_fallback(walk, name, told)
            if given is not None:
                return given
        return _Given(NOBODY, None, None, fell_back=told)

    async def _ask_fallback(self, walk: _Walk, name: str, told: str) -> _Given | None:
        held = self._tiers[name]
        is_person = held.tier.kind is TierKind.PERSON
        left_usd = self._left_usd(walk)
        if left_usd is not None and (held.tier.worst_usd_per_call or 0.0) > left_usd:
            walk.note(name, "skipped", why="cost")
            return None
        if held.breaker.is_open and not is_person:
            walk.note(name, "skipped", why="blocked")
            return None
        until_s = walk.fallback_until_s
        within_s = _NO_DEADLINE_S if until_s is None else max(until_s - self._clock.monotonic(), 0)
        answer = await self._call(walk, name, within_s)
        if answer is None:
            return None
        if answer.abstained:
            self._retell(walk, "abstained")
            return None
        if is_person:
            self._retell(walk, "handed_off")
            return _Given(name, None, None, handed_off=True, fell_back=told)
        step = next((step for step in self._policy.steps if step.name == name), None)
        group = "" if step is None else step.group(str(answer.value))
        probability = None if step is None else step.probability(answer.score, group)
        return _Given(name, answer.value, probability, fell_back=told)

    def _decision(self, walk: _Walk, given: _Given) -> Decision:
        cost = walk.cost_usd
        return Decision(
            decision_id=new_decision_id(self._clock),
            at=self._clock.now(),
            plan=self.plan.id,
            answer=given.answer,
            probability=given.probability,
            tier=given.tier,
            path=tuple(walk.path),
            cost_nusd=None if cost is None else round(cost * 1e9),
            # Its own commit lies ahead: the one before stands in, so that recorded latencies are
            # distributed as those that clients see.
            latency_ms=(self._clock.monotonic() - walk.arrived_s + self._last_commit_s) * 1e3,
            slices=walk.asked.slices,
            fell_back=given.fell_back,
            handed_off=given.handed_off,
            request=walk.asked.request,
            idempotency_key=walk.asked.idempotency_key,
        )

    def _decided(self, decision: Decision, arrived_s: float, *, is_repeat: bool = False) -> Decided:
        latency_ms = (self._clock.monotonic() - arrived_s) * 1e3
        within: dict[str, bool | None] = {}
        if self.plan.deadline_ms is not None:
            within["deadline"] = latency_ms <= self.plan.deadline_ms
        if self.plan.cost_each_usd is not None:
            cost = decision.cost_nusd
            within["cost_each"] = None if cost is None else cost <= self.plan.cost_each_usd * 1e9
        return Decided(decision, latency_ms, within, is_repeat=is_repeat)

    def _start(self, asked: DecideRequest, arrived_s: float) -> _Walk:
        """Begin a walk: divide its time between the tiers, the fallback and the commit."""
        own_s = None if asked.deadline_ms is None else asked.deadline_ms / 1e3
        limits = [limit for limit in (self._deadline_s, own_s) if limit is not None]
        if not limits:
            return _Walk(asked, arrived_s, None, None, [])
        deadline_s = min(limits)
        declared = self._policy.fallback_of(asked.slices)
        fallback_s = 0.0 if declared is None else self._tiers[declared].needs_s
        fallback_until_s = (
            arrived_s + deadline_s - min(_COMMIT_SAFETY * self._commit_s, _SHARE * deadline_s)
        )
        until_s = fallback_until_s - min(fallback_s, _SHARE * deadline_s)
        return _Walk(asked, arrived_s, until_s, fallback_until_s, [])

    def _left_s(self, walk: _Walk) -> float:
        if walk.until_s is None:
            return _NO_DEADLINE_S
        return walk.until_s - self._clock.monotonic()

    def _left_usd(self, walk: _Walk) -> float | None:
        cap = self._policy.cost_each_usd
        return None if cap is None else cap - walk.spent_usd

    def _blocked(self, left_s: float) -> frozenset[str]:
        """Name the tiers that would not answer in the time that is left."""
        return frozenset(
            name
            for name, held in self._tiers.items()
            if held.breaker.is_open or held.calls.is_full(within_s=left_s)
        )

    def _note_commit(self, took_s: float) -> None:
        """Keep the longest commit of late, so that the deadline leaves room for one like it."""
        self._last_commit_s = took_s
        self._commit_s = max(took_s, self._commit_s * _COMMIT_FORGETS)

    def _check_slices(self, slices: tuple[str, ...]) -> None:
        for name in slices:
            if name not in self._slices:
                known = sorted(self._slices)
                close = nearest(name, known)
                raise RequestError(
                    f"`slices`: the plan knows no slice {name!r}",
                    found=f"known: {', '.join(known) or 'none'}",
                    attempt=f"`{close}`" if close else "leave `slices` out",
                )

    def _guarded(self, tier: Tier, spec: TierSpec | None) -> _Tier:
        step = next((step for step in self.plan.tiers if step.name == tier.name), None)
        p50_ms = None if step is None else step.latency_p50_ms
        p95_ms = None if step is None else step.latency_p95_ms
        calls = calls_of(
            tier,
            labels=frozenset(self.plan.labels) or None,
            most=None if spec is None else spec.concurrency,
            typical_s=None if p50_ms is None else p50_ms / 1e3,
            deadline_s=self._deadline_s,
        )
        needs_s = max(_FALLBACK_AT_LEAST_S, (p95_ms or 0.0) / 1e3)
        timeout_s = math.inf
        if spec is not None and spec.timeout is not None:
            timeout_s = spec.timeout.mid
        return _Tier(tier, calls, Breaker(self._clock), needs_s, timeout_s)


def _needed(plan: Plan, tiers: Mapping[str, Tier]) -> list[str]:
    """Name the tiers of a plan and of its fallbacks, and check that they are there."""
    names = list(dict.fromkeys([*(step.name for step in plan.tiers), *plan.fallback.values()]))
    for name in names:
        if name not in tiers:
            raise PlanError(
                f"plan {plan.id} uses a tier {name!r} that the feature does not have",
                found=f"tiers: {', '.join(tiers) or 'none'}",
                attempt="plan again: feasible plan NAME",
            )
    return names
