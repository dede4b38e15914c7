"""What a design is worth: right answers, less wrong ones, less what they cost.

The brief says what a right and a wrong answer are worth, mostly as ranges that somebody assumed,
and may say how latency or quality moves the business's metric. Nothing here is certified: it says
which design the brief's own numbers prefer, and whether they all prefer the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from feasible.errors import BriefError
from feasible.schema import (
    AnsweredBy,
    Brief,
    Comparison,
    Curve,
    FloatArray,
    FrontierPoint,
    Goal,
    Objective,
    PlanReport,
    Spread,
    TierKind,
    ValueLine,
    ValueReport,
)
from feasible.units import Amount

__all__ = [
    "Worth",
    "main_objective",
    "marginal_usd",
    "most_valuable",
    "net_usd",
    "require_worth",
    "value_report",
    "worth_of",
    "worth_of_design",
]


_ALIKE: Final = 1e-3
"""Share of what a right and a wrong answer are worth together, below which designs are alike."""

_Kind = Literal["plan", "frontier", "rules only", "no LLM", "nothing"]


@dataclass(frozen=True, slots=True)
class Worth:
    """What answers are worth before their price is known.

    Attributes:
        right: Share of decisions that are right. Ratio.
        earned: The same, each right answer weighed by the share of its worth that its latency
            leaves. Ratio, at most `right`.
    """

    right: float
    earned: float


def worth_of(
    brief: Brief, *, loss: FloatArray, latency_ms: FloatArray, weight: FloatArray
) -> Worth | None:
    """Count right answers on rows, by where each row left the cascade.

    Args:
        brief: The declaration.
        loss: shape (n_rows,). Ratio; NaN where nobody judged, which does not count.
        latency_ms: shape (n_rows,). Milliseconds; NaN where unknown, which counts as the best.
        weight: shape (n_rows,). The declared mix.

    Returns:
        None when no row is judged.
    """
    judged = ~np.isnan(loss) & (weight > 0)
    if not judged.any():
        return None
    right = 1.0 - loss[judged]
    kept = np.ones(int(judged.sum()))
    for curve in brief.goal.response:
        if _is_latency(curve):
            kept *= _kept(brief.goal, curve, latency_ms[judged] * _per_ms(curve))
    mass = weight[judged]
    return Worth(
        float(np.average(right, weights=mass)), float(np.average(right * kept, weights=mass))
    )


def net_usd(goal: Goal, worth: Worth, cost_usd: float) -> Spread:
    """Give the net value of one decision over the declared ranges.

    Returns:
        `low` has the low worth of a right answer and the high price of a wrong one; `high` the
        reverse. Dollars.

    Examples:
        >>> from feasible.units import Amount
        >>> goal = Goal(statement="", value_usd=Amount("1..3"), error_usd=Amount("10"))
        >>> net = net_usd(goal, Worth(0.9, 0.9), 0.05)
        >>> round(net.low, 2), round(net.high, 2)
        (-0.15, 1.65)
    """
    value, error = _ends(goal.value_usd), _ends(goal.error_usd)

    def at(of_right: float, of_wrong: float) -> float:
        return worth.earned * of_right - (1 - worth.right) * of_wrong - cost_usd

    return Spread(
        low=at(value.low, error.high), mid=at(value.mid, error.mid), high=at(value.high, error.low)
    )


def most_valuable(brief: Brief, designs: Sequence[tuple[Worth | None, float | None]]) -> int | None:
    """Give the place of the design with the largest net value at the middle of the declared worth.

    Args:
        brief: The declaration.
        designs: What each is worth, and its dollars a decision. None where unknown.

    Returns:
        None when the brief gives no worth or nothing is known of any design.
    """
    if not _is_priced(brief.goal):
        return None
    nets = [
        (net_usd(brief.goal, worth, cost).mid, -index)
        for index, (worth, cost) in enumerate(designs)
        if worth is not None and cost is not None
    ]
    return -max(nets)[1] if nets else None


def require_worth(brief: Brief) -> None:
    """Refuse to choose by a value that the brief does not give.

    Raises:
        BriefError: It says neither what a right answer is worth nor what a wrong one costs.
    """
    if not _is_priced(brief.goal):
        raise BriefError(
            f"the brief of {brief.name} does not say what an answer is worth",
            asked="a plan chosen by value",
            found="neither `goal.value_usd` nor `goal.error_usd`",
            attempt="goal: {value_usd: 1.80, error_usd: 5}, or choose by cost",
        )


def value_report(brief: Brief, report: PlanReport) -> ValueReport | None:
    """Say what the plan, the frontier and the alternatives are worth by the brief's own numbers.

    Args:
        brief: The declaration.
        report: The planner's answer.

    Returns:
        None when the brief gives no worth, or when nothing says how often answers are right.
    """
    if not _is_priced(brief.goal):
        return None
    designs = list(_designs(brief, report))
    if not designs:
        return None
    designs.append(_Design("do not build this", "nothing", (), None, 0.0))
    best = max(designs, key=lambda d: d.net(brief.goal).mid)
    if _is_alike(brief.goal, designs[0], best):
        best = designs[0]  # the plan, where there is one
    rivals = [d.name for d in designs if d is not best and _beats(brief.goal, d, best)]
    return ValueReport(
        lines=tuple(d.line(brief.goal, is_best=d is best) for d in designs),
        best=best.name,
        best_within=max(
            (d for d in designs if not d.breaks), key=lambda d: d.net(brief.goal).mid
        ).name,
        is_best_throughout=not rivals,
        rivals=tuple(rivals),
        assumptions=tuple(_assumptions(brief, report)),
        net_usd_by_point=tuple(
            None
            if (worth := worth_of_design(brief, point)) is None
            else net_usd(brief.goal, worth, point.cost_usd)
            for point in report.frontier
        ),
    )


def marginal_usd(points: Sequence[FrontierPoint]) -> tuple[float | None, ...]:
    """Give what each point of a frontier pays for its quality beyond its cheaper neighbour.

    Args:
        points: Cheapest first.

    Returns:
        Dollars per 1,000 decisions and percentage point of quality; None for the first, and for a
        point that is no better than its cheaper neighbour.

    Examples:
        >>> def point(usd, quality):
        ...     return FrontierPoint(cost_usd=usd, quality=quality, latency_ms=None, tiers=())
        >>> first, second = marginal_usd([point(0, 0.8), point(0.002, 0.9)])
        >>> first is None, round(second, 3)
        (True, 0.2)
    """
    if not points:
        return ()
    trend = 1.0 if points[-1].quality >= points[0].quality else -1.0
    out: list[float | None] = [None]
    for cheaper, dearer in pairwise(points):
        gained = (dearer.quality - cheaper.quality) * trend * 100
        more = (dearer.cost_usd - cheaper.cost_usd) * 1000
        out.append(more / gained if gained > 0 else None)
    return tuple(out)


@dataclass(frozen=True, slots=True)
class _Design:
    """One way to decide, or not to; `worth` is None where nothing is decided."""

    name: str
    kind: _Kind
    tiers: tuple[str, ...]
    worth: Worth | None
    cost_usd: float
    breaks: tuple[str, ...] = ()

    def net(self, goal: Goal) -> Spread:
        if self.worth is None:
            return Spread(low=0.0, mid=0.0, high=0.0)
        return net_usd(goal, self.worth, self.cost_usd)

    def line(self, goal: Goal, *, is_best: bool) -> ValueLine:
        return ValueLine(
            name=self.name,
            kind=self.kind,
            tiers=self.tiers,
            right=None if self.worth is None else self.worth.right,
            cost_usd=self.cost_usd,
            net_usd=self.net(goal),
            is_best=is_best,
            breaks=self.breaks,
        )


def _designs(brief: Brief, report: PlanReport) -> Iterator[_Design]:
    """Give the plan, the best point of the frontier, the best without an LLM, and rules alone."""
    points = [(p.is_chosen, d) for p in report.frontier if (d := _of_point(brief, p)) is not None]
    singles = [d for c in report.comparisons if (d := _of_single(brief, c)) is not None]
    kinds = {tier.name: tier.kind for tier in brief.layers.tiers}

    def net(design: _Design) -> float:
        return design.net(brief.goal).mid

    name = "the plan" if report.feasible else "the safest plan found"
    chosen = next((d for is_chosen, d in points if is_chosen), None)
    if chosen is not None:
        yield replace(chosen, name=name, kind="plan")
    best = max(points, key=lambda point: net(point[1]), default=None)
    if best is not None and (chosen is None or not _is_alike(brief.goal, chosen, best[1])):
        yield replace(best[1], name="best of the frontier", kind="frontier")
    every = [*(d for _, d in points), *singles]
    plain = [d for d in every if all(kinds.get(t) is not TierKind.LLM for t in d.tiers)]
    if plain and TierKind.LLM in kinds.values():
        yield replace(max(plain, key=net), name="no LLM", kind="no LLM")
    rules = [d for d in singles if kinds[d.tiers[0]] is TierKind.RULES]
    if rules:
        cheapest = min(rules, key=lambda d: d.cost_usd)
        yield replace(cheapest, name="rules only", kind="rules only")


def _of_point(brief: Brief, point: FrontierPoint) -> _Design | None:
    worth = worth_of_design(brief, point)
    if worth is None:
        return None
    breaks = _breaks(brief, point)
    return _Design("", "frontier", point.tiers, worth, point.cost_usd, breaks)


def _of_single(brief: Brief, one: Comparison) -> _Design | None:
    """Give a declared tier that was judged alone beside the plan."""
    tier = next((t for t in brief.layers.tiers if one.name == f"{t.name} alone"), None)
    worth = worth_of_design(brief, one)
    if tier is None or worth is None or one.cost_usd is None:
        return None
    return _Design("", "frontier", (tier.name,), worth, one.cost_usd, one.breaks)


def _breaks(brief: Brief, point: FrontierPoint) -> tuple[str, ...]:
    """Name the promises that a point breaks, if need be by the two figures that it has."""
    if point.breaks is not None:
        return point.breaks
    out: list[str] = []
    for objective in brief.envelope:
        limit = objective.limit
        if limit is None or objective.by is not AnsweredBy.ALL:
            continue
        if objective.kind == "cost" and objective.measure == "mean" and objective.on is None:
            out += [objective.id] if point.cost_usd > limit.mid else []
        elif objective is main_objective(brief):
            short = (
                limit.mid - point.quality
                if not objective.is_ceiling
                else (point.quality - limit.mid)
            )
            out += [objective.id] if short > 0 else []
    return tuple(out)


def worth_of_design(brief: Brief, one: FrontierPoint | Comparison) -> Worth | None:
    """Give what a design's answers are worth, by its quality where no right ones were counted."""
    main = main_objective(brief)
    if isinstance(one, Comparison):
        latency, quality = one.latency_ms.p95, None if main is None else one.quality.get(main.id)
    else:
        latency, quality = one.latency_ms, one.quality
    right = one.right
    if right is None and main is not None and main.measure == "accuracy":
        right = quality
    if right is None:
        return None
    earned = one.earned
    if earned is None:
        earned = right
        for curve in brief.goal.response:
            if _is_latency(curve) and latency is not None:
                at = np.array([latency * _per_ms(curve)])
                earned *= float(_kept(brief.goal, curve, at)[0])
    for curve in brief.goal.response:
        if main is not None and curve.to in {main.id, main.measure} and quality is not None:
            earned *= float(_kept(brief.goal, curve, np.array([quality]))[0])
    return Worth(right, earned)


