"""The latest decisions as columns, so that a decision costs little to keep and rows to read."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np

from feasible.schema import BoolArray, Decision, FloatArray, IntArray

__all__ = ["UNKNOWN", "Case", "Columns", "Stream", "case_of"]

UNKNOWN: Final = -1
"""Nano-dollars of a decision whose price is not known."""


class Case(msgspec.Struct, frozen=True):
    """What judging one decision takes.

    Attributes:
        answer: None when a person took it or nobody answered.
        slices: Those that the decision itself states.
        request: For losses of the feature's own; None otherwise.
        is_person: A person answers.
        is_silent: Nobody answers.
        in_time: Somebody answers, and the reply was there by the deadline.
        latency_ms: Until the reply.
        cost_nusd: `UNKNOWN` when a price is.
        machine_nusd: The same with people's prices left out.
    """

    answer: Any
    slices: tuple[str, ...]
    request: Any
    is_person: bool
    is_silent: bool
    in_time: bool
    latency_ms: float
    cost_nusd: int
    machine_nusd: int


def case_of(
    decision: Decision,
    *,
    people: frozenset[str],
    deadline_ms: float | None,
    with_request: bool,
) -> Case:
    """Take from a decision what judging it takes.

    Args:
        decision: The decision.
        people: Names of the tiers that are people.
        deadline_ms: Time in which an answer counts as given; None: any.
        with_request: Whether the request is kept.
    """
    is_person = decision.handed_off or decision.tier in people
    cost = UNKNOWN if decision.cost_nusd is None else decision.cost_nusd
    answered = is_person or decision.answer is not None
    return Case(
        answer=None if is_person else decision.answer,
        slices=decision.slices,
        request=decision.request if with_request else None,
        is_person=is_person,
        is_silent=not answered,
        in_time=answered and (deadline_ms is None or decision.latency_ms <= deadline_ms),
        latency_ms=decision.latency_ms,
        cost_nusd=cost,
        machine_nusd=_machine_nusd(decision, people) if is_person else cost,
    )


def _machine_nusd(decision: Decision, people: frozenset[str]) -> int:
    """Give the price of the machines that were asked before a person took over."""
    prices = [
        step.cost_usd
        for step in decision.path
        if step.tier not in people and step.outcome not in {"skipped", "handed_off"}
    ]
    if any(price is None for price in prices):
        return UNKNOWN
    return sum(round((price or 0.0) * 1e9) for price in prices)


@dataclass(frozen=True, slots=True)
class Columns:
    """Decisions as arrays of one length, in no order that matters.

    Attributes:
        latency_ms: shape (n,).
        cost_nusd: shape (n,); `UNKNOWN` where the price is not known.
        machine_nusd: shape (n,); the same with people's prices left out.
        is_person: shape (n,).
        is_silent: shape (n,).
        in_time: shape (n,).
    """

    latency_ms: FloatArray
    cost_nusd: IntArray
    machine_nusd: IntArray
    is_person: BoolArray
    is_silent: BoolArray
    in_time: BoolArray

    def where(self, rows: BoolArray) -> Columns:
        """Keep some rows."""
        return Columns(
            self.latency_ms[rows],
            self.cost_nusd[rows],
            self.machine_nusd[rows],
            self.is_person[rows],
            self.is_silent[rows],
            self.in_time[rows],
        )

    @classmethod
    def of(cls, rows: Sequence[Case]) -> Columns:
        """Turn cases into columns."""

        def column(name: str, dtype: type) -> Any:
            return np.fromiter(map(attrgetter(name), rows), dtype=dtype, count=len(rows))

        return cls(
            column("latency_ms", np.float64),
            column("cost_nusd", np.int64),
            column("machine_nusd", np.int64),
            column("is_person", np.bool_),
            column("is_silent", np.bool_),
            column("in_time", np.bool_),
        )


class Stream:
    """The latest decisions; the oldest makes room when there are `most`.

    Args:
        slices: Names of the slices that some figure is about.
        most: Decisions kept. Count, > 0.
    """

    def __init__(self, slices: Iterable[str], *, most: int) -> None:
        if most < 1:
            msg = f"at least one decision is kept; found {most}"
            raise ValueError(msg)
        self._most = most
        self._ids: list[str] = []
        self._cases: dict[str, Case] = {}
        self._latency = array("d")
        self._cost = array("q")
        self._machine = array("q")
        self._person = bytearray()
        self._silent = bytearray()
        self._in_time = bytearray()
        self._member: dict[str, bytearray] = {name: bytearray() for name in slices}
        self._next = 0
        self.stated: set[str] = set()
        """Slices that some decision has stated itself."""
        self.is_full = False
        """Whether a decision has been forgotten."""

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, decision_id: str) -> bool:
        return decision_id in self._cases

    def case(self, decision_id: str) -> Case | None:
        """Give what is kept of a decision; None when it never came or was forgotten."""
        return self._cases.get(decision_id)

    def add(self, decision_id: str, case: Case) -> None:
        """Keep a decision that is not there yet."""
        self._cases[decision_id] = case
        if len(self._ids) < self._most:
            at = len(self._ids)
            self._ids.append(decision_id)
            self._latency.append(case.latency_ms)
            self._cost.append(case.cost_nusd)
            self._machine.append(case.machine_nusd)
            self._person.append(case.is_person)
            self._silent.append(case.is_silent)
            self._in_time.append(case.in_time)
            for flags in self._member.values():
                flags.append(0)
        else:
            at = self._replace(decision_id, case)
        for name in case.slices:
            if name in self._member:
                self._member[name][at] = 1
                self.stated.add(name)

    def _replace(self, decision_id: str, case: Case) -> int:
        at, self.is_full = self._next, True
        self._next = (at + 1) % self._most
        del self._cases[self._ids[at]]
        self._ids[at] = decision_id
        self._latency[at] = case.latency_ms
        self._cost[at], self._machine[at] = case.cost_nusd, case.machine_nusd
        self._person[at], self._in_time[at] = case.is_person, case.in_time
        self._silent[at] = case.is_silent
        for flags in self._member.values():
            flags[at] = 0
        return at

    def columns(self) -> Columns:
        """Give all decisions kept, copied."""
        return Columns(
            np.array(self._latency, dtype=np.float64),
            np.array(self._cost, dtype=np.int64),
            np.array(self._machine, dtype=np.int64),
            np.frombuffer(bytes(self._person), dtype=np.bool_),
            np.frombuffer(bytes(self._silent), dtype=np.bool_),
            np.frombuffer(bytes(self._in_time), dtype=np.bool_),
        )

    def member(self, name: str) -> BoolArray:
        """Say which of these are in a slice, by what they state themselves."""
        return np.frombuffer(bytes(self._member[name]), dtype=np.bool_)
