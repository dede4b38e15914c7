"""Features of one request, kept up to date event by event."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from feasible.features.windows import FeatureSet, Window, needed
from feasible.schema import Events, FloatArray

__all__ = ["Event", "OnlineFeatures", "Read"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream.

    Attributes:
        time_ms: When it happened. Milliseconds since 1970 (UTC).
        created_ms: When it became known, the same.
        keys: Field -> key.
        values: Name -> whole number.
        event_id: The same event sent twice has the same; None where nobody sends one twice.
    """

    time_ms: int
    created_ms: int
    keys: Mapping[str, Hashable]
    values: Mapping[str, int] = field(default_factory=dict)
    event_id: Hashable = None


@dataclass(frozen=True, slots=True)
class Read:
    """The features of one request and what they are worth.

    Attributes:
        values: shape (n_features,), in the order of the set.
        age_ms: Source -> milliseconds since it was last heard of; None where it never was.
        stale: Sources that are older than they may be.
    """

    values: FloatArray
    age_ms: dict[str, int | None]
    stale: tuple[str, ...]


class _Line:
    """The events of one key, in the order of time."""

    __slots__ = ("created", "latest", "running", "times")

    def __init__(self, values: int) -> None:
        self.times: list[int] = []
        self.created: list[int] = []
        self.running: list[list[int]] = [[0] for _ in range(values)]
        self.latest = 0
        """When the last of them became known."""

    def add(self, time_ms: int, created_ms: int, values: list[int]) -> None:
        """Put an event where it belongs; one that came late moves what is after it."""
        at = bisect_right(self.times, time_ms)
        self.times.insert(at, time_ms)
        self.created.insert(at, created_ms)
        self.latest = max(self.latest, created_ms)
        for running, value in zip(self.running, values, strict=True):
            running.insert(at + 1, running[at] + value)
            if at + 2 < len(running):
                running[at + 2 :] = [total + value for total in running[at + 2 :]]

    def upto(self, time_ms: int) -> int:
        """Give how many events happened up to a time."""
        return bisect_right(self.times, time_ms)

    def count(self, begin: int, end: int, known_ms: int) -> int:
        """Count events of a stretch that were known at a time."""
        if self.latest <= known_ms:
            return end - begin
        return sum(created <= known_ms for created in self.created[begin:end])

    def total(self, begin: int, end: int, known_ms: int, value: int) -> int:
        """Sum a value over events of a stretch that were known at a time."""
        running = self.running[value]
        if self.latest <= known_ms:
            return running[end] - running[begin]
        return sum(
            running[i + 1] - running[i] for i in range(begin, end) if self.created[i] <= known_ms
        )

    def forget(self, before_ms: int) -> None:
        """Let go of what happened before a time."""
        gone = bisect_left(self.times, before_ms)
        del self.times[:gone], self.created[:gone]
        for running in self.running:
            del running[:gone]


