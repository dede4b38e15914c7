"""A plan small enough to read, around tiers that follow a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from feasible.schema import (
    Calibrator,
    DataUsed,
    Forecast,
    LatencyForecast,
    Plan,
    PlanTier,
    SpendLimit,
    TierKind,
)
from feasible.tiers import Tier

UNKNOWN = LatencyForecast(p50=None, p95=None, p99=None)


def plan_of(
    tiers: Sequence[Tier],
    *,
    threshold: float = 0.5,
    deadline_ms: float | None = 200.0,
    fallback: dict[str, str] | None = None,
    cost_each_usd: float | None = None,
    labels: tuple[str, ...] = (),
    spend: tuple[SpendLimit, ...] = (),
    priority: dict[str, float] | None = None,
) -> Plan:
    """Give a plan that asks the tiers in this order; a score counts as the probability."""
    steps = tuple(
        PlanTier(
            name=tier.name,
            kind=tier.kind,
            version=tier.version,
            share=0.0,
            thresholds={"*": 0.0 if tier.kind is TierKind.PERSON else threshold},
            groups={},
            calibrators={"*": Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=1)},
            latency_p50_ms=1.0,
            latency_p95_ms=2.0,
            cost_usd=tier.usd_per_call,
            worst_cost_usd=tier.worst_usd_per_call,
        )
        for tier in tiers
    )
    return Plan(
        id="",
        feature="small",
        brief_fingerprint="none",
        made_at=datetime(2026, 11, 24, tzinfo=UTC),
        tiers=steps,
        fallback=fallback or {},
        deadline_ms=deadline_ms,
        cost_each_usd=cost_each_usd,
        forecast=Forecast(
            cost_usd=None, cost_usd_machines=None, latency_ms=UNKNOWN, quality={}, people_share=0.0
        ),
        certificate=(),
        data=DataUsed(
            name="none", synthetic=True, fingerprint="", n_fit=0, n_search=0, n_cert=0, split=""
        ),
        labels=labels,
        spend=spend,
        priority=priority or {},
    ).with_id()


@pytest.fixture
def plan_for() -> Callable[..., Plan]:
    """Give the function that makes a plan for tiers."""
    return plan_of
