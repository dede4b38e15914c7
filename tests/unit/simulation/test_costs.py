"""What a decision costs, against sums done by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from feasible.schema import AnsweredBy, Brief, parse_brief
from feasible.simulation import Tokens, cost_lines, middles, sheet
from feasible.simulation.costs import cadence_curve, context_curve

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

    By hand: 10 / s are 36,000 an hour; the peak sends 20 / s to `small`, which takes 3 replicas,
    of which 5 / s keep 5/8 of one busy.
    """
    found = lines()

    assert found == {
        "rules": pytest.approx(0.001),
        "small": pytest.approx(5 / 8 * 0.90 / 36_000),
        "small, idle": pytest.approx((3 - 5 / 8) * 0.90 / 36_000),
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


def test_a_conversation_costs_more_than_linearly_in_its_turns() -> None:
    """By hand: 8 turns of 100 tokens, each sending 50 more for every turn before: 800 + 50 * 28."""
    tokens = Tokens(
        reads=100.0, writes=10.0, turn_tokens=50.0, prefix=20.0, usd_read=1e-6, usd_write=2e-6
    )

    one, eight = context_curve(tokens, turns=(1, 8))

    assert one["usd"] == pytest.approx(120e-6 + 20e-6)
    assert eight["reads"] == pytest.approx(800 + 50 * 28 + 8 * 20)
    assert eight["usd"] == pytest.approx((2200 + 160) * 1e-6 + 160e-6)
    assert eight["usd_turn"] > 2 * one["usd_turn"]


def test_a_prefix_that_the_vendor_has_read_is_cheaper() -> None:
    """Only the prefix has the lower price."""
    dear = Tokens(reads=100.0, writes=0.0, prefix=900.0, usd_read=1e-6)
    cheap = Tokens(reads=100.0, writes=0.0, prefix=900.0, usd_read=1e-6, usd_cached=1e-7)

    assert context_curve(dear, turns=(1,))[0]["usd"] == pytest.approx(1000e-6)
    assert context_curve(cheap, turns=(1,))[0]["usd"] == pytest.approx(100e-6 + 90e-6)


def cadence(brief: Brief, decay_per_day: float | None) -> Any:
    """Give what retraining costs by how often, at the brief's own numbers."""
    return cadence_curve(brief, middles(sheet(brief), brief), decay_per_day=decay_per_day)


def test_the_best_time_between_retrainings_is_the_lot_size() -> None:
    """By hand: $30 once, 864,000 decisions a day, 0.1 % of them worse by $5 each day."""
    brief = parse_brief(TEXT.replace("statement: x", "statement: x, error_usd: 5")).brief

    found = cadence(brief, 0.001)

    assert found is not None
    assert found["usd_once"] == 30
    assert found["every_days"] == 30
    assert found["best_every_days"] == pytest.approx((2 * 30 / (0.005 * 864_000)) ** 0.5)
    monthly = next(line for line in found["curve"] if line["every_days"] == 30)
    assert monthly["usd_each_retraining"] == pytest.approx(30 / (864_000 * 30))
    assert monthly["usd_each_lost"] == pytest.approx(0.005 * 15)
    assert monthly["usd_each"] == pytest.approx(30 / (864_000 * 30) + 0.075)


def test_without_a_decay_nobody_knows_the_best_time() -> None:
    """What retraining costs is known; what waiting costs is not, and stays unknown."""
    found = cadence(parse_brief(TEXT).brief, None)

    assert found is not None
    assert found["best_every_days"] is None
    assert {line["usd_each_lost"] for line in found["curve"]} == {None}
    assert cadence(parse_brief(TEXT.replace(", usd: $30", "")).brief, 0.1) is None
