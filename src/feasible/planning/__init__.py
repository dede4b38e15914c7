"""Fit tiers and thresholds so that the brief holds, and say how sure we are.

This room never sees the task: per row and tier it sees a bounded loss, a score, a latency and a
cost. It never serves, and the rows that certify are touched once.
"""

from feasible.planning.backtest import backtest
from feasible.planning.constraints import Constraint, Exits, constraints, mix_weights, percentile_of
from feasible.planning.evidence import minimum_evidence
from feasible.planning.planner import plan_profile
from feasible.planning.profile_file import read_profile, write_profile
from feasible.planning.profiling import ProfiledTiers, profile_tiers

__all__ = [
    "Constraint",
    "Exits",
    "ProfiledTiers",
    "backtest",
    "constraints",
    "minimum_evidence",
    "mix_weights",
    "percentile_of",
    "plan_profile",
    "profile_tiers",
    "read_profile",
    "write_profile",
]
