"""Asking every tier about every row, so that the planner sees what each would have answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from feasible.errors import DataError, TierError
from feasible.schema import Answer, Example, FloatArray, Loss, Profile, Request, TierKind
from feasible.tiers import FittableTier, Tier, checked_answers

__all__ = ["ProfiledTiers", "profile_tiers"]

_FOLDS: Final = 5
_FEWER_FOLDS: Final = 3
_MANY_ROWS: Final = 12_000
_TIMED: Final = 300
"""Training rows that are timed one at a time; the others borrow their latencies."""
_BATCH: Final = 256
_STREAM: Final = 9_377
_LIMIT_S: Final = 60.0
"""Time that one call may take before its tier counts as hung."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ProfiledTiers:
    """A profile, and the tiers that made it, fitted on all training rows."""

    profile: Profile
    fitted: dict[str, Tier]


def profile_tiers(
    tiers: Mapping[str, Tier],
    examples: Sequence[Example],
    *,
    labels: Sequence[str],
    loss: Loss,
    person_loss: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProfiledTiers:
    """Ask every tier about every row.

    Training rows are answered by tiers that never saw them (cross-fitting); test rows by the tiers
    that are served, one at a time, so that a latency is that of one call. Training rows are
    answered in batches and borrow latencies from a sample of calls made one at a time.

    Args:
        tiers: Name -> tier, in the brief's order.
        examples: Labelled rows.
        labels: The closed set of answers; empty when any value is valid.
        loss: How wrong an answer is. Ratio.
        person_loss: Declared error rate of people. Ratio.
        seed: Makes folds and samples repeatable.
        progress: Told the tier, rows done and rows in all.

    Raises:
        DataError: No rows, one class, or duplicate ids.
        TierError: A tier raised, hung or answered what it may not.
    """
    _check(examples)
    n = len(examples)
    closed = frozenset(labels) if labels else None
    is_test = np.array([row.split == "test" for row in examples])
    columns: dict[str, _Column] = {}
    fitted: dict[str, Tier] = {}
    for name, tier in tiers.items():
        if progress is not None:
            progress(f"profiling {name}", 0, n)

        def step(done: int, name: str = name) -> None:
            if progress is not None:
                progress(f"profiling {name}", done, n)

        asking = _Asking(tier, examples, is_test, closed, seed, step)
        columns[name], fitted[name] = asking.column()
        step(n)
    return ProfiledTiers(_profile(tiers, columns, examples, loss, person_loss, is_test), fitted)


@dataclass(slots=True)
class _Column:
    answers: list[Answer]
    latency_ms: FloatArray


class _Asking:
    """One tier against all rows."""

    def __init__(
        self,
        tier: Tier,
        examples: Sequence[Example],
        is_test: np.ndarray[Any, np.dtype[np.bool_]],
        closed: frozenset[str] | None,
        seed: int,
        step: Callable[[int], None],
    ) -> None:
        self.tier, self.examples, self.closed, self.step = tier, examples, closed, step
        self.requests = [row.request for row in examples]
        self.train, self.test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        self.rng = np.random.default_rng([_STREAM, seed])
        self.seed = seed

    def column(self) -> tuple[_Column, Tier]:
        n = len(self.examples)
        out = _Column([Answer()] * n, np.full(n, np.nan))
        if self.tier.kind in {TierKind.CACHE, TierKind.PERSON}:
            out.latency_ms[:] = 1.0 if self.tier.kind is TierKind.PERSON else np.nan
            return out, self.tier
        if self.tier.simulated:
            return self._simulated(out), self.tier
        if isinstance(self.tier, FittableTier):
            self._cross_fit(out)
            self.tier.fit([self.examples[int(i)] for i in self.train], seed=self.seed)
        else:
            self._in_batches(self.tier, self.train, out)
        self._one_by_one(out)
        return out, self.tier

    def _simulated(self, out: _Column) -> _Column:
        latency_ms = getattr(self.tier, "latency_ms", None)
        if latency_ms is not None:
            out.latency_ms[:] = [latency_ms(request) for request in self.requests]
        out.answers = self._ask(self.tier, self.requests)
        return out

    def _cross_fit(self, out: _Column) -> None:
        assert isinstance(self.tier, FittableTier)  # noqa: S101  the caller asked
        folds = _FOLDS if len(self.train) <= _MANY_ROWS else _FEWER_FOLDS
        fold = self.rng.permutation(len(self.train)) % folds
        done = 0
        for k in range(folds):
            blank = self.tier.blank()
            blank.fit([self.examples[int(i)] for i in self.train[fold != k]], seed=self.seed)
            self._in_batches(blank, self.train[fold == k], out)
            done += int((fold == k).sum())
            self.step(done)

    def _in_batches(self, tier: Tier, rows: np.ndarray[Any, Any], out: _Column) -> None:
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            for i, answer in zip(
                part, self._ask(tier, [self.requests[int(i)] for i in part]), strict=True
            ):
                out.answers[i] = answer

    def _one_by_one(self, out: _Column) -> None:
        sample = self.rng.permutation(self.train)[:_TIMED]
        for i in sample[:5]:  # the first calls pay for what is loaded lazily
            self._ask(self.tier, [self.requests[i]])
        times = []
        for i in sample:
            started = time.perf_counter()
            self._ask(self.tier, [self.requests[i]])
            times.append((time.perf_counter() - started) * 1e3)
        if len(self.train):
            out.latency_ms[self.train] = self.rng.choice(times, size=len(self.train))
        for done, i in enumerate(self.test):
            started = time.perf_counter()
            out.answers[i] = self._ask(self.tier, [self.requests[i]])[0]
            out.latency_ms[i] = (time.perf_counter() - started) * 1e3
            if done % 100 == 0:
                self.step(len(self.train) + done)

    def _ask(self, tier: Tier, batch: Sequence[Request]) -> list[Answer]:
        return _within(
            _LIMIT_S, self.tier.name, lambda: checked_answers(tier, batch, labels=self.closed)
        )


def _within(seconds: float, name: str, call: Callable[[], list[Answer]]) -> list[Answer]:
    """Give what a call returns, or say that its tier hangs."""
    timer = threading.Event()
    box: list[Any] = []

    def run() -> None:
        try:
            box.append(call())
        except Exception as error:  # noqa: BLE001  carried to the caller's thread
            box.append(error)
        timer.set()

    # A thread a call costs 50 us; only a call that another thread makes can be given up.
    threading.Thread(target=run, daemon=True).start()
    if not timer.wait(seconds):
        raise TierError(
            f"tier `{name}` did not answer",
            asked=f"an answer within {seconds:g} s",
            attempt="give it a timeout of its own",
        )
    if isinstance(box[0], Exception):
        raise box[0]
    answers: list[Answer] = box[0]
    return answers


def _check(examples: Sequence[Example]) -> None:
    if not examples:
        raise DataError("`examples()` yielded no rows", attempt="yield labelled rows")
    ids = [row.row_id for row in examples]
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise DataError(
            f"row id {twice!r} stands {ids.count(twice)} times",
            asked="every row has an id of its own",
            attempt="number the rows, or leave `id` out",
        )
    known = {str(row.label) for row in examples if row.label is not None}
    if not known:
        raise DataError("no row has a label", attempt="yield {'text': ..., 'label': ...}")
    if len(known) == 1:
        raise DataError(
            f"every labelled row has the same label, {next(iter(known))!r}",
            asked="at least two classes: with one, any tier is always right",
            attempt="add rows of the other classes",
        )


def _profile(
    tiers: Mapping[str, Tier],
    columns: Mapping[str, _Column],
    examples: Sequence[Example],
    loss: Loss,
    person_loss: float,
    is_test: np.ndarray[Any, np.dtype[np.bool_]],
) -> Profile:
    n, names = len(examples), tuple(tiers)
    seen = {str(a.value) for c in columns.values() for a in c.answers if not a.abstained}
    classes = tuple(sorted(seen | {str(r.label) for r in examples if r.label is not None}))
    number = {value: i for i, value in enumerate(classes)}
    losses, scores = np.full((n, len(names)), np.nan), np.full((n, len(names)), np.nan)
    costs, given = np.full((n, len(names)), np.nan), np.full((n, len(names)), -1, dtype=np.int64)
    for k, name in enumerate(names):
        price = tiers[name].usd_per_call
        for i, answer in enumerate(columns[name].answers):
            cost = answer.cost_usd if answer.cost_usd is not None else price
            costs[i, k] = np.nan if cost is None else cost
            if answer.abstained:
                continue
            given[i, k] = number[str(answer.value)]
            scores[i, k] = np.nan if answer.score is None else answer.score
            if examples[i].label is not None:
                losses[i, k] = loss(examples[i], answer.value)
    answered = given >= 0
    for k, name in enumerate(names):
        if tiers[name].kind is TierKind.PERSON:
            answered[:, k], losses[:, k] = True, person_loss
    slices = sorted({name for row in examples for name in row.slices})
    return Profile(
        row_ids=tuple(row.row_id for row in examples),
        tiers=names,
        loss=losses,
        answered=answered,
        score=scores,
        answer_class=given,
        classes=classes,
        latency_ms=np.column_stack([columns[name].latency_ms for name in names]),
        cost_usd=costs,
        slices={s: np.array([s in row.slices for row in examples]) for s in slices},
        label=tuple(None if row.label is None else str(row.label) for row in examples),
        is_test=is_test if is_test.any() else None,
        text=tuple(str(row.request.get("text", "")) for row in examples),
        simulated=frozenset(name for name, tier in tiers.items() if tier.simulated),
    )
