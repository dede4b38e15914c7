"""Which engine runs a design: the sweep where nothing feeds back, else the calendar."""

from __future__ import annotations

from feasible.simulation.design import Design
from feasible.simulation.draws import draw
from feasible.simulation.event_calendar import run_calendar
from feasible.simulation.moves import Moves
from feasible.simulation.outcome import Outcome
from feasible.simulation.sweep import feedback_of, sweep

__all__ = ["run"]


def run(design: Design, n: int, *, seed: int, moves: Moves | None = None) -> Outcome:
    """Run n requests through a design.

    Args:
        design: What is simulated.
        n: Requests. Count.
        seed: Makes it repeatable, and comparable with other designs of the same seed.
        moves: The rows' moves, when another run of the same policy and cases has asked for them.
    """
    draws = draw(design, n, seed=seed)
    if feedback_of(design):
        return run_calendar(design, draws, moves=moves)
    return sweep(design, draws)
