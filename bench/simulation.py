"""Requests simulated a second, on one core, beside other simulators of the same cascade.

python -m bench.simulation

Everything runs in one process, one after the other, several times in turns; the processor's time
of the process counts, so that others on the machine disturb less. Features are off on both sides.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from bench.page import Section, table
from bench.peers.simulators import ciw_cascade, simpy_cascade

from feasible.simulation import Moves, breakpoints, draw, run_calendar, sweep
from feasible.testing import three_tiers, worked_case

__all__ = ["run"]

_ROUNDS = 5
_RATE = 100.0


@dataclass(frozen=True)
class _Measured:
    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    degraded: float


def _timed(n: int, simulate: Callable[[], tuple[np.ndarray, float]]) -> _Measured:
    began = time.process_time()
    latency_ms, degraded = simulate()
    took = time.process_time() - began
    p50, p95, p99 = np.quantile(latency_ms, [0.5, 0.95, 0.99])
    return _Measured(n / took, float(p50), float(p95), float(p99), degraded)


def _ours(n: int, seed: int, *, calendar: bool) -> _Measured:
    design = three_tiers(_RATE)
    moves = Moves(design.policy, design.cases)

    def simulate() -> tuple[np.ndarray, float]:
        draws = draw(design, n, seed=seed)
        outcome = run_calendar(design, draws, moves=moves) if calendar else sweep(design, draws)
        return outcome.latency_ms, float(outcome.degraded.mean())

    return _timed(n, simulate)


def _simpy(n: int, seed: int) -> _Measured:
    def simulate() -> tuple[np.ndarray, float]:
        found = simpy_cascade(n, _RATE, seed)
        return np.array(found.latency_s) * 1e3, found.degraded

    return _timed(n, simulate)


def _ciw(n: int, seed: int) -> _Measured:
    def simulate() -> tuple[np.ndarray, float]:
        found = ciw_cascade(n, _RATE, seed)
        return np.array(found.latency_s) * 1e3, found.degraded

    return _timed(n, simulate)


def _report() -> list[float]:
    design, promises = worked_case()
    took = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        breakpoints(design, promises, seed=1)
        took.append(time.process_time() - began)
    return took


def run() -> Section:
    """Measure every engine in turns, and the whole breakpoint report."""
    engines: dict[str, tuple[int, Callable[[int, int], _Measured]]] = {
        "sweep": (400_000, lambda n, seed: _ours(n, seed, calendar=False)),
        "calendar": (100_000, lambda n, seed: _ours(n, seed, calendar=True)),
        "simpy": (30_000, _simpy),
        "ciw (patience in the queue only)": (20_000, _ciw),
    }
    measured: dict[str, list[_Measured]] = {name: [] for name in engines}
    for seed in range(1, _ROUNDS + 1):
        for name, (n, engine) in engines.items():
            measured[name].append(engine(n, seed))
            print(f"  {name}: {measured[name][-1].per_s:,.0f} / s", flush=True)
    rate = {name: statistics.median(m.per_s for m in found) for name, found in measured.items()}
    rows = []
    for name, found in measured.items():
        middle = [
            statistics.median(values)
            for values in zip(*((m.p50_ms, m.p95_ms, m.p99_ms) for m in found), strict=True)
        ]
        degraded = statistics.mean(m.degraded for m in found)
        times = rate[name] / rate["simpy"]
        rows.append(
            [
                name,
                f"{rate[name]:,.0f}",
                f"{times:.1f}x",
                *(f"{value:,.0f} ms" for value in middle),
                f"{degraded * 100:.2f} %",
            ]
        )
    took = _report()
    shown = table(
        ["engine", "requests / s", "against simpy", "p50", "p95", "p99", "degraded"], rows
    )
    text = (
        f"The cascade of three tiers at {_RATE:g} requests a second, medians of {_ROUNDS} rounds "
        "in turns, in the processor's time of one process; drawing the luck is included.\n\n"
        f"{shown}\n\n"
        "Every engine but ciw runs the same model: a time limit over waiting and answering, and "
        "the answer before for who runs into it. ciw knows patience in the queue only. "
        "asyncflow-sim has fixed step times and no timeouts, and cannot say this cascade.\n\n"
        "A whole breakpoint report (14 loads x 5 seeds x 10,000 requests, the searches for the "
        "first breaks, and every knob relaxed for what breaks first and for what is broken) takes "
        f"{statistics.median(took):.2f} s, from {min(took):.2f} to {max(took):.2f} s."
    )
    return Section("Simulation", "python -m bench.simulation", text)


if __name__ == "__main__":
    print(run().text)
