"""The price of knowing beforehand who would be right."""

from __future__ import annotations

import numpy as np

from feasible.schema import Profile

__all__ = ["oracle"]


def oracle(profile: Profile, *, person_usd: float | None = None) -> float:
    """Give mean dollars when each row goes to the cheapest tier that is right, asked alone.

    A row that no tier gets right goes to the person, or without one to the cheapest tier, wrong.

    Args:
        profile: The rows.
        person_usd: Price of a person, who is always right; None when there is none.
    """
    right = profile.answered & (profile.loss == 0)
    usd = np.where(right, profile.cost_usd, np.inf)
    cheapest = profile.cost_usd.min(axis=1) if person_usd is None else person_usd
    best = usd.min(axis=1)
    return float(np.where(np.isinf(best), cheapest, best).mean())
