"""A review that was kept is compared with today's: points, findings that are closed and new."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from feasible.errors import BadInput
from feasible.rubric import keep_milestone, progress, progress_text, read_milestone, review
from feasible.schema import parse_brief

TODAY = date(2026, 11, 23)
HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")


def test_what_is_kept_is_read_again_and_compared(tmp_path: Path) -> None:
    """The actor and the peak were missing; now the actor is there, and a fallback is gone."""
    before = HEALTHY.replace("  actor: shopper\n", "").replace(", peak: 8x", "")
    now = HEALTHY.replace(", fallback: rules}", "}")
    path = tmp_path / "milestones" / "first.json"
    keep_milestone(path, review(parse_brief(before), today=TODAY), day=TODAY)

    found = progress(read_milestone(path), review(parse_brief(now), today=TODAY))

    assert found.since == TODAY
    assert {finding.id for finding in found.closed} >= {"A8", "R1"}
    assert [finding.id for finding in found.opened] == ["A3"]
    moved = {one.id: (one.before, one.now) for one in found.criteria}
    assert moved["R1"] == (4, 5)
    assert moved["R7"] == (3, 2)
    text = progress_text(found)
    assert text.startswith("Since 2026-11-23 the score")
    assert "new     HIGH    A3" in text


def test_nothing_has_changed_since_a_review_of_the_same(tmp_path: Path) -> None:
    """No criterion and no finding."""
    judged = review(parse_brief(HEALTHY), today=TODAY)
    keep_milestone(tmp_path / "one.json", judged, day=TODAY)

    found = progress(read_milestone(tmp_path / "one.json"), judged)

    assert (found.criteria, found.closed, found.opened) == ((), (), ())
    assert "stands where it stood" in found.sentence


@pytest.mark.parametrize("text", [None, "{}", "no json"])
def test_what_is_no_milestone_is_refused(tmp_path: Path, text: str | None) -> None:
    """And how one is kept is said."""
    path = tmp_path / "one.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(BadInput, match="--keep"):
        read_milestone(path)
