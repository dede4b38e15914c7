"""Five changes of one brief, each with its sentence and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from feasible.cli import app
from feasible.rubric import compare, difference_markdown
from feasible.schema import parse_brief

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize(
    ("before", "after"), [pair[1:3] for pair in PAIRS[1:]], ids=[pair[0] for pair in PAIRS[1:]]
)
def test_a_change_shows_latencies_cost_and_the_first_break(before: str, after: str) -> None:
    """At the declared load, simulated with the same luck: p50, p95 and p99 of both, in order."""
    found = compare(parse_brief(before).brief, parse_brief(after).brief)

    for loaded in (found.loaded_before, found.loaded_after):
        assert loaded is not None
        assert 0 < loaded.p50_ms <= loaded.p95_ms <= loaded.p99_ms
        assert loaded.first is not None
        assert loaded.headroom is not None
    shown = difference_markdown(found)
    assert shown.startswith("**")
    for figure in ("| p50 |", "| p95 |", "| p99 |", "| a decision |", "| breaks first |"):
        assert figure in shown


def test_a_slower_tier_is_slower_in_the_simulation() -> None:
    """Four times the scorer's time is seen in p99."""
    slow = HEALTHY.replace("latency_p95: 80 ms", "latency_p95: 20 ms")

    found = compare(parse_brief(slow).brief, parse_brief(HEALTHY).brief)

    assert found.loaded_before is not None
    assert found.loaded_after is not None
    assert found.loaded_before.p99_ms * 2 < found.loaded_after.p99_ms


def test_a_higher_floor_takes_more_labels() -> None:
    """By hand: 1 - .05^(1/n) <= .10 takes 29 cases, and <= .05 takes 59."""
    higher = HEALTHY.replace("at_least: 0.90", "at_least: 0.95")

    (change,) = compare(parse_brief(HEALTHY).brief, parse_brief(higher).brief).quality

    assert change.name.startswith("recall_abuse")
    assert "29 cases" in change.before
    assert "59 cases" in change.after


def test_a_new_brief_has_no_before(tmp_path: Path) -> None:
    """As in a patch, /dev/null stands before it; what breaks in it ends with 3."""
    for text, sentence, code in (
        (HEALTHY, "A new brief promises 7 things: throughput_peak is the tightest", 0),
        (HEALTHY.replace("usd: $1.20", "usd: $5"), "A new brief promises 7 things, and by its", 3),
    ):
        (tmp_path / "brief.yaml").write_text(text, encoding="utf-8")

        done = CliRunner().invoke(app, ["diff", "/dev/null", str(tmp_path / "brief.yaml")])

        assert done.output.startswith(f"**{sentence}"), done.output
        assert done.exit_code == code
        assert "| p50 | - |" in done.output


def test_a_change_of_nothing_has_no_figures() -> None:
    """Quiet: one sentence, no table."""
    brief = parse_brief(HEALTHY).brief

    assert difference_markdown(compare(brief, brief)) == "**No promise changes.**"


def test_a_cheaper_model_costs_what_its_calls_cost_less() -> None:
    """By hand: 40 % of decisions, $0.0001 less each, and one call in ten again: $0.000044."""
    found = compare(
        parse_brief(HEALTHY).brief,
        parse_brief(HEALTHY.replace("usd: $0.0002", "usd: $0.0001")).brief,
    )

    assert found.usd_before is not None
    assert found.usd_after is not None
    assert found.usd_before - found.usd_after == pytest.approx(0.000044)
