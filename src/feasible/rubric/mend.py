"""What the fix of a finding buys: points by the criteria, and limits by a second review."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from feasible.rubric.bottleneck import objective_effects
from feasible.rubric.records import BottleneckGuess, Finding, Risk
from feasible.rubric.whatif import Bought, bought, relaxed
from feasible.schema import Brief, BriefFile, Objective, Sets
from feasible.units import format_duration, format_usd

__all__ = ["with_gains"]

_NO_POINTS: Final = ("infeasible", "the deadline", "the limits", "`throughput")
"""How findings of R3 begin that no point of it depends on."""
_QUARTER: Final = 1.25
_TIER: Final = re.compile(r"`(?P<name>[\w.@-]+)` keeps an answer")
_AGAIN: Final = re.compile(r"it gets (\d+)x the calls")


def with_gains(
    found: BriefFile,
    findings: tuple[Finding, ...],
    points: Mapping[str, Mapping[str, int]],
    guess: BottleneckGuess,
) -> tuple[Finding, ...]:
    """Give the findings with what their fixes buy.

    Args:
        found: The brief with its places.
        findings: What was found.
        points: Finding's id -> criterion -> points that are lost by it.
        guess: What binds first, by closed form.
    """
    return tuple(
        msgspec.structs.replace(
            finding, buys="; ".join(_gains(found.brief, finding, points, guess))
        )
        for finding in findings
    )


def _gains(
    brief: Brief,
    finding: Finding,
    points: Mapping[str, Mapping[str, int]],
    guess: BottleneckGuess,
) -> Iterator[str]:
    lost = points.get(finding.id, {})
    if lost and not finding.why.startswith(_NO_POINTS):
        said = " and ".join(f"{count} of {name}" for name, count in lost.items())
        yield f"points: {said}"
    if again := _AGAIN.search(finding.why):
        yield f"at most 1.1x the calls when it slows down, not {again[1]}x, by a budget of 10 %"
    sets = _mend(brief, finding, guess)
    if sets:
        made = bought(brief, sets, simulated=None, seed=guess.seed)
        moved = list(_moved(brief, made))
        if moved:
            how = ", ".join(f"{name} {value}" for name, value in sets.items())
            yield f"with {how}, reviewed again: {'; '.join(moved)}"
    if finding.risk is Risk.HIGH:
        yield "one HIGH risk less, of those that make it `not ready`"


def _mend(brief: Brief, finding: Finding, guess: BottleneckGuess) -> Sets:
    """Give the numbers that the fix turns; nothing where it is about words."""
    tier = _TIER.search(finding.why)
    spec = next((t for t in brief.layers.tiers if tier and t.name == tier["name"]), None)
    if finding.id == "A9" and spec is not None and (limit := _freshest(brief)) is not None:
        return {f"{spec.name}.ttl": str(limit.limit)}
    if finding.id == "R3" and finding.why.startswith(_NO_POINTS[0]):
        name = next((o.id for o in brief.envelope if f"`{o.id}`" in finding.why), None)
        effects = () if name is None else objective_effects(brief, name)
        return relaxed(brief, effects[0].knob, _QUARTER) if effects else {}
    if finding.id == "R5" and guess.knob is not None:
        return relaxed(brief, guess.knob, _QUARTER)
    return {}


def _freshest(brief: Brief) -> Objective | None:
    fresh = [o for o in brief.envelope if o.kind == "freshness" and o.limit is not None]
    return min(fresh, key=lambda o: 0.0 if o.limit is None else o.limit.mid, default=None)


def _moved(brief: Brief, made: Bought) -> Iterator[str]:
    """Say which limits moved, in their units, and what it does to the bill."""
    for name, before in made.before.used.items():
        after = made.after.used.get(name, before)
        if abs(after - before) > 0.005 * max(before, 1e-9):
            amount = _amount(brief, name, after - before)
            yield f"{name} from {before * 100:.0f} % to {after * 100:.0f} % of its limit{amount}"
    usd = made.usd_month
    if usd is not None and abs(usd) >= 1:
        yield f"{format_usd(abs(usd))} a month {'more' if usd > 0 else 'less'}"


def _amount(brief: Brief, name: str, share: float) -> str:
    """Give a share of a limit in the limit's own unit."""
    objective = next((o for o in brief.envelope if o.id == name), None)
    limit = None if objective is None else objective.limit
    if limit is None:
        return ""
    value, sign = abs(share) * limit.mid, "+" if share > 0 else "-"
    if limit.dimension == "duration":
        return f" ({sign}{format_duration(value)})"
    return f" ({sign}{format_usd(value)})" if limit.dimension == "usd" else ""
