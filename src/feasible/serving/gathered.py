"""The figures of several processes as those of one service, in Prometheus' text format."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import add
from typing import Final, Literal, TypeAlias

__all__ = ["Gathered"]

_Gauges: TypeAlias = Literal["all", "shared", "none"]
_SUMMED_GAUGES: Final = ("feasible_requests_in_flight",)
"""Gauges of which every process has a part of its own."""
_LARGEST: Final = ("feasible_breaker", "feasible_tier")
"""Beginnings of the names of gauges of which the largest counts: some process sees a tier fail. Any
other gauge says the same everywhere: that of the process which is asked counts."""
_SAMPLE: Final = re.compile(r"^(?P<name>[^\s{]+(?:\{.*\})?) (?P<value>\S+)(?: \d+)?$")


@dataclass(slots=True)
class _Family:
    """One metric: its lines of help and type, and its samples in order."""

    head: list[str] = field(default_factory=list)
    kind: str = "untyped"
    samples: dict[str, float] = field(default_factory=dict)


class Gathered:
    """Pages of figures, each of one process, added up.

    Counters and histograms are sums over every process that there was, those that have ended
    included: what they last said stays counted, so that no counter ever goes back.
    """

    def __init__(self) -> None:
        self._pages: dict[tuple[int, int], dict[str, _Family]] = {}
        self._ended: dict[str, _Family] = {}

    def put(self, place: int, life: int, page: str) -> None:
        """Take what a process says now.

        Args:
            place: Which place among the workers.
            life: Which process in that place, from 1.
            page: Its figures.
        """
        for older in [key for key in self._pages if key[0] == place and key[1] < life]:
            _add(self._ended, self._pages.pop(older), gauges="none")
        self._pages[place, life] = _parsed(page)

    def text(self, alive: dict[int, int], *, asked: int) -> str:
        """Give the figures of all.

        Args:
            alive: Place -> which process holds it now; gauges of others do not count.
            asked: Place of the process that is asked.
        """
        total: dict[str, _Family] = {}
        _add(total, self._ended, gauges="none")
        for (place, life), page in self._pages.items():
            is_alive = alive.get(place) == life
            mine: _Gauges = "all" if place == asked else "shared"
            _add(total, page, gauges=mine if is_alive else "none")
        lines: list[str] = []
        for family in total.values():
            lines += family.head
            lines += [f"{name} {_written(value)}" for name, value in family.samples.items()]
        return "\n".join([*lines, ""])


def _add(
    total: dict[str, _Family],
    page: dict[str, _Family],
    *,
    gauges: _Gauges,
) -> None:
    for name, family in page.items():
        into = total.setdefault(name, _Family(family.head, family.kind))
        join = _join_of(name, family.kind, gauges)
        if join is not None:
            for key, value in family.samples.items():
                into.samples[key] = join(into.samples[key], value) if key in into.samples else value


def _join_of(name: str, kind: str, gauges: _Gauges) -> Callable[[float, float], float] | None:
    """Give how two values of a metric become one; None when the second does not count."""
    if kind in {"counter", "histogram", "summary"}:
        return add
    if name.endswith("_created"):  # when a series began
        return min
    if gauges == "none":
        return None
    if name in _SUMMED_GAUGES:
        return add
    if name.startswith(_LARGEST):
        return max
    return _second if gauges == "all" else None


def _second(_first: float, second: float) -> float:
    return second


def _parsed(page: str) -> dict[str, _Family]:
    found: dict[str, _Family] = {}
    current = _Family()
    for line in page.splitlines():
        if line.startswith("# "):
            _, what, name, *rest = line.split(" ", 3)
            if what not in {"HELP", "TYPE"}:
                continue
            current = found.setdefault(name, _Family())
            current.head.append(line)
            if what == "TYPE":
                current.kind = rest[0]
        elif matched := _SAMPLE.match(line):
            current.samples[matched["name"]] = float(matched["value"])
    return found


def _written(value: float) -> str:
    if value != value:  # noqa: PLR0124  NaN
        return "NaN"
    if value in {float("inf"), float("-inf")}:
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
