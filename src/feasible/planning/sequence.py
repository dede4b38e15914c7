"""The order in which candidates are tested: from the safest towards cheaper ones.

A walk along an order fixed beforehand stops at the first candidate that fails, so that a doubtful
step on the way costs everything beyond it. The order is therefore made so that the plan it is
expected to end with is cheapest. What is expected comes from draws of the rows that were searched
and of the rows that only fitted scores, never from the rows that certify.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from scipy.special import ndtri

from feasible.planning.candidates import Candidate
from feasible.planning.chain import Chain
from feasible.planning.constraint import Constraint
from feasible.planning.search import thinned
from feasible.planning.sheet import Sheet
from feasible.planning.solver import Solver
from feasible.schema import BoolArray, FloatArray
from feasible.stats import binomial_quantile

__all__ = ["sequence_of"]

_DRAWS: Final = 200
_MOST: Final = 30
"""Candidates in a sequence at most."""
_FEWER: Final = 10
"""The same where so many rows judge that every step takes long."""
_DRAWN_ROWS: Final = 1_200
"""Rows that are drawn from where there are very many."""
_TRIED: Final = 120
_FEWER_TRIED: Final = 30
_MANY_ROWS: Final = 2_000
"""SEARCH rows from which on they alone are drawn from, and fewer candidates are told apart."""
_STEPS: Final = 40
"""Changes of an order at most; each is the one that saves most."""
_WORTH: Final = 1e-3
"""Share of the expected cost that a candidate in the sequence must save."""
_STREAM: Final = 6_733
_PER_THRESHOLD: Final = 0.1
"""Standard deviations by which each threshold makes a policy look surer than it is."""
_ROUTED_LUCK: Final = 0.8
"""Standard errors by which policies of a router look better than they are, as measured on held-out
rows of logged language models."""
_SMOOTH: Final = 1.5
"""How much wider quality spreads than draws of few searched rows say."""
_CLOSE: Final = 0.1
"""Standard deviations within which candidates are about as sure."""
_AMPLE: Final = 3.0
"""Standard deviations beyond which more is no safer in practice."""
_TIE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class _Draws:
    """What draws of rows say of some candidates.

    Attributes:
        passes: shape (n_draws, n_candidates). Every promise would be shown.
        cost: shape (n_candidates,). Mean per decision. Dollars.
        surety: shape (n_candidates,). Distance of the scarcest promise from failing, in standard
            deviations of the draws.
    """

    passes: BoolArray
    cost: FloatArray
    surety: FloatArray

    def safest(self) -> int:
        """Give the candidate that is surest to pass; of those about as sure, the cheapest."""
        sure = np.minimum(self.surety, _AMPLE)
        close = np.flatnonzero(sure >= sure.max() - _CLOSE)
        return int(close[self.cost[close].argmin()])


def _expected(passes: BoolArray, cost: FloatArray, order: Sequence[int]) -> float:
    """Give the mean cost of the candidates that walks along an order end with.

    Walks that fail at once end with the first one: it is the same for every order.
    """
    alive = np.logical_and.accumulate(passes[:, order], axis=1)
    last = np.maximum(alive.sum(axis=1) - 1, 0)
    return float(cost[np.asarray(order)[last]].mean())


def sequence_of(
    candidates: Sequence[Candidate],
    search: Sheet,
    fit: Sheet,
    *,
    n_cert: int,
    judging: Mapping[str, int] = MappingProxyType({}),
    apart: Collection[str] = (),
) -> list[Candidate]:
    """Order candidates for fixed-sequence testing.

    Starts at the candidate that is likeliest to be certified; every next one costs less.

    Args:
        candidates: What the search found.
        search: SEARCH rows.
        fit: FIT rows.
        n_cert: Rows that the certificate will have.
        judging: Objective id -> those of them that can judge it, where that is known.
        apart: Objectives that the rows are too few to show. They are aimed at, and left out of the
            order, which they would otherwise dictate.
    """
    aimed = [c for c in candidates if c.least_over(apart) >= 0] or list(candidates)
    many = len(search) >= _MANY_ROWS
    tried = _distinct(aimed, apart, most=_FEWER_TRIED if many else _TRIED)
    sheets = [search] if fit is search else [search, fit]
    drawn_for = np.ones(sum(len(sheet) for sheet in sheets))
    if many:
        rows, stands_for = thinned(search, _DRAWN_ROWS)
        sheets = [search.some(rows, stands_for=stands_for)]
        drawn_for = stands_for / search.stands_for[rows]
    draws = _drawn(
        tried, sheets, drawn_for, n_cert=n_cert, judging=judging, apart=apart, are_told=many
    )
    most = _FEWER if many else _MOST
    order = best_order(draws.passes, draws.cost, first=draws.safest(), most=most)
    return [tried[i] for i in order]


def best_order(passes: BoolArray, cost: FloatArray, *, first: int, most: int = _MOST) -> list[int]:
    """Give the order along which a walk is expected to end cheapest.

    Args:
        passes: shape (n_draws, n_candidates). Whether a candidate passes in a draw.
        cost: shape (n_candidates,).
        first: Where to begin.
        most: Candidates at most.

    Returns:
        Indices: the first, then cheaper and cheaper ones.

    Examples:
        A doubtful step that fails where the cheapest passes is stepped over:

        >>> passes = np.array([[1, 1, 1], [1, 0, 1], [1, 0, 1], [1, 0, 0]], dtype=bool)
        >>> best_order(passes, np.array([3.0, 2.0, 1.0]), first=0)
        [0, 2]
    """
    order = [first]
    cheaper = [i for i in range(len(cost)) if cost[i] < cost[first]]
    best = _expected(passes, cost, order)
    for _ in range(_STEPS):
        trials = [
            [j for j in order if j != i]
            if i in order
            else sorted([*order, i], key=lambda j: -cost[j])
            for i in cheaper
            if i in order or len(order) < most
        ]
        found = [_expected(passes, cost, trial) for trial in trials]
        step = int(np.argmin(found)) if found else 0
        if not found or found[step] >= best * (1 - _WORTH):
            break
        order, best = trials[step], found[step]
    return order


def _distinct(
    candidates: Sequence[Candidate], apart: Collection[str], *, most: int
) -> list[Candidate]:
    """Keep, of each chain, the candidates that no cheaper one of it beats in every margin."""
    by_chain: dict[Chain, list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda c: c.cost_usd):
        kept = by_chain[candidate.chain]
        names = [name for name in candidate.margin if name not in apart]
        if not any(all(o.margin[n] >= candidate.margin[n] - _TIE for n in names) for o in kept):
            kept.append(candidate)
    out = sorted((c for kept in by_chain.values() for c in kept), key=lambda c: c.cost_usd)
    if len(out) <= most:
        return out
    # The safest of all, and the likeliest of every stretch of cost.
    chance = [_chance(c, apart) for c in out]
    stretches = np.array_split(np.argsort([c.cost_usd for c in out], kind="stable"), most // 3)
    kept_places = {int(np.argmax(chance))}
    for stretch in stretches:
        ranked = sorted(stretch.tolist(), key=lambda i: -chance[i])
        kept_places.update(ranked[:3])
    return [out[i] for i in sorted(kept_places)]


def _chance(candidate: Candidate, apart: Collection[str]) -> float:
    return min((m for name, m in candidate.margin.items() if name not in apart), default=math.inf)


def _drawn(
    candidates: Sequence[Candidate],
    sheets: Sequence[Sheet],
    drawn_for: FloatArray,
    *,
    n_cert: int,
    judging: Mapping[str, int],
    apart: Collection[str],
    are_told: bool,
) -> _Draws:
    """Draw rows again and again, and say which candidates would be certified on such rows.

    Args:
        candidates: The policies.
        sheets: The rows that are drawn from.
        drawn_for: shape (n_rows,). Rows searched that each of them is drawn for.
        n_cert: Rows that the certificate will have.
        judging: Objective id -> those of them that can judge it, where that is known.
        apart: Promises that are left out.
        are_told: Whether the rows are some of very many on which the candidates' slack is known:
            they tell the spread alone.
    """
    ratio = n_cert / float(sheets[0].stands_for.sum())
    solvers: list[dict[Chain, Solver]] = [{} for _ in sheets]
    parts = []
    for known, sheet in zip(solvers, sheets, strict=True):
        for candidate in candidates:
            if candidate.chain not in known:
                known[candidate.chain] = _solver(candidate.chain, sheet, ratio)
        parts.append(_vectors(candidates, sheet, known))
    rows = np.concatenate(parts, axis=2)  # (1 + 2 * promises, candidates, rows)
    stands_for = np.concatenate([sheet.stands_for for sheet in sheets])
    weight = _weights(rows.shape[2])
    sums = np.einsum("rcn,dn->rdc", rows, weight, optimize=True)
    # Each set of rows gives shares of its own mean: bring them to one.
    promises = (rows.shape[0] - 1) // 2
    passes = np.ones(sums.shape[1:], dtype=np.bool_)
    surety = np.full(sums.shape[2], math.inf)
    for q in range(promises):
        solver = solvers[0][candidates[0].chain]
        if solver.ids[q] in apart:
            continue
        excess, mass = sums[1 + q], sums[1 + promises + q]
        mean = np.divide(excess, mass, out=np.full(excess.shape, np.inf), where=mass > _TIE)
        masses = rows[1 + promises + q]
        will = (masses > 0) @ stands_for / float(stands_for.sum()) * n_cert
        most = judging.get(solver.ids[q], solver.margins[q].n_cert)
        will = np.minimum(np.round(will), most)
        room = _room(candidates, solvers[0], q, will)
        known = np.isfinite(mean).all(axis=0)
        mean = np.where(known, mean, 0.0)
        middle = mean.mean(axis=0)
        told = np.array([-c.slack[solver.ids[q]] for c in candidates]) * solver.error[q]
        center = (told if are_told else middle) + _luck_of(candidates, solver, q)
        drawn = mean.std(axis=0)
        floored = np.array([are_told or c.chain.by == "router" for c in candidates])
        wide, spread = _spread(
            solver.constraints[q], center, drawn, masses, drawn_for, will, floored
        )
        factor = np.divide(wide, drawn, out=np.zeros(len(drawn)), where=drawn > 0)
        apart_by = np.sqrt(np.maximum(spread**2 - wide**2, 0.0)) * _noise(candidates, q)
        passes &= known & (center + (mean - middle) * factor + apart_by <= room)
        distance = (room - center) / np.maximum(spread, solver.error[q] / 4)
        surety = np.minimum(surety, np.where(known, distance, -_AMPLE))
    placed = np.array([solvers[0][c.chain].placed_of(c) for c in candidates])
    surety = surety - _PER_THRESHOLD * placed
    return _Draws(passes, np.array([c.cost_usd for c in candidates]), surety)


def _solver(chain: Chain, sheet: Sheet, ratio: float) -> Solver:
    """Give what rows add; where a router chose among tiers, what was seen is what counts."""
    seen = 1.0 if chain.by == "router" else None
    return Solver(sheet.kit, chain, sheet, ratio, seen=seen)


def _vectors(
    candidates: Sequence[Candidate], sheet: Sheet, solvers: Mapping[Chain, Solver]
) -> FloatArray:
    """Give what every row adds under every candidate, shape (sums, n_candidates, n_rows)."""
    out = [solvers[c.chain].board.at(sheet.leaves(c.chain, c.thresholds)) for c in candidates]
    return np.stack(out, axis=1)


def _weights(n: int) -> FloatArray:
    """Draw how much each row weighs, shape (n_draws, n_rows).

    Source:
        Rubin (1981), Annals of Statistics 9(1): the Bayesian bootstrap.
    """
    return np.random.default_rng([_STREAM, n]).standard_exponential((_DRAWS, n))


def _spread(
    constraint: Constraint,
    center: FloatArray,
    drawn: FloatArray,
    mass: FloatArray,
    drawn_for: FloatArray,
    judging: FloatArray,
    floored: BoolArray,
) -> tuple[FloatArray, FloatArray]:
    """Give how far each candidate's mean on CERT rows may be from what is expected of it.

    Both the rows that were searched and those that will judge have luck. Draws know how it goes
    together from candidate to candidate, but too little of it: where only some of the searched rows
    are drawn from, they spread as wide as so few do; and what is expected of a row is smoother than
    what becomes of it.

    Args:
        constraint: The promise.
        center: shape (n_candidates,). What is expected, above the limit.
        drawn: shape (n_candidates,). Standard deviation of the draws.
        mass: shape (n_candidates, n_rows). How much each row judges; 0 where it does not.
        drawn_for: shape (n_rows,). Rows searched that each row is drawn for.
        judging: shape (n_candidates,). CERT rows that will judge.
        floored: shape (n_candidates,). Whether a share spreads at least as independent rows do;
            others spread wider than their draws by a fixed factor.

    Returns:
        Standard deviations: of what draws know, and of everything; each of shape (n_candidates,).
    """
    total, squares = mass.sum(axis=1), (mass**2).sum(axis=1)
    rows = np.divide(total**2, squares, out=np.zeros(len(mass)), where=squares > 0)
    searched = np.maximum((mass > 0) @ drawn_for, 1)
    luck = 1 / searched + 1 / np.maximum(judging, 1)
    wide = np.asarray(drawn * np.sqrt(rows * luck))
    if not constraint.objective.needs_labels:
        return wide, wide
    wide = np.where(floored, wide, _SMOOTH * wide)
    if not (constraint.is_binary or constraint.person_rate is not None):
        return wide, wide
    share = np.clip(center + constraint.limit, 0.0, 1.0)
    least = np.sqrt(share * (1 - share) * luck)
    return wide, np.where(floored, np.maximum(wide, least), wide)


def _noise(candidates: Sequence[Candidate], q: int) -> FloatArray:
    """Draw what becomes of rows beyond what is expected of them, shape (n_draws, n_candidates).

    It is the same for all policies of one order of tiers, most of whose rows leave alike, and
    another one for every other order.
    """
    rng = np.random.default_rng([_STREAM, q, 1])
    known: dict[Chain, FloatArray] = {}
    for candidate in candidates:
        if candidate.chain not in known:
            known[candidate.chain] = rng.standard_normal(_DRAWS)
    return np.column_stack([known[candidate.chain] for candidate in candidates])


def _luck_of(candidates: Sequence[Candidate], solver: Solver, q: int) -> FloatArray:
    """Give how much better each candidate looks than it is, on the scale of losses.

    Where a router chooses among tiers row by row, so many policies are looked at that the ones that
    look best are lucky ones.

    Returns:
        shape (n_candidates,).
    """
    constraint, n = solver.constraints[q], solver.margins[q].n_search
    if not constraint.objective.needs_labels or not 0 < constraint.limit < 1:
        return np.zeros(len(candidates))
    error = math.sqrt(constraint.limit * (1 - constraint.limit) / max(1, n))
    return np.array([_ROUTED_LUCK * error * (c.chain.by == "router") for c in candidates])


def _room(
    candidates: Sequence[Candidate],
    solvers: Mapping[Chain, Solver],
    q: int,
    judging: FloatArray,
) -> FloatArray:
    """Give how far above its limit a promise's mean may lie and pass: below 0, so far below it.

    Args:
        candidates: The policies.
        solvers: Chain -> its rows.
        q: The promise.
        judging: shape (n_candidates,). CERT rows that will judge it under each policy.
    """
    out = []
    for candidate, rows in zip(candidates, judging.tolist(), strict=True):
        solver = solvers[candidate.chain]
        constraint, error = solver.constraints[q], float(solver.error[q])
        level, limit = constraint.objective.confidence_level, constraint.limit
        n_cert = int(rows)
        is_share = constraint.is_binary or constraint.person_rate is not None
        if is_share and 0 < limit < 1 and n_cert:
            allowed = binomial_quantile(1 - level, n_cert, limit) - 1
            room = (allowed + 0.5) / n_cert - limit if allowed >= 0 else -math.inf
            if constraint.objective.needs_labels:
                room -= solver.margins[q].per_threshold * solver.placed_of(candidate)
        else:
            room = -float(ndtri(level)) * error if 0 < limit < 1 else 0.0
        out.append(room)
    return np.array(out)
