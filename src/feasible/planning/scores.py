"""What thresholds may stand on besides a tier's own score, fitted on FIT rows as it is asked for.

Three more ways to tell when an answer may be given: the posterior given what earlier tiers said,
which gives a probability to tiers that have none; how much surer an answer is than the next one
would be; and what a router foresees from the text before a tier is asked. Which of them is used is
decided on SEARCH rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np
from scipy import sparse

from feasible.cascade import HeardAll, logistic_all, term_of, words_of
from feasible.planning.calibration import Fit, own_probabilities
from feasible.schema import DEFAULT_GROUP, FloatArray, IntArray, Posterior, Profile, Router

__all__ = ["Scores", "fit_router", "joined"]

_FEWEST: Final = 100
"""Labelled rows below which nothing more than a calibrator is fitted."""
_RIDGE: Final = 4.0
"""How many rows' worth of belief there is that earlier answers say nothing more."""
_MOST_ROWS: Final = 50_000
_STEPS: Final = 12
_ROUTER_WORDS: Final = 2_000
_ROUTER_ROWS: Final = 3
"""Rows in which a word occurs before it counts."""
_ROUTER_MOST_ROWS: Final = 4_000
_PENALTIES: Final = (0.3, 1.0, 3.0, 10.0, 30.0)
_FOLDS: Final = 5
_STREAM: Final = 4_421


class Scores:
    """Posteriors of tiers given what earlier tiers said, fitted once each.

    Args:
        rows: FIT rows.
        groups: Tier -> answer value -> group.
        fits: Tier -> calibrators.
        tiers: Tiers that the router may foresee.
        routed: Rows with text that the router is fitted on: FIT and SEARCH rows; what is foreseen
            of them comes from routers that did not see them.
    """

    def __init__(
        self,
        rows: Profile,
        groups: Mapping[str, Mapping[str, str]],
        fits: Mapping[str, Fit],
        *,
        tiers: Sequence[str] = (),
        routed: Profile | None = None,
    ) -> None:
        if len(rows) > _MOST_ROWS:
            drawn = np.random.default_rng(_STREAM).permutation(len(rows))[:_MOST_ROWS]
            rows = rows.take(np.sort(drawn))
        self.rows, self.groups, self.fits = rows, groups, fits
        self._heard: dict[str, tuple[HeardAll, IntArray, tuple[str, ...]]] = {}
        self._posteriors: dict[tuple[tuple[str, ...], str], Posterior | None] = {}
        self.router, self.left_out = fit_router(rows if routed is None else routed, tiers)

    def keep(self, tiers: Collection[str]) -> None:
        """Let the router foresee these tiers alone."""
        if self.router is not None:
            self.router = msgspec.structs.replace(
                self.router,
                weights={n: w for n, w in self.router.weights.items() if n in tiers},
                offset={n: z for n, z in self.router.offset.items() if n in tiers},
            )

    @property
    def knows_answers(self) -> bool:
        """Claim that the rows tell what tiers answered, so that answers can agree."""
        return bool((self.rows.answer_class >= 0).any())

    def posterior(self, machines: tuple[str, ...], of: str | None = None) -> Posterior | None:
        """Give P(a tier is right) when the last of some tiers has answered, after the others.

        Args:
            machines: The tiers that were asked, in order.
            of: Whose being right is meant; the last one's own when absent.

        Returns:
            The fitted model; None where there is too little to fit it on.
        """
        key = (machines, of or machines[-1])
        if key not in self._posteriors:
            self._posteriors[key] = self._fitted(*key)
        return self._posteriors[key]

    def _fitted(self, machines: tuple[str, ...], of: str) -> Posterior | None:
        own, group, names = self._said(machines[-1])
        earlier = {name: self._said(name)[0] for name in machines[:-1]}
        right = 1.0 - self.rows.loss[:, self.rows.tiers.index(of)]
        usable = own.answered & ~np.isnan(own.probability) & ~np.isnan(right)
        if usable.sum() < _FEWEST or right[usable].min() == right[usable].max():
            return None
        kinds = ("same", "other", "for", "against")
        terms = ["own", *(f"group:{name}" for name in names[1:])]
        terms += [f"{kind}:{name}" for name in earlier for kind in kinds]
        values = np.column_stack([term_of(t, own, group, names, earlier)[usable] for t in terms])
        prior = np.zeros(len(terms))
        prior[0] = 1.0 if of == machines[-1] else 0.0
        weights, offset = _logistic(values, right[usable], prior)
        return Posterior(
            terms=tuple(terms),
            weights=tuple(float(w) for w in weights),
            offset=offset,
            n=int(usable.sum()),
        )

    def _said(self, name: str) -> tuple[HeardAll, IntArray, tuple[str, ...]]:
        if name not in self._heard:
            names = (DEFAULT_GROUP, *sorted(set(self.groups[name].values()) - {DEFAULT_GROUP}))
            column = self.rows.tiers.index(name)
            own, group = own_probabilities(
                self.fits[name], self.groups[name], names, self.rows, column
            )
            said = HeardAll(self.rows.answered[:, column], self.rows.answer_class[:, column], own)
            self._heard[name] = (said, group, names)
        return self._heard[name]


