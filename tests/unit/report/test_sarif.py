"""A review as SARIF: every finding at its line, with its level."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from feasible.report import review_sarif
from feasible.rubric import Waiver, review
from feasible.schema import load_brief, parse_brief

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


SHAPES: dict[str, tuple[dict[str, type | tuple[type, ...]], set[str]]] = {
    "log": ({"$schema": str, "version": str, "runs": list}, {"version", "runs"}),
    "run": ({"tool": dict, "results": list}, {"tool"}),
    "tool": ({"driver": dict}, {"driver"}),
    "driver": ({"name": str, "rules": list}, {"name"}),
    "rule": ({"id": str}, {"id"}),
    "result": (
        {
            "ruleId": str,
            "ruleIndex": int,
            "level": str,
            "message": dict,
            "locations": list,
            "suppressions": list,
        },
        {"message"},
    ),
    "suppression": ({"kind": str, "justification": str}, {"kind"}),
    "message": ({"text": str}, {"text"}),
    "location": ({"physicalLocation": dict}, set()),
    "physicalLocation": ({"artifactLocation": dict, "region": dict}, {"artifactLocation"}),
    "artifactLocation": ({"uri": str}, set()),
    "region": ({"startLine": int}, {"startLine"}),
}
"""Objects of the standard that we write: the properties we use with their types, and the required.

Taken from the sections of the standard (3.13 to 3.30, 3.49, 3.52); every other property is refused
here, as the standard's schema refuses properties that it does not know.
"""


def _faults(name: str, part: object, at: str) -> list[str]:
    if not isinstance(part, dict):
        return [f"{at}: no object"]
    known, required = SHAPES[name]
    faults = [f"{at}: {key} is missing" for key in required - part.keys()]
    faults += [f"{at}: {key} is unknown" for key in part.keys() - known.keys()]
    for key, value in part.items():
        if key not in known:
            continue
        if not isinstance(value, known[key]) or isinstance(value, bool):
            faults.append(f"{at}.{key}: {value!r}")
        inner = key.removesuffix("s") if isinstance(value, list) else key
        if inner in SHAPES:
            parts = value if isinstance(value, list) else [value]
            for i, one in enumerate(parts):
                faults += _faults(inner, one, f"{at}.{key}[{i}]")
    return faults


BRIEFS = sorted((Path(__file__).parents[2] / "scenarios/broken_briefs").glob("*.yaml"))


@pytest.mark.parametrize("path", BRIEFS, ids=lambda path: path.stem)
def test_what_is_written_has_the_shape_of_the_standard(path: Path) -> None:
    """Required properties are there, none is unknown, values are of their kinds and ranges."""
    log = review_sarif(review(load_brief(path), today=date(2026, 11, 23)), uri="a/brief.yaml")

    assert _faults("log", log, "log") == []
    assert log["version"] == "2.1.0"
    for run in log["runs"]:
        rules = run["tool"]["driver"]["rules"]
        for result in run["results"]:
            assert result["level"] in {"none", "note", "warning", "error"}
            assert 0 <= result["ruleIndex"] < len(rules)
            assert result["message"]["text"]
            for location in result["locations"]:
                assert location["physicalLocation"]["region"]["startLine"] >= 1


def test_a_waived_finding_is_suppressed_with_its_reason() -> None:
    """So that it is shown as what it is, and in its place."""
    waiver = Waiver(finding="A6", reason="only the mean is paid for")
    judged = review(parse_brief(TEXT), waivers=(waiver,), today=date(2026, 11, 23))

    log = review_sarif(judged, uri="a/brief.yaml")

    assert _faults("log", log, "log") == []
    (mean,) = [r for r in log["runs"][0]["results"] if r["ruleId"] == "A6"]
    assert mean["suppressions"] == [{"kind": "external", "justification": waiver.reason}]


def test_the_shape_refuses_what_the_standard_refuses() -> None:
    """A missing tool, an unknown property and a line that is no number are faults."""
    wrong = {"version": "2.1.0", "runs": [{"tol": {}, "results": [{"message": {}}]}]}
    place = {"physicalLocation": {"artifactLocation": {}, "region": {"startLine": "5"}}}
    wrong["runs"][0]["results"][0]["locations"] = [place]  # type: ignore[index]

    found = " ".join(_faults("log", wrong, "log"))

    assert "tool is missing" in found
    assert "tol is unknown" in found
    assert "text is missing" in found
    assert "startLine: '5'" in found
