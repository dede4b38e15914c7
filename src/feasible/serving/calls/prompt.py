"""For rules that only look for words: answered where they are asked, unless a text is long."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from feasible.schema import Answer, Request
from feasible.serving.calls.base import Told
from feasible.serving.calls.batched import BatchedCalls
from feasible.serving.calls.direct import DirectCalls

__all__ = ["PromptCalls"]

_LONGEST_TEXT: Final = 4_000
"""Characters; a search through so many takes some 20 us for each expression."""


class PromptCalls:
    """Asks at once what takes microseconds, and on a thread what may take longer.

    A thread costs a request two changes between threads, some 12 us, many times what such rules do.

    Args:
        direct: For short texts.
        batched: For long ones.
        fields: What is searched of a request, in time that grows with its length.
    """

    def __init__(
        self, direct: DirectCalls, batched: BatchedCalls, *, fields: AbstractSet[str]
    ) -> None:
        self._now = direct.now
        self._batched = batched.ask
        self._fields = tuple(fields)
        self.is_full = batched.is_full
        self.figures = batched.figures
        self.close = batched.close

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer."""
        for field in self._fields:
            text = request.get(field)
            if isinstance(text, str) and len(text) > _LONGEST_TEXT:
                return await self._batched(request, within_s=within_s, told=told)
        return self._now(request)
