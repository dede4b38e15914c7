"""START HERE. The whole product as ordinary function calls.

A team writes a brief. We profile its tiers on labelled rows, plan a cascade with a certificate, and
replay the plan on other rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from feasible.folder import Feature
from feasible.planning import backtest as replay
from feasible.planning import plan_profile, profile_tiers, read_profile, write_profile
from feasible.registry import store
from feasible.schema import (
    Backtest,
    Brief,
    DataSet,
    Plan,
    PlanReport,
    brief_fingerprint,
    brief_of,
    dump_brief,
    load_brief,
    read_plan,
    write_json,
)
from feasible.tiers import FittableTier, Tier

__all__ = [
    "Progress",
    "backtest",
    "label_set",
    "plan",
    "plan_from_profile",
]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def plan(
    feature: Feature,
    *,
    data: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> PlanReport:
    """Profile every tier on the feature's rows and find the cheapest cascade that keeps the brief.

    The plan, its models and the profile are written to the feature's working folder.

    Args:
        feature: The feature.
        data: Name of one of its data sets; None for its default.
        seed: Makes every random choice repeatable.
        progress: Told how far the work is.
    """
    rows = feature.dataset(data)
    labels = label_set(rows)
    tiers = feature.tiers(labels)
    profiled = profile_tiers(
        tiers,
        rows.examples,
        labels=labels,
        loss=feature.loss(),
        person_loss=feature.person_loss(),
        seed=seed,
        progress=progress,
    )
    write_profile(profiled.profile, feature.profile_path)
    report = plan_profile(
        feature.brief,
        profiled.profile,
        data=rows.name,
        synthetic=rows.synthetic,
        labels=labels,
        versions={name: tier.version for name, tier in profiled.fitted.items()},
        seed=seed,
        progress=progress,
    )
    report = _complete(report, feature.brief, profiled.fitted, feature.work)
    write_json(report, feature.report_path)
    if report.plan is not None:
        write_json(report.plan, feature.plan_path)
    return report


def plan_from_profile(brief_path: Path, profile_path: Path, *, seed: int = 0) -> PlanReport:
    """Plan from logged outcomes alone, with no tier code.

    Args:
        brief_path: Brief; `feasible`, `name`, `goal` and `envelope` are enough.
        profile_path: Parquet or CSV, one line per row and tier.
        seed: Makes every random choice repeatable.
    """
    brief = load_brief(brief_path).brief
    report = plan_profile(
        brief, read_profile(profile_path), data=profile_path.name, synthetic=False, seed=seed
    )
    return _complete(report, brief, {}, None)


def backtest(plan_path: Path, profile_path: Path) -> Backtest:
    """Replay a fixed plan on other rows and say which promises it kept there."""
    fixed = read_plan(plan_path)
    return replay(fixed, brief_of(fixed).brief, read_profile(profile_path))


def label_set(rows: DataSet) -> tuple[str, ...]:
    """Give the closed set of answers, when every label is a word; empty otherwise."""
    values = {row.label for row in rows.examples if row.label is not None}
    return tuple(sorted(values)) if all(isinstance(value, str) for value in values) else ()


def _complete(
    report: PlanReport, brief: Brief, fitted: dict[str, Tier], work: Path | None
) -> PlanReport:
    """Add to the plans of a report what they need to stand alone: brief, models and id."""
    models = {name: tier for name, tier in fitted.items() if isinstance(tier, FittableTier)}

    def whole(made: Plan | None) -> Plan | None:
        if made is None:
            return None
        steps = tuple(
            msgspec.structs.replace(step, model=store(models[step.name], work, name=step.name))
            if work is not None and step.name in models
            else step
            for step in made.tiers
        )
        return msgspec.structs.replace(
            made,
            tiers=steps,
            brief_yaml=dump_brief(brief),
            brief_fingerprint=brief_fingerprint(brief),
        ).with_id()

    plan_now, partial = whole(report.plan), whole(report.fallback_plan)
    return msgspec.structs.replace(report, plan=plan_now, fallback_plan=partial)
