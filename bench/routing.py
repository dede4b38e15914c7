"""The routing rule: one request at a time, and many rows at once.

python -m bench.routing
"""

from __future__ import annotations

import time

import numpy as np
from bench.page import Section, table

from feasible.cascade import Ask, Policy, Seen, State, Step, Table, route, route_rows
from feasible.schema import TierKind

__all__ = ["run"]

_ROWS = 100_000
_STEPS = 4


def _policy() -> Policy:
    names = ("rules", "small", "large", "person")
    kinds = (TierKind.RULES, TierKind.MODEL, TierKind.MODEL, TierKind.PERSON)
    return Policy(
        steps=tuple(
            Step(name, kind, {"*": 0.9}, p95_ms=1.0)
            for name, kind in zip(names, kinds, strict=True)
        ),
        deadline_ms=200.0,
    )


def _one_by_one(policy: Policy, probability: np.ndarray) -> float:
    """Walk rows through the scalar rule, and give microseconds a row."""
    rows = probability.tolist()
    began = time.perf_counter()
    for row in rows:
        state = State(remaining_ms=200.0)
        while isinstance(move := route(policy, state), Ask):
            seen = Seen("answered", "*", row[move.position])
            state = State(at=move.position, seen=seen, remaining_ms=150.0)
    return (time.perf_counter() - began) / len(rows) * 1e6


def run() -> Section:
    """Measure both evaluators of the one rule on the same rows."""
    policy = _policy()
    probability = np.random.default_rng(0).random((_ROWS, _STEPS))
    one_us = _one_by_one(policy, probability[: _ROWS // 10])
    rows = Table(
        answered=np.ones((_ROWS, _STEPS), dtype=np.bool_),
        probability=probability,
        threshold=np.full((_ROWS, _STEPS), 0.9),
        latency_ms=np.ones((_ROWS, _STEPS)),
        cost_usd=np.full((_ROWS, _STEPS), 1e-5),
    )
    took = []
    for _ in range(5):
        began = time.perf_counter()
        route_rows(policy, rows)
        took.append(time.perf_counter() - began)
    many_us = min(took) / _ROWS * 1e6
    lines = [
        ["one request at a time (`route`)", f"{one_us:.2f}", "1x"],
        ["an array of rows (`route_rows`)", f"{many_us:.3f}", f"{one_us / many_us:,.0f}x"],
    ]
    text = f"""\
A policy of {_STEPS} tiers with a deadline; most rows are deferred to the last one. Both give the
same answer to every row, which a property test checks.

{table(["evaluator", "microseconds a row", "rows in the same time"], lines)}
"""
    return Section("Routing", "python -m bench.routing", text)


if __name__ == "__main__":
    print(run().text)
