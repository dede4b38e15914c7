"""Features of many requests at once, each as it was known at its own time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feasible.features.windows import FeatureSet, Window, needed
from feasible.schema import BoolArray, Events, FloatArray, IntArray

__all__ = ["Computed", "Requests", "compute"]

_PAIRS: Final = 4_000_000
"""Pairs of a late event and a request before it that are held at once."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What features are asked for.

    Attributes:
        at_ms: Time that each is about. int64, shape (n,), milliseconds since 1970 (UTC).
        known_at_ms: Time by which something must have been created to be seen, the same.
        keys: Field -> key of each request, shape (n,).
    """

    at_ms: IntArray
    known_at_ms: IntArray
    keys: Mapping[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.at_ms)


@dataclass(frozen=True, slots=True)
class Computed:
    """Features and what they are worth.

    Attributes:
        values: shape (n_requests, n_features), in the order of the set.
        age_ms: Source -> time since it was last heard of, shape (n_requests,); -1 where never.
        is_stale: Whether some source is older than it may be, shape (n_requests,).
    """

    values: FloatArray
    age_ms: dict[str, IntArray]
    is_stale: BoolArray


def compute(wanted: FeatureSet, sources: Mapping[str, Events], requests: Requests) -> Computed:
    """Compute features as known at each request's time; the same as `OnlineFeatures.read`.

    Args:
        wanted: The definition.
        sources: Source -> its history, in any order.
        requests: What is asked, in any order.

    Raises:
        FeatureError: A source, key or value that a window names is not there.
    """
    sums: dict[Window, IntArray] = {}
    for (source, key), windows in _grouped(wanted).items():
        laid = _Laid(needed(sources, source, "source"), requests, key)
        for window in windows:
            sums[window] = laid.total(window)
    columns = []
    for feature in wanted.features:
        if isinstance(feature, Window):
            columns.append(sums[feature].astype(np.float64))
            continue
        under = sums[feature.under] + feature.prior
        over = sums[feature.over].astype(np.float64)
        columns.append(np.divide(over, under, out=np.zeros(len(under)), where=under > 0))
    age_ms = {
        name: _age_ms(needed(sources, name, "source"), requests) for name in sorted(wanted.sources)
    }
    is_stale = np.zeros(len(requests), dtype=np.bool_)
    for name, most in wanted.max_age_ms.items():
        is_stale |= (age_ms[name] < 0) | (age_ms[name] > most)
    return Computed(np.column_stack(columns), age_ms, is_stale)


def _grouped(wanted: FeatureSet) -> dict[tuple[str, str], list[Window]]:
    groups: dict[tuple[str, str], list[Window]] = {}
    for window in wanted.windows:
        groups.setdefault((window.source, window.key), []).append(window)
    return groups


def _age_ms(events: Events, requests: Requests) -> IntArray:
    """Give the time since a source was last heard of; -1 where it never was."""
    heard = np.sort(
        np.concatenate([np.maximum(events.time_ms, events.created_ms), events.heard_ms])
    )
    last = np.searchsorted(heard, requests.known_at_ms, side="right") - 1
    if not len(heard):
        return np.full(len(requests), -1, dtype=np.int64)
    return np.where(last >= 0, requests.known_at_ms - heard[np.maximum(last, 0)], -1)


class _Laid:
    """Events in the order of key and time, and where each request stands among them."""

    def __init__(self, events: Events, requests: Requests, key: str) -> None:
        theirs = needed(events.keys, key, "key")
        asked = needed(requests.keys, key, "key")
        _, codes = np.unique(np.concatenate([theirs, asked]), return_inverse=True)
        of_event = codes[: len(events)].astype(np.int64)
        self._asked = codes[len(events) :].astype(np.int64)
        self._order = np.lexsort((events.time_ms, of_event))
        both = [events.time_ms, requests.at_ms]
        self._zero = min((int(t.min()) for t in both if len(t)), default=0)
        self._span = max((int(t.max()) for t in both if len(t)), default=0) - self._zero + 2
        self._place = self._at(of_event[self._order], events.time_ms[self._order])
        self._events, self._requests = events, requests
        created = np.maximum(events.created_ms, events.time_ms)
        late = np.flatnonzero(created[self._order] > events.time_ms[self._order])
        self._late, self._late_code = late, of_event[self._order][late]
        self._late_time = events.time_ms[self._order][late]
        self._late_created = created[self._order][late]
        self._by_at = np.lexsort((requests.at_ms, self._asked))
        self._by_known = np.lexsort((requests.known_at_ms, self._asked))
        self._known = _Places(self._asked[self._by_known], requests.known_at_ms[self._by_known])

    def _at(self, code: IntArray, time_ms: IntArray) -> IntArray:
        """Give one number that orders by key, then by time; times outside are put at the edge."""
        return code * self._span + np.clip(time_ms - self._zero, -1, self._span - 2) + 1

    def total(self, window: Window) -> IntArray:
        """Sum one window for every request."""
        value = (
            np.ones(len(self._events), dtype=np.int64)
            if window.value is None
            else needed(self._events.values, window.value, "value")
        )[self._order]
        running = np.concatenate([[0], np.cumsum(value)])
        # Requests in the order of the events: neighbours are found near each other in memory.
        code, (after, upto) = self._asked[self._by_at], self._stretch(window, self._by_at)
        ends = np.searchsorted(self._place, self._at(code, upto), side="right")
        begins = np.searchsorted(self._place, self._at(code, after), side="right")
        total = np.empty(len(self._requests), dtype=np.int64)
        total[self._by_at] = running[np.maximum(begins, ends)] - running[begins]
        return total - self._not_yet(window, value)

    def _stretch(self, window: Window, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Give the stretch of some requests: what happens later than they know is never in it."""
        upto = self._requests.at_ms[rows] - window.delay_ms
        return upto - window.length_ms, np.minimum(upto, self._requests.known_at_ms[rows])

    def _not_yet(self, window: Window, value: IntArray) -> IntArray:
        """Sum what lies in the window and was created after the request knew anything.

        Each late event is compared with the requests of its key that knew too little: those known
        before it was created and, since their time is no later, after the window first sees it.
        """
        missing = np.zeros(len(self._requests), dtype=np.int64)
        first = self._known.left(self._late_code, self._first_known(window))
        last = self._known.left(self._late_code, self._late_created)
        counts = np.maximum(last - first, 0)
        bounds = np.concatenate([[0], np.cumsum(counts)])
        begin = 0
        while begin < len(counts):
            end = int(np.searchsorted(bounds, bounds[begin] + _PAIRS, side="right")) - 1
            end = max(end, begin + 1)
            part = np.repeat(np.arange(begin, end), counts[begin:end])
            offset = np.arange(len(part)) - (bounds[part] - bounds[begin])
            request = self._by_known[first[part] + offset]
            after, upto = self._stretch(window, request)
            inside = (self._late_time[part] <= upto) & (self._late_time[part] > after)
            np.add.at(missing, request[inside], value[self._late[part[inside]]])
            begin = end
        return missing

    def _first_known(self, window: Window) -> IntArray:
        """Give when a request could know enough for each late event to lie in its window."""
        # A request may be about a time after it is asked; it then knows less than its time says.
        ahead = np.maximum(self._requests.at_ms - self._requests.known_at_ms, 0).max(initial=0)
        return self._late_time + max(0, window.delay_ms - int(ahead))


class _Places:
    """Positions in rows that are ordered by code, then by time."""

    def __init__(self, code: IntArray, time_ms: IntArray) -> None:
        self._zero = int(time_ms.min()) if len(time_ms) else 0
        self._span = (int(time_ms.max()) - self._zero if len(time_ms) else 0) + 3
        self._place = self._at(code, time_ms)

    def _at(self, code: IntArray, time_ms: IntArray) -> IntArray:
        return code * self._span + np.clip(time_ms - self._zero, -1, self._span - 2) + 1

    def left(self, code: IntArray, time_ms: IntArray) -> IntArray:
        """Give the first row of a code at or after a time."""
        return np.searchsorted(self._place, self._at(code, time_ms), side="left")
