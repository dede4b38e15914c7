"""Each call under its tier's breaker, and counted."""

from __future__ import annotations

import dataclasses
from typing import Final

from feasible.errors import FeasibleError, RequestError, TierUnavailable
from feasible.schema import Answer, Request
from feasible.serving.breaker import Breaker
from feasible.serving.calls.base import CallFigures, Calls, CallTimedOut, Told

__all__ = ["GuardedCalls"]

_NEARLY: Final = 0.9
"""What is kept back for a fallback has shrunk a little by the time that it is called."""


class GuardedCalls:
    """Tells a breaker how each call ended: one that only waited, or was called off, says nothing.

    Args:
        inner: How the tier is called.
        breaker: The tier's.
        usual_s: Seconds that the plan leaves a call; one that was cut short by its caller before
            them says nothing either: else whoever asks with a deadline of nothing shuts the tier
            for everybody.
    """

    def __init__(self, inner: Calls, breaker: Breaker, *, usual_s: float = 0.0) -> None:
        self.base = inner
        self.most_calls = 1
        self.tells = False
        self._ask = inner.ask
        self._breaker = breaker
        self._least_s = _NEARLY * usual_s
        self._timeouts = 0
        self.is_full = inner.is_full
        self.close = inner.close

    async def ask(self, request: Request, *, within_s: float, told: Told | None = None) -> Answer:
        """Ask for one answer."""
        ticket = self._breaker.entered()
        try:
            answer = await self._ask(request, within_s=within_s, told=told)
        except FeasibleError as error:
            self._note(ticket, error, within_s)
            raise
        except BaseException:
            self._breaker.left(ticket)
            raise
        self._breaker.succeeded(ticket)
        return answer

    def _note(self, ticket: int, error: FeasibleError, within_s: float) -> None:
        if isinstance(error, RequestError):
            self._breaker.succeeded(ticket)
        elif isinstance(error, TierUnavailable):
            self._breaker.failed(ticket, retry_after_s=error.retry_after_s)
        elif not isinstance(error, CallTimedOut):
            self._breaker.failed(ticket)
        elif error.waited:
            self._breaker.left(ticket)
        else:
            self._timeouts += 1
            if within_s < self._least_s:
                self._breaker.left(ticket)
            elif error.counts:
                self._breaker.failed(ticket, hung=True)
            else:
                self._breaker.ended()

    def figures(self) -> CallFigures:
        """Say what is going on."""
        return dataclasses.replace(
            self.base.figures(), timeouts=self._timeouts, breaker=self._breaker.state
        )
