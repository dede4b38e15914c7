"""Fitting a router: what the words of a request foretell about each tier, before it is asked.

Two ways to read words are tried for each tier, and the one that foretells left-out rows better is
kept: ridge regression on weighed words, where many words each say a little; and boosting one word
at a time, where a few words say much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import sparse

from feasible.cascade import logistic_all, words_of
from feasible.planning.logistic import fit_logistic
from feasible.schema import FloatArray, IntArray, Profile, Router

__all__ = ["fit_router", "joined"]

_FEWEST: Final = 100
"""Labelled rows below which no router is fitted."""
_MOST_ROWS: Final = 4_000
_MOST_TIERS: Final = 16
_WORDS: Final = 2_000
_ROWS_WITH: Final = 3
"""Rows in which a word occurs before it counts."""
_PENALTIES: Final = (1.0, 10.0)
_ITERATIONS: Final = 25
_ROUNDS: Final = 40
"""Words that boosting adds at most; a word may be added again."""
_RATE: Final = 0.3
_DAMPING: Final = 2.0
"""Rows' worth of belief that a word says nothing."""
_FOLDS: Final = 5
_STREAM: Final = 4_421
_WORTHS: Final = np.geomspace(1e-2, 1e3, 9)


@dataclass(frozen=True, slots=True)
class _Words:
    """Texts as rows of words.

    Attributes:
        names: The words that count, sorted.
        rarity: What each weighs.
        weighed: Rows of weighed words, each of length 1.
        there: The same with 1 for every word that is there.
    """

    names: tuple[str, ...]
    rarity: tuple[float, ...]
    weighed: sparse.csr_matrix
    there: sparse.csr_matrix


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read words, of every tier.

    Attributes:
        held: shape (n_rows, n_tiers). Log odds of left-out rows, before they are brought to scale.
        weights: shape (n_words, n_tiers).
        is_there: Whether a word counts by being there, rather than by its weight.
    """

    held: FloatArray
    weights: FloatArray
    is_there: bool


def joined(one: Profile, other: Profile) -> Profile:
    """Give the texts and losses of two sets of rows, the second after the first."""
    return replace(
        one,
        row_ids=(*one.row_ids, *other.row_ids),
        loss=np.vstack([one.loss, other.loss]),
        cost_usd=np.vstack([one.cost_usd, other.cost_usd]),
        text=(*(one.text or ()), *(other.text or ())),
        slices={},
        label=None,
    )


def fit_router(rows: Profile, tiers: Sequence[str]) -> tuple[Router | None, dict[str, FloatArray]]:
    """Fit what is foreseen from a text.

    Args:
        rows: Rows with text that do not certify.
        tiers: Tiers to foresee.

    Returns:
        The router, None where there are too few rows or words; and tier -> what a router that did
        not see a row foresees of it, shape (n_rows,), NaN for rows that were not used.
    """
    columns = [rows.tiers.index(name) for name in tiers]
    known = ~np.isnan(rows.loss[:, columns]).any(axis=1)
    usable = np.flatnonzero(known)[:_MOST_ROWS]
    if not columns or len(usable) < _FEWEST or rows.text is None:
        return None, {}
    columns = _complementary(rows, columns, usable)
    tiers = [rows.tiers[column] for column in columns]
    right = 1.0 - rows.loss[usable][:, columns]
    words = _words([rows.text[i] for i in usable])
    if not words.names:
        return None, {}
    fold = np.random.default_rng([_STREAM, 1]).permutation(len(usable)) % _FOLDS
    readings = [*(_ridge(words, right, fold, p) for p in _PENALTIES), _boosted(words, right, fold)]
    weights: dict[str, tuple[float, ...]] = {}
    presence: dict[str, tuple[float, ...]] = {}
    offset: dict[str, float] = {}
    left_out: dict[str, FloatArray] = {}
    for k, name in enumerate(tiers):
        fits = [_scaled(reading.held[:, k], right[:, k]) for reading in readings]
        best = int(np.argmin([((p - right[:, k]) ** 2).mean() for p, _, _ in fits]))
        held, slope, offset[name] = fits[best]
        found = tuple((readings[best].weights[:, k] * slope).tolist())
        (presence if readings[best].is_there else weights)[name] = found
        left_out[name] = np.full(len(rows), np.nan)
        left_out[name][usable] = held
    router = Router(
        words=words.names,
        rarity=words.rarity,
        weights=weights,
        presence=presence,
        offset=offset,
        n=len(usable),
    )
    return router, left_out


def _complementary(rows: Profile, columns: list[int], usable: IntArray) -> list[int]:
    """Of very many tiers, give those that would be asked if one knew who is right."""
    if len(columns) <= _MOST_TIERS:
        return columns
    right = 1.0 - rows.loss[usable][:, columns]
    price = np.nan_to_num(rows.cost_usd[usable][:, columns]).mean(axis=0)
    lead = np.zeros(len(columns))
    for worth in _WORTHS * float(price.mean()):
        value = right - price / worth
        best = value.argmax(axis=1)
        top = np.sort(value, axis=1)
        np.add.at(lead, best, top[:, -1] - top[:, -2])
        # Whoever is best alone at this worth must be there to be compared with.
        lead[int(value.mean(axis=0).argmax())] += len(usable)
    kept = sorted(np.argsort(-lead, kind="stable")[:_MOST_TIERS].tolist())
    return [columns[i] for i in kept]


def _scaled(log_odds: FloatArray, right: FloatArray) -> tuple[FloatArray, float, float]:
    """Give probabilities of left-out rows, with the slope and offset that bring them to scale."""
    spread = float(log_odds.std())
    if spread <= 0:
        share = float((right.sum() + 1) / (len(right) + 2))
        return np.full(len(right), share), 0.0, float(np.log(share / (1 - share)))
    slope, offset = fit_logistic((log_odds / spread)[:, None], right, np.zeros(1))
    scale = max(float(slope[0]), 0.0) / spread
    return logistic_all(offset + scale * log_odds), scale, offset


def _ridge(words: _Words, right: FloatArray, fold: IntArray, penalty: float) -> _Reading:
    held = np.empty_like(right)
    for k in range(_FOLDS):
        rest, mine = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        gap = right[rest] - right[rest].mean(axis=0)
        held[mine] = words.weighed[mine] @ _solved(words.weighed[rest], gap, penalty)
    weights = _solved(words.weighed, right - right.mean(axis=0), penalty)
    return _Reading(held, weights, is_there=False)


def _solved(table: sparse.csr_matrix, right: FloatArray, penalty: float) -> FloatArray:
    """Give ridge weights, shape (n_words, n_tiers), by conjugate gradients on the rows."""
    dual = np.zeros_like(right)
    rest = right.copy()
    ahead = rest.copy()
    size = (rest**2).sum(axis=0)
    for _ in range(_ITERATIONS):
        moved = table @ (table.T @ ahead) + penalty * ahead
        step = size / np.maximum((ahead * moved).sum(axis=0), 1e-300)
        dual += step * ahead
        rest -= step * moved
        before, size = size, (rest**2).sum(axis=0)
        ahead = rest + size / np.maximum(before, 1e-300) * ahead
    return np.asarray(table.T @ dual)


def _boosted(words: _Words, right: FloatArray, fold: IntArray) -> _Reading:
    """Add one word at a time, for as long as left-out rows are foretold better for it."""
    held = np.zeros((_ROUNDS + 1, *right.shape))
    for k in range(_FOLDS):
        rest, mine = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        base = _base(right[rest])
        path = _path(words.there[rest], right[rest])
        held[:, mine] = base + np.cumsum(
            [np.zeros((len(mine), right.shape[1])), *_added(path, words.there[mine])], axis=0
        )
    chance = 1 / (1 + np.exp(-np.clip(held, -30, 30)))
    loss = -(right * np.log(chance) + (1 - right) * np.log1p(-chance)).mean(axis=1)
    rounds = loss.argmin(axis=0)
    weights = np.zeros((len(words.names), right.shape[1]))
    for number, (places, steps) in enumerate(_path(words.there, right), start=1):
        for tier in np.flatnonzero(number <= rounds):
            weights[places[tier], tier] += steps[tier]
    chosen = held[rounds, :, np.arange(right.shape[1])].T
    return _Reading(chosen - _base(right), weights, is_there=True)


def _base(right: FloatArray) -> FloatArray:
    share = (right.sum(axis=0) + 1) / (len(right) + 2)
    return np.asarray(np.log(share / (1 - share)))


def _path(there: sparse.csr_matrix, right: FloatArray) -> list[tuple[IntArray, FloatArray]]:
    """Give, round by round, the word that each tier gains most from and its step."""
    by_word = sparse.csc_matrix(there)
    turned = there.T.tocsr()
    z = np.tile(_base(right), (len(right), 1))
    out = []
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-z))
        slope = np.asarray(turned @ (right - p))
        bend = np.asarray(turned @ (p * (1 - p))) + _DAMPING
        places = (slope**2 / bend).argmax(axis=0)
        tiers = np.arange(right.shape[1])
        steps = _RATE * slope[places, tiers] / bend[places, tiers]
        for tier, (place, step) in enumerate(zip(places.tolist(), steps.tolist(), strict=True)):
            z[by_word.indices[by_word.indptr[place] : by_word.indptr[place + 1]], tier] += step
        out.append((places, steps))
    return out


def _added(
    path: Sequence[tuple[IntArray, FloatArray]], there: sparse.csr_matrix
) -> list[FloatArray]:
    """Give what each round adds to some rows, each of shape (n_rows, n_tiers)."""
    by_word = sparse.csc_matrix(there)
    out = []
    for places, steps in path:
        added = np.zeros((there.shape[0], len(places)))
        for tier, (place, step) in enumerate(zip(places.tolist(), steps.tolist(), strict=True)):
            added[by_word.indices[by_word.indptr[place] : by_word.indptr[place + 1]], tier] = step
        out.append(added)
    return out


def _words(texts: Sequence[str]) -> _Words:
    """Give the words that count, how rare each is, and each text as a row."""
    counts = [Counter(words_of(text)) for text in texts]
    rows_with = Counter(word for count in counts for word in count)
    common = [word for word, n in rows_with.items() if n >= _ROWS_WITH]
    kept = sorted(sorted(common, key=lambda w: (-rows_with[w], w))[:_WORDS])
    place = {word: i for i, word in enumerate(kept)}
    rarity = [float(np.log((1 + len(texts)) / (1 + rows_with[word])) + 1) for word in kept]
    lines, columns, values = [], [], []
    for line, count in enumerate(counts):
        found = [(place[word], n) for word, n in count.items() if word in place]
        weighed = np.array([(1 + np.log(n)) * rarity[i] for i, n in found])
        length = float(np.sqrt((weighed**2).sum())) or 1.0
        lines += [line] * len(found)
        columns += [i for i, _ in found]
        values += (weighed / length).tolist()
    shape = (len(texts), len(kept))
    table = sparse.csr_matrix((values, (lines, columns)), shape=shape)
    there = table.copy()
    there.data = np.ones_like(there.data)
    return _Words(tuple(kept), tuple(rarity), table, there)
