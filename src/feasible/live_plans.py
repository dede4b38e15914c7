"""Which plans of a feature answer, as its ledger has it: now, at a time, and what is next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from feasible.clock import Clock, SystemClock
from feasible.errors import FeasibleError, LedgerLocked, PlanError
from feasible.folder import Feature
from feasible.ledger import Ledger, ledger_path, new_decision_id, open_ledger
from feasible.planned import (
    certified_tiers,
    find_plan,
    keep_plan,
    kept_plan,
    kept_plans,
    planned_tiers,
)
from feasible.schema import (
    PLAN_CHANGED,
    PLAN_SHADOWED,
    Event,
    LivePlans,
    Plan,
    PlanChange,
    changed,
    read_plan,
)
from feasible.serving import PlanOrder, letters_folder, send_letter

__all__ = [
    "LiveSince",
    "begin",
    "history",
    "live_at",
    "live_plan",
    "order",
    "plan_event",
    "plans_of",
    "shadow_event",
    "shadow_spent_nusd",
]

_LONGEST_ORDER_S = 120.0


class LiveSince(msgspec.Struct, frozen=True, kw_only=True):
    """What answered from an instant on, and who saw to it."""

    at: datetime
    actor: str
    act: str
    live: LivePlans
    why: str | None = None


def plan_event(change: PlanChange, actor: str, *, clock: Clock | None = None) -> Event:
    """Give the event that puts a change on record."""
    clock = clock or SystemClock()
    return Event(
        event_id=new_decision_id(clock),
        at=clock.now(),
        kind=PLAN_CHANGED,
        actor=actor,
        body=change.body(),
    )


def shadow_event(body: dict[str, Any]) -> Event:
    """Give the event of what a shadow said."""
    clock = SystemClock()
    return Event(
        event_id=new_decision_id(clock),
        at=clock.now(),
        kind=PLAN_SHADOWED,
        actor="serve",
        body=body,
    )


def shadow_spent_nusd(ledger: Ledger, part: int) -> int:
    """Give what one process of a service has spent on shadows since the day (UTC) began."""
    since = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
    return sum(
        int(event.body["spent_nusd"])
        for event in ledger.events(kind=PLAN_SHADOWED, since=since)
        if event.body.get("part") == part
    )


def history(ledger: Ledger, *, until: datetime | None = None) -> list[LiveSince]:
    """Give every change of what answers, in the order in which they were made."""
    return [
        LiveSince(
            at=event.at,
            actor=event.actor,
            act=(change := msgspec.convert(event.body, PlanChange)).act,
            live=change.live,
            why=change.why,
        )
        for event in ledger.events(kind=PLAN_CHANGED, until=until)
    ]


def live_at(feature: Feature, at: datetime, *, ledger_url: str | None = None) -> LiveSince | None:
    """Say which plans were live at an instant; None before the first.

    Requests that were under way at a change end on the plan that they began with.
    """
    ledger = open_ledger(ledger_url or feature.ledger_url, write=False)
    try:
        # A change made at that very instant counts.
        return next((one for one in reversed(history(ledger)) if one.at <= at), None)
    finally:
        ledger.close()


def plans_of(
    feature: Feature, *, ledger_url: str | None = None
) -> tuple[list[Plan], list[LiveSince]]:
    """Give every plan of a feature, the latest made first, and every change of what answers."""
    url = ledger_url or feature.ledger_url
    if not ledger_path(url).exists():
        return kept_plans(feature), []
    ledger = open_ledger(url, write=False)
    try:
        return kept_plans(feature), history(ledger)
    finally:
        ledger.close()


def live_plan(feature: Feature, ledger: Ledger, *, at: datetime | None = None) -> Plan:
    """Give the plan that answers by a ledger; the newest while nothing was served.

    Args:
        feature: The feature.
        ledger: Its ledger.
        at: The plan that answered then; now when absent.

    Raises:
        PlanError: It is not in the feature's folder, or none was live at that time.
    """
    changes = history(ledger)
    known = [change for change in changes if at is None or change.at <= at]
    if not known and changes and at is not None:
        raise PlanError(
            "no plan was live at that time",
            asked=at.isoformat(),
            found=f"the first one was put live at {changes[0].at.isoformat()}",
            attempt="a later time",
        )
    return kept_plan(feature, known[-1].live.stable) if known else read_plan(feature.plan_path)


def begin(feature: Feature, ledger: Ledger) -> tuple[LivePlans, str | None]:
    """Give what a service that starts now lets answer, on record, and what there is to say of it.

    A restart changes nothing: what was live by the ledger goes on. Where that plan fits the brief
    and its tiers no more, or nothing was live yet, the newest plan takes its place.

    Raises:
        PlanError: There is no plan that fits.
    """
    before = history(ledger)
    if not before:
        newest = read_plan(feature.plan_path)
        keep_plan(feature, newest)
        live, why = LivePlans(stable=newest.id), None
    else:
        was = before[-1].live
        live, why = _continued(feature, was)
        if live == was:
            return live, _hint(feature, live)
    change = PlanChange(act="start", live=live, was=before[-1].live if before else None, why=why)
    asyncio.run(ledger.record(plan_event(change, "serve")))
    return live, why


def order(
    feature: Feature,
    wanted: PlanOrder,
    *,
    ledger_url: str | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> LivePlans:
    """Change what answers: in the running service when there is one, else for the next start.

    Args:
        feature: The feature.
        wanted: What to change; its plan may be named in any way that `find_plan` knows.
        ledger_url: The service's ledger; the feature's own when absent.
        say: Told whether a service was there.

    Raises:
        FeasibleError: It cannot be done, or the plan does not fit; nothing has changed then.
    """
    if wanted.plan is not None:
        wanted = msgspec.structs.replace(wanted, plan=find_plan(feature, wanted.plan).id)
    url = ledger_url or feature.ledger_url
    try:
        ledger = open_ledger(url)
    except LedgerLocked:
        folder = letters_folder(ledger_path(url).resolve())
        said = send_letter(folder, msgspec.to_builtins(wanted), within_s=_LONGEST_ORDER_S)
        say("the running service has changed over")
        return msgspec.convert(said, LivePlans)
    try:
        was, _ = begin(feature, ledger)
        live = changed(
            was,
            wanted.act,
            plan=wanted.plan,
            share=wanted.share,
            usd_per_day=wanted.usd_per_day,
        )
        for plan_id in live.plans():
            if plan_id not in was.plans():
                certified_tiers(feature, kept_plan(feature, plan_id))
        change = PlanChange(act=wanted.act, live=live, was=was)
        asyncio.run(ledger.record(plan_event(change, wanted.actor)))
        say("no service runs on this ledger: it begins so")
        return live
    finally:
        ledger.close()


def _continued(feature: Feature, was: LivePlans) -> tuple[LivePlans, str | None]:
    """Leave out what fits no more, and say why."""
    live, told = was, []
    for name in ("canary", "shadow"):
        beside = getattr(live, name)
        misfit = None if beside is None else _misfit(feature, beside.plan)
        if misfit is not None:
            live = msgspec.structs.replace(live, **{name: None})
            told.append(f"the {name} {beside.plan} fits no more: {misfit.message}")
    newest = read_plan(feature.plan_path) if feature.plan_path.exists() else None
    # When it is the newest itself, whoever serves it says best what is wrong with it.
    if newest is not None and newest.id != live.stable:
        misfit = _misfit(feature, live.stable)
        if misfit is not None:
            keep_plan(feature, newest)
            told.append(f"plan {live.stable} fits no more: {misfit.message}")
            live = LivePlans(stable=newest.id, earlier=(*live.earlier, live.stable))
    elif newest is not None:
        keep_plan(feature, newest)
    return live, "; ".join(told) or None


def _misfit(feature: Feature, plan_id: str) -> FeasibleError | None:
    try:
        planned_tiers(feature, kept_plan(feature, plan_id))
    except FeasibleError as error:
        return error
    return None


def _hint(feature: Feature, live: LivePlans) -> str | None:
    """Say that a plan was made that does not answer yet."""
    try:
        newest = read_plan(feature.plan_path)
    except PlanError:
        return None
    if newest.id in live.plans():
        return None
    return (
        f"plan {newest.id} is newer and not live: "
        f"feasible plans {feature.folder.name} promote {newest.id}"
    )
