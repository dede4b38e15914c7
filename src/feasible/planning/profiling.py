"""Asking every tier about every row, so that the planner sees what each would have answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from feasible.errors import DataError, TierError
from feasible.schema import (
    Answer,
    Brief,
    Example,
    FloatArray,
    Loss,
    Profile,
    Request,
    TierKind,
    TierSpec,
)
from feasible.tiers import FittableTier, Tier, checked_answers

__all__ = ["ProfiledTiers", "hourly_prices", "profile_tiers"]

_FOLDS: Final = 5
_FEWER_FOLDS: Final = 3
_MANY_ROWS: Final = 12_000
_TIMED: Final = 300
"""Training rows that are timed one at a time; the others borrow their latencies."""
_TURN: Final = 40
"""Calls of one tier before the next one's turn: after each turn its data is in no cache."""
_BATCH: Final = 256
_STREAM: Final = 9_377
_LIMIT_S: Final = 60.0
"""Time that one call may take before its tier counts as hung."""
_HOUR_MS: Final = 3_600_000.0

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ProfiledTiers:
    """A profile, and the tiers that made it, fitted on all training rows."""

    profile: Profile
    fitted: dict[str, Tier]


def hourly_prices(brief: Brief) -> dict[str, float]:
    """Give what an hour of a tier's machine costs, for tiers that are paid by time.

    A tier's own `usd_hour` counts beside what it states for a call. `serving.usd_hour` counts for
    what runs inside the service and states no price of its own: rules and models on the server.

    Returns:
        Tier -> dollars an hour, the middle of a range.
    """
    serving = brief.layers.serving
    inside = None if serving is None else serving.usd_hour
    prices = {}
    for tier in brief.layers.tiers:
        hour = tier.usd_hour or (inside if _is_inside(tier) else None)
        if hour is not None and tier.kind not in {TierKind.CACHE, TierKind.PERSON}:
            prices[tier.name] = hour.mid
    return prices


def _is_inside(tier: TierSpec) -> bool:
    """Claim that a tier runs in the service, and that a call of it is billed by nobody else."""
    is_ours = tier.place in {None, "server"} and not tier.leaves_site
    return is_ours and tier.usd is None and tier.kind in {TierKind.RULES, TierKind.MODEL}


def profile_tiers(
    tiers: Mapping[str, Tier],
    examples: Sequence[Example],
    *,
    labels: Sequence[str],
    loss: Loss,
    person_loss: float = 0.0,
    usd_hour: Mapping[str, float] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProfiledTiers:
    """Ask every tier about every row.

    Training rows are answered by tiers that never saw them (cross-fitting); test rows by the tiers
    that are served, one at a time, so that a latency is that of one call. Training rows are
    answered in batches and borrow latencies from a sample of calls made one at a time. Calls that
    are timed are made in turns, a few of each tier: a machine that is busy for a while is so for
    all of them.

    Args:
        tiers: Name -> tier, in the brief's order.
        examples: Labelled rows.
        labels: The closed set of answers; empty when any value is valid.
        loss: How wrong an answer is. Ratio.
        person_loss: Declared error rate of people. Ratio.
        usd_hour: Tier -> dollars an hour of its machine, `hourly_prices` for example. The seconds
            of a call are added to its price; the hours in which nobody asks are not.
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
    asking: dict[str, _Asking] = {}
    for name, tier in tiers.items():
        if progress is not None:
            progress(f"profiling {name}", 0, n)

        def step(done: int, name: str = name) -> None:
            if progress is not None:
                progress(f"profiling {name}", done, n)

        asking[name] = _Asking(tier, examples, is_test, closed, seed, step)
        asking[name].prepare()
        step(n)
    _in_turns([one.timed() for one in asking.values()], progress)
    columns = {name: one.column for name, one in asking.items()}
    profile = _profile(tiers, columns, examples, loss, person_loss, is_test)
    return ProfiledTiers(_with_hours(profile, usd_hour or {}), dict(tiers))


def _in_turns(timed: Sequence[Iterator[int]], progress: Progress | None) -> None:
    """Let the tiers take turns until every call is made; each tells how many it has left."""
    left = dict.fromkeys(range(len(timed)), 0)
    most = 0
    while left:
        left = {number: next(timed[number], 0) for number in left}
        left = {number: calls for number, calls in left.items() if calls}
        most = max(most, sum(left.values()))
        if progress is not None and most:
            progress("timing calls", most - sum(left.values()), most)


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
        self.column = _Column([Answer()] * len(examples), np.full(len(examples), np.nan))

    def prepare(self) -> None:
        """Answer what is not timed, and fit the tier that is served."""
        out = self.column
        if self.tier.kind in {TierKind.CACHE, TierKind.PERSON}:
            out.latency_ms[:] = 1.0 if self.tier.kind is TierKind.PERSON else np.nan
        elif self.tier.simulated:
            self._simulated(out)
        elif isinstance(self.tier, FittableTier):
            self._cross_fit(out)
            self.tier.fit([self.examples[int(i)] for i in self.train], seed=self.seed)
        else:
            self._in_batches(self.tier, self.train, out)

    def timed(self) -> Iterator[int]:
        """Make the calls that are timed, one at a time; after every turn tell how many are left."""
        if self.tier.kind in {TierKind.CACHE, TierKind.PERSON} or self.tier.simulated:
            return
        out = self.column
        sample = self.rng.permutation(self.train)[:_TIMED]
        for i in sample[:5]:  # the first calls pay for what is loaded lazily
            self._ask(self.tier, [self.requests[i]])
        times = []
        calls = len(sample) + len(self.test)
        for done, i in enumerate([*sample, *self.test]):
            started = time.perf_counter()
            answer = self._ask(self.tier, [self.requests[i]])[0]
            took_ms = (time.perf_counter() - started) * 1e3
            if done < len(sample):
                times.append(took_ms)
            else:
                out.answers[i], out.latency_ms[i] = answer, took_ms
            if (done + 1) % _TURN == 0 and done + 1 < calls:
                yield calls - done - 1
        if len(self.train):
            out.latency_ms[self.train] = self.rng.choice(times, size=len(self.train))

    def _simulated(self, out: _Column) -> None:
        latency_ms = getattr(self.tier, "latency_ms", None)
        if latency_ms is not None:
            out.latency_ms[:] = [latency_ms(request) for request in self.requests]
        out.answers = self._ask(self.tier, self.requests)

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


def _with_hours(profile: Profile, usd_hour: Mapping[str, float]) -> Profile:
    """Add to every call what its time costs; a call without a price of its own costs that alone."""
    costs = profile.cost_usd.copy()
    for column, name in enumerate(profile.tiers):
        if name in usd_hour:
            own = np.nan_to_num(costs[:, column])
            costs[:, column] = own + profile.latency_ms[:, column] * usd_hour[name] / _HOUR_MS
    return replace(profile, cost_usd=costs)


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
