"""Why no plan keeps a brief: it cannot exist, it cannot be shown yet, or promises conflict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import msgspec
import numpy as np

from feasible.planning.attempt import Rows
from feasible.planning.certify import Judged
from feasible.planning.chain import (
    NEVER,
    Chain,
    Ingredients,
    deadline_ms,
    exits_of,
    policy_of,
)
from feasible.planning.constraint import Constraint, Exits
from feasible.planning.evidence import earliest_date, labels_needed
from feasible.planning.judgement import NONE_OF, interval_of
from feasible.planning.search import search, thinned
from feasible.planning.sheet import Sheet
from feasible.schema import (
    DEFAULT_GROUP,
    AnsweredBy,
    Brief,
    CertificateLine,
    Infeasible,
    Objective,
)
from feasible.units import format_usd

__all__ = ["SHOWABLE", "best_slack", "explain", "structural"]

_SURE: Final = 0.99
"""Confidence with which a best case must break a limit before it is called impossible."""
_MANY_ROWS: Final = 4_000
"""SEARCH rows of which some are enough to see whether promises conflict."""
SHOWABLE: Final = 1.64
"""Standardised slack at which a certificate at 95 % is about as likely as not."""


def structural(rows: Sheet) -> Infeasible | None:
    """Find promises that no arrangement of these tiers can keep, whatever the thresholds.

    Each objective is given its best case alone: every row leaves by the exit that suits it best.
    The best case must break the limit beyond what the luck of these rows explains.

    Args:
        rows: SEARCH rows.
    """
    kit = rows.kit
    if not kit.machines and kit.person is None:
        return Infeasible(
            kind="structural", binding=(), because=("no tier is left that a plan may use",)
        )
    chains = [Chain((name,)) for name in kit.machines]
    chains += [Chain(())] if kit.person is not None else []  # a person is asked at once
    binding, because = _impossible(rows, chains)
    if binding and deadline_ms(kit.brief) is not None:
        # Where every call is cut off no answer is late; what is amiss is still the time.
        slow, why = _impossible(rows, chains, uncut=True)
        binding, because = (slow, why) if slow else (binding, because)
    if not binding:
        return None
    return Infeasible(kind="structural", binding=tuple(binding), because=tuple(because))


def _impossible(
    rows: Sheet, chains: Sequence[Chain], *, uncut: bool = False
) -> tuple[list[str], list[str]]:
    """Name the promises that break even in their best case, and say how.

    Args:
        rows: SEARCH rows.
        chains: Each tier alone.
        uncut: Only promises about latency, as though there were no deadline.
    """
    singles = [_uncut(rows, chain) if uncut else rows.exits(chain) for chain in chains]
    judged = [
        rows.yardstick.constraints(single) if uncut else rows.constraints(chain)
        for chain, single in zip(chains, singles, strict=True)
    ]
    binding, because = [], []
    for index, constraint in enumerate(judged[0]):
        if uncut and constraint.objective.kind != "latency":
            continue
        best = _oracle([of_chain[index] for of_chain in judged], singles)
        there = np.zeros(len(rows), dtype=np.int64)
        value, span = best.value(there), interval_of(best, there, _SURE)
        if value is not None and span is not None and span[0] > best.limit + 1e-12:
            binding.append(constraint.id)
            because.append(_sentence(constraint.objective, value * best.scale, best.unit))
    return binding, because


def _uncut(rows: Sheet, chain: Chain) -> Exits:
    """Give the exits of a chain as though there were no deadline."""
    blank = policy_of(chain, rows.kit, {name: {DEFAULT_GROUP: NEVER} for name in chain.machines})
    return exits_of(chain, rows.kit, rows.profile, policy=replace(blank, deadline_ms=None))


def _oracle(made: Sequence[Constraint], singles: Sequence[Exits]) -> Constraint:
    """Let every row leave by whichever exit suits one promise best: a promise with one exit.

    A row that could leave where it does not count is no evidence against the promise.
    """
    first = made[0]
    rows, top = len(first.weight), max(constraint.scale for constraint in made)
    loss, counts = np.full(rows, np.inf), np.zeros(rows, dtype=np.bool_)
    escapes = np.zeros(rows, dtype=np.bool_)
    for constraint, exits in zip(made, singles, strict=True):
        judges = constraint.counts & exits.is_open
        scaled = np.where(judges, constraint.loss * constraint.scale / top, np.inf)
        loss = np.minimum(loss, scaled.min(axis=1))
        counts |= judges.any(axis=1)
        if first.objective.by is not AnsweredBy.ALL or first.objective.measure == "precision":
            escapes |= (exits.is_open & ~constraint.counts).any(axis=1)
    counts &= ~escapes
    limit = first.limit * first.scale / top
    # Measured on what the best cases cost, not on what the dearest exit would.
    peak = max(float(loss[counts].max(initial=0.0)), limit, 1e-300)
    return replace(
        first,
        loss=np.where(counts, loss / peak, 0.0)[:, None],
        counts=counts[:, None],
        by_person=np.zeros((rows, 1), dtype=np.bool_),
        person_rate=None,
        is_binary=bool(np.isin(loss[counts], (0.0, 1.0)).all()) and peak == 1.0,
        limit=limit / peak,
        scale=top * peak,
    )


def explain(
    kit: Ingredients,
    judged: Judged,
    rows: Rows,
    *,
    too_few: Mapping[str, int],
    today: date,
) -> Infeasible:
    """Say why the safest candidate was not certified.

    Args:
        kit: What plans are made of.
        judged: The safest candidate on the rows that certify.
        rows: The rows.
        too_few: Objective id -> most rows that could judge it, for those with too few rows.
        today: From when on labels are counted.
    """
    lines = judged.lines()
    failed = [line for line in lines if not line.holds]
    missing = labels_needed(kit.brief, lines, too_few=too_few)
    if all(line.objective in missing for line in failed):
        return Infeasible(
            kind="evidence",
            binding=tuple(line.objective for line in failed),
            because=tuple(_too_few(line, missing[line.objective], too_few) for line in failed),
            labels_needed={name: missing[name] for name in missing},
            earliest_date=earliest_date(kit.brief, missing, today=today),
        )
    binding = _conflict(kit, rows)
    because = [_together(binding), *(_missed(line) for line in failed)]
    if binding and judged.held.issuperset(binding):  # shown together: SEARCH rows were too few
        binding, because = [], because[1:]
    return Infeasible(
        kind="tradeoff",
        binding=tuple(binding or [line.objective for line in failed]),
        because=tuple(because),
        labels_needed=missing,
    )


def _too_few(line: CertificateLine, missing: int, too_few: Mapping[str, int]) -> str:
    limit = f"{_figure(line.limit, line.unit)} at {line.confidence_level:.0%}"
    if line.method.startswith(NONE_OF):
        return f"{line.objective}: {line.method} judge it; at least {missing:,} can show {limit}"
    if line.objective in too_few:
        return (
            f"{line.objective}: only {too_few[line.objective]:,} rows can judge it, too few to "
            f"show {limit} even without a miss; {missing:,} more can"
            + (f", if none adds to the {line.misses:g} misses" if line.misses else "")
        )
    if line.misses:
        return (
            f"{line.objective}: {line.n:,} rows with {line.misses:g} misses cannot show {limit}; "
            f"at this rate {missing:,} more can"
        )
    return f"{line.objective}: {line.n:,} rows cannot show {limit}; about {missing:,} more can"


def _missed(line: CertificateLine) -> str:
    if line.method.startswith(NONE_OF):
        return f"{line.objective}: {line.method} judge it"
    value, limit = _figure(line.value, line.unit), _figure(line.limit, line.unit)
    bound = "" if line.bound is None else f" with bound {_figure(line.bound, line.unit)}"
    return f"{line.objective}: {value}{bound} against {limit}, by the safest plan that was found"


def _together(conflict: Sequence[str]) -> str:
    """Say which promises cannot hold together.

    Examples:
        >>> print(_together(["cost_mean", "accuracy"]))
        cost_mean and accuracy conflict: no plan found on the search rows keeps both, and each can \
