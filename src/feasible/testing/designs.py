"""Designs whose answers are known: one queue, and a cascade of three tiers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from feasible.cascade import Policy, Step
from feasible.schema import TierKind
from feasible.simulation import (
    Arrivals,
    CacheFront,
    Design,
    People,
    Promise,
    Quota,
    Service,
    TierLoad,
    cost_each,
    declared_cases,
    latency,
    share_of,
)

__all__ = ["one_tier", "three_tiers", "worked_case"]


def one_tier(
    *,
    rate: float,
    slots: int = 4,
    service: Service = Service("exponential", 1.0),  # noqa: B008  a frozen record
    timeout_s: float = 1e6,
    **load: Any,
) -> Design:
    """Give a single queue: everything that comes is answered unless its time is up."""
    policy = Policy((Step("only", TierKind.MODEL, {"*": 0.0}, timeout_ms=timeout_s * 1e3),))
    return Design(
        "one tier",
        policy,
        (TierLoad("only", slots, service, **load),),
        declared_cases(policy, rows=64),
        Arrivals(rate),
    )


def three_tiers(
    rate: float = 100.0,
    *,
    llm_slots: int = 16,
    deadline_ms: float | None = None,
    after_failure: Literal["next", "fall_back"] = "fall_back",
    **llm: Any,
) -> Design:
    """Give rules, a small model and a language model, each cut off after a time of its own."""
    policy = Policy(
        (
            Step("rules", TierKind.RULES, {"*": 0.6}, timeout_ms=50.0, p95_ms=15.0),
            Step("small", TierKind.MODEL, {"*": 0.5}, timeout_ms=80.0, p95_ms=60.0),
            Step("llm", TierKind.LLM, {"*": 0.0}, timeout_ms=1000.0, p95_ms=900.0),
        ),
        fallback={"default": "rules"},
        deadline_ms=deadline_ms,
    )
    return Design(
        "three tiers",
        policy,
        (
            TierLoad("rules", 2, Service("exponential", 0.005)),
            TierLoad("small", 4, Service("exponential", 0.020)),
            TierLoad("llm", llm_slots, Service("lognormal", 0.4, 0.6), usd=0.004, **llm),
        ),
        declared_cases(policy),
        Arrivals(rate),
        after_failure=after_failure,
    )


def worked_case() -> tuple[Design, tuple[Promise, ...]]:
    """Give a design whose breaks are known, with its limits.

    60 requests a second, 30 % of which a cache answers; rules, a small model and a language model
    of 24 slots behind them; $12,000 a day; people who take 1,500 cases an hour.
    """
    base = three_tiers(60.0, llm_slots=24, quota=Quota(calls=4800.0))
    design = replace(
        base,
        name="worked case",
        cache=CacheFront(hit=0.30),
        people=People(per_hour=1500.0, share=0.002),
        budget_usd_day=12_000.0,
    )
    return design, (
        Promise("latency_p95", latency(0.95), 0.700, "s"),
        Promise("latency_p99", latency(0.99), 1.100, "s"),
        Promise("degraded_share", share_of("degraded"), 0.01, "ratio"),
        Promise("cost_mean", cost_each(), 0.002, "usd"),
        Promise(
            "cost_day",
            cost_each(per_day=True),
            12_000.0,
            "usd",
            scales=True,
            limit_knob="budget.day",
        ),
        Promise("over_quota_share", share_of("over_quota"), 0.001, "ratio"),
        Promise(
            "people_per_hour",
            share_of("handed", per="hour"),
            1500.0,
            "/ h",
            scales=True,
            limit_knob="people.per_hour",
        ),
    )
