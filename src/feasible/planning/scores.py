"""What thresholds may stand on besides a tier's own score, fitted on FIT rows as it is asked for.

Three more ways to tell when an answer may be given: the posterior given what earlier tiers said,
which gives a probability to tiers that have none; how much surer an answer is than the next one
would be; and what a router foresees from the text before a tier is asked. Which of them is used is
decided on SEARCH rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from feasible.cascade import HeardAll, term_of
from feasible.planning.calibration import Fit, own_probabilities
from feasible.planning.foresight import fit_router
from feasible.planning.logistic import fit_logistic
from feasible.schema import DEFAULT_GROUP, IntArray, Posterior, Profile, Router

__all__ = ["Scores"]

_FEWEST: Final = 100
"""Labelled rows below which nothing more than a calibrator is fitted."""
_MOST_ROWS: Final = 50_000
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
        self.router = self.router_of(tiers)

    def router_of(self, tiers: Collection[str]) -> Router | None:
        """Give the router with what it foresees of some tiers alone; None without one."""
        if self.router is None:
            return None
        return msgspec.structs.replace(
            self.router,
            weights={n: w for n, w in self.router.weights.items() if n in tiers},
            presence={n: w for n, w in self.router.presence.items() if n in tiers},
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
        weights, offset = fit_logistic(values, right[usable], prior)
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
