from __future__ import annotations

import asyncio

import pytest

from feasible.clock import SystemClock
from feasible.errors import LedgerError
from feasible.schema import Decision
from feasible.serving.claims import KeyClaims
from feasible.serving.problems import Refused
from feasible.state import MemoryState
from feasible.testing import MemoryLedger


class Unreadable(MemoryLedger):
    """A ledger that cannot be read now."""

    def decision_by_key(self, key: str) -> Decision | None:
        """Fail."""
        raise LedgerError("the ledger cannot be read", asked=key)


def turn(claims: KeyClaims) -> Decision | None:
    """Take a turn for a moment."""

    async def once() -> Decision | None:
        async with claims.turn("k", until_s=SystemClock().monotonic() + 0.02) as found:
            return found

    return asyncio.run(once())


def test_a_key_that_somebody_works_on_is_refused_until_it_is_let_go() -> None:
    """One process at a time; the other is told when to come again."""
    state = MemoryState()
    claims = KeyClaims(state, MemoryLedger(), SystemClock())
    held = state.claim("k", lease_s=60.0)

    with pytest.raises(Refused) as refused:
        turn(claims)
    state.release(held)  # type: ignore[arg-type]

    assert refused.value.status == 409
    assert refused.value.retry_after_s == pytest.approx(60.0, abs=5.0)
    assert turn(claims) is None


def test_a_key_is_let_go_when_the_ledger_cannot_be_read() -> None:
    """Nobody waits for the lease of a request that has failed."""
    state = MemoryState()

    with pytest.raises(LedgerError):
        turn(KeyClaims(state, Unreadable(), SystemClock()))

    assert turn(KeyClaims(state, MemoryLedger(), SystemClock())) is None
