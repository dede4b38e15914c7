"""The headroom table of a running feature: every objective by what is known now."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from feasible.clock import Clock
from feasible.feedback.gauges import Evidence, Gauge, Verdict, gauges_of
from feasible.feedback.stream import Case, Columns, Stream, case_of
from feasible.feedback.verdicts import Verdicts, same, spelling
from feasible.schema import (
    BUDGET,
    Brief,
    Decision,
    Example,
    HeadroomRow,
    Label,
    Loss,
    Plan,
    TierKind,
    zero_one_loss,
)

__all__ = ["HeadroomTracker", "Judged"]

_MOST: Final = 100_000
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """What labels said of one promise, one after the other.

    Attributes:
        objective: Its id.
        limit: Largest mean loss allowed. Ratio.
        times: When each became known, oldest first.
        losses: From 0 to 1; a person's answer counts by their declared error rate.
        decisions: Whose they are, by id.
    """

    objective: str
    limit: float
    times: tuple[datetime, ...]
    losses: tuple[float, ...]
    decisions: tuple[str, ...]


class HeadroomTracker:
    """Decisions and labels in, the headroom table out.

    Costs, latencies, people's share and answers in time are figures of the latest `most` decisions.
    Quality is judged on the decisions of which the truth is known, however old, as long as their
    labels are no matter of choice: those that were audited, which means picked at random, or that
    came of themselves. Only decisions of the plan count; what another plan did says nothing about
    it.

    The order in which decisions and labels arrive makes no difference (among the latest `most`
    decisions), and the same one twice is the same one once. A label may come before its decision.
    A label whose time has not come by the clock is not known yet and waits.

    Every interval is for one look: who looks often enough sees one of them miss its truth by luck.
    Figures are those of the traffic as it came, where a certificate weighs slices as declared.

    Args:
        brief: What is promised.
        plan: The plan that answers.
        slices_of: The slices of a row by its true value; also, which answers are of a class.
        clock: Says what is known by now.
        loss: How wrong an answer is, as the plan was judged. Right or wrong by default.
        find: Gives a decision that is no longer among the latest when its label arrives, such as a
            ledger does; without it such a label judges nothing.
        most: Decisions that are remembered. Count.
    """

    def __init__(
        self,
        brief: Brief,
        plan: Plan,
        *,
        slices_of: Callable[[Any], Iterable[str]],
        clock: Clock,
        loss: Loss = zero_one_loss,
        find: Callable[[str], Decision | None] | None = None,
        most: int = _MOST,
    ) -> None:
        self._plan, self._clock, self._find = plan, clock, find
        self._slices_of, self._loss = _forgiving(slices_of), loss
        self._names = frozenset(t.name for t in plan.tiers if t.kind is TierKind.PERSON) | {
            t.name for t in brief.layers.tiers if t.kind is TierKind.PERSON
        }
        self._gauges = gauges_of(brief, plan, self._slices_of)
        on = {g.objective.on for g in self._gauges if g.objective.on is not None}
        self._stream = Stream(sorted(on), most=most)
        self._verdicts: dict[str, Verdicts] = {}
        self._labelled: dict[str, Case] = {}
        self._early: dict[tuple[object, ...], Label] = {}
        self._proxies = self._picked = self._short = 0

    def add_decision(self, decision: Decision) -> None:
        """Count a decision; one of another plan, or one that is there already, changes nothing."""
        name = decision.decision_id
        if decision.plan != self._plan.id or name in self._stream:
            return
        self._short += any(step.why == BUDGET for step in decision.path)
        case = self._case(decision)
        self._stream.add(name, case)
        if name in self._verdicts and name not in self._labelled:
            self._join(name, case)

    def add_label(self, label: Label) -> None:
        """Take in what became known about a decision."""
        if label.known_at > self._clock.now():
            key = (label.decision_id, label.source, label.selection, label.known_at)
            self._early[*key, label.label_id, spelling(label.value)] = label
            return
        self._add_known(label)

    def rows(self) -> list[HeadroomRow]:
        """Say how every objective stands, in the order of the brief."""
        now = self._clock.now()
        for key in [key for key, label in self._early.items() if label.known_at <= now]:
            self._add_known(self._early.pop(key))
        everything = self._stream.columns()
        return [self._row(gauge, everything) for gauge in self._gauges]

    def judged(self) -> list[Judged]:
        """Give the losses of every promise that labels judge, in the order of their times."""
        out = []
        for gauge in self._gauges:
            if not gauge.objective.needs_labels or gauge.reason is not None:
                continue
            known = []
            for name, loss in gauge.losses().items():
                truth = self._verdicts[name].truth
                if truth is not None:
                    known.append((truth.known_at, name, loss))
            known.sort()
            out.append(
                Judged(
                    gauge.objective.id,
                    gauge.allowed,
                    tuple(when for when, _, _ in known),
                    tuple(loss for _, _, loss in known),
                    tuple(name for _, name, _ in known),
                )
            )
        return out

    def _row(self, gauge: Gauge, everything: Columns) -> HeadroomRow:
        row = gauge.row(self._evidence(gauge, everything))
        if self._short and gauge.objective.needs_labels:
            told = f"in {self._short:,} decisions a tier was passed over for want of money"
            row = msgspec.structs.replace(row, note=f"{row.note}; {told}")
        return row

    def _case(self, decision: Decision) -> Case:
        return case_of(
            decision,
            people=self._names,
            deadline_ms=self._plan.deadline_ms,
            with_request=self._loss is not zero_one_loss,
        )

    def _add_known(self, label: Label) -> None:
        name = label.decision_id
        verdicts = self._verdicts.get(name)
        if verdicts is None:
            verdicts = self._verdicts[name] = Verdicts()
        proxies, picked = verdicts.proxies, verdicts.picked
        if not verdicts.add(label):
            return
        self._proxies += verdicts.proxies - proxies
        self._picked += verdicts.picked - picked
        case = self._labelled.get(name) or self._stream.case(name) or self._found(name)
        if case is not None:
            self._join(name, case)

    def _found(self, decision_id: str) -> Case | None:
        decision = None if self._find is None else self._find(decision_id)
        is_ours = decision is not None and decision.plan == self._plan.id
        return self._case(decision) if decision is not None and is_ours else None

    def _join(self, name: str, case: Case) -> None:
        """Judge a decision by what is known of it now, in every gauge."""
        self._labelled[name] = case
        verdicts = self._verdicts[name]
        truth = verdicts.truth
        if truth is None:
            return
        verdict = Verdict(
            truth=truth.value,
            inside=frozenset(self._slices_of(truth.value)) | frozenset(case.slices),
            loss=self._loss_of(name, case, truth.value),
            is_audited=verdicts.is_audited,
        )
        for gauge in self._gauges:
            gauge.judge(name, case, verdict)

    def _loss_of(self, name: str, case: Case, truth: Any) -> float:
        """Give how wrong an answer is; NaN when the feature's loss cannot say.

        No answer is wholly wrong. A person's is not looked at: it has a declared error rate.
        """
        if case.answer is None:
            return 1.0
        if self._loss is zero_one_loss:
            return 0.0 if same(case.answer, truth) else 1.0
        try:
            found = self._loss(Example(name, case.request or {}, label=truth), case.answer)
        except Exception:  # noqa: BLE001  the feature's own code, and a label that anybody sent
            _LOG.warning("the feature's own `loss` cannot take a label", exc_info=True)
            return math.nan
        return found if math.isnan(found) else min(1.0, max(0.0, found))

    def _evidence(self, gauge: Gauge, everything: Columns) -> Evidence:
        on = gauge.objective.on
        columns: Columns | None = everything
        if on is not None:
            stated = on in self._stream.stated
            columns = everything.where(self._stream.member(on)) if stated else None
        return Evidence(
            columns=columns,
            is_full=self._stream.is_full,
            proxies=self._proxies,
            picked=self._picked,
            early=len(self._early),
            strays=len(self._verdicts) - len(self._labelled),
        )


def _forgiving(slices_of: Callable[[Any], Iterable[str]]) -> Callable[[Any], Iterable[str]]:
    """Give the same function, for which a value that it cannot take lies in no slice.

    A label is durable before it is looked at: one that the feature's own code cannot take must not
    keep a service from answering, or from starting again.
    """

    def taken(value: Any) -> Iterable[str]:
        try:
            return frozenset(slices_of(value))
        except Exception:  # noqa: BLE001  the feature's own code, and a value that anybody sent
            _LOG.warning("the feature's own `slices` cannot take a label", exc_info=True)
            return frozenset()

    return taken
