"""Where one request stands on its way from tier to tier, and how it ended."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from feasible.cascade import Heard
from feasible.errors import RequestError
from feasible.schema import Answer, PathStep
from feasible.serving.messages import DecideRequest
from feasible.state import Reservation

__all__ = ["NOBODY", "Given", "Outcome", "Walk"]

NOBODY: Final = "nobody"
"""Who answered when no tier could and no fallback did."""

Outcome: TypeAlias = Literal[
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


class Walk(msgspec.Struct):
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
        held: Money that is set aside for the call under way.
        reserved: What was set aside for calls that have ended, with what was spent of it.
        short_of: Objective whose money did not suffice for a tier.
        is_shed: A tier that might have answered was passed over for the load.
        is_rehearsal: Its money is not the plan's: a shadow has its own.
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
    heard: dict[str, Heard] = msgspec.field(default_factory=dict)
    foreseen: dict[str, float] = msgspec.field(default_factory=dict)
    in_hand: dict[str, Answer] = msgspec.field(default_factory=dict)
    held: Reservation | None = None
    reserved: tuple[tuple[Reservation, int | None], ...] = ()
    short_of: str | None = None
    is_shed: bool = False
    is_rehearsal: bool = False

    def note(
        self,
        tier: str,
        outcome: Outcome,
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

    def note_spent(self, before_usd: float) -> None:
        """Note what the call that ended has spent: unknown bills at their worst.

        Args:
            before_usd: What was spent before it.
        """
        if self.held is not None:
            # Rounded so that all calls of a decision add up to what it cost.
            spent_nusd = round(self.spent_usd * 1e9) - round(before_usd * 1e9)
            self.reserved = (*self.reserved, (self.held, spent_nusd))
            self.held = None

    def to_settle(self) -> tuple[tuple[Reservation, int | None], ...]:
        """Give what was set aside, with what was spent of it; None for a call that was cut off."""
        return self.reserved if self.held is None else (*self.reserved, (self.held, None))


class Given(msgspec.Struct, frozen=True):
    """The answer that a walk ended with."""

    tier: str
    answer: Any
    probability: float | None
    handed_off: bool = False
    fell_back: str | None = None
