"""What is known of a feature at a time, from its decisions and labels. All of it is synthetic."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from feasible.clock import VirtualClock
from feasible.feedback import HeadroomTracker, Watched, watch_feature
from feasible.report import watched_page, watched_parts
from feasible.schema import (
    DataUsed,
    Decision,
    Forecast,
    Label,
    LatencyForecast,
    Plan,
    PlanTier,
    TierKind,
    parse_brief,
)

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
BRIEF = parse_brief("""\
feasible: 1
name: desk
goal: {statement: Sort mail, error_usd: $4}
envelope:
  - {quality: accuracy, at_least: 0.90}
labels: {arrive_after: 2 d, per_month: 1000, usd_each: $0.5}
layers:
  features: {max_age: 1 h, when_stale: rules}
  tiers:
    - {name: model, kind: model, use: "tiers:Model", usd: $0.001}
  feedback:
    retrain: {every: 30 d, usd: $100, labels: 200, usd_per_label: $0.5}
""").brief


PLAN = Plan(
    id="plan_1",
    feature="desk",
    brief_fingerprint="",
    made_at=NOON,
    tiers=(
        PlanTier(
            name="model",
            kind=TierKind.MODEL,
            version="1",
            share=1.0,
            thresholds={"*": 0.5},
            groups={},
            calibrators={},
            latency_p50_ms=None,
            latency_p95_ms=None,
            cost_usd=0.001,
            worst_cost_usd=0.001,
        ),
    ),
    fallback={},
    deadline_ms=100.0,
    cost_each_usd=2.0,
    forecast=Forecast(
        cost_usd=None,
        cost_usd_machines=None,
        latency_ms=LatencyForecast(p50=None, p95=None, p99=None),
        quality={},
        people_share=0.0,
    ),
    certificate=(),
    data=DataUsed(name="", synthetic=True, fingerprint="", n_fit=1, n_search=1, n_cert=1, split=""),
)


def _stream(days: int, *, worse_from: int) -> tuple[list[Decision], list[Label]]:
    """300 decisions a day at P(right) .95; from a day on only three in four are right."""
    rng = np.random.default_rng(0)
    decisions, labels = [], []
    for i in range(days * 300):
        at, name = NOON + timedelta(days=i / 300), f"d{i:06d}"
        decisions.append(
            Decision(
                decision_id=name, at=at, plan="plan_1", answer="a", probability=0.95,
                tier="model", path=(), cost_nusd=1_000_000, latency_ms=1.0,
            )
        )  # fmt: skip
        right = rng.random() < (0.75 if i >= worse_from * 300 else 0.95)
        if rng.random() < 0.2:
            known = at + timedelta(days=float(rng.lognormal(0.5, 0.5)))
            labels.append(
                Label(
                    decision_id=name, value="a" if right else "b", source="human",
                    known_at=known, selection="audit",
                )
            )  # fmt: skip
    return decisions, labels


def _watched(decisions: Iterable[Decision], labels: Iterable[Label], *, now: datetime) -> Watched:
    made = [one for one in decisions if one.at <= now]
    known = [label for label in labels if label.known_at <= now]
    tracker = HeadroomTracker(BRIEF, PLAN, slices_of=lambda _: (), clock=VirtualClock(now))
    for one in made:
        tracker.add_decision(one)
    for label in known:
        tracker.add_label(label)
    return watch_feature(
        BRIEF, PLAN.id, tracker, objectives=tracker.rows(), decisions=made, labels=known,
        people=frozenset(), now=now,
    )  # fmt: skip


@pytest.fixture(scope="module")
def stream() -> tuple[list[Decision], list[Label]]:
    """40 days of decisions with their audits; the last ten are worse."""
    return _stream(40, worse_from=30)


def test_a_quiet_feature_has_an_estimate_and_no_alarm(stream: Any) -> None:
    """At day 28 one answer in twenty is wrong, and that costs what the brief says."""
    found = _watched(*stream, now=NOON + timedelta(days=28))

    (estimate,), (alarm,) = found.estimates, found.triggers
    assert estimate.tells
    assert estimate.share == pytest.approx(0.05, abs=0.015)
    assert estimate.usd_day == pytest.approx(300 * 0.05 * 4, rel=0.3)
    assert alarm.at is None
    assert alarm.moved is None
    assert alarm.false_every == 10_000
    assert alarm.detectable_days is not None


def test_a_feature_that_got_worse_alarms_while_probabilities_see_nothing(stream: Any) -> None:
    """Ten days later audits show it; the plug-in stays where it was, and says what it assumes."""
    found = _watched(*stream, now=NOON + timedelta(days=40))

    (estimate,), (alarm,) = found.estimates, found.triggers
    assert estimate.share is not None
    assert estimate.share > 0.18
    assert estimate.plug_in == pytest.approx(0.05)
    assert "cannot see new patterns" in estimate.assumes
    assert alarm.at is not None
    assert alarm.at > NOON + timedelta(days=30)
    assert alarm.since is not None
    assert abs(alarm.since - (NOON + timedelta(days=30))) < timedelta(days=2)
    assert alarm.moved is not None
    assert alarm.moved < 0.1
    text = "\n".join(str(part) for part in watched_parts(found))
    assert f"worse since about {alarm.since:%Y-%m-%d}" in text


def test_the_diagnosis_tells_of_what_moved_since_it_got_worse(stream: Any) -> None:
    """Where probabilities fell on the day that answers became worse, the gap is nearly whole."""
    decisions = [
        msgspec.structs.replace(one, probability=0.7) if one.at > NOON + timedelta(days=30) else one
        for one in stream[0]
    ]
    (alarm,) = _watched(decisions, stream[1], now=NOON + timedelta(days=40)).triggers

    assert alarm.moved is not None
    assert alarm.moved > 0.85


def test_without_an_audit_nobody_can_tell(stream: Any) -> None:
    """No label is no figure: None, and a sentence that says so."""
    found = _watched(stream[0], [], now=NOON + timedelta(days=10))

    assert found.estimates[0].share is None
    assert not found.estimates[0].tells
    text = "\n".join(str(part) for part in watched_parts(found))
    assert "cannot tell" in text


def test_upkeep_is_what_the_brief_declares_and_unknown_where_it_does_not(stream: Any) -> None:
    """$100 and 200 labels at 50 cents, once in 30 days; the price of serving is not declared."""
    upkeep = {one.layer: one for one in _watched(*stream, now=NOON + timedelta(days=5)).upkeep}

    assert upkeep["feedback"].usd_month == pytest.approx(200 * 365.25 / 12 / 30)
    assert upkeep["data"].usd_month == 500
    assert upkeep["features"].may_age_days == pytest.approx(1 / 24)
    assert upkeep["serving"].usd_month is None


def test_the_page_needs_no_network_and_no_script(stream: Any) -> None:
    """It holds to the strictest content policy: no script, no address, text is escaped."""
    page = watched_page(_watched(*stream, now=NOON + timedelta(days=40)))

    assert page.count("<svg") == 2
    assert "ALARM" in page
    for forbidden in ("<script", "http://", "https://", "src=", "@import", "url("):
        assert forbidden not in page
