"""What is told of a request once it is decided: a line for the log, and a trace."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from feasible.schema import Decision
from feasible.serving.logs import Log
from feasible.serving.messages import Problem
from feasible.serving.runtime import Decided
from feasible.serving.traces import Traces, is_sampled

__all__ = ["Observer", "breaches_of"]

_MONEY: Final = frozenset({"budget", "cost"})
_REFUSALS_PER_S: Final = 10
"""Lines about refusals of one kind; the next line says how many were left out."""
_OUR_FAULT: Final = 500


class Observer:
    """Tells of every breach and refusal, and of a share of all else.

    Args:
        log: Takes lines.
        log_share: Share of the decisions that go well and get a line. Ratio.
        traces: Takes traces; None where nobody wants any.
    """

    def __init__(self, log: Log, *, log_share: float = 0.0, traces: Traces | None = None) -> None:
        self._log = log
        self._traces = traces
        self._log_every = round(1 / log_share) if log_share > 0 else 0
        self._trace_every = traces.every if traces is not None else 0
        self._seen = 0
        self._refusals: dict[int, tuple[int, int, int]] = {}

    def decided(self, decided: Decided, headers: Mapping[bytes, bytes]) -> None:
        """Tell of a decision, if it is one to tell of.

        Args:
            decided: The decision.
            headers: Those of its request.
        """
        self._seen = seen = self._seen + 1
        decision = decided.decision
        is_plain = (
            decision.fell_back is None
            and decided.within.get("deadline") is not False
            and decided.within.get("cost_each") is not False
            and (len(decision.path) == 1 or not _short_of_money(decision))
        )
        is_logged = not is_plain or (self._log_every and seen % self._log_every == 0)
        if is_logged:
            self._line(decided, is_plain=is_plain)
        if self._traces is None:
            return
        parent = headers.get(b"traceparent")
        is_traced = (
            not is_plain
            or (self._trace_every and seen % self._trace_every == 0)
            or (parent is not None and is_sampled(parent))
        )
        if is_traced:
            self._traces.add(decided, breaches_of(decided), parent)

    def refused(self, problem: Problem, address: str, *, caller: str | None = None) -> None:
        """Tell of a request without a decision.

        Args:
            problem: Why.
            address: Where it was sent.
            caller: Name of its key.
        """
        second = int(time.monotonic())
        since, told, left_out = self._refusals.get(problem.status, (second, 0, 0))
        if since != second:
            since, told = second, 0
        if told >= _REFUSALS_PER_S:
            self._refusals[problem.status] = (since, told, left_out + 1)
            return
        self._refusals[problem.status] = (since, told + 1, 0)
        self._log.note(
            "error" if problem.status >= _OUR_FAULT else "info",
            "request refused",
            status=problem.status,
            address=address[:200],
            caller=caller,
            # Titles may quote what was sent; the kind of the problem is its status.
            left_out=left_out or None,
        )

    def _line(self, decided: Decided, *, is_plain: bool) -> None:
        decision = decided.decision
        cost = decision.cost_nusd
        self._log.note(
            "info" if is_plain else "warning",
            "decision" if is_plain else "promise breached",
            decision_id=decision.decision_id,
            plan=decision.plan,
            tier=decision.tier,
            path=[f"{step.tier} {step.outcome}" for step in decision.path],
            latency_ms=round(decided.latency_ms, 3),
            cost_usd=None if cost is None else cost / 1e9,
            breaches=None if is_plain else breaches_of(decided),
        )


def breaches_of(decided: Decided) -> list[str]:
    """Name what went wrong with a decision: `deadline`, `cost_each`, `budget`, `fallback`."""
    found = [name for name in ("deadline", "cost_each") if decided.within.get(name) is False]
    found += ["budget"] if _short_of_money(decided.decision) else []
    found += ["fallback"] if decided.decision.fell_back is not None else []
    return found


def _short_of_money(decision: Decision) -> bool:
    return any(step.outcome == "skipped" and step.why in _MONEY for step in decision.path)