def main_objective(brief: Brief) -> Objective | None:
    """Give the objective that the frontier is drawn over: quality, else a joint promise."""
    over_all = [o for o in brief.envelope if o.needs_labels and o.by is AnsweredBy.ALL]
    return min(over_all, key=lambda o: o.kind != "quality", default=None)


def _kept(goal: Goal, curve: Curve, at: FloatArray) -> FloatArray:
    """Give the share of a right answer's worth that is left: the curve over its best point."""
    where = np.array(sorted(curve.points))
    level = np.array([curve.points[x] for x in where])
    found = np.interp(np.where(np.isnan(at), where[int(level.argmax())], at), where, level)
    if curve.of == goal.metric and _wants_less(goal):
        best = float(level.min())
        return np.asarray(np.clip(best / np.maximum(found, 1e-300), 0.0, 1.0))
    best = float(level.max())
    return np.asarray(np.clip(found / best, 0.0, 1.0)) if best > 0 else np.ones(len(at))


def _wants_less(goal: Goal) -> bool:
    return goal.now is not None and goal.target is not None and goal.target.mid < goal.now.mid


def _is_latency(curve: Curve) -> bool:
    return curve.to.startswith("latency") and curve.to.endswith(("_ms", "_s"))


def _per_ms(curve: Curve) -> float:
    return 1.0 if curve.to.endswith("_ms") else 1e-3


