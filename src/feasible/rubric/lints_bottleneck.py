"""Lints on the named bottleneck, its fix and the deep tradeoff: whether they are read and matter.

Points come from a plan and a simulation; a first guess may only ask.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from feasible.errors import nearest
from feasible.rubric.bottleneck import objective_effects
from feasible.rubric.lexicon import names_a_model
from feasible.rubric.named import aliases
from feasible.rubric.places import place_of
from feasible.rubric.records import BottleneckGuess, Finding, Risk
from feasible.schema import (
    Bottleneck,
    Brief,
    BriefFile,
    DataLayer,
    FeatureLayer,
    FeedbackLayer,
    Labels,
    Retrain,
    ServingLayer,
    TierSpec,
    Traffic,
)
from feasible.simulation import sheet

__all__ = ["lint_bottleneck", "lint_depth"]

_LITTLE, _MUCH = 0.15, 0.5
"""Elasticities: a knob that moves nothing worth its while, and one that decides."""
_NEAR = 0.5
"""A limit that is used this much of what the tightest one is, is near it."""

_PARTS: dict[str, type[msgspec.Struct]] = {
    "traffic": Traffic,
    "labels": Labels,
    "data": DataLayer,
    "features": FeatureLayer,
    "serving": ServingLayer,
    "feedback": FeedbackLayer,
    "retrain": Retrain,
}


def lint_bottleneck(found: BriefFile, guess: BottleneckGuess) -> Iterator[Finding]:
    """Give the findings about the bottleneck that a brief names.

    Args:
        found: The brief with its places.
        guess: What its numbers show.
    """
    named = found.brief.bottleneck
    if named is None:
        knob = guess.knob or "llm.concurrency"
        known = [objective.id for objective in found.brief.envelope]
        first = guess.first if guess.first in known else next(iter(known), "latency_p99")
        yield _finding(
            found,
            "R5",
            "bottleneck",
            why="the brief names no bottleneck: nobody has said what breaks first",
            fix=f"`bottleneck: {{knob: {knob}, objective: {first}, "
            "fix: {change: ..., usd_month: $200, alternatives: [...]}}`",
        )
        return
    unread = list(_unread(found, named))
    yield from unread
    if not unread and guess.agrees is False:
        yield Finding(
            id="R5",
            risk=Risk.LOW,
            where=found.where("bottleneck.knob"),
            why=guess.sentence,
            fix=_turn(guess),
        )
    yield from _fix(found, named)


def lint_depth(found: BriefFile, guess: BottleneckGuess) -> Iterator[Finding]:
    """Give A5 for a deep tradeoff about what moves nothing, while some other number moves a lot.

    A tradeoff may name the number that is traded, or the objective that it is about; one that names
    neither and speaks of a technique goes deep into something that no promise depends on.

    Args:
        found: The brief with its places.
        guess: What its numbers show.
    """
    tradeoff, best = found.brief.tradeoff, guess.effects[0] if guess.effects else None
    if tradeoff is None or best is None or best.elasticity < _MUCH:
        return
    used = {row.name: row.used for row in guess.rows}
    if tradeoff.knob is not None:
        same = aliases(tradeoff.knob, found.brief)
        own = [e.elasticity for e in guess.effects if e.knob in same]
        objective = tradeoff.objective
        if objective is not None and used.get(objective, 0.0) >= _NEAR * used[guess.first or ""]:
            own += [
                e.elasticity for e in objective_effects(found.brief, objective) if e.knob in same
            ]
        moved = max(own, default=0.0)
        about, at = f"{tradeoff.knob} moves it by {moved:.2f}", "tradeoff.knob"
        is_far = moved < _LITTLE
    else:
        named = names_a_model(f"{tradeoff.got} {tradeoff.gave_up} {tradeoff.number or ''}")
        about, at = f"the tradeoff goes into {named!r} and about no objective", "tradeoff"
        is_far = tradeoff.objective is None and named is not None
    if is_far:
        yield _finding(
            found,
            "A5",
            at,
            why=f"depth without relevance: {about}, while {guess.first} binds first and "
            f"{best.knob} moves it by {best.elasticity:.2f}",
            fix=f"go deep on {best.knob}: what is given up for it, in a number; or say which "
            "objective this moves",
        )


def _unread(found: BriefFile, named: Bottleneck) -> Iterator[Finding]:
    """Names that stand for nothing in the brief. An unknown one is asked about, never guessed."""
    brief = found.brief
    if not _is_knob(brief, named.knob):
        known = [item.name for item in sheet(brief) if item.is_knob]
        close = nearest(named.knob, known)
        yield _finding(
            found,
            "R5",
            "bottleneck.knob",
            why=f"{named.knob!r} is no number of this brief",
            fix=f"`knob: {close}`" if close else f"one of {', '.join(known[:8]) or 'its numbers'}",
        )
    known = [objective.id for objective in brief.envelope]
    if named.objective is not None and named.objective not in known:
        close = nearest(named.objective, known)
        yield _finding(
            found,
            "R5",
            "bottleneck.objective",
            why=f"{named.objective!r} is no objective of the envelope",
            fix=f"`objective: {close}`" if close else f"one of {', '.join(known)}",
        )


def _is_knob(brief: Brief, knob: str) -> bool:
    """Claim that a knob is a tier, a part, or a key of one of them."""
    head, _, tail = knob.partition(".")
    tiers = {tier.name for tier in brief.layers.tiers}
    part = TierSpec if head in tiers else _PARTS.get(head)
    return part is not None and (not tail or tail.split(".")[0] in part.__struct_fields__)


def _turn(guess: BottleneckGuess) -> str:
    if guess.knob is None:
        return "a closed form is a guess: let a simulation decide, or change the limit or the tier"
    return f"`knob: {guess.knob}`; or let a simulation decide: a closed form is a guess"


def _fix(found: BriefFile, named: Bottleneck) -> Iterator[Finding]:
    fix = named.fix
    missing = []
    if fix is None:
        missing = ["no fix"]
    else:
        missing += ["no price"] if fix.usd_month is None else []
        missing += ["no alternative to compare it with"] if not fix.alternatives else []
    if missing:
        yield _finding(
            found,
            "R6",
            "bottleneck" if fix is None else "bottleneck.fix",
            why=f"the bottleneck has {' and '.join(missing)}: "
            "whether solving it is worth its cost cannot be judged",
            fix="`fix: {change: ..., usd_month: $200, buys: ..., breaks_next: ..., "
            "alternatives: [{change: ..., usd_month: $900}]}`",
        )
    elif fix is not None and not fix.sets:
        yield Finding(
            id="R6",
            risk=Risk.LOW,
            where=found.where("bottleneck.fix"),
            why="the fix is in words alone: what it buys cannot be reviewed or simulated again",
            fix=f"`sets: {{{named.knob}: ...}}` with the value it would have then, `gains: 2x`",
        )


def _finding(found: BriefFile, finding_id: str, at: str, *, why: str, fix: str) -> Finding:
    return Finding(id=finding_id, risk=Risk.MEDIUM, where=place_of(found, at), why=why, fix=fix)
