"""The synthetic stream that the fraud system lives on: what was before, and what is to come."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from feasible.features import DAY_MS
from feasible.schema import Events
from feasible.systems.fraud.generator import World, generate, report_delays_ms
from feasible.systems.fraud.payments import Payments

__all__ = ["HIGH_RISK_CENTS", "history", "history_ends_ms", "payments_of_world", "reports_of_world"]

HIGH_RISK_CENTS: Final = 15_600
"""One payment in fifty is of this amount or more; a tenth of those are frauds."""
_WORLD: Final = World(days=112, cards=800, terminals=1_600)
_TO_COME_DAYS: Final = 28
_SEED: Final = 0


@lru_cache(maxsize=1)
def payments_of_world() -> Payments:
    """Give every payment of the synthetic world, the last 28 days of it yet to come."""
    return generate(_WORLD, seed=_SEED)


@lru_cache(maxsize=1)
def reports_of_world() -> Events:
    """Give when each of its frauds is reported, 3 to 28 days later."""
    payments = payments_of_world()
    return payments.reports(report_delays_ms(len(payments), seed=_SEED))


def history_ends_ms() -> int:
    """Give when the history ends and the service begins. Milliseconds since 1970 (UTC)."""
    first_ms = int(_WORLD.first_day.astype("datetime64[ms]").astype("int64"))
    return first_ms + (_WORLD.days - _TO_COME_DAYS) * DAY_MS


def history() -> Payments:
    """Give the payments that were made before the service begins."""
    payments = payments_of_world()
    return payments.take(payments.time_ms < history_ends_ms())
