"""The headroom of a service, from its ledger: whichever process decided, whichever plan is live."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from feasible.ledger import Ledger, LedgerPosition
from feasible.schema import HeadroomRow, Plan

if TYPE_CHECKING:
    from feasible.feedback.headroom import HeadroomTracker

__all__ = ["Following"]

_MOST: Final = 100_000
"""Decisions that a tracker remembers; older ones that were not seen yet need not be read."""
_PAGE: Final = 1000


class Following:
    """Reads what was written since it last looked, then says how each promise stands.

    It may be asked from any thread, one at a time.

    Args:
        ledger: Where all processes of a service write.
        plan: Gives the plan that is live.
        tracker: Makes an empty tracker for a plan.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        plan: Callable[[], Plan],
        tracker: Callable[[Plan], HeadroomTracker],
    ) -> None:
        self._ledger = ledger
        self._plan = plan
        self._make = tracker
        self._of: str | None = None
        self._tracker: HeadroomTracker | None = None
        self._seen = LedgerPosition()
        self._guard = threading.Lock()

    def rows(self) -> list[HeadroomRow]:
        """Say how every objective of the live plan stands, in the order of the brief."""
        with self._guard:
            plan = self._plan()
            if self._tracker is None or self._of != plan.id:
                self._tracker, self._of, self._seen = self._make(plan), plan.id, LedgerPosition()
            self._catch_up(self._tracker, plan.id)
            return self._tracker.rows()

    def _catch_up(self, tracker: HeadroomTracker, plan: str) -> None:
        first = self._ledger.counts().decisions - _MOST
        seen = LedgerPosition(max(self._seen.decision, first), self._seen.label)
        while True:
            news = self._ledger.news(seen, plan=plan, most=_PAGE)
            for decision in news.decisions:
                tracker.add_decision(decision)
            for label in news.labels:
                tracker.add_label(label)
            if news.position == seen:
                break
            seen = news.position
        self._seen = seen
