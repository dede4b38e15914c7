"""What is left of the money of days, months and means, read when somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from feasible.serving.budget import Standing

__all__ = ["BudgetGauges"]


class BudgetGauges(Collector):
    """Gives how the money of every limit stands in the whole service.

    Args:
        standing: Gives it; empty while nobody knows.
    """

    def __init__(self, standing: Callable[[], Sequence[Standing]]) -> None:
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        """Go through the metrics."""
        now = self._standing()
        slack = GaugeMetricFamily(
            "feasible_budget_slack_ratio",
            "Share that is left of the money of this day, month, or day's mean (UTC).",
            labels=("budget",),
        )
        spent = GaugeMetricFamily(
            "feasible_budget_spent_usd",
            "Dollars spent in this day or month, unknown bills at their worst.",
            labels=("budget",),
        )
        held = GaugeMetricFamily(
            "feasible_budget_reserved_usd",
            "Dollars set aside for calls under way.",
            labels=("budget",),
        )
        skipped = CounterMetricFamily(
            "feasible_budget_skipped_calls",
            "Calls that were not made for want of money.",
            labels=("budget",),
        )
        for one in now:
            name = (one.objective,)
            if one.slack is not None:
                slack.add_metric(name, one.slack)
            spent.add_metric(name, one.spent_usd)
            held.add_metric(name, one.held_usd)
            skipped.add_metric(name, one.skipped)
        yield from (slack, spent, held, skipped)
