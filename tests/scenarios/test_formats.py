"""Three formats of one model as three tiers: planned over, compared, and paid for by their time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feasible import loop
from feasible.errors import EngineMissing
from feasible.folder import open_folder
from feasible.planning import compare_formats, formats_of, hourly_prices, profile_tiers
from feasible.registry import weights

BRIEF = """\
feasible: 1
name: formats
goal: {statement: Answer with the intent}
envelope:
  - {latency: p95, at_most: 500 ms}
  - {cost: mean, at_most: $0.50}
  - {quality: accuracy, at_least: 0.80, confidence_level: 0.95}
layers:
  tiers:
    - {name: int8, kind: model, use: "feasible.tiers:MiniLMHead", options: {precision: int8}, model: all-MiniLM-L6-v2}
    - {name: fp16, kind: model, use: "feasible.tiers:MiniLMHead", options: {precision: fp16}, model: all-MiniLM-L6-v2}
    - {name: fp32, kind: model, use: "feasible.tiers:MiniLMHead", options: {precision: fp32}, model: all-MiniLM-L6-v2}
    - {name: person, kind: person, error_rate: 0 %, usd: $1.50}
  serving: {usd_hour: $0.36, fallback: {default: person}}
"""  # noqa: E501  as a brief is written
DATA = """\
from feasible.systems.support.data import examples as all_rows

KEPT = {"card_reader_setup", "tax_form", "account_takeover", "report_export", "phishing_report"}


def examples():
    return [row for row in all_rows().examples if row.label in KEPT]
"""


@pytest.mark.slow
def test_the_planner_chooses_between_three_formats(tmp_path: Path) -> None:
    """Each is a tier like any other: measured, certified, and stored under its own version."""
    (tmp_path / "brief.yaml").write_text(BRIEF, encoding="utf-8")
    (tmp_path / "data.py").write_text(DATA, encoding="utf-8")
    feature = open_folder(tmp_path)
    try:
        for name in ("minilm", "minilm-fp16", "minilm-fp32"):
            weights(name)
    except EngineMissing as error:
        pytest.skip(f"the weights of MiniLM cannot be fetched here: {error.found}")

    report = loop.plan(feature)

    assert report.feasible, report.infeasible
    assert report.plan is not None
    assert {step.name for step in report.plan.tiers} & {"int8", "fp16", "fp32"}
    assert not {left.tier for left in report.left_out} & {"int8", "fp16", "fp32"}


@pytest.mark.slow
def test_what_int8_saves_is_told_with_intervals_and_paid_by_time(tmp_path: Path) -> None:
    """0.36 dollars an hour are 1e-7 a millisecond, and the comparison is in pairs of rows."""
    (tmp_path / "brief.yaml").write_text(BRIEF, encoding="utf-8")
    (tmp_path / "data.py").write_text(DATA, encoding="utf-8")
    feature = open_folder(tmp_path)
    rows = feature.dataset()
    try:
        profiled = profile_tiers(
            feature.tiers(loop.label_set(rows)),
            rows.examples,
            labels=loop.label_set(rows),
            loss=feature.loss(),
            usd_hour=hourly_prices(feature.brief),
        )
    except EngineMissing as error:
        pytest.skip(f"the weights of MiniLM cannot be fetched here: {error.found}")
    profile = profiled.profile
    versions = {profiled.fitted[name].version for name in ("int8", "fp16", "fp32")}

    formats = formats_of(feature.brief, profile)
    found = {c.format.tier: c for c in compare_formats(profile, formats["all-MiniLM-L6-v2"])}

    assert len(versions) == 3
    assert formats == {"all-MiniLM-L6-v2": ("int8", "fp16", "fp32")}
    np.testing.assert_allclose(profile.cost_usd[:, :3], profile.latency_ms[:, :3] * 1e-7)
    saved, cheaper = found["int8"].latency_saved, found["int8"].cost_saved_usd
    assert saved is not None
    assert cheaper is not None
    assert saved.low < saved.value < saved.high
    assert cheaper.low < cheaper.value < cheaper.high
    assert profile.is_test is not None
    assert found["int8"].n_judged == found["int8"].n_timed == int(profile.is_test.sum())
