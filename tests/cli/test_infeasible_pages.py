"""The page on infeasible answers: its three briefs, and every offer that the program makes."""

from __future__ import annotations

import csv
import itertools
import json
import re
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from feasible.cli import main

PAGE = (Path(__file__).parents[2] / "docs/how-to/read-an-infeasible-answer.md").read_text(
    encoding="utf-8"
)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(block[1], block[2]) for block in FENCE.finditer(PAGE)]
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
MONTH_DAYS = 365.25 / 12


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page, as its reader writes them: briefs, then what its Python writes."""
    folder = tmp_path_factory.mktemp("page")
    for language, text in BLOCKS:
        if language == "yaml" and (name := re.match(r"# ([\w-]+\.yaml)\n", text)):
            (folder / name[1]).write_text(text, encoding="utf-8")
    code = "\n".join(text for language, text in BLOCKS if language == "python")
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, check=True)
    return folder


@pytest.fixture
def folder(written: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the place where commands run, in a terminal of 80 columns."""
    monkeypatch.chdir(written)
    monkeypatch.setenv("COLUMNS", "80")
    return written


def printed(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Run the command line; give its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", ["feasible", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0), capsys.readouterr().out


def plan(
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    profile: str = "outcomes.csv",
) -> tuple[int, Any]:
    """Plan a brief; give the exit code and the answer."""
    Path("brief.yaml").write_text(text, encoding="utf-8")
    words = ["plan", "--brief", "brief.yaml", "--profile", profile, "--json"]
    code, out = printed(words, monkeypatch, capsys)
    return code, json.loads(out)


def typed(value: float, unit: str) -> str:
    """Write a limit as a brief has it."""
    units = {"ratio": f"{value * 100:.9g} %", "usd": f"${value:.9g}", "ms": f"{value:.9g} ms"}
    return units[unit]


def instead(text: str, old: str, new: str) -> str:
    """Replace what occurs once."""
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("name", "exit_code", "kind", "binding"),
    [
        ("too-fast.yaml", 3, "structural", ["latency_p95"]),
        ("too-few.yaml", 4, "evidence", ["accuracy_outage"]),
        ("too-cheap.yaml", 3, "tradeoff", ["cost_mean", "accuracy"]),
    ],
)
def test_an_infeasible_brief_is_told_by_kind_and_every_offer_plans_when_taken(
    name: str,
    exit_code: int,
    kind: str,
    binding: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One number of the brief is edited for each offer, and the exit code is 0 for every one."""
    text = (folder / name).read_text(encoding="utf-8")
    code, found = plan(text, monkeypatch, capsys)
    why = found["infeasible"]

    assert (code, found["feasible"], found["plan"]) == (exit_code, False, None)
    assert (why["kind"], why["binding"]) == (kind, binding)
    assert [offer["objective"] for offer in why["relaxations"]] == binding
    for offer in why["relaxations"]:
        was, to = (typed(offer[end], offer["unit"]) for end in ("from", "to"))
        code, again = plan(instead(text, f": {was}", f": {to}"), monkeypatch, capsys)
        limits = {line["objective"]: line["limit"] for line in again["certificate"]}
        assert (code, again["feasible"], again["infeasible"]) == (0, True, None), offer
        assert all(line["holds"] for line in again["certificate"]), offer
        assert limits[offer["objective"]] == pytest.approx(offer["to"], rel=1e-9)


def test_of_promises_that_conflict_each_is_kept_without_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The set that is named is a smallest one: whichever is left out, the rest plans."""
    text = (folder / "too-cheap.yaml").read_text(encoding="utf-8")
    _, found = plan(text, monkeypatch, capsys)
    first = found["infeasible"]["because"][0]

    assert first.startswith("cost_mean and accuracy conflict: ")
    for line in ("  - {cost: mean, at_most: $0.002}\n", "  - {quality: accuracy, at_least: 93 %"):
        rest = "".join(one for one in text.splitlines(keepends=True) if not one.startswith(line))
        assert rest != text
        code, again = plan(rest, monkeypatch, capsys)
        assert (code, again["feasible"]) == (0, True), rest


def test_labels_that_are_missing_are_counted_and_dated_and_the_rest_is_planned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Source: 1 - .05 ** (1 / 299) < 1 %; 279 rows at 60 and at 40 a month, and three days."""
    text = (folder / "too-few.yaml").read_text(encoding="utf-8")
    _, found = plan(text, monkeypatch, capsys)
    why = found["infeasible"]
    days = [
        (date.fromisoformat(why[key]) - datetime.now(UTC).date()).days
        for key in ("earliest_date", "latest_date")
    ]

    assert why["labels_needed"] == {"accuracy_outage": 299 - 20}
    expected = [279 / per_month * MONTH_DAYS + 3 for per_month in (60, 40)]
    assert days == pytest.approx(expected, abs=2)  # whole days, and midnight may pass
    held = {line["objective"]: line["holds"] for line in found["fallback_plan"]["certificate"]}
    assert held == {"cost_mean": True, "accuracy": True, "accuracy_outage": False}


@pytest.mark.parametrize(("more", "exit_code"), [(278, 4), (279, 0)])
def test_a_promise_is_shown_once_the_labels_that_were_missing_are_there(
    more: int,
    exit_code: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """20 outages judge; with 279 more, marked `test`, the promise is kept, and not with 278."""
    with (folder / "outcomes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["split"] = "test" if int(row["row_id"]) // 60 % 5 < 2 else "train"
    outages = [row for row in rows if row["row_id"] == "0"]
    rows += [{**row, "row_id": f"new {i}"} for i in range(more) for row in outages]
    with (folder / "later.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    text = (folder / "too-few.yaml").read_text(encoding="utf-8")
    overall = "  - {quality: accuracy, at_least: 90 %, confidence_level: 0.95}\n"

    text = instead(text, overall, "")
    code, found = plan(text, monkeypatch, capsys, profile="later.csv")
    (line,) = [one for one in found["certificate"] if one["objective"] == "accuracy_outage"]

    assert (code, line["n"], line["misses"]) == (exit_code, 20 + more, 0)


@pytest.mark.usefixtures("folder")
def test_what_the_page_shows_is_what_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line that is not left out by `...`, in order and without a gap, but for the day."""
    shown = [
        (console.removeprefix("$ feasible ").split(), text)
        for (language, console), (after, text) in itertools.pairwise(BLOCKS)
        if (language, after) == ("console", "text")
    ]
    assert len(shown) == 7
    for words, text in shown:
        _, out = printed(words, monkeypatch, capsys)
        lines = [DATE.sub("DAY", line.rstrip()) for line in out.splitlines()]
        left, said = "\n".join(["", *lines, ""]), f"{' '.join(words)} printed\n{out}"
        first, *others = DATE.sub("DAY", text).split("...\n")
        assert left.startswith(f"\n{first}"), said
        left = left.removeprefix(f"\n{first}".removesuffix("\n"))
        for part in others:
            _, found, left = left.partition(f"\n{part}".removesuffix("\n") + "\n")
            assert found, said
            left = f"\n{left}"
        assert not left.strip() or text.endswith("...\n"), said


def test_the_page_takes_every_offer_that_it_shows() -> None:
    """What its script edits is what the answers above it offer."""
    offered = re.findall(r"would hold: \w+ (.+) -> (.+) \(planned again: holds\)", PAGE)
    limit = r'"at_(?:most|least): ([^"]+)"'
    (script,) = [text for language, text in BLOCKS if language == "python" and "promised" in text]

    assert len(offered) == 4
    assert re.findall(f"{limit}, {limit}", textwrap.dedent(script)) == offered
