"""One tier of a feed-forward cascade in one pass over its arrivals.

With first come, first served and a patience that each case brings along, everything about a case is
known once those before it are placed: it begins when the first slot is free, leaves the queue
without one when its time is up before, and frees the slot when its time is up under way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final

import numpy as np

from feasible.schema import FloatArray, IntArray
from feasible.simulation.design import UNLIMITED, Batching, TierLoad
from feasible.simulation.draws import TierDraws
from feasible.simulation.faults import Buckets, struck
from feasible.simulation.outcome import TierUse

__all__ = [
    "CUT_OFF",
    "FAILED",
    "OVER_QUOTA",
    "REFUSED",
    "SPOKE",
    "WAITED_OUT",
    "is_guarded",
    "pass_tier",
]

SPOKE: Final = 0
WAITED_OUT: Final = 1
CUT_OFF: Final = 2
FAILED: Final = 3
OVER_QUOTA: Final = 4
REFUSED: Final = 5


def is_guarded(load: TierLoad) -> bool:
    """Claim that something else than slots and time stands between a case and a call."""
    is_short = load.waiting < UNLIMITED or load.patience_s is not None
    return load.quota is not None or bool(load.outages) or is_short


@dataclass(slots=True)
class _Visits:
    """Who comes to a tier, in the order in which they come. Times in seconds."""

    came: list[float]
    until: list[float]
    service: list[float]
    ends: list[float]
    how: list[int]


def pass_tier(
    load: TierLoad, came_s: FloatArray, until_s: FloatArray, luck: TierDraws, who: IntArray
) -> tuple[FloatArray, IntArray, TierUse]:
    """Send cases through a tier.

    Args:
        load: What it can bear.
        came_s: shape (n,), rising. When each comes.
        until_s: shape (n,). When each one's time at this tier is up.
        luck: Luck of the tier's calls.
        who: shape (n,). Which request each is.

    Returns:
        When each is out again, shape (n,); how it ended, shape (n,); what the tier did.
    """
    visits = _Visits(came_s.tolist(), until_s.tolist(), luck.service_s[who].tolist(), [], [])
    if load.batching is not None:
        busy = _batched(load.slots, load.batching, visits)
    elif not is_guarded(load):
        busy = _plain(load.slots, visits)
    else:
        busy = _guarded(load, visits, luck, who)
    ends, how = np.array(visits.ends), np.array(visits.how, dtype=np.int64)
    count = np.bincount(how, minlength=REFUSED + 1).tolist()
    use = TierUse(
        came=len(how),
        calls=count[SPOKE] + count[CUT_OFF] + count[FAILED],
        waited_out=count[WAITED_OUT],
        cut_off=count[CUT_OFF],
        failed=count[FAILED],
        over_quota=count[OVER_QUOTA],
        refused=count[REFUSED],
        busy_s=busy,
        inside_s=float((ends - came_s).sum()),
    )
    return ends, how, use


def _plain(slots: int, visits: _Visits) -> float:
    """Serve first come, first served; give the time that slots were busy."""
    free, busy = [0.0] * slots, 0.0
    ends, how = visits.ends.append, visits.how.append
    for came, service, until in zip(visits.came, visits.service, visits.until, strict=True):
        start = free[0]
        if start < came:  # noqa: PLR1730  `max` takes twice as long here
            start = came
        if start >= until:
            ends(until)
            how(WAITED_OUT)
            continue
        end = start + service
        if end > until:
            heapreplace(free, until)
            ends(until)
            how(CUT_OFF)
            busy += until - start
        else:
            heapreplace(free, end)
            ends(end)
            how(SPOKE)
            busy += service
    return busy


def _guarded(load: TierLoad, visits: _Visits, luck: TierDraws, who: IntArray) -> float:
    """Serve behind a quota, in and out of outages, and with a queue of so many at most."""
    free, busy = [0.0] * load.slots, 0.0
    buckets = None if load.quota is None else Buckets(load.quota)
    reads, writes = _taken(luck.reads, who), _taken(luck.writes, who)
    chance = _taken(luck.luck if load.outages else None, who)
    patience = math.inf if load.patience_s is None else load.patience_s
    queue: list[float] = []  # when each of those that waited leaves the queue
    for j, came in enumerate(visits.came):
        until, how = visits.until[j], SPOKE
        quits = min(until, came + patience)
        start = max(free[0], came)
        while queue and queue[0] <= came:
            heappop(queue)
        if buckets is not None and not buckets.take(came, reads[j], writes[j]):
            end, how = came, OVER_QUOTA
        elif start > came and len(queue) >= load.waiting:
            end, how = came, REFUSED
        elif start >= quits:
            end, how = quits, WAITED_OUT
        else:
            service, answers = struck(load.outages, start, chance[j], visits.service[j])
            end, how = start + service, SPOKE if answers else FAILED
            if end > until:
                end, how = until, CUT_OFF
            heapreplace(free, end)
            busy += end - start
        if start > came and how not in {OVER_QUOTA, REFUSED}:
            heappush(queue, min(start, quits))
        visits.ends.append(end)
        visits.how.append(how)
    return busy


def _batched(slots: int, batching: Batching, visits: _Visits) -> float:
    """Serve in batches: full ones at once, others when the first has waited long enough."""
    came, until = visits.came, visits.until
    n, head, busy = len(came), 0, 0.0
    visits.ends, visits.how = [0.0] * n, [WAITED_OUT] * n
    free = [0.0] * slots
    heapify(free)
    while head < n:
        full = came[head + batching.most - 1] if head + batching.most <= n else math.inf
        start = max(free[0], min(full, came[head] + batching.wait_s), came[head])
        if until[head] <= start:
            visits.ends[head] = until[head]
            head += 1
            continue
        members: list[int] = []
        j = head
        while j < n and came[j] <= start and len(members) < batching.most:
            if until[j] <= start:
                visits.ends[j] = until[j]
            else:
                members.append(j)
            j += 1
        service = batching.base_s + batching.each_s * len(members)
        end = start + service
        for member in members:
            late = end > until[member]
            visits.ends[member] = until[member] if late else end
            visits.how[member] = CUT_OFF if late else SPOKE
        heapreplace(free, end)
        busy += service
        head = j
    return busy


def _taken(values: FloatArray | None, who: IntArray) -> list[float]:
    taken: list[float] = [0.0] * len(who) if values is None else values[who].tolist()
    return taken
