"""R4, R7 and R8 by what a simulation and the closed forms find: what holds, and what answers.

A layer earns its last point by its numbers and a limit that it is there for and that holds; a
failure by a run in which its part is down; a tradeoff by moving what is near its limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from feasible.errors import PlanError
from feasible.rubric.bottleneck import objective_effects
from feasible.rubric.named import Context, aliases
from feasible.rubric.whatif import Standing
from feasible.schema import Brief, Failure, Plan, TierKind, TierSpec
from feasible.simulation import (
    NOBODY,
    Design,
    Outage,
    Outcome,
    promises_of,
    run,
    sheet,
    stated_design,
)
from feasible.units import format_duration, format_ratio, format_usd

__all__ = ["Check", "held"]

_NEAR: Final = 0.5
"""A limit that is used this much of what the tightest one is, is near it."""
_LEAST: Final = 0.15
"""Below this elasticity no knob is worth turning."""
_REQUESTS: Final = 4000
_BOTH: Final = 2
_BESIDE: Final = 0.2
_FOREVER_S: Final = 1e12
_FEATURES: Final = re.compile(r"feature|stream", re.IGNORECASE)
_PARTS: Final = {
    "data": ("labels.", "data."),
    "features": ("features.",),
    "serving": ("serving.",),
    "feedback": ("feedback.", "retrain."),
}
"""Layer -> how the names of its numbers begin."""


@dataclass(frozen=True, slots=True)
class Check:
    """One point, or some, that a brief alone could not show.

    Attributes:
        criterion: For example `R7`.
        points: What it earns where it holds. Count.
        holds: Whether it does.
        said: What was looked at, in numbers.
        at: Place in the brief.
        fix: What to write or change there.
    """

    criterion: str
    points: int
    holds: bool
    said: str
    at: str
    fix: str


def held(
    brief: Brief,
    standing: Standing,
    contexts: Sequence[Context],
    *,
    plan: Plan | None = None,
    seed: int,
) -> tuple[Check, ...]:
    """Give what a simulation and the closed forms say of layers, failures and the tradeoff.

    What they can say nothing about has no check.

    Args:
        brief: The declaration.
        standing: How near each limit is.
        contexts: What binds, and where, as R5 looks at it.
        plan: Its plan, where there is one: the tiers' numbers are held against what it measured.
        seed: Seed of the runs in which a part is down.
    """
    return (
        *_layers(brief, standing, plan),
        *_faults(brief, seed),
        *_tradeoff(brief, standing, contexts),
    )


def _layers(brief: Brief, standing: Standing, plan: Plan | None) -> Iterator[Check]:
    """Give a point to each layer that carries a number and keeps a limit that holds."""
    numbers = {item.name for item in sheet(brief)}
    for name in ("data", "features", "tiers", "serving", "feedback"):
        kept, carries = _carried(brief, name, numbers)
        if kept is None:
            continue
        known = {one: standing.used[one] for one in kept if one in standing.used}
        if carries and kept and not known:
            continue  # neither a closed form nor a run says anything about what it keeps
        worst = max(known, key=lambda one: known[one], default=None)
        if worst is None:
            said = "no number" if kept else "no objective that a number could keep"
            fix = "give it a number, such as its age, time, price or rate"
        else:
            is_run = standing.simulated.get(worst, -1.0) >= known[worst]
            how = "simulated" if is_run else "by closed form"
            how = "certified" if worst in standing.certified else how
            said = f"{worst} is at {known[worst] * 100:.0f} % of its limit ({how})"
            fix = f"change its numbers until {worst} holds"
        holds = carries and worst is not None and known[worst] <= 1
        said = said if carries else "no number"
        if name == "tiers" and (odd := _otherwise(brief, plan)):
            holds, said = False, f"{said}; {'; '.join(odd)}"
            fix = "write what the plan has measured, or plan again"
        yield Check("R4", 1, holds, f"{name}, in numbers: {said}", f"layers.{name}", fix)


def _otherwise(brief: Brief, plan: Plan | None) -> list[str]:
    """Give the numbers of tiers that a plan measured to be more than 20 % beside what is stated."""
    out = []
    specs = {tier.name: tier for tier in brief.layers.tiers}
    for tier in () if plan is None else plan.tiers:
        spec = specs.get(tier.name)
        if spec is None or tier.simulated:
            continue
        time = None if tier.latency_p95_ms is None else tier.latency_p95_ms / 1e3
        for what, measured, stated, shown in (
            ("p95", time, spec.latency_p95, format_duration),
            ("price of a call", tier.cost_usd, spec.usd, format_usd),
        ):
            if measured is None or stated is None:
                continue
            if not stated.low * (1 - _BESIDE) <= measured <= stated.high * (1 + _BESIDE):
                out.append(f"{what} of {tier.name}: {shown(measured)} measured, {stated} stated")
    return out


def _carried(brief: Brief, name: str, numbers: set[str]) -> tuple[tuple[str, ...] | None, bool]:
    """Give what a layer keeps, None where it is missing, and whether it carries a number."""
    layers = brief.layers
    if name == "tiers":
        kept = tuple(dict.fromkeys(one for tier in layers.tiers for one in tier.keeps))
        heads = tuple(f"{tier.name}." for tier in layers.tiers)
        stated = numbers - {f"{tier.name}.reach" for tier in layers.tiers}
        return (kept, any(n.startswith(heads) for n in stated)) if layers.tiers else (None, False)
    part = getattr(layers, name)
    if part is None:
        return None, False
    own = any(number.startswith(_PARTS[name]) for number in numbers)
    own = own or getattr(part, "deadline", None) is not None
    return part.keeps, own or getattr(part, "audit_share", None) is not None


def _faults(brief: Brief, seed: int) -> Iterator[Check]:
    """Take each failing part away in a run: everybody is answered, and in time."""
    try:
        design, _ = stated_design(brief)
    except PlanError:
        return
    found = [
        (index, failure, down)
        for index, failure in enumerate(brief.failures)
        if (down := _down(brief, design, failure)) is not None
    ]
    if not found:
        return
    runs = [(i, f, _without(brief, design, f, down), down) for i, f, down in found]
    outcomes = [(i, f, faulty, run(faulty, _REQUESTS, seed=seed)) for i, f, faulty, _ in runs]
    for points, judge, fix in (
        (1, _all_answered, "`fallback:` in `layers.serving`, with a tier that does not fail too"),
        (1, _in_time, "a shorter `timeout:` on what fails, or a faster fallback"),
    ):
        said = [(i, *judge(brief, f, faulty, outcome)) for i, f, faulty, outcome in outcomes]
        bad = [i for i, is_well, _ in said if not is_well]
        yield Check(
            "R7",
            points,
            not bad,
            f"{'; '.join(text for _, _, text in said)} (simulated, seed {seed})",
            f"failures[{bad[0]}]" if bad else "failures",
            fix,
        )


def _down(brief: Brief, design: Design, failure: Failure) -> tuple[int, ...] | None:
    """Give the positions that fail with a part; none for an overlay; None: it cannot be run."""
    by_name = {tier.name: tier for tier in brief.layers.tiers}
    machines = [k for k, step in enumerate(design.policy.steps) if step.kind is not TierKind.PERSON]
    names = [load.name for load in design.tiers]
    part = failure.component
    tier = by_name.get(part)
    if tier is None and _FEATURES.search(part) and brief.layers.features is not None:
        return tuple(k for k in machines if design.policy.steps[k].kind is not TierKind.RULES)
    if tier is None and "vendor" in part:
        return tuple(k for k in machines if design.policy.steps[k].kind is TierKind.LLM) or None
    if tier is None or tier.kind is TierKind.PERSON:
        return None
    if tier.asynchronous:
        return ()
    if tier.kind is TierKind.CACHE:
        return None
    return (names.index(part),)


def _without(brief: Brief, design: Design, failure: Failure, down: tuple[int, ...]) -> Design:
    """Give a design in which these positions fail, each as late as it may."""
    tiers = list(design.tiers)
    for k in down:
        after = _hangs_s(brief, brief.tier(tiers[k].name))
        fault = Outage(0.0, _FOREVER_S, "error", after_s=after)
        tiers[k] = replace(tiers[k], outages=(*tiers[k].outages, fault))
    names = [load.name for load in design.tiers]
    policy = design.policy
    if not policy.fallback and failure.fallback in names:
        policy = replace(policy, fallback={"default": failure.fallback})
        fallback = (names.index(failure.fallback),) * len(design.cases.fallback)
        return replace(
            design,
            tiers=tuple(tiers),
            policy=policy,
            cases=replace(design.cases, fallback=fallback),
        )
    return replace(design, tiers=tuple(tiers))


def _hangs_s(brief: Brief, tier: TierSpec) -> float:
    """Give how long a call that fails is waited for: its timeout, the deadline, or its p95."""
    serving = brief.layers.serving
    deadline = None if serving is None else serving.deadline
    waits = [wait.mid for wait in (tier.timeout, deadline) if wait is not None]
    if waits:
        return min(waits)
    return 0.05 if tier.latency_p95 is None else tier.latency_p95.mid


def _all_answered(
    brief: Brief, failure: Failure, faulty: Design, outcome: Outcome
) -> tuple[bool, str]:
    del brief, faulty
    lost = float((outcome.answered_by == NOBODY).mean())
    said = f"without {failure.component} {format_ratio(1 - lost)} are answered"
    return lost <= 1 / _REQUESTS, said


def _in_time(brief: Brief, failure: Failure, faulty: Design, outcome: Outcome) -> tuple[bool, str]:
    latencies = {objective.id for objective in brief.envelope if objective.kind == "latency"}
    shares = {
        promise.id: promise.used(faulty, outcome)
        for promise in promises_of(brief)
        if promise.id in latencies
    }
    known = {name: share for name, share in shares.items() if not math.isnan(share)}
    if not known:
        return False, f"without {failure.component} no latency is promised that could hold"
    worst = max(known, key=lambda name: known[name])
    said = f"without {failure.component} {worst} is at {known[worst] * 100:.0f} % of its limit"
    return known[worst] <= 1, said


def _tradeoff(brief: Brief, standing: Standing, contexts: Sequence[Context]) -> Iterator[Check]:
    """Hold the tradeoff against what is near its limit, and count its sides."""
    tradeoff = brief.tradeoff
    if tradeoff is None:
        return
    numbers = re.findall(r"\d+(?:[.,]\d+)*", f"{tradeoff.number or ''}")
    yield Check(
        "R8",
        1,
        len(numbers) >= _BOTH,
        f"both sides in numbers: {', '.join(numbers) or 'none'}",
        "tradeoff.number",
        "`number:` what was given up and what was got, each with its number",
    )
    used = {name: share for name, share in standing.used.items() if math.isfinite(share)}
    if not used:
        return
    if tradeoff.knob is None and tradeoff.objective not in used:
        return  # no closed form and no run says how near that objective is
    effect, where = _moved(brief, used, contexts)
    yield Check(
        "R8",
        1,
        effect >= _LEAST,
        f"relevance: {where}",
        "tradeoff.knob" if tradeoff.knob else "tradeoff.objective",
        "trade the number that moves what is near its limit",
    )


def _moved(brief: Brief, used: dict[str, float], contexts: Sequence[Context]) -> tuple[float, str]:
    """Give how far the tradeoff moves something near its limit, and what was looked at."""
    tradeoff = brief.tradeoff
    assert tradeoff is not None  # noqa: S101  the caller has one
    most = max(used, key=lambda name: used[name])
    if tradeoff.knob is None:
        name = tradeoff.objective or most
        effects = objective_effects(brief, name)
        share = f"{name} is at {used[name] * 100:.0f} % of its limit"
        if used[name] < _NEAR * used[most] and name not in {c.objective for c in contexts}:
            return 0.0, f"{share}, and {most} at {used[most] * 100:.0f} %"
        best = max(effects, key=lambda effect: effect.elasticity, default=None)
        if best is None:
            return 0.0, f"{share}, and no number of the brief moves it"
        return best.elasticity, f"{share}; {best.knob} moves it (elasticity {best.elasticity:.2f})"
    same = aliases(tradeoff.knob, brief)
    found = [
        (effect.elasticity, context.objective, context.said)
        for context in contexts
        for effect in context.draws[0]
        if effect.knob in same
    ]
    if tradeoff.objective in used and used[tradeoff.objective] >= _NEAR * used[most]:
        found += [
            (effect.elasticity, tradeoff.objective, "closed form")
            for effect in objective_effects(brief, tradeoff.objective)
            if effect.knob in same
        ]
    if not found:
        return 0.0, f"{tradeoff.knob} moves nothing that is near its limit"
    elasticity, objective, how = max(found)
    return elasticity, f"{tradeoff.knob} moves {objective} (elasticity {elasticity:.2f}, {how})"
