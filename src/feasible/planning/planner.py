"""From a profile to a plan with its certificate, or to the reason why there is none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np

from feasible.cascade import Policy
from feasible.planning.calibration import Fit, answer_groups, fit_calibrators, held_out
from feasible.planning.certify import Judged, certify, certify_in_part
from feasible.planning.chain import (
    Ingredients,
    cost_cap_usd,
    deadline_ms,
    labelled_rows,
    policy_of,
    probabilities,
    shares_of,
)
from feasible.planning.checks import check_objectives, check_profile
from feasible.planning.constraints import unjudged
from feasible.planning.depth import shallowest
from feasible.planning.evidence import evidence_schedule, minimum_evidence, unshowable
from feasible.planning.gaps import filled
from feasible.planning.infeasible import explain, structural
from feasible.planning.leftout import usable_tiers
from feasible.planning.results import comparisons_of, forecast_of, frontier_points, slices_of
from feasible.planning.scores import Scores, joined
from feasible.planning.screening import screened
from feasible.planning.search import search
from feasible.planning.sequence import sequence_of
from feasible.planning.sheet import Sheet
from feasible.planning.splits import Split, split_rows
from feasible.schema import (
    DEFAULT_GROUP,
    Brief,
    Calibrator,
    CertificateLine,
    DataUsed,
    FloatArray,
    IntArray,
    LeftOut,
    Plan,
    PlanReport,
    PlanTier,
    Profile,
    Router,
    TierKind,
    TierSpec,
)

__all__ = ["plan_profile"]

_SEARCH_ROWS: Final = 50_000
"""Rows that are searched at most; rare slices keep theirs."""

Progress = Callable[[str, int, int], None]


def plan_profile(
    brief: Brief,
    profile: Profile,
    *,
    data: str,
    synthetic: bool,
    labels: tuple[str, ...] = (),
    versions: Mapping[str, str] | None = None,
    worst_usd: Mapping[str, float | None] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> PlanReport:
    """Find the cheapest cascade that keeps a brief, and certify it.

    Args:
        brief: The declaration.
        profile: What every tier would have answered to every row.
        data: Name of the rows, for reports.
        synthetic: Whether they were made up.
        labels: The closed set of answers; empty when any value is valid.
        versions: Tier -> version; a certificate expires when one changes.
        worst_usd: Tier -> the most that one call can cost, where the tier enforces it; the brief's
            `usd` counts as such too. Without one the bound on cost is asymptotic and says so.
        seed: Makes the split and the search repeatable.
        progress: Told what is done, how much, of how much.
        now: Time of the plan, for dates; the present when absent.

    Raises:
        DataError: The rows cannot be planned from.
    """
    now = now or datetime.now(UTC)
    check_profile(profile)
    check_objectives(brief, profile)
    specs = {tier.name: tier for tier in brief.layers.tiers}
    split = split_rows(profile, seed=seed)
    profile, filled_in = filled(brief, specs, profile, judging=split.cert)
    fit, cert = profile.take(split.fit), profile.take(split.cert)
    searched, stands_for = _subsample(profile, split.search, seed)
    found = profile.take(searched)
    usable, left_out = usable_tiers(brief, specs, profile)
    kit = _ingredients(brief, specs, profile, split, fit, usable, worst_usd or {})
    kit = replace(kit, fits=_held_out_fits(kit, found), scores=_scores(kit, fit, found))
    foreseen = _foreseen(kit, 0, len(fit))
    everything, kit = kit, screened(kit, Sheet(kit, fit, foreseen=foreseen))
    again = Sheet(kit, fit, foreseen=foreseen)
    judging = Sheet(kit, cert)
    report = PlanReport(
        feasible=False,
        plan=None,
        forecast=None,
        certificate=(),
        frontier=(),
        minimum_evidence=minimum_evidence(brief),
        left_out=(*left_out, *_without_fit(usable, kit)),
        comparisons=comparisons_of(everything, profile, cert),
        notes=(
            *(f"{name}: {why}" for name, why in unjudged(brief)),
            *_empty_slices(brief, profile),
            *filled_in,
            *_partly_labelled(kit, profile),
        ),
        extras={"evidence": evidence_schedule(brief, today=now.date())},
    )
    blocked = structural(everything, found)
    if blocked is not None:
        return msgspec.structs.replace(report, infeasible=blocked)
    ahead = _foreseen(kit, len(fit), len(found))
    sheet = Sheet(kit, found, stands_for=stands_for, foreseen=ahead)
    candidates = search(
        kit,
        sheet,
        n_cert=len(cert),
        progress=None if progress is None else lambda i, n: progress("searching plans", i, n),
    )
    too_few = unshowable(brief, cert, labelled_rows(kit, cert))
    sequence = sequence_of(candidates, sheet, again, n_cert=len(cert), apart=too_few)
    sequence = shallowest(sequence, candidates, sheet)
    judged = certify(sequence, judging)
    passed = [one for one in judged if one.passed]
    partial = None if passed else certify_in_part(sequence, judging)
    chosen = passed[-1] if passed else partial or judged[0]
    lines = chosen.lines()
    used = DataUsed(
        name=data,
        synthetic=synthetic,
        fingerprint=_fingerprint(profile),
        n_fit=len(fit),
        n_search=len(found),
        n_cert=len(cert),
        split=split.how,
    )
    extras = {"slices": slices_of(chosen, cert), "calibration": _calibration(everything)}
    report = msgspec.structs.replace(
        report,
        feasible=bool(passed),
        forecast=forecast_of(chosen, lines),
        certificate=lines,
        frontier=frontier_points(candidates, sheet, chosen.candidate),
        extras={**report.extras, **extras},
    )
    made = _plan(kit, chosen, lines, used, labels, versions or {}, seed, now)
    if passed:
        return msgspec.structs.replace(report, plan=made)
    why = explain(kit, judged[0], sheet, len(cert), too_few=too_few, today=now.date())
    return msgspec.structs.replace(
        report, infeasible=why, fallback_plan=None if partial is None else made
    )


def _subsample(profile: Profile, rows: IntArray, seed: int) -> tuple[IntArray, FloatArray]:
    """Take some SEARCH rows when there are very many, and every row of a rare slice.

    Returns:
        Row numbers, and the rows that each of them stands for.
    """
    if len(rows) <= _SEARCH_ROWS:
        return rows, np.ones(len(rows))
    share = np.full(len(rows), _SEARCH_ROWS / len(rows))
    for member in profile.slices.values():
        inside = member[rows]
        if inside.mean() < 0.05:  # noqa: PLR2004  rare
            share[inside] = 1.0
    keep = np.random.default_rng([_SEARCH_ROWS, seed]).random(len(rows)) < share
    return rows[keep], 1.0 / share[keep]


def _ingredients(
    brief: Brief,
    specs: Mapping[str, TierSpec],
    profile: Profile,
    split: Split,
    fit: Profile,
    usable: Sequence[str],
    enforced: Mapping[str, float | None],
) -> Ingredients:
    seen = profile.take(np.sort(np.concatenate([split.fit, split.search])))
    groups: dict[str, dict[str, str]] = {}
    fits: dict[str, Fit] = {}
    p95: dict[str, float | None] = {}
    mean: dict[str, float | None] = {}
    worst: dict[str, float | None] = {}
    answered: dict[str, float] = {}
    capped: set[str] = set()
    person = next((n for n, s in specs.items() if s.kind is TierKind.PERSON), None)
    for name in profile.tiers:
        column = profile.tiers.index(name)
        price = seen.cost_usd[:, column]
        known = price[~np.isnan(price)]
        declared = specs[name].usd if name in specs else None
        ceiling = enforced.get(name) or (declared.high if declared is not None else None)
        mean[name] = float(known.mean()) if len(known) else None
        worst[name] = ceiling if ceiling is not None else _highest(known)
        capped |= {name} if ceiling is not None else set()
        answered[name] = float(seen.answered[:, column].mean())
        took = seen.latency_ms[:, column]
        took = took[~np.isnan(took)]
        p95[name] = float(np.quantile(took, 0.95)) if len(took) else None
        if name in usable:
            groups[name] = answer_groups(brief, seen, column)
            fitted = fit_calibrators(fit, column, groups[name])
            if fitted is not None:
                fits[name] = fitted
    declared = specs[person].usd if person is not None else None
    if person is not None and mean.get(person) is None and declared is not None:
        mean[person], worst[person] = declared.mid, declared.high
    machines = sorted(fits, key=lambda n: (mean[n] or 0.0, p95[n] or 0.0))
    return Ingredients(
        brief=brief,
        specs=specs,
        groups=groups,
        fits=fits,
        machines=tuple(machines),
        person=person,
        p95_ms=p95,
        mean_usd=mean,
        worst_usd=worst,
        capped=frozenset(capped),
        answered=answered,
    )


def _highest(prices: FloatArray) -> float | None:
    return float(prices.max()) if len(prices) else None


def _without_fit(usable: Sequence[str], kit: Ingredients) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(tier=name, because="it answered no labelled row")
        for name in usable
        if name not in kit.fits
    )


def _partly_labelled(kit: Ingredients, profile: Profile) -> list[str]:
    """Say which labelled rows are not used, because some tier's answer there was not judged."""
    known = ~np.isnan(profile.loss).all(axis=1)
    unused = int((known & ~labelled_rows(kit, profile)).sum())
    why = "who answers them would decide whether they count"
    told = f"{unused:,} rows with a loss for some tiers only judge no quality: {why}"
    return [told] if unused else []


