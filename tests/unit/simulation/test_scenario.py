"""Scenario files and knobs: what they say, and what is said when they cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feasible.errors import KnobError, ScenarioError
from feasible.simulation import knobs_of, named_scenario, turned
from feasible.simulation.scenario import KINDS, knob_values, read_scenario
from feasible.testing import worked_case

WHOLE = """\
scenario: outage
set: {llm.usd: $0.006, cache.hit: 50 %, llm.slots: 12}
load: 1.5x
seeds: 3
requests: 2000
fault: {tier: llm, kind: slow, lasts: 2 min, factor: 3x, share: 50 %}
arrivals: {kind: bursty, peak: 4x, burst: 5 s}
retries: {times: 2, budget: 10 %, redraw: true}
breaker: {in_a_row: 5, open: 10 s}
"""


def written(tmp_path: Path, text: str) -> Path:
    """Write a scenario file."""
    path = tmp_path / "storm.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_says_everything_that_a_scenario_has(tmp_path: Path) -> None:
    """Every section ends up where it belongs, in base units."""
    found = read_scenario(written(tmp_path, WHOLE))

    assert (found.kind, found.name, found.load, found.seeds) == ("outage", "storm", 1.5, 3)
    assert (found.tier, found.fault, found.lasts_s, found.factor) == ("llm", "slow", 120.0, 3.0)
    assert found.arrivals == {"kind": "bursty", "peak": 4.0, "burst_s": 5.0}
    assert found.retrying is not None
    assert (found.retrying.times, found.retrying.budget, found.retrying.redraw) == (2, 0.1, True)
    assert found.breaking is not None
    assert (found.breaking.in_a_row, found.breaking.open_s) == (5, 10.0)
    design, _ = worked_case()
    assert knob_values(design, found.knobs) == {
        "llm.usd": 0.006,
        "cache.hit": 0.5,
        "llm.slots": 12.0,
    }


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("scenario: outag\n", 1, "scenario: outage"),
        ("seeds: 3\n", 1, "scenario: breakpoint"),
        ("scenario: spike\nlod: 2x\n", 2, "`load`"),
        ("scenario: spike\nload: -2x\n", 2, "more than 0"),
        ("scenario: spike\nload: fast\n", 2, "found 'fast'"),
        ("scenario: spike\nseeds: 0\n", 2, "from 1 to 100"),
        ("scenario: spike\nrequests: 99999999\n", 2, "from 100 to 1,000,000"),
        ("scenario: spike\nspike: {multiple: 0x}\n", 2, "more than 0"),
        ("scenario: spike\nspike: {lasts: 10}\n", 2, "no unit"),
        ("scenario: outage\nfault:\n  kind: melted\n", 3, "one of error, slow"),
        ("scenario: outage\nfault:\n  share: 140 %\n", 3, "between 0 and 1"),
        ("scenario: outage\nfault: 3\n", 2, "found  3"),
        ("scenario: retry-storm\nretries: {budget: 10 %}\n", 2, "needs `times`"),
        ("scenario: soak\narrivals: {burst_share: 100 %}\n", 2, "less than 100 %"),
        ("scenario: soak\narrivals: {burst_share: 0}\n", 2, "more than 0 %"),
        ("scenario: soak\narrivals: {kind: bursty, peak: 0.5x}\n", 2, "at least 1x"),
        ("scenario: [\n", 2, ""),
        ("- a list\n", 1, "['a list']"),
        ("", 1, "found  nothing"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    """The error names the file, the line and the nearest valid thing."""
    with pytest.raises(ScenarioError) as refused:
        read_scenario(written(tmp_path, text))

    assert f"storm.yaml:{line}" in str(refused.value)
    assert said in str(refused.value)
    assert refused.value.exit_code == 2
    assert refused.value.asked
    assert refused.value.found
    assert refused.value.attempt


def test_a_scenario_that_nobody_knows_is_refused_with_the_nearest() -> None:
    """Misspelt names are common."""
    with pytest.raises(ScenarioError, match="retry-storm"):
        named_scenario("retry-strom")
    with pytest.raises(ScenarioError, match="cannot be read"):
        named_scenario("nowhere.yaml")
    assert [named_scenario(name).kind for name in KINDS] == list(KINDS)


def test_a_trace_is_read_and_replayed_at_its_own_unevenness(tmp_path: Path) -> None:
    """Seconds or dates, a header or none; it begins at 0."""
    (tmp_path / "t.csv").write_text(
        "TIMESTAMP,tokens\n2024-05-10 00:00:02.5,1\n2024-05-10 00:00:00.5,2\n", encoding="utf-8"
    )
    text = "scenario: breakpoint\narrivals: {trace: t.csv}\n"

    found = read_scenario(written(tmp_path, text))

    assert found.arrivals == {"trace_s": (0.0, 2.0), "kind": "trace"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("1.0\nnonsense\n", "line 2"),
        ("1.0\nnan\n2.0\n", "line 2"),
        ("1.0\n2.0\ninf\n", "line 3"),
        ("5\n", "has 1 times"),
        ("5\n5\n", "the same"),
    ],
)
def test_a_trace_that_has_no_rate_is_refused(tmp_path: Path, lines: str, said: str) -> None:
    """One time has no rate, and neither have two equal ones."""
    (tmp_path / "t.csv").write_text(lines, encoding="utf-8")
    with pytest.raises(ScenarioError, match=said):
        read_scenario(written(tmp_path, "scenario: soak\narrivals: {trace: t.csv}\n"))


@pytest.mark.parametrize(
    ("knob", "said"),
    [
        ({"llm.slot": "12"}, "`llm.slots`"),
        ({"llm.usd": "3 %"}, "ratio"),
        ({"llm.usd": "$-1"}, "at least 0"),
        ({"cache.hit": "dear"}, "dear"),
        ({"llm.timeout": "3"}, ""),
        ({"traffic.rate": "0 / s"}, "above 0"),
        ({"llm.slots": "0"}, "llm.slots=1"),
        ({"llm.slots": "1.5"}, "whole number"),
        ({"llm.slots": "1e18"}, "at most 100000"),
        ({"zzz": "1"}, "one of these"),
    ],
)
def test_an_impossible_knob_is_refused(knob: dict[str, str], said: str) -> None:
    """Unknown names, other units, values below zero."""
    design, _ = worked_case()
    if not said:
        assert knob_values(design, knob) == {"llm.timeout": 3.0}
        return
    with pytest.raises(KnobError) as refused:
        turned(design, knob_values(design, knob))
    assert said in str(refused.value)
    assert refused.value.exit_code == 2
    assert refused.value.asked
    assert refused.value.found
    assert refused.value.attempt


def test_every_knob_can_be_turned_and_read_back() -> None:
    """What was set is what is there, for each knob on its own."""
    design, _ = worked_case()
    for name, knob in knobs_of(design).items():
        value = knob.value * 0.5
        again = knobs_of(turned(design, {name: value}))[name].value
        assert again == pytest.approx(value, rel=2e-3), name


def test_deferring_less_moves_the_policy_and_the_rows_together() -> None:
    """The policy's own thresholds change, so that both evaluators see the same ones."""
    design, _ = worked_case()

    less = turned(design, {"rules.defer": 0.3})

    table, step = less.cases.table, less.policy.steps[0]
    accepted = table.probability[:, 0] >= step.threshold("*")
    assert 1 - accepted.mean() == pytest.approx(0.3, abs=1e-3)
    assert np.array_equal(accepted, table.probability[:, 0] >= table.threshold[:, 0])
