"""Without a single label: how often a plan answers as the top tier would, and nothing more.

Agreement is no quality. Where the top tier errs, a tier that agrees with it errs too, and one that
disagrees may be right. So the promise is renamed wherever it is shown: it is never called accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from feasible.planning.evidence import AGREES
from feasible.schema import (
    Brief,
    FloatArray,
    LeftOut,
    Objective,
    Profile,
    TierKind,
    TierSpec,
)

__all__ = ["agreed", "agreement_notes", "without_people"]

_NO_MACHINE: Final = frozenset({TierKind.CACHE, TierKind.PERSON})


def agreed(brief: Brief, profile: Profile) -> tuple[Brief, Profile]:
    """Put agreement with the top tier in the place of accuracy where nothing is labelled.

    The top tier is the dearest machine whose answers are known: the last of the profile. A row that
    it did not answer judges nothing.

    Args:
        brief: The declaration.
        profile: The rows.

    Returns:
        A brief that promises agreement, and rows whose loss is 1 where an answer differs from the
        top tier's; both as they are where some row has a loss or a label, where another quality
        than accuracy is promised, or where no two tiers gave answers that can be compared.
    """
    top = _top(brief, profile)
    if top is None or profile.agreed_with is not None or not _is_unlabelled(profile):
        return brief, profile
    promised = [o for o in brief.envelope if o.kind == "quality"]
    if not promised or any(o.measure != "accuracy" for o in promised):
        return brief, profile
    envelope = tuple(_renamed(o, top) if o.kind == "quality" else o for o in brief.envelope)
    # What a right answer is worth says nothing about one that agrees.
    goal = msgspec.structs.replace(brief.goal, value_usd=None, error_usd=None)
    said = msgspec.structs.replace(brief, envelope=envelope, goal=goal)
    return said, replace(profile, loss=_differs(profile, top), agreed_with=top)


def without_people(
    specs: Mapping[str, TierSpec], profile: Profile
) -> tuple[dict[str, TierSpec], tuple[LeftOut, ...]]:
    """Leave people out where agreement is judged: how often they agree, nobody has declared."""
    if profile.agreed_with is None:
        return dict(specs), ()
    why = "its `error_rate` says how often it is right, not how often it agrees with "
    out = tuple(
        LeftOut(tier=name, because=f"{why}`{profile.agreed_with}`")
        for name, spec in specs.items()
        if spec.kind is TierKind.PERSON
    )
    return {n: s for n, s in specs.items() if s.kind is not TierKind.PERSON}, out


def agreement_notes(profile: Profile) -> tuple[str, ...]:
    """Say what was judged in the place of accuracy, and what that does not say."""
    top = profile.agreed_with
    if top is None:
        return ()
    bare = int(np.isnan(profile.loss[:, profile.tiers.index(top)]).sum())
    said = (
        f"no row is labelled: what is promised of accuracy is judged as agreement with `{top}`, "
        f"and says nothing about being right; label some rows to promise accuracy"
    )
    more = (f"{bare:,} rows judge no agreement, because `{top}` did not answer them",)
    return (said, *(more if bare else ()))


def _is_unlabelled(profile: Profile) -> bool:
    has_labels = profile.label is not None and any(label is not None for label in profile.label)
    return bool(np.isnan(profile.loss).all()) and not has_labels


def _top(brief: Brief, profile: Profile) -> str | None:
    specs = {tier.name: tier for tier in brief.layers.tiers}
    known = profile.answered & (profile.answer_class >= 0)
    found = [
        name
        for column, name in enumerate(profile.tiers)
        if known[:, column].any()
        and name not in profile.simulated
        and not (name in specs and (specs[name].kind in _NO_MACHINE or specs[name].asynchronous))
    ]
    return found[-1] if len(found) > 1 else None


def _renamed(objective: Objective, top: str) -> Objective:
    return msgspec.structs.replace(objective, quality=f"{AGREES}{top}")


def _differs(profile: Profile, top: str) -> FloatArray:
    """Give 0 where an answer is the top tier's, 1 where it differs, NaN where one is unknown."""
    said = np.where(profile.answered, profile.answer_class, -1)
    reference = said[:, [profile.tiers.index(top)]]
    known = (said >= 0) & (reference >= 0)
    return np.where(known, (said != reference).astype(np.float64), np.nan)
