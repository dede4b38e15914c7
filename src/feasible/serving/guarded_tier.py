"""A tier with what guards it, and which tiers may not be asked now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from feasible.cascade import Step, longest_ms
from feasible.schema import Plan, TierKind
from feasible.serving.breaker import Breaker
from feasible.serving.calls import TierCalls
from feasible.tiers import Tier

__all__ = ["NO_TIERS", "BlockedTiers", "GuardedTier", "dear_tiers"]

NO_TIERS: Final = frozenset[str]()


@dataclass(slots=True)
class GuardedTier:
    """One tier with what guards it.

    Attributes:
        tier: Whom to ask.
        calls: How it is asked.
        breaker: Whether it is asked; its calls tell it how they ended.
        step: How long it may take.
        is_prompt: It answers where it is asked, or waits for nothing but a thread.
    """

    tier: Tier
    calls: TierCalls
    breaker: Breaker
    step: Step
    is_prompt: bool


class BlockedTiers(AbstractSet[str]):
    """The tiers that would not answer in the time that is left; each is looked at when asked about.

    A walk mostly ends at its first tier: looking at every tier at every step took 12 us of 100.

    Args:
        tiers: Every tier by name.
        left_ms: Time that is left; None without a deadline.
        shed: Tiers that are passed over while the service is under pressure.
    """

    __slots__ = ("_left_ms", "_shed", "_tiers")

    def __init__(
        self, tiers: Mapping[str, GuardedTier], left_ms: float | None, shed: AbstractSet[str]
    ) -> None:
        self._tiers = tiers
        self._left_ms = left_ms
        self._shed = shed

    def __contains__(self, name: object) -> bool:
        if name in self._shed:
            return True
        held = self._tiers[str(name)]
        within_s = longest_ms(held.step, self._left_ms) / 1e3
        return held.breaker.is_open or held.calls.is_full(within_s=within_s)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._tiers if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def dear_tiers(plan: Plan, tiers: Mapping[str, Tier]) -> frozenset[str]:
    """Name the tiers to pass over first when there is too much to do.

    These are all that answer by machine, but caches and the one that is cheapest: by the worst that
    a call may cost, and for the same money by the time that it typically takes.

    Args:
        plan: Says how long tiers take.
        tiers: Those of the plan and its fallbacks.
    """
    typical_ms = {step.name: step.latency_p50_ms for step in plan.tiers}
    unknown = float("inf")

    def price(name: str) -> tuple[float, float]:
        usd, ms = tiers[name].worst_usd_per_call, typical_ms.get(name)
        return unknown if usd is None else usd, unknown if ms is None else ms

    machines = [
        step.name
        for step in plan.tiers
        if tiers[step.name].kind not in {TierKind.CACHE, TierKind.PERSON}
    ]
    return frozenset(machines) - {min(machines, key=price, default="")}
