"""Decisions counted as plain numbers, and told to a scraper when it asks.

Counting with the metrics of `prometheus_client` takes a lock and a check of its arguments each
time: 8 us a decision, where whole numbers take 1 us. The event loop alone counts, so that none is
lost.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from feasible.schema import Decision

__all__ = ["DecisionCounts"]

_LATENCY_BUCKETS_S: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
_LATENCY_BUCKETS_MS: Final = tuple(bound * 1e3 for bound in _LATENCY_BUCKETS_S)


class DecisionCounts(Collector):
    """What a scraper is told about decisions; registered with a registry like any metric."""

    def __init__(self) -> None:
        self._by_tier = Counter[tuple[str, bool]]()
        self._by_step = Counter[tuple[str, str]]()
        self._by_latency = [0] * (len(_LATENCY_BUCKETS_S) + 1)
        self._latency_ms = 0.0
        self._cost_nusd = 0
        self._unpriced = 0
        self._with_deadline = 0
        self._breaches = 0

    def add(self, decision: Decision, *, latency_ms: float, in_time: bool | None) -> None:
        """Count a decision."""
        self._by_tier[decision.tier, decision.fell_back is not None] += 1
        for step in decision.path:
            self._by_step[step.tier, step.outcome] += 1
        self._by_latency[bisect_left(_LATENCY_BUCKETS_MS, latency_ms)] += 1
        self._latency_ms += latency_ms
        if decision.cost_nusd is None:
            self._unpriced += 1
        else:
            self._cost_nusd += decision.cost_nusd
        if in_time is not None:
            self._with_deadline += 1
            self._breaches += not in_time

    def collect(self) -> Iterator[Metric]:
        """Give the counts as metrics."""
        decisions = CounterMetricFamily(
            "feasible_decisions",
            "Durable decisions, by the tier that answered.",
            labels=("tier", "fell_back"),
        )
        for (tier, fell_back), count in self._by_tier.items():
            decisions.add_metric((tier, str(fell_back).lower()), count)
        yield decisions
        bounds = [*map(floatToGoString, _LATENCY_BUCKETS_S), "+Inf"]
        yield HistogramMetricFamily(
            "feasible_decision_latency_seconds",
            "From a request's arrival until its decision is durable.",
            buckets=list(zip(bounds, accumulate(self._by_latency), strict=True)),
            sum_value=self._latency_ms / 1e3,
        )
        yield CounterMetricFamily(
            "feasible_decision_cost_usd",
            "Dollars of all decisions whose cost is known.",
            value=self._cost_nusd / 1e9,
        )
        yield CounterMetricFamily(
            "feasible_decisions_unpriced",
            "Decisions whose cost is unknown.",
            value=self._unpriced,
        )
        steps = CounterMetricFamily(
            "feasible_tier_steps",
            "What tiers did, step by step.",
            labels=("tier", "outcome"),
        )
        for (tier, outcome), count in self._by_step.items():
            steps.add_metric((tier, outcome), count)
        yield steps
        yield CounterMetricFamily(
            "feasible_deadline_decisions",
            "Decisions that had a deadline.",
            value=self._with_deadline,
        )
        yield CounterMetricFamily(
            "feasible_deadline_breaches",
            "Decisions that were durable after their deadline.",
            value=self._breaches,
        )
