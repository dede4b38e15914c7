"""What a brief says about the money of many decisions, and what a plan carries of it."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import msgspec
import pytest

from feasible.errors import BriefError
from feasible.schema import (
    DataUsed,
    Forecast,
    LatencyForecast,
    Plan,
    SpendLimit,
    brief_schema,
    dump_brief,
    parse_brief,
    spend_limits,
)

TEXT = """\
feasible: 1
name: returns
goal: {statement: Answer returns}
envelope:
  - {latency: p99, at_most: 200 ms}
  - {cost: mean, at_most: $0.004}
  - {cost: day, by: machines, at_most: $20}
  - {cost: month, on: abuse, at_most: $300}
  - {cost: each, at_most: $0.01}
  - {cost: mean, by: people, at_most: $2}
traffic: {slices: {abuse: 3 %, legal: 1 %}}
layers:
  serving:
    priority: {abuse: 30 %, legal: 0.2}
    burst: $5
"""


def test_limits_on_money_are_taken_from_the_envelope() -> None:
    """A cap per decision is no money of many; people's own cost is nobody's to spend."""
    assert spend_limits(parse_brief(TEXT).brief) == (
        SpendLimit(objective="cost_mean", per="decision", limit_usd=0.004, burst_usd=5.0),
        SpendLimit(objective="cost_day_machines", per="day", limit_usd=20.0, without_people=True),
        SpendLimit(objective="cost_month_abuse", per="month", limit_usd=300.0, on="abuse"),
    )


def test_priority_and_burst_survive_write_and_read() -> None:
    """And editors know them."""
    brief = parse_brief(TEXT).brief
    assert parse_brief(dump_brief(brief)).brief == brief
    keys = brief_schema()["$defs"]["ServingLayer"]["properties"]
    assert {"priority", "burst"} <= keys.keys()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("abuse: 30 %,", "abus: 30 %,", r"brief.yaml:14: .*priority.abus: .*did you mean 'abuse'"),
        ("abuse: 30 %,", "abuse: 0 %,", r"brief.yaml:14: .*priority.abuse: .*above 0"),
        ("abuse: 30 %,", "abuse: 90 %,", r"brief.yaml:14: .*all shares together .* found 1.1"),
        ("burst: $5", "burst: $-5", r"brief.yaml:15: .*burst"),
        ("burst: $5", "burst: 5", r"brief.yaml:15: .*burst"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_line(old: str, new: str, told: str) -> None:
    """The first mistake is named with its place."""
    with pytest.raises(BriefError) as caught:
        parse_brief(TEXT.replace(old, new))
    assert re.search(told, f"{caught.value.where}: {caught.value.message}")


@pytest.mark.parametrize("key", ["priority: {abuse: 30 %}", "burst: $5"])
def test_shares_of_no_money_are_refused(key: str) -> None:
    """There must be a promise to share."""
    lines = [line for line in TEXT.splitlines() if "cost: " not in line]
    text = "\n".join(lines[: lines.index("  serving:") + 1]) + f"\n    {key}\n"
    with pytest.raises(BriefError, match=r"promise|promised"):
        parse_brief(text)


def _plan() -> Plan:
    unknown = LatencyForecast(p50=None, p95=None, p99=None)
    return Plan(
        id="",
        feature="small",
        brief_fingerprint="none",
        made_at=datetime(2026, 12, 1, tzinfo=UTC),
        tiers=(),
        fallback={"b": "x", "a": "y"},
        deadline_ms=None,
        cost_each_usd=None,
        forecast=Forecast(
            cost_usd=None, cost_usd_machines=None, latency_ms=unknown, quality={}, people_share=0.0
        ),
        certificate=(),
        data=DataUsed(
            name="none", synthetic=True, fingerprint="", n_fit=0, n_search=0, n_cert=0, split=""
        ),
    )


def test_a_plan_without_limits_keeps_the_id_it_had_before_there_were_any() -> None:
    """Old files still are what their id names, and what is declared is part of the id."""
    plan = _plan().with_id()
    before = msgspec.json.encode(msgspec.structs.replace(plan, id=""), order="deterministic")
    before = before.replace(b',"spend":[],"priority":{},"not_promised":[]', b"")
    assert plan.id == f"plan_{hashlib.sha256(before).hexdigest()[:16]}"

    capped = msgspec.structs.replace(
        plan, spend=(SpendLimit(objective="cost_day", per="day", limit_usd=1.0),)
    )
    assert capped.with_id().id != plan.id
    again = msgspec.json.decode(msgspec.json.encode(capped.with_id()), type=Plan)
    assert again.with_id().id == capped.with_id().id
