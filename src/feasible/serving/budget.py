"""Money over many decisions: set aside at its worst before a call, settled once it is on record.

Days and months are those of UTC. A cap on one of them is never passed. A mean is kept for each day
by pacing: no more may be spent than the day's decisions have earned so far, free ones included, but
for a first sum (the burst) that lets a day begin with a dear decision. From the moment on when its
decisions have earned that sum, the day's mean is never above its limit.

What cannot be afforded is not called: the next tier is asked, or the fallback. Nothing here decides
what is answered.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from feasible.clock import Clock
from feasible.errors import StateError
from feasible.ledger import Ledger
from feasible.schema import Decision, HeadroomRow, Plan, SpendLimit
from feasible.state import (
    ORDINARY,
    Limit,
    MemoryState,
    Part,
    Refusal,
    Reservation,
    Spending,
    State,
)
from feasible.units import format_usd

__all__ = ["Budgets", "SetAside", "Standing", "standing_by", "with_money"]

_LOG: Final = logging.getLogger(__name__)
_MOST_UNSETTLED: Final = 10_000
_NUSD: Final = 1e9
_WHEN: Final = {
    "day": "today (UTC)",
    "month": "this month (UTC)",
    "decision": "that today's decisions have earned (UTC)",
}
_DUST: Final = 1e-3
"""Nano-dollars that floating point may add or lose."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """Money for the calls of a tier.

    Attributes:
        reservation: To be settled; None when no limit is about this request.
        calls: Calls that it is for.
    """

    reservation: Reservation | None
    calls: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the money of one limit stands now.

    Attributes:
        objective: Id of the objective.
        per: `day`, `month`, or `decision` for a mean.
        allowed_usd: Allowance of the window so far.
        spent_usd: Settled in the window.
        held_usd: Set aside for calls under way.
        decisions: Decisions of the window that count; only followed for a mean.
        skipped: Calls that this process did not make for want of this money, since its start.
    """

    objective: str
    per: str
    allowed_usd: float
    spent_usd: float
    held_usd: float
    decisions: int
    skipped: int

    @property
    def slack(self) -> float | None:
        """Give the share of the allowance that is left. Ratio; None when nothing is allowed."""
        if self.allowed_usd <= 0:
            return None
        return 1 - (self.spent_usd + self.held_usd) / self.allowed_usd


