"""What came out of a run, request by request and tier by tier."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from feasible.schema import BoolArray, FloatArray, IntArray, TierKind
from feasible.simulation.design import Batching, Design
from feasible.simulation.draws import Draws
from feasible.simulation.unhurried import unhurried

__all__ = [
    "CACHED",
    "FELL_BACK",
    "NOBODY",
    "Outcome",
    "TierUse",
    "Walked",
    "committed",
    "finished",
]

FELL_BACK: Final = -1
"""Exit: the fallback answered."""
CACHED: Final = -2
"""Exit: the cache before all tiers answered."""
NOBODY: Final = -3
"""Exit: nobody answered."""


@dataclass(slots=True)
class TierUse:
    """What one tier did in a run.

    Attributes:
        came: Cases that came to it, further calls included.
        calls: Calls that were begun.
        waited_out: Cases that left its queue because their time was up.
        cut_off: Calls that were cut off while under way.
        failed: Calls that failed in an outage.
        over_quota: Calls that the vendor refused.
        refused: Cases that found its queue full.
        again: Calls that were made again.
        busy_s: Time that its slots were busy, all together. Seconds.
        slot_s: Time that its slots were there, all together. Seconds.
        inside_s: Time that cases spent in it, waiting or under way, all together. Seconds.
    """

    came: int = 0
    calls: int = 0
    waited_out: int = 0
    cut_off: int = 0
    failed: int = 0
    over_quota: int = 0
    refused: int = 0
    again: int = 0
    busy_s: float = 0.0
    slot_s: float = 0.0
    inside_s: float = 0.0

    @property
    def utilisation(self) -> float:
        """Give the share of the slots' time that was busy. Ratio."""
        return self.busy_s / self.slot_s if self.slot_s else 0.0


