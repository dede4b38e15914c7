"""The policy as a table, with a scalar and an array evaluator side by side.

Planning, simulation and serving call these and nothing else to decide what happens to a case. This
room never calls a tier, reads a clock or does I/O.
"""

from feasible.cascade.calibrate import calibrate, calibrate_all
from feasible.cascade.comparisons import reaches
from feasible.cascade.policy import Policy, Step
from feasible.cascade.posterior import (
    Heard,
    HeardAll,
    log_odds_all,
    logistic_all,
    posterior_all,
    term_of,
)
from feasible.cascade.router import foresee, foresee_all, words_of
from feasible.cascade.routing import Ask, Fallback, Finish, Move, Seen, State, route
from feasible.cascade.rows import (
    FELL_BACK,
    Passed,
    Routed,
    Table,
    accepted_all,
    entered_all,
    groups_of,
    judged_all,
    past_rows,
    route_rows,
    table_of,
    until_rows,
)
from feasible.cascade.timing import (
    FALLBACK_SHARE,
    Until,
    longest_ms,
    over,
    over_all,
    until_all,
    until_of,
)
from feasible.cascade.waiting import MOST_AWAITED, QUEUE_SHARE, in_flight, most_waiting

__all__ = [
    "FALLBACK_SHARE",
    "FELL_BACK",
    "MOST_AWAITED",
    "QUEUE_SHARE",
    "Ask",
    "Fallback",
    "Finish",
    "Heard",
    "HeardAll",
    "Move",
    "Passed",
    "Policy",
    "Routed",
    "Seen",
    "State",
    "Step",
    "Table",
    "Until",
    "accepted_all",
    "calibrate",
    "calibrate_all",
    "entered_all",
    "foresee",
    "foresee_all",
    "groups_of",
    "in_flight",
    "judged_all",
    "log_odds_all",
    "logistic_all",
    "longest_ms",
    "most_waiting",
    "over",
    "over_all",
    "past_rows",
    "posterior_all",
    "reaches",
    "route",
    "route_rows",
    "table_of",
    "term_of",
    "until_all",
    "until_of",
    "until_rows",
    "words_of",
]
