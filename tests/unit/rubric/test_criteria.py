"""Points come from what stands in the brief, and from nothing else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from feasible.rubric import Criterion, review
from feasible.schema import parse_brief

HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")


def judge(text: str) -> dict[str, Criterion]:
    """Give the criteria of a brief by their id."""
    judged = review(parse_brief(text), today=date(2026, 11, 23), draws=10)
    return {criterion.id: criterion for criterion in judged.criteria}


def test_the_rubric_has_a_hundred_points_of_which_a_brief_can_show_46() -> None:
    """R5 and R6 take a plan and a simulation; R4, R7 and R8 in part."""
    criteria = judge(HEALTHY)

    assert {name: (c.checkable, c.max) for name, c in criteria.items()} == {
        "R1": (5, 5),
        "R2": (10, 10),
        "R3": (15, 15),
        "R4": (10, 15),
        "R5": (0, 25),
        "R6": (0, 20),
        "R7": (3, 5),
        "R8": (3, 5),
    }


def test_what_was_not_checked_has_no_points() -> None:
    """None, and not 0: nobody looked."""
    criteria = judge(HEALTHY)

    for name in ("R5", "R6"):
        assert not criteria[name].checked
        assert criteria[name].points is None
        assert "not checked" in criteria[name].evidence[0]


@pytest.mark.parametrize(
    ("written", "instead", "criterion", "points"),
    [
        ("  decision: whether a return is accepted, refused or looked at\n", "", "R1", 4),
        ("  error_usd: 4..12\n", "", "R1", 4),
        (", leads_to: answered_at_once_share", "", "R2", 6),
        ("kind: guardrail, at_most: 1 %", "kind: guardrail", "R2", 9),
        ("  - {name: wrong_refusals_share, kind: guardrail, at_most: 1 %}\n", "", "R2", 7),
        ("  target: 5\n", "", "R2", 8),
        ("  - {freshness: return_rules, at_most: 1 h}\n", "", "R3", 13),
        ("  - {throughput: peak, at_least: 80 / s}\n", "", "R3", 14),
        ("quality: recall, of: abuse, on: abuse", "quality: accuracy", "R3", 14),
        ("cost: mean, at_most: $0.005", "cost: day, at_most: $4000", "R3", 14),
        ("usd_month: $70", "usd_month: $90", "R4", 10),
        ("    when_stale: rules\n    keeps: [freshness_return_rules]\n", "", "R4", 9),
        (", fallback: rules}", "}", "R7", 2),
        (", detected_in: 20 s", "", "R7", 2),
        ("number: 300 ms against 340 min", "number: much", "R8", 2),
        ("got: an answer in 300 ms, number", "got: '', number", "R8", 2),
        (", objective: latency_p99}", "}", "R8", 2),
    ],
)
def test_each_point_hangs_on_one_statement(
    written: str, instead: str, criterion: str, points: int
) -> None:
    """Take the statement away and the points go."""
    assert written in HEALTHY
    text = HEALTHY.replace(written, instead, 1)
    for old, new in (("freshness_return_rules", ""), ("throughput_peak", "")):
        if old not in instead and f"{old.partition('_')[0]}: {old.partition('_')[2]}" not in text:
            text = text.replace(f", {old}]", "]").replace(f"[{old}]", f"[{new}]")
    text = _with_ids(text)

    assert judge(text)[criterion].points == points


def _with_ids(text: str) -> str:
    """Let `keeps` follow an objective that changed its id."""
    for gone, there in (
        ("recall_abuse", "accuracy" if "quality: accuracy" in text else "recall_abuse"),
        ("cost_mean", "cost_day" if "cost: day" in text else "cost_mean"),
    ):
        text = text.replace(f"[{gone}]", f"[{there}]")
    return text


def test_the_weakest_layer_is_named() -> None:
    """A design is as ready as that layer."""
    text = HEALTHY.replace("    keeps: [freshness_return_rules]\n", "", 1)

    assert "weakest layer: features, 1 of 2" in judge(text)["R4"].evidence


def test_the_chain_is_shown_as_it_runs() -> None:
    """From the model to the goal, in the order of `leads_to`."""
    (said,) = [line for line in judge(HEALTHY)["R2"].evidence if "chain" in line]

    assert said == "+4 chain: recall > answered_at_once_share > minutes_to_answer"


def test_metrics_that_lead_in_a_circle_reach_nothing() -> None:
    """And the walk ends."""
    text = HEALTHY.replace("leads_to: minutes_to_answer", "leads_to: recall")

    (said,) = [line for line in judge(text)["R2"].evidence if "chain" in line]
    assert said.startswith("+0 chain: recall, answered_at_once_share leads nowhere near")


@pytest.mark.parametrize(
    ("written", "instead", "finding", "risk", "line"),
    [
        ("  actor: shopper\n", "", "R1", "LOW", 4),
        ("actor: shopper", "actor: TBD", "R1", "LOW", 7),
        ("kind: guardrail, at_most: 1 %", "kind: guardrail", "R2", "LOW", 16),
        (", leads_to: minutes_to_answer", "", "R2", "MEDIUM", 14),
        ("  - {throughput: peak, at_least: 80 / s}\n", "", "R3", "LOW", 17),
        ("    keeps: [freshness_return_rules]\n", "", "R4", "LOW", 33),
        ("number: 300 ms against 340 min", "number: much", "R8", "LOW", 69),
        ("objective: latency_p99}", "objective: latency_p95}", "R8", "LOW", 69),
    ],
)
def test_a_point_that_is_lost_is_a_finding_at_its_place(
    written: str, instead: str, finding: str, risk: str, line: int
) -> None:
    """LOW for one point, MEDIUM for more."""
    assert written in HEALTHY
    text = HEALTHY.replace(written, instead)
    if "throughput" in written:
        text = text.replace("[latency_p99, throughput_peak]", "[latency_p99]")
        text = text.replace("objective: throughput_peak", "objective: latency_p99")

    found = review(parse_brief(text), today=date(2026, 11, 23), draws=10).findings

    lost = [(f.id, f.risk, f.where) for f in found if f.id == finding]
    assert lost == [(finding, risk, f"brief.yaml:{line}")]


def test_a_failure_that_states_too_little_is_found_beside_a_whole_one() -> None:
    """One whole failure earns the points; the other is worth knowing."""
    second = "failures:\n  - {component: cache, trigger: a restart, detected_in: 5 s}\n"

    (found,) = review(parse_brief(HEALTHY.replace("failures:\n", second))).findings

    assert (found.id, found.risk) == ("R7", "LOW")
    assert "`fallback:`" in found.fix


def test_a_layer_that_is_missing_is_graver_than_one_that_is_tied_to_nothing() -> None:
    """It loses both of its points."""
    start, end = HEALTHY.index("  features:\n"), HEALTHY.index("  tiers:\n")
    text = HEALTHY[:start] + HEALTHY[end:]

    (found,) = [f for f in review(parse_brief(text)).findings if f.id == "R4"]

    assert found.risk == "MEDIUM"
    assert "features: missing" in found.why
