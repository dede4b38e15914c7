"""One thing is planted in each of these briefs, and the review finds that one and nothing else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from feasible.rubric import Review, Risk, Verdict, review
from feasible.schema import BriefFile, load_brief

FOLDER = Path(__file__).parent / "broken_briefs"
TODAY = date(2026, 11, 23)
BROKEN = sorted(path for path in FOLDER.glob("*.yaml") if path.stem != "healthy")


def read(path: Path) -> tuple[BriefFile, Review]:
    """Load and review a brief as of one day."""
    found = load_brief(path)
    return found, review(found, today=TODAY)


def test_the_healthy_brief_is_ready() -> None:
    """What the others break one by one is whole here."""
    _, judged = read(FOLDER / "healthy.yaml")

    assert judged.findings == ()
    assert judged.verdict is Verdict.READY
    assert (judged.points, judged.checkable, judged.score) == (46, 46, 100)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_the_planted_defect_is_found_and_no_other(path: Path) -> None:
    """The first line of each file says what is planted, how grave it is, and where it stands."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    planted, risk, place = first.removeprefix("# planted: ").split()

    found, judged = read(path)

    # With the defect another limit may bind first, which is said as a LOW risk.
    grave = [finding for finding in judged.findings if finding.risk is not Risk.LOW]
    assert [(finding.id, finding.risk) for finding in grave] == [(planted, risk)]
    (finding,) = grave
    assert finding.where == found.where(place)
    assert int(finding.where.rpartition(":")[2]) > 1
    assert finding.why
    assert finding.fix
    expected = Verdict.NOT_READY if risk == Risk.HIGH else Verdict.NEEDS_WORK
    assert judged.verdict is expected


def test_every_lint_of_a_brief_has_a_planted_defect() -> None:
    """A1 to A15; A5 needs the elasticities of a simulation."""
    planted = {
        path.read_text(encoding="utf-8").splitlines()[0].split()[2]
        for path in FOLDER.glob("*.yaml")
        if path.stem != "healthy"
    }

    assert planted == {f"A{n}" for n in range(1, 16) if n != 5} | {"R3"}
