"""Looks at the rows that certify are counted, and many of them keep their levels together."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from feasible.errors import PlanError
from feasible.planning import plan_profile
from feasible.schema import (
    Look,
    PlanReport,
    Profile,
    Schedule,
    add_look,
    parse_brief,
    read_looks,
    sample_of,
)
from feasible.stats import delta_at

BRIEF = parse_brief("""\
feasible: 1
name: triage
goal: {statement: Send each message to the right team}
envelope:
  - {quality: accuracy, at_least: 0.90}
  - {cost: mean, at_most: $0.02, confidence_level: 0.9}
layers: {feedback: {retrain: {every: 30 d}}}
""").brief
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def profile(first: int = 0, n: int = 1200) -> Profile:
    """One tier that is right 97 times in 100, on rows numbered from the first."""
    rng = np.random.default_rng(3)
    return Profile(
        row_ids=tuple(f"r{i}" for i in range(first, first + n)),
        tiers=("m",),
        loss=(rng.random((n, 1)) > 0.97).astype(float),
        answered=np.ones((n, 1), dtype=np.bool_),
        score=np.full((n, 1), 0.5),
        answer_class=np.zeros((n, 1), dtype=np.int64),
        classes=("a",),
        latency_ms=np.ones((n, 1)),
        cost_usd=np.full((n, 1), 0.01),
        time_s=np.arange(first, first + n, dtype=np.float64),
    )


def plan(rows: Profile, looks: tuple[Look, ...] = (), schedule: Schedule = "one") -> PlanReport:
    """Plan after these looks."""
    return plan_profile(
        BRIEF, rows, data="rows", synthetic=True, looks=looks, schedule=schedule, now=NOW
    )


def look_of(report: PlanReport) -> Look:
    """Give the look that a certificate was."""
    used = report.data
    assert used is not None
    return Look(
        feature="triage",
        cert_fingerprint=used.cert_fingerprint,
        cert_sample=used.cert_sample,
        schedule=used.schedule,
    )


def test_one_look_spends_the_whole_delta_and_says_that_a_retrained_brief_needs_more() -> None:
    """Lines stand at the declared levels."""
    report = plan(profile())

    assert [line.confidence_level for line in report.certificate] == [0.95, 0.9]
    assert report.data is not None
    assert (report.data.look, report.data.schedule) == (1, "one")
    assert any("fits again every 30 d: `--looks many`" in note for note in report.notes)


@pytest.mark.parametrize("look", [1, 2, 3])
def test_of_many_looks_each_line_spends_its_part_from_the_first_on(look: int) -> None:
    """Levels are 1 - 6 delta / (pi^2 t^2), whichever rows the looks were at."""
    before = (look_of(plan(profile(first=5000), schedule="many")),) * (look - 1)

    report = plan(profile(), before, "many")

    levels = [1 - delta_at(look, delta=delta) for delta in (0.05, 0.1)]
    assert [line.confidence_level for line in report.certificate] == pytest.approx(levels)
    assert report.plan is not None
    assert (report.plan.data.look, report.plan.data.schedule) == (look, "many")
    assert any(f"look {look} of many" in note for note in report.notes)
    assert not any("--looks many" in note for note in report.notes)


def test_looks_at_full_delta_before_many_are_owned_up_to() -> None:
    """What was spent cannot be had back."""
    report = plan(profile(), (look_of(plan(profile())),), "many")

    assert any("1 earlier looks spent their whole delta" in note for note in report.notes)


@pytest.mark.parametrize(("shift", "look"), [(0, 2), (100, 2), (300, 1), (5000, 1)])
def test_a_look_counts_where_it_saw_more_than_half_of_the_rows(shift: int, look: int) -> None:
    """Of 1,200 rows the latest 480 certify: 100 new ones leave 380 of them, 300 leave 180."""
    before = look_of(plan(profile()))

    report = plan(profile(first=shift), (before,))

    assert report.data is not None
    assert report.data.look == look
    assert any(note.startswith("look 2 at these") for note in report.notes) == (look == 2)


@pytest.mark.parametrize(("n", "seen"), [(400, 0), (400, 200), (60_000, 30_000), (60_000, 45_000)])
def test_a_sample_of_ids_tells_how_many_rows_are_the_same(n: int, seen: int) -> None:
    """Exactly for few rows, within a few points for many."""
    before = Look(
        feature="x",
        cert_fingerprint="",
        cert_sample=sample_of(f"row {i}" for i in range(n)),
        schedule="one",
    )

    share = before.shares(sample_of(f"row {i}" for i in range(n - seen, 2 * n - seen)))

    assert share == pytest.approx(seen / n, abs=0.0 if n < 1000 else 0.06)


def test_looks_survive_write_and_read(tmp_path: Path) -> None:
    """Each certificate adds one; a place without a file has none."""
    path, report = tmp_path / "looks.json", plan(profile())
    assert report.data is not None

    assert read_looks(path) == ()
    add_look(path, (), report.data, feature="triage")
    add_look(path, read_looks(path), report.data, feature="triage")

    assert read_looks(path) == (look_of(report),) * 2


@pytest.mark.parametrize("text", ["", "{", '{"looks": 3}', '{"a1b2": 2}', "\x00"])
def test_a_broken_count_is_an_error_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    """It names the file, and what removing it means."""
    path = tmp_path / "looks.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(PlanError, match="how often these rows were looked at") as caught:
        read_looks(path)

    assert "remove the file" in str(caught.value)
