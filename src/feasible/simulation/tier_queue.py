"""One tier in the event calendar: its queue, its slots, and what guards them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from feasible.schema import FloatArray
from feasible.simulation.design import TierLoad
from feasible.simulation.draws import Draws
from feasible.simulation.faults import Breaker, Buckets, struck
from feasible.simulation.outcome import TierUse

__all__ = ["LOOK", "Event", "Purse", "Push", "TierQueue"]

DONE: Final = 0
CUT: Final = 1
BROKE: Final = 2
QUIT: Final = 3
AGAIN: Final = 4
BATCH: Final = 5
LATE: Final = 6
TIMER: Final = 7
LOOK: Final = 8
GROWN: Final = 9

_LEARNS: Final = 0.02
_DAY_S: Final = 86_400.0

Event: TypeAlias = "tuple[float, int, int, TierQueue, int | list[int]]"
Push: TypeAlias = "Callable[[float, int, TierQueue, int | list[int]], None]"
Ended: TypeAlias = "Callable[[int, TierQueue, float], None]"


class Purse:
    """What all tiers together may spend in a day, by the virtual clock.

    Args:
        usd_day: Dollars.
    """

    def __init__(self, usd_day: float) -> None:
        self.usd_day = usd_day
        self.by_day: dict[int, float] = {}
        self.ran_out_s: dict[int, float] = {}

    def is_spent(self, at_s: float) -> bool:
        """Claim that nothing is left of this day's money."""
        return self.by_day.get(int(at_s // _DAY_S), 0.0) >= self.usd_day

    def pay(self, at_s: float, usd: float) -> None:
        """Take the price of a call."""
        day = int(at_s // _DAY_S)
        spent = self.by_day[day] = self.by_day.get(day, 0.0) + usd
        if spent >= self.usd_day:
            self.ran_out_s.setdefault(day, at_s)


class TierQueue:
    """A tier's queue and slots.

    Args:
        load: What it can bear.
        draws: The luck of the run.
        k: Its position in the policy.
        push: Puts an event into the calendar.
        spoke: Called when it has answered or abstained.
        gave_nothing: Called when it has failed, was cut off or refused, for good.
        again: Called when a case comes to it again.
        cost: Per request: dollars spent.
        over: Per request: whether a vendor refused a call.
        purse: What may be spent in a day; None: anything.
    """

    __slots__ = (
        "_again",
        "_area_s",
        "_came",
        "_cost",
        "_gave_nothing",
        "_inside",
        "_jitter",
        "_luck",
        "_over",
        "_purse",
        "_push",
        "_queue",
        "_quits",
        "_reads",
        "_redrawn",
        "_redraws",
        "_slots_since_s",
        "_spoke",
        "_timer_s",
        "_tries",
        "_until",
        "_waiting",
        "_waits",
        "_writes",
        "breaker",
        "buckets",
        "busy",
        "by_deadline",
        "changed_s",
        "k",
        "lately_s",
        "load",
        "service",
        "slots",
        "usd",
        "use",
    )

    def __init__(
        self,
        load: TierLoad,
        draws: Draws,
        k: int,
        *,
        push: Push,
        spoke: Ended,
        gave_nothing: Ended,
        again: Ended,
        cost: list[float],
        over: bytearray,
        purse: Purse | None,
    ) -> None:
        n, luck = len(draws), draws.tiers[k]
        self.load, self.k, self.use = load, k, TierUse()
        self.service: list[float] = luck.service_s.tolist()
        self.usd: list[float] = luck.usd.tolist()
        self.slots, self.busy = load.slots, 0
        self.by_deadline = bytearray(n)
        self.breaker = None if load.breaking is None else Breaker(load.breaking)
        self.buckets = None if load.quota is None else Buckets(load.quota)
        self.lately_s = 0.0
        self.changed_s = 0.0
        self._push, self._spoke, self._gave_nothing = push, spoke, gave_nothing
        self._again, self._cost, self._over, self._purse = again, cost, over, purse
        self._queue: deque[tuple[int, float]] = deque()
        self._waiting, self._waits, self._until = 0, bytearray(n), [0.0] * n
        self._came, self._quits = [0.0] * n, [0.0] * n
        self._reads, self._writes = _listed(luck.reads), _listed(luck.writes)
        self._luck = luck.luck.tolist() if load.outages else []
        self._tries = bytearray(n) if load.retrying is not None else bytearray()
        self._redraws: list[float] = luck.again_s.tolist()
        self._redrawn = 0
        self._jitter = draws.jitter.tolist() if load.retrying is not None else []
        self._inside, self._area_s = 0, 0.0
        self._slots_since_s, self._timer_s = 0.0, -1.0

    def begin(self) -> None:
        """Look at the load from now on, where slots follow it."""
        if self.load.scaling is not None:
            self._push(self.load.scaling.every_s, LOOK, self, 0)

    def close(self, at_s: float) -> None:
        """Settle what is added up over time."""
        self.use.slot_s += self.slots * (at_s - self._slots_since_s)
        self.use.inside_s = self._area_s

    def is_at_work(self) -> bool:
        """Claim that a case waits or is under way."""
        return self._inside > 0

    def has_ended(self, i: int, now: float) -> bool:
        """Claim that a case's time at this tier is up."""
        return self._until[i] == now

    def come(self, i: int, now: float, until: float) -> None:
        """Take a case: begin its call, let it wait, or refuse it."""
        use, load = self.use, self.load
        use.came += 1
        if self.breaker is not None:
            self.breaker.entered(i)
        if self.buckets is not None:
            reads = self._reads[i] if self._reads else 0.0
            writes = self._writes[i] if self._writes else 0.0
            if not self.buckets.take(now, reads, writes):
                use.over_quota += 1
                self._over[i] = 1
                self._fail(i, now)
                return
        self._until[i] = until
        if self.busy < self.slots and load.batching is None:
            self._change(now, 1)
            self._begin(i, now)
        elif self._waiting >= load.waiting:
            use.refused += 1
            self._fail(i, now, waited=True)
        else:
            self._change(now, 1)
            self._came[i] = now
            self._waits[i] = 1
            self._waiting += 1
            quits = until if load.patience_s is None else min(until, now + load.patience_s)
            self._quits[i] = quits
            self._queue.append((i, quits))
            self._push(quits, QUIT, self, i)
            if load.batching is not None:
                self._next(now)

    def happened(self, now: float, kind: int, what: int | list[int]) -> None:
        """Take an event of this tier."""
        if isinstance(what, list):
            self._batch_ended(what, now)
        elif kind == DONE:
            self.busy -= 1
            self._change(now, -1)
            self._note(what, now, well=True)
            self._spoke(what, self, now)
            self._next(now)
        elif kind == QUIT:
            if self._waits[what] and self._quits[what] == now:
                self._waits[what] = 0
                self._waiting -= 1
                self.use.waited_out += 1
                self._lose(what, now, waited=True)
        elif kind in {CUT, BROKE}:
            self.busy -= 1
            if kind == CUT:
                self.use.cut_off += 1
            else:
                self.use.failed += 1
            self._lose(what, now)
            self._next(now)
        else:
            self._rare(now, kind, what)

    def _rare(self, now: float, kind: int, what: int) -> None:
        if kind == AGAIN:
            self._again(what, self, now)
        elif kind == LATE:
            self.use.cut_off += 1
            self._lose(what, now)
        elif kind == LOOK:
            self._look(now)
        elif kind == GROWN:
            self._resize(max(self.slots, what), now)
            self._next(now)
        else:
            self._timer_s = -1.0
            self._next(now)

    def _change(self, now: float, by: int) -> None:
        """Add up how many are inside over time."""
        self._area_s += self._inside * (now - self.changed_s)
        self.changed_s = now
        self._inside += by

    def _begin(self, i: int, now: float) -> None:
        until, load = self._until[i], self.load
        purse, usd = self._purse, self.usd[i]
        if purse is not None and usd > 0 and purse.is_spent(now):
            self.use.refused += 1
            self._change(now, -1)
            self._fail(i, now)
            return
        service, answers = self._time(i), True
        if load.outages:
            service, answers = struck(load.outages, now, self._luck[i], service)
        if load.crowding:
            service *= 1 + load.crowding * self.busy / self.slots
        self.busy += 1
        self.use.calls += 1
        if answers:
            self._cost[i] += usd
            if purse is not None:
                purse.pay(now, usd)
        end = now + service
        if end > until:
            self.use.busy_s += until - now
            self._push(until, CUT, self, i)
        else:
            self.use.busy_s += service
            self._push(end, DONE if answers else BROKE, self, i)

    def _time(self, i: int) -> float:
        retrying = self.load.retrying
        if retrying is None or not retrying.redraw or not self._tries[i]:
            return self.service[i]
        self._redrawn = (self._redrawn + 1) % len(self._redraws)
        return self._redraws[self._redrawn]

    def _next(self, now: float) -> None:
        """Begin what can be begun."""
        if self.load.batching is not None:
            self._next_batch(now)
            return
        queue = self._queue
        while queue and self.busy < self.slots:
            i, quits = queue.popleft()
            if self._waits[i] and self._quits[i] == quits and quits > now:
                self._waits[i] = 0
                self._waiting -= 1
                self._begin(i, now)

    def _next_batch(self, now: float) -> None:
        batching, queue = self.load.batching, self._queue
        assert batching is not None  # noqa: S101  asked of tiers that batch
        while self.busy < self.slots:
            while queue and not self._is_live(queue[0], now):
                queue.popleft()
            if not queue:
                return
            due = self._came[queue[0][0]] + batching.wait_s
            if self._waiting < batching.most and now < due:
                if self._timer_s != due:
                    self._timer_s = due
                    self._push(due, TIMER, self, 0)
                return
            members: list[int] = []
            while queue and len(members) < batching.most:
                entry = queue.popleft()
                if self._is_live(entry, now):
                    members.append(entry[0])
            self._begin_batch(members, now)

    def _is_live(self, entry: tuple[int, float], now: float) -> bool:
        i, quits = entry
        return bool(self._waits[i]) and self._quits[i] == quits and quits > now

    def _begin_batch(self, members: list[int], now: float) -> None:
        batching, load = self.load.batching, self.load
        assert batching is not None  # noqa: S101  the same
        service, answers = batching.base_s + batching.each_s * len(members), True
        if load.outages:
            service, answers = struck(load.outages, now, self._luck[members[0]], service)
        end = now + service
        self.busy += 1
        self.use.busy_s += service
        stay = []
        for i in members:
            self._waits[i] = 0
            self._waiting -= 1
            self.use.calls += 1
            if answers:
                self._cost[i] += self.usd[i]
            if end > self._until[i]:
                self._push(self._until[i], LATE, self, i)
            else:
                stay.append(i if answers else -1 - i)
        self._push(end, BATCH, self, stay)

    def _batch_ended(self, members: list[int], now: float) -> None:
        self.busy -= 1
        for i in members:
            if i < 0:
                self.use.failed += 1
                self._lose(-1 - i, now)
            else:
                self._change(now, -1)
                self._note(i, now, well=True)
                self._spoke(i, self, now)
        self._next(now)

    def _lose(self, i: int, now: float, *, waited: bool = False) -> None:
        """Let a case go that was inside and got nothing."""
        self._change(now, -1)
        self._fail(i, now, waited=waited)

    def _fail(self, i: int, now: float, *, waited: bool = False) -> None:
        """Note a failure, and try again or give up; who only waited says nothing of the tier."""
        self._note(i, now, well=None if waited else False)
        retrying = self.load.retrying
        if retrying is not None and self._may_retry(i):
            wait = retrying.backoff_s * 2.0 ** self._tries[i]
            wait *= self._jitter[(i + self._tries[i]) % len(self._jitter)]
            if self.buckets is not None:
                wait = max(wait, self.buckets.ready_in_s())
            self._tries[i] += 1
            self.use.again += 1
            self._push(now + wait, AGAIN, self, i)
        else:
            self._gave_nothing(i, self, now)

    def _may_retry(self, i: int) -> bool:
        retrying = self.load.retrying
        if retrying is None or self._tries[i] >= retrying.times:
            return False
        return retrying.budget is None or self.use.again + 1 <= retrying.budget * self.use.calls

    def _note(self, i: int, now: float, *, well: bool | None) -> None:
        if self.load.admits:
            took = now - self._came[i] if self._came[i] else self.service[i]
            self.lately_s += _LEARNS * (took - self.lately_s)
        if self.breaker is not None and well is None:
            self.breaker.left(i)
        elif self.breaker is not None:
            self.breaker.ended(i, now, well=bool(well))

    def _look(self, now: float) -> None:
        """Let the slots follow the load: more after a while, fewer at once and one by one."""
        scaling = self.load.scaling
        assert scaling is not None  # noqa: S101  only such tiers look
        wanted = math.ceil((self.busy + self._waiting) / scaling.target)
        wanted = min(scaling.most, max(scaling.least, wanted))
        if wanted > self.slots:
            self._push(now + scaling.lag_s, GROWN, self, wanted)
        elif wanted < self.slots:
            self._resize(self.slots - 1, now)
        self._push(now + scaling.every_s, LOOK, self, 0)

    def _resize(self, slots: int, now: float) -> None:
        self.use.slot_s += self.slots * (now - self._slots_since_s)
        self._slots_since_s = now
        self.slots = slots


def _listed(values: FloatArray | None) -> list[float]:
    listed: list[float] = [] if values is None else values.tolist()
    return listed
