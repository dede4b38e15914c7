"""A design with what a scenario changes of it: knobs, arrivals, what tiers and people bear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from feasible.errors import ScenarioError, nearest
from feasible.schema import TierKind
from feasible.simulation.design import Design, People, TierLoad
from feasible.simulation.disturbance import faulty_tier
from feasible.simulation.headroom import at_load
from feasible.simulation.knobs import turned
from feasible.simulation.scenario import Scenario, knob_values

__all__ = ["prepared", "tier_of"]


def prepared(design: Design, scenario: Scenario) -> Design:
    """Give the design that a scenario runs.

    Raises:
        KnobError: A knob is not there, or cannot take its value.
        ScenarioError: A tier that is named is not there, or cannot have what it should.
    """
    for name, changes in scenario.tiers.items():
        design = _with_tier(design, name, changes)
    if scenario.people:
        design = _with_people(design, scenario.people)
    design = turned(design, knob_values(design, scenario.knobs))
    if scenario.arrivals:
        design = replace(design, arrivals=replace(design.arrivals, **scenario.arrivals))
    k = tier_of(design, scenario)
    if scenario.retrying is not None or scenario.breaking is not None:
        load = design.tiers[k]
        design = _at(
            design,
            k,
            replace(
                load,
                retrying=scenario.retrying or load.retrying,
                breaking=scenario.breaking or load.breaking,
            ),
        )
    return at_load(design, scenario.load)


def tier_of(design: Design, scenario: Scenario) -> int:
    """Give the position of the tier that a fault hits.

    Raises:
        ScenarioError: There is no such tier.
    """
    try:
        return faulty_tier(design, scenario.tier)
    except KeyError as error:
        raise _no_tier(design, str(scenario.tier), f"fault: tier: {scenario.tier}") from error


def _with_tier(design: Design, name: str, changes: Mapping[str, Any]) -> Design:
    names = [load.name for load in design.tiers]
    if name not in names:
        raise _no_tier(design, name, f"tiers: {name}")
    k = names.index(name)
    load = design.tiers[k]
    if design.policy.steps[k].kind is TierKind.PERSON:
        raise ScenarioError(
            f"`{name}` is a person",
            asked=f"tiers: {name}",
            found="people have hours, not quotas, batches or tokens",
            attempt="people: {per_hour: 300, shift: [8, 18]}",
        )
    rest = {part: value for part, value in changes.items() if part != "tokens"}
    load = replace(load, **rest)
    tokens = changes.get("tokens")
    if tokens is not None:
        is_priced = bool(tokens.usd_read or tokens.usd_write)
        load = replace(
            load,
            service=replace(load.service, kind="tokens", tokens=tokens),
            usd=None if is_priced else load.usd,
        )
    _check(load)
    return _at(design, k, load)


def _check(load: TierLoad) -> None:
    """Refuse what no tier can have."""
    scaling, quota = load.scaling, load.quota
    if scaling is not None and scaling.least > scaling.most:
        raise ScenarioError(
            f"`{load.name}` cannot have at least {scaling.least} slots and at most {scaling.most}",
            asked=f"tiers: {load.name}: scaling: least: {scaling.least}",
            found=f"most: {scaling.most}",
            attempt=f"least: {scaling.most}, or a larger `most`",
        )
    by_token = quota is not None and (quota.reads is not None or quota.writes is not None)
    if by_token and load.service.kind != "tokens":
        raise ScenarioError(
            f"nobody says how many tokens a call of `{load.name}` reads and writes",
            asked=f"tiers: {load.name}: quota: reads or writes",
            found="a quota of tokens, and no `tokens`",
            attempt="tokens: {reads: 800, writes: 60}, or a quota of calls",
        )


def _with_people(design: Design, changes: Mapping[str, Any]) -> Design:
    people = design.people
    if people is None and "per_hour" not in changes:
        raise ScenarioError(
            f"{design.name} has no people whose hours could change",
            asked="people: " + ", ".join(changes),
            found="no person with a capacity in the brief",
            attempt="people: {per_hour: 300}, or `capacity` of the person in the brief",
        )
    people = replace(people or People(changes["per_hour"]), **changes)
    return replace(design, people=people)


def _no_tier(design: Design, name: str, asked: str) -> ScenarioError:
    names = [load.name for load in design.tiers]
    return ScenarioError(
        f"the plan asks no tier {name!r}",
        asked=asked,
        found=f"it asks {', '.join(names)}",
        attempt=f"tier: {nearest(name, names) or names[0]}",
    )


def _at(design: Design, k: int, load: TierLoad) -> Design:
    return replace(design, tiers=(*design.tiers[:k], load, *design.tiers[k + 1 :]))
