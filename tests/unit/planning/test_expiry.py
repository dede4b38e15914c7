"""When a certificate expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from feasible.planning.expiry import check_plan
from feasible.report import check_text
from feasible.schema import (
    Brief,
    CertificateLine,
    DataUsed,
    Expired,
    Forecast,
    LatencyForecast,
    Plan,
    PlanTier,
    TierKind,
    brief_fingerprint,
    dump_brief,
    parse_brief,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = """\
feasible: 1
name: desk
goal: {statement: Answer}
envelope: [{quality: accuracy, at_least: 90 %}]
layers:
  tiers:
    - {name: small, kind: model, usd: $0.001}
    - {name: person, kind: person, usd: $1}
  feedback: {retrain: {every: 30 d}}
"""


def brief(written: str = "", instead: str = "") -> Brief:
    """Make the brief, with one thing changed."""
    assert written in TEXT
    return parse_brief(TEXT.replace(written, instead, 1) if written else TEXT).brief


def plan(made_for: Brief, *, days_ago: float = 1.0) -> Plan:
    """Make a plan of two tiers."""
    nothing = LatencyForecast(p50=None, p95=None, p99=None)
    steps = [("small", TierKind.MODEL, "v1"), ("person", TierKind.PERSON, "v7")]
    return Plan(
        id="",
        feature="desk",
        brief_fingerprint=brief_fingerprint(made_for),
        made_at=NOW - timedelta(days=days_ago),
        tiers=tuple(
            PlanTier(
                name=name,
                kind=kind,
                version=version,
                share=0.5,
                thresholds={"*": 0.5},
                groups={},
                calibrators={},
                latency_p50_ms=None,
                latency_p95_ms=None,
                cost_usd=None,
                worst_cost_usd=None,
            )
            for name, kind, version in steps
        ),
        fallback={},
        deadline_ms=None,
        cost_each_usd=None,
        forecast=Forecast(
            cost_usd=None, cost_usd_machines=None, latency_ms=nothing, quality={}, people_share=0.5
        ),
        certificate=(),
        data=DataUsed(
            name="rows", synthetic=False, fingerprint="", n_fit=1, n_search=1, n_cert=1, split=""
        ),
        brief_yaml=dump_brief(made_for),
    ).with_id()


SAME = {"small": "v1", "person": "v7"}


def test_a_certificate_stands_while_nothing_has_changed() -> None:
    """The same brief, the same versions, younger than the brief's retraining."""
    found = check_plan(plan(brief()), brief(), SAME, now=NOW)

    assert found.stands
    assert found.expired == ()
    assert len(found.checked) == 3


def test_a_plan_that_never_held_does_not_stand() -> None:
    """A line that was not shown when the plan was made has nothing to expire."""
    line = CertificateLine(
        objective="accuracy",
        limit=0.9,
        unit="ratio",
        is_ceiling=False,
        value=0.92,
        bound=0.88,
        n=100,
        misses=8,
        confidence_level=0.95,
        method="exact binomial",
        assumption="",
        holds=False,
    )
    never = msgspec.structs.replace(plan(brief()), certificate=(line,)).with_id()
    found = check_plan(never, brief(), SAME, now=NOW)

    assert not found.stands
    assert found.expired[0] == Expired(
        what="promise", name="accuracy", was="promised", now="not shown"
    )
    assert "NEVER HELD" in check_text(found)


def test_a_changed_version_and_a_missing_tier_are_named() -> None:
    """What was and what is now."""
    found = check_plan(plan(brief()), brief(), {"small": "v2"}, now=NOW)

    assert not found.stands
    assert found.expired == (
        Expired(what="version", name="small", was="v1", now="v2"),
        Expired(what="tier", name="person", was="v7", now="not there"),
    )


def test_versions_that_nobody_can_ask_are_said_to_be_unchecked() -> None:
    """A plan from logs has no tier code: that is no reason to expire, and no silence either."""
    found = check_plan(plan(brief()), brief(), None, now=NOW)

    assert found.stands
    assert any("not the versions" in one for one in found.checked)


def test_a_changed_price_is_named_before_the_brief_it_is_in() -> None:
    """The first reason is the one a person looks for."""
    found = check_plan(plan(brief()), brief("$0.001", "$0.002"), SAME, now=NOW)

    assert found.expired[0] == Expired(what="price", name="small", was="$0.001", now="$0.002")
    assert found.expired[-1].name == "fingerprint"


def test_a_changed_promise_is_named() -> None:
    """A new floor was never certified."""
    found = check_plan(plan(brief()), brief("90 %", "95 %"), SAME, now=NOW)

    assert Expired(what="brief", name="accuracy", was="90 %", now="95 %") in found.expired


def test_comments_and_layout_alone_expire_nothing() -> None:
    """The fingerprint is of what is declared."""
    written = "layers:\n"
    same = brief(written, f"# what decides, cheapest first\n\n{written}")

    assert check_plan(plan(brief()), same, SAME, now=NOW).stands


def test_a_plan_older_than_the_declared_retraining_has_expired() -> None:
    """30 days are declared: 30 days old stands, 31 does not; without a declaration any age does."""
    assert check_plan(plan(brief(), days_ago=30), brief(), SAME, now=NOW).stands
    (old,) = check_plan(plan(brief(), days_ago=31), brief(), SAME, now=NOW).expired
    assert (old.what, old.was, old.now) == ("age", "30 d", "made 31 d ago")

    ageless = brief("  feedback: {retrain: {every: 30 d}}\n")
    found = check_plan(plan(ageless, days_ago=900), ageless, SAME, now=NOW)
    assert found.stands
    assert any("not the age" in one for one in found.checked)
