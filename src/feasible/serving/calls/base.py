"""What every way of calling a tier has in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from feasible.errors import FeasibleError, TierError, TierUnavailable
from feasible.schema import Answer, Request
from feasible.tiers import Tier

__all__ = [
    "LONGEST_TEXT",
    "Attempt",
    "CallFigures",
    "CallTimedOut",
    "Calls",
    "TierCalls",
    "Told",
    "cost_of_failure",
    "raised",
    "words_of",
]

LONGEST_TEXT: Final = 500


class CallTimedOut(TierError):
    """A tier did not answer in the time that was left for it.

    Args:
        tier: The tier.
        within_s: Seconds that were left.
        waited: The request never reached the tier: it waited behind others and cost nothing.
        counts: It is a failure of its own, and not one more request in a batch that hangs.
    """

    def __init__(
        self, tier: Tier, within_s: float, *, waited: bool = False, counts: bool = True
    ) -> None:
        left = f"{within_s * 1e3:.0f} ms were left"
        super().__init__(
            f"tier {tier.name!r} did not answer in time",
            found=f"{left}, all of them spent in its queue" if waited else left,
        )
        self.waited = waited
        self.counts = counts


@dataclass(frozen=True, slots=True)
class Attempt:
    """One of several calls that were made for one request, but not the one that decided.

    Attributes:
        outcome: It failed and was made again, or another one answered first.
        latency_ms: How long it took.
        cost_usd: Dollars; None when nobody knows whether it is billed.
        why: What happened.
    """

    outcome: Literal["retried", "cancelled"]
    latency_ms: float
    cost_usd: float | None
    why: str


@dataclass(slots=True)
class Told:
    """What a tier's calls tell of one request, beside its answer.

    Attributes:
        most_calls: Calls that may be paid for; whoever asks sets it.
        attempts: Those before the one that decided.
        why: What is special about the one that decided; None: nothing.
        is_shared: Another request asked the same at the same time, and its call is counted there.
    """

    most_calls: int = 1
    attempts: list[Attempt] = field(default_factory=list)
    why: str | None = None
    is_shared: bool = False


@dataclass(slots=True)
class CallFigures:
    """What a tier's calls do now, and what they have done since the start.

    Attributes:
        in_flight: Calls under way, those that were given up and have not returned included.
        waiting: Requests in the tier's queue.
        timeouts: Calls that took too long.
        retries: Calls that were made again after a failure.
        hedges: Calls that were made a second time because the first was slow.
        shared: Requests that were answered by the call of another one.
        replaced: Processes or threads that were given up and replaced.
        breaker: `closed`, `open` or `half_open`.
    """

    in_flight: int = 0
    waiting: int = 0
    timeouts: int = 0
    retries: int = 0
    hedges: int = 0
    shared: int = 0
    replaced: int = 0
    breaker: str = "closed"


class Calls(Protocol):
    """One tier, ready to be asked by many requests at once."""

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer.

        Args:
            request: What to ask; the tier may do with it as it likes.
            within_s: Seconds that it may take, with all of its attempts.
            told: Where to tell of attempts; without it there is one call at most.

        Raises:
            CallTimedOut: It took longer than `within_s` seconds.
            TierError: The tier raised, or what came back cannot be used.
            RequestError: The tier cannot read this request.
        """
        ...

    def is_full(self, *, within_s: float) -> bool:
        """Claim that a call made now would not be answered within `within_s` seconds."""
        ...

    def figures(self) -> CallFigures:
        """Say what is going on."""
        ...

    def close(self) -> None:
        """Take no more calls."""
        ...


class TierCalls(Calls, Protocol):
    """All that guards the calls of one tier, from the outside.

    Attributes:
        base: How one call is made.
        most_calls: Calls that one request may cost.
        tells: There may be something to tell beside an answer.
    """

    base: Calls
    most_calls: int
    tells: bool


def raised(tier: Tier, error: BaseException) -> TierError:
    """Blame a tier for what it raised."""
    text = str(error)[:LONGEST_TEXT]
    return TierError(f"tier {tier.name!r} raised {type(error).__name__}", found=text or None)


def cost_of_failure(tier: Tier, error: FeasibleError | None) -> float | None:
    """Give what a call without an answer cost. Dollars; None when nobody knows.

    Whether a call that failed is billed, nobody tells us; one that costs nothing, or was never
    sent, is free.

    Args:
        tier: Who was asked.
        error: How it failed; None when it was called off.
    """
    if tier.worst_usd_per_call == 0:
        return 0.0
    is_unsent = isinstance(error, TierUnavailable) and not error.was_sent
    has_waited = isinstance(error, CallTimedOut) and error.waited
    return 0.0 if is_unsent or has_waited else None


def words_of(error: FeasibleError) -> str:
    """Give an error in one line, as a path shows it."""
    text = error.message if error.found is None else f"{error.message}: {error.found}"
    return text[:LONGEST_TEXT]