class Budgets:
    """The limits of one plan, kept in the state that all workers share.

    Args:
        plan: What is promised, and who has priority.
        worst_usd: Tier of the plan or of its fallbacks -> most that one call costs; None: unknown.
        people: Tiers that are people.
        state: Where money is set aside.
        clock: Where time comes from.
        most_calls: Tier -> calls of it that one request may cost; 1 when absent.

    Attributes:
        guarded: Tiers for which money is set aside before they are called. The others cost nothing,
            or so little that a decision by all of them stays below every limit on a mean: what they
            cost is counted once their decision is on record.
    """

    def __init__(
        self,
        plan: Plan,
        worst_usd: Mapping[str, float | None],
        people: Iterable[str],
        state: State,
        *,
        clock: Clock,
        most_calls: Mapping[str, int] | None = None,
    ) -> None:
        self._limits = plan.spend
        self._means = tuple(limit for limit in plan.spend if limit.per == "decision")
        self._priority = dict(plan.priority)
        self._state = state
        self._clock = clock
        self._worst_usd = dict(worst_usd)
        self._most_calls = most_calls or {}
        self._people = frozenset(people)
        trifling = self._trifling()
        self.guarded = frozenset(
            name for name in worst_usd if self._concerns(name) and name not in trifling
        )
        self._noted: dict[Part, list[int]] = {}
        self._unsettled: list[tuple[Reservation, int | None]] = []
        self._skipped = {limit.objective: 0 for limit in plan.spend}
        now = clock.now()
        self._date = now.date()
        self._windows = self._windows_of(now)

    def reserve(
        self, name: str, *, calls: int, slices: tuple[str, ...], lease_s: float
    ) -> SetAside | str:
        """Set the worst case of asking a guarded tier aside: of all its calls, or else of one.

        Args:
            name: The tier.
            calls: Calls that may be made of it.
            slices: Those that the request is in.
            lease_s: Seconds until it comes back, should this process be gone by then.

        Returns:
            What was set aside, or the id of an objective whose money does not suffice.
        """
        self._turn_over(self._clock.now())
        is_person = name in self._people
        part = self._part_of(slices)
        limits = [
            self._limit(limit, part)
            for limit in self._limits
            if _is_about(limit, slices) and not (is_person and limit.without_people)
        ]
        if not limits:
            return SetAside(None, calls)
        worst_usd = self._worst_usd[name]
        if worst_usd is None:  # nobody knows that it would fit
            return self._refused(limits[0].window)
        window = limits[0].window
        for made in dict.fromkeys((calls, 1)):
            found = self._ask(math.ceil(worst_usd * made * _NUSD - _DUST), limits, lease_s)
            if isinstance(found, Reservation):
                return SetAside(found, made)
            window = window if found is None else found.window
        return self._refused(window)

    def _ask(
        self, amount_nusd: int, limits: Sequence[Limit], lease_s: float
    ) -> Reservation | Refusal | None:
        """Ask the state for money; None when it cannot be asked, so that nothing is spent."""
        noted, self._noted = self._noted, {}
        try:
            found = self._state.reserve(
                amount_nusd, limits, lease_s=lease_s, noted=_spending(noted)
            )
        except StateError as error:
            self._noted = noted
            _LOG.error("%s: dear tiers are passed over (%s)", error.message, error.found)
            return None
        if self._unsettled:
            self.settle(())
        return found

    def settle(self, spent: Iterable[tuple[Reservation, int | None]]) -> None:
        """Count what calls cost, in nano-dollars; None, an unknown bill, counts at its worst.

        What cannot be written now is written with the next one; until then it stays set aside.
        """
        self._unsettled.extend(spent)
        del self._unsettled[:-_MOST_UNSETTLED]
        noted, self._noted = self._noted, {}
        try:
            self._state.settle(self._unsettled, noted=_spending(noted))
        except StateError as error:
            self._noted = noted
            _LOG.error("%s: what was spent is counted later (%s)", error.message, error.found)
        else:
            self._unsettled = []

    def made(
        self, decision: Decision, reserved: Sequence[tuple[Reservation, int | None]] = ()
    ) -> None:
        """Note a decision that is on record: a mean may spend what it earns.

        Touches no state, but once a day.

        Args:
            decision: The decision.
            reserved: What was set aside for it, and is counted by `settle`.
        """
        if not self._means:
            return
        if decision.at.day != self._date.day:
            self._turn_over(decision.at)
        for limit in self._means:
            if _is_about(limit, decision.slices):
                window = self._windows[limit.objective]
                rest = self._nusd_of(decision, limit)
                if reserved:
                    rest -= _counted_nusd(reserved, limit.objective)
                count = self._noted.get((window, ORDINARY))
                if count is None:
                    count = self._noted[window, ORDINARY] = [0, 0]
                count[1] += 1
                if rest > 0:
                    part = self._part_of(decision.slices)
                    if part != ORDINARY:
                        count = self._noted.setdefault((window, part), [0, 0])
                    count[0] += rest

    def adopt(self, decisions: Iterable[Decision]) -> None:
        """Take over from a ledger what windows hold that no worker has counted in yet.

        Args:
            decisions: Those made since `since`, at least.
        """
        now = self._clock.now()
        self._turn_over(now)
        today = now.date()
        found = {(self._windows[limit.objective], ORDINARY): [0, 0] for limit in self._limits}
        for decision in decisions:
            if (decision.at.year, decision.at.month) != (today.year, today.month):
                continue
            for limit in self._limits:
                if not _is_about(limit, decision.slices):
                    continue
                if limit.per != "month" and decision.at.date() != today:
                    continue
                window = self._windows[limit.objective]
                part = self._part_of(decision.slices)
                found.setdefault((window, part), [0, 0])[0] += self._nusd_of(decision, limit)
                if limit.per == "decision":
                    found[window, ORDINARY][1] += 1
        self._state.adopt(_spending(found))

    def since(self) -> datetime:
        """Give the start of the oldest window that is open now."""
        now = self._clock.now()
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        is_monthly = any(limit.per == "month" for limit in self._limits)
        return day.replace(day=1) if is_monthly else day

    def standing(self) -> list[Standing]:
        """Say how the money of each limit stands; empty while the state cannot be read."""
        self._turn_over(self._clock.now())
        try:
            if self._noted or self._unsettled:
                self.settle(())
            return [self._standing_of(limit) for limit in self._limits]
        except StateError as error:
            _LOG.error("%s: %s", error.message, error.found)
            return []

    def _standing_of(self, limit: SpendLimit) -> Standing:
        parts = self._state.spending(self._windows[limit.objective]).values()
        decisions = sum(part.decisions for part in parts)
        allowed_usd = limit.limit_usd
        if limit.per == "decision":
            allowed_usd = max(self._burst_usd(limit), limit.limit_usd * decisions)
        return Standing(
            objective=limit.objective,
            per=limit.per,
            allowed_usd=allowed_usd,
            spent_usd=sum(part.spent_nusd for part in parts) / _NUSD,
            held_usd=sum(part.held_nusd for part in parts) / _NUSD,
            decisions=decisions,
            skipped=self._skipped[limit.objective],
        )

    def _limit(self, limit: SpendLimit, part: str) -> Limit:
        window = self._windows[limit.objective]
        if limit.per != "decision":
            most = _floor_nusd(limit.limit_usd)
            return Limit(window, most, part=part, shares=self._priority)
        return Limit(
            window,
            _floor_nusd(self._burst_usd(limit)),
            each_nusd=limit.limit_usd * _NUSD,
            part=part,
            shares=self._priority,
        )

    def _burst_usd(self, limit: SpendLimit) -> float:
        """Give what a day may spend before its decisions have earned it."""
        if limit.burst_usd is not None:
            return limit.burst_usd
        counting = self._worst_usd.keys() - (self._people if limit.without_people else frozenset())
        dearest = sum(self._worst_usd[name] or 0.0 for name in counting)
        # What is kept for others is not there for an ordinary request, which may be the first.
        return dearest / (1 - self._kept) if self._kept < 1 else dearest

    @property
    def _kept(self) -> float:
        """Give the share of all money that is kept for slices. Ratio."""
        return min(sum(self._priority.values()), 1.0)

    def _concerns(self, name: str) -> bool:
        """Claim that some limit is about what a tier costs."""
        if self._worst_usd[name] == 0:
            return False
        return any(not (limit.without_people and name in self._people) for limit in self._limits)

    def _trifling(self) -> set[str]:
        """Name the tiers that all together cost less than any mean may."""
        if not self._means or len(self._means) < len(self._limits):
            return set()  # a cap on a day counts every call
        room_usd = min(limit.limit_usd for limit in self._means) * (1 - self._kept)
        priced = sorted((usd, name) for name, usd in self._worst_usd.items() if usd is not None)
        found: set[str] = set()
        for usd, name in priced:
            room_usd -= usd * self._most_calls.get(name, 1)
            if room_usd < 0:
                break
            found.add(name)
        return found

    def _refused(self, window: str) -> str:
        objective = window.rpartition(" ")[0]
        self._skipped[objective] += 1
        return objective

    def _part_of(self, slices: tuple[str, ...]) -> str:
        """Give the slice of a request that most is kept for."""
        if not slices or not self._priority:
            return ORDINARY
        shares = self._priority
        return max((name for name in slices if name in shares), key=shares.__getitem__, default="")

    def _nusd_of(self, decision: Decision, limit: SpendLimit) -> int:
        """Give what a decision of the ledger counts with: its cost, at its worst when unknown."""
        nusd = decision.cost_nusd
        if nusd is None:
            nusd = decision.at_most_nusd
        if nusd is None:  # written before decisions said so
            usd = sum(
                (self._worst_usd.get(step.tier) or 0.0) if step.cost_usd is None else step.cost_usd
                for step in decision.path
            )
            nusd = round(usd * _NUSD)
        if limit.without_people and self._people:
            people = (step.cost_usd or 0.0 for step in decision.path if step.tier in self._people)
            nusd -= round(sum(people) * _NUSD)
        return nusd

    def _turn_over(self, now: datetime) -> None:
        """Begin the windows of a new day."""
        # A decision of yesterday may be told after midnight; a clock may be set back for longer.
        if now.date() in {self._date, self._date - timedelta(days=1)}:
            return
        self._date, self._noted = now.date(), {}
        self._windows = self._windows_of(now)
        try:  # so that a worker that starts later does not count from the ledger what we do
            begun = dict.fromkeys(((name, ORDINARY) for name in self._windows.values()), Spending())
            self._state.settle([], noted=begun)
        except StateError as error:
            _LOG.error("%s: %s", error.message, error.found)

    def _windows_of(self, now: datetime) -> dict[str, str]:
        return {
            limit.objective: f"{limit.objective} {now:%Y-%m}"
            if limit.per == "month"
            else f"{limit.objective} {now:%Y-%m-%d}"
            for limit in self._limits
        }


