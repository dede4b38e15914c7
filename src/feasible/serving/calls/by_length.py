"""For rules whose time grows with the square of a text: long texts are searched in a process."""

from __future__ import annotations

import dataclasses
from collections.abc import Set as AbstractSet
from typing import Final

from feasible.schema import Answer, Request
from feasible.serving.calls.base import CallFigures, Calls, Told

__all__ = ["CallsByLength"]

_LONGEST_TEXT: Final = 2_000
"""Characters; the square of so many takes some 5 ms for each expression, during which nothing else
runs in the service. The longest text that is taken would take seconds."""


class CallsByLength:
    """Asks here for short texts, and elsewhere for long ones.

    Args:
        short: Asked in this process.
        long: Asked in processes of their own, which start at the first long text.
        fields: What is searched of a request.
    """

    def __init__(self, short: Calls, long: Calls, *, fields: AbstractSet[str]) -> None:
        self._short = short
        self._long = long
        self._fields = tuple(fields)
        self.is_full = short.is_full

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer."""
        for field in self._fields:
            text = request.get(field)
            if isinstance(text, str) and len(text) > _LONGEST_TEXT:
                return await self._long.ask(request, within_s=within_s, told=told)
        return await self._short.ask(request, within_s=within_s, told=told)

    def figures(self) -> CallFigures:
        """Say what is going on in both places."""
        here, there = self._short.figures(), self._long.figures()
        return dataclasses.replace(
            here,
            in_flight=here.in_flight + there.in_flight,
            waiting=here.waiting + there.waiting,
            replaced=here.replaced + there.replaced,
        )

    def close(self) -> None:
        """Let threads and processes go."""
        self._short.close()
        self._long.close()
