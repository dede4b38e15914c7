"""From a planned feature to a simulation: its plan, its rows and its brief become a design."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from feasible.errors import DataError, PlanError
from feasible.folder import Feature
from feasible.planning import exit_losses, mix_weights, read_profile
from feasible.schema import Brief, Plan, Profile, brief_fingerprint, read_plan
from feasible.simulation import (
    Asked,
    Simulated,
    asked_policy,
    design_of,
    knob_typed,
    named_scenario,
    promises_of,
    simulated,
    uncertain_of,
    unsimulated,
)

__all__ = ["built", "simulate_feature"]

_FIT, _SEARCH, _CERT = 0, 1, 2
_RATE: Final = "traffic.rate"


def simulate_feature(
    feature: Feature,
    *,
    scenario: str,
    knobs: Mapping[str, str],
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Simulated:
    """Simulate a planned feature.

    Args:
        feature: The feature; it must have a plan, and the profile that the plan was made from.
        scenario: A named scenario, or a file.
        knobs: Knob -> value as typed; these win over the file's.
        seed: The first of the seeds.
        progress: Told how far the work is.

    Raises:
        PlanError: There is no plan, or it was made for another brief.
        DataError: There is no profile, or it lacks what a simulation needs.
        ScenarioError: The scenario is not known, or its file cannot be used.
        KnobError: A knob is not there, or cannot take its value.
    """
    asked, _ = built(feature, scenario=scenario, knobs=knobs, seed=seed)
    return simulated(replace(asked, progress=progress))


def built(
    feature: Feature,
    *,
    scenario: str,
    knobs: Mapping[str, str],
    seed: int,
    is_served: bool = False,
) -> tuple[Asked, Profile]:
    """Build what `simulate_feature` runs, and give the rows that requests are drawn from.

    Args:
        feature: The feature.
        scenario: As for `simulate_feature`.
        knobs: As for `simulate_feature`.
        seed: The first of the seeds.
        is_served: Whether the rows are to be sent to the service. The rows that thresholds were
            searched on are left out then: the profile has what models said to them that had not
            seen them, and those that are served have.
    """
    wanted = named_scenario(scenario)
    wanted = replace(wanted, knobs={**wanted.knobs, **knobs})
    made = read_plan(feature.plan_path)
    if made.brief_fingerprint != brief_fingerprint(feature.brief):
        raise PlanError(
            f"the plan of {feature.brief.name} was made for another brief",
            asked=f"brief {brief_fingerprint(feature.brief)}",
            found=f"plan {made.id} for brief {made.brief_fingerprint}",
            attempt=f"feasible plan {feature.brief.name}",
        )
    brief, profile = feature.brief, _rows(feature, made, is_served=is_served)
    rate = wanted.knobs.get(_RATE)
    design, assumed = design_of(
        made,
        brief,
        profile,
        losses=exit_losses(made, brief, profile, asked_policy(made, brief)),
        weight=_weights(brief, profile),
        rate_per_s=None if rate is None else knob_typed(_RATE, rate, "rate"),
    )
    asked = Asked(
        design=design,
        promises=promises_of(brief, has_people=design.people is not None),
        brief=brief,
        scenario=wanted,
        seed=seed,
        plan=made.id,
        assumed=(
            *assumed,
            *(f"{promise}: load does not decide it" for promise in unsimulated(brief)),
        ),
        uncertain=uncertain_of(design, brief),
    )
    return asked, profile


def _rows(feature: Feature, made: Plan, *, is_served: bool) -> Profile:
    """Give the profile's rows that nothing was trained on."""
    if not feature.profile_path.exists():
        raise DataError(
            f"the plan of {feature.brief.name} has no profile beside it",
            asked=str(feature.profile_path),
            found="requests are drawn from the rows that the plan was made from",
            attempt=f"feasible plan {feature.brief.name}",
        )
    profile = read_profile(feature.profile_path)
    part = np.frombuffer(made.data.part_of_row(), dtype=np.uint8)
    if len(part) != len(profile):
        return profile
    certify = part == _CERT
    unseen = certify if is_served and certify.any() else certify | (part == _SEARCH)
    return profile.take(unseen)


def _weights(brief: Brief, profile: Profile) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
    weight = mix_weights(brief, profile)
    return None if np.ptp(weight) == 0 else weight
