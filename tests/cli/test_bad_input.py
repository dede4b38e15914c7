"""Bad input at the command line: exit code 2, and an error that says what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from feasible.cli import main


def run(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["feasible", *argv])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.fixture
def feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new feature folder in an empty place."""
    monkeypatch.chdir(tmp_path)
    assert run(["new", "triage"], monkeypatch) == 0
    return tmp_path / "triage"


def edit(path: Path, written: str, instead: str) -> None:
    """Replace text in a file; it must be there."""
    text = path.read_text(encoding="utf-8")
    assert written in text
    path.write_text(text.replace(written, instead, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("written", "instead", "reason"),
    [
        ("traffic:", "trafic:", "did you mean `traffic`"),
        ("200 ms}", "200}", "has no unit"),
        ("at_least: 0.85", "at_least: 8.5", "a share is at most 1"),
        ("on: security", "on: securty", "did you mean 'security'"),
        ('use: "tiers:rules"', 'use: "tiers:ruls"', "tiers has no 'ruls'"),
        ("usd: $0.00001", "usd: $-1", "at least $0"),
    ],
)
def test_a_mistake_in_the_brief_names_its_line(
    feature: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    written: str,
    instead: str,
    reason: str,
) -> None:
    """The error has the file, the line and the nearest valid name."""
    edit(feature / "brief.yaml", written, instead)

    assert run(["plan", "triage", "--quiet"], monkeypatch) == 2
    said = capsys.readouterr().err
    assert "brief.yaml:" in said
    assert reason in said


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def examples():\n    return []\n", "yielded no rows"),
        ("def examples():\n    return [{'text': t, 'label': 'a'} for t in 'xyz']\n", "same label"),
        (
            "def examples():\n    return [{'id': 1, 'text': t, 'label': t} for t in 'xyz']\n",
            "stands 3 times",
        ),
        ("def examples():\n    return [{'txt': 'a', 'label': 'a'}]\n", "unknown key 'txt'"),
        ("import nothing_of_that_name\n", "does not import"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(
    feature: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: str,
    reason: str,
) -> None:
    """Empty, one-class and duplicate rows are named."""
    (feature / "data.py").write_text(code, encoding="utf-8")

    assert run(["plan", "triage", "--quiet"], monkeypatch) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise RuntimeError('boom')", "boom"),
        ("return 'no_such_team'", "no_such_team"),
    ],
)
def test_a_tier_that_misbehaves_is_named(
    feature: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    body: str,
    reason: str,
) -> None:
    """A tier that raises or answers an unknown label stops the plan with its name."""
    (feature / "tiers.py").write_text(f"def rules(request):\n    {body}\n", encoding="utf-8")

    assert run(["plan", "triage", "--quiet"], monkeypatch) == 2
    said = capsys.readouterr().err
    assert "rules" in said
    assert reason in said


