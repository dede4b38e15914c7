"""What a change of a brief's own numbers buys and costs: reviewed and simulated again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from feasible.errors import PlanError
from feasible.rubric.closed_form import uses
from feasible.schema import Brief, Plan, Sets, brief_with
from feasible.simulation import (
    Simulated,
    breakpoints,
    cost_lines,
    middles,
    promises_of,
    sheet,
    stated_design,
)
from feasible.units import MONTH_S

__all__ = ["Standing", "bought", "monthly_usd", "relaxed", "simulate_stated", "standing"]

_SEEDS: Final = 2
_REQUESTS: Final = 4000
_MORE_IS_BETTER: Final = (
    ".capacity",
    ".concurrency",
    ".per_month",
    "traffic.repeated",
    "labels.positives_per_month.",
)
"""Parts of the names of numbers that relax a design when they grow; all others do by falling."""
_FORMATS: Final = ("{:.6g}", "{:.6g} / s", "{:.6g} s", "${:.6g}", "{:.6g} B")
"""How a value may be typed; each number takes one of them."""


def simulate_stated(brief: Brief, *, seed: int, effects: bool = True) -> Simulated | None:
    """Simulate a stated design; None when it says no rate or names nothing that answers.

    Args:
        brief: The declaration; a spoken one will do.
        seed: The first of two seeds.
        effects: Whether every knob is relaxed, too.
    """
    try:
        design, assumed = stated_design(brief)
    except PlanError:
        return None
    promises = promises_of(brief, has_people=design.people is not None)
    found = breakpoints(design, promises, seed=seed, seeds=_SEEDS, n=_REQUESTS, effects=effects)
    return msgspec.structs.replace(found, assumed=assumed)


@dataclass(frozen=True, slots=True)
class Standing:
    """How near each limit is.

    Attributes:
        used: Objective, or limit that none promises -> share of it that is used at the declared
            load; the worse of closed form and simulation.
        headroom: The same -> multiple of the load at which it breaks, by simulation; infinite
            where it does not within the loads that were run.
        simulated: Names that a run was held to -> share that it used.
        certified: Names whose share is that of a plan's certificate, on labelled rows.
    """

    used: Mapping[str, float]
    headroom: Mapping[str, float]
    simulated: Mapping[str, float] = field(default_factory=dict)
    certified: frozenset[str] = frozenset()

    @property
    def broken(self) -> frozenset[str]:
        """Give what does not hold at the declared load."""
        return frozenset(name for name, share in self.used.items() if share > 1)


def standing(brief: Brief, simulated: Simulated | None, plan: Plan | None = None) -> Standing:
    """Give how near each limit is, by the closed forms and, where there is one, by a simulation.

    What a plan has shown on labelled rows stands in place of both.
    """
    used: dict[str, float] = {}
    for use in uses(brief, middles(sheet(brief), brief)):
        used[use.name] = max(used.get(use.name, 0.0), float(use.used[0]))
    headroom, runs = {}, {}
    for line in () if simulated is None else simulated.order:
        if line.verdict == "unknown":
            continue
        headroom[line.objective] = math.inf if line.headroom[1] is None else line.headroom[1]
        if line.used_at_1x is not None:
            runs[line.objective] = line.used_at_1x
    promised = {objective.id for objective in brief.envelope}
    for name, share in runs.items():
        if name in promised:
            used[name] = max(used.get(name, 0.0), share)
    shown = {} if plan is None else _certified(plan)
    return Standing(used | shown, headroom, runs, frozenset(shown))


def _certified(plan: Plan) -> dict[str, float]:
    """Give the share of each limit that the bound of a certificate uses."""
    out = {}
    for line in plan.certificate:
        if line.bound is None or not 0 < line.limit < math.inf:
            continue
        if line.is_ceiling:
            out[line.objective] = line.bound / line.limit
        elif line.limit < 1:
            out[line.objective] = (1 - line.bound) / (1 - line.limit)
    return out


@dataclass(frozen=True, slots=True)
class Bought:
    """What a change does.

    Attributes:
        brief: The declaration with it.
        before: How near each limit was.
        after: How near each limit is then.
        usd_month: What it adds to the bill of a month by the brief's own prices; None: unknown.
        seed: First seed of the runs.
    """

    brief: Brief
    before: Standing
    after: Standing
    usd_month: float | None
    seed: int

    @property
    def breaks(self) -> frozenset[str]:
        """Give what held before and does not hold then."""
        return self.after.broken - self.before.broken

    def gain(self, name: str, *, is_simulated: bool) -> float:
        """Give headroom afterwards over headroom before, or share used before over after.

        Args:
            name: Objective, or limit that none promises.
            is_simulated: Whether the load it bears counts; else the share that is used.

        Returns:
            Above 1: better. Infinite where it does not break any more within what was run.
        """
        if is_simulated and name in self.before.headroom and name in self.after.headroom:
            first, then = self.before.headroom[name], self.after.headroom[name]
            if math.isfinite(first) and self.before.simulated.get(name, 0.0) <= 1:
                return then / first
            if name in self.before.simulated and name in self.after.simulated:
                return _ratio(self.before.simulated[name], self.after.simulated[name])
        if name in self.before.used and name in self.after.used:
            return _ratio(self.before.used[name], self.after.used[name])
        return 1.0


def bought(brief: Brief, sets: Sets, *, simulated: Simulated | None, seed: int) -> Bought:
    """Say what other values for some numbers would buy and cost.

    Args:
        brief: The declaration.
        sets: Numbers with their other values.
        simulated: The stated design as it is, simulated; None: it cannot be.
        seed: The first seed of that simulation, so that both have the same luck.

    Raises:
        ValueError: A name stands for no number, or its value has another unit.
    """
    then = brief_with(brief, sets)
    again = None if simulated is None else simulate_stated(then, seed=seed, effects=False)
    first, after = monthly_usd(brief), monthly_usd(then)
    return Bought(
        brief=then,
        before=standing(brief, simulated),
        after=standing(then, again),
        usd_month=None if first is None or after is None else after - first,
        seed=seed,
    )


def monthly_usd(brief: Brief) -> float | None:
    """Give the dollars of a month of decisions; None when a price or a share is unknown."""
    values = middles(sheet(brief), brief)
    lines = cost_lines(brief, values)
    rate = values.get("traffic.rate")
    if not lines or rate is None:
        return None
    return float(sum(line[0] for line in lines.values()) * rate[0]) * MONTH_S


def relaxed(brief: Brief, knob: str, by: float) -> dict[str, bool | str | int | float]:
    """Give a number of a brief turned by a factor, in the direction that relaxes the design.

    Args:
        brief: The declaration.
        knob: Its name; what is no number that can be turned gives nothing.
        by: Factor, above 1.
    """
    item = next((one for one in sheet(brief) if one.name == knob and one.is_knob), None)
    if item is None:
        return {}
    grows = any(part in knob for part in _MORE_IS_BETTER)
    value = item.middle * by if grows else item.middle / by
    value = min(value, 1.0) if item.is_share else value
    typed: list[str | int] = [form.format(value) for form in _FORMATS]
    for one in [round(value)] if knob.endswith(".concurrency") else typed:
        try:
            brief_with(brief, {knob: one})
        except ValueError:
            continue
        return {knob: one}
    return {}


def _ratio(before: float, after: float) -> float:
    if after > 0:
        return before / after
    return math.inf if before > 0 else 1.0
