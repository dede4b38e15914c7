"""The cascade of three tiers in other simulators, as far as each can say it.

Rules (2 slots, exponential 5 ms, 50 ms), of which 60 % go on to a small model (4, exponential
20 ms, 80 ms), of which 50 % go on to a language model (16, lognormal 400 ms of spread 0.6, 1 s). A
time limit covers waiting and answering; who runs into it gets the answer before.
"""

from __future__ import annotations

import math
import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Answered", "ciw_cascade", "simpy_cascade"]

_SLOTS = (2, 4, 16)
_MEAN_S = (0.005, 0.020, 0.400)
_LIMIT_S = (0.050, 0.080, 1.000)
_GOES_ON = (0.6, 0.5, 0.0)
_SPREAD = 0.6
_MU = math.log(_MEAN_S[2]) - _SPREAD**2 / 2


@dataclass(frozen=True)
class Answered:
    """What came out: latencies in seconds, and the share that ran into a time limit."""

    latency_s: list[float]
    degraded: float


def simpy_cascade(n: int, rate: float, seed: int) -> Answered:
    """Run it in simpy: a process per request, a resource per tier."""
    import simpy  # noqa: PLC0415  a peer; `make bench` installs it

    luck = random.Random(seed)
    env: Any = simpy.Environment()
    tiers = [simpy.Resource(env, slots) for slots in _SLOTS]
    out: list[tuple[float, bool]] = []

    def service(k: int) -> float:
        if k < 2:
            return luck.expovariate(1 / _MEAN_S[k])
        return luck.lognormvariate(_MU, _SPREAD)

    def request() -> Generator[Any, Any, None]:
        came, k, cut = env.now, 0, False
        while True:
            until = env.now + _LIMIT_S[k]
            with tiers[k].request() as slot:
                got: Any = yield slot | env.timeout(_LIMIT_S[k])
                if slot not in got:
                    cut = True
                    break
                takes = service(k)
                if env.now + takes > until:
                    yield env.timeout(max(0.0, until - env.now))
                    cut = True
                    break
                yield env.timeout(takes)
            if luck.random() >= _GOES_ON[k]:
                break
            k += 1
        out.append((env.now - came, cut))

    def arrivals() -> Iterator[Any]:
        for _ in range(n):
            yield env.timeout(luck.expovariate(rate))
            env.process(request())

    env.process(arrivals())
    env.run()
    return Answered([took for took, _ in out], sum(cut for _, cut in out) / n)


def ciw_cascade(n: int, rate: float, seed: int) -> Answered:
    """Run a looser model in ciw, which knows patience in the queue, but no limit over both."""
    import ciw  # noqa: PLC0415  a peer; `make bench` installs it

    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate), None, None],
        service_distributions=[
            ciw.dists.Exponential(1 / _MEAN_S[0]),
            ciw.dists.Exponential(1 / _MEAN_S[1]),
            ciw.dists.Lognormal(_MU, _SPREAD),
        ],
        number_of_servers=list(_SLOTS),
        reneging_time_distributions=[ciw.dists.Deterministic(limit) for limit in _LIMIT_S],
        routing=[[0.0, _GOES_ON[0], 0.0], [0.0, 0.0, _GOES_ON[1]], [0.0, 0.0, 0.0]],
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(n, method="Finish")
    came: dict[int, float] = {}
    left: dict[int, float] = {}
    gave_up = 0
    for record in simulation.get_all_records():
        who = record.id_number
        came[who] = min(came.get(who, math.inf), record.arrival_date)
        left[who] = max(left.get(who, 0.0), record.exit_date)
        gave_up += record.record_type == "renege"
    return Answered([left[who] - came[who] for who in came], gave_up / max(len(came), 1))
