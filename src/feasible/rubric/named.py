"""R5 and R6: whether the bottleneck that is named is the one, and whether solving it is worth it.

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
from feasible.schema import Brief, Fix, TierKind
from feasible.simulation import Simulated

__all__ = ["aliases", "judge_bottleneck", "judge_fix", "share_of_best"]

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
class _Context:
    """Effects on what binds somewhere, and how near it is."""

    said: str
    objective: str | None
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


def judge_bottleneck(brief: Brief, *, simulated: Simulated | None, seed: int) -> Criterion:
    """Judge R5: 20 points by the elasticity ratio, 5 for the load at which it binds."""
    contexts = list(_contexts(brief, simulated, seed))
    named = brief.bottleneck
    if not any(context.objective for context in contexts):  # nothing near a limit: no bottleneck
        return _criterion("R5", None, 0, ("no number that binds anything is stated",))
    if named is None:
        return _criterion("R5", 0, 25, ("+0 no bottleneck is named",))
    evidence, best, near = [], 0.0, 0
    for context in contexts:
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
    return _criterion("R5", points + near, 25, tuple(evidence))


def _contexts(brief: Brief, simulated: Simulated | None, seed: int) -> Iterator[_Context]:
    if simulated is not None:
        for binding in (simulated.broken_by, simulated.bottleneck):
            if binding is not None:
                line = next(li for li in simulated.order if li.objective == binding.promise)
                effects = tuple(
                    KnobEffect(knob=e.knob, elasticity=e.elasticity) for e in binding.effects
                )
                said = f"simulated ({len(simulated.seeds)} seeds)"
                yield _Context(said, binding.promise, (effects,), line.headroom[1])
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
        yield _Context(f"closed form at {load:g}x", guess.first, draws, near)


def judge_fix(brief: Brief) -> Criterion:
    """Judge R6 as far as numbers say: its price by the cost of its labels, and what breaks next."""
    named = brief.bottleneck
    fix = None if named is None else named.fix
    if fix is None:
        return _criterion("R6", 0, 20, ("+0 no fix is stated",))
    points, checkable, evidence = 0, 2, []
    if fix.usd_month is None:
        checkable += 6
        evidence.append("+0 the fix has no price")
    elif (model := _labels_usd(fix)) is not None:
        checkable += 6
        near = model > 0 and abs(fix.usd_month.mid / model - 1) <= _NEAR
        points += 6 * near
        evidence.append(
            f"+{6 * near} ${fix.usd_month.mid:,.0f} a month stated, ${model:,.0f} by its labels"
        )
    if not fix.alternatives:
        checkable += 4
        evidence.append("+0 no alternative is compared with it")
    points += 2 * (fix.breaks_next is not None)
    evidence.append(f"+{2 * (fix.breaks_next is not None)} next: {fix.breaks_next or 'not stated'}")
    evidence.append(f"{20 - checkable} of 20 points not checked: a fix in words is not simulated")
    return _criterion("R6", points, checkable, tuple(evidence))


def _labels_usd(fix: Fix) -> float | None:
    if fix.labels is None or fix.usd_per_label is None:
        return None
    return fix.labels.mid * fix.usd_per_label.mid


_TITLES: Final = {
    "R5": ("the right bottleneck", 25),
    "R6": ("the cost of solving it, justified", 20),
}


def _criterion(
    criterion: str, points: int | None, checkable: int, evidence: tuple[str, ...]
) -> Criterion:
    title, most = _TITLES[criterion]
    return Criterion(
        id=criterion,
        title=title,
        points=points,
        max=most,
        checkable=checkable,
        checked=points is not None,
        evidence=evidence,
    )
