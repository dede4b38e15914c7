"""R4, R7 and R8 by what is found: limits that hold, parts that are down, depth that matters."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from feasible.rubric import Criterion, score
from feasible.schema import (
    CertificateLine,
    DataUsed,
    Forecast,
    LatencyForecast,
    Plan,
    PlanTier,
    TierKind,
    parse_brief,
)

pytestmark = pytest.mark.slow

HEALTHY = (Path(__file__).parents[2] / "scenarios/broken_briefs/healthy.yaml").read_text("utf-8")
DESIGN = HEALTHY.replace("capacity: 200 / h", "capacity: 5000 / h").replace(", timeout: 150 ms", "")
"""Enough people, and a scorer that is waited for: its capacity binds at the peak."""
TODAY = date(2026, 11, 23)


def _criterion(name: str, *pairs: tuple[str, str]) -> Criterion:
    text = DESIGN
    for pattern, instead in pairs:
        text, count = re.subn(pattern, instead, text, flags=re.MULTILINE)
        assert count, pattern
    found = score(parse_brief(text), today=TODAY)
    return next(criterion for criterion in found.criteria if criterion.id == name)


def _line(criterion: Criterion, about: str) -> str:
    return next(said for said in criterion.evidence if about in said)


def test_a_layer_earns_its_number_by_a_limit_that_holds() -> None:
    """Serving is there for latency and throughput, and both hold."""
    judged = _criterion("R4")

    assert _line(judged, "serving, in numbers").startswith("+1 ")


def test_a_layer_whose_limit_breaks_earns_no_number() -> None:
    """A scorer of 2 s breaks the latency that serving and the rules are there for."""
    judged = _criterion("R4", ("latency_p95: 80 ms", "latency_p95: 2 s"))

    assert _line(judged, "serving, in numbers").startswith("+0 ")


def test_a_part_that_is_down_leaves_everybody_an_answer_in_time() -> None:
    """The rules stand in for the scorer."""
    judged = _criterion("R7")

    assert judged.points == judged.checkable == 5
    assert "without scorer 100.0 % are answered" in _line(judged, "are answered")


def test_a_failure_that_no_run_can_play_is_not_checked() -> None:
    """A strike of the couriers is in no simulation."""
    judged = _criterion("R7", (r"component: scorer, trigger", "component: couriers, trigger"))

    assert (judged.points, judged.checkable) == (3, 3)


@pytest.mark.parametrize(
    ("written", "instead", "about", "earned"),
    [
        ("number: 300 ms against 340 min", "number: 300 ms", "both sides in numbers", "+0"),
        ("number: 300 ms against 340 min", "number: 1 of 2", "both sides in numbers", "+1"),
        (r"objective: latency_p99\}", "objective: latency_p99, knob: person.usd}", "relev", "+0"),
        (r"objective: latency_p99\}", "objective: x, knob: scorer.capacity}", "relevance", "+1"),
    ],
)
def test_depth_is_relevant_where_it_moves_what_binds(
    written: str, instead: str, about: str, earned: str
) -> None:
    """And both sides of it have a number."""
    assert _line(_criterion("R8", (written, instead)), about).startswith(earned)


def _plan(*, p95_ms: float, bound: float) -> Plan:
    line = CertificateLine(
        objective="recall_abuse",
        limit=0.9,
        unit="ratio",
        is_ceiling=False,
        value=0.95,
        bound=bound,
        n=400,
        misses=20,
        confidence_level=0.95,
        method="exact",
        assumption="exchangeable rows",
        holds=bound >= 0.9,
    )
    tier = PlanTier(
        name="scorer",
        kind=TierKind.MODEL,
        version="1",
        share=0.4,
        thresholds={},
        groups={},
        calibrators={},
        latency_p50_ms=20.0,
        latency_p95_ms=p95_ms,
        cost_usd=0.0002,
        worst_cost_usd=None,
    )
    return Plan(
        id="plan_x",
        feature="returns",
        brief_fingerprint="x",
        made_at=datetime(2026, 11, 1, tzinfo=UTC),
        tiers=(tier,),
        fallback={},
        deadline_ms=None,
        cost_each_usd=None,
        forecast=Forecast(
            cost_usd=None,
            cost_usd_machines=None,
            latency_ms=LatencyForecast(p50=None, p95=None, p99=None),
            quality={},
            people_share=0.0,
        ),
        certificate=(line,),
        data=DataUsed(
            name="rows",
            synthetic=False,
            fingerprint="x",
            n_fit=1,
            n_search=1,
            n_cert=400,
            split="at random",
        ),
    )


@pytest.mark.parametrize(
    ("p95_ms", "bound", "about", "said"),
    [
        (90.0, 0.92, "data, in numbers", "+1 data, in numbers: recall_abuse is at 80 % of its"),
        (90.0, 0.88, "data, in numbers", "+0 data, in numbers: recall_abuse is at 120 % of its"),
        (90.0, 0.92, "tiers, in numbers", "+1 "),
        (130.0, 0.92, "tiers, in numbers", "+0 "),
    ],
)
def test_a_plan_stands_in_place_of_what_was_stated(
    p95_ms: float, bound: float, about: str, said: str
) -> None:
    """Its bound says how near the quality is; a time more than 20 % beside the stated is told.

    By hand: (1 - .92) / (1 - .90) is 80 % of the limit; 80 ms are stated, up to 96 ms are near it.
    """
    found = score(parse_brief(DESIGN), plan=_plan(p95_ms=p95_ms, bound=bound), today=TODAY)

    judged = next(criterion for criterion in found.criteria if criterion.id == "R4")
    line = _line(judged, about)
    assert line.startswith(said), line
    assert ("130 ms measured, 80 ms stated" in line) == (p95_ms > 96 and "tiers" in about)
    if "data" in about:
        assert "(certified)" in line
