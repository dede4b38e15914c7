"""`feasible review` from the shell: what it prints, writes and compares, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feasible.cli import app

pytestmark = pytest.mark.slow

HEALTHY = (Path(__file__).parents[1] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")
LENS = """\
lens: house
questions:
  - {id: H1, question: when?, each: layers.tiers, states: [ready_in], risk: HIGH, why: x, fix: y}
"""


def _run(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["review", *map(str, words)], standalone_mode=False)
    code = done.return_value if done.exception is None else done.exception
    return (done.exit_code if isinstance(code, BaseException) else int(code or 0)), done.output


def test_a_waived_risk_stops_no_merge(tmp_path: Path) -> None:
    """3 while a HIGH risk is open; 0 once it is waived beside the brief, and it is shown."""
    brief = tmp_path / "brief.yaml"
    brief.write_text(HEALTHY.replace("usd: $1.20, ", ""), encoding="utf-8")
    assert _run(brief)[0] == 3

    (tmp_path / "waivers.yaml").write_text(
        "waivers:\n  - {finding: A2, reason: the shop pays its own people}\n", encoding="utf-8"
    )
    code, output = _run(brief)

    assert code == 0
    assert "1 waived" in output
    assert "the shop pays its own people (HIGH)" in output


def test_a_review_is_kept_and_compared(tmp_path: Path) -> None:
    """Milestone, then the mended brief against it; with --json both are in one document."""
    brief, kept = tmp_path / "brief.yaml", tmp_path / "first.json"
    brief.write_text(HEALTHY.replace("  actor: shopper\n", ""), encoding="utf-8")
    _run(brief, "--keep", kept)
    brief.write_text(HEALTHY, encoding="utf-8")

    _, output = _run(brief, "--since", kept)
    both = json.loads(_run(brief, "--since", kept, "--json")[1])

    assert "closed  LOW     R1" in output
    assert {"id": "R1", "before": 4, "now": 5} in both["since"]["criteria"]
    assert both["review"]["name"] == "returns"


def test_a_page_and_a_lens(tmp_path: Path) -> None:
    """The page holds the findings of the team's own questions, too; HIGH ones end with 3."""
    brief, lens, page = (tmp_path / name for name in ("brief.yaml", "house.yaml", "review.html"))
    brief.write_text(HEALTHY, encoding="utf-8")
    lens.write_text(LENS, encoding="utf-8")

    code, output = _run(brief, "--lens", lens, "--html", page)

    assert code == 3
    assert "lens house: 1 questions" in output
    assert "H1" in page.read_text(encoding="utf-8")
