"""The commands that have a file of their own, and what all commands share.

A command parses its arguments, calls `loop` or the service, and prints; nothing is decided here.
"""

from feasible.commands.console import (
    INFEASIBLE,
    NO_EVIDENCE,
    AsJson,
    FeatureName,
    Quiet,
    console,
    found_brief,
    open_feature,
    print_json,
    progress_bars,
)
from feasible.commands.diff import diff
from feasible.commands.keys import keys_app
from feasible.commands.ledger import ledger_app
from feasible.commands.plans import add_plan_commands
from feasible.commands.practice import practice
from feasible.commands.review import review
from feasible.commands.simulate import simulate
from feasible.commands.telling import add_story, explain
from feasible.commands.watch import watch

__all__ = [
    "INFEASIBLE",
    "NO_EVIDENCE",
    "AsJson",
    "FeatureName",
    "Quiet",
    "add_plan_commands",
    "add_story",
    "console",
    "diff",
    "explain",
    "found_brief",
    "keys_app",
    "ledger_app",
    "open_feature",
    "practice",
    "print_json",
    "progress_bars",
    "review",
    "simulate",
    "watch",
]