def test_a_tier_that_answers_too_few_rows_is_named(
    feature: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch of answers has the length of its batch of requests."""
    (feature / "tiers.py").write_text(
        "class rules:\n    def answer(self, batch):\n        return []\n", encoding="utf-8"
    )

    assert run(["plan", "triage", "--quiet"], monkeypatch) == 2
    assert "gave 0 answers to" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tier_that_hangs_is_named(
    feature: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan does not wait for ever: after a minute the tier is to blame."""
    (feature / "tiers.py").write_text(
        "import threading\n\n\ndef rules(request):\n    threading.Event().wait()\n",
        encoding="utf-8",
    )

    assert run(["plan", "triage", "--quiet"], monkeypatch) == 2
    said = capsys.readouterr().err
    assert "rules" in said
    assert "timeout" in said


def test_a_slice_that_no_row_has_is_named(
    feature: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A promise on nothing cannot be judged, and is not passed over."""
    edit(
        feature / "data.py", 'return {"security"} if label == "security" else set()', "return set()"
    )

    assert run(["plan", "triage", "--quiet"], monkeypatch) == 2
    said = capsys.readouterr().err
    assert "security" in said
    assert "  try" in said


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["a,small,0,nan", "b,small,1,0.1"], "cost_usd"),
        (["a,small,0,-0.1", "b,small,1,0.1"], "cost_usd"),
        (["a,small,0,0.1", "a,small,1,0.1"], "stands 2 times"),
        (["a,small,0,0.1", "b,small,1.5,0.1"], "loss"),
        ([], "rows"),
    ],
    ids=["NaN cost", "negative cost", "a row twice", "a loss above 1", "no rows"],
)
def test_logged_outcomes_that_cannot_be_used_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: list[str],
    reason: str,
) -> None:
    """Money is never guessed, and a row is counted once."""
    profile, brief = tmp_path / "log.csv", tmp_path / "brief.yaml"
    profile.write_text("\n".join(["row_id,tier,loss,cost_usd", *lines]) + "\n", encoding="utf-8")
    brief.write_text(
        "feasible: 1\nname: log\ngoal: {statement: Answer}\n"
        "envelope:\n  - {quality: accuracy, at_least: 0.8, confidence_level: 0.95}\n",
        encoding="utf-8",
    )

    assert run(["plan", "--brief", str(brief), "--profile", str(profile)], monkeypatch) == 2
    assert reason in capsys.readouterr().err


def test_a_new_feature_can_be_planned_at_once(
    feature: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`feasible new x` then `feasible plan x` certifies every promise and writes the plan."""
    assert run(["plan", "triage", "--quiet", "--json"], monkeypatch) == 0
    assert '"feasible": true' in capsys.readouterr().out
    assert (feature / ".feasible" / "plan.json").is_file()


def test_a_folder_that_is_there_is_not_overwritten(
    feature: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is lost."""
    assert run(["new", "triage"], monkeypatch) == 2
    assert "is there already" in capsys.readouterr().err
    assert (feature / "brief.yaml").is_file()


def test_an_unknown_feature_offers_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`suport` is close to `support`."""
    monkeypatch.chdir(tmp_path)

    assert run(["plan", "suport"], monkeypatch) == 2
    assert "support" in capsys.readouterr().err


def test_an_edited_plan_is_refused(
    feature: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan's id is the hash of its content."""
    assert run(["plan", "triage", "--quiet", "--out", "p.json"], monkeypatch) == 0
    edit(Path("p.json"), '"deadline_ms": 200.0', '"deadline_ms": 900.0')

    assert run(["backtest", "p.json", "--profile", "x.parquet"], monkeypatch) == 2
    assert "was changed after it was made" in capsys.readouterr().err
    assert feature.is_dir()


@pytest.mark.slow
def test_a_plan_that_does_not_hold_any_more_is_not_served(
    feature: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was shown before is put aside once a promise cannot be shown; nothing is lost."""
    assert run(["plan", "triage", "--quiet"], monkeypatch) == 0
    edit(feature / "brief.yaml", "accuracy, at_least: 0.85", "accuracy, at_least: 0.9999")

    assert run(["plan", "triage", "--quiet"], monkeypatch) in {3, 4}
    assert run(["serve", "triage", "--port", "0"], monkeypatch) == 2
    assert "no plan" in capsys.readouterr().err
    assert (feature / ".feasible" / "plan.superseded.json").is_file()


def test_a_plan_that_does_not_hold_is_not_written_and_an_older_one_is_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands at --out holds; what stood there before is told and kept."""
    monkeypatch.chdir(tmp_path)
    head = "feasible: 1\nname: x\ngoal: {statement: s}\nenvelope: "
    for name, limit in (("easy", "0.5"), ("hard", "0.97")):
        text = f"{head}[{{quality: accuracy, at_least: {limit}}}]\n"
        Path(f"{name}.yaml").write_text(text, encoding="utf-8")
    lines = ["row_id,tier,loss,latency_ms,cost_usd"]
    lines += [f"{i},small,{int(i % 20 == 0)},1,0.01" for i in range(200)]
    Path("p.csv").write_text("\n".join(lines), encoding="utf-8")
    rest = ["--profile", "p.csv", "--out", "plan.json", "--quiet"]

    assert run(["plan", "--brief", "hard.yaml", *rest], monkeypatch) in {3, 4}
    assert not Path("plan.json").exists()
    assert run(["plan", "--brief", "easy.yaml", *rest], monkeypatch) == 0
    written = Path("plan.json").read_bytes()
    capsys.readouterr()

    assert run(["plan", "--brief", "hard.yaml", *rest], monkeypatch) in {3, 4}
    assert not Path("plan.json").exists()
    assert Path("plan.superseded.json").read_bytes() == written
    assert "put aside as plan.superseded.json" in capsys.readouterr().err


def test_a_data_set_beside_logged_outcomes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be ignored: the rows are those of the profile."""
    monkeypatch.chdir(tmp_path)

    files = ["--brief", "b.yaml", "--profile", "p.csv", "--data", "banking77"]
    assert run(["plan", *files], monkeypatch) == 2
    assert "--data banking77 without a feature" in capsys.readouterr().err


def test_a_review_is_printed_in_one_form(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two that exclude each other are refused instead of one being dropped in silence."""
    assert run(["review", "support", "--json", "--sarif"], monkeypatch) == 2
    said = capsys.readouterr().err
    assert "--json and --sarif" in said
    assert "feasible review support --json" in said


@pytest.mark.parametrize(("argv", "first"), [(["explain"], "fine-tuning"), (["practice"], "fraud")])
def test_a_list_is_one_json_document_too(
    argv: list[str],
    first: str,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """`--json` holds for the list that comes without an argument."""
    assert run([*argv, "--json"], monkeypatch) == 0
    listed = json.loads(capsysbinary.readouterr().out)
    assert first in {one if isinstance(one, str) else one["name"] for one in listed}
