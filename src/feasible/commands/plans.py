"""`feasible plans`: which plans answer, and how one takes the place of another while serving."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from feasible.commands.console import AsJson, open_feature, print_json, zoned_time
from feasible.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feasible.live_plans import LiveSince
    from feasible.schema import LivePlans, Plan

__all__ = ["add_plan_commands"]

PlanVerb = Literal["list", "at", "shadow", "canary", "promote", "rollback", "stop"]
_AT: Final = "feasible plans NAME at 2026-12-01T10:00:00Z"
_TAKES_PLAN: Final = ("shadow", "canary", "promote")


def add_plan_commands(app: typer.Typer) -> None:
    """Add `feasible plans` to the command line."""
    app.command("plans")(plans)


def plans(
    feature: Annotated[str, typer.Argument(help="A feature folder or a reference system.")],
    verb: Annotated[
        PlanVerb,
        typer.Argument(
            help="list: every plan and what it does. shadow, canary: a plan is asked, or answers, "
            "a share. promote: let it answer everything. rollback: end the canary; without one, "
            "return to the plan that was live before. stop: end canary and shadow. at: what was "
            "live at a time."
        ),
    ] = "list",
    what: Annotated[
        str | None,
        typer.Argument(
            help="A plan: its id, the beginning of it, a file, or `newest`; for `at`, a time such "
            "as 2026-12-01T10:00:00Z."
        ),
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(help="Share of the requests that a canary or a shadow sees, such as 5%."),
    ] = None,
    usd_per_day: Annotated[
        float | None,
        typer.Option(help="Most that a shadow's calls may cost in a day (UTC); 1 when absent."),
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option(help="The service's ledger; the feature's own when absent."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change which plans answer, while serving and without losing a request; or list them.

    A running service loads and warms the new plan in every worker, refuses one that does not fit,
    and changes over; requests under way end on the plan that they began with. Without a running
    service the change holds from its next start on. Each change is an event in the ledger.
    """
    from feasible.ledger import this_account
    from feasible.live_plans import order, plans_of
    from feasible.serving import PlanOrder

    opened = open_feature(feature)
    _check(verb, what, share, usd_per_day)
    if verb == "at":
        _show_at(
            opened,
            zoned_time(
                what, "what was live when?", attempt="feasible plans NAME at 2026-12-01T10:00:00Z"
            ),
            ledger,
            as_json=as_json,
        )
        return
    if verb == "list":
        known, changes = plans_of(opened, ledger_url=ledger)
        if as_json:
            print_json({"plans": [_brief(one) for one in known], "changes": changes})
        else:
            _show_list(known, changes)
        return
    wanted = PlanOrder(
        act=verb,
        actor=f"cli:{this_account()}",
        plan=what,
        share=None if share is None else _ratio(share),
        usd_per_day=(1.0 if usd_per_day is None else usd_per_day) if verb == "shadow" else None,
    )
    live = order(opened, wanted, ledger_url=ledger, say=_say)
    if as_json:
        print_json(live)
    else:
        print("\n".join(_lines(live)))


def _check(verb: str, what: str | None, share: str | None, usd_per_day: float | None) -> None:
    """Refuse what a verb does not take."""
    if what is not None and verb not in (*_TAKES_PLAN, "at"):
        raise BadInput(f"`{verb}` takes no plan", found=what, attempt=f"feasible plans NAME {verb}")
    if share is not None and verb not in {"shadow", "canary"}:
        raise BadInput(f"`{verb}` takes no --share", attempt="leave --share out")
    if usd_per_day is not None and (verb != "shadow" or usd_per_day < 0):
        raise BadInput(
            "--usd-per-day is what a shadow may cost, in dollars",
            found=f"{usd_per_day:g} with `{verb}`",
            attempt="feasible plans NAME shadow PLAN --share 10% --usd-per-day 1",
        )


def _ratio(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError as error:
        raise BadInput(
            f"--share: {text!r} is no share", asked="such as 5% or 0.05", attempt="--share 5%"
        ) from error


def _show_at(opened: Any, at: datetime, ledger: str | None, *, as_json: bool) -> None:
    from feasible.live_plans import live_at

    found = live_at(opened, at, ledger_url=ledger)
    if as_json:
        print_json(found)
    elif found is None:
        print("nothing was live then")
    else:
        print("\n".join(_lines(found.live)))
        print(f"since    {_stamp(found.at)}, {found.act} by {found.actor}")


def _show_list(known: Sequence[Plan], changes: Sequence[LiveSince]) -> None:
    live = changes[-1].live if changes else None
    if not known:
        print("no plan yet: `feasible plan NAME` makes one")
    for one in known:
        cost = one.forecast.cost_usd
        told = "cost unknown" if cost is None else f"${cost:.6f} a decision"
        tiers = " > ".join(step.name for step in one.tiers)
        print(f"{one.id}  made {_stamp(one.made_at)}  {told}  {tiers}{_role(one.id, live)}")
    if changes:
        print()
    for change in changes:
        what = ", ".join(_lines(change.live))
        print(f"{_stamp(change.at)}  {change.act} by {change.actor}: {what}")
        if change.why:
            print(f"    {change.why}")


def _role(plan_id: str, live: LivePlans | None) -> str:
    if live is None:
        return ""
    names = {live.stable: "live"}
    if live.canary is not None:
        names[live.canary.plan] = f"canary {live.canary.share:.3g}"
    if live.shadow is not None:
        names[live.shadow.plan] = f"shadow {live.shadow.share:.3g}"
    return f"  <- {names[plan_id]}" if plan_id in names else ""


def _lines(live: LivePlans) -> list[str]:
    found = [f"live     {live.stable}"]
    if live.canary is not None:
        found.append(f"canary   {live.canary.plan} for {live.canary.share * 100:.3g}%")
    if live.shadow is not None:
        cap = live.shadow.usd_per_day
        told = "" if cap is None else f", at most ${cap:g} a day"
        found.append(f"shadow   {live.shadow.plan} for {live.shadow.share * 100:.3g}%{told}")
    return found


def _brief(one: Plan) -> dict[str, Any]:
    return {
        "id": one.id,
        "made_at": one.made_at,
        "tiers": [step.name for step in one.tiers],
        "cost_usd": one.forecast.cost_usd,
    }


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"


def _say(line: str) -> None:
    print(line, file=sys.stderr)
