"""Results as text: tables for a terminal, from other rooms' records. No logic of its own."""

from feasible.report.headroom import headroom_table
from feasible.report.outlook import (
    check_text,
    evidence_text,
    left_out_lines,
    sensitivity_table,
    shadow_lines,
    timeline_table,
    value_table,
)
from feasible.report.planned import plan_parts
from feasible.report.reviewed_page import reviewed_page
from feasible.report.sarif import review_sarif
from feasible.report.simulated import (
    comparison_of_loads,
    simulated_parts,
    simulated_sentence,
)
from feasible.report.simulated_page import simulated_page
from feasible.report.story import design_document, story
from feasible.report.terminal import (
    backtest_table,
    brief_panel,
    certificate_table,
    comparison_table,
    frontier_table,
    infeasible_panel,
    plan_table,
    rows_line,
)
from feasible.report.watched import watched_page, watched_parts

__all__ = [
    "backtest_table",
    "brief_panel",
    "certificate_table",
    "check_text",
    "comparison_of_loads",
    "comparison_table",
    "design_document",
    "evidence_text",
    "frontier_table",
    "headroom_table",
    "infeasible_panel",
    "left_out_lines",
    "plan_parts",
    "plan_table",
    "review_sarif",
    "reviewed_page",
    "rows_line",
    "sensitivity_table",
    "shadow_lines",
    "simulated_page",
    "simulated_parts",
    "simulated_sentence",
    "story",
    "timeline_table",
    "value_table",
    "watched_page",
    "watched_parts",
]
