"""A review as text and as Markdown says the same as its record."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from feasible.rubric import Review, review, review_markdown, review_text
from feasible.schema import load_brief

FOLDER = Path(__file__).parents[2] / "scenarios/broken_briefs"
ALL = sorted(FOLDER.glob("*.yaml"))


def judge(name: str) -> Review:
    """Review one of the briefs with a planted defect."""
    return review(load_brief(FOLDER / f"{name}.yaml"), today=date(2026, 11, 23))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_text_holds_every_finding_in_a_hundred_columns(path: Path) -> None:
    """Place, reason and mend; only a long name may stand out."""
    judged = judge(path.stem)

    text = review_text(judged)

    assert max(len(line) for line in text.splitlines()) <= 100
    flat = " ".join(text.split())
    for finding in judged.findings:
        assert finding.where in flat
        assert " ".join(finding.why.split()) in flat
        assert " ".join(finding.fix.split()) in flat


def test_the_total_says_what_a_brief_can_show() -> None:
    """Nobody reads 46 points as 46 of 100."""
    said = "44 of 46 points that can be checked (100 with plan and simulation)"

    assert said in review_text(judge("no_dollars_per_decision"))
    assert said in review_markdown(judge("no_dollars_per_decision"))


def test_a_criterion_that_was_not_checked_shows_no_number() -> None:
    """A dash and its maximum."""
    assert "- of 25  the right bottleneck" in review_text(judge("healthy"))


def test_without_findings_the_text_says_so() -> None:
    """An empty list could be a mistake."""
    assert "findings: none" in review_text(judge("healthy"))
    assert "No findings." in review_markdown(judge("healthy"))


def test_the_guess_is_called_what_it_is() -> None:
    """Closed forms over the brief's own numbers; nothing was measured."""
    for text in (review_text(judge("healthy")), review_markdown(judge("healthy"))):
        assert "closed forms over the brief's own numbers (nothing was measured)" in text


def test_the_markdown_tables_hold_together() -> None:
    """Every line of a table has the columns of its head."""
    widths: set[int] = set()
    for line in review_markdown(judge("no_peak")).splitlines():
        if line.startswith("|"):
            widths.add(line.replace("\\|", "").count("|"))
        elif widths:
            assert len(widths) == 1
            widths = set()
