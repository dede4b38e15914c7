"""The eight criteria, each with the points that a brief alone can show and what speaks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from feasible.rubric.evidence import evidence_needs
from feasible.rubric.lexicon import has_unit
from feasible.rubric.records import Criterion, Finding
from feasible.schema import Brief, BriefFile, Layers, Metric

__all__ = ["judge_criteria"]

_NEED_PLAN: Final = "not checked: needs the plan and the simulation"


@dataclass(slots=True)
class _Tally:
    """Points and what speaks for them, while a criterion is judged."""

    points: int = 0
    evidence: list[str] = field(default_factory=list)

    def give(self, points: int, held: object, said: str) -> None:
        """Give the points when the claim holds; say either way what was looked at."""
        if held:
            self.points += points
        self.evidence.append(f"{'+' + str(points) if held else '+0'} {said}")


def judge_criteria(
    found: BriefFile, findings: tuple[Finding, ...], *, today: date
) -> tuple[Criterion, ...]:
    """Judge R1 to R8 as far as a brief goes; what needs a plan or a simulation stays unchecked.

    Args:
        found: The brief with its places.
        findings: What the lints and the screen found, which decide about order and feasibility.
        today: Day from which label dates are counted.
    """
    return (
        _r1_goal(found.brief),
        _r2_metrics(found.brief),
        _r3_constraints(found.brief, findings, today),
        _r4_layers(found.brief),
        _unchecked("R5", "the right bottleneck", 25),
        _unchecked("R6", "the cost of solving it, justified", 20),
        _r7_failures(found.brief),
        _r8_tradeoff(found.brief),
    )


def _made(criterion: str, title: str, tally: _Tally, *, checkable: int, most: int) -> Criterion:
    evidence = tally.evidence
    if checkable < most:
        evidence = [*evidence, f"{most - checkable} of {most} points {_NEED_PLAN}"]
    return Criterion(
        id=criterion,
        title=title,
        points=tally.points,
        max=most,
        checkable=checkable,
        checked=True,
        evidence=tuple(evidence),
    )


def _unchecked(criterion: str, title: str, most: int) -> Criterion:
    return Criterion(
        id=criterion,
        title=title,
        points=None,
        max=most,
        checkable=0,
        checked=False,
        evidence=(f"{most} points {_NEED_PLAN}",),
    )


def _r1_goal(brief: Brief) -> Criterion:
    goal, tally = brief.goal, _Tally()
    tally.give(1, goal.decision, f"decision: {goal.decision or 'not stated'}")
    tally.give(1, goal.actor, f"actor: {goal.actor or 'not stated'}")
    tally.give(1, goal.metric, f"business metric: {goal.metric or 'not stated'}")
    tally.give(1, goal.value_usd, f"a right answer is worth {_usd(goal.value_usd)}")
    tally.give(1, goal.error_usd, f"a wrong answer costs {_usd(goal.error_usd)}")
    return _made("R1", "the business goal and what it is worth", tally, checkable=5, most=5)


def _usd(amount: object) -> str:
    return "an unstated sum" if amount is None else f"${str(amount).lstrip('$')}"


def _r2_metrics(brief: Brief) -> Criterion:
    goal, tally = brief.goal, _Tally()
    chain, loose = _chain(brief)
    if loose:
        said = f"{', '.join(loose)} leads nowhere near {goal.metric or 'a business metric'}"
    else:
        said = " > ".join(chain) if chain else "no metric leads to the goal"
    tally.give(4, chain and not loose, f"chain: {said}")
    guards = [m for m in brief.metrics if m.kind == "guardrail"]
    limited = [m.name for m in guards if m.at_most is not None or m.at_least is not None]
    tally.give(2, guards, f"guardrail: {', '.join(m.name for m in guards) or 'none'}")
    tally.give(1, limited, f"guardrail with a limit: {', '.join(limited) or 'none'}")
    tally.give(
        2,
        goal.now is not None and goal.target is not None,
        f"from {goal.now or 'an unstated value'} to {goal.target or 'an unstated target'}",
    )
    tally.give(1, has_unit(goal.metric), f"unit in the name: {goal.metric or 'no metric'}")
    return _made(
        "R2", "metrics from the model to the goal, with a guardrail", tally, checkable=10, most=10
    )


def _chain(brief: Brief) -> tuple[list[str], list[str]]:
    """Give the longest chain of metrics to the goal, and the metrics that never reach it."""
    by_name = {metric.name: metric for metric in brief.metrics}
    chains, loose = [], []
    for metric in brief.metrics:
        if metric.kind == "guardrail":
            continue
        chain = _follow(metric, by_name, brief.goal.metric)
        if chain is None:
            loose.append(metric.name)
        else:
            chains.append(chain)
    return max(chains, key=len, default=[]), loose


def _follow(metric: Metric, by_name: dict[str, Metric], goal: str | None) -> list[str] | None:
    """Walk along `leads_to`; None when it does not end at the goal's metric."""
    chain = [metric.name]
    while chain[-1] != goal:
        here = by_name.get(chain[-1])
        following = None if here is None else here.leads_to
        if following is None or following in chain:
            return None
        chain.append(following)
    return chain


