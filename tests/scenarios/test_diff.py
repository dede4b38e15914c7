"""Five changes of one brief, each with its sentence and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from feasible.cli import app
from feasible.rubric import compare
from feasible.schema import parse_brief

HEALTHY = (Path(__file__).parent / "broken_briefs/healthy.yaml").read_text(encoding="utf-8")
CACHED = (
    HEALTHY.replace("bursty, slices", "bursty, repeated: 50 %, slices")
    .replace("capacity: 2000 / s", "capacity: 100 / s")
    .replace(", reach: 90 %", "")
)
CACHE = next(line for line in CACHED.splitlines(keepends=True) if "{name: cache" in line)

PAIRS = [
    (
        "no change",
        HEALTHY,
        HEALTHY,
        "No promise changes.",
        0,
    ),
    (
        "cheaper model",
        HEALTHY,
        HEALTHY.replace("usd: $0.0002", "usd: $0.0001"),
        "Every promise holds: cost_mean uses",
        0,
    ),
    (
        "cache off",
        CACHED,
        CACHED.replace(CACHE, "").replace("repeated: 50 %, ", "").replace("80 / s", "120 / s"),
        "throughput_peak breaks:",
        3,
    ),
    (
        "new constraint",
        HEALTHY,
        HEALTHY.replace("envelope:\n", "envelope:\n  - {adaptation: new_abuse, at_most: 60 d}\n"),
        "adaptation_new_abuse is promised:",
        0,
    ),
    (
        "price change",
        HEALTHY,
        HEALTHY.replace("usd: $1.20", "usd: $3.00"),
        "cost_mean breaks:",
        3,
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "sentence", "code"),
    [pair[1:] for pair in PAIRS],
    ids=[pair[0] for pair in PAIRS],
)
def test_a_change_has_its_sentence_and_its_exit_code(
    tmp_path: Path, before: str, after: str, sentence: str, code: int
) -> None:
    """One bold sentence first; 3 when a promise does not hold after the change."""
    for name, text in (("before", before), ("after", after)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    done = CliRunner().invoke(
        app, ["diff", str(tmp_path / "before.yaml"), str(tmp_path / "after.yaml")]
    )

    assert done.output.startswith(f"**{sentence}"), done.output
    assert done.output.splitlines()[0].endswith("**")
    assert done.exit_code == code
    if before == after:
        assert done.output == "**No promise changes.**\n"


def test_a_cheaper_model_costs_what_its_calls_cost_less() -> None:
    """By hand: 40 % of decisions, $0.0001 less each, and one call in ten again: $0.000044."""
    found = compare(
        parse_brief(HEALTHY).brief,
        parse_brief(HEALTHY.replace("usd: $0.0002", "usd: $0.0001")).brief,
    )

    assert found.usd_before is not None
    assert found.usd_after is not None
    assert found.usd_before - found.usd_after == pytest.approx(0.000044)
