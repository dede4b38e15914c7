"""START HERE. The whole product as ordinary function calls.

A team writes a brief. We review it, profile its tiers on labelled rows, plan a cascade with a
certificate, serve it, write every decision to the ledger, join labels as they arrive, and say how
each promise stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from feasible.against import against as simulate_against
from feasible.clock import Clock, SystemClock, VirtualClock
from feasible.errors import LedgerError, LedgerLocked
from feasible.feedback import Watched, import_labels, watch_feature
from feasible.folder import Feature
from feasible.ledger import Verification, open_ledger
from feasible.live_plans import live_plan
from feasible.planned import keep_plan, tiers_now, versions_now
from feasible.planning import (
    agreed,
    check_plan,
    check_promises,
    explained,
    hourly_prices,
    plan_brief,
    plan_profile,
    profile_tiers,
    read_profile,
    require_worth,
    too_few_labels,
    write_profile,
)
from feasible.planning import backtest as replay
from feasible.registry import store
from feasible.rubric import KNOWN, WAIVERS_FILE, Review, read_lens, read_waivers
from feasible.rubric import score as score_design
from feasible.schema import (
    Backtest,
    Brief,
    BriefFile,
    DataSet,
    Look,
    Plan,
    PlanCheck,
    PlanReport,
    Schedule,
    TierKind,
    add_look,
    brief_fingerprint,
    brief_of,
    dump_brief,
    load_brief,
    read_looks,
    read_plan,
    write_json,
)
from feasible.service import serve, tracker_of
from feasible.serving import standing_by, with_money
from feasible.simulating import simulate_feature as simulate
from feasible.tiers import FittableTier, Tier

__all__ = [
    "Progress",
    "add_labels",
    "backtest",
    "check",
    "check_file",
    "label_set",
    "plan",
    "plan_from_brief",
    "plan_from_profile",
    "review",
    "serve",
    "simulate",
    "simulate_against",
    "today",
    "verify_ledger",
    "watch",
]

_WATCHED = 100_000
"""Latest decisions that are looked at."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def review(found: BriefFile, *, lenses: Sequence[Path] = (), plan: Plan | None = None) -> Review:
    """Judge a design by its brief and by a simulation of it, before anything is built.

    Args:
        found: The brief; `waivers.yaml` beside it says which findings are lived with.
        lenses: The team's own questions, YAML files.
        plan: Its plan, where there is one, of which the certificate counts.
    """
    asked = [read_lens(path) for path in lenses]
    known = (*KNOWN, *(question.id for lens in asked for question in lens.questions))
    waivers = read_waivers(found.path.parent / WAIVERS_FILE, known=known)
    return score_design(found, plan=plan, lenses=asked, waivers=waivers, today=today())


