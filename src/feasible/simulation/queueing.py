"""Closed forms of queues and caches: what a simulation is screened with, and held to.

Exact where the docstring names no approximation. Loads and rates share one unit of time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from feasible.schema import FloatArray

__all__ = [
    "Waiting",
    "allen_cunneen_wait",
    "batch_capacity",
    "erlang_b",
    "erlang_c",
    "lru_hit",
    "pollaczek_khinchine_wait",
    "share_out_of_patience",
    "ttl_hit",
    "waiting",
]

_NEAR, _FAR = 1e-12, 500.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long customers wait in an M/M/c queue.

    Attributes:
        utilisation: Busy servers over servers. Ratio.
        p_wait: Share that waits at all. Ratio.
        mean_wait: Mean time in the queue; infinite when it cannot keep up.
    """

    utilisation: float
    p_wait: float
    mean_wait: float


def erlang_b(servers: int, offered: float) -> float:
    """Give the share that is lost when nobody may wait. Ratio.

    Args:
        servers: Servers. Count.
        offered: Arrival rate times mean service time. Erlangs.

    Source:
        Erlang (1917), by the usual recursion.
    """
    lost = 1.0
    for k in range(1, servers + 1):
        lost = offered * lost / (k + offered * lost)
    return lost


def erlang_c(servers: int, offered: float) -> float:
    """Give the share that waits in M/M/c; 1 when the servers cannot keep up.

    Examples:
        >>> round(erlang_c(4, 3.2), 4)
        0.5964
    """
    if offered >= servers:
        return 1.0
    lost = erlang_b(servers, offered)
    return lost / (1 - offered / servers * (1 - lost))


def waiting(rate: float, mean_service: float, servers: int) -> Waiting:
    """Give how long customers wait in M/M/c.

    Examples:
        >>> round(waiting(3.2, 1.0, 4).mean_wait, 4)
        0.7455
    """
    offered = rate * mean_service
    p_wait = erlang_c(servers, offered)
    spare = servers / mean_service - rate
    return Waiting(offered / servers, p_wait, p_wait / spare if spare > 0 else math.inf)


def share_out_of_patience(rate: float, mean_service: float, servers: int, patience: float) -> float:
    """Give the share that leaves an M/M/c queue because it waited for `patience`. Ratio.

    Holds at any load, above capacity too.

    Source:
        Baccelli and Hebuterne (1981); the density of the offered wait as in Zeltyn and Mandelbaum
        (2005).
    """
    capacity = servers / mean_service
    spare, lost = capacity - rate, erlang_b(servers - 1, rate * mean_service)
    if not lost:  # so many servers that the share is smaller than any number
        return 0.0
    if -spare * patience > _FAR:  # all that is too much leaves
        return (rate - capacity) / rate
    tail = rate * math.exp(-spare * patience) / capacity
    within = patience if abs(spare) < _NEAR else (1 - math.exp(-spare * patience)) / spare
    return tail / (1 / lost + rate * within + tail)


def pollaczek_khinchine_wait(rate: float, mean_service: float, squared_variation: float) -> float:
    """Give the mean wait in M/G/1.

    Args:
        rate: Arrivals.
        mean_service: Mean service time.
        squared_variation: Variance of the service time over its squared mean.

    Examples:
        >>> round(pollaczek_khinchine_wait(0.8, 1.0, 1.0), 3)
        4.0
    """
    busy = rate * mean_service
    return (
        busy * mean_service * (1 + squared_variation) / (2 * (1 - busy)) if busy < 1 else math.inf
    )


def allen_cunneen_wait(
    rate: float, mean_service: float, servers: int, squared_arrivals: float, squared_service: float
) -> float:
    """Give the mean wait in G/G/c, an approximation that is exact for M/M/c.

    Source:
        Allen (1990), Probability, Statistics and Queueing Theory, section 5.3.
    """
    half = (squared_arrivals + squared_service) / 2
    return waiting(rate, mean_service, servers).mean_wait * half


def batch_capacity(servers: int, most: int, base_s: float, each_s: float) -> float:
    """Give what a tier answers when every batch is full. Per second.

    Examples:
        >>> round(batch_capacity(1, 16, 0.008, 0.001), 1)
        666.7
    """
    return servers * most / (base_s + each_s * most)


def ttl_hit(popularity: FloatArray, rate: float, ttl_s: float) -> float:
    """Give the hit ratio of a cache whose entries live for a time, counted from their filling.

    Assumes that requests are independent of each other, which conversations are not.

    Args:
        popularity: shape (n_keys,). Share of requests for each key.
        rate: Requests per second.
        ttl_s: Time to live. Seconds.

    Examples:
        >>> round(ttl_hit(np.array([0.5, 0.5]), 2.0, 1.0), 3)
        0.5
    """
    within = rate * popularity * ttl_s
    return float((popularity * within / (1 + within)).sum())


def lru_hit(popularity: FloatArray, size: int) -> float:
    """Give the hit ratio of a cache that forgets what was used longest ago, an approximation.

    Source:
        Che, Tung and Wang (2002), IEEE JSAC 20(7).
    """
    if size >= len(popularity):
        return 1.0
    low, high = 0.0, 1.0
    while (1 - np.exp(-popularity * high)).sum() < size:
        high *= 2
    for _ in range(100):
        mid = (low + high) / 2
        low, high = (low, mid) if (1 - np.exp(-popularity * mid)).sum() > size else (mid, high)
    return float((popularity * (1 - np.exp(-popularity * low))).sum())