def _is_priced(goal: Goal) -> bool:
    return goal.value_usd is not None or goal.error_usd is not None


def _ends(amount: Amount | None) -> Spread:
    if amount is None:
        return Spread(low=0.0, mid=0.0, high=0.0)
    return Spread(low=amount.low, mid=amount.mid, high=amount.high)


def _beats(goal: Goal, one: _Design, best: _Design) -> bool:
    """Claim that a design is worth more at some corner of the declared ranges.

    Net value is linear in both numbers, so that a difference is largest at a corner.
    """
    value, error = _ends(goal.value_usd), _ends(goal.error_usd)
    return any(
        _at(one, of_right, of_wrong) - _at(best, of_right, of_wrong)
        > _ALIKE * (of_right + of_wrong)
        for of_right in (value.low, value.high)
        for of_wrong in (error.low, error.high)
    )


def _is_alike(goal: Goal, one: _Design, best: _Design) -> bool:
    """Claim that two designs are worth the same, as far as anybody could tell."""
    at_stake = _ends(goal.value_usd).mid + _ends(goal.error_usd).mid
    return best.net(goal).mid - one.net(goal).mid <= _ALIKE * at_stake


def _at(design: _Design, of_right: float, of_wrong: float) -> float:
    if design.worth is None:
        return 0.0
    worth = design.worth
    return worth.earned * of_right - (1 - worth.right) * of_wrong - design.cost_usd


