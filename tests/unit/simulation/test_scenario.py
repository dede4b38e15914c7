"""Scenario files and knobs: what they say, and what is said when they cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feasible.errors import KnobError, ScenarioError
from feasible.schema import parse_brief
from feasible.simulation import (
    Arrivals,
    Asked,
    Batching,
    Quota,
    Scaling,
    Service,
    Tokens,
    draw,
    knobs_of,
    named_scenario,
    run,
    simulated,
    turned,
)
from feasible.simulation.headroom import fitted
from feasible.simulation.prepared import prepared
from feasible.simulation.scenario import KINDS, knob_values
from feasible.simulation.scenario_file import read_scenario
from feasible.testing import one_tier, three_tiers, worked_case

BRIEF = """\
feasible: 1
name: x
goal: {statement: x}
envelope:
  - {cost: mean, at_most: $1}
"""
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


TIERS = """\
scenario: breakpoint
tiers:
  llm:
    quota: {calls: 600, reads: 400000, writes: 20000}
    batching: {most: 16, wait: 5 ms, base: 8 ms, each: 1 ms}
    scaling: {every: 30 s, target: 70 %, lag: 2 min, least: 2, most: 16}
    tokens: {reads: 900, writes: 50, first: 200 ms, turns: 4, turn_tokens: 300,
             usd_per_million_read: $0.15, usd_per_million_write: $0.60}
people: {per_hour: 300, minutes_each: 6, shift: [8, 18]}
decay_per_day: 0.2 %
"""


def test_a_file_says_what_tiers_and_people_can_bear(tmp_path: Path) -> None:
    """A vendor's quotas, batches, slots that follow the load, tokens, and people's hours."""
    design, _ = worked_case()

    changed = prepared(design, read_scenario(written(tmp_path, TIERS)))

    llm = changed.tiers[2]
    assert llm.quota == Quota(600.0, 400_000.0, 20_000.0)
    assert llm.batching == Batching(16, 0.005, 0.008, 0.001)
    assert llm.scaling == Scaling(30.0, 0.7, 120.0, 2, 16)
    assert (llm.service.kind, llm.usd) == ("tokens", None)
    assert llm.service.tokens.turn_tokens == 300
    assert llm.service.tokens.usd_read == pytest.approx(0.15e-6)
    assert changed.people is not None
    assert (changed.people.per_hour, changed.people.shift_hours) == (300.0, (8.0, 18.0))
    assert changed.people.share == 0.002  # what the file does not name stays
    assert read_scenario(written(tmp_path, TIERS)).decay_per_day == 0.002


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tiers: {lmm: {quota: {calls: 60}}}", "tier: llm"),
        ("tiers: {llm: {qota: {calls: 60}}}", "`quota`"),
        ("tiers: {llm: {quota: {cals: 60}}}", "`calls`"),
        ("tiers: {llm: {quota: {calls: 0}}}", "above 0"),
        ("tiers: {llm: {quota: {reads: 1000}}}", "tokens"),
        ("tiers: {llm: {quota: 60}}", "not a mapping"),
        ("tiers: {llm: {batching: {most: 0, wait: 0 s, base: 1 ms, each: 1 ms}}}", "from 1"),
        ("tiers: {llm: {batching: {most: 8}}}", "`wait`"),
        (
            "tiers: {llm: {scaling: {every: 1 s, target: 70 %, lag: 0 s, least: 9, most: 2}}}",
            "at most 2",
        ),
        ("tiers: {llm: {tokens: {reads: -1}}}", "at least 0"),
        ("people: {shift: [18, 8]}", "hour of the day"),
        ("people: {shift: 8}", "hour of the day"),
        ("people: {hours: 8}", "unknown key"),
        ("decay_per_day: -1 %", "decay_per_day"),
    ],
)
def test_what_no_tier_can_have_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With what was asked, what was found, and what to try instead."""
    design, _ = worked_case()

    with pytest.raises(ScenarioError) as refused:
        prepared(design, read_scenario(written(tmp_path, f"scenario: breakpoint\n{text}\n")))

    error = refused.value
    assert error.exit_code == 2
    assert said in f"{error} {error.asked} {error.found} {error.attempt}"


