"""`POST /v1/labels`: late labels, one or many."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from feasible.schema import Label
from feasible.serving.bodies import MAX_DECIDE_BYTES
from feasible.serving.incoming import MOST_DEPTH, is_deeper
from feasible.serving.live import AnyRuntime
from feasible.serving.messages import LabelIn, LabelsReply, LabelsRequest, Problem
from feasible.serving.metrics import Metrics
from feasible.serving.problems import BAD_BODY, CONFLICT, NOT_FOUND, bad_body

__all__ = ["LabelIntake"]

_LABELS_AT_ONCE: Final = 250
_LOG: Final = logging.getLogger(__name__)
_EXAMPLE: Final = (
    '{"labels": [{"decision_id": "...", "value": ..., "source": "human", "known_at": "..."}]}'
)


class LabelIntake:
    """Takes labels into the ledger and tells of those that were new.

    Args:
        runtime: Its ledger takes them.
        on_label: Told each label once it is durable.
        metrics: Counts them.
    """

    def __init__(
        self, runtime: AnyRuntime, *, on_label: Callable[[Label], None], metrics: Metrics
    ) -> None:
        self._runtime = runtime
        self._on_label = on_label
        self._metrics = metrics

    async def take(self, body: bytes) -> LabelsReply | Problem:
        """Take the labels of a body; a problem says which were not taken.

        Raises:
            Refused: The body is no labels; none of it is written then.
            LedgerError: They could not be written.
        """
        try:
            # Thousands of labels take longer to read than a decision may wait.
            is_long = len(body) > MAX_DECIDE_BYTES
            labels = await asyncio.to_thread(_labels_in, body) if is_long else _labels_in(body)
        except BAD_BODY as error:
            raise bad_body(error, asked=_EXAMPLE) from error
        outcomes: list[str] = []
        for start in range(0, len(labels), _LABELS_AT_ONCE):  # so that decisions get their turn
            outcomes += await self._write(labels[start : start + _LABELS_AT_ONCE])
            await asyncio.sleep(0)
        counts = Tally[str](outcomes)
        if counts["unknown_decision"] + counts["conflict"]:
            return _refused(labels, outcomes, counts)
        return LabelsReply(
            stored=counts["stored"],
            duplicate=counts["duplicate"],
            unknown_decision=0,
            conflict=0,
            outcomes=tuple(outcomes),
        )

    async def _write(self, labels: Sequence[Label]) -> Sequence[str]:
        """Write labels, then tell of those that were new; no fault of a listener loses them."""
        outcomes = await self._runtime.ledger.add_labels(labels)
        for label, outcome in zip(labels, outcomes, strict=True):
            self._metrics.labelled(outcome)
            if outcome == "stored":
                try:
                    self._on_label(label)
                except Exception:  # noqa: BLE001  it is on record: whoever sent it must hear so
                    _LOG.exception("a durable label could not be told to everybody")
        return outcomes


def _labels_in(body: bytes) -> list[Label]:
    """Read `{"labels": [...]}`, or one label alone."""
    found = msgspec.json.decode(body)
    if isinstance(found, dict) and "labels" in found and "decision_id" not in found:
        many = msgspec.convert(found, LabelsRequest).labels
    else:
        many = (msgspec.convert(found, LabelIn),)
    for label in many:
        if is_deeper([label.value], MOST_DEPTH):
            raise msgspec.ValidationError(f"a label's value is nested more than {MOST_DEPTH} deep")
    return [label.label() for label in many]


def _refused(labels: Sequence[Label], outcomes: Sequence[str], counts: Tally[str]) -> Problem:
    """Say which labels were not taken, and that the others were."""
    taken = counts["stored"] + counts["duplicate"]
    unknown = counts["unknown_decision"]
    first = next(
        label.decision_id
        for label, outcome in zip(labels, outcomes, strict=True)
        if outcome in {"unknown_decision", "conflict"}
    )
    what = (
        f"{unknown:,} of {len(labels):,} labels name decisions that this ledger does not have"
        if unknown
        else f"{counts['conflict']:,} of {len(labels):,} labels use the id of another label"
    )
    return Problem(
        title=what,
        status=NOT_FOUND if unknown else CONFLICT,
        asked=f"the first of them: decision {first}",
        found=f"the other {taken:,} were taken",
        attempt="send those in `outcomes` that are `unknown_decision` to the service that decided"
        if unknown
        else "give every label an id of its own",
        outcomes=tuple(outcomes),
    )
