"""What every state can do, whatever keeps it, and the arithmetic that all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

__all__ = [
    "ORDINARY",
    "Claim",
    "Limit",
    "Part",
    "Refusal",
    "Reservation",
    "Spending",
    "State",
    "Taken",
    "left_nusd",
]

ORDINARY = ""
"""Part of a window that requests without a share of their own spend."""

Part: TypeAlias = tuple[str, str]
"""A window and a part of it."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What one part of a window holds.

    Attributes:
        spent_nusd: Settled. Nano-dollars.
        held_nusd: Set aside by reservations that are open. Nano-dollars.
        decisions: Decisions made, free ones included.
    """

    spent_nusd: int = 0
    held_nusd: int = 0
    decisions: int = 0

    @property
    def used_nusd(self) -> int:
        """Give what nobody else can have. Nano-dollars."""
        return self.spent_nusd + self.held_nusd


@dataclass(frozen=True, slots=True)
class Limit:
    """What a reservation must fit into.

    Attributes:
        window: Name of a stretch of time of one promise, for example `cost_day 2026-12-01`.
        most_nusd: Allowance of the window. Nano-dollars.
        each_nusd: Allowance for each decision of the window, the one that asks included; what all
            of them have counts where it is more than `most_nusd`. Nano-dollars.
        part: Whose money the reservation takes; `ORDINARY` for requests without a share.
        shares: Part -> share of the allowance that is kept for it. Ratios, 1 together at most.
    """

    window: str
    most_nusd: int
    each_nusd: float = 0.0
    part: str = ORDINARY
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money that is set aside.

    Attributes:
        number: Its own.
        amount_nusd: The worst case. Nano-dollars.
        parts: Where it is set aside.
    """

    number: int
    amount_nusd: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Money that is not there.

    Attributes:
        window: The first window that it does not fit into.
        left_nusd: What is left there for whoever asked; below 0 when more was spent than allowed.
    """

    window: str
    left_nusd: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that its holder alone works on."""

    key: str
    number: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A key that somebody else works on.

    Attributes:
        left_s: Seconds until the claim is void, unless it is let go before.
    """

    left_s: float


class State(Protocol):
    """Reservations, spending and claims; each method is one step that others see whole or not."""

    def reserve(
        self,
        amount_nusd: int,
        limits: Sequence[Limit],
        *,
        lease_s: float,
        noted: Mapping[Part, Spending] | None = None,
    ) -> Reservation | Refusal:
        """Set money aside in every window, or in none.

        Args:
            amount_nusd: The worst case. Nano-dollars, >= 0.
            limits: What it must fit into.
            lease_s: Seconds after which it comes back when nobody has settled it.
            noted: Part -> what was decided and what was spent unreserved since it was last said.

        Raises:
            StateError: The state cannot be written. Nothing is set aside then.
        """
        ...

    def settle(
        self,
        settled: Sequence[tuple[Reservation, int | None]],
        *,
        noted: Mapping[Part, Spending] | None = None,
    ) -> None:
        """Turn reservations into spending. One that was settled before changes nothing.

        One whose lease is over is spent all the same: the money went.

        Args:
            settled: Each with what was spent, nano-dollars; None, an unknown bill, spends the worst
                case.
            noted: Part -> what was decided and what was spent unreserved since it was last said.

        Raises:
            StateError: The state cannot be written.
        """
        ...

    def expire(self) -> int:
        """Give back what is set aside by reservations whose lease is over, and say how many."""
        ...

    def spending(self, window: str) -> dict[str, Spending]:
        """Give what each part of a window holds.

        Raises:
            StateError: The state cannot be read.
        """
        ...

    def begin(self) -> None:
        """Forget what was spent and how much was decided; open reservations stay.

        For whoever starts a service: the ledger is the truth, and `adopt` takes it over.

        Raises:
            StateError: The state cannot be written.
        """
        ...

    def adopt(self, spent: Mapping[Part, Spending]) -> None:
        """Take over what a ledger says of windows that nobody has adopted or counted in since.

        Args:
            spent: What each part holds; every window of interest has a part here.

        Raises:
            StateError: The state cannot be written.
        """
        ...

    def claim(self, key: str, *, lease_s: float) -> Claim | Taken:
        """Take a key, unless somebody holds it.

        Raises:
            StateError: The state cannot be written.
        """
        ...

    def release(self, claim: Claim) -> None:
        """Let a key go; one that was lost to somebody else meanwhile stays theirs.

        Raises:
            StateError: The state cannot be written.
        """
        ...

    def close(self) -> None:
        """Let go; closing twice is no fault."""
        ...


def left_nusd(limit: Limit, parts: Mapping[str, Spending]) -> int:
    """Give what is left of a window for the part that asks. Nano-dollars.

    Every other part keeps its share, or what it has used when that is more; what nobody keeps is
    there for all.

    Args:
        limit: The allowance, and who asks.
        parts: What each part of the window holds.

    Examples:
        >>> kept = {"urgent": 0.3}
        >>> left_nusd(Limit("day", 100, shares=kept), {})
        70
        >>> left_nusd(Limit("day", 100, part="urgent", shares=kept), {})
        100
        >>> left_nusd(Limit("day", 100, shares=kept), {"urgent": Spending(spent_nusd=50)})
        50
    """
    decisions = 1 + sum(part.decisions for part in parts.values())
    allowed = max(limit.most_nusd, int(limit.each_nusd * decisions))
    nothing = Spending()
    left = allowed - parts.get(limit.part, nothing).used_nusd
    for name in parts.keys() | limit.shares.keys():
        if name != limit.part:
            kept = int(limit.shares.get(name, 0.0) * allowed)
            left -= max(parts.get(name, nothing).used_nusd, kept)
    return left
