"""Synthetic card payments, after the published description of the Fraud Detection Handbook.

Cards and terminals lie on a map. A card has its own spending and pays at terminals near by. Three
scenarios make frauds: payments over $220; terminals that are compromised for 28 days; cards whose
stolen credentials pay five times as much for 14 days. A fourth one may set in later: stolen cards
are tried out with a few very small payments within an hour.

Source:
    Le Borgne, Siblini, Lebichot, Bontempi (2022), Reproducible Machine Learning for Credit Card
    Fraud Detection, chapter 3, Transaction data simulator. Written anew from its description.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feasible.features import DAY_MS
from feasible.schema import FloatArray, IntArray
from feasible.systems.fraud.payments import HANDBOOK_FIRST_DAY, Payments

__all__ = ["LARGE_CENTS", "World", "generate", "report_delays_ms"]

LARGE_CENTS: Final = 22_000
"""Payments over this amount are frauds of the first scenario."""

_SIDE: Final = 100.0
_CARDS, _TERMINALS = 5_000, 10_000
"""The handbook's numbers, for which its rates of compromise hold."""
_TERMINALS_A_DAY, _TERMINAL_DAYS = 2.0, 28
_CARDS_A_DAY, _CARD_DAYS, _CARD_SHARE, _CARD_TIMES = 3.0, 14, 1 / 3, 5
_NOON_S, _SPREAD_S, _DAY_S = 43_200, 20_000, 86_400
_TRIED_A_DAY, _TRIES, _TRIED_WITHIN_S = 3.0, 6, 3_600
_EARLIEST_DAYS, _LATEST_DAYS = 3.0, 28.0
_SHAPE: Final = 4.0


@dataclass(frozen=True, slots=True)
class World:
    """How large a world is made, and when.

    Attributes:
        first_day: First day of payments (UTC).
        days: Days of payments.
        cards: Cards. With fewer than 5,000, the map and the rates of compromise shrink with it.
        terminals: Terminals.
        radius: How far from its place a card pays.
        late_from_day: Day from which on stolen cards are tried out; None: never.
    """

    first_day: np.datetime64 = HANDBOOK_FIRST_DAY
    days: int = 183
    cards: int = _CARDS
    terminals: int = _TERMINALS
    radius: float = 5.0
    late_from_day: int | None = None


def generate(world: World, *, seed: int) -> Payments:
    """Make all payments of a world, in the order of time."""
    rng = np.random.default_rng([1_804, seed])
    side = _SIDE * np.sqrt(world.terminals / _TERMINALS)
    place, mean_usd = rng.uniform(0, side, (world.cards, 2)), rng.uniform(5, 100, world.cards)
    a_day = rng.uniform(0, 4, world.cards)
    near = _near(place, rng.uniform(0, side, (world.terminals, 2)), world.radius)
    counts = rng.poisson(a_day[:, None], (world.cards, world.days))
    counts[[not len(found) for found in near]] = 0
    card = np.repeat(np.arange(world.cards), counts.sum(axis=1))
    day = np.repeat(np.tile(np.arange(world.days), world.cards), counts.ravel())
    second = rng.normal(_NOON_S, _SPREAD_S, len(card))
    kept = (second > 0) & (second < _DAY_S)
    card, day, second = card[kept], day[kept], second[kept].astype(np.int64)
    usd = rng.normal(mean_usd[card], mean_usd[card] / 2)
    usd = np.where(usd < 0, rng.uniform(0, 2 * mean_usd[card]), usd)
    made = {
        "card": card,
        "day": day,
        "second": second,
        "cents": np.round(usd * 100).astype(np.int64),
        "terminal": _drawn(near, card, rng),
        "scenario": np.zeros(len(card), dtype=np.int64),
    }
    _compromise(made, world, rng)
    if world.late_from_day is not None:
        made = _try_out(made, near, world, rng)
    order = np.lexsort((made["second"], made["day"]))
    return _payments({name: column[order] for name, column in made.items()}, world)