@dataclass(slots=True)
class Walked:
    """Where each request's walk ended, before the fallback is asked. Arrays of shape (n,).

    Attributes:
        exit: Position that answered, FELL_BACK or CACHED.
        waited_ms: Time until then. Milliseconds.
        cost_usd: Spent until then. Dollars.
        degraded: Whether a call failed or was cut off, or a tier was passed over for time or load.
        in_hand: Steps that gave an answer, as bits.
        tiers: What each tier did.
        over_quota: Whether the vendor refused a call of it.
    """

    exit: IntArray
    waited_ms: FloatArray
    cost_usd: FloatArray
    degraded: BoolArray
    in_hand: IntArray
    tiers: tuple[TierUse, ...]
    over_quota: BoolArray


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a run. Arrays of shape (n,), in the order in which requests came.

    Attributes:
        at_s: When it came. Seconds.
        row: Which row of the cases it was.
        exit: Position that answered first hand, FELL_BACK, CACHED or NOBODY.
        answered_by: Position whose answer was given, the fallback's included; NOBODY.
        latency_ms: Milliseconds.
        cost_usd: Dollars; NaN when a price is unknown.
        degraded: Whether a call failed or was cut off, or a tier was passed over for time or load.
        over_quota: Whether the vendor refused a call of it.
        handed: Whether people see it.
        tiers: What each tier did.
        span_s: Length of the run. Seconds.
        engine: `sweep` or `calendar`.
    """

    at_s: FloatArray
    row: IntArray
    exit: IntArray
    answered_by: IntArray
    latency_ms: FloatArray
    cost_usd: FloatArray
    degraded: BoolArray
    over_quota: BoolArray
    handed: BoolArray
    tiers: tuple[TierUse, ...]
    span_s: float
    engine: str

    def __len__(self) -> int:
        """Give the number of requests."""
        return len(self.at_s)

    def some(self, which: BoolArray | IntArray) -> Outcome:
        """Give what came out for some of the requests; tiers are those of the whole run."""
        return replace(
            self,
            at_s=self.at_s[which],
            row=self.row[which],
            exit=self.exit[which],
            answered_by=self.answered_by[which],
            latency_ms=self.latency_ms[which],
            cost_usd=self.cost_usd[which],
            degraded=self.degraded[which],
            over_quota=self.over_quota[which],
            handed=self.handed[which],
        )


def finished(design: Design, draws: Draws, walked: Walked, *, engine: str) -> Outcome:
    """Ask the fallbacks, and say who sees what.

    A fallback gives the answer that it has given before; one that was not asked yet takes its time
    and its price, and no slot: it is for the few.
    """
    waited, cost, ends = walked.waited_ms, walked.cost_usd, walked.exit
    answered_by = np.where(ends >= 0, ends, NOBODY)
    fell = np.flatnonzero(ends == FELL_BACK)
    if fell.size:
        _fall_back(design, draws, walked, fell, answered_by)
    cached = np.flatnonzero(ends == CACHED)
    if cached.size:
        answered_by[cached] = unhurried(design).answered_by[draws.row[cached]]
    ends = np.where((ends == FELL_BACK) & (answered_by == NOBODY), NOBODY, ends)
    handed = np.zeros(len(draws), dtype=np.bool_)
    for k, step in enumerate(design.policy.steps):
        if step.kind is TierKind.PERSON:
            handed |= answered_by == k
    if design.people is not None and design.people.share:
        handed |= draws.seen_by_people < design.people.share
    span = float(draws.at_s[-1] - draws.at_s[0]) if len(draws) > 1 else 0.0
    return Outcome(
        draws.at_s,
        draws.row,
        ends,
        answered_by,
        _told_ms(design, draws, waited),
        cost,
        walked.degraded,
        walked.over_quota,
        handed,
        walked.tiers,
        span,
        engine,
    )


def _fall_back(
    design: Design, draws: Draws, walked: Walked, fell: IntArray, answered_by: IntArray
) -> None:
    cases = design.cases
    wanted = np.asarray(cases.fallback)[draws.row[fell]]
    for k, step in enumerate(design.policy.steps):
        mine = fell[wanted == k]
        if not mine.size:
            continue
        is_person = step.kind is TierKind.PERSON
        had = (walked.in_hand[mine] >> k & 1).astype(np.bool_)
        says = cases.table.answered[draws.row[mine], k] | is_person
        answered_by[mine[says]] = k
        asked = mine[~had]
        took = draws.tiers[k].service_s[asked] * 1e3
        if cases.fallback_ms is not None and not is_person:
            left = np.maximum(cases.fallback_ms - walked.waited_ms[asked], 0.0)
            late = took > left
            answered_by[asked[late]] = NOBODY
            took = np.minimum(took, left)
        walked.waited_ms[asked] += took
        walked.cost_usd[asked] += draws.tiers[k].usd[asked]


def _told_ms(design: Design, draws: Draws, waited_ms: FloatArray) -> FloatArray:
    """Give when each answer is told: after its commit, and after reading and writing."""
    told = waited_ms
    if design.commit is not None and len(draws):
        ready_s = draws.at_s + told / 1e3
        order = np.argsort(ready_s, kind="stable")
        told = told.copy()
        told[order] += (committed(design.commit, ready_s[order]) - ready_s[order]) * 1e3
    return told + draws.overhead_ms if design.overhead_ms else told


def committed(commit: Batching, ready_s: FloatArray) -> FloatArray:
    """Give when each of rising instants is on record: all that wait go into the next commit.

    Args:
        commit: What one takes; `wait_s` has no meaning here.
        ready_s: shape (n,), rising. Seconds.
    """
    ready, out, free_s, head = ready_s.tolist(), list[float](), 0.0, 0
    while head < len(ready):
        start = max(free_s, ready[head])
        last = min(bisect_right(ready, start, lo=head), head + commit.most)
        free_s = start + commit.base_s + commit.each_s * (last - head)
        out += [free_s] * (last - head)
        head = last
    return np.array(out)
