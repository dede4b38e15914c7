"""The support system on its own corpus and on public data, from its brief to its certificate."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from feasible import loop
from feasible.schema import PlanReport
from feasible.systems import open_feature
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
def test_every_promise_is_certified_on_the_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo's own plan holds, without a word of the simulated LLM in it."""
    report = plan(None, tmp_path, monkeypatch)

    assert report.feasible, report.infeasible
    assert all(line.holds for line in report.certificate)
    assert "simulated_llm" in [left.tier for left in report.left_out]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "in_scope", "high_risk"), [("banking77", 3080, 240), ("clinc150", 4500, 150)]
)
def test_every_promise_is_certified_on_a_published_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, in_scope: int, high_risk: int
) -> None:
    """All published test rows judge, and they are used for nothing else."""
    report = plan(data, tmp_path, monkeypatch)

    lines = {line.objective: line for line in report.certificate}
    assert lines["accuracy_in_scope"].n == in_scope
    assert lines["recall_high_risk"].n == high_risk
    assert report.feasible, report.infeasible
    assert all(line.holds for line in lines.values())
