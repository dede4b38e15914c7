"""One request's way from tier to tier, and to the fallback when time or tiers give out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import msgspec

from feasible.cascade import (
    Ask,
    Fallback,
    Finish,
    Heard,
    Policy,
    Seen,
    State,
    Step,
    foresee,
    longest_ms,
    route,
    until_of,
)
from feasible.clock import Clock
from feasible.errors import FeasibleError, PlanError, RequestError
from feasible.schema import Answer, PathStep, Plan, TierKind, TierSpec, breaker_rule
from feasible.serving.breaker import Breaker
from feasible.serving.calls import (
    CallFigures,
    CallTimedOut,
    IsolatedCalls,
    Told,
    calls_of,
    cost_of_failure,
    words_of,
)
from feasible.serving.guarded_tier import NO_TIERS, BlockedTiers, GuardedTier, dear_tiers
from feasible.serving.incoming import own_copy
from feasible.serving.messages import DecideRequest
from feasible.tiers import RememberingTier, Tier

__all__ = ["NOBODY", "Given", "Walk", "Walker"]

NOBODY: Final = "nobody"
"""Who answered when no tier could and no fallback did."""

_WARM_UP: Final = {"text": "warm up"}

_Outcome: TypeAlias = Literal[
    "answered",
    "deferred",
    "abstained",
    "failed",
    "timed_out",
    "skipped",
    "handed_off",
    "retried",
    "cancelled",
]


@dataclass(slots=True)
class Walk:
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
        unreadable: What the first tier said that could not read the request.
        is_read: Some tier gave an answer to it, sure or not.
        accepted: A machine's answer and probability, to be remembered once it is on record.
        heard: Tier -> what it said, of those that answered, sure or not.
        foreseen: Tier -> what the router foresees.
        in_hand: Tier -> what it gave, an answer or none; the fallback is not asked for it again.
    """

    asked: DecideRequest
    arrived_s: float
    until_s: float | None
    fallback_until_s: float | None
    path: list[PathStep]
    spent_usd: float = 0.0
    cost_usd: float | None = 0.0
    unreadable: RequestError | None = None
    is_read: bool = False
    accepted: tuple[Any, float | None] | None = None
    heard: dict[str, Heard] = field(default_factory=dict)
    foreseen: dict[str, float] = field(default_factory=dict)
    in_hand: dict[str, Answer] = field(default_factory=dict)

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


class Given(msgspec.Struct, frozen=True):
    """The answer that a walk ended with."""

    tier: str
    answer: Any
    probability: float | None
    handed_off: bool = False
    fell_back: str | None = None


