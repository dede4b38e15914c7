"""What a decision costs, against sums done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from feasible.schema import AnsweredBy, Brief, parse_brief
from feasible.simulation import cost_lines, middles, sheet

TEXT = """
feasible: 1
name: x
goal: {statement: x}
envelope:
  - {cost: mean, at_most: $0.01}
traffic: {rate: 10 / s, peak: 4x}
labels: {per_month: 2000, usd_each: 0.50, source: human}
layers:
  data: {usd_month: $263}
  tiers:
    - {name: rules, kind: rules, usd: $0.001}
    - {name: small, kind: model, usd_hour: $0.90, reach: 50 %, capacity: 8 / s}
    - {name: llm, kind: llm, usd: $0.004, reach: 10 %, retries: 1, retry_budget: 10 %}
    - {name: person, kind: person, usd: $2, reach: 0.1 %}
  serving: {workers: 2, usd_hour: $0.18}
  feedback: {retrain: {every: 30 d, usd: $30}}
"""
MONTH_S = 365.25 / 12 * 86_400


def lines(text: str = TEXT, by: AnsweredBy = AnsweredBy.ALL) -> Any:
    """Give the cost lines of a brief as plain numbers."""
    brief: Brief = parse_brief(text).brief
    found = cost_lines(brief, middles(sheet(brief), brief), by=by)
    return None if found is None else {name: float(np.ravel(v)[0]) for name, v in found.items()}


def test_every_term_is_a_line_of_its_own() -> None:
    """Calls by reach, replicas for the peak, people, and what is paid by the month.

    By hand: 10 / s are 36,000 an hour; the peak sends 20 / s to `small`, which takes 3 replicas.
    """
    found = lines()

    assert found == {
        "rules": pytest.approx(0.001),
        "small": pytest.approx(3 * 0.90 / 36_000),
        "llm": pytest.approx(0.0004),
        "llm, retries at most": pytest.approx(0.00004),
        "person": pytest.approx(0.002),
        "data": pytest.approx(263 / (10 * MONTH_S)),
        "serving": pytest.approx(2 * 0.18 / 36_000),
        "retrain": pytest.approx(30 / (30 * 86_400 * 10)),
        "labels": pytest.approx(1000 / (10 * MONTH_S)),
    }


def test_people_are_left_out_of_what_machines_cost() -> None:
    """And machines, retraining and labels out of what people cost."""
    machines, people = lines(by=AnsweredBy.MACHINES), lines(by=AnsweredBy.PEOPLE)

    assert machines is not None
    assert "person" not in machines
    assert people == {"person": pytest.approx(0.002)}


@pytest.mark.parametrize("stated", ["usd: $0.004, ", "reach: 10 %, "])
def test_what_is_not_stated_is_not_free(stated: str) -> None:
    """Without a price or a reach there is no sum."""
    assert lines(TEXT.replace(stated, "", 1)) is None


def test_labels_that_come_by_themselves_cost_what_retraining_buys() -> None:
    """600 labels of $0.50 in 30 days, when outcomes are the source."""
    text = TEXT.replace("source: human", "source: outcome").replace(
        "usd: $30", "usd: $30, labels: 600, usd_per_label: $0.50"
    )

    found = lines(text)

    assert found is not None
    assert found["labels"] == pytest.approx(300 / (30 * 86_400 * 10))
