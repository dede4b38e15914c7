"""What a spoken fix would turn, as numbers: the knob that was named, by as much as was claimed."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from feasible.rubric.interview.amounts import amounts
from feasible.schema import Alternative, Bottleneck, Brief, Fix, brief_with
from feasible.simulation import Input, sheet
from feasible.units import Multiple

__all__ = ["with_numbers"]

_MORE_IS_BETTER: Final = (
    ".capacity",
    ".concurrency",
    ".per_month",
    "traffic.repeated",
    "labels.positives_per_month.",
)
"""Parts of the names of numbers that relax a design when they grow; all others do by falling."""
_MORE: Final = re.compile(r"\bmore\b", re.IGNORECASE)
_FORMATS: Final = ("{:.6g}", "{:.6g} / s", "{:.6g} s", "${:.6g}", "{:.6g} B")


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
    sets = {} if gains is None else _sets(brief, named, gains)
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


def _sets(brief: Brief, named: Bottleneck, gains: float) -> dict[str, bool | str | int | float]:
    """Turn the named knob by the claimed factor, in the direction that relaxes the design."""
    known = {item.name: item for item in sheet(brief)}
    item = known.get(named.knob)
    if item is None or not item.is_knob:
        return {}
    value = item.middle * gains if _grows(item.name) else item.middle / gains
    typed = _typed(brief, item, min(value, 1.0) if item.is_share else value)
    return {} if typed is None else {item.name: typed}


def _grows(name: str) -> bool:
    return any(part in name for part in _MORE_IS_BETTER)


def _typed(brief: Brief, item: Input, value: float) -> str | int | None:
    """Give a value in the unit that its place in the brief takes."""
    typed: list[str | int] = [round(value), *(form.format(value) for form in _FORMATS)]
    for one in typed if item.name.endswith(".concurrency") else typed[1:]:
        try:
            brief_with(brief, {item.name: one})
        except ValueError:
            continue
        return one
    return None
