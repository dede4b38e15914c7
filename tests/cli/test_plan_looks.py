"""Planning from logs again is another look at the same rows, and is said to be one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from feasible.cli import main

BRIEF = """\
feasible: 1
name: triage
goal: {statement: Send each message to the right team}
envelope:
  - {quality: accuracy, at_least: 0.85}
"""


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A brief and 1,000 logged outcomes of one tier in an empty place."""
    monkeypatch.chdir(tmp_path)
    Path("brief.yaml").write_text(BRIEF, encoding="utf-8")
    wrong = np.random.default_rng(1).random(1000) < 0.03
    lines = [f"r{i},m,{int(miss)},0.001,5" for i, miss in enumerate(wrong)]
    text = "row_id,tier,loss,cost_usd,latency_ms\n" + "\n".join(lines) + "\n"
    Path("log.csv").write_text(text, encoding="utf-8")
    return tmp_path


def planned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str
) -> dict[str, object]:
    """Plan from the logs and give the part of the report that says which look it was."""
    argv = ["feasible", "plan", "--brief", "brief.yaml", "--profile", "log.csv", "--json", *more]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    report = json.loads(capsys.readouterr().out)
    return {"notes": report["notes"], "lines": report["certificate"], **report["plan"]["data"]}


def test_looks_are_counted_beside_the_profile(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second plan says that it is the second look, and what that leaves."""
    first, second = planned(monkeypatch, capsys), planned(monkeypatch, capsys)

    assert (first["look"], second["look"]) == (1, 2)
    assert "look 2 at these" in str(second["notes"])
    assert len(json.loads((logs / "log.csv.looks.json").read_text())["looks"]) == 2


def test_another_feature_looks_for_itself(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promises of another feature are other statements."""
    planned(monkeypatch, capsys)
    (logs / "brief.yaml").write_text(BRIEF.replace("triage", "routing"), encoding="utf-8")

    assert planned(monkeypatch, capsys)["look"] == 1


@pytest.mark.usefixtures("logs")
def test_many_looks_spend_a_part_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--looks many` the first line stands at 1 - 6 * 0.05 / pi^2, the second higher."""
    first = planned(monkeypatch, capsys, "--looks", "many")
    second = planned(monkeypatch, capsys, "--looks", "many")

    levels = [found["lines"][0]["confidence_level"] for found in (first, second)]  # type: ignore[index]
    assert levels == pytest.approx([0.969604, 0.992401], abs=1e-6)
    assert (first["schedule"], second["look"]) == ("many", 2)


def test_a_broken_count_is_bad_input(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with the file and what removing it means."""
    (logs / "log.csv.looks.json").write_text("[]", encoding="utf-8")
    argv = ["feasible", "plan", "--brief", "brief.yaml", "--profile", "log.csv"]
    monkeypatch.setattr(sys, "argv", argv)

    with pytest.raises(SystemExit) as stopped:
        main()

    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "log.csv.looks.json does not say how often" in said
    assert "remove the file" in said
