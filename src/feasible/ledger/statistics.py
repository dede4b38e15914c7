"""What a ledger says at a glance: who answered, for how much, how fast, and what is labelled."""

from __future__ import annotations

from array import array
from collections import Counter

import msgspec
import numpy as np

from feasible.errors import LedgerDamaged
from feasible.ledger.sqlite import SqliteLedger

__all__ = ["LedgerStats", "Percentiles", "ledger_stats"]

_DAY_US = 86_400_000_000
_PAGE = 5000


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Three percentiles; None where there is nothing."""

    p50: float | None
    p95: float | None
    p99: float | None


class LedgerStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and sums over a whole ledger."""

    decisions: int
    by_tier: dict[str, int]
    """Decisions by the tier that answered, most first."""
    by_plan: dict[str, int]
    cost_usd: float
    """Sum of the costs that are known."""
    unpriced: int
    """Decisions whose cost is not known; they are in no sum."""
    latency_ms: Percentiles
    fell_back: int
    """Decisions that a declared fallback answered."""
    handed_off: int
    labels: int
    labels_by_source: dict[str, int]
    label_delay_days: Percentiles
    """From the decision until its truth was known."""
    events: int


def ledger_stats(ledger: SqliteLedger) -> LedgerStats:
    """Read a ledger once and add up; memory grows by eight bytes a decision.

    Raises:
        LedgerDamaged: A number was edited into something else.
    """
    try:
        return _added_up(ledger)
    except TypeError as error:
        raise LedgerDamaged(
            "a row of the ledger does not add up",
            found=str(error),
            attempt="feasible ledger verify names the rows that were changed",
        ) from error


def _added_up(ledger: SqliteLedger) -> LedgerStats:
    tiers: Counter[str] = Counter()
    plans: Counter[str] = Counter()
    latencies = array("q")
    cost_nusd = unpriced = fell_back = handed_off = 0
    columns = "row_id, plan, tier, cost_nusd, latency_us, fell_back IS NOT NULL, handed_off"
    after = 0
    while rows := ledger.select(
        f"SELECT {columns} FROM decisions WHERE row_id > ? ORDER BY row_id LIMIT ?",  # noqa: S608  own names
        (after, _PAGE),
    ):
        after = rows[-1][0]
        for _, plan, tier, cost, latency_us, fell, handed in rows:
            plans[plan] += 1
            tiers[tier] += 1
            latencies.append(latency_us)
            fell_back += fell
            handed_off += handed
            if cost is None:
                unpriced += 1
            else:
                cost_nusd += cost
    sources: Counter[str] = Counter()
    delays = array("q")
    after = 0
    while rows := ledger.select(
        "SELECT l.row_id, l.source, l.known_at_us - d.at_us FROM labels l "
        "LEFT JOIN decisions d USING (decision_id) WHERE l.row_id > ? ORDER BY l.row_id LIMIT ?",
        (after, _PAGE),
    ):
        after = rows[-1][0]
        for _, source, delay_us in rows:
            sources[source] += 1
            if delay_us is not None:
                delays.append(delay_us)
    return LedgerStats(
        decisions=len(latencies),
        by_tier=dict(tiers.most_common()),
        by_plan=dict(plans.most_common()),
        cost_usd=cost_nusd / 1e9,
        unpriced=unpriced,
        latency_ms=_percentiles(latencies, unit=1000),
        fell_back=fell_back,
        handed_off=handed_off,
        labels=sum(sources.values()),
        labels_by_source=dict(sources.most_common()),
        label_delay_days=_percentiles(delays, unit=_DAY_US),
        events=ledger.counts().events,
    )


def _percentiles(values: array[int], *, unit: float) -> Percentiles:
    if not values:
        return Percentiles(p50=None, p95=None, p99=None)
    found = np.percentile(np.frombuffer(values, dtype=np.int64), [50, 95, 99], method="higher")
    p50, p95, p99 = (float(value) / unit for value in found)
    return Percentiles(p50=p50, p95=p95, p99=p99)
