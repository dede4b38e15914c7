"""A review as SARIF: every finding at its line, with its level."""

from __future__ import annotations

from datetime import date

from feasible.report import review_sarif
from feasible.rubric import review
from feasible.schema import parse_brief

TEXT = """\
feasible: 1
name: x
goal: {statement: x}
envelope:
  - {latency: mean, at_most: 1 s}
"""


def test_every_finding_is_a_result_at_its_line() -> None:
    """HIGH is an error, and each rule is declared once."""
    judged = review(parse_brief(TEXT), today=date(2026, 11, 23))

    (run,) = review_sarif(judged, uri="a/brief.yaml")["runs"]

    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    assert len(run["results"]) == len(judged.findings)
    for result, finding in zip(run["results"], judged.findings, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == finding.id
        place = result["locations"][0]["physicalLocation"]
        assert finding.where == f"brief.yaml:{place['region']['startLine']}"
        assert place["artifactLocation"]["uri"] == "a/brief.yaml"
    (mean,) = [r for r in run["results"] if r["ruleId"] == "A6"]
    assert mean["level"] == "error"
    assert mean["locations"][0]["physicalLocation"]["region"]["startLine"] == 5
