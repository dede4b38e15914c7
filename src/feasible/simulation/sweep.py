"""The tier sweep: a feed-forward cascade exactly, tier by tier, without a calendar.

The array evaluator of the policy decides who enters a tier and whose answer is given, as `route`
decides it for one case. What feeds back (further calls, breakers, shared budgets, caches that fill)
needs the calendar.
"""

from __future__ import annotations

import numpy as np

from feasible.cascade import Step, accepted_all, entered_all, longest_ms, reaches, until_rows
from feasible.schema import BoolArray, FloatArray, IntArray, TierKind
from feasible.simulation.design import Design, TierLoad
from feasible.simulation.draws import Draws
from feasible.simulation.outcome import CACHED, FELL_BACK, Outcome, TierUse, Walked, finished
from feasible.simulation.tier_pass import (
    CUT_OFF,
    OVER_QUOTA,
    SPOKE,
    WAITED_OUT,
    is_guarded,
    pass_tier,
)

__all__ = ["feedback_of", "sweep"]


def feedback_of(design: Design) -> tuple[str, ...]:
    """Name what of a design feeds back, so that only the calendar can run it."""
    found = []
    if design.cache is not None and design.cache.hit is None:
        found.append("a cache that fills while it runs")
    if design.enforces_budget and design.budget_usd_day is not None:
        found.append("a budget that tiers share")
    for load in design.tiers:
        for is_there, what in (
            (load.retrying is not None, "calls made again"),
            (load.breaking is not None, "a breaker"),
            (load.scaling is not None, "slots that follow the load"),
            (load.admits, "admission by what calls took lately"),
            (load.crowding > 0, "calls that slow each other down"),
            (_guards_batches(load), "batches behind a quota, a full queue or an outage"),
        ):
            if is_there:
                found.append(f"{load.name}: {what}")
    return tuple(found)


def _guards_batches(load: TierLoad) -> bool:
    return load.batching is not None and is_guarded(load)


def sweep(design: Design, draws: Draws) -> Outcome:
    """Run a feed-forward design.

    Args:
        design: What is simulated.
        draws: The luck of the run.

    Raises:
        ValueError: The design feeds back.
    """
    found = feedback_of(design)
    if found:
        raise ValueError(f"only the calendar runs {', '.join(found)}")
    run = _Sweep(design, draws)
    for k in range(len(design.tiers)):
        run.visit(k)
    return finished(design, draws, run.walked(), engine="sweep")


class _Sweep:
    """Where every request stands between two tiers; those that walk on are in order of time."""

    def __init__(self, design: Design, draws: Draws) -> None:
        n = len(draws)
        self._design, self._draws = design, draws
        self._until = until_rows(design.policy, design.cases.table)
        self._exit = np.full(n, FELL_BACK, dtype=np.int64)
        self._waited, self._cost = np.zeros(n), np.zeros(n)
        self._degraded, self._over = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        self._in_hand = np.zeros(n, dtype=np.int64)
        self._uses: list[TierUse] = []
        self._walking, self._now = np.arange(n), draws.begins_s
        if design.front is not None:
            self._waited = (draws.begins_s - draws.at_s) * 1e3
        cache = design.cache
        if cache is not None and cache.hit is not None:
            hit = draws.hits
            self._exit[hit] = CACHED
            self._waited[hit] += cache.answers_ms
            self._walking, self._now = np.flatnonzero(~hit), draws.begins_s[~hit]

    def walked(self) -> Walked:
        """Give where every walk ended."""
        return Walked(
            self._exit,
            self._waited,
            self._cost,
            self._degraded,
            self._in_hand,
            tuple(self._uses),
            self._over,
        )

    def visit(self, k: int) -> None:
        """Ask one step of the policy."""
        policy, table = self._design.policy, self._design.cases.table
        step, walking, now = policy.steps[k], self._walking, self._now
        row = self._draws.row[walking]
        wanted = np.ones(len(walking), dtype=np.bool_)
        if step.gated:
            wanted = reaches(table.probability[row, k], table.threshold[row, k])
        until = self._until if not isinstance(self._until, np.ndarray) else self._until[row]
        waited = self._waited[walking]
        entered, too_late = entered_all(policy, step, wanted, waited, self._cost[walking], until)
        stays = np.ones(len(walking), dtype=np.bool_)
        if too_late is not None:
            self._degraded[walking[too_late]] = True
            stays &= ~too_late
        who = walking[entered]
        mine = until[entered] if isinstance(until, np.ndarray) else until
        ends, goes_on = self._ask(k, step, who, now[entered], mine)
        stays[entered] &= goes_on
        now = now.copy()
        now[entered] = ends
        now, walking = now[stays], walking[stays]
        order = np.argsort(now, kind="stable")
        self._walking, self._now = walking[order], now[order]

    def _ask(
        self,
        k: int,
        step: Step,
        who: IntArray,
        came: FloatArray,
        until: float | FloatArray | None,
    ) -> tuple[FloatArray, BoolArray]:
        """Send cases through a tier; give when each is out, and which go on to the next."""
        luck, at_s = self._draws.tiers[k], self._draws.at_s[who]
        if step.kind is TierKind.PERSON:  # handing over is not waited for, and takes no slot
            ends = came + luck.service_s[who]
            how = np.full(len(who), SPOKE, dtype=np.int64)
            use = TierUse(came=len(who), calls=len(who))
            self._waited[who] = (ends - at_s) * 1e3
        else:
            most, is_last = _longest(step, self._waited[who], until)
            ends, how, use = pass_tier(self._design.tiers[k], came, came + most / 1e3, luck, who)
            self._waited[who] = (ends - at_s) * 1e3
            if is_last is not None:  # to the last bit, so that nothing is left
                out = is_last & ((how == CUT_OFF) | (how == WAITED_OUT))
                last = until[out] if isinstance(until, np.ndarray) else until
                self._waited[who[out]] = last
        use.slot_s = self._design.tiers[k].slots * float(self._draws.at_s[-1])
        self._uses.append(use)
        spoke = how == SPOKE
        paid = who[spoke | (how == CUT_OFF)]
        self._cost[paid] += luck.usd[paid]
        self._degraded[who[~spoke]] = True
        self._over[who[how == OVER_QUOTA]] = True
        table, row = self._design.cases.table, self._draws.row[who]
        self._in_hand[who[spoke & table.answered[row, k]]] |= 1 << k
        given = spoke & accepted_all(step, table, k)[row]
        self._exit[who[given]] = k
        goes_on = ~given
        if self._design.after_failure == "fall_back":
            goes_on &= spoke
        return ends, goes_on


def _longest(
    step: Step, waited_ms: FloatArray, until: float | FloatArray | None
) -> tuple[FloatArray, BoolArray | None]:
    """Give the longest that each call may take, as `longest_ms` gives one. Milliseconds.

    Returns:
        shape (n,) each; the second says where the time of all tiers is up then.
    """
    if until is None:
        return np.full(len(waited_ms), longest_ms(step, None)), None
    left = until - waited_ms
    most = np.fmin(left, np.inf if step.timeout_ms is None else step.timeout_ms)
    return most, most == left
