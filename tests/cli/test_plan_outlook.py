"""`feasible plan` before there are rows, beside a plan, and after something has changed."""

from __future__ import annotations

import csv
import json
import random
import shutil
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from feasible.cli import main

SYSTEMS = Path(__file__).parents[2] / "src/feasible/systems"


def run(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["feasible", *argv])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def answer(
    argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, Any]:
    """Run a command with --json; give its exit code and its answer."""
    capsys.readouterr()
    code = run([*argv, "--json"], monkeypatch)
    return code, json.loads(capsys.readouterr().out)


def edit(path: Path, written: str, instead: str) -> None:
    """Replace text in a file; it must be there."""
    text = path.read_text(encoding="utf-8")
    assert written in text
    path.write_text(text.replace(written, instead, 1), encoding="utf-8")


BRIEF = """\
feasible: 1
name: triage
goal: {statement: Send each ticket to the right queue, value_usd: 0.2..0.4, error_usd: 1..2}
envelope:
  - {latency: p95, at_most: 1500 ms}
  - {cost: mean, at_most: $0.006}
  - {quality: accuracy, at_least: FLOOR, confidence_level: 0.95}
  - {delivery: first_version, at_most: 2 weeks}
traffic: {rate: 2 / s, slices: {vip: 10..20 %}}
labels: {arrive_after: 1 d, per_month: 500..800}
layers:
  tiers:
    - {name: rules, kind: rules, usd: $0.00001}
    - {name: small, kind: model, usd: $0.0001..$0.0004}
    - {name: large, kind: llm, usd: $0.01}
    - {name: better, kind: llm, usd: $0.004, ready_in: 6 weeks}
"""


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Outcomes of four tiers on 2,000 tickets in an empty place."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(11)
    path = tmp_path / "outcomes.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row_id", "tier", "loss", "score", "latency_ms", "cost_usd", "slice:vip"])
        for row in range(2000):
            hard, vip = rng.random(), rng.random() < 0.15
            sure = 1 - 0.5 * hard**2
            for tier, wrong, score, took, usd in (
                ("rules", 0.3, "", 1, 0.00001),
                ("small", 0.5 * hard**2, sure, 20, 0.0002),
                ("large", 0.06 * hard, "", 500, 0.01),
                ("better", 0.06 * hard, "", 400, 0.004),
            ):
                writer.writerow([row, tier, int(rng.random() < wrong), score, took, usd, vip])
    return path


@pytest.fixture
def day_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fraud system's brief in a folder of its own: no rows and no tiers yet."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cards"
    folder.mkdir()
    shutil.copy(SYSTEMS / "fraud/brief.yaml", folder)
    return folder


def brief(folder: Path, floor: str) -> Path:
    """Write the brief with a floor."""
    path = folder / "brief.yaml"
    path.write_text(BRIEF.replace("FLOOR", floor), encoding="utf-8")
    return path


