"""Empirical threshold search: the cheapest cascade that kept the promises on the rows it saw.

The rule that FrugalGPT describes (Chen, Zaharia and Zou 2023, section 3): cascades of at most three
models in the order of their price; a model's answer is given when a reliability score clears the
model's threshold; models and thresholds are those that do best on the training rows. Nothing is
kept aside, nothing is certified. Two kindnesses: reliability is a logistic regression on every
answer and score heard so far, and with `by_class` a tier has one threshold for each answer.

All thresholds of a chain are judged at once: rows are counted into cells between thresholds, and
sums over what a threshold accepts are cumulative sums over cells. `plain_grid` judges one
combination after the other instead, as a grid search is commonly written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from bench.peers.outcomes import Outcomes, outcomes, person_of
from sklearn.linear_model import LogisticRegression

from feasible.schema import Brief, FloatArray, IntArray, Profile

__all__ = [
    "Choice",
    "Gates",
    "chains_of",
    "exits",
    "gates_of",
    "plain_grid",
    "reliability",
    "search",
    "table_grid",
    "with_margins",
]

_TINY = 1e-9


@dataclass(frozen=True)
class Gates:
    """Where a row may leave a chain before its last exit.

    Attributes:
        score: shape (n_rows, n_exits - 1). Reliability; -inf where the tier abstained.
        gate: shape (n_rows, n_exits - 1). Which of the thresholds applies.
        n_gates: Thresholds of the chain.
    """

    score: FloatArray
    gate: IntArray
    n_gates: int


@dataclass(frozen=True)
class Choice:
    """What the search found.

    Attributes:
        chain: Tiers in the order in which they are asked.
        thresholds: One for each gate.
        by_class: Whether a tier has a threshold for each answer.
        cost_usd: Mean on the rows searched.
    """

    chain: tuple[str, ...]
    thresholds: tuple[float, ...]
    by_class: bool
    cost_usd: float


def chains_of(brief: Brief, profile: Profile, *, longest: int = 3) -> list[tuple[str, ...]]:
    """List tiers alone, in pairs and in triples, in the order of price.

    Each stands there once more with the brief's person behind it, who may also be alone.

    Args:
        brief: The declaration.
        profile: Whose tiers, cheapest first.
        longest: Machine tiers of a chain at most.
    """
    person = person_of(brief)
    machines = [name for name in profile.tiers if name != person]
    found: list[tuple[str, ...]] = [
        chosen
        for length in range(1, longest + 1)
        for chosen in itertools.combinations(machines, length)
    ]
    if person is None:
        return found
    return [*found, (person,), *((*chosen, person) for chosen in found)]


def reliability(profile: Profile, train: IntArray) -> FloatArray:
    """Give P(each tier is right) from what it and cheaper tiers said; tiers in profile order.

    Args:
        profile: All rows.
        train: Row numbers to learn from.

    Returns:
        shape (n_rows, n_tiers). -inf where the tier abstained.
    """
    heard, out = [np.empty((len(profile), 0))], []
    for k in range(len(profile.tiers)):
        score = profile.score[:, k]
        surer = np.log(np.clip(score, 1e-6, 1 - 1e-6) / np.clip(1 - score, 1e-6, 1 - 1e-6))
        for c in range(max(len(profile.classes), 1)):
            said = (profile.answer_class[:, k] == c) | (len(profile.classes) == 0)
            heard += [said[:, None] * 1.0, (said * np.nan_to_num(surer))[:, None]]
        terms = np.hstack(heard)
        known = train[~np.isnan(profile.loss[train, k]) & profile.answered[train, k]]
        right = profile.loss[known, k] < 0.5
        if right.all() or not right.any():
            sure = np.full(len(profile), right.mean())
        else:
            fitted = LogisticRegression(C=10.0, max_iter=1000).fit(terms[known], right)
            sure = fitted.predict_proba(terms)[:, 1]
        out.append(np.where(profile.answered[:, k], sure, -np.inf))
    return np.column_stack(out)


def gates_of(profile: Profile, sure: FloatArray, chain: Sequence[str], *, by_class: bool) -> Gates:
    """Lay out the thresholds of a chain: one a tier, or one a tier and answer."""
    columns = [profile.tiers.index(name) for name in chain[:-1]]
    n_classes = max(len(profile.classes), 1) if by_class else 1
    said = np.maximum(profile.answer_class[:, columns], 0) if by_class else 0
    gate = np.arange(len(columns)) * n_classes + said
    return Gates(
        sure[:, columns],
        np.broadcast_to(gate, (len(profile), len(columns))).astype(np.int64),
        n_classes * len(columns),
    )


def exits(gates: Gates, thresholds: Sequence[float]) -> IntArray:
    """Give the exit of every row: the first whose reliability clears its threshold, else the last.

    Args:
        gates: Of the chain.
        thresholds: One for each gate.
    """
    clears = gates.score >= np.asarray([*thresholds, np.inf])[gates.gate]
    clears &= gates.score > -np.inf
    last = np.ones((len(clears), 1), dtype=np.bool_)
    return np.asarray(np.hstack([clears, last]).argmax(axis=1), dtype=np.int64)


def search(
    brief: Brief,
    profile: Profile,
    sure: FloatArray,
    *,
    n_cells: int = 300_000,
    by_class: bool = False,
    chains: Sequence[tuple[str, ...]] | None = None,
) -> Choice | None:
    """Find the cheapest chain and thresholds that keep every promise on these rows.

    Args:
        brief: The promises.
        profile: The rows.
        sure: shape (n_rows, n_tiers). Reliability.
        n_cells: Combinations of thresholds judged for each chain in each of two passes; the second
            pass lies between the neighbours of the first one's best.
        by_class: One threshold a tier and answer instead of one a tier.
        chains: Chains to try; all of up to three tiers when absent.

    Returns:
        The choice; None when no combination keeps the promises.
    """
    best: Choice | None = None
    for chain in chains_of(brief, profile) if chains is None else chains:
        seen = outcomes(brief, profile, chain)
        gates = gates_of(profile, sure, chain, by_class=by_class)
        grids = _quantile_grids(gates, n_cells)
        for _ in range(2):
            (found,) = _cheapest(seen, gates, grids, [0.0])
            if found is None:
                break
            cost, at = found
            best = _better(best, Choice(chain, _values(grids, at), by_class, cost))
            pairs = enumerate(zip(grids, at, strict=True))
            grids = [_between(gates, grid, i, k) for k, (grid, i) in pairs]
    return best


def with_margins(
    brief: Brief,
    profile: Profile,
    sure: FloatArray,
    margins: Sequence[float],
    *,
    cert_share: float,
    n_cells: int = 40_000,
) -> list[Choice]:
    """Find a list of candidates from bold to safe: the cheapest that keeps limits drawn tighter.

    Args:
        brief: The promises, with 0/1 losses.
        profile: The rows.
        sure: shape (n_rows, n_tiers). Reliability.
        margins: How much tighter, in standard errors of the rows that will certify.
        cert_share: Rows that will certify over the rows here.
        n_cells: Combinations of thresholds judged for each chain, one threshold a tier and answer.
    """
    best: list[Choice | None] = [None] * len(margins)
    for chain in chains_of(brief, profile):
        seen = outcomes(brief, profile, chain)
        gates = gates_of(profile, sure, chain, by_class=True)
        grids = _quantile_grids(gates, n_cells)
        tighter = [margin / np.sqrt(cert_share) for margin in margins]
        for i, found in enumerate(_cheapest(seen, gates, grids, tighter)):
            if found is not None:
                cost, at = found
                best[i] = _better(best[i], Choice(chain, _values(grids, at), True, cost))
    return list(dict.fromkeys(one for one in best if one is not None))


def plain_grid(
    seen: Outcomes,
    gates: Gates,
    grids: Sequence[FloatArray],
    *,
    first: int = 0,
    at_most: int | None = None,
) -> tuple[float, tuple[float, ...]] | None:
    """Judge one combination of thresholds after the other.

    Args:
        seen: Exits of the chain.
        gates: Its thresholds.
        grids: Values to try, by gate.
        first: Combinations to skip.
        at_most: Combinations to judge then; all when absent.

    Returns:
        Mean dollars and thresholds of the cheapest that keeps every promise; None when none does.
    """
    over = [seen.excess(j) for j in range(len(seen.ids))]
    rows = np.arange(len(seen.usd))
    best, best_cost = None, np.inf
    last = None if at_most is None else first + at_most
    for thresholds in itertools.islice(itertools.product(*grids), first, last):
        leaves = exits(gates, thresholds)
        cost = float(seen.usd[rows, leaves].mean())
        if cost < best_cost and all(one[rows, leaves].sum() <= _TINY for one in over):
            best, best_cost = thresholds, cost
    return None if best is None else (best_cost, best)


def table_grid(
    seen: Outcomes, gates: Gates, grids: Sequence[FloatArray]
) -> tuple[float, tuple[float, ...]] | None:
    """Judge all combinations of thresholds at once, by sums over cells; else as `plain_grid`.

    Args:
        seen: Exits of the chain.
        gates: Its thresholds.
        grids: Values to try, by gate, rising.
    """
    (found,) = _cheapest(seen, gates, grids, [0.0])
    return None if found is None else (found[0], _values(grids, found[1]))


def _better(best: Choice | None, found: Choice) -> Choice:
    """Give the cheaper one; what was found first, when they cost the same."""
    if best is None or found.cost_usd < best.cost_usd - _TINY * abs(best.cost_usd):
        return found
    return best


def _values(grids: Sequence[FloatArray], at: Sequence[int]) -> tuple[float, ...]:
    return tuple(float(grid[i]) for grid, i in zip(grids, at, strict=True))


def _quantile_grids(gates: Gates, n_cells: int) -> list[FloatArray]:
    """Give as many thresholds for each gate, at quantiles of its scores; never and always too."""
    each = min(200, int(n_cells ** (1 / max(gates.n_gates, 1)) + _TINY))
    grids = []
    for k in range(gates.n_gates):
        scores = gates.score[gates.gate == k]
        scores = scores[np.isfinite(scores)]
        inner = np.quantile(scores, np.linspace(0, 1, max(each - 1, 1))) if len(scores) else []
        grids.append(np.unique(np.append(inner, np.inf)))
    return grids


def _between(gates: Gates, grid: FloatArray, at: int, k: int) -> FloatArray:
    """Give as many thresholds between the neighbours of one."""
    low = grid[max(at - 1, 0)]
    high = grid[min(at + 1, len(grid) - 1)]
    scores = gates.score[gates.gate == k]
    scores = scores[np.isfinite(scores) & (scores >= low) & (scores <= high)]
    inner = np.quantile(scores, np.linspace(0, 1, max(len(grid) - 2, 1))) if len(scores) else []
    return np.unique(np.append(inner, [grid[at], high]))


def _cheapest(
    seen: Outcomes, gates: Gates, grids: Sequence[FloatArray], margins: Sequence[float]
) -> list[tuple[float, tuple[int, ...]] | None]:
    """Give the mean dollars and the place of the cheapest combination that keeps every promise.

    Args:
        seen: Exits of the chain.
        gates: Its thresholds.
        grids: Values to try, by gate.
        margins: How much tighter limits are taken, in standard errors of these rows.

    Returns:
        One for each margin; None where no combination keeps the promises.
    """
    cell = np.empty(gates.score.shape, dtype=np.int64)
    for k, grid in enumerate(grids):
        here = gates.gate == k
        cell[here] = np.searchsorted(grid, gates.score[here], side="right")
    shape = tuple(len(grid) for grid in grids)
    keeps = [np.ones(shape, dtype=np.bool_) for _ in margins]
    for j, limit in enumerate(seen.limits):
        over = _totals(seen.excess(j), cell, gates, shape)
        n = int(seen.counts[j].any(axis=1).sum())
        error = np.sqrt(n * limit * (1 - limit))
        for i, margin in enumerate(margins):  # at most as tight as no loss at all
            keeps[i] &= over + min(margin * error, n * limit) <= _TINY * len(cell)
    cost = _totals(seen.usd, cell, gates, shape) / len(cell)
    out: list[tuple[float, tuple[int, ...]] | None] = []
    for kept in keeps:
        place = np.unravel_index(int(np.where(kept, cost, np.inf).argmin()), shape)
        found = float(cost[place]), tuple(int(i) for i in place)
        out.append(found if kept.any() else None)
    return out


def _totals(values: FloatArray, cell: IntArray, gates: Gates, shape: tuple[int, ...]) -> FloatArray:
    """Add up what rows get at their exit, for every combination of thresholds at once.

    Args:
        values: shape (n_rows, n_exits).
        cell: shape (n_rows, n_exits - 1). Thresholds of the gate that the score clears.
        gates: Of the chain.
        shape: Thresholds of each gate.

    Returns:
        Of shape `shape`.
    """
    total = np.zeros(shape)
    n_gated = cell.shape[1]
    for leaf in range(n_gated + 1):
        asked = min(leaf + 1, n_gated)
        for rows, met in _routes(gates, asked):
            sizes = [shape[k] + 1 for k in met]
            flat = np.zeros(len(rows), dtype=np.int64)
            for j, size in enumerate(sizes):
                flat = flat * size + cell[rows, j]
            summed = np.bincount(flat, weights=values[rows, leaf], minlength=int(np.prod(sizes)))
            table: FloatArray = np.asarray(summed, dtype=np.float64).reshape(sizes)
            for j, size in enumerate(sizes):
                table = _kept(table, j, size, leaves=j == leaf)
            # Axes of gates that these rows do not meet are of length one.
            axes = [1] * len(shape)
            for k in met:
                axes[k] = shape[k]
            total += np.transpose(table, np.argsort(met)).reshape(axes)
    return total


def _routes(gates: Gates, asked: int) -> Iterator[tuple[IntArray, tuple[int, ...]]]:
    """Give the rows that meet the same gates in the first exits, and these gates."""
    if asked == 0:
        yield np.arange(len(gates.gate)), ()
        return
    met, route = np.unique(gates.gate[:, :asked], axis=0, return_inverse=True)
    for number, one in enumerate(met):
        yield np.flatnonzero(route.reshape(-1) == number), tuple(int(k) for k in one)


def _kept(table: FloatArray, axis: int, size: int, *, leaves: bool) -> FloatArray:
    """Sum over the cells that leave at each threshold of one gate, or over those that go on."""
    if leaves:  # threshold t is cleared from cell t + 1 on
        summed = np.flip(np.flip(table, axis).cumsum(axis), axis)
        return np.take(summed, np.arange(1, size), axis)
    return np.take(table.cumsum(axis), np.arange(size - 1), axis)
