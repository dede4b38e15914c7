"""What the calls of each tier do, read when somebody scrapes and costing nothing until then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from feasible.serving.calls import CallFigures

__all__ = ["CallCounts"]

_GAUGES: Final = {
    "in_flight": ("feasible_tier_calls_in_flight", "Calls of a tier that are under way."),
    "waiting": ("feasible_tier_queue_length", "Requests that wait for their turn at a tier."),
}
_COUNTERS: Final = {
    "timeouts": ("feasible_tier_timeouts", "Calls of a tier that took too long."),
    "retries": ("feasible_tier_retries", "Calls of a tier that were made again after a failure."),
    "hedges": ("feasible_tier_hedges", "Second calls of a tier whose first was slow."),
    "shared": ("feasible_tier_shared", "Requests answered by the call of another request."),
    "replaced": ("feasible_tier_replaced", "Threads or processes that hung and were replaced."),
}
_STATES: Final = ("closed", "open", "half_open")


class CallCounts(Collector):
    """Gives the figures of every tier's calls.

    Args:
        figures: Gives them by tier.
    """

    def __init__(self, figures: Callable[[], Mapping[str, CallFigures]]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Go through the metrics."""
        now = self._figures()
        for name, (metric, told) in _GAUGES.items():
            gauge = GaugeMetricFamily(metric, told, labels=("tier",))
            for tier, figures in now.items():
                gauge.add_metric((tier,), getattr(figures, name))
            yield gauge
        for name, (metric, told) in _COUNTERS.items():
            counter = CounterMetricFamily(metric, told, labels=("tier",))
            for tier, figures in now.items():
                counter.add_metric((tier,), getattr(figures, name))
            yield counter
        states = GaugeMetricFamily(
            "feasible_tier_breaker_state",
            "1 for the state that a tier's breaker is in.",
            labels=("state", "tier"),
        )
        for tier, figures in now.items():
            for state in _STATES:
                states.add_metric((state, tier), float(figures.breaker == state))
        yield states
