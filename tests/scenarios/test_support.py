"""The support system on its own corpus and on public data, from its brief to its certificate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from feasible import loop
from feasible.cli import open_feature
from feasible.schema import PlanReport
from feasible.systems.support.data import HIGH_RISK, OUT_OF_SCOPE, examples


def plan(data: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> PlanReport:
    """Plan the support system in an empty folder."""
    monkeypatch.chdir(folder)
    return loop.plan(open_feature("support"), data=data)


def test_the_corpus_has_its_intents_and_no_line_twice() -> None:
    """43 intents with at least 40 lines each, 8 of them high-risk, and 160 lines out of scope."""
    rows = examples().examples
    count = Counter(row.label for row in rows)

    assert len(count) == 44
    assert count.pop(OUT_OF_SCOPE) == 160
    assert min(count.values()) >= 40
    assert HIGH_RISK["corpus"] <= set(count)
    assert len({row.request["text"].casefold() for row in rows}) == len(rows)


@pytest.mark.slow
def test_the_corpus_is_planned_and_everything_but_evidence_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every promise is certified, or the only thing missing is labelled rows."""
    report = plan(None, tmp_path, monkeypatch)

    assert report.feasible or (report.infeasible and report.infeasible.kind == "evidence")
    held = {line.objective: line.holds for line in report.certificate}
    assert held["accuracy_in_scope"]
    assert held["accuracy_in_scope_machines"]
    assert held["latency_p99_machines"]
    assert "simulated_llm" in [left.tier for left in report.left_out]


@pytest.mark.data
@pytest.mark.slow
def test_banking77_is_judged_by_its_published_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All 3,080 published test rows judge, 240 of them high-risk, and accuracy holds."""
    report = plan("banking77", tmp_path, monkeypatch)

    lines = {line.objective: line for line in report.certificate}
    assert lines["accuracy_in_scope"].n == 3080
    assert lines["recall_high_risk"].n == 240
    assert lines["accuracy_in_scope"].holds
    assert lines["people_reviews_in_scope"].holds
