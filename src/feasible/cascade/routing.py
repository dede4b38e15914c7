"""The routing function: what happens next to one decision. Pure: it sees its arguments only.

Its records are structs: a frozen dataclass takes ten times as long to make, and every request makes
several.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Literal

import msgspec

from feasible.cascade.comparisons import is_too_dear, is_too_late, reaches
from feasible.cascade.policy import Policy
from feasible.schema.brief import TierKind

__all__ = ["Ask", "Fallback", "Finish", "Move", "Seen", "State", "route"]


class Seen(msgspec.Struct, frozen=True):
    """What the tier at `State.at` did.

    Attributes:
        outcome: `answered` with a group and a probability; `abstained`; `failed`: it raised or
            took too long.
        group: Answer group, when answered.
        probability: Calibrated P(right); None when it has none: such an answer is never accepted by
            threshold.
    """

    outcome: Literal["answered", "abstained", "failed"]
    group: str | None = None
    probability: float | None = None


class State(msgspec.Struct, frozen=True):
    """Where a decision stands.

    Attributes:
        at: Position in the policy of the tier that was asked last; -1 before the first.
        seen: What that tier did; None before the first.
        remaining_ms: Time left of the deadline; None: no deadline.
        remaining_usd: Money left of this decision's cap; None: no cap.
        blocked: Names of tiers that may not be asked now (breaker open, full, no budget).
        foreseen: Tier -> what the router foresees, where tiers are gated.
    """

    at: int = -1
    seen: Seen | None = None
    remaining_ms: float | None = None
    remaining_usd: float | None = None
    blocked: AbstractSet[str] = frozenset()
    foreseen: Mapping[str, float] = msgspec.field(default_factory=dict)


class Ask(msgspec.Struct, frozen=True):
    """Ask the tier at this position; those in `skipped` were passed over, with the reason."""

    position: int
    skipped: tuple[tuple[str, str], ...] = ()


class Finish(msgspec.Struct, frozen=True):
    """Give the answer of the tier at this position."""

    position: int


class Fallback(msgspec.Struct, frozen=True):
    """Let the declared fallback of the slice answer."""

    why: Literal["deadline", "exhausted"]
    skipped: tuple[tuple[str, str], ...] = ()


Move = Ask | Finish | Fallback


def route(policy: Policy, state: State) -> Move:
    """Give the next move of one decision.

    An answer is given when its probability reaches the threshold of its tier and group; a person
    takes every case that gets that far, and a gated tier, once asked, always answers. Otherwise the
    next tier is asked that is not blocked, is foreseen to be right often enough, fits the money
    (under a cap an unknown price does not) and fits the time. The first tier that does not fit the
    time ends the walk: the fallback answers.

    Args:
        policy: The table.
        state: Where the decision stands.

    Returns:
        Finish, Ask or Fallback.

    Examples:
        >>> from feasible.cascade.policy import Step
        >>> table = Policy(steps=(Step("rules", TierKind.RULES, {"*": 0.9}),))
        >>> route(table, State())
        Ask(position=0, skipped=())
        >>> route(table, State(at=0, seen=Seen("answered", "*", 0.95)))
        Finish(position=0)
        >>> route(table, State(at=0, seen=Seen("abstained")))
        Fallback(why='exhausted', skipped=())
    """
    if state.at >= 0 and state.seen is not None and _accepts(policy, state):
        return Finish(state.at)
    skipped: list[tuple[str, str]] = []
    for position in range(state.at + 1, len(policy.steps)):
        step = policy.steps[position]
        if step.name in state.blocked:
            skipped.append((step.name, "blocked"))
        elif not step.foresees(state.foreseen):
            skipped.append((step.name, "router"))
        elif _too_dear(step.worst_cost_usd, state.remaining_usd):
            skipped.append((step.name, "cost"))
        elif _too_slow(step.needs_ms, state.remaining_ms):
            skipped.append((step.name, "deadline"))
            return Fallback("deadline", tuple(skipped))
        else:
            return Ask(position, tuple(skipped))
    return Fallback("exhausted", tuple(skipped))


def _accepts(policy: Policy, state: State) -> bool:
    step, seen = policy.steps[state.at], state.seen
    if seen is None or seen.outcome != "answered":
        return False
    if step.kind is TierKind.PERSON or step.gated:
        return True
    if seen.probability is None or seen.group is None:
        return False
    return reaches(seen.probability, step.threshold(seen.group))


def _too_slow(needed_ms: float, remaining_ms: float | None) -> bool:
    return remaining_ms is not None and is_too_late(needed_ms, remaining_ms)


def _too_dear(worst_usd: float | None, remaining_usd: float | None) -> bool:
    """Claim that a call could break the cap; of an unknown price nobody knows that it could not."""
    return remaining_usd is not None and (
        worst_usd is None or is_too_dear(worst_usd, remaining_usd)
    )
