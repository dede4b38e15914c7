"""The envelope as gauges: for each objective its limit, its value, its slack and its headroom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from feasible.schema import HeadroomRow

__all__ = ["ObjectiveGauges"]


class ObjectiveGauges(Collector):
    """What a scraper is told about promises. Unknown is absent, never 0.

    Args:
        rows: Gives how each promise stands.
    """

    def __init__(self, rows: Callable[[], Sequence[HeadroomRow]]) -> None:
        self._rows = rows

    def describe(self) -> Iterator[Metric]:
        """Say nothing before somebody asks: there may be no row yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Give the rows as metrics."""
        rows = self._rows()
        for name, told, number in (
            ("limit", "Limit of the objective, in its unit.", attrgetter("limit")),
            ("value", "Where the objective stands now, in its unit.", attrgetter("value")),
            ("slack_ratio", "Share of the limit left; negative: broken.", attrgetter("slack")),
            ("headroom_ratio", "Multiple of today's load that breaks it.", attrgetter("headroom")),
            ("holds", "1 while the promise holds, 0 when it is broken.", attrgetter("holds")),
            ("cases", "Cases that say so.", attrgetter("n")),
        ):
            family = GaugeMetricFamily(
                f"feasible_objective_{name}", told, labels=("objective", "unit")
            )
            for row in rows:
                value = number(row)
                if value is not None and not math.isnan(value):
                    family.add_metric((row.objective, row.unit), float(value))
            yield family