def standing_by(
    ledger: Ledger, plan: Plan, *, people: Iterable[str], clock: Clock
) -> list[Standing]:
    """Say how the money of a plan stands by what is on record; reservations are not.

    Args:
        ledger: What is on record.
        plan: What is promised.
        people: Tiers that are people.
        clock: Says which day it is.
    """
    if not plan.spend:
        return []
    worst_usd = {step.name: step.worst_cost_usd for step in plan.tiers}
    budgets = Budgets(plan, worst_usd, people, MemoryState(clock=clock), clock=clock)
    budgets.adopt(ledger.decisions(since=budgets.since()))
    return budgets.standing()


def with_money(rows: Iterable[HeadroomRow], standing: Iterable[Standing]) -> list[HeadroomRow]:
    """Say in the headroom table what is spent of the money that budgets keep."""
    by_id = {one.objective: one for one in standing}
    return [_with_money(row, by_id.get(row.objective)) for row in rows]


def _with_money(row: HeadroomRow, one: Standing | None) -> HeadroomRow:
    if one is None:
        return row
    spent = format_usd(one.spent_usd + one.held_usd)
    told = f"spent {spent} of {format_usd(one.allowed_usd)} {_WHEN[one.per]}"
    return msgspec.structs.replace(row, note=f"{row.note}; {told}")


def _spending(counts: Mapping[Part, Sequence[int]]) -> dict[Part, Spending]:
    """Give counts of nano-dollars and decisions as the state takes them."""
    return {part: Spending(spent, 0, decisions) for part, (spent, decisions) in counts.items()}


def _is_about(limit: SpendLimit, slices: tuple[str, ...]) -> bool:
    return limit.on is None or limit.on in slices


def _counted_nusd(reserved: Sequence[tuple[Reservation, int | None]], objective: str) -> int:
    """Give what was set aside for an objective, as it is settled."""
    return sum(
        reservation.amount_nusd if actual is None else actual
        for reservation, actual in reserved
        if any(window.rpartition(" ")[0] == objective for window, _ in reservation.parts)
    )


def _floor_nusd(usd: float) -> int:
    """Give whole nano-dollars, of which there are none too many."""
    return math.floor(usd * _NUSD + _DUST)