def plan(
    feature: Feature,
    *,
    data: str | None = None,
    seed: int = 0,
    schedule: Schedule = "one",
    choose: Literal["cost", "value"] = "cost",
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> PlanReport:
    """Profile every tier on the feature's rows and find the cheapest cascade that keeps the brief.

    A feature that has no rows yet is answered from its brief alone, with nothing trained: promises
    that cannot hold together, else the labels that they take and when these could be there.

    The plan, its models and the profile are written to the feature's working folder, also a plan
    that promises all but what cannot be shown yet. Without a plan that holds, an earlier one is put
    aside as `plan.superseded.json`: it is not served any more.

    Args:
        feature: The feature.
        data: Name of one of its data sets; None for its default.
        seed: Makes every random choice repeatable.
        schedule: `one` look at full delta, or one of `many` that keep the declared levels together.
        choose: The cheapest certified plan, or the one that is worth most per decision.
        progress: Told how far the work is.
        say: Told, before anything is trained, which promises these rows are too few to show.
    """
    if data is None and not (feature.folder / "data.py").is_file():
        return plan_from_brief(feature.found)
    check_promises(feature.brief)
    if choose == "value":
        require_worth(feature.brief)
    looks = read_looks(feature.looks_path)
    rows = feature.dataset(data)
    for short in too_few_labels(feature.brief, rows.examples, today=today()):
        if say is not None:
            say(short)
    labels = label_set(rows)
    tiers = feature.tiers(labels)
    profiled = profile_tiers(
        tiers,
        rows.examples,
        labels=labels,
        loss=feature.loss(),
        person_loss=feature.person_loss(),
        usd_hour=hourly_prices(feature.brief),
        seed=seed,
        progress=progress,
    )
    write_profile(profiled.profile, feature.profile_path)
    brief, profile = agreed(feature.brief, profiled.profile)
    planned = partial(
        plan_profile,
        profile=profile,
        data=rows.name,
        synthetic=rows.synthetic,
        labels=labels,
        versions={name: tier.version for name, tier in profiled.fitted.items()},
        worst_usd=_enforced_usd(tiers),
        seed=seed,
        looks=looks,
        schedule=schedule,
        choose=choose,
        progress=progress,
    )
    report = explained(planned(brief), brief, profile, again=planned, today=today())
    report = _complete(report, feature.brief, profiled.fitted, feature.work)
    report = _counted(report, feature.looks_path, looks, feature.brief)
    write_json(report, feature.report_path)
    made = report.plan or report.fallback_plan
    if made is not None and (report.feasible or made.not_promised):
        write_json(made, feature.plan_path)
        keep_plan(feature, made)
    elif feature.plan_path.exists():  # what was shown before does not hold on the rows of today
        feature.plan_path.replace(feature.plan_path.with_name("plan.superseded.json"))
    return report


def plan_from_brief(found: BriefFile) -> PlanReport:
    """Say what a brief alone decides: what cannot hold together, or which labels it takes."""
    return plan_brief(found.brief, today=today())


def plan_from_profile(
    brief_path: Path,
    profile_path: Path,
    *,
    seed: int = 0,
    schedule: Schedule = "one",
    choose: Literal["cost", "value"] = "cost",
) -> PlanReport:
    """Plan from logged outcomes alone, with no tier code.

    Certificates are counted beside the profile, in `PROFILE.looks.json`.

    Args:
        brief_path: Brief; `feasible`, `name`, `goal` and `envelope` are enough.
        profile_path: Parquet or CSV, one line per row and tier.
        seed: Makes every random choice repeatable.
        schedule: `one` look at full delta, or one of `many` that keep the declared levels together.
        choose: The cheapest certified plan, or the one that is worth most per decision.

    Raises:
        BriefError: The brief cannot be read, or gives no worth to choose by.
        PlanError: The count of certificates is damaged.
    """
    declared = load_brief(brief_path).brief
    brief, profile = agreed(declared, read_profile(profile_path))
    counted_in = profile_path.with_name(f"{profile_path.name}.looks.json")
    every = read_looks(counted_in)
    planned = partial(
        plan_profile,
        profile=profile,
        data=profile_path.name,
        synthetic=False,
        seed=seed,
        looks=tuple(look for look in every if look.feature == brief.name),
        schedule=schedule,
        choose=choose,
    )
    report = explained(planned(brief), brief, profile, again=planned, today=today())
    return _counted(_complete(report, declared, {}, None), counted_in, every, declared)


def check(feature: Feature) -> PlanCheck:
    """Say whether the certificate of a feature's plan still stands: brief, prices, versions, age.

    Raises:
        PlanError: There is no plan.
        ModelFileError: A stored model is not the file that the plan names.
    """
    made = read_plan(feature.plan_path)
    versions = versions_now(tiers_now(feature, made), made)
    return check_plan(made, feature.brief, versions, now=SystemClock().now())


def check_file(brief_path: Path, plan_path: Path) -> PlanCheck:
    """Say whether the certificate of a plan from logs still stands under a brief.

    Raises:
        PlanError: The file is no plan.
    """
    brief, made = load_brief(brief_path).brief, read_plan(plan_path)
    return check_plan(made, brief, None, now=SystemClock().now())


def backtest(plan_path: Path, profile_path: Path) -> Backtest:
    """Replay a fixed plan on other rows and say which promises it kept there."""
    fixed = read_plan(plan_path)
    return replay(fixed, *agreed(brief_of(fixed).brief, read_profile(profile_path)))


def watch(
    feature: Feature, *, ledger_url: str | None = None, at: datetime | None = None
) -> Watched:
    """Say what is known of the live plan: promises, labels, estimates before them, alarms, upkeep.

    A live service is not disturbed.

    Args:
        feature: The feature.
        ledger_url: The ledger; the feature's own when absent.
        at: As known at this time; now when absent. Money that budgets keep is told of now alone.

    Raises:
        LedgerError: Nothing has been served yet.
        PlanError: No plan was live then.
    """
    if ledger_url is None and not feature.ledger_path.exists():
        raise LedgerError(
            f"nothing has been served of {feature.brief.name} yet",
            asked=str(feature.ledger_path),
            attempt=f"feasible serve {feature.brief.name}, or name its ledger with --ledger",
        )
    clock: Clock = SystemClock() if at is None else VirtualClock(at)
    now = clock.now()
    ledger = open_ledger(ledger_url or feature.ledger_url, write=False)
    try:
        made = live_plan(feature, ledger, at=at)
        decisions = deque(
            (one for one in ledger.decisions(plan=made.id) if one.at <= now), maxlen=_WATCHED
        )
        labels = list(ledger.labels() if at is None else ledger.labels(known_by=now))
        tracker = tracker_of(feature, made, ledger, decisions=decisions, labels=labels, clock=clock)
        people = [t.name for t in feature.brief.layers.tiers if t.kind is TierKind.PERSON]
        rows = tracker.rows()
        if at is None:
            rows = with_money(rows, standing_by(ledger, made, people=people, clock=clock))
        return watch_feature(
            feature.brief,
            made.id,
            tracker,
            objectives=rows,
            decisions=tuple(decisions),
            labels=labels,
            people=frozenset(people),
            now=now,
        )
    finally:
        ledger.close()


def add_labels(
    feature: Feature,
    file: Path,
    *,
    ledger_url: str | None = None,
    actor: str = "feasible label",
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, int]:
    """Take labels from a file into the ledger; a run that was cut short goes on where it was.

    Args:
        feature: The feature.
        file: CSV, JSON lines or Parquet.
        ledger_url: The ledger; the feature's own when absent.
        actor: Who sends them, for the record.
        progress: Told how far the work is.
        say: Told where an earlier run is gone on with.

    Returns:
        Outcome (`stored`, `duplicate`, `unknown_decision`, `conflict`) -> labels.

    Raises:
        DataError: The file cannot be read; nothing of it is stored.
        LedgerLocked: A service is running on this ledger: send them to its /v1/labels instead.
    """
    try:
        ledger = open_ledger(ledger_url or feature.ledger_url)
    except LedgerLocked as error:
        raise LedgerLocked(
            error.message,
            asked=error.asked,
            found=error.found,
            attempt="send them to the running service: POST /v1/labels",
        ) from error
    try:
        done = import_labels(ledger, file, actor=actor, progress=progress)
    finally:
        ledger.close()
    if done.went_on_after and say is not None:
        say(
            f"went on after label {done.went_on_after:,} of {done.labels:,}, where an earlier run "
            f"was cut short; the counts are of both"
        )
    return done.outcomes


def verify_ledger(url: str, *, anchor: str | None = None) -> Verification:
    """Prove that nothing of a ledger is missing and nothing was edited.

    Args:
        url: The ledger.
        anchor: `head` of an earlier verification, kept elsewhere: shows rows cut off at the end.
    """
    ledger = open_ledger(url, write=False)
    try:
        return ledger.verify(anchor=anchor)
    finally:
        ledger.close()


def label_set(rows: DataSet) -> tuple[str, ...]:
    """Give the closed set of answers, when every label is a word; empty otherwise."""
    values = {row.label for row in rows.examples if row.label is not None}
    return tuple(sorted(values)) if all(isinstance(value, str) for value in values) else ()


def _enforced_usd(tiers: dict[str, Tier]) -> dict[str, float | None]:
    """Give the most that one call can cost by the tiers themselves, whatever the brief declares."""
    return {
        name: getattr(tier, "enforced_usd_per_call", tier.worst_usd_per_call)
        for name, tier in tiers.items()
    }


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

    return msgspec.structs.replace(
        report, plan=whole(report.plan), fallback_plan=whole(report.fallback_plan)
    )


def _counted(report: PlanReport, path: Path, looks: Sequence[Look], brief: Brief) -> PlanReport:
    """Count one more certificate of the rows that gave this one; say so where that fails."""
    if report.data is None or not report.data.cert_fingerprint:
        return report
    try:
        add_look(path, looks, report.data, feature=brief.name)
    except OSError as error:
        told = f"this look at the rows is not counted: {path} cannot be written ({error})"
        return msgspec.structs.replace(report, notes=(*report.notes, told))
    return report


def today() -> date:
    """Give the day in UTC from which labels and waivers are counted."""
    return SystemClock().now().date()
