"""`feasible simulate`: a planned feature is simulated, and what cannot be is refused with 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from feasible.cli import main
from feasible.folder import open_folder
from feasible.loop import plan, simulate
from feasible.report import simulated_page
from feasible.simulation import KINDS, Simulated
from feasible.systems import write_starter

pytestmark = pytest.mark.slow


def run(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["feasible", *argv])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a planned feature, `triage`, that also limits a day's cost and ages."""
    folder = tmp_path_factory.mktemp("simulate")
    brief = write_starter(folder / "triage") / "brief.yaml"
    text = brief.read_text(encoding="utf-8")
    limit = (
        "envelope:\n  - {cost: day, at_most: $50, by: machines}\n"
        "  - {adaptation: new_team, at_most: 30 d}\n"
    )
    brief.write_text(text.replace("envelope:\n", limit, 1), encoding="utf-8")
    assert plan(open_folder(folder / "triage")).plan is not None
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_planned_feature_is_simulated_in_every_scenario(
    planned: Path, tmp_path: Path, kind: str
) -> None:
    """Each says how every promise stands; the page is one file that asks no other host."""
    short = tmp_path / "short.yaml"
    short.write_text(
        f"scenario: {kind}\nseeds: 2\nrequests: 1000\nfault: {{lasts: 30 s}}\n", encoding="utf-8"
    )

    found = simulate(open_folder(planned / "triage"), scenario=str(short), knobs={}, seed=1)

    assert {"latency_p95", "accuracy", "cost_day_machines", "degraded_share"} <= {
        line.objective for line in found.order
    }
    assert all(line.at_1x is not None for line in found.order)
    text = simulated_page(found)
    assert "http" not in text
    assert ("<svg" in text) == (kind == "breakpoint")


