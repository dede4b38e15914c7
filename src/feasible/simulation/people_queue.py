"""The queue of people: cases wait hours for them, through nights and shifts; nobody waits online.

It never enters a latency: a hand-off is acknowledged at once. It decides how old an open case is.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapreplace
from typing import Final

import numpy as np

from feasible.schema import FloatArray
from feasible.simulation.design import People

__all__ = ["Backlog", "ages_s", "backlog"]

_DAY_S: Final = 86_400.0
_HOUR_S: Final = 3600.0
_MOST_CASES: Final = 200_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """How long cases waited for people.

    Attributes:
        cases: Cases handed over. Count.
        p50_h: Median age at which a case was settled. Hours.
        p95_h: 95th percentile of it. Hours.
        oldest_h: The oldest. Hours.
        utilisation: Work over what people on duty can do; above 1 the backlog grows every day.
    """

    cases: int
    p50_h: float
    p95_h: float
    oldest_h: float
    utilisation: float


def backlog(people: People, per_hour: FloatArray, *, seed: int, days: int = 3) -> Backlog | None:
    """Run some days of hand-offs, hour by hour at their rates; None when nothing is handed over.

    Args:
        people: Who takes them.
        per_hour: shape (24,). Cases handed over in each hour of the day.
        seed: Makes it repeatable.
        days: Days that are run; the first is not counted when there are more.
    """
    rng = np.random.default_rng((seed, 23))
    total = float(per_hour.sum()) * days
    if total <= 0:
        return None
    thin = min(1.0, _MOST_CASES / total)  # as much less work for as many fewer people
    came: list[FloatArray] = []
    for hour in range(24 * days):
        count = int(rng.poisson(per_hour[hour % 24] * thin))
        came.append((hour + np.sort(rng.random(count))) * _HOUR_S)
    came_s = np.concatenate(came)
    if not came_s.size:
        return None
    service_s = people.minutes_each * 60.0
    on_duty = people.shift_hours[1] - people.shift_hours[0]
    staff = people.per_hour * thin * service_s / _HOUR_S * 24.0 / on_duty
    slots = max(1, round(staff))
    ages = ages_s(
        came_s,
        rng.standard_exponential(len(came_s)) * (service_s * slots / staff),
        slots,
        people.shift_hours,
    )
    counted = ages[came_s >= _DAY_S] if days > 1 and (came_s >= _DAY_S).any() else ages
    p50, p95, oldest = np.quantile(counted, [0.5, 0.95, 1.0]) / _HOUR_S
    used = float(per_hour.sum()) / (people.per_hour * 24.0)
    return Backlog(round(total), float(p50), float(p95), float(oldest), used)


def ages_s(
    came_s: FloatArray, service_s: FloatArray, slots: int, shift_hours: tuple[float, float]
) -> FloatArray:
    """Give how old each case is when it is settled, first come, first served.

    Cases begin within the shift only; one that has begun is finished.

    Args:
        came_s: When each comes, rising, shape (n,). Seconds from midnight of the first day.
        service_s: What each takes, shape (n,). Seconds.
        slots: People on duty at once.
        shift_hours: First and last hour of the day that they are there.
    """
    free = [0.0] * slots
    out = []
    for came, takes in zip(came_s.tolist(), service_s.tolist(), strict=True):
        start = _on_duty(max(came, free[0]), shift_hours)
        heapreplace(free, start + takes)
        out.append(start + takes - came)
    return np.array(out)


def _on_duty(at_s: float, shift_hours: tuple[float, float]) -> float:
    """Give the first instant from then on at which somebody is there."""
    opens, closes = shift_hours[0] * _HOUR_S, shift_hours[1] * _HOUR_S
    day, of_day = divmod(at_s, _DAY_S)
    if of_day < opens:
        return day * _DAY_S + opens
    return at_s if of_day < closes else (day + 1) * _DAY_S + opens