def _empty_slices(brief: Brief, profile: Profile) -> list[str]:
    return [
        f"no row is in slice `{name}`, which is {share} of traffic: nothing here is shown for it"
        for name, share in brief.traffic.slices.items()
        if name not in profile.slices or not profile.slices[name].any()
    ]


def _fingerprint(profile: Profile) -> str:
    digest = hashlib.sha256("\n".join(profile.row_ids).encode())
    for values in (profile.loss, profile.score, profile.cost_usd):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _held_out_fits(kit: Ingredients, rows: Profile) -> dict[str, Fit]:
    """Judge every tier's probabilities on rows that fitted no calibrator."""
    out = {}
    for name, fit in kit.fits.items():
        column = rows.tiers.index(name)
        right = 1.0 - rows.loss[:, column]
        usable = rows.answered[:, column] & ~np.isnan(right)
        out[name] = held_out(fit, probabilities(kit, name, rows)[0][usable], right[usable])
    return out


def _scores(kit: Ingredients, fit: Profile, found: Profile) -> Scores:
    """Fit what thresholds may stand on besides scores; a router of tiers that answer every row."""
    always = [name for name in kit.machines if kit.answered.get(name, 0.0) >= 1.0]
    routed = None if fit.text is None else joined(fit, found)
    return Scores(fit, kit.groups, kit.fits, tiers=always, routed=routed)


