"""From a profile to a plan with its certificate, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import numpy as np

from feasible.planning.agreement import agreed, agreement_notes, without_people
from feasible.planning.attempt import Rows, attempt
from feasible.planning.chain import Ingredients, labelled_rows
from feasible.planning.checks import check_objectives, check_profile
from feasible.planning.constraint import unjudged
from feasible.planning.drafting import draft
from feasible.planning.entities import blocks_of
from feasible.planning.evidence import (
    evidence_schedule,
    minimum_evidence,
    rows_to_judge,
    unshowable,
)
from feasible.planning.gaps import filled
from feasible.planning.infeasible import explain, structural
from feasible.planning.ingredients import foreseen_of, ingredients_of
from feasible.planning.labels import fair_labels, least_chance
from feasible.planning.leftout import rarely_judged, usable_tiers
from feasible.planning.looks import at_look, looked_again, retrained, used_rows
from feasible.planning.relaxing import relaxed
from feasible.planning.repeats import with_repeats
from feasible.planning.results import (
    chosen_by_value,
    comparisons_of,
    forecast_of,
    frontier_points,
    slices_of,
)
from feasible.planning.screening import screened
from feasible.planning.shadow import shadow_prices
from feasible.planning.sheet import Sheet
from feasible.planning.splits import Split, split_rows
from feasible.planning.traffic_mix import Mix
from feasible.planning.value import require_worth
from feasible.planning.yardstick import entity_sizes
from feasible.schema import (
    Brief,
    FloatArray,
    IntArray,
    LeftOut,
    Look,
    PlanReport,
    Profile,
    Schedule,
)

__all__ = ["plan_profile"]

_SEARCH_ROWS: Final = 50_000
"""Rows that are searched at most; rare slices keep theirs."""

_COMPARED_ROWS: Final = 100_000
"""CERT rows on which what a team would otherwise do is judged at most."""
_FIT_ROWS: Final = 100_000
"""Rows that scores are fitted on at most."""

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
    looks: Sequence[Look] = (),
    schedule: Schedule = "one",
    choose: Literal["cost", "value"] = "cost",
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
        worst_usd: Tier -> the most that one call can cost, where the tier enforces it. With the
            brief's `usd`, or with neither, the bound on cost is asymptotic and says so, unless
            `cost: each` caps every decision.
        seed: Makes the split and the search repeatable.
        looks: Certificates that this feature had before.
        schedule: `one` look at full delta, or one of `many` that keep the declared levels together.
        choose: Whether the cheapest certified plan is given, or the one that is worth most per
            decision by the brief's own numbers, on SEARCH rows.
        progress: Told what is done, how much, of how much.
        now: Time of the plan, for dates; the present when absent.

    Raises:
        DataError: The rows cannot be planned from.
        BriefError: A plan is to be chosen by value, and the brief gives no worth.
    """
    if choose == "value":
        require_worth(brief)
    now = now or datetime.now(UTC)
    check_profile(profile)
    brief, profile = agreed(brief, profile)
    profile, unjudging = fair_labels(brief, profile)
    profile, repeated = with_repeats(profile)
    check_objectives(brief, profile)
    specs, people = without_people({tier.name: tier for tier in brief.layers.tiers}, profile)
    split = split_rows(profile, seed=seed)
    profile, filled_in = filled(brief, specs, profile, judging=split.cert)
    searched, stands_for = _subsample(profile, split.search, seed)
    found, cert = profile.take(searched), profile.take(split.cert)
    is_shared = split.fit is split.search
    fitted = searched if is_shared else _at_most(split.fit, _FIT_ROWS, seed)
    fit = found if is_shared else profile.take(fitted)
    usable, left_out = usable_tiers(brief, specs, profile)
    early = np.union1d(split.fit, split.search)
    usable, scarce = rarely_judged(brief, profile, usable, early)
    used = used_rows(
        profile,
        split,
        name=data,
        synthetic=synthetic,
        searched=searched,
        fitted=fitted,
        looks=looks,
        schedule=schedule,
    )
    brief = at_look(brief, used)
    everything = ingredients_of(brief, specs, profile, split, fit, found, usable, worst_usd or {})
    with_others = blocks_of(profile) is not None or profile.propensity is not None
    others = profile.take(_learning(split)) if with_others else None
    kit, rows = _rows(everything, fit, found, cert, stands_for, others)
    report = PlanReport(
        feasible=False,
        plan=None,
        forecast=None,
        certificate=(),
        frontier=(),
        data=used,
        minimum_evidence=minimum_evidence(brief),
        left_out=(
            *left_out,
            *scarce,
            *people,
            *_without_fit(usable, everything),
            *_screened_out(everything, kit),
        ),
        comparisons=comparisons_of(
            everything, profile, cert.take(_at_most(np.arange(len(cert)), _COMPARED_ROWS, seed))
        ),
        notes=(
            *agreement_notes(profile),
            *(f"{name}: {why}" for name, why in unjudged(brief)),
            *_empty_slices(brief, profile),
            *_overlaps(brief, cert),
            *filled_in,
            *unjudging,
            *repeated,
            *_partly_labelled(kit, profile),
        ),
        extras={"evidence": evidence_schedule(brief, today=now.date())},
    )
    too_few = unshowable(brief, rows_to_judge(brief, cert, rows.cert.labelled))
    blocked = structural(rows.search if kit is everything else Sheet(everything, found))
    if blocked is not None:
        blocked = relaxed(kit, rows, blocked, too_few=too_few, progress=progress)
        return msgspec.structs.replace(report, infeasible=blocked)
    made = attempt(
        kit,
        rows,
        too_few=too_few,
        progress=None if progress is None else lambda i, n: progress("searching plans", i, n),
    )
    chosen, told = made.chosen, list[str]()
    if choose == "value" and made.passed:
        chosen, told = chosen_by_value(made.passed, rows.search)
    lines = chosen.lines()
    extras: dict[str, Any] = {"calibration": _calibration(everything)}
    if profile.agreed_with is None:  # else nothing is known about being right
        extras["slices"] = slices_of(chosen, cert)
    report = msgspec.structs.replace(
        report,
        feasible=bool(made.passed),
        notes=(
            *report.notes,
            *told,
            *looked_again(chosen, used, looks),
            *retrained(brief, used),
        ),
        forecast=forecast_of(chosen, lines),
        certificate=lines,
        frontier=frontier_points(made.candidates, rows.search, chosen.candidate),
        shadow_prices=shadow_prices(chosen.candidate, rows.search, n_cert=len(cert)),
        extras={**report.extras, **extras},
    )
    plan = draft(kit, chosen, lines, used, labels, versions or {}, seed, now)
    if made.passed:
        plan = msgspec.structs.replace(plan, chosen_by=choose).with_id()
        return msgspec.structs.replace(report, plan=plan)
    why = explain(kit, made.judged[0], rows, too_few=too_few, today=now.date())
    why = relaxed(kit, rows, why, too_few=too_few, progress=progress)
    if made.partial is None:
        return msgspec.structs.replace(report, infeasible=why)
    later = tuple(line.objective for line in lines if not line.holds)
    if why.kind == "evidence" and set(later) <= set(why.labels_needed):
        plan = msgspec.structs.replace(plan, not_promised=later)
    return msgspec.structs.replace(report, infeasible=why, fallback_plan=plan)


