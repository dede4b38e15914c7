"""Load and faults on a virtual clock: what breaks first, and when.

Two exact engines, a sweep for cascades in which nothing feeds back and a calendar for any, ask the
same policy as planning and serving. This room never calls a tier and never waits: its clock is a
number.
"""

from feasible.simulation.arrivals import Arrivals, Spike
from feasible.simulation.asked import Asked
from feasible.simulation.breakpoint import breakpoints
from feasible.simulation.costs import cost_lines
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
from feasible.simulation.disturbance import broken_since, with_outage
from feasible.simulation.draws import Draws, draw
from feasible.simulation.engine import run
from feasible.simulation.event_calendar import run_calendar
from feasible.simulation.from_brief import promises_of, unsimulated
from feasible.simulation.from_plan import asked_policy, design_of
from feasible.simulation.headroom import crossing
from feasible.simulation.knobs import knob_typed, knobs_of, turned
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
from feasible.simulation.records import (
    Binding,
    CurvePoint,
    FaultTolerance,
    PromiseLine,
    Regime,
    Simulated,
    TornadoBar,
    Window,
)
from feasible.simulation.regimes import regimes
from feasible.simulation.scenario import KINDS, Scenario
from feasible.simulation.scenario_file import named_scenario
from feasible.simulation.scenarios import simulated
from feasible.simulation.screen import screen
from feasible.simulation.sheet import Input, Values, drawn, middles, sheet
from feasible.simulation.stated import stated_design
from feasible.simulation.sweep import feedback_of, sweep
from feasible.simulation.synthetic import declared_cases
from feasible.simulation.uncertain import Uncertain, uncertain_of

__all__ = [
    "CACHED",
    "FELL_BACK",
    "KINDS",
    "NOBODY",
    "Arrivals",
    "Asked",
    "Batching",
    "Binding",
    "Breaking",
    "CacheFront",
    "Cases",
    "CurvePoint",
    "Design",
    "Draws",
    "FaultTolerance",
    "Input",
    "Misses",
    "Moves",
    "Outage",
    "Outcome",
    "People",
    "Promise",
    "PromiseLine",
    "Quota",
    "Regime",
    "Retrying",
    "Scaling",
    "Scenario",
    "Service",
    "Simulated",
    "Spike",
    "TierLoad",
    "TierUse",
    "Tokens",
    "TornadoBar",
    "Uncertain",
    "Values",
    "Window",
    "answered_share",
    "asked_policy",
    "breakpoints",
    "broken_since",
    "cost_each",
    "cost_lines",
    "crossing",
    "declared_cases",
    "design_of",
    "draw",
    "drawn",
    "feedback_of",
    "knob_typed",
    "knobs_of",
    "latency",
    "middles",
    "named_scenario",
    "promises_of",
    "quality",
    "regimes",
    "run",
    "run_calendar",
    "screen",
    "share_of",
    "sheet",
    "simulated",
    "stated_design",
    "sweep",
    "turned",
    "uncertain_of",
    "unsimulated",
    "with_outage",
]
