"""Load and faults on a virtual clock: what breaks first, and when.

Two exact engines, a sweep for cascades in which nothing feeds back and a calendar for any, ask the
same policy as planning and serving. This room never calls a tier and never waits: its clock is a
number.
"""

from feasible.simulation.arrivals import Arrivals, Spike
from feasible.simulation.design import (
    Batching,
    Breaking,
    CacheFront,
    Cases,
    Design,
    Misses,
    Outage,
    People,
    Quota,
    Retrying,
    Scaling,
    Service,
    TierLoad,
    Tokens,
)
from feasible.simulation.draws import Draws, draw
from feasible.simulation.engine import run
from feasible.simulation.event_calendar import run_calendar
from feasible.simulation.moves import Moves
from feasible.simulation.outcome import CACHED, FELL_BACK, NOBODY, Outcome, TierUse
from feasible.simulation.promises import (
    Promise,
    answered_share,
    cost_each,
    latency,
    quality,
    share_of,
)
from feasible.simulation.sweep import feedback_of, sweep
from feasible.simulation.synthetic import declared_cases

__all__ = [
    "CACHED",
    "FELL_BACK",
    "NOBODY",
    "Arrivals",
    "Batching",
    "Breaking",
    "CacheFront",
    "Cases",
    "Design",
    "Draws",
    "Misses",
    "Moves",
    "Outage",
    "Outcome",
    "People",
    "Promise",
    "Quota",
    "Retrying",
    "Scaling",
    "Service",
    "Spike",
    "TierLoad",
    "TierUse",
    "Tokens",
    "answered_share",
    "cost_each",
    "declared_cases",
    "draw",
    "feedback_of",
    "latency",
    "quality",
    "run",
    "run_calendar",
    "share_of",
    "sweep",
]
