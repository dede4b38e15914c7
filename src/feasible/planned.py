"""A plan on the disk and the tiers that it was made for: kept, found, checked and loaded."""

from __future__ import annotations

from pathlib import Path

from feasible.clock import SystemClock
from feasible.errors import PlanError, nearest
from feasible.folder import Feature
from feasible.planning import check_plan, expired_versions
from feasible.registry import verify
from feasible.schema import Plan, brief_fingerprint, read_plan, write_json
from feasible.tiers import FittableTier, Tier

__all__ = [
    "certified_tiers",
    "find_plan",
    "keep_plan",
    "kept_plan",
    "kept_plans",
    "planned_tiers",
    "tiers_now",
    "versions_now",
]

_FEWEST_LETTERS = 8


def keep_plan(feature: Feature, made: Plan) -> None:
    """Keep a plan under its id, for as long as the feature's folder."""
    path = _path_of(feature, made.id)
    if not path.exists():
        write_json(made, path)


def kept_plan(feature: Feature, plan_id: str) -> Plan:
    """Give a plan that was kept.

    Raises:
        PlanError: It is not there, or was edited.
    """
    return read_plan(_path_of(feature, plan_id))


def kept_plans(feature: Feature) -> list[Plan]:
    """Give every plan of the feature that can be read, the latest made first."""
    found = {}
    for path in (*feature.plans_path.glob("plan_*.json"), feature.plan_path):
        try:
            made = read_plan(path)
        except PlanError:
            continue
        found[made.id] = made
    return sorted(found.values(), key=lambda made: made.made_at, reverse=True)


def find_plan(feature: Feature, named: str) -> Plan:
    """Give a plan by its id, by the beginning of it, as a file, or as `newest`, and keep it.

    Raises:
        PlanError: There is none of that name, or several begin like that.
    """
    if named == "newest":
        made = read_plan(feature.plan_path)
    elif named.endswith(".json"):
        made = read_plan(Path(named))
    else:
        known = {one.id: one for one in kept_plans(feature)}
        begin = named if named.startswith("plan_") else f"plan_{named}"
        fitting = [name for name in known if name.startswith(begin)]
        if len(fitting) != 1 or len(begin) < _FEWEST_LETTERS:
            close = nearest(named, known)
            raise PlanError(
                f"no plan {named!r} of {feature.brief.name}"
                if not fitting
                else f"{len(fitting)} plans of {feature.brief.name} begin with {named!r}",
                found=f"plans: {', '.join(known) or 'none'}",
                attempt=f"`{close}`" if close else "give an id, a file, or `newest`",
            )
        made = known[fitting[0]]
    keep_plan(feature, made)
    return made


def certified_tiers(feature: Feature, made: Plan) -> dict[str, Tier]:
    """Build the tiers of a plan whose certificate stands in every respect, its age included.

    Raises:
        PlanError: It does not stand.
        ModelFileError: A stored model is not the file that the plan names.
    """
    tiers = planned_tiers(feature, made)
    checked = check_plan(made, feature.brief, versions_now(tiers, made), now=SystemClock().now())
    if not checked.stands:
        first = checked.expired[0]
        raise PlanError(
            f"the certificate of plan {made.id} does not stand",
            asked=f"{first.what} `{first.name}`: {first.was}",
            found=first.now,
            attempt=f"feasible plan {feature.brief.name}",
        )
    return tiers


def _path_of(feature: Feature, plan_id: str) -> Path:
    return feature.plans_path / f"{Path(plan_id).name}.json"


def planned_tiers(feature: Feature, made: Plan) -> dict[str, Tier]:
    """Build the tiers of a plan as they were when it was made, their models loaded."""
    again = f"feasible plan {feature.brief.name}"
    if made.brief_fingerprint != brief_fingerprint(feature.brief):
        raise PlanError(
            f"the plan of {feature.brief.name} was made for another brief",
            asked=f"brief {brief_fingerprint(feature.brief)}",
            found=f"plan {made.id} for brief {made.brief_fingerprint}",
            attempt=again,
        )
    tiers = tiers_now(feature, made)
    for changed in expired_versions(made, versions_now(tiers, made)):
        raise PlanError(
            f"tier {changed.name!r} has changed since the plan was made: its certificate expired",
            asked=f"version {changed.was}",
            found=f"version {changed.now}",
            attempt=again,
        )
    planned = {step.name for step in made.tiers}
    for name in set(made.fallback.values()) - planned:
        if isinstance(tiers[name], FittableTier):
            raise PlanError(
                f"the fallback {name!r} learns from rows, and the plan holds no model of it",
                attempt="declare rules or a person as the fallback, then plan again",
            )
    return tiers


def tiers_now(feature: Feature, made: Plan) -> dict[str, Tier]:
    """Build the tiers of the brief, with the models that a plan stored loaded."""
    tiers = feature.tiers(made.labels)
    for step in made.tiers:
        tier = tiers.get(step.name)
        if step.model is not None and isinstance(tier, FittableTier):
            tier.load(verify(step.model, feature.work))
    return tiers


def versions_now(tiers: dict[str, Tier], made: Plan) -> dict[str, str]:
    """Give the versions that the tiers of a plan have now."""
    return {step.name: tiers[step.name].version for step in made.tiers if step.name in tiers}
