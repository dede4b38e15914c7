"""The policy as a table: one row a tier, with the smallest probability at which it may answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from feasible.cascade.calibrate import calibrate
from feasible.cascade.comparisons import reaches
from feasible.cascade.posterior import Heard, gain, posterior_of
from feasible.schema.brief import TierKind, TierSpec
from feasible.schema.plan import DEFAULT_GROUP, Calibrator, Plan, Posterior

__all__ = ["Policy", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One tier of a policy.

    Attributes:
        name: Tier.
        kind: A person always answers (by taking the case); every other kind answers by threshold.
        thresholds: Answer group -> smallest probability that is accepted; above 1: never.
        groups: Answer value -> answer group; absent values are in group `*`.
        calibrators: Answer group -> calibrator; `*` serves groups without their own.
        p95_ms: Time that most of its calls take. Milliseconds; None: not known, enter.
        worst_cost_usd: Most that one call can cost. Dollars; None: not known.
        timeout_ms: Longest that one call may take. Milliseconds; None: as long as time is left.
        posterior: How the answer's probability follows from all that was heard; None: from its
            score alone.
        rival: P(the next tier is right), to be weighed against.
        gated: Whether the router decides if the tier is asked. Thresholds are on what it foresees,
            and any answer of a tier that was asked is given.
    """

    name: str
    kind: TierKind
    thresholds: Mapping[str, float]
    groups: Mapping[str, str] = field(default_factory=dict)
    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)
    p95_ms: float | None = None
    worst_cost_usd: float | None = None
    timeout_ms: float | None = None
    posterior: Posterior | None = None
    rival: Posterior | None = None
    gated: bool = False

    @property
    def needs_ms(self) -> float:
        """Give the time that must be left for the tier to be entered: no more than its timeout."""
        needs_ms = self.p95_ms or 0.0
        return needs_ms if self.timeout_ms is None else min(needs_ms, self.timeout_ms)

    def group(self, value: str) -> str:
        """Give the answer group of an answer value."""
        return self.groups.get(value, DEFAULT_GROUP)

    def threshold(self, group: str) -> float:
        """Give the smallest probability accepted in a group."""
        found = self.thresholds.get(group)
        return self.thresholds[DEFAULT_GROUP] if found is None else found

    def probability(self, score: float | None, group: str) -> float | None:
        """Give calibrated P(right) from the score alone, or None without a calibrator for it."""
        calibrator = self.calibrators.get(group) or self.calibrators.get(DEFAULT_GROUP)
        return None if calibrator is None else calibrate(calibrator, score)

    def judged(self, own: Heard, earlier: Mapping[str, Heard]) -> float | None:
        """Give the probability that thresholds are compared with.

        Args:
            own: What this tier said, with its calibrated probability.
            earlier: Tier -> what it said, of those asked before that answered.
        """
        if self.posterior is None:
            return own.probability
        group = self.group(own.value)
        found = posterior_of(self.posterior, own, group, earlier)
        if self.rival is None or found is None:
            return found
        other = posterior_of(self.rival, own, group, earlier)
        return None if other is None else gain(found, other)

    def foresees(self, foreseen: Mapping[str, float]) -> bool:
        """Claim that the tier may be asked: it is not gated, or enough is foreseen of it."""
        return not self.gated or reaches(
            foreseen.get(self.name, -1.0), self.threshold(DEFAULT_GROUP)
        )


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
    def from_plan(cls, plan: Plan, specs: Iterable[TierSpec] = ()) -> Policy:
        """Take the table out of a plan.

        Args:
            plan: The plan.
            specs: What the brief declares about tiers: whose timeout counts where the plan, made
                before plans kept it, has none.
        """
        timeouts = {spec.name: spec.timeout.ms for spec in specs if spec.timeout is not None}
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
                    timeout_ms=timeouts.get(tier.name)
                    if tier.timeout_ms is None
                    else tier.timeout_ms,
                    posterior=tier.posterior,
                    rival=tier.rival,
                    gated=tier.gated,
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