class OnlineFeatures:
    """Events as they come, and the features of a request as known at any time.

    The same definition as `compute`, and the same numbers: events may come late and out of order,
    and what was not yet known at the time of a request is not seen by it. Safe to use from threads.

    Args:
        wanted: The definition.
    """

    def __init__(self, wanted: FeatureSet) -> None:
        self.wanted = wanted
        self._fields: dict[str, list[str]] = {}
        self._values: dict[str, list[str]] = {}
        for window in wanted.windows:
            _once(self._fields.setdefault(window.source, []), window.key)
            values = self._values.setdefault(window.source, [])
            if window.value is not None:
                _once(values, window.value)
        self._lines: dict[tuple[str, str], dict[Hashable, _Line]] = {
            (source, key): {} for source, keys in self._fields.items() for key in keys
        }
        self._heard: dict[str, list[int]] = {source: [] for source in wanted.sources}
        self._known: dict[str, dict[Hashable, int]] = {source: {} for source in wanted.sources}
        self._lock = threading.RLock()
        self._n_windows = len(wanted.windows)
        self._by_line = self._grouped()
        self._plan = self._lay_out()

    def add(self, source: str, event: Event) -> bool:
        """Take an event; False when it was there already.

        Raises:
            FeatureError: No window reads the source, or a key or value is not there.
        """
        fields = needed(self._fields, source, "source")
        keys = [needed(event.keys, name, f"key of {source}") for name in fields]
        values = [needed(event.values, name, f"value of {source}") for name in self._values[source]]
        created_ms = max(event.time_ms, event.created_ms)
        with self._lock:
            known = self._known[source]
            if event.event_id is not None:
                if event.event_id in known:
                    return False
                known[event.event_id] = event.time_ms
            for name, key in zip(self._fields[source], keys, strict=True):
                lines = self._lines[source, name]
                line = lines.get(key)
                if line is None:
                    line = lines[key] = _Line(len(values))
                line.add(event.time_ms, created_ms, values)
            self._hear(source, created_ms)
        return True

    def extend(self, source: str, history: Events) -> None:
        """Take a whole history; the events that are there already are left as they are."""
        names = needed(self._fields, source, "source")
        fields = {name: needed(history.keys, name, "key").tolist() for name in names}
        sums = {
            name: needed(history.values, name, "value").tolist() for name in self._values[source]
        }
        ids = [None] * len(history) if history.ids is None else history.ids.tolist()
        times, created = history.time_ms.tolist(), history.created_ms.tolist()
        with self._lock:
            for i in np.argsort(history.time_ms, kind="stable").tolist():
                keys = {name: column[i] for name, column in fields.items()}
                values = {name: column[i] for name, column in sums.items()}
                self.add(source, Event(times[i], created[i], keys, values, ids[i]))
            for heard_ms in history.heard_ms.tolist():
                self._hear(source, heard_ms)

    def heard(self, source: str, at_ms: int) -> None:
        """Take note that a source is alive although nothing happened."""
        needed(self._heard, source, "source")
        with self._lock:
            self._hear(source, at_ms)

    def read(self, at_ms: int, known_at_ms: int, keys: Mapping[str, Hashable]) -> Read:
        """Give the features of a request.

        Args:
            at_ms: Time that it is about. Milliseconds since 1970 (UTC).
            known_at_ms: Time by which something must have been created to be seen, the same.
            keys: Field -> key.

        Raises:
            FeatureError: A key that a window names is not there.
        """
        with self._lock:
            sums = self._sums(at_ms, known_at_ms, keys)
            ages = {source: self._age_ms(source, known_at_ms) for source in self._heard}
        values = np.array([made(sums) for made in self._plan])
        stale = tuple(
            source
            for source, most_ms in self.wanted.max_age_ms.items()
            for age_ms in [ages[source]]
            if age_ms is None or age_ms > most_ms
        )
        return Read(values, ages, stale)

    def forget(self, before_ms: int) -> None:
        """Let go of events that no request about a time after `before_ms` can reach."""
        with self._lock:
            for (source, _), lines in self._lines.items():
                edge = before_ms - self.wanted.reach_ms(source)
                for key in [key for key, line in lines.items() if line.times[0] < edge]:
                    lines[key].forget(edge)
                    if not lines[key].times:
                        del lines[key]
            for source, known in self._known.items():
                edge = before_ms - self.wanted.reach_ms(source)
                for name in [name for name, time_ms in known.items() if time_ms < edge]:
                    del known[name]
                heard = self._heard[source]
                del heard[: max(0, bisect_left(heard, before_ms) - 1)]

    def _hear(self, source: str, at_ms: int) -> None:
        heard = self._heard[source]
        if not heard or at_ms > heard[-1]:
            heard.append(at_ms)
        else:
            insort(heard, at_ms)

    def _age_ms(self, source: str, known_at_ms: int) -> int | None:
        heard = self._heard[source]
        last = bisect_right(heard, known_at_ms)
        return None if last == 0 else known_at_ms - heard[last - 1]

    def _sums(self, at_ms: int, known_at_ms: int, keys: Mapping[str, Hashable]) -> list[int]:
        """Give the windows' sums, in the order of `wanted.windows`."""
        sums = [0] * self._n_windows
        for (place, delay_ms), windows in self._by_line.items():
            line = self._lines[place].get(needed(keys, place[1], "key"))
            if line is None:
                continue
            upto_ms = at_ms - delay_ms
            end = line.upto(upto_ms)
            for number, length_ms, value in windows:
                begin = line.upto(upto_ms - length_ms)
                sums[number] = (
                    line.count(begin, end, known_at_ms)
                    if value is None
                    else line.total(begin, end, known_at_ms, value)
                )
        return sums

    def _grouped(self) -> dict[tuple[tuple[str, str], int], list[tuple[int, int, int | None]]]:
        """Give the windows by their line and end: number, length and place of the value."""
        groups: dict[tuple[tuple[str, str], int], list[tuple[int, int, int | None]]] = {}
        for number, window in enumerate(self.wanted.windows):
            values = self._values[window.source]
            value = None if window.value is None else values.index(window.value)
            group = groups.setdefault(((window.source, window.key), window.delay_ms), [])
            group.append((number, window.length_ms, value))
        return groups

    def _lay_out(self) -> list[Callable[[list[int]], float]]:
        """Say how each feature comes from the sums of the windows."""
        place = {window: number for number, window in enumerate(self.wanted.windows)}
        return [
            _summed(place[feature])
            if isinstance(feature, Window)
            else _shared(place[feature.over], place[feature.under], feature.prior)
            for feature in self.wanted.features
        ]


def _summed(at: int) -> Callable[[list[int]], float]:
    return lambda sums: float(sums[at])


def _shared(over: int, under: int, prior: float) -> Callable[[list[int]], float]:
    def share(sums: list[int]) -> float:
        below = sums[under] + prior
        return sums[over] / below if below > 0 else 0.0

    return share


def _once(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)