be kept without the other
        >>> _together(["accuracy"])
        'accuracy: no plan found on the search rows keeps it, even alone'
    """
    if not conflict:
        return (
            "a plan keeps every promise on the search rows; on those that certify, the safest that "
            "was found does not"
        )
    if len(conflict) == 1:
        return f"{conflict[0]}: no plan found on the search rows keeps it, even alone"
    names, none = f"{', '.join(conflict[:-1])} and {conflict[-1]}", "no plan found on the search"
    if len(conflict) == 2:  # noqa: PLR2004  of two, each is the rest
        return f"{names} conflict: {none} rows keeps both, and each can be kept without the other"
    return f"{names} conflict: {none} rows keeps all, and without any one the rest can be kept"


def _figure(value: float | None, unit: str) -> str:
    """Show a number in its objective's unit; unknown stays unknown.

    Examples:
        >>> [_figure(0.9258, "ratio"), _figure(0.002567, "usd"), _figure(1500, "ms")]
        ['92.58 %', '$0.00257', '1,500 ms']
    """
    if value is None:
        return "unknown"
    if unit == "usd":
        return format_usd(value)
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"  # noqa: PLR2004  as read
    return f"{value * 100:.4g} %" if unit == "ratio" else f"{digits} {unit}".strip()


def _without(brief: Brief, names: Sequence[str]) -> Brief:
    kept = tuple(o for o in brief.envelope if o.id not in names)
    return msgspec.structs.replace(brief, envelope=kept)


def best_slack(kit: Ingredients, rows: Rows) -> float:
    """Give the largest least slack of any candidate on SEARCH rows, whatever it costs.

    A cap on each decision is kept when no row breaks it: nothing is safer than that.
    """
    caps = {o.id for o in kit.brief.envelope if o.kind == "cost" and o.measure == "each"}
    sheet = rows.search
    if len(sheet) > _MANY_ROWS:
        some, stands_for = thinned(sheet, _MANY_ROWS)
        sheet = sheet.some(some, stands_for=stands_for)
    found = search(kit, sheet.under(kit), n_cert=len(rows.cert), for_slack=True)
    return max(
        (c.least_over([n for n in c.slack if n not in caps or c.slack[n] < 0]) for c in found),
        default=-np.inf,
    )


def _conflict(kit: Ingredients, rows: Rows) -> list[str]:
    """Give a smallest set of promises that cannot hold together: drop what is not needed for it.

    Returns:
        Ids of objectives; empty where SEARCH rows see no conflict.
    """
    if best_slack(kit, rows) >= SHOWABLE:
        return []
    judged = [c.id for c in rows.search.constraints(Chain(kit.machines[:1]))]
    binding = list(judged)
    for name in judged:
        rest = [other for other in binding if other != name]
        dropped = [other for other in judged if other not in rest]
        brief = _without(kit.brief, dropped)
        if not rest or not brief.envelope:
            continue
        if best_slack(replace(kit, brief=brief), rows) < SHOWABLE:
            binding = rest
    return binding


def _sentence(objective: Objective, value: float, unit: str) -> str:
    limit = objective.limit
    if objective.needs_labels:
        shown = value if objective.is_ceiling else 1 - value
        return (
            f"{objective.id}: even an oracle that picks the best tier for every row reaches "
            f"{_figure(shown, 'ratio')}, and {limit} is promised"
        )
    if objective.kind == "latency" and objective.measure == "mean":
        took = _figure(value, "ms")
        return f"{objective.id}: the fastest path takes {took} on average, and {limit} is promised"
    if objective.kind == "latency":
        return (
            f"{objective.id}: by the fastest path, {_figure(value, 'ratio')} of the decisions take "
            f"longer than {limit}"
        )
    if objective.kind == "cost":
        return f"{objective.id}: the cheapest path costs ${value:.6g}, and {limit} is promised"
    if objective.kind == "abstention":
        return (
            f"{objective.id}: {_figure(value, 'ratio')} of the decisions have no answer from any "
            f"tier, and {limit} is promised"
        )
    return f"{objective.id}: at best {_figure(value, unit)}, and {limit} is promised"
