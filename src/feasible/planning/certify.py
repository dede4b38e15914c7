"""The certificate: rows that nothing was chosen on judge the candidates in a fixed order.

A candidate passes when every objective passes at its own level; the walk goes from the safest
candidate towards cheaper ones and stops at the first that fails. Testing in an order fixed
beforehand needs no correction for the number of candidates (Angelopoulos et al., Learn then Test,
arXiv 2110.01052), and a promise that is a conjunction needs none for the number of objectives
(intersection-union).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feasible.planning.chain import Ingredients, exits_of, walk
from feasible.planning.constraints import Constraint, Exits, constraints, percentile_of
from feasible.planning.search import Candidate
from feasible.schema import AnsweredBy, CertificateLine, IntArray, Profile
from feasible.stats import (
    betting_p_value,
    betting_upper_bound,
    binomial_p_value,
    quantile_upper_bound,
    upper_bound,
)

__all__ = ["Judged", "certify", "judge"]

_ASSUMPTION = "the traffic to come is exchangeable with the rows that judge"
_SHUFFLE = 20_261_122
"""Seed of the order in which rows are bet on; fixed, so that nobody can choose a lucky one."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate on the rows that judge.

    Attributes:
        candidate: The policy.
        exits: What rows would get at each exit.
        exit_of_row: shape (n_rows,).
        lines: One per objective.
        passed: Every objective holds.
    """

    candidate: Candidate
    exits: Exits
    exit_of_row: IntArray
    lines: tuple[CertificateLine, ...]
    passed: bool


def certify(kit: Ingredients, sequence: Sequence[Candidate], cert: Profile) -> tuple[Judged, ...]:
    """Walk the sequence and stop at the first candidate that fails.

    Args:
        kit: What the candidates are made of.
        sequence: Candidates in an order fixed on SEARCH rows.
        cert: Rows that nothing was chosen on.

    Returns:
        Those that passed, in order, and the one that failed, if any, last.
    """
    out: list[Judged] = []
    for candidate in sequence:
        judged = judge(kit, candidate, cert)
        out.append(judged)
        if not judged.passed:
            break
    return tuple(out)


def judge(kit: Ingredients, candidate: Candidate, cert: Profile) -> Judged:
    """Test every objective of one candidate on the rows that judge."""
    exits = exits_of(candidate.chain, kit, cert)
    exit_of_row = walk(candidate.policy, cert, len(exits.is_person))
    lines = tuple(
        _line(constraint, exits, exit_of_row) for constraint in constraints(kit.brief, cert, exits)
    )
    return Judged(candidate, exits, exit_of_row, lines, all(line.holds for line in lines))


def _line(constraint: Constraint, exits: Exits, exit_of_row: IntArray) -> CertificateLine:
    objective = constraint.objective
    level = objective.confidence_level
    holds, bound, method = _test(constraint, exit_of_row, level)
    value = constraint.value(exit_of_row)
    misses, n = constraint.misses(exit_of_row), constraint.n(exit_of_row)
    if objective.kind == "cost" and objective.measure != "each":
        misses = float("nan")
    shown = _shown(constraint, exits, exit_of_row, value, bound, level)
    return CertificateLine(
        objective=objective.id,
        limit=objective.limit.mid * (1e3 if objective.kind == "latency" else 1.0)
        if objective.limit is not None
        else 0.0,
        unit=shown.unit,
        is_ceiling=objective.is_ceiling,
        value=shown.value,
        bound=shown.bound,
        n=n,
        misses=0.0 if np.isnan(misses) else round(misses, 6),
        confidence_level=level,
        method=method,
        assumption=_ASSUMPTION,
        holds=holds,
        value_machines=_machines(constraint, exits, exit_of_row),
        note=None if constraint.is_bounded else "no enforced cap: the bound is asymptotic",
    )


def _test(
    constraint: Constraint, exit_of_row: IntArray, level: float
) -> tuple[bool, float | None, str]:
    """Say whether the mean loss is shown to be within its limit, give its bound and the method.

    Which method is used depends on the kind of loss alone, never on what the rows show.
    """
    limit, losses = constraint.limit, constraint.at(exit_of_row)
    if len(losses) == 0:
        return False, None, "no row judges"
    if limit >= 1.0:
        return True, None, "cannot be broken below the cap"
    if constraint.is_binary:
        misses = round(float(losses.sum()))
        if limit <= 0:
            return misses == 0, misses / len(losses), "every row within the cap"
        bound = upper_bound(misses, len(losses), confidence_level=level)
        p = binomial_p_value(misses, len(losses), limit=limit)
        return p <= 1 - level, bound, "exact binomial"
    if constraint.person_exit is not None:
        return _with_people(constraint, exit_of_row, level)
    shuffled = losses[np.random.default_rng(_SHUFFLE).permutation(len(losses))]
    p = betting_p_value(shuffled, limit=limit, delta=1 - level)
    bound = betting_upper_bound(shuffled, confidence_level=level)
    if constraint.is_weighted:
        bound *= float(constraint.weight.max() / constraint.weight.mean())
    return p <= 1 - level, bound, "betting"


def _with_people(
    constraint: Constraint, exit_of_row: IntArray, level: float
) -> tuple[bool, float | None, str]:
    """Bound machine misses plus people's declared error rate on an upper bound of their share.

    A tenth of delta bounds the share, the rest bounds the misses; together they hold by the union
    bound, and both are exact.
    """
    rows = np.arange(len(exit_of_row))
    counted = constraint.counts[rows, exit_of_row]
    by_person = exit_of_row[counted] == constraint.person_exit
    losses = constraint.loss[rows, exit_of_row][counted]
    n, delta = len(losses), 1 - level
    misses = round(float(losses[~by_person].sum()))
    rate = float(constraint.loss[0, constraint.person_exit or 0])
    share = upper_bound(int(by_person.sum()), n, confidence_level=1 - delta / 10)
    missed = upper_bound(misses, n, confidence_level=1 - delta * 9 / 10)
    bound = missed + rate * share
    return bound <= constraint.limit, bound, "exact binomial, people at their declared error rate"


@dataclass(frozen=True, slots=True)
class _Shown:
    value: float | None
    bound: float | None
    unit: str


def _shown(
    constraint: Constraint,
    exits: Exits,
    exit_of_row: IntArray,
    value: float | None,
    bound: float | None,
    level: float,
) -> _Shown:
    """Turn mean losses back into the objective's own terms."""
    objective = constraint.objective
    q = percentile_of(objective) if objective.kind == "latency" else None
    if q is not None:
        rows = np.arange(len(exit_of_row))
        counted = constraint.counts[rows, exit_of_row]
        took = exits.latency_ms[rows, exit_of_row][counted]
        if not len(took):
            return _Shown(None, None, "ms")
        high = quantile_upper_bound(took, q, confidence_level=level)
        return _Shown(float(np.quantile(took, q)), high, "ms")
    if value is None:
        return _Shown(None, None, constraint.unit)
    scaled = value * constraint.scale
    limit = None if bound is None else bound * constraint.scale
    if objective.kind == "quality" and not objective.is_ceiling:
        return _Shown(1 - value, None if bound is None else 1 - bound, "ratio")
    return _Shown(scaled, limit, constraint.unit)


def _machines(constraint: Constraint, exits: Exits, exit_of_row: IntArray) -> float | None:
    """Give a quality figure for what machines answered alone."""
    objective = constraint.objective
    if objective.kind != "quality" or objective.by is not AnsweredBy.ALL:
        return None
    rows = np.arange(len(exit_of_row))
    counted = constraint.counts[rows, exit_of_row] & ~exits.is_person[exit_of_row]
    if not counted.any():
        return None
    mean = float(constraint.loss[rows, exit_of_row][counted].mean())
    return mean if objective.is_ceiling else 1 - mean
