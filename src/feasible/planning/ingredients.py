"""What plans can be made of, from FIT rows: calibrators, prices, times, and other scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from feasible.planning.calibration import Fit, answer_groups, fit_calibrators, held_out
from feasible.planning.chain import Ingredients, probabilities
from feasible.planning.foresight import joined
from feasible.planning.scores import Scores
from feasible.planning.splits import Split
from feasible.schema import (
    DEFAULT_GROUP,
    Brief,
    Calibrator,
    FloatArray,
    Profile,
    TierKind,
    TierSpec,
)

__all__ = ["foreseen_of", "ingredients_of"]

_ROUNDING_USD: Final = 1e-12
_MANY_ROWS: Final = 200_000
"""Rows from which on FIT rows alone tell prices and times."""

_UNJUDGED: Final = Fit(
    {DEFAULT_GROUP: Calibrator(method="constant", x=(0.0,), y=(0.5,), n=0)},
    brier=float("nan"),
    ece=float("nan"),
    n=0,
)
"""How likely a tier is to be right when nobody has said: no promise of cost or time asks."""


def ingredients_of(
    brief: Brief,
    specs: Mapping[str, TierSpec],
    profile: Profile,
    split: Split,
    fit: Profile,
    found: Profile,
    usable: Sequence[str],
    enforced: Mapping[str, float | None],
) -> Ingredients:
    """Fit what thresholds may stand on, and work out what every tier costs and takes.

    Args:
        brief: The declaration.
        specs: Tier -> its part of the brief.
        profile: All rows.
        split: Which of them may be used for what; those that certify are not looked at.
        fit: FIT rows.
        found: SEARCH rows; FIT rows themselves where both are the same.
        usable: Machine tiers that a plan may use.
        enforced: Tier -> the most that one call can cost, where the tier enforces it. The `usd` of
            the brief is a ceiling too where no price of FIT and SEARCH rows is above it, but
            nothing enforces it.
    """
    both = np.union1d(split.fit, split.search)
    seen = profile.take(both) if len(both) <= _MANY_ROWS else fit
    groups: dict[str, dict[str, str]] = {}
    fits: dict[str, Fit] = {}
    p95: dict[str, float | None] = {}
    mean: dict[str, float | None] = {}
    worst: dict[str, float | None] = {}
    answered: dict[str, float] = {}
    capped: set[str] = set()
    unenforced: set[str] = set()
    judges_quality = any(o.needs_labels for o in brief.envelope)
    person = next((n for n, s in specs.items() if s.kind is TierKind.PERSON), None)
    for name in profile.tiers:
        column = profile.tiers.index(name)
        price = seen.cost_usd[:, column]
        known = price[~np.isnan(price)]
        mean[name] = float(known.mean()) if len(known) else None
        declared, highest = specs[name].usd if name in specs else None, _highest(known)
        # What a person costs is what the brief says.
        ceiling = None if name == person else _kept(enforced.get(name), highest)
        if ceiling is None and declared is not None:
            ceiling = _kept(declared.high, highest)
            unenforced |= {name} if ceiling is not None else set()
        worst[name] = highest if ceiling is None else ceiling
        capped |= {name} if ceiling is not None else set()
        answered[name] = float(seen.answered[:, column].mean())
        took = seen.latency_ms[:, column]
        took = took[~np.isnan(took)]
        p95[name] = float(np.quantile(took, 0.95)) if len(took) else None
        if name in usable:
            groups[name] = answer_groups(brief, seen, column)
            fitted = fit_calibrators(fit, column, groups[name])
            if fitted is None and not judges_quality and answered[name]:
                fitted = _UNJUDGED
            if fitted is not None:
                fits[name] = fitted
    declared = specs[person].usd if person is not None else None
    if person is not None and mean.get(person) is None and declared is not None:
        mean[person], worst[person] = declared.mid, declared.high
        unenforced |= {person}
    machines = sorted(fits, key=lambda n: (mean[n] or 0.0, p95[n] or 0.0))
    kit = Ingredients(
        brief=brief,
        specs=specs,
        groups=groups,
        fits=fits,
        machines=tuple(machines),
        person=person,
        p95_ms=p95,
        mean_usd=mean,
        worst_usd=worst,
        capped=frozenset(capped),
        unenforced=frozenset(unenforced),
        answered=answered,
    )
    routed = fit if fit is found or fit.text is None else joined(fit, found)
    return replace(kit, fits=_held_out_fits(kit, found), scores=_scores(kit, fit, routed))


def _kept(ceiling: float | None, highest: float | None) -> float | None:
    """Give a ceiling that no price of FIT and SEARCH rows is above; None without one."""
    if ceiling is None or (highest is not None and highest > ceiling + _ROUNDING_USD):
        return None
    return ceiling


def _highest(prices: FloatArray) -> float | None:
    return float(prices.max()) if len(prices) else None


def _held_out_fits(kit: Ingredients, rows: Profile) -> dict[str, Fit]:
    """Judge every tier's probabilities on rows that fitted no calibrator."""
    out = {}
    for name, fit in kit.fits.items():
        column = rows.tiers.index(name)
        right = 1.0 - rows.loss[:, column]
        usable = rows.answered[:, column] & ~np.isnan(right)
        out[name] = held_out(fit, probabilities(kit, name, rows)[0][usable], right[usable])
    return out


def _scores(kit: Ingredients, fit: Profile, routed: Profile) -> Scores:
    """Fit what thresholds may stand on besides scores; a router of tiers that answer every row."""
    always = [name for name in kit.machines if kit.answered.get(name, 0.0) >= 1.0]
    return Scores(fit, kit.groups, kit.fits, tiers=always, routed=routed)


def foreseen_of(kit: Ingredients, first: int, count: int) -> dict[str, FloatArray] | None:
    """Give what routers that did not see some of FIT and SEARCH rows foresee of them."""
    if kit.scores is None or not kit.scores.left_out:
        return None
    return {name: values[first : first + count] for name, values in kit.scores.left_out.items()}
