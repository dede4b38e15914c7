"""`feasible simulate`: a planned feature is simulated, and what cannot be is refused with 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from feasible.simulation import KINDS


def cli(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "feasible", *argv],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a planned feature, `triage`, whose brief also limits the cost of a day."""
    folder = tmp_path_factory.mktemp("simulate")
    assert cli(folder, "new", "triage").returncode == 0
    brief = folder / "triage" / "brief.yaml"
    text = brief.read_text(encoding="utf-8")
    text = text.replace(
        "envelope:\n", "envelope:\n  - {cost: day, at_most: $50, by: machines}\n", 1
    )
    brief.write_text(text, encoding="utf-8")
    made = cli(folder, "plan", "triage", "--quiet", "--json")
    assert (folder / "triage/.feasible/plan.json").exists(), made.stderr
    return folder


def report(folder: Path, *argv: str) -> dict[str, Any]:
    """Simulate and read the JSON."""
    done = cli(folder, "simulate", "triage", "--quiet", "--json", *argv)
    assert done.returncode in {0, 3}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_planned_feature_is_simulated_in_every_scenario(planned: Path, tmp_path: Path) -> None:
    """Each says how every promise stands; the page is one file that asks no other host."""
    for kind in KINDS:
        found = report(planned, "--scenario", kind)
        assert found["scenario"] == kind
        assert {"latency_p95", "accuracy", "cost_day_machines", "degraded_share"} <= {
            line["objective"] for line in found["order"]
        }
        assert all(line["at_1x"] is not None for line in found["order"]), kind
    page = tmp_path / "page.html"
    cli(planned, "simulate", "triage", "--quiet", "--html", str(page))
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "http" not in text


@pytest.mark.slow
def test_quality_at_no_load_is_that_of_the_plan_s_own_rows(planned: Path) -> None:
    """Requests are drawn from the rows, with who answers them and whether it is right."""
    found = report(planned)
    accuracy = next(line for line in found["order"] if line["objective"] == "accuracy")
    plan = json.loads((planned / "triage/.feasible/plan.json").read_text(encoding="utf-8"))

    assert accuracy["at_1x"] == pytest.approx(plan["forecast"]["quality"]["accuracy"], abs=0.02)
    assert found["plan"] == plan["id"]
    assert report(planned) == found


@pytest.mark.slow
def test_what_cannot_be_simulated_is_refused_with_2(planned: Path, tmp_path: Path) -> None:
    """Unknown scenarios, impossible knobs, negative rates, no plan, a plan without a profile."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("scenario: outage\nfault: {tier: oracle}\n", encoding="utf-8")
    for argv, said in (
        (("--scenario", "brakpoint"), "--scenario breakpoint"),
        (("--scenario", str(bad)), "oracle"),
        (("--set", "tfidf.slot=3"), "tfidf.slots"),
        (("--set", "traffic.rate=-3/s"), "above 0"),
        (("--set", "nothing"), "knob"),
    ):
        refused = cli(planned, "simulate", "triage", "--quiet", *argv)
        assert refused.returncode == 2, (argv, refused.stderr)
        assert said in refused.stderr
    assert cli(tmp_path, "new", "fresh").returncode == 0
    no_plan = cli(tmp_path, "simulate", "fresh", "--quiet")
    assert no_plan.returncode == 2
    assert "feasible plan" in no_plan.stderr
    profile = planned / "triage/.feasible/profile.parquet"
    aside = profile.rename(profile.with_suffix(".aside"))
    try:
        no_profile = cli(planned, "simulate", "triage", "--quiet")
    finally:
        aside.rename(profile)
    assert no_profile.returncode == 2
    assert "profile" in no_profile.stderr
