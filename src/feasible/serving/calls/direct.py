"""For what answers at once from memory: no thread, no wait."""

from __future__ import annotations

from feasible.schema import Answer, Request
from feasible.serving.calls.base import CallFigures, Told
from feasible.tiers import Tier, as_json, checked_answers

__all__ = ["DirectCalls"]


class DirectCalls:
    """For what answers at once from memory: no thread, no wait.

    Args:
        tier: Whom to ask.
        labels: The closed set of answers.
    """

    def __init__(self, tier: Tier, *, labels: frozenset[str] | None) -> None:
        self._tier = tier
        self._labels = labels

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer."""
        del within_s, told
        return self.now(request)

    def now(self, request: Request) -> Answer:
        """Give one answer at once; raises as `ask`."""
        answer = checked_answers(self._tier, [request], labels=self._labels)[0]
        return as_json(self._tier, answer)

    def is_full(self, *, within_s: float) -> bool:
        """Claim nothing: memory is never full."""
        del within_s
        return False

    def figures(self) -> CallFigures:
        """Say that nothing waits."""
        return CallFigures()

    def close(self) -> None:
        """Hold nothing that could be let go."""
