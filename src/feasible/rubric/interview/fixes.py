"""What a spoken fix would turn, as numbers: the knob that was named, by as much as was claimed."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from feasible.rubric.interview.amounts import amounts
from feasible.rubric.whatif import relaxed
from feasible.schema import Alternative, Bottleneck, Brief, Fix
from feasible.units import Multiple

__all__ = ["with_numbers"]

_MORE: Final = re.compile(r"\bmore\b", re.IGNORECASE)


def with_numbers(brief: Brief) -> Brief:
    """Give a spoken brief whose fix says which number it turns, and by how much.

    "A second replica gives 2.8x", where 1.4x was said to be borne, claims twice the headroom of the
    knob that was named. Whether that is so is left to the simulation.

    Args:
        brief: The declaration as it was read.
    """
    named = brief.bottleneck
    if named is None or named.fix is None:
        return brief
    fix = named.fix
    gains = _claimed(fix, named)
    sets = {} if gains is None else relaxed(brief, named.knob, gains)
    others = tuple(_with_claim(other, named) for other in fix.alternatives)
    told = msgspec.structs.replace(fix, gains=_multiple(gains), sets=sets, alternatives=others)
    return msgspec.structs.replace(brief, bottleneck=msgspec.structs.replace(named, fix=told))


def _with_claim(other: Alternative, named: Bottleneck) -> Alternative:
    return msgspec.structs.replace(other, gains=_multiple(_claimed(other, named)))


def _multiple(gains: float | None) -> Multiple | None:
    return None if gains is None else Multiple(f"{gains:.3g}x")


def _claimed(way: Fix | Alternative, named: Bottleneck) -> float | None:
    """Give headroom afterwards over headroom before, as it was said; None: it was not.

    A multiple beyond the load that is borne today is the load that is borne then.
    """
    said = [a for a in amounts(way.buys or "") if a.kind == "multiple"]
    if said:
        at = 1.0 if named.at_load is None else named.at_load.mid
        is_load = said[-1].value > at and not _MORE.search(way.change)
        gains = said[-1].value / at if is_load else said[-1].value
        return gains if gains > 1 else None
    times = [a for a in amounts(way.buys or "") if a.kind == "duration"]
    if len(times) == 2 and re.search(r"\bfrom\b.*\bto\b", way.buys or ""):
        before, after = times[0].value, times[1].value
        return before / after if 0 < after < before else None
    return None
