"""Writing a chosen policy down as a plan: everything that serving and checking it need."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from feasible.cascade import Policy
from feasible.planning.certify import Judged
from feasible.planning.chain import (
    Ingredients,
    cost_cap_usd,
    deadline_ms,
    policy_of,
    shares_of,
)
from feasible.planning.results import forecast_of
from feasible.schema import (
    DEFAULT_GROUP,
    Brief,
    Calibrator,
    CertificateLine,
    DataUsed,
    Plan,
    PlanTier,
    Router,
    TierKind,
    TierSpec,
    spend_limits,
)

__all__ = ["draft"]


def draft(
    kit: Ingredients,
    judged: Judged,
    lines: tuple[CertificateLine, ...],
    used: DataUsed,
    labels: tuple[str, ...],
    versions: Mapping[str, str],
    seed: int,
    now: datetime,
) -> Plan:
    """Write a policy down with its certificate.

    Args:
        kit: What it is made of.
        judged: The policy on the rows that certify.
        lines: Its certificate.
        used: Which rows were used for what.
        labels: The closed set of answers; empty when any value is valid.
        versions: Tier -> version.
        seed: What the split and the search were repeatable by.
        now: Time of the plan.
    """
    candidate, cert = judged.candidate, judged.sheet.profile
    policy = policy_of(candidate.chain, kit, candidate.thresholds)
    share = shares_of(candidate.chain, judged.exits, judged.exit_of_row)
    steps = [
        _cache_step(name, spec, versions)
        for name, spec in kit.specs.items()
        if spec.kind is TierKind.CACHE
    ]
    for step in policy.steps:
        column = cert.tiers.index(step.name) if step.name in cert.tiers else None
        took = np.array([]) if column is None else cert.latency_ms[:, column]
        took = took[~np.isnan(took)]
        steps.append(
            PlanTier(
                name=step.name,
                kind=step.kind,
                version=versions.get(step.name, "unversioned"),
                share=share.get(step.name, 0.0),
                thresholds=dict(step.thresholds),
                groups=dict(step.groups),
                calibrators=dict(step.calibrators),
                latency_p50_ms=float(np.median(took)) if len(took) else None,
                latency_p95_ms=step.p95_ms,
                cost_usd=kit.mean_usd.get(step.name),
                worst_cost_usd=step.worst_cost_usd,
                timeout_ms=step.timeout_ms,
                posterior=step.posterior,
                rival=step.rival,
                gated=step.gated,
            )
        )
    return Plan(
        id="",
        feature=kit.brief.name,
        brief_fingerprint="",
        made_at=now,
        tiers=tuple(steps),
        fallback=dict(policy.fallback),
        deadline_ms=deadline_ms(kit.brief),
        cost_each_usd=cost_cap_usd(kit.brief),
        forecast=forecast_of(judged, lines),
        certificate=lines,
        data=used,
        labels=labels,
        seed=seed,
        router=_router(kit, policy),
        spend=spend_limits(kit.brief),
        priority=_priority(kit.brief),
    ).with_id()


def _priority(brief: Brief) -> dict[str, float]:
    serving = brief.layers.serving
    return {} if serving is None else {name: x.mid for name, x in serving.priority.items()}


def _router(kit: Ingredients, policy: Policy) -> Router | None:
    """Give the router with what it foresees of the plan's gated tiers alone."""
    gated = [step.name for step in policy.steps if step.gated]
    return kit.scores.router_of(gated) if gated and kit.scores is not None else None


def _cache_step(name: str, spec: TierSpec, versions: Mapping[str, str]) -> PlanTier:
    """Give the step of an exact cache: it repeats an answer with its probability."""
    return PlanTier(
        name=name,
        kind=TierKind.CACHE,
        version=versions.get(name, "unversioned"),
        share=0.0,
        thresholds={DEFAULT_GROUP: 0.0},
        groups={},
        calibrators={DEFAULT_GROUP: Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=0)},
        latency_p50_ms=None,
        latency_p95_ms=None,
        cost_usd=spec.usd.mid if spec.usd is not None else None,
        worst_cost_usd=spec.usd.high if spec.usd is not None else None,
    )
