"""What a scraper sees: counters and histograms of one service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from feasible.schema import Decision

__all__ = ["Metrics"]

_LATENCY_BUCKETS_S: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)


class Metrics:
    """The figures of one service, in a registry of its own.

    Args:
        in_flight: Gives the requests that are being answered.
        open_breakers: Gives the number of tiers that are not asked now.
    """

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self, *, in_flight: Callable[[], int], open_breakers: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "feasible_decisions",
            "Durable decisions, by the tier that answered.",
            ("tier", "fell_back"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "feasible_decision_latency_seconds",
            "From a request's arrival until its decision is durable.",
            registry=self._registry,
            buckets=_LATENCY_BUCKETS_S,
        )
        self._cost = Counter(
            "feasible_decision_cost_usd",
            "Dollars of all decisions whose cost is known.",
            registry=self._registry,
        )
        self._unpriced = Counter(
            "feasible_decisions_unpriced",
            "Decisions whose cost is unknown.",
            registry=self._registry,
        )
        self._steps = Counter(
            "feasible_tier_steps",
            "What tiers did, step by step.",
            ("tier", "outcome"),
            registry=self._registry,
        )
        self._breaches = Counter(
            "feasible_deadline_breaches",
            "Decisions that were durable after their deadline.",
            registry=self._registry,
        )
        self._refused = Counter(
            "feasible_requests_refused",
            "Requests that got no decision, by HTTP status.",
            ("status",),
            registry=self._registry,
        )
        self._labels = Counter(
            "feasible_labels", "Labels received, by outcome.", ("outcome",), registry=self._registry
        )
        Gauge(
            "feasible_requests_in_flight", "Requests being answered.", registry=self._registry
        ).set_function(in_flight)
        Gauge(
            "feasible_breakers_open", "Tiers not asked now: failing.", registry=self._registry
        ).set_function(open_breakers)
        # Looking a child up costs more than counting with it.
        self._by_tier: dict[tuple[str, bool], Counter] = {}
        self._by_step: dict[tuple[str, str], Counter] = {}

    def decided(self, decision: Decision, *, latency_ms: float, in_time: bool | None) -> None:
        """Count a decision."""
        key = (decision.tier, decision.fell_back is not None)
        if key not in self._by_tier:
            self._by_tier[key] = self._decisions.labels(key[0], str(key[1]).lower())
        self._by_tier[key].inc()
        self._latency.observe(latency_ms / 1e3)
        if decision.cost_nusd is None:
            self._unpriced.inc()
        else:
            self._cost.inc(decision.cost_nusd / 1e9)
        if in_time is False:
            self._breaches.inc()
        for step in decision.path:
            name = (step.tier, step.outcome)
            if name not in self._by_step:
                self._by_step[name] = self._steps.labels(*name)
            self._by_step[name].inc()

    def refused(self, status: int) -> None:
        """Count a request that got no decision."""
        self._refused.labels(str(status)).inc()

    def labelled(self, outcome: str) -> None:
        """Count a label."""
        self._labels.labels(outcome).inc()

    def text(self) -> bytes:
        """Give everything in Prometheus' text format."""
        return generate_latest(self._registry)
