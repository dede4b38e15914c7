"""One decision for one idempotency key, whichever process the request and its repeats come to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from feasible.clock import Clock
from feasible.errors import StateError
from feasible.ledger import Ledger
from feasible.schema import Decision
from feasible.serving.problems import CONFLICT, Refused
from feasible.state import State, Taken

__all__ = ["KeyClaims"]

_WITHOUT_DEADLINE_S: Final = 30.0
_MARGIN_S: Final = 5.0
"""How long a decision that is made may take to be on record."""
_FIRST_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.05


class KeyClaims:
    """Lets one process work on a key while the others wait for its decision.

    Args:
        state: Where keys are claimed.
        ledger: Where the other process's decision will be.
        clock: Where time comes from.
    """

    def __init__(self, state: State, ledger: Ledger, clock: Clock) -> None:
        self._state = state
        self._ledger = ledger
        self._clock = clock

    @asynccontextmanager
    async def turn(self, key: str, *, until_s: float | None) -> AsyncIterator[Decision | None]:
        """Claim a key, or wait for the decision of whoever holds it.

        A claim ends with its holder's decision, or with its lease when the holder died.

        Args:
            key: The key.
            until_s: Monotonic time until which to wait; None: half a minute.

        Yields:
            None when it is ours to decide; else the decision that was made meanwhile.

        Raises:
            Refused: It is still under way elsewhere: 409, with the time after which to ask again.
            StateError: Nobody can tell whether it is.
        """
        now_s = self._clock.monotonic()
        until_s = now_s + _WITHOUT_DEADLINE_S if until_s is None else until_s
        pause_s = _FIRST_PAUSE_S
        while True:
            lease_s = max(0.0, until_s - self._clock.monotonic()) + _MARGIN_S
            claim = self._state.claim(key, lease_s=lease_s)
            if not isinstance(claim, Taken):
                break
            found = self._ledger.decision_by_key(key)
            if found is not None:
                yield found
                return
            if self._clock.monotonic() + pause_s > until_s:
                raise _under_way(key, claim.left_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        try:
            # Looked up after the claim: whoever held it before may have decided since.
            yield self._ledger.decision_by_key(key)
        finally:
            with suppress(StateError):  # a decision that stands is told; the lease ends by itself
                self._state.release(claim)


def _under_way(key: str, left_s: float) -> Refused:
    return Refused(
        f"a request with the idempotency key {key!r} is still being decided",
        status=CONFLICT,
        found="it came before this one, and its decision is not there yet",
        attempt="send the same request again after the time in Retry-After",
        retry_after_s=left_s,
    )