def _r3_constraints(brief: Brief, findings: tuple[Finding, ...], today: date) -> Criterion:
    tally, kinds = _Tally(), {o.kind for o in brief.envelope}
    tails = [o.id for o in brief.envelope if o.kind == "latency" and o.measure != "mean"]
    _graded(tally, "latency", tails, has_any="latency" in kinds, said="a percentile")
    each = [o.id for o in brief.envelope if o.kind == "cost" and o.measure in {"mean", "each"}]
    _graded(tally, "cost", each, has_any="cost" in kinds, said="dollars per decision")
    costly = [o.id for o in brief.envelope if o.kind == "quality" and (o.of or o.on)]
    _graded(tally, "quality", costly, has_any="quality" in kinds, said="the costly class or slice")
    fresh = [o.id for o in brief.envelope if o.kind in {"freshness", "adaptation"}]
    tally.give(2, fresh, f"freshness or adaptation: {', '.join(fresh) or 'not stated'}")
    load = [o.id for o in brief.envelope if o.kind == "throughput"]
    stated = brief.traffic.rate is not None and brief.traffic.peak is not None
    _graded(tally, "throughput", load, has_any=stated, said="a promised rate")
    in_time = not any(finding.id == "A1" for finding in findings)
    tally.give(5, in_time, "limits stand before tiers, models and data sources")
    broken = [finding for finding in findings if finding.id == "R3"]
    tally.evidence.append(
        f"feasible together by closed form: {'no, see ' + broken[0].where if broken else 'yes'}"
    )
    tally.evidence += _label_dates(brief, today)
    return _made("R3", "constraints in numbers, first", tally, checkable=15, most=15)


def _graded(tally: _Tally, kind: str, full: list[str], *, has_any: bool, said: str) -> None:
    """Give 2 for a limit as it should be, 1 for one of that kind, 0 for none."""
    if full or not has_any:
        tally.give(2, full, f"{kind}: {', '.join(full) or 'not stated'}")
    else:
        tally.give(1, has_any, f"{kind}: stated, but not as {said}")


def _label_dates(brief: Brief, today: date) -> Iterator[str]:
    """Say of each quality promise from which day on it could be shown."""
    for need in evidence_needs(brief):
        first, likely = need.day(need.fewest, today), need.day(need.likely, today)
        if first is None:
            yield f"{need.objective}: {need.fewest:,} labelled cases; the brief states no rate"
        else:
            yield (
                f"{need.objective}: {need.fewest:,} labelled cases without a miss, not before "
                f"{first}; {need.likely:,} and {likely} if a fifth of the limit misses"
            )


def _r4_layers(brief: Brief) -> Criterion:
    tally, layers = _Tally(), brief.layers
    earned = {}
    for name, (present, cited) in _layers(layers).items():
        before = tally.points
        tally.give(1, present, f"{name}: {'stated' if present else 'missing'}")
        tally.give(
            1,
            present and cited,
            f"{name}: {'tied to ' + ', '.join(cited) if cited else 'tied to no objective'}",
        )
        earned[name] = tally.points - before
    weakest = min(earned, key=lambda name: earned[name])
    tally.evidence.append(f"weakest layer: {weakest}, {earned[weakest]} of 2")
    return _made("R4", "five layers, each there for an objective", tally, checkable=10, most=15)


def _layers(layers: Layers) -> dict[str, tuple[bool, tuple[str, ...]]]:
    """Give, per layer, whether it is there and which objectives it keeps.

    Tiers count as tied when every one of them is.
    """
    single = {name: getattr(layers, name) for name in ("data", "features", "serving", "feedback")}
    found = {
        name: (part is not None, () if part is None else part.keeps)
        for name, part in single.items()
    }
    tied = tuple(dict.fromkeys(kept for tier in layers.tiers for kept in tier.keeps))
    all_tied = all(tier.keeps for tier in layers.tiers)
    tiers = {"tiers": (bool(layers.tiers), tied if all_tied else ())}
    return {
        name: (found | tiers)[name] for name in ("data", "features", "tiers", "serving", "feedback")
    }


def _r7_failures(brief: Brief) -> Criterion:
    tally, failures = _Tally(), brief.failures
    points = [f for f in failures if f.trigger]
    tally.give(1, points, f"failure point: {_first(f'{f.component}: {f.trigger}' for f in points)}")
    answers = [f for f in failures if f.fallback]
    tally.give(1, answers, f"fallback: {_first(f'{f.component} to {f.fallback}' for f in answers)}")
    seen = [f for f in failures if f.detected_in is not None]
    tally.give(1, seen, f"seen within: {_first(f'{f.component} {f.detected_in}' for f in seen)}")
    return _made("R7", "what fails, who answers, how soon it is seen", tally, checkable=3, most=5)


def _first(said: Iterator[str]) -> str:
    return "; ".join(said) or "not stated"


def _r8_tradeoff(brief: Brief) -> Criterion:
    tally, tradeoff = _Tally(), brief.tradeoff
    both = tradeoff is not None and tradeoff.gave_up and tradeoff.got
    said = f"{tradeoff.gave_up}, for {tradeoff.got}" if tradeoff is not None else "not stated"
    tally.give(1, both, f"both sides: {said}")
    number = None if tradeoff is None else tradeoff.number
    tally.give(1, re.search(r"\d", number or ""), f"in a number: {number or 'not stated'}")
    objective = None if tradeoff is None else tradeoff.objective
    known: set[str | None] = {o.id for o in brief.envelope}
    tally.give(1, objective in known, f"about an objective: {objective or 'not stated'}")
    return _made("R8", "one deep tradeoff, in numbers", tally, checkable=3, most=5)
