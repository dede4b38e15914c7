"""The findings of a review as SARIF 2.1.0, so that a pull request shows them in place."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Final

from feasible.rubric import Finding, Review, Risk

__all__ = ["review_sarif"]

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {Risk.HIGH: "error", Risk.MEDIUM: "warning", Risk.LOW: "note"}


def review_sarif(review: Review, *, uri: str) -> dict[str, Any]:
    """Give the findings of a review as one SARIF run.

    Args:
        review: The review.
        uri: Path of the brief in its repository.

    Source:
        OASIS, Static Analysis Results Interchange Format 2.1.0.
    """
    rules = sorted({finding.id for finding in review.findings})
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "Feasible", "rules": [{"id": rule} for rule in rules]}},
                "results": [_result(finding, rules, uri) for finding in review.findings],
            }
        ],
    }


def _result(finding: Finding, rules: list[str], uri: str) -> dict[str, Any]:
    file, _, line = finding.where.rpartition(":")
    place = PurePosixPath(uri).with_name(file).as_posix()
    waived = {"kind": "external", "justification": finding.waived}
    suppressed = {} if finding.waived is None else {"suppressions": [waived]}
    return suppressed | {
        "ruleId": finding.id,
        "ruleIndex": rules.index(finding.id),
        "level": _LEVELS[finding.risk],
        "message": {"text": f"{finding.why}. Instead: {finding.fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": place},
                    "region": {"startLine": max(int(line), 1)},
                }
            }
        ],
    }
