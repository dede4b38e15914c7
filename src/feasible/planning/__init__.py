"""Fit tiers and thresholds so that the brief holds, and say how sure we are.

This room never sees the task: per row and tier it sees a bounded loss, a score, a latency and a
cost. It never serves, and the rows that certify are touched once.
"""

from feasible.planning.after import explained
from feasible.planning.agreement import agreed
from feasible.planning.backtest import backtest
from feasible.planning.before import plan_brief, too_few_labels
from feasible.planning.checks import check_promises
from feasible.planning.constraints import Constraint, Exits, percentile_of
from feasible.planning.evidence import minimum_evidence
from feasible.planning.exit_losses import exit_losses
from feasible.planning.expiry import check_plan, expired_versions
from feasible.planning.formats import FormatComparison, compare_formats, formats_of
from feasible.planning.joint import person_ms, within_ms
from feasible.planning.planner import plan_profile
from feasible.planning.profile_file import read_profile, write_profile
from feasible.planning.profiling import ProfiledTiers, hourly_prices, profile_tiers
from feasible.planning.splits import Split, split_rows
from feasible.planning.traffic_mix import mix_weights
from feasible.planning.value import marginal_usd, require_worth
from feasible.planning.yardstick import constraints

__all__ = [
    "Constraint",
    "Exits",
    "FormatComparison",
    "ProfiledTiers",
    "Split",
    "agreed",
    "backtest",
    "check_plan",
    "check_promises",
    "compare_formats",
    "constraints",
    "exit_losses",
    "expired_versions",
    "explained",
    "formats_of",
    "hourly_prices",
    "marginal_usd",
    "minimum_evidence",
    "mix_weights",
    "percentile_of",
    "person_ms",
    "plan_brief",
    "plan_profile",
    "profile_tiers",
    "read_profile",
    "require_worth",
    "split_rows",
    "too_few_labels",
    "within_ms",
    "write_profile",
]
