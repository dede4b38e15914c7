"""Why no plan keeps a brief: it cannot exist, it cannot be shown yet, or promises conflict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import msgspec
import numpy as np

from feasible.planning.certify import Judged, certify
from feasible.planning.chain import Chain, Ingredients, exits_of
from feasible.planning.constraints import constraints
from feasible.planning.evidence import earliest_date, labels_needed
from feasible.planning.search import search, sequence_of
from feasible.schema import Brief, Infeasible, Objective, Profile, Relaxation
from feasible.units import Quantity

__all__ = ["explain", "structural"]

_STEPS = 5
_SECOND_LOOK = "a second look at the same rows: certify on new ones before promising it"
_SHOWABLE = 1.64
"""Standardised slack at which a certificate at 95 % is about as likely as not."""


def structural(kit: Ingredients, profile: Profile) -> Infeasible | None:
    """Find promises that no arrangement of these tiers can keep, whatever the thresholds.

    Each objective is given its best case alone: every row leaves by the exit that suits it best.
    """
    binding, because = [], []
    exits = exits_of(Chain(kit.machines), kit, profile)
    singles = {name: exits_of(Chain((name,)), kit, profile) for name in kit.machines}
    for index, constraint in enumerate(constraints(kit.brief, profile, exits)):
        best = np.full(len(profile), np.inf)
        counted = np.zeros(len(profile), dtype=np.bool_)
        for single in singles.values():
            one = constraints(kit.brief, profile, single)[index]
            for k in range(one.loss.shape[1]):
                best = np.where(one.counts[:, k], np.minimum(best, one.loss[:, k]), best)
                counted |= one.counts[:, k]
                if constraint.objective.by.value != "all":
                    best = np.where(one.counts[:, k], best, np.minimum(best, one.raw_limit))
        if not counted.any():
            continue
        weight = constraint.weight[counted]
        value = float(np.average(best[counted], weights=weight))
        if value > constraint.raw_limit + 1e-12:
            binding.append(constraint.id)
            because.append(_sentence(constraint.objective, value * _scale(constraint)))
    if not binding:
        return None
    return Infeasible(kind="structural", binding=tuple(binding), because=tuple(because))


def explain(
    kit: Ingredients,
    judged: Judged,
    profile: Profile,
    cert: Profile,
    *,
    today: date,
) -> tuple[Infeasible, Judged | None]:
    """Say why the safest candidate was not certified, and what can be promised meanwhile.

    Returns:
        The reason, and the plan for the promises that can be shown now, if there is one.
    """
    failed = [line for line in judged.lines if not line.holds]
    missing = labels_needed(kit.brief, judged.lines)
    if all(line.objective in missing for line in failed):
        when = earliest_date(kit.brief, missing, today=today)
        reason = Infeasible(
            kind="evidence",
            binding=tuple(line.objective for line in failed),
            because=tuple(
                f"{line.objective}: {line.n:,} rows with {line.misses:g} misses cannot show "
                f"{line.limit:g} at {line.confidence_level:.0%}; at this rate "
                f"{missing[line.objective]:,} more can"
                for line in failed
            ),
            labels_needed=missing,
            earliest_date=when,
        )
        return reason, _partial(kit, [line.objective for line in failed], profile, cert)
    binding = _conflict(kit, profile, len(cert), [line.objective for line in failed])
    reason = Infeasible(
        kind="tradeoff",
        binding=tuple(binding),
        because=tuple(
            f"{line.objective}: {line.value if line.value is not None else float('nan'):.4g} with "
            f"bound {line.bound if line.bound is not None else float('nan'):.4g} against "
            f"{line.limit:g}, by the safest plan that was found"
            for line in failed
        ),
        relaxations=tuple(
            r for name in binding if (r := _relax(kit, name, profile, len(cert))) is not None
        ),
    )
    return reason, _partial(kit, binding, profile, cert)


def _without(brief: Brief, names: Sequence[str]) -> Brief:
    kept = tuple(o for o in brief.envelope if o.id not in names)
    return msgspec.structs.replace(brief, envelope=kept)


def _partial(
    kit: Ingredients, names: Sequence[str], profile: Profile, cert: Profile
) -> Judged | None:
    """Find a plan for the promises that are left, and say on each line that it is no certificate.

    Which promises are left was decided by the rows that judge, and they judge again: a bound that
    holds here holds for these rows, and needs new ones to be certified.
    """
    rest = replace(kit, brief=_without(kit.brief, names))
    if not rest.brief.envelope:
        return None
    sequence = sequence_of(search(rest, profile, n_cert=len(cert)))
    passed = [one for one in certify(rest, sequence, cert) if one.passed]
    if not passed:
        return None
    lines = tuple(msgspec.structs.replace(line, note=_SECOND_LOOK) for line in passed[-1].lines)
    return replace(passed[-1], lines=lines)


def _best_slack(kit: Ingredients, profile: Profile, n_cert: int) -> float:
    found = search(kit, profile, n_cert=n_cert, safest_only=True)
    return max((c.least_slack for c in found), default=-np.inf)


def _conflict(kit: Ingredients, profile: Profile, n_cert: int, failed: Sequence[str]) -> list[str]:
    """Give a smallest set of promises that cannot hold together: drop what is not needed for it."""
    judged = [c.id for c in constraints(kit.brief, profile, exits_of(Chain(()), kit, profile))]
    binding = list(judged)
    for name in judged:
        rest = [other for other in binding if other != name]
        dropped = [other for other in judged if other not in rest]
        brief = _without(kit.brief, dropped)
        if not rest or not brief.envelope:
            continue
        if _best_slack(replace(kit, brief=brief), profile, n_cert) < _SHOWABLE:
            binding = rest
    return binding if len(binding) < len(judged) else list(failed)


def _relax(kit: Ingredients, name: str, profile: Profile, n_cert: int) -> Relaxation | None:
    """Find the smallest change of one limit that makes the rest hold on SEARCH rows."""
    objective = kit.brief.objective(name)
    if objective.limit is None:
        return None
    start = objective.limit.mid
    end = (
        0.0
        if not objective.is_ceiling
        else (1.0 if start <= 1 and objective.kind in {"people", "quality"} else start * 100)
    )
    if not _holds_with(kit, objective, end, profile, n_cert):
        return None
    low, high = start, end
    for _ in range(_STEPS):
        middle = (low + high) / 2 if end <= 1 else (low * high) ** 0.5
        if _holds_with(kit, objective, middle, profile, n_cert):
            high = middle
        else:
            low = middle
    unit = {"latency": "ms", "cost": "usd"}.get(objective.kind, "ratio")
    factor = 1e3 if objective.kind == "latency" else 1.0
    return Relaxation(
        objective=name, from_=start * factor, to=high * factor, unit=unit, verified=True
    )


def _holds_with(
    kit: Ingredients, objective: Objective, limit: float, profile: Profile, n_cert: int
) -> bool:
    text = {"latency": f"{limit * 1e3:.9g} ms", "cost": f"${limit:.9g}"}.get(
        objective.kind, f"{limit * 100:.9g} %"
    )
    key = "at_most" if objective.is_ceiling else "at_least"
    changed = msgspec.structs.replace(objective, **{key: Quantity(text)})
    envelope = tuple(changed if o.id == objective.id else o for o in kit.brief.envelope)
    brief = msgspec.structs.replace(kit.brief, envelope=envelope)
    return _best_slack(replace(kit, brief=brief), profile, n_cert) >= _SHOWABLE


def _scale(constraint: object) -> float:
    return float(getattr(constraint, "scale", 1.0))


def _sentence(objective: Objective, value: float) -> str:
    limit = objective.limit
    if objective.kind == "quality":
        shown = value if objective.is_ceiling else 1 - value
        return (
            f"{objective.id}: even an oracle that picks the best tier for every row reaches "
            f"{shown:.4g}, and {limit} is promised"
        )
    if objective.kind == "latency":
        return (
            f"{objective.id}: by the fastest path, {value:.2%} of the decisions take longer than "
            f"{limit}"
        )
    if objective.kind == "cost":
        return f"{objective.id}: the cheapest path costs ${value:.6g}, and {limit} is promised"
    return f"{objective.id}: at best {value:.4g}, and {limit} is promised"
