"""What a scraper sees: counters and histograms of one service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from feasible.schema import HeadroomRow
from feasible.serving.budget import Standing
from feasible.serving.budget_gauges import BudgetGauges
from feasible.serving.call_counts import CallCounts
from feasible.serving.calls import CallFigures
from feasible.serving.decision_counts import DecisionCounts
from feasible.serving.objective_gauges import ObjectiveGauges

__all__ = ["Metrics"]


class Metrics:
    """The figures of one service, in a registry of its own.

    Args:
        in_flight: Gives the requests that are being answered.
        open_breakers: Gives the number of tiers that are not asked now.
        objectives: Gives how each promise stands.
        call_figures: Gives what the calls of each tier do.
        standing: Gives how the money of many decisions stands.

    Attributes:
        decided: Counts a decision.
    """

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(
        self,
        *,
        in_flight: Callable[[], int],
        open_breakers: Callable[[], int],
        objectives: Callable[[], Sequence[HeadroomRow]] = tuple,
        call_figures: Callable[[], Mapping[str, CallFigures]] = dict,
        standing: Callable[[], Sequence[Standing]] = tuple,
    ) -> None:
        self._registry = CollectorRegistry()
        decisions = DecisionCounts()
        self.decided = decisions.add
        self._registry.register(decisions)
        self._registry.register(ObjectiveGauges(objectives))
        self._registry.register(CallCounts(call_figures))
        self._registry.register(BudgetGauges(standing))
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

    def refused(self, status: int) -> None:
        """Count a request that got no decision."""
        self._refused.labels(str(status)).inc()

    def labelled(self, outcome: str) -> None:
        """Count a label."""
        self._labels.labels(outcome).inc()

    def text(self) -> bytes:
        """Give everything in Prometheus' text format."""
        return generate_latest(self._registry)
