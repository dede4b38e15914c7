"""A finding is lived with for a reason: shown, counted, and back when the reason has ended."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from feasible.errors import BadInput
from feasible.rubric import Verdict, Waiver, read_waivers, review, review_text
from feasible.schema import parse_brief

TODAY = date(2026, 11, 23)
HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")
AVERAGE = HEALTHY.replace("latency: p99", "latency: mean").replace("latency_p99", "latency_mean")


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "waivers.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_waivers_is_read(tmp_path: Path) -> None:
    """Each with its reason and, where it has one, its last day."""
    path = _file(
        tmp_path,
        "waivers:\n  - {finding: A6, reason: shops wait anyway, until: 2027-03-01}\n",
    )

    assert read_waivers(path) == (
        Waiver(finding="A6", reason="shops wait anyway", until=date(2027, 3, 1)),
    )
    assert read_waivers(tmp_path / "none.yaml") == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("- {finding: A66, reason: because we say so}", "no finding of the review"),
        ("- {finding: A6}", "missing `reason`"),
        ("- {finding: A6, reason: TBD}", "for no reason"),
        ("- {finding: A6, reason: ''}", "for no reason"),
        ("- {finding: A6, reasn: x}", "did you mean `reason`"),
        ("- {finding: A6, reason: shops wait, until: soon}", "until"),
        ("- [", "not YAML"),
    ],
)
def test_a_waiver_that_waives_nothing_for_no_reason_is_refused(
    tmp_path: Path, line: str, told: str
) -> None:
    """With the line of the file."""
    with pytest.raises(BadInput, match=told) as raised:
        read_waivers(_file(tmp_path, f"waivers:\n  {line}\n"))
    assert str(raised.value).startswith("waivers.yaml:")


def test_a_waived_risk_is_shown_and_counted_and_not_open() -> None:
    """It stops no merge, and keeps the design from being called ready."""
    waiver = Waiver(finding="A6", reason="shops wait anyway")

    before = review(parse_brief(AVERAGE), today=TODAY)
    judged = review(parse_brief(AVERAGE), waivers=(waiver,), today=TODAY)

    assert before.verdict is Verdict.NOT_READY
    assert judged.verdict is Verdict.NEEDS_WORK
    assert judged.score == before.score
    (kept,) = [finding for finding in judged.findings if finding.waived is not None]
    assert (kept.id, kept.risk) == ("A6", "HIGH")
    text = review_text(judged)
    assert "1 waived" in text
    assert "shops wait anyway (HIGH)" in text


def test_a_waiver_that_has_ended_waives_nothing() -> None:
    """The finding is open again, and the old waiver is told of."""
    waiver = Waiver(finding="A6", reason="shops wait anyway", until=date(2026, 11, 22))

    judged = review(parse_brief(AVERAGE), waivers=(waiver,), today=TODAY)

    assert judged.verdict is Verdict.NOT_READY
    assert "ended on 2026-11-22" in next(f.why for f in judged.findings if f.id == "waiver")


def test_a_waiver_of_what_is_not_found_is_told_of() -> None:
    """So that the file does not outlive its reasons."""
    waiver = Waiver(finding="A9", reason="the cache is small")

    judged = review(parse_brief(HEALTHY), waivers=(waiver,), today=TODAY)

    (told,) = [finding for finding in judged.findings if finding.id == "waiver"]
    assert told.risk == "LOW"
    assert "A9" in told.why
