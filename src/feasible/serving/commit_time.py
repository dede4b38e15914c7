"""How long the ledger's commit takes, learnt from the commits that were."""

from __future__ import annotations

from typing import Final

__all__ = ["CommitTime"]

_AT_LEAST_S: Final = 0.025


class CommitTime:
    """How long a commit takes, and how much time to keep back for one.

    Source:
        The estimator of RFC 6298: a smoothed mean and four smoothed deviations, so that one slow
        commit is forgotten within some twenty others.
    """

    def __init__(self) -> None:
        self.last_s = 0.0
        self._mean_s: float | None = None
        self._deviation_s = 0.0

    @property
    def needs_s(self) -> float:
        """Give the time to keep back. Seconds."""
        return max(_AT_LEAST_S, (self._mean_s or 0.0) + 4 * self._deviation_s)

    def note(self, took_s: float) -> None:
        """Learn from a commit."""
        self.last_s = took_s
        if self._mean_s is None:
            self._mean_s, self._deviation_s = took_s, took_s / 2
            return
        self._deviation_s += (abs(took_s - self._mean_s) - self._deviation_s) / 4
        self._mean_s += (took_s - self._mean_s) / 8
