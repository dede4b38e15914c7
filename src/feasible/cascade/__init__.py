"""The policy as a table, with a scalar and an array evaluator side by side.

Planning, simulation and serving call these and nothing else to decide what happens to a case. This
room never calls a tier, reads a clock or does I/O.
"""

from feasible.cascade.policy import Policy, Step, calibrate, calibrate_all
from feasible.cascade.routing import Ask, Fallback, Finish, Move, Seen, State, route
from feasible.cascade.rows import FELL_BACK, Routed, Table, route_rows, table_of

__all__ = [
    "FELL_BACK",
    "Ask",
    "Fallback",
    "Finish",
    "Move",
    "Policy",
    "Routed",
    "Seen",
    "State",
    "Step",
    "Table",
    "calibrate",
    "calibrate_all",
    "route",
    "route_rows",
    "table_of",
]
