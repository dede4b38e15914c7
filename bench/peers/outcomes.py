"""What every row would get at every exit of a chain, and which promises that keeps.

Kept apart from the product's own definitions, so that one checks the other. Rows weigh the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feasible.planning import percentile_of
from feasible.schema import BoolArray, Brief, FloatArray, IntArray, Objective, Profile, TierKind

__all__ = ["Outcomes", "outcomes", "person_of"]


@dataclass(frozen=True)
class Outcomes:
    """A chain's exits, in the order in which they are asked; the last one takes what is left.

    Attributes:
        chain: Tiers in that order; a person comes last, if at all.
        usd: shape (n_rows, n_exits). Everything asked until that exit.
        ids: The promises.
        is_floor: By promise, whether it is a floor on a rate of rows without a miss.
        limits: By promise, the largest mean loss.
        loss: By promise, shape (n_rows, n_exits). 0 to 1; dollars for a mean cost.
        counts: By promise, shape (n_rows, n_exits).
    """

    chain: tuple[str, ...]
    usd: FloatArray
    ids: tuple[str, ...]
    is_floor: tuple[bool, ...]
    limits: tuple[float, ...]
    loss: tuple[FloatArray, ...]
    counts: tuple[BoolArray, ...]

    def excess(self, position: int) -> FloatArray:
        """Give, by row and exit, loss - limit where the row counts; a promise holds at sum <= 0."""
        return np.where(self.counts[position], self.loss[position] - self.limits[position], 0.0)

    def value(self, position: int, exit_of_row: IntArray) -> float:
        """Give the mean loss of the rows that count; NaN when none does."""
        rows = np.arange(len(exit_of_row))
        counted = self.counts[position][rows, exit_of_row]
        losses = self.loss[position][rows, exit_of_row][counted]
        return float(losses.mean()) if len(losses) else float("nan")

    def misses(self, position: int, exit_of_row: IntArray) -> tuple[float, int]:
        """Give the sum of losses and the number of rows that count."""
        rows = np.arange(len(exit_of_row))
        counted = self.counts[position][rows, exit_of_row]
        return float(self.loss[position][rows, exit_of_row][counted].sum()), int(counted.sum())

    def broken(self, exit_of_row: IntArray) -> tuple[str, ...]:
        """Give the promises whose value is on the wrong side of its limit."""
        return tuple(
            name
            for j, name in enumerate(self.ids)
            if self.value(j, exit_of_row) > self.limits[j] + 1e-12
        )

    def cost_usd(self, exit_of_row: IntArray) -> float:
        """Give the mean dollars a decision."""
        return float(self.usd[np.arange(len(exit_of_row)), exit_of_row].mean())


def person_of(brief: Brief) -> str | None:
    """Give the name of the brief's person, or None."""
    return next((t.name for t in brief.layers.tiers if t.kind is TierKind.PERSON), None)


def outcomes(brief: Brief, profile: Profile, chain: Sequence[str]) -> Outcomes:
    """Walk every row to every exit of a chain.

    Args:
        brief: Promises (accuracy, recall of a class or on a slice, a score of the feature's own,
            a latency percentile, a mean cost) and, if it has one, the person.
        profile: The rows.
        chain: Tiers of the profile, and the brief's person at most at the end.
    """
    person = person_of(brief)
    columns = [profile.tiers.index(name) for name in chain if name != person]
    loss, usd = profile.loss[:, columns], profile.cost_usd[:, columns]
    took, given = profile.latency_ms[:, columns], profile.answer_class[:, columns]
    if person is not None and chain[-1] == person:
        spec = next(t for t in brief.layers.tiers if t.name == person)
        n = len(profile)
        error = 0.0 if spec.error_rate is None else spec.error_rate.mid
        price = np.nan if spec.usd is None else spec.usd.mid
        known = np.where(np.isnan(profile.loss).all(axis=1), np.nan, error)
        loss = np.column_stack([loss, known])
        usd = np.column_stack([usd, np.full(n, price)])
        took = np.column_stack([took, np.full(n, np.nan)])
        given = np.column_stack([given, np.full(n, -1)])
    usd, took = usd.cumsum(axis=1), took.cumsum(axis=1)
    made = [_judged(o, profile, loss, usd, took, given) for o in brief.envelope]
    return Outcomes(
        chain=tuple(chain),
        usd=usd,
        ids=tuple(o.id for o in brief.envelope),
        is_floor=tuple(not o.is_ceiling for o in brief.envelope),
        limits=tuple(limit for _, _, limit in made),
        loss=tuple(found for found, _, _ in made),
        counts=tuple(counts for _, counts, _ in made),
    )


def _judged(
    objective: Objective,
    profile: Profile,
    loss: FloatArray,
    usd: FloatArray,
    took: FloatArray,
    given: IntArray,
) -> tuple[FloatArray, BoolArray, float]:
    """Give loss, which rows count, and the largest mean loss."""
    promised = 0.0 if objective.limit is None else objective.limit.mid
    inside = np.ones(len(profile), dtype=np.bool_)
    if objective.on is not None:
        inside = profile.slices[objective.on]
    if objective.kind == "cost" and objective.measure == "mean":
        return np.nan_to_num(usd), inside[:, None] & ~np.isnan(usd), promised
    if objective.kind == "latency":
        q = percentile_of(objective)
        if q is None:
            raise ValueError(f"{objective.id}: only percentiles are compared")
        late = (np.nan_to_num(took) > promised * 1e3).astype(np.float64)
        return late, inside[:, None] & ~np.isnan(took), 1 - q
    if objective.kind != "quality" or objective.is_ceiling or objective.measure == "precision":
        raise ValueError(f"{objective.id}: this promise is not compared")
    if objective.measure == "recall" and objective.of is not None:
        positive = profile.truth.among(frozenset({objective.of}))
        inside = inside & positive
        known = np.array([name == objective.of for name in profile.classes] + [False])
        hit = known[given] | ((given < 0) & (loss == 0))
        # A person's declared error rate stays what it is; so does an unlabelled row's NaN.
        missed = np.where((given < 0) & ~np.isnan(loss), loss, np.where(hit, 0.0, 1.0))
        loss = np.where(np.isnan(loss), np.nan, missed)
    return np.nan_to_num(loss), inside[:, None] & ~np.isnan(loss), 1 - promised
