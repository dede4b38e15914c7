"""How many calls a tier that waits for its answers has under way, and how many may wait for a turn.

One rule for the service and for its simulation.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["MOST_AWAITED", "QUEUE_SHARE", "in_flight", "most_waiting"]

MOST_AWAITED: Final = 6
"""What is in flight when a provider stops answering is slow, whatever is done about it afterwards:
a tier of which nobody says how much it is asked costs about 6 slow requests an outage, and two
trials in a minute."""
QUEUE_SHARE: Final = 0.25
"""Most of its time that a request waits for its turn. What waits when an outage begins is late by
no more than that."""
_QUEUE_SAFETY: Final = 2.0
"""The queue may take half of that: what a call takes is a mean, and varies."""


def in_flight(arrivals_per_s: float | None, takes_s: float | None) -> int:
    """Give how many calls are in flight at once, most of the time; 0 when nobody knows.

    Args:
        arrivals_per_s: Calls that begin each second.
        takes_s: Seconds that a call takes.

    Source:
        Little (1961) for the mean; three deviations of a Poisson count above it.

    Examples:
        >>> in_flight(50, 0.5), in_flight(None, 0.5)
        (40, 0)
    """
    if arrivals_per_s is None or takes_s is None:
        return 0
    mean = arrivals_per_s * takes_s
    return math.ceil(mean + 3 * math.sqrt(mean))


def most_waiting(slots: int, takes_s: float, within_s: float) -> int:
    """Give how many calls may wait for a turn so that the last of them is still helped.

    Args:
        slots: Calls under way at once.
        takes_s: Seconds of a call, on average; above 0.
        within_s: Seconds that a request has.

    Examples:
        >>> most_waiting(16, 1.0, 4.0)
        8
    """
    return int(QUEUE_SHARE * within_s * slots / (_QUEUE_SAFETY * takes_s))