def _logistic(x: FloatArray, y: FloatArray, prior: FloatArray) -> tuple[FloatArray, float]:
    """Fit a logistic regression by Newton's method, drawn towards prior weights."""
    design = np.column_stack([x, np.ones(len(x))])
    pull = np.append(np.full(x.shape[1], _RIDGE), 1e-3)
    target = np.append(prior, 0.0)
    weights = target.copy()
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (p - y) + pull * (weights - target)
        curvature = (design * np.maximum(p * (1 - p), 1e-6)[:, None]).T @ design + np.diag(pull)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-6:  # noqa: PLR2004  converged
            break
    return weights[:-1], float(weights[-1])


def joined(one: Profile, other: Profile) -> Profile:
    """Give the texts and losses of two sets of rows, the second after the first."""
    return replace(
        one,
        row_ids=(*one.row_ids, *other.row_ids),
        loss=np.vstack([one.loss, other.loss]),
        text=(*(one.text or ()), *(other.text or ())),
        slices={},
        label=None,
    )


def fit_router(rows: Profile, tiers: Sequence[str]) -> tuple[Router | None, dict[str, FloatArray]]:
    """Fit what is foreseen from a text: ridge regression on words, then one logistic curve a tier.

    The penalty is chosen, and the curves are fitted, on rows that were left out of the regression.

    Args:
        rows: FIT rows, with text.
        tiers: Tiers to foresee.

    Returns:
        The router, None where there are too few rows or words; and tier -> what a router that did
        not see a row foresees of it, shape (n_rows,), NaN for rows that were not used.
    """
    columns = [rows.tiers.index(name) for name in tiers]
    right = 1.0 - rows.loss[:, columns]
    usable = np.flatnonzero(~np.isnan(right).any(axis=1))[:_ROUTER_MOST_ROWS]
    if not columns or len(usable) < _FEWEST or rows.text is None:
        return None, {}
    right = right[usable]
    words, rarity, table = _table([rows.text[i] for i in usable])
    if not words:
        return None, {}
    gram = np.asarray((table @ table.T).todense())
    fold = np.random.default_rng([_STREAM, 1]).permutation(len(usable)) % _FOLDS
    held = {penalty: _held_out(gram, right, fold, penalty) for penalty in _PENALTIES}
    best = min(held, key=lambda penalty: float(((held[penalty] - right) ** 2).mean()))
    middle = right.mean(axis=0)
    dual = np.linalg.solve(gram + best * np.eye(len(gram)), right - middle)
    linear = table.T @ dual
    weights, offset, left_out = {}, {}, {}
    for k, name in enumerate(tiers):
        x = (held[best][:, k] - middle[k])[:, None]
        spread = float(x.std()) or 1.0
        slope, start = _logistic(x / spread, right[:, k], np.zeros(1))
        slope = np.maximum(slope, 0.0) / spread
        weights[name] = tuple(float(w) for w in linear[:, k] * slope[0])
        offset[name] = start
        left_out[name] = np.full(len(rows), np.nan)
        left_out[name][usable] = logistic_all(start + x[:, 0] * slope[0])
    router = Router(words=words, rarity=rarity, weights=weights, offset=offset, n=len(usable))
    return router, left_out


def _held_out(gram: FloatArray, right: FloatArray, fold: IntArray, penalty: float) -> FloatArray:
    """Predict every row by a regression that did not see it."""
    out = np.empty_like(right)
    for k in range(_FOLDS):
        rest, mine = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        middle = right[rest].mean(axis=0)
        system = gram[np.ix_(rest, rest)] + penalty * np.eye(len(rest))
        out[mine] = middle + gram[np.ix_(mine, rest)] @ np.linalg.solve(
            system, right[rest] - middle
        )
    return out


def _table(
    texts: Sequence[str],
) -> tuple[tuple[str, ...], tuple[float, ...], sparse.csr_matrix]:
    """Give the words that count, how rare each is, and each text as a row of length 1."""
    counts = [Counter(words_of(text)) for text in texts]
    rows_with = Counter(word for count in counts for word in count)
    common = [word for word, n in rows_with.items() if n >= _ROUTER_ROWS]
    kept = sorted(sorted(common, key=lambda w: (-rows_with[w], w))[:_ROUTER_WORDS])
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
    return tuple(kept), tuple(rarity), sparse.csr_matrix((values, (lines, columns)), shape=shape)
