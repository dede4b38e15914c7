"""What a brief alone decides, before any row is read and any tier is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from feasible.planning.constraint import percentile_of
from feasible.planning.evidence import beyond_rows, minimum_evidence
from feasible.planning.leftout import left_out_by_brief
from feasible.planning.timeline import evidence_lines, label_dates, timeline
from feasible.schema import (
    AnsweredBy,
    Brief,
    EvidenceLine,
    Example,
    Infeasible,
    LeftOut,
    Objective,
    PlanReport,
    TierKind,
    TierSpec,
)

__all__ = ["plan_brief", "too_few_labels"]

_P95 = 0.95


def plan_brief(brief: Brief, *, today: date) -> PlanReport:
    """Answer from a brief alone: promises that cannot hold together, else the labels they take.

    Args:
        brief: The declaration.
        today: From when on labels are counted.

    Returns:
        A report without a plan; `infeasible` says why there is none yet.
    """
    left_out = left_out_by_brief(brief)
    needs = evidence_lines(brief, today=today)
    blocked = _blocked(brief, left_out, needs)
    return PlanReport(
        feasible=False,
        plan=None,
        forecast=None,
        certificate=(),
        frontier=(),
        left_out=left_out,
        infeasible=blocked or _unshown(brief, needs, today),
        minimum_evidence=minimum_evidence(brief),
        notes=(
            "nothing was trained and no row was read: every figure is from the brief",
            "rows make a plan: write data.py, or give logged outcomes with --profile",
        ),
        evidence=needs,
        timeline=timeline(brief, today=today, evidence=needs),
    )


def too_few_labels(brief: Brief, rows: Sequence[Example], *, today: date) -> tuple[str, ...]:
    """Say which promises the labelled rows are too few to show, before anything learns from them.

    Every row is counted, also those that will fit and search: a plan can have no more.

    Args:
        brief: The declaration.
        rows: What there is.
        today: From when on labels are counted.

    Returns:
        One sentence for each such promise.
    """
    said = []
    for name, fewest in minimum_evidence(brief).items():
        objective = brief.objective(name)
        have = _labelled(objective, rows)
        if have < fewest:
            earliest, latest = label_dates(brief, {name: fewest - have}, today=today)
            days = " to ".join(dict.fromkeys(str(d) for d in (earliest, latest) if d is not None))
            said.append(
                f"{name} cannot be shown with these rows: {have:,} count, and {fewest:,} without a "
                f"miss are the fewest" + (f"; not before {days}" if days else "")
            )
    return tuple(said)


def _labelled(objective: Objective, rows: Sequence[Example]) -> int:
    """Count the labelled rows that could judge a promise."""
    found = [row for row in rows if row.label is not None]
    if objective.measure == "recall" and objective.of is not None:
        alike = {str(row.label) for row in found if objective.of in row.slices}
        positives = alike or {objective.of}
        found = [row for row in found if str(row.label) in positives]
    return sum(objective.on is None or objective.on in row.slices for row in found)


def _unshown(brief: Brief, needs: Sequence[EvidenceLine], today: date) -> Infeasible:
    missing = {need.objective: need.missing or 0 for need in needs}
    earliest, latest = label_dates(brief, missing, today=today)
    because = [_sentence(need) for need in needs]
    if not needs:
        because = ["no promise of this brief needs labels; rows are needed to show the others"]
    return Infeasible(
        kind="evidence",
        binding=tuple(need.objective for need in needs),
        because=tuple(because),
        labels_needed=missing,
        earliest_date=earliest,
        latest_date=latest,
    )


def _sentence(need: EvidenceLine) -> str:
    sign, missing = "at most" if need.is_ceiling else "at least", need.missing or 0
    return (
        f"{need.objective}: {sign} {need.limit * 100:.6g} % at {need.confidence_level:.0%} takes "
        f"{need.rows_by_misses['0']:,} {need.counts} without a miss; {missing:,} are missing"
    )


def _blocked(
    brief: Brief, left_out: Sequence[LeftOut], needs: Sequence[EvidenceLine]
) -> Infeasible | None:
    """Find promises that the brief's own numbers rule out, whatever rows will say."""
    found = [(o.id, why) for o in brief.envelope for why in _why(brief, o, left_out)]
    beyond = [(o.id, beyond_rows(brief, o)) for o in brief.envelope]
    found += [(name, why) for name, why in beyond if why is not None]
    for need in needs:
        if need.due is not None and need.earliest is not None and need.earliest > need.due:
            why = f"it is to be shown by {need.due}, and its labels are not there before "
            found.append((need.objective, f"{why}{need.earliest}"))
    tiers = brief.layers.tiers
    if tiers and {left.tier for left in left_out} == {tier.name for tier in tiers}:
        found.append((left_out[0].objective or "", "no tier is left that a plan may use"))
    if not found:
        return None
    return Infeasible(
        kind="structural",
        binding=tuple(dict.fromkeys(name for name, _ in found if name)),
        because=tuple(f"{name}: {why}" if name else why for name, why in found),
    )


def _why(brief: Brief, objective: Objective, left_out: Sequence[LeftOut]) -> list[str]:
    limit = objective.limit
    if limit is None or objective.kind not in {"cost", "latency"}:
        return []
    tiers = _answering(brief, objective, left_out)
    if objective.kind == "latency":
        return _too_slow(objective, tiers)
    if objective.measure not in {"each", "mean"}:
        return []
    prices = [(tier.usd.low, tier.name) for tier in tiers if tier.usd is not None]
    if not prices or len(prices) < len(tiers) or min(prices)[0] <= limit.high:
        return []
    usd, name = min(prices)
    return [f"the cheapest tier, {name}, costs ${usd:g} a call, and {limit} is promised"]


def _too_slow(objective: Objective, tiers: Sequence[TierSpec]) -> list[str]:
    q, limit = percentile_of(objective), objective.limit
    if q is None or q < _P95 or limit is None:  # a p95 says nothing about what is below it
        return []
    times = [(t.latency_p95.low, t.name) for t in tiers if t.latency_p95 is not None]
    if not times or len(times) < len(tiers) or min(times)[0] <= limit.high:
        return []
    seconds, name = min(times)
    took = f"{seconds * 1e3:g} ms at p95 by its declaration"
    return [f"the fastest tier, {name}, takes {took}, and {limit} is promised"]


def _answering(brief: Brief, objective: Objective, left_out: Sequence[LeftOut]) -> list[TierSpec]:
    """Give the tiers that could answer a new question; none when some way around them is open.

    A cache answers what was asked before; a hand-off to a person takes no time and costs no
    machine's money.
    """
    specs = brief.layers.tiers
    gone = {left.tier for left in left_out}
    by_person = any(tier.kind is TierKind.PERSON for tier in specs)
    is_around = objective.kind == "latency" or objective.by is AnsweredBy.MACHINES
    if any(tier.kind is TierKind.CACHE for tier in specs) or (by_person and is_around):
        return []
    return [tier for tier in specs if tier.name not in gone and not tier.asynchronous]
