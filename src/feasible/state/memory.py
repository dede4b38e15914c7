"""The state of a service that is one process: gone with it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from feasible.clock import Clock, SystemClock
from feasible.state.base import (
    Claim,
    Limit,
    Part,
    Refusal,
    Reservation,
    Spending,
    Taken,
    left_nusd,
)

__all__ = ["MemoryState"]

_REMEMBERED_S: Final = 24 * 3600.0
"""How long a reservation whose lease is over can still be settled."""


@dataclass(slots=True)
class _Held:
    reservation: Reservation
    until_s: float
    is_over: bool = False


class MemoryState:
    """Reservations, spending and claims in dictionaries.

    Args:
        clock: Where time comes from.

    Examples:
        >>> state = MemoryState()
        >>> held = state.reserve(60, [Limit("day", 100)], lease_s=10)
        >>> state.reserve(60, [Limit("day", 100)], lease_s=10)
        Refusal(window='day', left_nusd=40)
        >>> state.settle([(held, 25)])
        >>> state.spending("day")[""].spent_nusd
        25
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._parts: dict[str, dict[str, Spending]] = {}
        self._begun: set[str] = set()
        self._held: dict[int, _Held] = {}
        self._claims: dict[str, tuple[int, float]] = {}

    def reserve(
        self,
        amount_nusd: int,
        limits: Sequence[Limit],
        *,
        lease_s: float,
        noted: Mapping[Part, Spending] | None = None,
    ) -> Reservation | Refusal:
        """Set money aside in every window, or in none."""
        with self._lock:
            self._expire()
            self._count(noted)
            for limit in limits:
                left = left_nusd(limit, self._parts.get(limit.window, {}))
                if amount_nusd > left:
                    return Refusal(limit.window, left)
            parts = tuple((limit.window, limit.part) for limit in limits)
            found = Reservation(next(self._numbers), amount_nusd, parts)
            self._held[found.number] = _Held(found, self._clock.now().timestamp() + lease_s)
            for part in parts:
                self._begun.add(part[0])
                self._add(part, held=amount_nusd)
            return found

    def settle(
        self,
        settled: Sequence[tuple[Reservation, int | None]],
        *,
        noted: Mapping[Part, Spending] | None = None,
    ) -> None:
        """Turn reservations into spending."""
        with self._lock:
            self._count(noted)
            for reservation, actual_nusd in settled:
                held = self._held.pop(reservation.number, None)
                if held is None:
                    continue
                amount = held.reservation.amount_nusd
                for part in held.reservation.parts:
                    self._add(
                        part,
                        held=0 if held.is_over else -amount,
                        spent=amount if actual_nusd is None else actual_nusd,
                    )

    def expire(self) -> int:
        """Give back what is set aside by reservations whose lease is over, and say how many."""
        with self._lock:
            return self._expire()

    def spending(self, window: str) -> dict[str, Spending]:
        """Give what each part of a window holds."""
        with self._lock:
            self._expire()
            return dict(self._parts.get(window, {}))

    def begin(self) -> None:
        """Forget what was spent and how much was decided; open reservations stay."""
        with self._lock:
            self._expire()
            self._parts, self._begun = {}, set()
            for held in self._held.values():
                for part in () if held.is_over else held.reservation.parts:
                    self._add(part, held=held.reservation.amount_nusd)

    def adopt(self, spent: Mapping[Part, Spending]) -> None:
        """Take over what a ledger says of windows that nobody has adopted or counted in since."""
        with self._lock:
            fresh = {window for window, _ in spent} - self._begun
            self._begun |= fresh
            for part, found in spent.items():
                if part[0] in fresh:
                    self._add(part, spent=found.spent_nusd, decisions=found.decisions)

    def claim(self, key: str, *, lease_s: float) -> Claim | Taken:
        """Take a key, unless somebody holds it."""
        with self._lock:
            now_s = self._clock.now().timestamp()
            _, until_s = self._claims.get(key, (0, now_s))
            if until_s > now_s:
                return Taken(until_s - now_s)
            number = next(self._numbers)
            self._claims[key] = (number, now_s + lease_s)
            return Claim(key, number)

    def release(self, claim: Claim) -> None:
        """Let a key go; one that was lost to somebody else meanwhile stays theirs."""
        with self._lock:
            if self._claims.get(claim.key, (0, 0.0))[0] == claim.number:
                del self._claims[claim.key]

    def close(self) -> None:
        """Hold nothing that could be let go."""

    def _expire(self) -> int:
        now_s, over = self._clock.now().timestamp(), 0
        for number, held in list(self._held.items()):
            if not held.is_over and held.until_s <= now_s:
                held.is_over, over = True, over + 1
                for part in held.reservation.parts:
                    self._add(part, held=-held.reservation.amount_nusd)
            elif held.is_over and held.until_s + _REMEMBERED_S <= now_s:
                del self._held[number]
        return over

    def _count(self, noted: Mapping[Part, Spending] | None) -> None:
        for part, more in (noted or {}).items():
            self._begun.add(part[0])
            self._add(part, spent=more.spent_nusd, decisions=more.decisions)

    def _add(self, part: Part, *, held: int = 0, spent: int = 0, decisions: int = 0) -> None:
        window, name = part
        parts = self._parts.setdefault(window, {})
        old = parts.get(name, Spending())
        parts[name] = Spending(
            old.spent_nusd + spent, old.held_nusd + held, old.decisions + decisions
        )