class Walker:
    """Takes requests from tier to tier by `cascade.route`, each inside its time and its money.

    Args:
        plan: The plan.
        tiers: Every tier of the feature by name, fitted.
        specs: what the brief declares about tiers: how they are to be called.
        clock: Where time comes from.
        is_pressed: Claims that there is so much to do that dear tiers are passed over.

    Raises:
        PlanError: The plan names a tier that is not there.
    """

    def __init__(
        self,
        plan: Plan,
        tiers: Mapping[str, Tier],
        *,
        specs: Iterable[TierSpec],
        clock: Clock,
        is_pressed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._plan = plan
        declared = {spec.name: spec for spec in specs}
        self._policy = Policy.from_plan(plan, declared.values())
        self._clock = clock
        self._tiers = {
            name: self._guarded(tiers[name], declared.get(name)) for name in _needed(plan, tiers)
        }
        self._is_pressed = is_pressed
        self._dear = dear_tiers(plan, tiers)
        self._person = next(
            (name for name, held in self._tiers.items() if held.tier.kind is TierKind.PERSON), None
        )

    def caches(self) -> list[RememberingTier]:
        """Give the tiers that remember answers."""
        tiers = [held.tier for held in self._tiers.values()]
        return [tier for tier in tiers if isinstance(tier, RememberingTier)]

    def warm_up(self) -> None:
        """Ask every tier but people and language models something, so that models are loaded.

        Raises:
            TierError: A process of a tier does not start.
        """
        for held in self._tiers.values():
            if isinstance(held.calls.base, IsolatedCalls):
                held.calls.base.warm_up()
            elif callable(warm_up := getattr(held.tier, "warm_up", None)):
                warm_up()
            elif held.tier.kind in {TierKind.RULES, TierKind.MODEL}:
                try:
                    held.tier.answer([_WARM_UP])
                except Exception:  # noqa: BLE001, S112  a tier may want other fields; it is only a warm-up
                    continue

    def open_breakers(self) -> list[str]:
        """Name the tiers that are not asked now because they failed too often."""
        return [name for name, held in self._tiers.items() if held.breaker.is_open]

    def figures(self) -> dict[str, CallFigures]:
        """Say what the calls of each tier do."""
        return {name: held.calls.figures() for name, held in self._tiers.items()}

    def close(self) -> None:
        """Let the tiers' threads and processes go."""
        for held in self._tiers.values():
            held.calls.close()

    def start(self, asked: DecideRequest, arrived_s: float, *, commit_s: float) -> Walk:
        """Begin a walk: divide its time between the tiers, the fallback and the commit."""
        limits = [
            limit for limit in (self._plan.deadline_ms, asked.deadline_ms) if limit is not None
        ]
        if not limits:
            return Walk(asked, arrived_s, None, None, [])
        until = until_of(
            self._policy,
            self._policy.fallback_of(asked.slices),
            min(limits),
            commit_ms=commit_s * 1e3,
        )
        return Walk(
            asked,
            arrived_s,
            arrived_s + until.tiers_ms / 1e3,
            arrived_s + until.fallback_ms / 1e3,
            [],
        )

    def _left_ms(self, until_s: float | None) -> float | None:
        return None if until_s is None else (until_s - self._clock.monotonic()) * 1e3

    def _left_usd(self, walk: Walk) -> float | None:
        cap = self._policy.cost_each_usd
        return None if cap is None else cap - walk.spent_usd

    async def go(self, walk: Walk) -> Given:
        """Go from tier to tier until one answers or the fallback must."""
        policy, at, seen, last = self._policy, -1, None, None
        if self._plan.router is not None:
            walk.foreseen = foresee(self._plan.router, str(walk.asked.request.get("text", "")))
        while True:
            left_ms = self._left_ms(walk.until_s)
            shed = self._dear if self._is_pressed() else NO_TIERS
            state = State(
                at=at,
                seen=seen,
                remaining_ms=left_ms,
                remaining_usd=self._left_usd(walk),
                blocked=BlockedTiers(self._tiers, left_ms, shed),
                foreseen=walk.foreseen,
            )
            move = route(policy, state)
            if isinstance(move, Finish):
                return self._finish(walk, policy.steps[move.position], last, seen)
            if last is not None:
                self._retell(walk, "deferred")
            for name, why in move.skipped:
                walk.note(name, "skipped", why="load" if name in shed else why)
            if isinstance(move, Fallback):
                self._refuse_unreadable(walk)
                return await self._fall_back(walk, move.why)
            assert isinstance(move, Ask)  # noqa: S101  the third of three moves
            at = move.position
            if policy.steps[at].kind is TierKind.PERSON:
                self._refuse_unreadable(walk)
            seen, last = await self._ask(walk, policy.steps[at], left_ms)

    @staticmethod
    def _refuse_unreadable(walk: Walk) -> None:
        """Refuse what a tier could not read and none could answer: a person could not either."""
        if walk.unreadable is not None and not walk.is_read:
            raise walk.unreadable

    async def _ask(
        self, walk: Walk, step: Step, left_ms: float | None
    ) -> tuple[Seen, Answer | None]:
        """Ask one tier of the plan and note what it did."""
        answer = await self._call(walk, step.name, left_ms)
        if answer is None:
            return Seen("failed"), None
        walk.in_hand[step.name] = answer
        if answer.abstained:
            self._retell(walk, "abstained")
            return Seen("abstained"), None
        walk.is_read = True
        group = step.group(answer.value) if isinstance(answer.value, str) else step.group("")
        own = Heard(str(answer.value), step.probability(answer.score, group))
        probability = own.probability if step.gated else step.judged(own, walk.heard)
        walk.heard[step.name] = own
        return Seen("answered", group, probability), answer

    async def _call(self, walk: Walk, name: str, left_ms: float | None) -> Answer | None:
        """Call one tier and note its time and price; None when it failed."""
        held = self._tiers[name]
        tier = held.tier
        told = Told(self._affordable(walk, held)) if held.calls.tells else None
        reserved_usd = (tier.worst_usd_per_call or 0.0) * (1 if told is None else told.most_calls)
        walk.spent_usd += reserved_usd
        began_s = self._clock.monotonic()
        try:
            answer = await held.calls.ask(
                own_copy(walk.asked.request),
                within_s=longest_ms(held.step, left_ms) / 1e3,
                told=told,
            )
        except FeasibleError as error:
            took_ms = (self._clock.monotonic() - began_s) * 1e3
            self._note_failure(walk, held, error, took_ms=took_ms, told=told)
            return None
        cost = tier.usd_per_call if answer.cost_usd is None else answer.cost_usd
        took_ms = (self._clock.monotonic() - began_s) * 1e3
        why = None
        if told is not None:
            self._note_attempts(walk, held, told)
            why = told.why
        if cost is not None:
            walk.spent_usd += cost - reserved_usd
        walk.note(name, "answered", latency_ms=took_ms, cost_usd=cost, why=why)
        return answer

    def _affordable(self, walk: Walk, held: GuardedTier) -> int:
        """Give how many calls of a tier the cap allows, of those that it may need."""
        most, worst_usd = held.calls.most_calls, held.tier.worst_usd_per_call
        left_usd = self._left_usd(walk)
        if left_usd is None or not worst_usd:
            return most
        return max(1, min(most, int(left_usd / worst_usd)))

    @staticmethod
    def _note_attempts(walk: Walk, held: GuardedTier, told: Told) -> None:
        """Note the calls that were made before the one that decided."""
        for attempt in told.attempts:
            walk.note(
                held.tier.name,
                attempt.outcome,
                latency_ms=attempt.latency_ms,
                cost_usd=attempt.cost_usd,
                why=attempt.why,
            )
            unknown_usd = held.tier.worst_usd_per_call or 0.0
            walk.spent_usd += unknown_usd if attempt.cost_usd is None else attempt.cost_usd

    def _note_failure(
        self,
        walk: Walk,
        held: GuardedTier,
        error: FeasibleError,
        *,
        took_ms: float,
        told: Told | None,
    ) -> None:
        """Note a call that gave no answer: whose fault it was, and what it may have cost."""
        worst_usd = held.tier.worst_usd_per_call or 0.0
        late = isinstance(error, CallTimedOut)
        cost = cost_of_failure(held.tier, error)
        if told is not None:
            self._note_attempts(walk, held, told)
            walk.spent_usd -= (told.most_calls - 1) * worst_usd
            cost = 0.0 if told.is_shared else cost
        if cost == 0:
            walk.spent_usd -= worst_usd
        if isinstance(error, RequestError):
            walk.unreadable = walk.unreadable or error
        walk.note(
            held.tier.name,
            "timed_out" if late else "failed",
            latency_ms=took_ms,
            cost_usd=cost,
            why=words_of(error),
        )

    @staticmethod
    def _retell(walk: Walk, outcome: _Outcome) -> None:
        """Say how the last step ended."""
        walk.path[-1] = msgspec.structs.replace(walk.path[-1], outcome=outcome)

    def _finish(self, walk: Walk, step: Step, answer: Answer | None, seen: Seen | None) -> Given:
        """Give the answer that the policy accepted."""
        assert answer is not None  # noqa: S101  only an answer is accepted
        assert seen is not None  # noqa: S101  the same
        if step.kind is TierKind.PERSON:
            self._retell(walk, "handed_off")
            return Given(step.name, None, None, handed_off=True)
        if step.kind is not TierKind.CACHE:
            walk.accepted = (answer.value, seen.probability)
        return Given(step.name, answer.value, seen.probability)

    async def _fall_back(self, walk: Walk, why: str) -> Given:
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
        return Given(NOBODY, None, None, fell_back=told)

    async def _ask_fallback(self, walk: Walk, name: str, told: str) -> Given | None:
        """Take what a tier has said, or ask it; None when it gives no answer."""
        answer = walk.in_hand.get(name)
        if answer is None:
            answer = await self._call_fallback(walk, name)
        else:
            walk.note(name, "answered", why="its answer is in hand")
        if answer is None:
            return None
        if answer.abstained:
            self._retell(walk, "abstained")
            return None
        if self._tiers[name].tier.kind is TierKind.PERSON:
            self._retell(walk, "handed_off")
            return Given(name, None, None, handed_off=True, fell_back=told)
        step = next((step for step in self._policy.steps if step.name == name), None)
        group = "" if step is None else step.group(str(answer.value))
        probability = None if step is None else step.probability(answer.score, group)
        return Given(name, answer.value, probability, fell_back=told)

    async def _call_fallback(self, walk: Walk, name: str) -> Answer | None:
        """Call a tier in the time and for the money that are kept back for it."""
        held = self._tiers[name]
        left_usd = self._left_usd(walk)
        worst_usd = held.tier.worst_usd_per_call
        if left_usd is not None and (worst_usd is None or worst_usd > left_usd):
            walk.note(name, "skipped", why="cost")
            return None
        left_ms = self._left_ms(walk.fallback_until_s)
        left_ms = None if left_ms is None else max(left_ms, 0.0)
        within_s = longest_ms(held.step, left_ms) / 1e3
        is_blocked = held.breaker.is_open or held.calls.is_full(within_s=within_s)
        if is_blocked and held.tier.kind is not TierKind.PERSON:
            walk.note(name, "skipped", why="blocked")
            return None
        return await self._call(walk, name, left_ms)

    def _guarded(self, tier: Tier, spec: TierSpec | None) -> GuardedTier:
        planned = next((step for step in self._plan.tiers if step.name == tier.name), None)
        p50_ms = None if planned is None else planned.latency_p50_ms
        p95_ms = None if planned is None else planned.latency_p95_ms
        breaker = Breaker(self._clock, rule=None if spec is None else breaker_rule(spec.breaker))
        calls = calls_of(
            tier,
            labels=frozenset(self._plan.labels) or None,
            breaker=breaker,
            spec=spec,
            typical_s=None if p50_ms is None else p50_ms / 1e3,
            p95_s=None if p95_ms is None else p95_ms / 1e3,
            deadline_s=None if self._plan.deadline_ms is None else self._plan.deadline_ms / 1e3,
        )
        timeout = None if spec is None else spec.timeout
        timeout_ms = None if timeout is None else timeout.ms
        step = next((step for step in self._policy.steps if step.name == tier.name), None)
        step = step or Step(tier.name, tier.kind, {}, timeout_ms=timeout_ms)
        return GuardedTier(tier, calls, breaker, step)


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
