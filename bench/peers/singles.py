"""One tier for everything: the simplest plan there is, and the cheapest one that can be shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bench.peers.outcomes import Outcomes, outcomes, person_of

from feasible.schema import Brief, Profile
from feasible.stats import binomial_p_value, holm_shown

__all__ = ["best_single", "cheapest_shown", "cheapest_that_kept", "shown"]


def shown(p_values: Sequence[Sequence[float]], *, delta: float) -> tuple[bool, ...]:
    """Say for which tiers all promises are shown, so that all said hold but for delta.

    A tier's promises are an intersection, whose p-value is the largest; over tiers Holm corrects.

    Args:
        p_values: By tier, one for each promise.
        delta: Accepted chance that anything said is wrong.
    """
    return holm_shown([max(one) for one in p_values], delta=delta)


def cheapest_shown(brief: Brief, profile: Profile) -> str | None:
    """Give the cheapest tier that keeps every promise for all rows, by exact binomial tests.

    No tier is chosen before it is tested, so that all rows judge.

    Args:
        brief: Promises with 0/1 losses at one confidence level.
        profile: The rows.
    """
    names = _names(brief, profile)
    delta = 1 - min(o.confidence_level for o in brief.envelope)
    seen = [outcomes(brief, profile, (name,)) for name in names]
    shows = shown([_p_values(one) for one in seen], delta=delta)
    return _cheapest(
        [(_usd(one), name) for one, name, ok in zip(seen, names, shows, strict=True) if ok]
    )


def cheapest_that_kept(brief: Brief, profile: Profile) -> str | None:
    """Give the cheapest tier that keeps every promise on these rows, which shows nothing."""
    seen = [(outcomes(brief, profile, (name,)), name) for name in _names(brief, profile)]
    all_there = np.zeros(len(profile), dtype=np.int64)
    return _cheapest([(_usd(one), name) for one, name in seen if not one.broken(all_there)])


def best_single(profile: Profile) -> str:
    """Give the machine tier with the smallest mean loss on these rows."""
    return profile.tiers[int(np.nanmean(profile.loss, axis=0).argmin())]


def _names(brief: Brief, profile: Profile) -> list[str]:
    person = person_of(brief)
    return [*profile.tiers, *([person] if person is not None else [])]


def _p_values(seen: Outcomes) -> list[float]:
    all_there = np.zeros(len(seen.usd), dtype=np.int64)
    out = []
    for j, limit in enumerate(seen.limits):
        misses, n = seen.misses(j, all_there)
        out.append(binomial_p_value(round(misses), n, limit=limit))
    return out


def _usd(seen: Outcomes) -> float:
    return float(np.nanmean(seen.usd[:, 0]))


def _cheapest(found: Sequence[tuple[float, str]]) -> str | None:
    return min(found)[1] if found else None