def report_delays_ms(n: int, *, seed: int) -> IntArray:
    """Give after which time frauds are reported: 14 days on average, between 3 and 28.

    Gamma with shape 4 above the earliest day; of those beyond the latest day, the last is waited
    for, so that a payment without a report after 28 days is genuine.
    """
    mean = 14.0 - _EARLIEST_DAYS
    days = _EARLIEST_DAYS + np.random.default_rng([2_914, seed]).gamma(_SHAPE, mean / _SHAPE, n)
    return np.asarray(np.minimum(days, _LATEST_DAYS) * DAY_MS, dtype=np.int64)


def _near(cards: FloatArray, terminals: FloatArray, radius: float) -> list[IntArray]:
    """Give the terminals that each card can pay at."""
    return [np.flatnonzero(((terminals - place) ** 2).sum(axis=1) < radius**2) for place in cards]


def _drawn(near: list[IntArray], card: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw one of the terminals near its card for each payment."""
    sizes = np.array([len(found) for found in near])
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    picked = begins[card] + (rng.random(len(card)) * sizes[card]).astype(np.int64)
    every: IntArray = np.concatenate([*near, np.zeros(0, dtype=np.int64)])
    drawn: IntArray = every[picked]
    return drawn


def _compromise(made: dict[str, npt.NDArray[Any]], world: World, rng: np.random.Generator) -> None:
    """Turn payments into frauds of the three scenarios; a later one takes over from an earlier."""
    made["scenario"][made["cents"] > LARGE_CENTS] = 1
    per_day = _TERMINALS_A_DAY * world.terminals / _TERMINALS
    for terminal, first in _struck(per_day, world.terminals, world.days, rng):
        hit = (made["terminal"] == terminal) & _within(made["day"], first, _TERMINAL_DAYS)
        made["scenario"][hit] = 2
    per_day = _CARDS_A_DAY * world.cards / _CARDS
    for card, first in _struck(per_day, world.cards, world.days, rng):
        hit = np.flatnonzero((made["card"] == card) & _within(made["day"], first, _CARD_DAYS))
        stolen = rng.permutation(hit)[: int(len(hit) * _CARD_SHARE)]
        made["cents"][stolen] *= _CARD_TIMES
        made["scenario"][stolen] = 3


def _struck(per_day: float, of: int, days: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draw who is compromised on which day; a whole number a day where the rate is one."""
    found = []
    for day in range(days):
        count = int(per_day) + int(rng.random() < per_day - int(per_day))
        found += [(int(one), day) for one in rng.permutation(of)[:count]]
    return found


def _within(day: IntArray, first: int, days: int) -> npt.NDArray[np.bool_]:
    return (day >= first) & (day < first + days)


def _try_out(
    made: dict[str, npt.NDArray[Any]],
    near: list[IntArray],
    world: World,
    rng: np.random.Generator,
) -> dict[str, npt.NDArray[Any]]:
    """Add payments of a few dimes with which stolen cards are tried out."""
    per_day = max(_TRIED_A_DAY * world.cards / _CARDS, 0.2)
    begin = world.late_from_day or 0
    struck = [
        (card, begin + day) for card, day in _struck(per_day, world.cards, world.days - begin, rng)
    ]
    card = np.repeat([one for one, _ in struck if len(near[one])], _TRIES).astype(np.int64)
    day = np.repeat([day for one, day in struck if len(near[one])], _TRIES).astype(np.int64)
    start = np.repeat(rng.integers(0, _DAY_S - _TRIED_WITHIN_S, len(card) // _TRIES), _TRIES)
    more = {
        "card": card,
        "day": day,
        "second": start + rng.integers(0, _TRIED_WITHIN_S, len(card)),
        "cents": rng.integers(50, 300, len(card)),
        "terminal": _drawn(near, card, rng),
        "scenario": np.full(len(card), 4),
    }
    return {name: np.concatenate([column, more[name]]) for name, column in made.items()}


def _payments(made: dict[str, npt.NDArray[Any]], world: World) -> Payments:
    begin_ms = int(world.first_day.astype("datetime64[ms]").astype(np.int64))
    return Payments(
        np.arange(len(made["card"])),
        begin_ms + made["day"] * DAY_MS + made["second"] * 1_000,
        made["card"],
        made["terminal"],
        made["cents"],
        made["scenario"] > 0,
        made["scenario"],
    )
