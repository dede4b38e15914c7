"""The page about the review names every criterion and every finding that the code can make."""

from __future__ import annotations

import re
from pathlib import Path

from feasible.rubric import Risk, Verdict, review
from feasible.schema import parse_brief

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/review.md").read_text(encoding="utf-8")
HEALTHY = (ROOT / "tests/scenarios/broken_briefs/healthy.yaml").read_text(encoding="utf-8")


def _rows(heading: str) -> list[list[str]]:
    """Give the cells of the table under a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if re.match(r"\| \w", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_every_finding_has_a_row() -> None:
    """An id that the code gives stands in the table, and no other does."""
    made = set()
    for file in (ROOT / "src/feasible/rubric").glob("*.py"):
        made |= set(re.findall(r'"([AR]\d+)"', file.read_text(encoding="utf-8")))

    told = {name for row in _rows("Findings") for name in row[0].split(", ")}

    assert told == made


def test_the_points_are_those_of_the_code() -> None:
    """Title, points that a brief can show, and points in all."""
    criteria = review(parse_brief(HEALTHY)).criteria

    told = [row[:4] for row in _rows("Points")]

    assert told == [[c.id, c.title, str(c.checkable), str(c.max)] for c in criteria]
    assert f"of which a brief alone can show {sum(c.checkable for c in criteria)}." in PAGE


def test_every_risk_and_verdict_is_explained() -> None:
    """One word each, as the code says it."""
    for word in (*Risk, *(f"`{verdict}`" for verdict in Verdict)):
        assert f"| {word} |" in PAGE
