"""Which knob binds: what relaxing each by a quarter does for the promise that breaks first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from feasible.simulation.design import Design
from feasible.simulation.headroom import Bench, refine, search
from feasible.simulation.knobs import knobs_of
from feasible.simulation.promises import Promise
from feasible.simulation.screen import screen

__all__ = ["Effect", "headroom_effects", "headroom_of", "margin_effects"]

RELAXED: Final = 1.25
_NOTHING: Final = 0.02


@dataclass(frozen=True, slots=True)
class Effect:
    """How far one knob moves a promise.

    Attributes:
        knob: Its name.
        elasticity: Percent of headroom (or of margin) for each percent that it is relaxed.
    """

    knob: str
    elasticity: float


def headroom_of(
    bench: Bench, promise: Promise, start: float, slope: float = 1.0
) -> tuple[float, float]:
    """Give the load that a promise bears, and how fast it uses its limit up there.

    Args:
        bench: The design with its seeds.
        promise: Which promise.
        start: First guess.
        slope: First guess of how fast.
    """

    def used(multiple: float) -> float:
        return bench.mean(multiple, promise.id)

    return refine(used, start, slope) or (search(used, start), slope)


def headroom_effects(
    design: Design,
    promise: Promise,
    start: float,
    *,
    seeds: Sequence[int],
    n: int,
    told: Callable[[], None] | None = None,
) -> tuple[float, tuple[Effect, ...]]:
    """Relax every knob by a quarter and see how many times the load the promise bears then.

    Args:
        design: The design.
        promise: The promise that breaks first with load.
        start: Its headroom, roughly.
        seeds: Seeds, the same for every knob.
        n: Requests of each run.
        told: Called after each knob.

    Returns:
        The headroom as it is, and every knob's elasticity, the largest first.
    """

    def headroom(of: Design, near: float, steep: float) -> tuple[float, float]:
        return headroom_of(Bench(of, (promise,), seeds=seeds, n=n), promise, near, steep)

    before, slope = headroom(design, start, 1.0)
    screened = screen(design).headroom
    effects = []
    for knob in knobs_of(design).values():
        found = knob.relaxed(design, RELAXED)
        if found is None:
            continue
        relaxed, by = found
        guess = before * _guess(screened, screen(relaxed).headroom, promise)
        after, _ = headroom(relaxed, guess, slope)
        effects.append(Effect(knob.name, _elasticity(after / before, by)))
        if told is not None:
            told()
    return before, _sorted(effects)


def margin_effects(
    design: Design,
    promise: Promise,
    *,
    seeds: Sequence[int],
    n: int,
    told: Callable[[], None] | None = None,
) -> tuple[float, tuple[Effect, ...]]:
    """Relax every knob by a quarter and see how much less of its limit the promise uses.

    For a promise that is broken at the design's own load, or that load does not move: it has no
    headroom that a knob could move.
    """

    def used(of: Design) -> float:
        bench = Bench(of, (promise,), seeds=seeds, n=n)
        return bench.mean(1.0, promise.id)

    before = used(design)
    effects = []
    for knob in knobs_of(design).values():
        found = knob.relaxed(design, RELAXED)
        if found is None:
            continue
        relaxed, by = found
        after = used(relaxed)
        if before > 0 and after > 0:
            effects.append(Effect(knob.name, _elasticity(before / after, by)))
        if told is not None:
            told()
    return before, _sorted(effects)


def _guess(before: dict[str, float], after: dict[str, float], promise: Promise) -> float:
    """Guess how far a relaxed knob moves the headroom, by the closed form if there is one."""
    name = promise.limit_knob
    if name is None or name not in before or name not in after:
        return 1.0
    return after[name] / before[name]


def _elasticity(factor: float, by: float) -> float:
    if not math.isfinite(factor):
        return math.inf
    found = math.log(factor) / math.log(by)
    return 0.0 if abs(found) < _NOTHING else found


def _sorted(effects: list[Effect]) -> tuple[Effect, ...]:
    return tuple(sorted(effects, key=lambda effect: -effect.elasticity))
