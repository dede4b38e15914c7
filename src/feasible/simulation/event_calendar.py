"""The event calendar: any design exactly, event by event; the reference that the sweep is held to.

Every move is `cascade.route`'s. Where nothing of the moment matters each row asked it once, and
what it said is looked up; where a deadline, a cap, a breaker or a budget is in force it is asked
live.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush

import numpy as np

from feasible.cascade import longest_ms, until_rows
from feasible.schema import TierKind
from feasible.simulation.cache_front import Front, front_of
from feasible.simulation.design import Design
from feasible.simulation.draws import Draws
from feasible.simulation.moves import FINISH, Live, Moves
from feasible.simulation.outcome import CACHED, FELL_BACK, Outcome, Walked, finished
from feasible.simulation.tier_queue import LOOK, Event, Purse, TierQueue

__all__ = ["run_calendar"]


def run_calendar(design: Design, draws: Draws, *, moves: Moves | None = None) -> Outcome:
    """Run a design event by event.

    Args:
        design: What is simulated.
        draws: The luck of the run.
        moves: The rows' moves, when another run of the same policy and cases has asked for them.
    """
    run = _Calendar(design, draws, moves or Moves(design.policy, design.cases))
    run.go()
    return finished(design, draws, run.walked(), engine="calendar")


class _Calendar:
    """One run. Per request: where it is, what it has behind it, what it has in hand."""

    def __init__(self, design: Design, draws: Draws, moves: Moves) -> None:
        n = len(draws)
        self._design, self._moves, self._n = design, moves, n
        self._at_s, self._row = draws.at_s.tolist(), draws.row.tolist()
        self._begins_s = draws.begins_s.tolist()
        self._exit, self._waited = [FELL_BACK] * n, [0.0] * n
        self._cost, self._hand = [0.0] * n, [0] * n
        self._degraded, self._over = bytearray(n), bytearray(n)
        self._events: list[Event] = []
        self._order = 0
        until = until_rows(design.policy, design.cases.table)
        self._until = until.tolist() if isinstance(until, np.ndarray) else until
        self._cap = design.policy.cost_each_usd
        self._says = design.cases.table.answered.tolist()
        self._falls_back = design.after_failure == "fall_back"
        budget = design.budget_usd_day if design.enforces_budget else None
        self.purse = None if budget is None else Purse(budget)
        self._tiers = [
            TierQueue(
                load,
                draws,
                k,
                push=self._push,
                spoke=self._spoke,
                gave_nothing=self._gave_nothing,
                again=self._come_again,
                cost=self._cost,
                over=self._over,
                purse=self.purse,
            )
            for k, load in enumerate(design.tiers)
        ]
        steps = design.policy.steps
        self._is_person = [step.kind is TierKind.PERSON for step in steps]
        self._most_s = [longest_ms(step, None) / 1e3 for step in steps]
        self._everybody = Live(blocked=frozenset(step.name for step in steps))
        self._guarded = [t for t in self._tiers if t.breaker is not None or t.load.admits]
        self._paid = [
            step.name
            for step, luck in zip(steps, draws.tiers, strict=True)
            if luck.usd.size and np.nanmax(luck.usd) > 0
        ]
        self._is_live = bool(
            until is not None or self._cap is not None or self._guarded or self.purse is not None
        )
        self._front: Front | None = front_of(design, draws)

    def walked(self) -> Walked:
        """Give where every walk ended."""
        span = self._at_s[-1] if self._n else 0.0
        for tier in self._tiers:
            tier.close(span)
        return Walked(
            np.array(self._exit, dtype=np.int64),
            np.array(self._waited),
            np.array(self._cost),
            np.frombuffer(bytes(self._degraded), dtype=np.bool_),
            np.array(self._hand, dtype=np.int64),
            tuple(tier.use for tier in self._tiers),
            np.frombuffer(bytes(self._over), dtype=np.bool_),
        )

    def go(self) -> None:
        """Take requests and events in the order of their time until none is left."""
        events, at_s, n = self._events, self._begins_s, self._n
        coming, next_s = 0, at_s[0] if self._n else math.inf
        for tier in self._tiers:
            tier.begin()
        while True:
            if events and events[0][0] <= next_s:
                now, _, kind, tier, what = heappop(events)
                if kind == LOOK and coming >= n and not self._is_at_work():
                    continue  # nobody comes any more: slots need not follow
                tier.happened(now, kind, what)
            elif coming < n:
                self._come(coming, next_s)
                coming += 1
                next_s = at_s[coming] if coming < n else math.inf
            else:
                return

    def _is_at_work(self) -> bool:
        return any(tier.is_at_work() for tier in self._tiers)

    def _push(self, at_s: float, kind: int, tier: TierQueue, what: int | list[int]) -> None:
        self._order += 1
        heappush(self._events, (at_s, self._order, kind, tier, what))

    def _come(self, i: int, now: float) -> None:
        if self._front is not None and self._front.has(i, now):
            self._exit[i] = CACHED
            self._waited[i] = (now - self._at_s[i]) * 1e3 + self._front.answers_ms
            return
        waited_ms = (now - self._at_s[i]) * 1e3
        if self._is_live:
            code, passed_over = self._moves.live(self._row[i], -1, self._now(i, now, waited_ms))
            if passed_over:
                self._degraded[i] = 1
        else:
            code = self._moves.start(self._row[i])
        self._go_on(i, -1, code, now, waited_ms)

    def _go_on(self, i: int, at: int, code: int, now: float, waited_ms: float) -> None:
        """Do what the policy said."""
        if code >= 0:
            self._enter(i, code, now, waited_ms)
        elif code == FINISH:
            self._exit[i] = at
            self._waited[i] = waited_ms
            if self._front is not None:
                self._front.keep(i, now)
        else:
            self._waited[i] = waited_ms

    def _enter(self, i: int, k: int, now: float, waited_ms: float) -> None:
        tier = self._tiers[k]
        if self._is_person[k]:
            self._cost[i] += tier.usd[i]
            tier.use.came += 1
            tier.use.calls += 1
            self._spoke(i, tier, now + tier.service[i])
            return
        if self._until is None:
            tier.come(i, now, now + self._most_s[k])
            return
        last = self._until[self._row[i]] if isinstance(self._until, list) else self._until
        left = last - waited_ms
        most = longest_ms(self._design.policy.steps[k], left)
        tier.by_deadline[i] = most == left
        tier.come(i, now, now + most / 1e3)

    def _come_again(self, i: int, tier: TierQueue, now: float) -> None:
        """Send a case to a tier again, unless its time is up or the tier is closed meanwhile."""
        waited_ms = (now - self._at_s[i]) * 1e3
        closed = tier.breaker is not None and tier.breaker.is_open(now)
        last = self._until[self._row[i]] if isinstance(self._until, list) else self._until
        if closed or (last is not None and waited_ms >= last):
            self._gave_nothing(i, tier, now)
        else:
            self._enter(i, tier.k, now, waited_ms)

    def _spoke(self, i: int, tier: TierQueue, now: float) -> None:
        """Go on after a tier gave an answer or abstained."""
        at, row = tier.k, self._row[i]
        if self._says[row][at]:
            self._hand[i] |= 1 << at
        waited_ms = (now - self._at_s[i]) * 1e3
        if not self._is_live:
            self._go_on(i, at, self._moves.after(row, at), now, waited_ms)
            return
        code, passed_over = self._moves.live(row, at, self._now(i, now, waited_ms))
        if passed_over:
            self._degraded[i] = 1
        self._go_on(i, at, code, now, waited_ms)

    def _gave_nothing(self, i: int, tier: TierQueue, now: float) -> None:
        """Go on after a tier failed, was cut off, or refused."""
        at, row = tier.k, self._row[i]
        self._degraded[i] = 1
        waited_ms = (now - self._at_s[i]) * 1e3
        if tier.by_deadline[i] and tier.has_ended(i, now):  # to the last bit: nothing is left
            last = self._until[row] if isinstance(self._until, list) else self._until
            waited_ms = waited_ms if last is None else last
        if self._falls_back:  # nobody else may be asked
            code = self._moves.live(row, at, self._everybody, failed=True)[0]
        elif self._is_live:
            code = self._moves.live(row, at, self._now(i, now, waited_ms), failed=True)[0]
        else:
            code = self._moves.after_failure(row, at)
        self._go_on(i, at, code, now, waited_ms)

    def _now(self, i: int, now: float, waited_ms: float) -> Live:
        """Say what is left of a case's time and money, and who may not be asked now."""
        last = self._until[self._row[i]] if isinstance(self._until, list) else self._until
        left_ms = None if last is None else last - waited_ms
        blocked = [
            tier.load.name
            for tier in self._guarded
            if (tier.breaker is not None and tier.breaker.is_open(now))
            or (tier.load.admits and left_ms is not None and tier.lately_s * 1e3 > left_ms)
        ]
        if self.purse is not None and self.purse.is_spent(now):
            blocked += self._paid
        left_usd = None if self._cap is None else self._cap - self._cost[i]
        return Live(left_ms, left_usd, frozenset(blocked))
