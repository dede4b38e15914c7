"""What is trained on and what is served are the same numbers, whatever came late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from feasible.features import (
    Event,
    FeatureSet,
    OnlineFeatures,
    Ratio,
    Requests,
    Window,
    compute,
)
from feasible.schema import Events

SOURCES = ("payments", "reports")


@dataclass(frozen=True)
class Happened:
    """An event of a stream."""

    source: str
    time_ms: int
    created_ms: int
    card: str
    shop: int
    cents: int


@dataclass(frozen=True)
class Asked:
    """A request for features."""

    at_ms: int
    known_ms: int
    card: str
    shop: int


times = st.integers(0, 60)
cards, shops = st.sampled_from(["a", "b", "c"]), st.integers(0, 2)
happened = st.builds(
    Happened,
    source=st.sampled_from(SOURCES),
    time_ms=times,
    created_ms=st.integers(0, 90),
    card=cards,
    shop=shops,
    cents=st.integers(-50, 1000),
)
asked = st.builds(Asked, at_ms=times, known_ms=st.integers(0, 90), card=cards, shop=shops)


@st.composite
def windows(draw: st.DrawFn, number: int) -> Window:
    """Give any window."""
    return Window(
        f"w{number}",
        draw(st.sampled_from(SOURCES)),
        draw(st.sampled_from(["card", "shop"])),
        draw(st.integers(1, 40)),
        draw(st.integers(0, 20)),
        draw(st.sampled_from([None, "cents"])),
    )


@st.composite
def feature_sets(draw: st.DrawFn) -> FeatureSet:
    """Give any three windows, and one over another."""
    made = tuple(draw(windows(number)) for number in range(3))
    share = Ratio("share", made[0], made[1], prior=draw(st.sampled_from([0.0, 2.0])))
    read = sorted({window.source for window in made})
    ages = {source: draw(st.integers(0, 30)) for source in read if draw(st.booleans())}
    return FeatureSet((*made, share), ages)


def _history(events: list[Happened], heard: dict[str, list[int]]) -> dict[str, Events]:
    def column(found: list[Happened], name: str) -> npt.NDArray[Any]:
        values = [getattr(one, name) for one in found]
        return np.array(values) if values else np.zeros(0, dtype=np.int64)

    history = {}
    for source in SOURCES:
        found = [one for one in events if one.source == source]
        history[source] = Events(
            column(found, "time_ms"),
            column(found, "created_ms"),
            {
                "card": np.array([one.card for one in found], dtype="U1"),
                "shop": column(found, "shop"),
            },
            {"cents": column(found, "cents")},
            heard_ms=np.array(heard.get(source, []), dtype=np.int64),
        )
    return history


def _requests(wanted: list[Asked]) -> Requests:
    return Requests(
        np.array([one.at_ms for one in wanted]),
        np.array([one.known_ms for one in wanted]),
        {
            "card": np.array([one.card for one in wanted]),
            "shop": np.array([one.shop for one in wanted]),
        },
    )


@settings(max_examples=300)
@given(
    wanted=feature_sets(),
    events=st.lists(happened, max_size=30),
    heard=st.dictionaries(st.sampled_from(SOURCES), st.lists(st.integers(0, 90), max_size=3)),
    requests=st.lists(asked, min_size=1, max_size=12),
)
def test_online_equals_offline_for_every_row(
    wanted: FeatureSet,
    events: list[Happened],
    heard: dict[str, list[int]],
    requests: list[Asked],
) -> None:
    """Values, ages and staleness are equal to the last digit.

    Online, events arrive in the order in which they were created, which is not the order in which
    they happened, and each request is answered between them, by what had arrived at its time.
    """
    offline = compute(wanted, _history(events, heard), _requests(requests))

    online = OnlineFeatures(wanted)
    arrivals: list[tuple[int, str, Happened | int]] = [
        (max(one.time_ms, one.created_ms), one.source, one) for one in events
    ]
    arrivals += [(ms, source, ms) for source, found in heard.items() for ms in found]
    arrivals = sorted((one for one in arrivals if one[1] in wanted.sources), key=lambda one: one[0])
    for row in np.argsort([one.known_ms for one in requests], kind="stable"):
        request = requests[row]
        while arrivals and arrivals[0][0] <= request.known_ms:
            _, source, what = arrivals.pop(0)
            if isinstance(what, int):
                online.heard(source, what)
            else:
                online.add(source, _event(what))
        read = online.read(
            request.at_ms, request.known_ms, {"card": request.card, "shop": request.shop}
        )
        assert read.values.tolist() == offline.values[row].tolist()
        assert bool(read.stale) == bool(offline.is_stale[row])
        for source in wanted.sources:
            age_ms = int(offline.age_ms[source][row])
            assert read.age_ms[source] == (None if age_ms < 0 else age_ms)


@settings(max_examples=200)
@given(
    wanted=feature_sets(),
    events=st.lists(happened, max_size=30),
    requests=st.lists(asked, min_size=1, max_size=12),
    seed=st.integers(0, 100),
)
def test_a_request_about_the_past_sees_what_was_known_then(
    wanted: FeatureSet, events: list[Happened], requests: list[Asked], seed: int
) -> None:
    """A store that holds everything, in any order, gives each request what it knew at its time."""
    offline = compute(wanted, _history(events, {}), _requests(requests))

    online = OnlineFeatures(wanted)
    for i in np.random.default_rng(seed).permutation(len(events)):
        if events[i].source in wanted.sources:
            online.add(events[i].source, _event(events[i]))

    for row, request in enumerate(requests):
        keys = {"card": request.card, "shop": request.shop}
        read = online.read(request.at_ms, request.known_ms, keys)
        assert read.values.tolist() == offline.values[row].tolist()


@settings(max_examples=200)
@given(
    wanted=feature_sets(),
    events=st.lists(happened, max_size=30),
    requests=st.lists(asked, min_size=1, max_size=6),
    before_ms=st.integers(0, 60),
)
def test_what_is_forgotten_is_not_missed(
    wanted: FeatureSet, events: list[Happened], requests: list[Asked], before_ms: int
) -> None:
    """Letting go of what no later request can reach changes nothing for those."""
    whole, short = OnlineFeatures(wanted), OnlineFeatures(wanted)
    for one in events:
        if one.source in wanted.sources:
            whole.add(one.source, _event(one))
            short.add(one.source, _event(one))

    short.forget(before_ms)

    for request in requests:
        at_ms = before_ms + request.at_ms
        known_ms = at_ms + request.known_ms
        keys = {"card": request.card, "shop": request.shop}
        assert (
            short.read(at_ms, known_ms, keys).values.tolist()
            == whole.read(at_ms, known_ms, keys).values.tolist()
        )


def _event(one: Happened) -> Event:
    keys = {"card": one.card, "shop": one.shop}
    return Event(one.time_ms, one.created_ms, keys, {"cents": one.cents})