def test_hours_of_people_need_people(tmp_path: Path) -> None:
    """A shift alone does not say how much they do; with a capacity it does."""
    design = three_tiers()
    text = "scenario: soak\npeople: {shift: [8, 18]}\n"

    with pytest.raises(ScenarioError, match="no people"):
        prepared(design, read_scenario(written(tmp_path, text)))
    with_some = prepared(
        design, read_scenario(written(tmp_path, text.replace("{", "{per_hour: 10, ")))
    )
    assert with_some.people is not None
    assert with_some.people.per_hour == 10


def test_what_a_file_declares_can_be_turned(tmp_path: Path) -> None:
    """Quotas, batches, the lag of new slots, tokens and turns, each in its own unit."""
    declared = prepared(worked_case()[0], read_scenario(written(tmp_path, TIERS)))
    values = {
        "llm.quota": 900.0,
        "llm.quota_read": 500_000.0,
        "llm.quota_write": 30_000.0,
        "llm.batch": 8.0,
        "llm.lag": 60.0,
        "llm.turns": 2.0,
        "llm.tokens_read": 500.0,
        "llm.tokens_write": 20.0,
        "llm.tokens_turn": 100.0,
    }

    llm = turned(declared, values).tiers[2]

    assert llm.quota == Quota(900.0, 500_000.0, 30_000.0)
    assert llm.batching is not None
    assert (llm.batching.most, llm.scaling and llm.scaling.lag_s) == (8, 60.0)
    tokens = llm.service.tokens
    assert (tokens.turns, tokens.reads, tokens.writes, tokens.turn_tokens) == (2, 500, 20, 100)
    assert not {"llm.batch", "llm.lag", "llm.turns"} & set(knobs_of(worked_case()[0]))


def test_a_quota_of_tokens_binds_as_the_law_says() -> None:
    """By hand: 400,000 tokens a minute let 1,000 calls through that read 400 each."""
    reads = Service("tokens", tokens=Tokens(reads=400.0, spread=0.1, first_s=0.01))
    design = one_tier(rate=50.0, slots=500, service=reads, quota=Quota(reads=400_000.0))

    found = run(design, 20_000, seed=1)

    assert (found.over_quota.mean() * 50 * 60) == pytest.approx(3000 - 1000, rel=0.03)


def test_too_many_requests_for_one_run_are_refused() -> None:
    """An outage of ten minutes at 100,000 a second is 120 million requests: what to try instead."""
    design = three_tiers(100_000.0)
    asked = Asked(
        design=design,
        promises=(),
        brief=parse_brief(BRIEF).brief,
        scenario=named_scenario("outage"),
    )

    with pytest.raises(ScenarioError, match="too much to be run") as refused:
        simulated(asked)

    assert refused.value.exit_code == 2
    assert "120,020,000 requests" in str(refused.value.found)
    assert "`lasts: 4 s`" in str(refused.value.attempt)


@pytest.mark.slow
def test_what_is_offered_instead_is_run() -> None:
    """A spike as long as the refusal says: the same scenario at the same rate gives an answer."""
    asked = Asked(
        design=three_tiers(20_000.0),
        promises=(),
        brief=parse_brief(BRIEF).brief,
        scenario=replace(named_scenario("spike"), seeds=1),
    )
    with pytest.raises(ScenarioError) as refused:
        simulated(asked)
    lasts_s = float(str(refused.value.attempt).split("`lasts: ")[1].split()[0])

    found = simulated(replace(asked, scenario=replace(asked.scenario, lasts_s=lasts_s)))

    assert [window.requests > 0 for window in found.windows] == [True, True, True]


def test_bursts_are_shorter_where_a_run_would_never_end() -> None:
    """At 100,000 a second a wave is 2 million requests; a run has 100,000, and its mean stays."""
    waves = Arrivals(100_000.0, kind="waves", peak=5.0, burst_share=0.1, burst_s=2.0)

    short, n = fitted(replace(three_tiers(), arrivals=waves), 10_000)

    assert n == 100_000
    assert short.arrivals.burst_s == pytest.approx(0.1)
    at_s = draw(short, n, seed=1).at_s
    assert n / at_s[-1] == pytest.approx(100_000.0, rel=0.02)
