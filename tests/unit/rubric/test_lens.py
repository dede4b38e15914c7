"""A team's own questions are asked of each part, and a lens that asks nonsense is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from feasible.errors import BadInput
from feasible.rubric import Verdict, read_lens, review
from feasible.schema import parse_brief

TODAY = date(2026, 11, 23)
HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")
LENS = """\
lens: house
questions:
  - id: H1
    question: does every model say when it is ready?
    each: layers.tiers
    where: {kind: model}
    states: [ready_in]
    risk: MEDIUM
    why: nobody knows when it comes
    fix: "`ready_in: 2 weeks`"
  - id: H2
    question: is any call longer than 100 ms?
    each: layers.tiers
    at_most: {timeout: 100 ms}
    risk: HIGH
    why: our gateway cuts calls off
    fix: "`timeout: 100 ms`"
  - id: H3
    question: is drift seen within two weeks?
    each: layers.feedback
    states: [drift]
    at_most: {detected_in: 14 d}
    risk: HIGH
    why: two weeks are a season
    fix: "`detected_in: 7 d`"
"""


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "house.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_questions_are_asked_of_the_parts_that_they_are_about(tmp_path: Path) -> None:
    """The scorer says no `ready_in` and may take 150 ms; drift is seen within 7 days."""
    lens = read_lens(_file(tmp_path, LENS))

    judged = review(parse_brief(HEALTHY), lenses=[lens], today=TODAY)

    line = next(i for i, one in enumerate(HEALTHY.splitlines(), 1) if "name: scorer" in one)
    found = {finding.id: finding for finding in judged.findings if finding.id.startswith("H")}
    assert set(found) == {"H1", "H2"}
    assert all(finding.where == f"brief.yaml:{line}" for finding in found.values())
    assert "150 ms" in found["H2"].why
    assert judged.verdict is Verdict.NOT_READY
    assert judged.lenses == ("house: 3 questions, 2 findings",)


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        (
            "each: layers.tiers\n    at_most",
            "each: layers.tears\n    at_most",
            "no part of a brief",
        ),
        ("states: [ready_in]", "states: [redy_in]", "did you mean `ready_in`"),
        ("where: {kind: model}", "where: {knd: model}", "did you mean `kind`"),
        ("timeout: 100 ms}", "timeout: fast}", "timeout"),
        ("id: H1", "id: A1", "is taken"),
        ("id: H2", "id: H1", "is taken"),
        ("risk: MEDIUM", "risk: GRAVE", "risk"),
        ("    states: [ready_in]\n", "", "a question needs"),
        ("why: nobody", "wy: nobody", "unknown key `wy`"),
    ],
)
def test_a_lens_that_asks_about_nothing_is_refused(
    tmp_path: Path, written: str, instead: str, told: str
) -> None:
    """With its line and the nearest name."""
    assert written in LENS

    with pytest.raises(BadInput, match=told) as raised:
        read_lens(_file(tmp_path, LENS.replace(written, instead)))
    assert str(raised.value).startswith("house.yaml:")


def test_a_lens_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """And not a lens without questions."""
    with pytest.raises(BadInput, match="cannot be read"):
        read_lens(tmp_path / "none.yaml")