def _foreseen(kit: Ingredients, first: int, count: int) -> dict[str, FloatArray] | None:
    """Give what routers that did not see some of FIT and SEARCH rows foresee of them."""
    if kit.scores is None or not kit.scores.left_out:
        return None
    return {name: values[first : first + count] for name, values in kit.scores.left_out.items()}


def _calibration(kit: Ingredients) -> dict[str, dict[str, float]]:
    return {
        name: {"brier": round(fit.brier, 5), "ece": round(fit.ece, 5), "n": fit.n}
        for name, fit in kit.fits.items()
    }


def _plan(
    kit: Ingredients,
    judged: Judged,
    lines: tuple[CertificateLine, ...],
    used: DataUsed,
    labels: tuple[str, ...],
    versions: Mapping[str, str],
    seed: int,
    now: datetime,
) -> Plan:
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
    ).with_id()


def _router(kit: Ingredients, policy: Policy) -> Router | None:
    """Give the router with what it foresees of the plan's gated tiers alone."""
    gated = [step.name for step in policy.steps if step.gated]
    if not gated or kit.scores is None or kit.scores.router is None:
        return None
    found = kit.scores.router
    return msgspec.structs.replace(
        found,
        weights={name: found.weights[name] for name in gated},
        offset={name: found.offset[name] for name in gated},
    )


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
