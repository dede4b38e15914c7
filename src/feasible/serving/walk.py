"""One request's way from tier to tier, and to the fallback when time or tiers give out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

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
    Until,
    foresee,
    longest_ms,
    route,
    until_of,
)
from feasible.clock import Clock
from feasible.errors import FeasibleError, PlanError, RequestError
from feasible.schema import BUDGET, Answer, Plan, TierKind, TierSpec, breaker_rule
from feasible.serving.breaker import Breaker
from feasible.serving.budget import Budgets
from feasible.serving.calls import (
    CallFigures,
    CallTimedOut,
    DirectCalls,
    GuardedCalls,
    IsolatedCalls,
    PromptCalls,
    Told,
    calls_of,
    cost_of_failure,
    words_of,
)
from feasible.serving.eager import in_a_task
from feasible.serving.guarded_tier import NO_TIERS, BlockedTiers, GuardedTier, dear_tiers
from feasible.serving.incoming import own_copy
from feasible.serving.messages import DecideRequest
from feasible.serving.walked import NOBODY, Given, Outcome, Walk
from feasible.tiers import RememberingTier, Tier

__all__ = ["NOBODY", "Given", "Walk", "Walker"]

_MARGIN_S: Final = 5.0
"""How long a decision that is made may take to be on record."""
_TOLD: Final = {
    "deadline": "the deadline came too near",
    "exhausted": "no tier was sure enough",
    "load": "there was too much to do",
}
_WARM_UP: Final = {"text": "warm up"}


class Walker:
    """Takes requests from tier to tier by `cascade.route`, each inside its time and its money.

    Args:
        plan: The plan.
        tiers: Every tier of the feature by name, fitted.
        specs: what the brief declares about tiers: how they are to be called.
        clock: Where time comes from.
        is_pressed: Claims that there is so much to do that dear tiers are passed over.
        too_much: Gives what a request is told that only those, or people, could answer.
        arrivals_per_s: Requests each second at the peak, as declared; None when nobody knows.
        workers: Processes of the service; they share what a tier may have in flight.
        breakers: File in which they keep their breakers in common; None: each has its own.

    Attributes:
        budgets: The money of many decisions; None when the plan has no limit on it.

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
        too_much: Callable[[], Exception] = NotImplementedError,
        arrivals_per_s: float | None = None,
        workers: int = 1,
        breakers: Path | None = None,
    ) -> None:
        self._plan = plan
        declared = {spec.name: spec for spec in specs}
        self._policy = Policy.from_plan(plan, declared.values())
        self._clock = clock
        self._workers = workers
        self._arrivals_per_s = arrivals_per_s
        self._breakers = breakers
        self._last_until: tuple[tuple[str | None, float, float], Until] | None = None
        self._tiers = {
            name: self._guarded(tiers[name], declared.get(name)) for name in _needed(plan, tiers)
        }
        self._is_pressed = is_pressed
        self._too_much = too_much
        self.budgets: Budgets | None = None
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

    def most_calls(self) -> dict[str, int]:
        """Give how many calls of each tier one request may cost."""
        return {name: held.calls.most_calls for name, held in self._tiers.items()}

    def figures(self) -> dict[str, CallFigures]:
        """Say what the calls of each tier do."""
        return {name: held.calls.figures() for name, held in self._tiers.items()}

    def worst_usd(self) -> float | None:
        """Give the most that all machines together can cost for one request; None when unknown."""
        machines = [held for held in self._tiers.values() if held.tier.kind != TierKind.PERSON]
        total = 0.0
        for held in machines:
            worst = held.tier.worst_usd_per_call
            if worst is None:
                return self._policy.cost_each_usd
            total += worst * held.calls.most_calls
        cap = self._policy.cost_each_usd
        return total if cap is None else min(total, cap)

    def close(self) -> None:
        """Let the tiers' threads and processes go."""
        for held in self._tiers.values():
            held.calls.close()

    def start(self, asked: DecideRequest, arrived_s: float, *, commit_s: float) -> Walk:
        """Begin a walk: divide its time between the tiers, the fallback and the commit."""
        limit_ms = self.limit_ms(asked)
        if limit_ms is None:
            return Walk(asked, arrived_s, None, None, [])
        until = self._until(self._policy.fallback_of(asked.slices), limit_ms, commit_s)
        return Walk(
            asked,
            arrived_s,
            arrived_s + until.tiers_ms / 1e3,
            arrived_s + until.fallback_ms / 1e3,
            [],
        )

    def limit_ms(self, asked: DecideRequest) -> float | None:
        """Give the time for a whole decision: the plan's, or the caller's when that is shorter."""
        own, callers = self._plan.deadline_ms, asked.deadline_ms
        if own is None or callers is None:
            return callers if own is None else own
        return min(own, callers)

    def _until(self, fallback: str | None, limit_ms: float, commit_s: float) -> Until:
        """Divide a decision's time; most decisions divide the same as the one before."""
        divided = (fallback, limit_ms, commit_s)
        if self._last_until is None or self._last_until[0] != divided:
            until = until_of(self._policy, fallback, limit_ms, commit_ms=commit_s * 1e3)
            self._last_until = (divided, until)
        return self._last_until[1]

    def _left_ms(self, until_s: float | None) -> float | None:
        return None if until_s is None else (until_s - self._clock.monotonic()) * 1e3

    def _left_usd(self, walk: Walk) -> float | None:
        cap = self._policy.cost_each_usd
        return None if cap is None else cap - walk.spent_usd

    async def go(self, walk: Walk) -> Given:
        """Go from tier to tier until one answers or the fallback must."""
        policy, at, seen, last = self._policy, -1, None, None
        monotonic, cap_usd, until_s = self._clock.monotonic, policy.cost_each_usd, walk.until_s
        if self._plan.router is not None:
            walk.foreseen = foresee(self._plan.router, str(walk.asked.request.get("text", "")))
        while True:
            left_ms = None if until_s is None else (until_s - monotonic()) * 1e3
            left_usd = None if cap_usd is None else cap_usd - walk.spent_usd
            shed = self._dear if self._is_pressed() else NO_TIERS
            blocked = BlockedTiers(self._tiers, left_ms, shed)
            move = route(policy, State(at, seen, left_ms, left_usd, blocked, walk.foreseen))
            if isinstance(move, Finish):
                return self._finish(walk, policy.steps[move.position], last, seen)
            if last is not None:
                self._retell(walk, "deferred")
            for name, why in move.skipped:
                walk.note(name, "skipped", why="load" if name in shed else why)
                walk.is_shed |= name in shed
            if isinstance(move, Fallback):
                self._refuse_unreadable(walk)
                return await self._fall_back(walk, move.why)
            assert isinstance(move, Ask)  # noqa: S101  the third of three moves
            at = move.position
            if policy.steps[at].kind is TierKind.PERSON:
                self._refuse_unreadable(walk)
                if walk.is_shed:
                    return await self._fall_back(walk, "load")
            seen, last = await self._ask(walk, policy.steps[at], left_ms)

    @staticmethod
    def _refuse_unreadable(walk: Walk) -> None:
        """Refuse what a tier could not read and none could answer: a person could not either."""
        if walk.unreadable is not None and not walk.is_read:
            raise walk.unreadable

    def _refuse_shed(self, walk: Walk) -> None:
        """Refuse what is for people only because there is too much to do: they have as much."""
        if walk.is_shed:
            raise self._too_much()

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
        budgets = None if walk.is_rehearsal else self.budgets
        is_guarded = budgets is not None and name in budgets.guarded
        if is_guarded and not self._set_aside(walk, held, told, left_ms):
            return None
        if not held.is_prompt:
            await in_a_task()
        before_usd = walk.spent_usd
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
            if is_guarded:
                walk.note_spent(before_usd)
            return None
        cost = tier.usd_per_call if answer.cost_usd is None else answer.cost_usd
        took_ms = (self._clock.monotonic() - began_s) * 1e3
        why = None
        if told is not None:
            self._note_attempts(walk, held, told)
            why = told.why
        if cost is not None:
            walk.spent_usd += cost - reserved_usd
        if is_guarded:
            walk.note_spent(before_usd)
        walk.note(name, "answered", latency_ms=took_ms, cost_usd=cost, why=why)
        return answer

    def _set_aside(
        self, walk: Walk, held: GuardedTier, told: Told | None, left_ms: float | None
    ) -> bool:
        """Set the worst case of a call aside; without the money the tier is passed over."""
        assert self.budgets is not None  # noqa: S101  a tier is guarded by them
        # Until the decision is on record; whoever is gone by then has nothing to hold it for.
        if walk.fallback_until_s is None:
            lease_s = len(self._tiers) * longest_ms(held.step, left_ms) / 1e3
        else:
            lease_s = max(0.0, walk.fallback_until_s - self._clock.monotonic())
        calls = 1 if told is None else told.most_calls
        found = self.budgets.reserve(
            held.tier.name, calls=calls, slices=walk.asked.slices, lease_s=lease_s + _MARGIN_S
        )
        if isinstance(found, str):
            walk.note(held.tier.name, "skipped", why=BUDGET)
            walk.short_of = found
            return False
        walk.held = found.reservation
        if told is not None:
            told.most_calls = found.calls
        return True

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
    def _retell(walk: Walk, outcome: Outcome) -> None:
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
        told = _TOLD[why]
        failed = [step for step in walk.path if step.outcome in {"failed", "timed_out"}]
        if failed:
            told = f"{told}; {failed[-1].tier} {failed[-1].outcome.replace('_', ' ')}"
        if walk.short_of is not None:
            told = f"{told}; the money of {walk.short_of} did not suffice"
        declared = self._policy.fallback_of(walk.asked.slices)
        for name in dict.fromkeys(name for name in (declared, self._person) if name is not None):
            given = await self._ask_fallback(walk, name, told)
            if given is not None:
                return given
        self._refuse_shed(walk)
        return Given(NOBODY, None, None, fell_back=told)

    async def _ask_fallback(self, walk: Walk, name: str, told: str) -> Given | None:
        """Take what a tier has said, or ask it; None when it gives no answer."""
        answer = walk.in_hand.get(name)
        if answer is None:
            if name == self._person:
                self._refuse_shed(walk)
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
        breaker = Breaker(
            self._clock,
            rule=None if spec is None else breaker_rule(spec.breaker),
            tier=tier.name,
            shared=self._breakers,
        )
        calls = calls_of(
            tier,
            labels=frozenset(self._plan.labels) or None,
            breaker=breaker,
            spec=spec,
            typical_s=None if p50_ms is None else p50_ms / 1e3,
            p95_s=None if p95_ms is None else p95_ms / 1e3,
            deadline_s=None if self._plan.deadline_ms is None else self._plan.deadline_ms / 1e3,
            arrivals_per_s=self._reaching(tier.name),
            workers=self._workers,
        )
        timeout = None if spec is None else spec.timeout
        timeout_ms = None if timeout is None else timeout.ms
        step = next((step for step in self._policy.steps if step.name == tier.name), None)
        step = step or Step(tier.name, tier.kind, {}, timeout_ms=timeout_ms)
        is_prompt = isinstance(calls, GuardedCalls) and isinstance(
            calls.base, DirectCalls | PromptCalls
        )
        return GuardedTier(tier, calls, breaker, step, is_prompt)

    def _reaching(self, name: str) -> float | None:
        """Say how many requests each second get as far as a tier; None when nobody knows."""
        names = [step.name for step in self._plan.tiers]
        if self._arrivals_per_s is None or name not in names:
            return None
        # Up to a person everybody who is not answered before comes by.
        return self._arrivals_per_s * sum(
            step.share for step in self._plan.tiers[names.index(name) :]
        )


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
