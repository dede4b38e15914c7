"""Whether the promises can hold together by the brief's own numbers: a screen, not a proof."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from feasible.rubric.closed_form import Use, latency_path, uses
from feasible.rubric.records import Finding, Risk
from feasible.schema import AnsweredBy, Brief, BriefFile, Objective, TierKind, TierSpec
from feasible.simulation import middles, sheet
from feasible.units import Quantity, format_duration, format_usd

__all__ = ["screen"]

_SLACK: Final = 0.01
_NUMBER: Final = re.compile(r"(?P<before>\$?)(?P<number>\d[\d,]*(?:\.\d+)?)(?P<after>\D*)")


def screen(found: BriefFile) -> tuple[Finding, ...]:
    """Give an "infeasible envelope" for each promise that the brief's own numbers break.

    A promise that no tier could keep is said once, and not again by the sum over all tiers.
    """
    brief = found.brief
    structural = dict(_structural(found))
    broken = [
        _broken(found, use)
        for use in uses(brief, middles(sheet(brief), brief))
        if use.used[0] > 1 and not use.is_evidence and use.name not in structural
        if not _is_about_a_cache(brief, use)
    ]
    return (*structural.values(), *broken, *_at_odds(found), *_left_out(found))


def _structural(found: BriefFile) -> Iterator[tuple[str, Finding]]:
    """Promises that not even the best single tier could keep."""
    for index, objective in enumerate(found.brief.envelope):
        why = {"latency": _too_slow, "cost": _too_dear, "residency": _leaves}.get(objective.kind)
        reason = None if why is None else why(found.brief, objective)
        if reason is not None:
            yield objective.id, _infeasible(found, f"envelope[{index}]", reason[0], reason[1])


def _answering(brief: Brief) -> list[TierSpec]:
    """Give the machines that answer what nobody asked before, within the reply."""
    return [
        tier
        for tier in brief.layers.tiers
        if tier.kind not in {TierKind.CACHE, TierKind.PERSON} and not tier.asynchronous
    ]


def _too_slow(brief: Brief, objective: Objective) -> tuple[str, str] | None:
    limit = objective.at_most
    path = latency_path(brief, objective, middles(sheet(brief), brief))
    machines = [tier for tier in path if tier.kind is not TierKind.CACHE]
    times = [(t.latency_p95.mid, t.name) for t in machines if t.latency_p95 is not None]
    if limit is None or len(times) < len(machines) or not times:
        return None
    fastest, name = min(times)
    if objective.by is AnsweredBy.PEOPLE or fastest <= limit.mid:
        return None
    why = (
        f"the fastest machine, {name}, takes {format_duration(fastest)} at p95, and "
        f"`{objective.id}` allows {limit}"
    )
    fix = (
        "add a tier that is fast enough (rules answer in milliseconds), let the slow one answer "
        "after the reply with `asynchronous: true`, or raise the limit"
    )
    return why, fix


def _too_dear(brief: Brief, objective: Objective) -> tuple[str, str] | None:
    limit = objective.at_most
    prices = [(t.usd.mid, t.name) for t in _answering(brief) if t.usd is not None]
    if limit is None or objective.measure not in {"mean", "each"}:
        return None
    if len(prices) < len(_answering(brief)) or not prices or min(prices)[0] <= limit.mid:
        return None
    if any(tier.kind is TierKind.CACHE for tier in brief.layers.tiers):
        return None  # repeats are free: the sum over all tiers decides
    cheapest, name = min(prices)
    why = (
        f"the cheapest machine, {name}, costs {format_usd(cheapest)} a call, and "
        f"`{objective.id}` allows {limit}"
    )
    return why, "put rules or a small model before it, or raise the limit"


def _leaves(brief: Brief, objective: Objective) -> tuple[str, str] | None:
    machines = [t for t in brief.layers.tiers if t.kind is not TierKind.PERSON]
    if not machines or not all(tier.leaves_site for tier in machines):
        return None
    why = f"every machine sends data off site; {objective.measure} must stay {objective.must_stay}"
    return why, "add a tier with `leaves_site: false`"


def _is_about_a_cache(brief: Brief, use: Use) -> bool:
    """Claim that a promise of freshness breaks by a cache alone, which A9 says at the cache."""
    objective = next((o for o in brief.envelope if o.id == use.name), None)
    if objective is None or objective.kind != "freshness" or objective.limit is None:
        return False
    features = brief.layers.features
    age = None if features is None else features.max_age
    return age is None or age.mid <= objective.limit.mid


def _broken(found: BriefFile, use: Use) -> Finding:
    why = f"`{use.name}` is at {use.used[0] * 100:,.0f} % of {use.limit}: {use.basis}"
    if use.scales:
        why += f"; it breaks at {1 / use.used[0]:.2g}x the declared traffic"
    risk = Risk.HIGH if use.is_sure else Risk.MEDIUM
    return _infeasible(found, use.place, why, _fix(found.brief, use), risk=risk)


def _fix(brief: Brief, use: Use) -> str:
    """Say which limit would hold, in the unit in which it was typed."""
    used = float(use.used[0])
    objective = next((o for o in brief.envelope if o.id == use.name), None)
    if objective is None or objective.limit is None:
        return f"raise `{use.name}` {used:.2g} times, or send fewer cases there"
    bound = "at_most" if objective.is_ceiling else "at_least"
    factor = used if objective.is_ceiling else 1 / used
    limit = _rewritten(objective.limit, factor, up=objective.is_ceiling)
    return f"`{bound}: {limit}` would hold; or change one of these numbers"


def _rewritten(limit: Quantity, factor: float, *, up: bool) -> str:
    """Give a limit times a factor, two digits long, rounded to the side that still holds."""
    parts = _NUMBER.fullmatch(str(limit.raw))
    if parts is None:
        return f"{factor:.2g} times {limit}"
    number = float(parts["number"].replace(",", "")) * factor
    step = 10.0 ** (math.floor(math.log10(number)) - 1)
    steps = math.ceil(number / step - 1e-9) if up else math.floor(number / step + 1e-9)
    return f"{parts['before']}{steps * step:.10g}{parts['after']}"


def _infeasible(
    found: BriefFile, at: str, why: str, fix: str, *, risk: Risk = Risk.HIGH
) -> Finding:
    return Finding(
        id="R3",
        risk=risk,
        where=found.where(at),
        why=f"infeasible envelope by closed form: {why}",
        fix=fix,
    )


def _at_odds(found: BriefFile) -> Iterator[Finding]:
    """Two numbers of the brief that speak of the same thing and differ."""
    brief = found.brief
    rate, peak, serving = brief.traffic.rate, brief.traffic.peak, brief.layers.serving
    late = [
        o
        for o in brief.envelope
        if o.kind == "latency" and o.limit is not None and o.by is not AnsweredBy.PEOPLE
    ]
    if serving is not None and serving.deadline is not None and late:
        loosest = max(o.limit.mid for o in late if o.limit is not None)
        if serving.deadline.mid > loosest:
            yield Finding(
                id="R3",
                risk=Risk.MEDIUM,
                where=found.where("layers.serving.deadline"),
                why=f"the deadline of {serving.deadline} lets an answer be later than every "
                f"latency that is promised ({format_duration(loosest)} at most)",
                fix=f"`deadline: {format_duration(loosest)}`, or less",
            )
    for index, objective in enumerate(brief.envelope):
        if objective.throughput != "peak" or objective.limit is None:
            continue
        offered = None if rate is None or peak is None else rate.mid * peak.mid
        if offered is not None and offered > objective.limit.mid * (1 + _SLACK):
            yield Finding(
                id="R3",
                risk=Risk.MEDIUM,
                where=found.where(f"envelope[{index}]"),
                why=f"`{objective.id}` promises {objective.limit}, and the declared peak is "
                f"{rate} times {peak}: {offered:,.3g} / s",
                fix=f"`at_least: {offered:.3g} / s`",
            )


def _left_out(found: BriefFile) -> Iterator[Finding]:
    """Tiers that a plan would not use, because they come or adapt too late or send data away."""
    for index, tier in enumerate(found.brief.layers.tiers):
        reason = _why_left_out(found.brief, tier)
        if reason is not None:
            yield Finding(
                id="R4",
                risk=Risk.LOW,
                where=found.where(f"layers.tiers[{index}]"),
                why=f"a plan leaves {tier.name} out: {reason}",
                fix="keep it as the alternative it is, or change the number",
            )


def _why_left_out(brief: Brief, tier: TierSpec) -> str | None:
    for objective in brief.envelope:
        limit = objective.limit
        due = {"delivery": tier.ready_in, "adaptation": tier.adapts_in}.get(objective.kind)
        if due is not None and limit is not None and due.high > limit.mid:
            verb = "is ready" if objective.kind == "delivery" else "adapts"
            return f"it {verb} in {due}, and `{objective.id}` allows {limit}"
        if objective.kind == "residency" and tier.leaves_site:
            return f"it sends data off site, and {objective.measure} must stay"
    return None