def test_quality_at_no_load_is_that_of_the_plan_s_own_rows(
    planned: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Requests are drawn from the rows, with who answers them and whether it is right."""
    monkeypatch.chdir(planned)
    made = json.loads((planned / "triage/.feasible/plan.json").read_text(encoding="utf-8"))

    assert run(["simulate", "triage", "--quiet", "--json"], monkeypatch) == 0

    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    accuracy = next(line for line in found["order"] if line["objective"] == "accuracy")
    assert accuracy["at_1x"] == pytest.approx(made["forecast"]["quality"]["accuracy"], abs=0.02)
    assert found["plan"] == made["id"]
    assert "adaptation_new_team: load does not decide it" in found["assumed"]


def test_what_is_uncertain_and_what_a_knob_changed_stand_in_a_breakpoint(
    planned: Path, tmp_path: Path
) -> None:
    """Twice the slots bear more than they did, and slower calls never more."""
    short = tmp_path / "short.yaml"
    short.write_text("scenario: breakpoint\nseeds: 2\nrequests: 2000\n", encoding="utf-8")

    def found(**knobs: str) -> Simulated:
        named = {name.replace("_", ".", 1): value for name, value in knobs.items()}
        return simulate(open_folder(planned / "triage"), scenario=str(short), knobs=named, seed=1)

    more = found(traffic_rate="40/s", tfidf_slots="2")
    before = {line.objective: line.headroom[1] for line in more.before}
    after = {line.objective: line.headroom[1] for line in more.order}
    assert (after["degraded_share"] or 0) > 1.2 * (before["degraded_share"] or 0) > 0
    assert more.p_holds == 1.0
    bar = next(bar for bar in more.tornado if bar.input == "tfidf.time")
    assert (bar.headroom_low or 0) >= (bar.headroom_high or 0) > 0
    assert more.facts["throughput_peak"]["holds"] is True


def test_a_promise_that_is_broken_ends_with_3_and_the_page_is_written(
    planned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A pipeline can stop there, and the page says the same as the screen."""
    monkeypatch.chdir(planned)
    rush = tmp_path / "rush.yaml"
    rush.write_text("scenario: soak\nset: {traffic.rate: 100000/s}\n", encoding="utf-8")
    page = tmp_path / "page.html"

    argv = ["simulate", "triage", "--quiet", "--json", "--scenario", str(rush)]
    assert run([*argv, "--html", str(page)], monkeypatch) == 3

    broken = [li for li in json.loads(capfd.readouterr().out)["order"] if li["verdict"] == "broken"]
    assert broken
    assert "BROKEN" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--scenario", "brakpoint"], "--scenario breakpoint"),
        (["--scenario", "bad.yaml"], "oracle"),
        (["--scenario", "none.yaml"], "cannot be read"),
        (["--set", "tfidf.slot=3"], "tfidf.slots"),
        (["--set", "traffic.rate=-3/s"], "above 0"),
        (["--set", "nothing"], "knob"),
        (["--html", "nowhere/page.html"], "no folder nowhere"),
        (["--html", "triage"], "a folder"),
        (["--against", "http://127.0.0.1:9", "--scenario", "outage"], "--scenario"),
        (["--against", "http://127.0.0.1:9", "--html", "page.html"], "--html"),
        (["--against", "http://127.0.0.1:99999"], "no address"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_2(
    planned: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    argv: list[str],
    said: str,
) -> None:
    """Unknown scenarios and tiers, impossible knobs, negative rates."""
    monkeypatch.chdir(planned)
    (planned / "bad.yaml").write_text("scenario: outage\nfault: {tier: oracle}\n", encoding="utf-8")

    assert run(["simulate", "triage", "--quiet", *argv], monkeypatch) == 2
    told = capfd.readouterr().err
    assert said in told
    assert all(f"\n  {part}  " in told for part in ("asked", "found", "try  "))


def test_a_plan_needs_its_profile_and_a_feature_its_plan(
    planned: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both are what `feasible plan` writes."""
    monkeypatch.chdir(planned)
    write_starter(planned / "fresh")
    assert run(["simulate", "fresh", "--quiet"], monkeypatch) == 2
    assert "feasible plan" in capfd.readouterr().err

    profile = planned / "triage/.feasible/profile.parquet"
    aside = profile.rename(profile.with_suffix(".aside"))
    try:
        assert run(["simulate", "triage", "--quiet"], monkeypatch) == 2
    finally:
        aside.rename(profile)
    assert "profile" in capfd.readouterr().err


def test_a_decision_has_every_line_of_its_cost(planned: Path, tmp_path: Path) -> None:
    """By hand: the price of a call times who gets as far; what retraining costs at that rate."""
    file = tmp_path / "old.yaml"
    file.write_text(
        "scenario: breakpoint\nseeds: 1\nrequests: 1000\ndecay_per_day: 0.1 %\n", encoding="utf-8"
    )
    feature = open_folder(planned / "triage")

    found = simulate(feature, scenario=str(file), knobs={"traffic.rate": "4/s"}, seed=1)

    lines = found.facts["usd_each_by_line"]
    tfidf = next(tier for tier in found.tiers if tier.name == "tfidf")
    price = feature.brief.tier("tfidf").usd
    assert price is not None
    assert lines["tfidf"] == pytest.approx(price.mid * tfidf.reach)
    retraining = found.facts["retraining"]
    once = retraining["usd_once"]
    at_30 = next(line for line in retraining["curve"] if line["every_days"] == 30)
    assert at_30["usd_each_retraining"] == pytest.approx(once / (4 * 86_400 * 30))
    page = simulated_page(found)
    assert "retraining" in page
    assert "usd each by line" in page


@pytest.mark.parametrize(
    "tier",
    [
        "batching: {most: 8, wait: 0 s, base: 1 ms, each: 0.2 ms}",
        "tokens: {reads: 100, first: 1 ms, usd_per_million_read: $1}",
        "scaling: {every: 5 s, target: 70 %, lag: 10 s, least: 1, most: 4}",
        "quota: {calls: 6000}",
    ],
)
def test_a_planned_tier_can_have_what_a_file_declares(
    planned: Path, tmp_path: Path, tier: str
) -> None:
    """Batches, tokens, slots that follow and quotas: each gives a whole report."""
    file = tmp_path / "other.yaml"
    text = f"scenario: breakpoint\nseeds: 1\nrequests: 500\ntiers: {{tfidf: {{{tier}}}}}\n"
    file.write_text(text, encoding="utf-8")

    found = simulate(
        open_folder(planned / "triage"), scenario=str(file), knobs={"traffic.rate": "5/s"}, seed=1
    )

    assert found.order
    if tier.startswith("tokens"):
        curve = found.facts["cost_by_length_of_conversation"]["tfidf"]
        assert curve[-1]["usd"] > curve[0]["usd"]
        assert not any(bar.input == "tfidf.time" for bar in found.tornado)
    if tier.startswith("quota"):
        assert any(e.knob == "tfidf.quota" for b in (found.bottleneck,) if b for e in b.effects)