def test_fraud_is_answered_on_day_one_with_what_cannot_be_shown_yet(
    day_one: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No row, no tier: 598 frauds are missing, and the day on which they could be there."""
    code, found = answer(["plan", "cards"], monkeypatch, capsys)
    why = found["infeasible"]

    assert (code, found["feasible"], found["plan"]) == (4, False, None)
    assert (why["kind"], why["binding"]) == ("evidence", ["recall_fraud_high_risk"])
    assert why["labels_needed"] == {"recall_fraud_high_risk": 598}
    days = [
        (date.fromisoformat(why[key]) - datetime.now(UTC).date()).days
        for key in ("earliest_date", "latest_date")
    ]
    assert days == pytest.approx([198, 242], abs=1)  # midnight may pass
    assert found["evidence"][0]["rows_by_misses"] == {"0": 598, "1": 947, "3": 1549}
    assert [path.name for path in day_one.iterdir()] == ["brief.yaml"]


def test_the_screen_of_day_one_says_rows_dates_and_where_they_come_from(
    day_one: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything fits 80 columns, and nothing is said to be measured."""
    monkeypatch.setenv("COLUMNS", "80")

    assert run(["plan", str(day_one)], monkeypatch) == 4
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "598 without a miss, 947 with 1, 1,549 with 3" in shown
    assert "slice `high_risk`" in shown
    assert "launch accuracy (declared)" in shown
    assert "nothing was trained and no row was read" in shown


def test_a_brief_alone_is_answered_from_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evidence is exit 4; a limit below every declared price is structural and exit 3."""
    path = brief(tmp_path, "0.90")
    code, found = answer(["plan", "--brief", str(path)], monkeypatch, capsys)
    assert (code, found["infeasible"]["kind"]) == (4, "evidence")
    assert [left["tier"] for left in found["left_out"]] == ["better"]

    edit(path, "cost: mean, at_most: $0.006", "cost: mean, at_most: $0.000001")
    code, found = answer(["plan", "--brief", str(path)], monkeypatch, capsys)
    assert (code, found["infeasible"]["kind"]) == (3, "structural")
    assert found["infeasible"]["binding"] == ["cost_mean"]


def test_a_plan_comes_with_its_worth_and_with_what_would_move_it(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alternatives have figures, and every declared range and every share is moved."""
    path = brief(logs.parent, "0.85")
    code, found = answer(
        ["plan", "--brief", str(path), "--profile", str(logs)], monkeypatch, capsys
    )

    assert code == 0
    worth = {line["kind"]: line for line in found["value"]["lines"]}
    assert {"plan", "no LLM", "rules only", "nothing"} <= set(worth)
    assert worth["nothing"]["net_usd"] == {"low": 0.0, "mid": 0.0, "high": 0.0}
    for line in worth.values():
        assert line["net_usd"]["low"] <= line["net_usd"]["mid"] <= line["net_usd"]["high"]
    assert len(found["value"]["net_usd_by_point"]) == len(found["frontier"])
    assert [one["number"] for one in found["sensitivity"]] == [
        "traffic.slices.vip",
        "layers.tiers.small.usd",
        "goal.value_usd",
        "goal.error_usd",
    ]
    small = found["sensitivity"][1]
    assert small["low"]["cost_usd"] < small["now"]["cost_usd"] < small["high"]["cost_usd"]
    paid = [point["marginal_usd"] for point in found["frontier"]]
    assert paid[0] is None
    assert all(usd is None or usd >= 0 for usd in paid)


@pytest.mark.slow
def test_a_tier_that_is_ready_too_late_is_priced_by_planning_again(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The better model would have saved money: that is what the delivery date costs."""
    path = brief(logs.parent, "0.90")
    code, found = answer(
        ["plan", "--brief", str(path), "--profile", str(logs)], monkeypatch, capsys
    )
    (left,) = found["left_out"]

    assert (code, left["tier"], left["objective"]) == (0, "better", "delivery_first_version")
    assert left["saves_usd"] > 0
    edit(path, "first_version, at_most: 2 weeks", "first_version, at_most: 7 weeks")
    code, later = answer(
        ["plan", "--brief", str(path), "--profile", str(logs)], monkeypatch, capsys
    )
    saved = found["forecast"]["cost_usd"] - later["forecast"]["cost_usd"]
    assert left["saves_usd"] == pytest.approx(saved, rel=1e-6)


def test_what_cannot_be_shown_yet_has_a_timeline(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """800 rows cannot show 99.9 %: steps up to it have dates, or none where the value is below."""
    path = brief(logs.parent, "0.98")
    code, found = answer(
        ["plan", "--brief", str(path), "--profile", str(logs)], monkeypatch, capsys
    )
    steps = [one for one in found["timeline"] if one["promise"] == "accuracy"]

    assert code in {3, 4}
    assert steps[0]["basis"] == "shown"
    assert (steps[-1]["is_promised"], steps[-1]["limit"]) == (True, 0.98)
    assert [one["limit"] for one in steps] == sorted(one["limit"] for one in steps)


def test_a_profile_without_a_brief_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked, found and what to try."""
    assert run(["plan", "--profile", "outcomes.csv"], monkeypatch) == 2
    said = capsys.readouterr().err
    assert "asked  --profile outcomes.csv" in said
    assert "found  no --brief" in said
    assert "try    --brief" in said


def test_a_named_data_set_is_not_answered_from_the_brief(
    day_one: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever names rows wants rows: without data.py that is an error."""
    assert run(["plan", str(day_one), "--data", "fraud_handbook"], monkeypatch) == 2
    assert "has no data.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["plan", "--check"], "check which plan?"),
        (["plan", "fraud", "--check"], "no plan at"),
        (["plan", "fraud", "--check", "--data", "d"], "--check with --data"),
        (["plan", "--brief", "b.yaml", "--check"], "check which plan?"),
        (["plan", "fruad", "--check"], "`fraud`?"),
    ],
)
def test_a_check_of_nothing_is_bad_input(
    argv: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit 2, and what to try instead."""
    monkeypatch.chdir(tmp_path)

    assert run(argv, monkeypatch) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "try " in shown


ONE_TIER = """\
feasible: 1
name: parity
goal: {statement: Say whether a number is even}
envelope: [{quality: accuracy, at_least: 0.85}]
layers: {tiers: [{name: rules, kind: rules, use: "tiers:rules", usd: $0.001}]}
"""
NUMBERS = """\
def examples():
    for i in range(400):
        label = "even" if i % 2 == 0 else "odd"
        yield {"text": str(i), "label": label}
"""
RULES = """\
def rules(request):
    number = int(request["text"])
    return "even" if number % 2 == 0 or number % 50 == 1 else "odd"
"""


def test_a_certificate_stands_until_a_price_or_a_tier_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 while it stands, 3 with the reason when it has expired, and 0 again when that is undone."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "parity"
    folder.mkdir()
    for name, text in (("brief.yaml", ONE_TIER), ("data.py", NUMBERS), ("tiers.py", RULES)):
        (folder / name).write_text(text, encoding="utf-8")
    assert run(["plan", "parity", "--quiet"], monkeypatch) == 0
    code, found = answer(["plan", "parity", "--check"], monkeypatch, capsys)
    assert (code, found["stands"], found["expired"]) == (0, True, [])

    edit(folder / "brief.yaml", "usd: $0.001", "usd: $0.002")
    code, found = answer(["plan", "parity", "--check"], monkeypatch, capsys)
    assert (code, found["stands"]) == (3, False)
    price = {"what": "price", "name": "rules", "was": "$0.001", "now": "$0.002"}
    assert found["expired"][0] == price
    edit(folder / "brief.yaml", "usd: $0.002", "usd: $0.001")
    assert run(["plan", "parity", "--check"], monkeypatch) == 0

    edit(folder / "tiers.py", "number % 50 == 1", "number % 50 == 3")
    code, found = answer(["plan", "parity", "--check"], monkeypatch, capsys)
    assert code == 3
    assert [(one["what"], one["name"]) for one in found["expired"]] == [("version", "rules")]


def test_a_plan_from_logs_is_checked_against_its_brief(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no tier code to ask for a version, and the answer says so."""
    path, made = brief(logs.parent, "0.85"), str(logs.parent / "plan.json")
    files = ["--brief", str(path), "--out", made]
    assert run(["plan", *files, "--profile", str(logs)], monkeypatch) == 0
    code, found = answer(["plan", *files, "--check"], monkeypatch, capsys)
    assert (code, found["stands"]) == (0, True)
    assert any("not the versions" in one for one in found["checked"])

    edit(path, "large, kind: llm, usd: $0.01", "large, kind: llm, usd: $0.02")
    code, found = answer(["plan", *files, "--check"], monkeypatch, capsys)
    assert (code, found["expired"][0]["what"], found["expired"][0]["now"]) == (3, "price", "$0.02")


def test_rows_that_are_too_few_are_said_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The starter has fewer security messages than 99.5 % takes; a tier that raises comes later."""
    monkeypatch.chdir(tmp_path)
    assert run(["new", "triage"], monkeypatch) == 0
    edit(tmp_path / "triage/brief.yaml", "at_least: 0.90", "at_least: 0.995")
    (tmp_path / "triage/tiers.py").write_text("raise RuntimeError('late')\n", encoding="utf-8")

    assert run(["plan", "triage", "--quiet"], monkeypatch) == 2
    said = capsys.readouterr().err
    assert "before training: recall_security cannot be shown with these rows" in said
    assert said.index("598 without a miss") < said.index("late")
