"""Which tiers a plan may use at all, and why the others may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from feasible.planning.gaps import needs_latency
from feasible.schema import Brief, IntArray, LeftOut, Objective, Profile, TierKind, TierSpec

__all__ = ["left_out_by_brief", "rarely_judged", "usable_tiers", "without"]


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
        column = profile.tiers.index(name)
        left = _by_rows(spec, name, profile) or (None if spec is None else _by_brief(brief, spec))
        if left is None and any_priced and not priced[column]:
            why = "its price is unknown: give `cost_usd` in the profile, or `usd` in the brief"
            left = LeftOut(tier=name, because=why)
        if left is None and needs_latency(brief) and not timed[column]:
            why = "its latency is unknown, and a promise or the deadline needs it"
            left = LeftOut(tier=name, because=why)
        if left is None:
            usable.append(name)
        else:
            out.append(left)
    return tuple(usable), tuple(out)


def rarely_judged(
    brief: Brief, profile: Profile, usable: Sequence[str], rows: IntArray
) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """Leave out tiers that were judged on so few rows that they take everybody's evidence away.

    A row judges quality where every tier's answer is judged, so that a tier which loses more than
    half of these rows is left out. Only whether a loss is known is looked at, never the loss.

    Args:
        brief: The declaration.
        profile: All rows.
        usable: Machine tiers that a plan may use.
        rows: Rows that do not certify.
    """
    kept, out = list(usable), []
    if all(not objective.needs_labels for objective in brief.envelope):
        return tuple(kept), ()
    columns = {name: profile.tiers.index(name) for name in kept}
    unknown = np.isnan(profile.loss[rows])
    bare = {name: profile.answered[rows, c] & unknown[:, c] for name, c in columns.items()}
    judged = {name: ~unknown[:, c] for name, c in columns.items()}

    def complete(names: Sequence[str]) -> int:
        if not names:
            return 0
        known = np.any([judged[name] for name in names], axis=0)
        return int((known & ~np.any([bare[name] for name in names], axis=0)).sum())

    while len(kept) > 1:
        worst = min(kept, key=lambda name: int(judged[name].sum()))
        rest = [name for name in kept if name != worst]
        if not judged[worst].any() or complete(kept) * 2 >= complete(rest):
            break
        share = float((~np.isnan(profile.loss[:, columns[worst]])).mean())
        why = f"judged on {share * 100:.2g} % of the rows"
        lost = f"with it {complete(kept):,} rows could judge, without it {complete(rest):,}"
        out.append(LeftOut(tier=worst, because=f"{why}: {lost}"))
        kept = rest
    return tuple(kept), tuple(out)


def left_out_by_brief(brief: Brief) -> tuple[LeftOut, ...]:
    """Give the tiers that a plan may not use by their own declaration, before there are rows."""
    found = (_by_brief(brief, spec) for spec in brief.layers.tiers)
    return tuple(left for left in found if left is not None)


def without(brief: Brief, objective_id: str) -> Brief:
    """Give the brief without one of its promises."""
    kept = tuple(objective for objective in brief.envelope if objective.id != objective_id)
    return msgspec.structs.replace(brief, envelope=kept)


def _by_rows(spec: TierSpec | None, name: str, profile: Profile) -> LeftOut | None:
    because = None
    if name in profile.simulated:
        because = "its answers are simulated, and a simulated answer never enters a certificate"
    elif spec is not None and spec.asynchronous:
        because = "it answers after the reply, as an overlay"
    return None if because is None else LeftOut(tier=name, because=because)


def _by_brief(brief: Brief, spec: TierSpec) -> LeftOut | None:
    for objective in brief.envelope:
        because = _misses(objective, spec)
        if because is not None:
            return LeftOut(tier=spec.name, because=because, objective=objective.id)
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
