"""The eight criteria, each with the points that a brief alone can show and what speaks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from feasible.errors import nearest
from feasible.rubric.evidence import evidence_needs
from feasible.rubric.held import Check
from feasible.rubric.lexicon import has_unit, says_something
from feasible.rubric.lints_design import has_fallback
from feasible.rubric.places import place_of
from feasible.rubric.records import Criterion, Finding, Risk
from feasible.schema import Brief, BriefFile, Failure, Layers, Metric

__all__ = ["gaps", "judge_criteria", "lost_points"]

_NEED_PLAN: Final = "not checked: needs the plan and the simulation"
_TRADEOFF: Final = "`tradeoff: {gave_up: ..., got: ..., number: ..., objective: latency_p99}`"


def judge_criteria(
    found: BriefFile,
    findings: tuple[Finding, ...],
    *,
    today: date,
    is_late: bool = False,
    checks: Sequence[Check] = (),
) -> tuple[Criterion, ...]:
    """Judge R1 to R8 as far as a brief goes; what needs a plan or a simulation stays unchecked.

    Args:
        found: The brief with its places.
        findings: What the lints and the screen found, which decide about order and feasibility.
        today: Day from which label dates are counted.
        is_late: Whether the limits were spoken, and not by minute 7.
        checks: What a simulation says of R4, R7 and R8.
    """
    r1, r2, r3, r4, r7, r8 = (
        _made(judged) for judged in _judged(found, findings, today, is_late=is_late, checks=checks)
    )
    r5 = _unchecked("R5", "the right bottleneck", 25)
    r6 = _unchecked("R6", "the cost of solving it, justified", 20)
    return (r1, r2, r3, r4, r5, r6, r7, r8)


def gaps(
    found: BriefFile,
    findings: tuple[Finding, ...],
    *,
    today: date,
    checks: Sequence[Check] = (),
) -> Iterator[Finding]:
    """Give a finding for each place whose criterion lost points that no lint speaks of.

    A single point is a LOW risk, more are a MEDIUM one.

    Args:
        found: The brief with its places.
        findings: What the lints and the screen found.
        today: Day from which label dates are counted.
        checks: What a simulation says of R4, R7 and R8.
    """
    said = {finding.id for finding in findings}
    for judged in _judged(found, findings, today, checks=checks):
        places: dict[str, list[_Gap]] = {}
        for gap in judged.tally.gaps:
            if not gap.lints & said:
                places.setdefault(place_of(found, gap.at), []).append(gap)
        for where, missing in places.items():
            yield Finding(
                id=judged.id,
                risk=Risk.MEDIUM if sum(gap.points for gap in missing) > 1 else Risk.LOW,
                where=where,
                why=f"{judged.title}: {'; '.join(gap.said for gap in missing)}",
                fix="; ".join(dict.fromkeys(gap.fix for gap in missing)),
            )


def lost_points(
    found: BriefFile,
    findings: tuple[Finding, ...],
    *,
    today: date,
    checks: Sequence[Check] = (),
) -> dict[str, dict[str, int]]:
    """Give, per id of a finding, the points that are lost by it: criterion -> count.

    Args:
        found: The brief with its places.
        findings: What the lints and the screen found.
        today: Day from which label dates are counted.
        checks: What a simulation says of R4, R7 and R8.
    """
    said = {finding.id for finding in findings}
    out: dict[str, dict[str, int]] = {}
    for judged in _judged(found, findings, today, checks=checks):
        for gap in judged.tally.gaps:
            for name in sorted(gap.lints & said) or [judged.id]:
                lost = out.setdefault(name, {})
                lost[judged.id] = lost.get(judged.id, 0) + gap.points
    return out


def _judged(
    found: BriefFile,
    findings: tuple[Finding, ...],
    today: date,
    *,
    is_late: bool = False,
    checks: Sequence[Check] = (),
) -> tuple[_Judged, _Judged, _Judged, _Judged, _Judged, _Judged]:
    brief = found.brief
    r3 = _r3_constraints(brief, findings, today, is_late=is_late)
    judged = (
        _Judged("R1", "the business goal and what it is worth", _r1_goal(brief), 5, 5),
        _Judged("R2", "metrics from the model to the goal", _r2_metrics(brief), 10, 10),
        _Judged("R3", "constraints in numbers, first", r3, 15, 15),
        _Judged("R4", "five layers, each there for an objective", _r4_layers(brief), 10, 15),
        _Judged("R7", "what fails, who answers, how soon it is seen", _r7_failures(brief), 3, 5),
        _Judged("R8", "one deep tradeoff, in numbers", _r8_tradeoff(brief), 3, 5),
    )
    for check in checks:
        one = next(each for each in judged if each.id == check.criterion)
        one.checkable += check.points
        one.tally.give(check.points, check.holds, check.said, at=check.at, fix=check.fix)
    return judged


@dataclass(frozen=True, slots=True)
class _Gap:
    """A point that was not given: where to mend it, and how."""

    at: str
    said: str
    fix: str
    points: int
    lints: frozenset[str]
    """Lints that find the same."""


@dataclass(slots=True)
class _Tally:
    """Points and what speaks for them, while a criterion is judged."""

    points: int = 0
    evidence: list[str] = field(default_factory=list)
    gaps: list[_Gap] = field(default_factory=list)

    def give(
        self, points: int, held: object, said: str, *, at: str, fix: str, lints: str = ""
    ) -> None:
        """Give the points when the claim holds; say either way what was looked at.

        Args:
            points: Points for it.
            held: The claim.
            said: What was looked at.
            at: Place in the brief to mend it.
            fix: What to write there.
            lints: Ids of the lints that find the same, so that it is said once.
        """
        if held:
            self.points += points
        else:
            self.gaps.append(_Gap(at, said, fix, points, frozenset(lints.split())))
        self.evidence.append(f"{'+' + str(points) if held else '+0'} {said}")


@dataclass(slots=True)
class _Judged:
    """One criterion with what it earned."""

    id: str
    title: str
    tally: _Tally
    checkable: int
    most: int


def _made(judged: _Judged) -> Criterion:
    evidence, left = judged.tally.evidence, judged.most - judged.checkable
    if left:
        evidence = [*evidence, f"{left} of {judged.most} points {_NEED_PLAN}"]
    return Criterion(
        id=judged.id,
        title=judged.title,
        points=judged.tally.points,
        max=judged.most,
        checkable=judged.checkable,
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


def _r1_goal(brief: Brief) -> _Tally:
    goal, tally = brief.goal, _Tally()
    for name, said, fix in (
        ("decision", "decision", "`decision:` what is decided"),
        ("actor", "actor", "`actor:` who acts on it"),
        ("metric", "business metric", "`metric: resolution_minutes`"),
    ):
        text = getattr(goal, name)
        is_said = says_something(text)
        shown = f"{said}: {text if is_said else 'not stated'}"
        tally.give(1, is_said, shown, at=f"goal.{name}", fix=fix)
    for name, said in (
        ("value_usd", "a right answer is worth"),
        ("error_usd", "a wrong answer costs"),
    ):
        amount = getattr(goal, name)
        fix = f"`{name}: 0.20..0.60`; a range will do"
        lints = "A14" if name == "value_usd" else ""
        shown = f"{said} {_usd(amount)}"
        tally.give(1, amount is not None, shown, at=f"goal.{name}", fix=fix, lints=lints)
    return tally


def _usd(amount: object) -> str:
    return "an unstated sum" if amount is None else f"${str(amount).lstrip('$')}"


def _r2_metrics(brief: Brief) -> _Tally:
    goal, tally = brief.goal, _Tally()
    chain, loose = _chain(brief)
    said = " > ".join(chain) if chain else "no metric leads to the goal"
    if loose:
        names = ", ".join(brief.metrics[index].name for index in loose)
        said = f"{names} leads nowhere near {goal.metric or 'a business metric'}"
    tally.give(
        4,
        chain and not loose,
        f"chain: {said}",
        at=f"metrics[{loose[0]}]" if loose else "metrics",
        fix="`leads_to:` the next metric, and so on until `goal.metric`",
        lints="A15",
    )
    _guardrails(brief, tally)
    tally.give(
        2,
        goal.now is not None and goal.target is not None,
        f"from {goal.now or 'an unstated value'} to {goal.target or 'an unstated target'}",
        at="goal",
        fix="`now:` and `target:` of the metric",
    )
    tally.give(
        1,
        has_unit(goal.metric),
        f"unit in the name: {goal.metric or 'no metric'}",
        at="goal.metric",
        fix="a name that carries its unit, such as `resolution_minutes` or `complaint_share`",
        lints="A15",
    )
    return tally


def _guardrails(brief: Brief, tally: _Tally) -> None:
    guards = [(i, m) for i, m in enumerate(brief.metrics) if m.kind == "guardrail"]
    names = ", ".join(m.name for _, m in guards)
    limited = [m.name for _, m in guards if m.at_most is not None or m.at_least is not None]
    fix = "`- {name: complaint_rate, kind: guardrail, at_most: 2 %}` in `metrics:`"
    if not guards:
        tally.give(3, held=False, said="guardrail: none", at="metrics", fix=fix)
        return
    tally.give(2, held=True, said=f"guardrail: {names}", at="metrics", fix=fix)
    said = f"guardrail with a limit: {', '.join(limited) or 'none'}"
    at, fix = f"metrics[{guards[0][0]}]", "`at_most:` or `at_least:` there"
    tally.give(1, limited, said, at=at, fix=fix)


def _chain(brief: Brief) -> tuple[list[str], list[int]]:
    """Give the longest chain of metrics to the goal, and the metrics that never reach it."""
    by_name = {metric.name: metric for metric in brief.metrics}
    chains, loose = [], []
    for index, metric in enumerate(brief.metrics):
        if metric.kind == "guardrail":
            continue
        chain = _follow(metric, by_name, brief.goal.metric)
        if chain is None:
            loose.append(index)
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


def _r3_constraints(
    brief: Brief, findings: tuple[Finding, ...], today: date, *, is_late: bool
) -> _Tally:
    tally, kinds = _Tally(), {o.kind for o in brief.envelope}
    tails = [o.id for o in brief.envelope if o.kind == "latency" and o.measure != "mean"]
    each = [o.id for o in brief.envelope if o.kind == "cost" and o.measure in {"mean", "each"}]
    costly = [o.id for o in brief.envelope if o.needs_labels and (o.of or o.on)]
    fresh = [o.id for o in brief.envelope if o.kind in {"freshness", "adaptation"}]
    load = [o.id for o in brief.envelope if o.kind == "throughput"]
    has_load = brief.traffic.rate is not None and brief.traffic.peak is not None
    _graded(tally, "latency", tails, has_any="latency" in kinds)
    _graded(tally, "cost", each, has_any="cost" in kinds)
    _graded(tally, "quality", costly, has_any=bool(kinds & {"quality", "joint"}))
    _graded(tally, "freshness or adaptation", fresh, has_any=False)
    _graded(tally, "throughput", load, has_any=has_load)
    tally.give(
        5,
        not is_late and not any(finding.id == "A1" for finding in findings),
        "limits stand before tiers, models and data sources"
        + (", but not by minute 7" if is_late else ""),
        at="envelope",
        fix="move `envelope:` up",
        lints="A1",
    )
    broken = [finding for finding in findings if finding.id == "R3"]
    tally.evidence.append(
        f"feasible together by closed form: {'no, see ' + broken[0].where if broken else 'yes'}"
    )
    tally.evidence += _label_dates(brief, today)
    return tally


_LIMITS: Final = {  # what a limit should be, how to write it, and which lint asks for it
    "latency": ("a percentile", "`- {latency: p99, at_most: 200 ms}`", "A6"),
    "cost": ("dollars per decision", "`- {cost: mean, at_most: $0.005}`", "A2"),
    "quality": (
        "the costly class or slice",
        "`- {quality: recall, of: fraud, at_least: 0.95, confidence_level: 0.95}`",
        "A7",
    ),
    "freshness or adaptation": ("", "`- {freshness: new_answer, at_most: 1 h}`", ""),
    "throughput": ("a promised rate", "`- {throughput: peak, at_least: 500 / s}`", ""),
}


def _graded(tally: _Tally, kind: str, full: list[str], *, has_any: bool) -> None:
    """Give 2 for a limit as it should be, 1 for one of that kind, 0 for none."""
    wanted, fix, lints = _LIMITS[kind]
    fix = f"{fix} in `envelope:`"
    if full or not has_any:
        said = f"{kind}: {', '.join(full) or 'not stated'}"
        tally.give(2, full, said, at="envelope", fix=fix, lints=lints)
        return
    said = f"{kind}: stated, but not as {wanted}"
    tally.give(1, has_any, said, at="envelope", fix=fix)
    tally.gaps.append(_Gap("envelope", said, fix, 1, frozenset(lints.split())))


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


def _r4_layers(brief: Brief) -> _Tally:
    tally, layers = _Tally(), brief.layers
    earned = {}
    for name, (present, cited) in _layers(layers).items():
        before = tally.points
        if present:
            tally.give(1, held=True, said=f"{name}: stated", at="layers", fix="")
            tied = f"tied to {', '.join(cited) or 'no objective'}"
            at, fix = _untied(layers, name), "`keeps:` with the objectives it is there for"
            tally.give(1, cited, f"{name}: {tied}", at=at, fix=fix)
        else:
            fix = f"`{name}:` in `layers:`"
            tally.give(2, held=False, said=f"{name}: missing", at="layers", fix=fix)
        earned[name] = tally.points - before
    weakest = min(earned, key=lambda name: earned[name])
    tally.evidence.append(f"weakest layer: {weakest}, {earned[weakest]} of 2")
    return tally


def _untied(layers: Layers, name: str) -> str:
    """Give the place of a layer, or of the first tier that keeps nothing."""
    if name != "tiers":
        return f"layers.{name}"
    loose = [index for index, tier in enumerate(layers.tiers) if not tier.keeps]
    return f"layers.tiers[{loose[0]}]" if loose else "layers.tiers"


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


def _r7_failures(brief: Brief) -> _Tally:
    """Give a point each for what fails, what answers and how soon it is seen.

    One failure that states it earns the point; each that does not is a gap.
    """
    tally, failures = _Tally(), brief.failures
    points = [f for f in failures if says_something(f.trigger)]
    said = f"failure point: {_first(f'{f.component}: {f.trigger}' for f in points)}"
    _each(tally, failures, points, said, "`trigger:` what makes it fail")
    answers = [f for f in failures if has_fallback(f)]
    said = f"fallback: {_first(f'{f.component} to {f.fallback}' for f in answers)}"
    _each(tally, failures, answers, said, "`fallback:` what else answers meanwhile")
    seen = [f for f in failures if f.detected_in is not None]
    said = f"seen within: {_first(f'{f.component} {f.detected_in}' for f in seen)}"
    _each(tally, failures, seen, said, "`detected_in: 10 s`")
    return tally


def _each(
    tally: _Tally, failures: tuple[Failure, ...], stated: list[Failure], said: str, fix: str
) -> None:
    tally.give(1, stated, said, at="failures", fix=fix, lints="A3")
    tally.gaps += [
        _Gap(
            f"failures[{index}]", f"{failure.component} states no {fix}", fix, 1, frozenset({"A3"})
        )
        for index, failure in enumerate(failures)
        if stated and failure not in stated
    ]


def _first(said: Iterator[str]) -> str:
    return "; ".join(said) or "not stated"


def _r8_tradeoff(brief: Brief) -> _Tally:
    tally, tradeoff = _Tally(), brief.tradeoff
    if tradeoff is None:
        tally.give(3, held=False, said="not stated", at="tradeoff", fix=_TRADEOFF)
        return tally
    tally.give(
        1,
        says_something(tradeoff.gave_up) and says_something(tradeoff.got),
        f"both sides: {tradeoff.gave_up}, for {tradeoff.got}",
        at="tradeoff",
        fix="`gave_up:` and `got:` in words",
    )
    tally.give(
        1,
        re.search(r"\d", tradeoff.number or ""),
        f"in a number: {tradeoff.number or 'not stated'}",
        at="tradeoff.number",
        fix="`number:` both sides in one unit, such as `200 ms against 4 s`",
    )
    known: list[str] = [o.id for o in brief.envelope]
    objective = tradeoff.objective
    tally.give(
        1,
        objective in known,
        f"about an objective: {objective or 'not stated'}",
        at="tradeoff.objective",
        fix=f"`objective: {nearest(objective or '', known) or next(iter(known), 'latency_p99')}`",
    )
    return tally
