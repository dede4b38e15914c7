"""R5: whether the bottleneck that is named is the one.

A knob earns what it moves, as a share of what the best knob moves. The elasticities are those of a
simulation where a plan was simulated, and of the closed forms over the brief's numbers otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from feasible.rubric.bottleneck import drawn_effects, guess_bottleneck
from feasible.rubric.records import Criterion, KnobEffect
from feasible.schema import Brief, TierKind
from feasible.simulation import Simulated

__all__ = ["Context", "aliases", "contexts", "judge_bottleneck", "share_of_best"]

_DRAWS: Final = 30
_STRUCTURAL: Final = 0.15
"""Below this elasticity no knob is worth turning: the limit or the tier must change."""
_TIE: Final = 0.8
"""From this share of the best knob's effect on, two knobs bind together."""
_TIER: Final = 0.7
"""What naming a whole tier is worth of its best knob: which of its numbers?"""
_TWO: Final = 0.8
_NEAR: Final = 0.3
_MOST_NAMES: Final = 2
_NONE: Final = frozenset({"none", "no knob", "the limit", "the tier", "structure"})


@dataclass(frozen=True, slots=True)
class Context:
    """Effects on what binds somewhere, and how near it is."""

    said: str
    objective: str | None
    """What binds; None: nothing near its limit."""
    is_simulated: bool
    draws: tuple[tuple[KnobEffect, ...], ...]
    headroom: float | None


def share_of_best(named: str, effects: Sequence[KnobEffect], brief: Brief | None = None) -> float:
    """Give what a named knob earns: 0 to 1.

    Args:
        named: One knob, a tier, two of them with a comma between, or `none`.
        effects: What every knob does to what binds.
        brief: Says which names mean the same; None: only equal ones do.
    """
    names = [name.strip() for name in re.split(r",| and ", named) if name.strip()]
    if not 0 < len(names) <= _MOST_NAMES:
        return 0.0
    best = max((effect.elasticity for effect in effects), default=0.0)
    if best < _STRUCTURAL:
        return 1.0 if names[0].lower() in _NONE else 0.0
    found = max(_one(name, effects, brief) / best for name in names)
    found = 1.0 if found >= _TIE else found
    return found * (_TWO if len(names) > 1 else 1.0)


def _one(name: str, effects: Sequence[KnobEffect], brief: Brief | None) -> float:
    same = aliases(name, brief)
    exact = [e.elasticity for e in effects if e.knob in same]
    tier = [e.elasticity * _TIER for e in effects if e.knob.startswith(f"{name}.")]
    found = max(exact + tier, default=0.0)
    return found if found >= _STRUCTURAL else 0.0


def aliases(name: str, brief: Brief | None) -> frozenset[str]:
    """Give the knobs of a brief and of a simulation that a name stands for."""
    head, _, tail = name.partition(".")
    known = {
        "concurrency": {"slots"},
        "capacity": {"slots"},
        "latency_p95": {"time"},
        "slots": {"concurrency", "capacity"},
        "time": {"latency_p95"},
    }
    same = {name} | {f"{head}.{other}" for other in known.get(tail, set())}
    same |= {"cache.hit"} if name == "traffic.repeated" else set()
    same |= {"traffic.repeated"} if name == "cache.hit" else set()
    tiers = (
        ()
        if brief is None
        else tuple(tier for tier in brief.layers.tiers if tier.kind is not TierKind.CACHE)
    )
    for before, after in pairwise(tiers):
        if name in {f"{after.name}.reach", f"{before.name}.defer"}:
            same |= {f"{after.name}.reach", f"{before.name}.defer"}
        if after.kind is TierKind.PERSON and name in {f"{after.name}.capacity", "people.per_hour"}:
            same |= {f"{after.name}.capacity", "people.per_hour"}
    return frozenset(same)


def judge_bottleneck(brief: Brief, found: Sequence[Context], *, seed: int) -> Criterion:
    """Judge R5: 20 points by the elasticity ratio, 5 for the load at which it binds.

    Args:
        brief: The declaration.
        found: What binds, and where.
        seed: The first seed of the draws behind it.
    """
    named = brief.bottleneck
    if not any(context.objective for context in found):  # nothing near a limit: no bottleneck
        return _criterion(None, 0, ("no number that binds anything is stated",))
    if named is None:
        return _criterion(0, 25, ("+0 no bottleneck is named",))
    evidence, best, near = [], 0.0, 0
    for context in found:
        share = median(share_of_best(named.knob, one, brief) for one in context.draws)
        best = max(best, share)
        top = context.draws[0][0] if context.draws[0] else None
        moves = "no knob moves it" if top is None else f"{top.knob} moves it most"
        evidence.append(
            f"{context.said}: {context.objective} binds, {moves}; {named.knob} moves {share:.0%} "
            f"of that ({len(context.draws)} draws, seed {seed})"
        )
        load = 1.0 if named.at_load is None else named.at_load.mid
        if context.headroom and abs(load / context.headroom - 1) <= _NEAR and share:
            near = 5
    points = round(20 * best)
    evidence.append(f"+{points} by the elasticity ratio")
    evidence.append(
        f"+{near} the named load is{'' if near else ' not'} within 30 % of its headroom"
    )
    return _criterion(points + near, 25, tuple(evidence))


def contexts(brief: Brief, simulated: Simulated | None, *, seed: int) -> Iterator[Context]:
    """Give what binds by simulation, and by closed form at the named load and at the peak."""
    if simulated is not None:
        for binding in (simulated.broken_by, simulated.bottleneck):
            if binding is not None:
                line = next(li for li in simulated.order if li.objective == binding.promise)
                effects = tuple(
                    KnobEffect(knob=e.knob, elasticity=e.elasticity) for e in binding.effects
                )
                said = f"simulated ({len(simulated.seeds)} seeds)"
                yield Context(said, binding.promise, True, (effects,), line.headroom[1])
    named = brief.bottleneck
    peak = brief.traffic.peak
    loads = [1.0 if named is None or named.at_load is None else named.at_load.mid]
    loads += [] if peak is None else [peak.mid]
    for load in dict.fromkeys(loads):
        guess = guess_bottleneck(brief, draws=1, seed=seed, load=load)
        used = guess.rows[0].used if guess.rows else 0.0
        draws = drawn_effects(brief, draws=_DRAWS, seed=seed, load=load)
        at = load / used if used and guess.rows[0].headroom is not None else None
        near = at if at is not None else (1 / used if used else None)
        yield Context(f"closed form at {load:g}x", guess.first, False, draws, near)


def _criterion(points: int | None, checkable: int, evidence: tuple[str, ...]) -> Criterion:
    return Criterion(
        id="R5",
        title="the right bottleneck",
        points=points,
        max=25,
        checkable=checkable,
        checked=points is not None,
        evidence=evidence,
    )
