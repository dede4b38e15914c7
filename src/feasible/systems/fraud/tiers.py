"""Tiers of the fraud system: an amount nobody pays, and boosted trees over windows of events."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feasible.errors import ModelFileError, RequestError, TierError, TierUnavailable
from feasible.features import DAY_MS, Event, OnlineFeatures, Requests, compute
from feasible.schema import Answer, Example, Request, TierKind
from feasible.systems.fraud.boosted import fit_boosted, thinned
from feasible.systems.fraud.columns import card_features, column_names, design
from feasible.systems.fraud.data import FRAUD, GENUINE, request_of
from feasible.systems.fraud.generator import LARGE_CENTS
from feasible.systems.fraud.payments import PAYMENTS, REPORTS
from feasible.systems.fraud.stream import history, reports_of_world
from feasible.tiers.model_files import StoredModel, read_model, write_model
from feasible.tiers.trees import BoostedTrees

__all__ = ["Scorer", "rules"]

_FORMAT: Final = "feasible.fraud.scorer/1"
_CODE: Final = "fraud-scorer-1"
_DELAY_DAYS: Final = 7
_OLDEST_REPORT_MS: Final = 7 * DAY_MS
"""Reports come every few hours: without one for a week their source has stopped."""
_SETTLED_MS: Final = 28 * DAY_MS
"""After so long every fraud has been reported."""
_MANY: Final = 64
"""Requests that are looked up one by one at most; more of the past are computed at once."""
_FIELDS: Final = ("time_ms", "customer", "terminal", "cents")


def rules(request: Request) -> Answer:
    """Call an amount over $220 fraud, and any other genuine, the surer the smaller it is."""
    cents = _whole(request, "cents")
    if cents > LARGE_CENTS:
        return Answer(FRAUD, score=1.0)
    return Answer(GENUINE, score=1.0 - max(cents, 0) / (2 * LARGE_CENTS))


class Scorer:
    """Boosted trees over windows of a card's and a terminal's events, as of the payment.

    A payment that is asked about joins the stream, so that the next one of its card sees it. Rows
    of the past see what was known then. When the source of reports has stopped, there is no answer:
    whoever is declared as the fallback takes over.
    """

    kind: Final = TierKind.MODEL
    simulated: Final = False

    def __init__(self) -> None:
        self._wanted = card_features(delay_days=_DELAY_DAYS, max_report_age_ms=_OLDEST_REPORT_MS)
        self._trees: BoostedTrees | None = None
        self._walk: Callable[[Sequence[float]], float] | None = None
        self._online: OnlineFeatures | None = None
        self._opening = threading.Lock()

    def blank(self) -> Scorer:
        """Give an unfitted copy."""
        return Scorer()

    def fit(self, examples: Sequence[Example], *, seed: int) -> None:
        """Learn from every fraud and a tenth of the genuine payments.

        Beside the rows, from the payments before them whose reports have all come.
        """
        first_ms = min(_whole(row.request, "time_ms") for row in examples)
        before = history()
        old = before.take(
            (before.time_ms >= before.time_ms[0] + _SETTLED_MS // 2)
            & (before.time_ms < first_ms - _SETTLED_MS)
        )  # windows of the first days would be nearly empty
        columns = (old.payment, old.time_ms, old.customer, old.terminal, old.cents)
        earlier = [request_of(*line) for line in np.column_stack(columns).tolist()]
        asked: list[Request] = [*earlier, *(row.request for row in examples)]
        is_fraud = np.array([*old.is_fraud.tolist(), *(row.label == FRAUD for row in examples)])
        kept = thinned(is_fraud, seed=seed)
        rows = self._columns([asked[i] for i in kept.tolist()])
        self._trees, self._walk = fit_boosted(rows, is_fraud[kept], seed=seed), None

    def save(self, folder: Path) -> None:
        """Write the trees as plain arrays."""
        write_model(folder, StoredModel(_FORMAT, {"code": _CODE}, self._fitted().arrays()))

    def load(self, folder: Path) -> None:
        """Read what `save` wrote.

        Raises:
            ModelFileError: It is missing, damaged or of other code.
        """
        stored = read_model(folder, _FORMAT)
        if stored.facts.get("code") != _CODE:
            raise ModelFileError(
                f"the model in {folder} was fitted by other code",
                asked=_CODE,
                found=str(stored.facts.get("code")),
                attempt="feasible plan fraud",
            )
        self._trees = BoostedTrees.read(stored.arrays, len(column_names(self._wanted)))
        self._walk = None

    def warm_up(self) -> None:
        """Take the history in, so that no request pays for it."""
        self._stream()

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Answer each payment.

        Raises:
            RequestError: A payment is not whole.
            TierUnavailable: Reports have stopped coming.
        """
        trees = self._fitted()
        if len(batch) > _MANY:
            return [_answer(odds) for odds in trees.log_odds(self._columns(batch)).tolist()]
        if self._walk is None:
            self._walk = trees.walker()
        walk = self._walk
        return [_answer(walk(self._row(request)[0].tolist())) for request in batch]

    def _fitted(self) -> BoostedTrees:
        if self._trees is None:
            raise TierError("the scorer has not been fitted", attempt="feasible plan fraud")
        return self._trees

    def _columns(self, batch: Sequence[Request]) -> npt.NDArray[np.float32]:
        """Give what the trees look at, for payments of the history."""
        time_ms, customer, terminal, cents = (
            np.array([_whole(request, name) for request in batch], dtype=np.int64)
            for name in _FIELDS
        )
        found = compute(
            self._wanted,
            {PAYMENTS: history().events(), REPORTS: reports_of_world()},
            Requests(time_ms, time_ms, {"customer": customer, "terminal": terminal}),
        )
        return design(self._wanted, found.values, cents, time_ms)

    def _row(self, request: Request) -> npt.NDArray[np.float32]:
        """Give what the trees look at, for a payment that joins the stream."""
        time_ms, customer, terminal, cents = (_whole(request, name) for name in _FIELDS)
        keys = {"customer": customer, "terminal": terminal}
        stream = self._stream()
        payment = request.get("payment")
        name = payment if isinstance(payment, int) else None
        stream.add(PAYMENTS, Event(time_ms, time_ms, keys, {"cents": cents}, name))
        read = stream.read(time_ms, time_ms, keys)
        if read.stale:
            age_ms = read.age_ms[REPORTS]
            age = "never heard of" if age_ms is None else f"{age_ms / DAY_MS:.1f} d old"
            raise TierUnavailable(
                "the features of this payment are stale",
                asked=f"reports of fraud no older than {_OLDEST_REPORT_MS / DAY_MS:g} d",
                found=age,
                attempt="see whether the source of reports still runs",
                was_sent=False,
            )
        return design(self._wanted, read.values[None, :], np.array([cents]), np.array([time_ms]))

    def _stream(self) -> OnlineFeatures:
        with self._opening:
            if self._online is None:
                online = OnlineFeatures(self._wanted)
                online.extend(PAYMENTS, history().events())
                online.extend(REPORTS, reports_of_world())
                self._online = online
            return self._online


def _answer(log_odds: float) -> Answer:
    p = 1.0 / (1.0 + math.exp(-log_odds))
    return Answer(FRAUD, score=p) if p >= 0.5 else Answer(GENUINE, score=1.0 - p)  # noqa: PLR2004


def _whole(request: Request, name: str) -> int:
    value: Any = request.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise RequestError(
        f"a payment needs a whole number `{name}`",
        asked=", ".join(_FIELDS),
        found=repr(value)[:100],
        attempt="send time_ms in milliseconds since 1970 and the amount in cents",
    )
