"""Which tiers a plan may use at all, and why the others may not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from feasible.planning.gaps import needs_latency
from feasible.schema import Brief, LeftOut, Objective, Profile, TierKind, TierSpec

__all__ = ["usable_tiers"]


def usable_tiers(
    brief: Brief, specs: Mapping[str, TierSpec], profile: Profile
) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """Give the machine tiers that may decide, and the others with the reason.

    Caches are not here: an exact repeat gets the answer that the plan gave before. People are
    always last and are handled apart.
    """
    usable, out = [], []
    priced = np.asarray(~np.isnan(profile.cost_usd).all(axis=0))
    timed = np.asarray(~np.isnan(profile.latency_ms).all(axis=0))
    any_priced = bool(priced.any()) or any(o.kind == "cost" for o in brief.envelope)
    for name in profile.tiers:
        spec = specs.get(name)
        if spec is not None and spec.kind in {TierKind.CACHE, TierKind.PERSON}:
            continue
        because = _reason(brief, spec, name, profile)
        column = profile.tiers.index(name)
        if because is None and any_priced and not priced[column]:
            because = "its price is unknown: give `cost_usd` in the profile, or `usd` in the brief"
        if because is None and needs_latency(brief) and not timed[column]:
            because = "its latency is unknown, and a promise or the deadline needs it"
        if because is None:
            usable.append(name)
        else:
            out.append(LeftOut(tier=name, because=because))
    return tuple(usable), tuple(out)


def _reason(brief: Brief, spec: TierSpec | None, name: str, profile: Profile) -> str | None:
    if name in profile.simulated:
        return "its answers are simulated, and a simulated answer never enters a certificate"
    if spec is None:
        return None
    if spec.asynchronous:
        return "it answers after the reply, as an overlay"
    for objective in brief.envelope:
        because = _misses(objective, spec)
        if because is not None:
            return because
    return None


def _misses(objective: Objective, spec: TierSpec) -> str | None:
    limit = objective.limit
    price = "" if spec.usd is None else f"; it would cost {spec.usd} a call"
    due = {"delivery": spec.ready_in, "adaptation": spec.adapts_in}.get(objective.kind)
    if due is not None and limit is not None and due.high > limit.mid:
        verb = "ready" if objective.kind == "delivery" else "adapted"
        return f"{verb} in {due}, and {objective.measure} is due in {limit}{price}"
    if objective.kind == "residency" and spec.leaves_site:
        stays = f"{objective.measure} must stay {objective.must_stay}"
        return f"it sends data off site, and {stays}{price}"
    return None