def _assumptions(brief: Brief, report: PlanReport) -> Iterator[str]:
    goal, made = brief.goal, report.plan or report.fallback_plan
    right, wrong = goal.value_usd, goal.error_usd
    yield (
        f"a right answer is worth {_usd(right)} and a wrong one costs {_usd(wrong)}: declared in "
        f"the brief, not measured"
    )
    main = main_objective(brief)
    if main is not None and any(point.right is None for point in report.frontier):
        where = "" if main.on is None else f" on `{main.on}`"
        yield f"P(right) is taken to be accuracy{where}: measured on the rows"
    used = {main.id, main.measure} if main is not None else set()
    for curve in goal.response:
        how = "" if _is_latency(curve) or curve.to in used else "; not used: nothing here gives it"
        yield f"{curve.of} by {curve.to}: {curve.basis}{how}"
    if any(point.earned is None for point in report.frontier) and goal.response:
        yield "every answer is taken to be as late as the 95th percentile"
    if made is not None and made.data.synthetic:
        yield "the rows are synthetic: made up, not collected"
    known = all(point.breaks is not None for point in report.frontier)
    of = "its values on these rows" if known else "its cost and quality alone"
    yield f"only the plan is certified; what another point of the frontier breaks is by {of}"
    yield (
        "the frontier's points are judged on the search rows, single tiers on the rows that "
        "certify; doing nothing is the zero that all are measured from"
    )


def _usd(amount: Amount | None) -> str:
    return "nothing (not declared)" if amount is None else f"${str(amount).lstrip('$')}"