def _rows(
    kit: Ingredients,
    fit: Profile,
    found: Profile,
    cert: Profile,
    stands_for: FloatArray,
    others: Profile | None,
) -> tuple[Ingredients, Rows]:
    """Lay the three sets of rows out, for the tiers that are worth making orders of.

    How heavy an entity or a row may be is measured on all the other rows, FIT and SEARCH.
    """
    foreseen = foreseen_of(kit, 0, len(fit))
    kit = screened(kit, Sheet(kit, fit, foreseen=foreseen))
    ahead = foreseen_of(kit, 0 if fit is found else len(fit), len(found))
    search = Sheet(kit, found, stands_for=stands_for, foreseen=ahead)
    fitted = search if fit is found else Sheet(kit, fit, foreseen=foreseen)
    if others is None:
        return kit, Rows(fitted, search, Sheet(kit, cert))
    sizes = entity_sizes(kit.brief, others, labelled_rows(kit, others))
    judging = Sheet(kit, cert, sizes=sizes, least=least_chance(others))
    return kit, Rows(fitted, search, judging)


def _learning(split: Split) -> IntArray:
    """Give the rows that fit or search."""
    return split.fit if split.fit is split.search else np.concatenate([split.fit, split.search])


def _at_most(rows: IntArray, most: int, seed: int) -> IntArray:
    """Take some rows at random where there are more than enough."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([most, seed]).permutation(rows)[:most])


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


def _without_fit(usable: Sequence[str], kit: Ingredients) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(tier=name, because="it answered no labelled row")
        for name in usable
        if name not in kit.fits
    )


def _screened_out(before: Ingredients, after: Ingredients) -> tuple[LeftOut, ...]:
    why = "of very many tiers it adds least: a cheaper one does as well, on the fitting rows"
    return tuple(
        LeftOut(tier=name, because=why) for name in before.machines if name not in after.machines
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


def _overlaps(brief: Brief, cert: Profile) -> list[str]:
    """Say which declared shares give rows no weight, because an earlier slice has some of them."""
    mix = Mix.of(brief, cert, np.ones(len(cert), dtype=np.bool_))
    return [
        f"slice `{name}`: its share of {brief.traffic.slices[name]} weighs no row, since {both:,} "
        f"of its {int(cert.slices[name].sum()):,} CERT rows are in a slice declared before it"
        for name, both in mix.overlaps.items()
    ]


def _calibration(kit: Ingredients) -> dict[str, dict[str, float]]:
    return {
        name: {"brier": round(fit.brier, 5), "ece": round(fit.ece, 5), "n": fit.n}
        for name, fit in kit.fits.items()
        if fit.n
    }
