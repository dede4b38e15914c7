"""The policy as a table: one row a tier, with the smallest probability at which it may answer."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from feasible.schema.brief import TierKind
from feasible.schema.plan import DEFAULT_GROUP, Calibrator, Plan
from feasible.schema.profile import FloatArray

__all__ = ["Policy", "Step", "calibrate", "calibrate_all"]


@dataclass(frozen=True, slots=True)
class Step:
    """One tier of a policy.

    Attributes:
        name: Tier.
        kind: A person always answers (by taking the case); every other kind answers by threshold.
        thresholds: Answer group -> smallest probability that is accepted; above 1: never.
        groups: Answer value -> answer group; absent values are in group `*`.
        calibrators: Answer group -> calibrator; `*` serves groups without their own.
        p95_ms: Time that must be left for the tier to be entered. Milliseconds; None: not known,
        enter.
        worst_cost_usd: Most that one call can cost. Dollars; None: not known.
    """

    name: str
    kind: TierKind
    thresholds: Mapping[str, float]
    groups: Mapping[str, str] = field(default_factory=dict)
    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)
    p95_ms: float | None = None
    worst_cost_usd: float | None = None

    def group(self, value: str) -> str:
        """Give the answer group of an answer value."""
        return self.groups.get(value, DEFAULT_GROUP)

    def threshold(self, group: str) -> float:
        """Give the smallest probability accepted in a group."""
        found = self.thresholds.get(group)
        return self.thresholds[DEFAULT_GROUP] if found is None else found

    def probability(self, score: float | None, group: str) -> float | None:
        """Give calibrated P(this answer is right), or None without a calibrator for it."""
        calibrator = self.calibrators.get(group) or self.calibrators.get(DEFAULT_GROUP)
        return None if calibrator is None else calibrate(calibrator, score)


@dataclass(frozen=True, slots=True)
class Policy:
    """A cascade as a table.

    Attributes:
        steps: Tiers in the order in which they are asked.
        fallback: Slice or `default` -> tier that answers when time is up or every tier failed.
        deadline_ms: Time for the whole decision; None: no deadline.
        cost_each_usd: Enforced cap of one decision; None: no cap.
    """

    steps: tuple[Step, ...]
    fallback: Mapping[str, str] = field(default_factory=dict)
    deadline_ms: float | None = None
    cost_each_usd: float | None = None

    @classmethod
    def from_plan(cls, plan: Plan) -> Policy:
        """Take the table out of a plan."""
        return cls(
            steps=tuple(
                Step(
                    name=tier.name,
                    kind=tier.kind,
                    thresholds=tier.thresholds,
                    groups=tier.groups,
                    calibrators=tier.calibrators,
                    p95_ms=tier.latency_p95_ms,
                    worst_cost_usd=tier.worst_cost_usd,
                )
                for tier in plan.tiers
            ),
            fallback=plan.fallback,
            deadline_ms=plan.deadline_ms,
            cost_each_usd=plan.cost_each_usd,
        )

    def fallback_of(self, slices: tuple[str, ...]) -> str | None:
        """Give the fallback of the first slice that declares one, else the default, else None."""
        for name in slices:
            if name in self.fallback:
                return self.fallback[name]
        return self.fallback.get("default")


def calibrate(calibrator: Calibrator, score: float | None) -> float | None:
    """Turn one raw score into P(right); None when the calibrator needs a score and there is none.

    Examples:
        >>> rising = Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.5, 0.9), n=100)
        >>> calibrate(rising, 0.5), calibrate(rising, 2.0), calibrate(rising, None)
        (0.7, 0.9, None)
    """
    x, y = calibrator.x, calibrator.y
    if calibrator.method == "constant":
        return y[0]
    if score is None or score != score:  # noqa: PLR0124  NaN is the one value unequal to itself
        return None
    right = bisect.bisect_right(x, score)
    if right == 0:
        return y[0]
    if right == len(x):
        return y[-1]
    # Spelt as numpy.interp computes it, so that the array evaluator gives the same last bit; on a
    # point itself there is nothing to interpolate, and two points may lie too close for a slope.
    if score == x[right - 1]:
        return y[right - 1]
    slope = (y[right] - y[right - 1]) / (x[right] - x[right - 1])
    return slope * (score - x[right - 1]) + y[right - 1]


def calibrate_all(calibrator: Calibrator, scores: FloatArray) -> FloatArray:
    """Turn raw scores into P(right), shape kept; NaN where the score is NaN and one is needed."""
    if calibrator.method == "constant":
        return np.full(scores.shape, calibrator.y[0])
    out = np.interp(scores, calibrator.x, calibrator.y)
    return np.where(np.isnan(scores), np.nan, out)
