"""How full the service is: when dear tiers are passed over, and when requests are refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from feasible.serving.problems import UNAVAILABLE, Refused

__all__ = ["MOST_IN_FLIGHT", "Pressure"]

MOST_IN_FLIGHT: Final = 1024
_HIGH: Final = 0.5
"""Share of the requests that may be in flight from which dear tiers are passed over."""
_WINDOW_S: Final = 1.0
_LONGEST_WINDOW_S: Final = 10.0
_LONGEST_WAIT_S: Final = 60.0


class Pressure:
    """Compares the requests in flight with what the service may hold.

    Args:
        in_flight: Gives the requests that are being answered.
        most: Requests answered at once; more are refused. From half of them on, dear tiers are
            passed over.
        clock: Gives monotonic seconds.
    """

    def __init__(
        self,
        in_flight: Callable[[], int],
        *,
        most: int = MOST_IN_FLIGHT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._in_flight = in_flight
        self.most = most
        self.high_mark = max(1, int(most * _HIGH))
        self._clock = clock
        self.answered = 0
        """Requests that were answered; whoever answers one adds it."""
        self._seen = (clock(), 0)
        self._per_s: float | None = None

    def check(self) -> None:
        """Refuse one more request when the service is full.

        Raises:
            Refused: It is, with the time after which it should be no more.
        """
        if self._in_flight() >= self.most:
            raise self.refusal(self.most)

    def refusal(self, most: int) -> Refused:
        """Give what a request is told that finds more than so many in flight."""
        return Refused(
            "too many requests are being answered",
            status=UNAVAILABLE,
            asked=f"at most {most:,} at once",
            found=f"{self._in_flight():,} in flight",
            attempt="send it again after the time in Retry-After",
            retry_after_s=self.wait_s(),
        )

    def wait_s(self) -> float:
        """Give the seconds until the service should be down to its mark, by its speed of late."""
        since_s, before = self._seen
        now_s = self._clock()
        if now_s - since_s >= _WINDOW_S:
            is_of_late = now_s - since_s < _LONGEST_WINDOW_S
            self._per_s = (self.answered - before) / (now_s - since_s) if is_of_late else None
            self._seen = (now_s, self.answered)
        if not self._per_s:
            return 1.0 if self._per_s is None else _LONGEST_WAIT_S
        return min((self._in_flight() - self.high_mark + 1) / self._per_s, _LONGEST_WAIT_S)
