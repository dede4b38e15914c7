"""What a tier is and what a call of it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from feasible.schema import Answer, Example, Request, TierKind, TierSpec

__all__ = [
    "AsyncTier",
    "CallPrice",
    "FittableTier",
    "RememberingTier",
    "Tier",
    "Weights",
    "call_price",
]

Weights: TypeAlias = Callable[[str], Path]
"""Gives the folder of prepared weights by name, for example `feasible.registry.weights`."""


@runtime_checkable
class Tier(Protocol):
    """Anything that answers requests, with its price."""

    @property
    def name(self) -> str:
        """Give the name that plans and reports use."""
        ...

    @property
    def kind(self) -> TierKind:
        """Give what kind of thing answers."""
        ...

    @property
    def simulated(self) -> bool:
        """Claim that the answers are made up; they never enter a quality certificate."""
        ...

    @property
    def usd_per_call(self) -> float | None:
        """Give the dollars of a typical call; None when unknown."""
        ...

    @property
    def worst_usd_per_call(self) -> float | None:
        """Give the most dollars that one call can cost; None when no limit is known."""
        ...

    @property
    def version(self) -> str:
        """Give a hash that changes when answers may change; certificates expire with it."""
        ...

    def answer(self, batch: Sequence[Request]) -> Sequence[Answer]:
        """Answer a batch of any size, one answer per request, in order."""
        ...


@runtime_checkable
class AsyncTier(Tier, Protocol):
    """A tier that waits for something and can be cancelled while it waits."""

    async def answer_async(self, request: Request, *, timeout_s: float) -> Answer:
        """Answer one request within `timeout_s` seconds.

        Raises:
            TierError: It failed or took longer.
        """
        ...


@runtime_checkable
class FittableTier(Tier, Protocol):
    """A tier that learns from labelled rows."""

    def fit(self, examples: Sequence[Example], *, seed: int) -> None:
        """Learn from rows; the same rows and seed give the same answers."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was learnt into a folder."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        ...

    def blank(self) -> FittableTier:
        """Give an unfitted copy with the same settings."""
        ...


@runtime_checkable
class RememberingTier(Tier, Protocol):
    """A cache: it answers what it was told before."""

    def remember(self, request: Request, value: Any, score: float | None) -> None:
        """Keep an accepted answer and the calibrated probability it was accepted with."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


@dataclass(frozen=True, slots=True)
class CallPrice:
    """What one call costs.

    Attributes:
        usd: Dollars of a typical call; None when unknown.
        worst_usd: Most dollars of one call; None when unknown.
    """

    usd: float | None
    worst_usd: float | None


def call_price(spec: TierSpec) -> CallPrice:
    """Give the price that a brief declares for one call: middle and end of its range.

    An hourly price (`usd_hour`) is not a price of a call and is left out.

    Examples:
        >>> from feasible.units import Usd
        >>> call_price(TierSpec(name="llm", kind=TierKind.LLM, usd=Usd("$0.004")))
        CallPrice(usd=0.004, worst_usd=0.004)
        >>> call_price(TierSpec(name="llm", kind=TierKind.LLM)).usd is None
        True
    """
    if spec.usd is None:
        return CallPrice(None, None)
    return CallPrice(spec.usd.mid, spec.usd.high)
