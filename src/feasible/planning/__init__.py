"""Fit tiers and thresholds so that the brief holds, and say how sure we are.

This room never sees the task: per row and tier it sees a bounded loss, a score, a latency and a
cost. It never serves, and the rows that certify are touched once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from feasible.planning.after import explained
    from feasible.planning.agreement import agreed
    from feasible.planning.before import plan_brief, too_few_labels
    from feasible.planning.checks import check_promises
    from feasible.planning.constraint import Constraint, Exits, percentile_of
    from feasible.planning.evidence import minimum_evidence
    from feasible.planning.expiry import check_plan, expired_versions
    from feasible.planning.formats import FormatComparison, compare_formats, formats_of
    from feasible.planning.joint import person_ms, within_ms
    from feasible.planning.losses_asked import exit_losses
    from feasible.planning.planner import plan_profile
    from feasible.planning.profile_file import read_profile, write_profile
    from feasible.planning.profiling import ProfiledTiers, hourly_prices, profile_tiers
    from feasible.planning.replay import backtest
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

# Memory and start-up time: a service asks this room whether a certificate still stands, which takes
# nothing; planning brings pyarrow and scipy along, 80 MB.
_HOME: Final = {
    "Constraint": "constraint",
    "Exits": "constraint",
    "FormatComparison": "formats",
    "ProfiledTiers": "profiling",
    "Split": "splits",
    "agreed": "agreement",
    "backtest": "replay",
    "check_plan": "expiry",
    "check_promises": "checks",
    "compare_formats": "formats",
    "constraints": "yardstick",
    "exit_losses": "losses_asked",
    "expired_versions": "expiry",
    "explained": "after",
    "formats_of": "formats",
    "hourly_prices": "profiling",
    "marginal_usd": "value",
    "minimum_evidence": "evidence",
    "mix_weights": "traffic_mix",
    "percentile_of": "constraint",
    "person_ms": "joint",
    "plan_brief": "before",
    "plan_profile": "planner",
    "profile_tiers": "profiling",
    "read_profile": "profile_file",
    "require_worth": "value",
    "split_rows": "splits",
    "too_few_labels": "before",
    "within_ms": "joint",
    "write_profile": "profile_file",
}


def __getattr__(name: str) -> Any:
    """Load a name's file when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """List what the door offers."""
    return sorted(__all__)
