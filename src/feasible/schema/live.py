"""Which plans answer: the stable one, a canary that answers a share, a shadow that nobody hears."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from feasible.errors import BadInput, PlanError

__all__ = [
    "PLAN_CHANGED",
    "PLAN_SHADOWED",
    "LivePlans",
    "PlanAct",
    "PlanChange",
    "PlanShare",
    "changed",
]

PLAN_CHANGED: Final = "plan.changed"
"""Kind of the event that says what answers from now on."""

PLAN_SHADOWED: Final = "plan.shadowed"
"""Kind of the event that says what a shadow plan would have answered."""

PlanAct: TypeAlias = Literal["start", "shadow", "canary", "promote", "rollback", "stop"]


class PlanShare(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with the share of requests that it sees."""

    plan: str
    share: float
    """Ratio, above 0 to 1."""
    usd_per_day: float | None = None
    """For a shadow: the most that its calls may cost in a day (UTC), all workers together."""


class LivePlans(msgspec.Struct, frozen=True, kw_only=True):
    """What answers, and what answered before."""

    stable: str
    """Plan that answers whatever the canary does not."""
    canary: PlanShare | None = None
    shadow: PlanShare | None = None
    """Asked after the answer has left; nobody hears what it says."""
    earlier: tuple[str, ...] = ()
    """Plans that were stable before, the latest last: what a rollback returns to."""

    def plans(self) -> tuple[str, ...]:
        """Give every plan that is needed now, the stable one first."""
        beside = (one.plan for one in (self.canary, self.shadow) if one is not None)
        return tuple(dict.fromkeys((self.stable, *beside)))


class PlanChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what answers, as the ledger keeps it: body of an event `plan.changed`."""

    act: PlanAct
    live: LivePlans
    was: LivePlans | None = None
    why: str | None = None

    def body(self) -> dict[str, Any]:
        """Give it as an event's body."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


_MOST_EARLIER = 50
_MOST_USD: Final = 1e6


def changed(
    live: LivePlans,
    act: PlanAct,
    *,
    plan: str | None = None,
    share: float | None = None,
    usd_per_day: float | None = None,
) -> LivePlans:
    """Give what answers after an act.

    Args:
        live: What answers now.
        act: `shadow` and `canary` name a plan and a share; `promote` makes a plan the stable one,
            the canary when none is named; `rollback` ends a canary, and without one returns the
            plan that was stable before; `stop` ends canary and shadow.
        plan: Id of a plan.
        share: Share of requests. Ratio, above 0 to 1.
        usd_per_day: For a shadow: what its calls may cost in a day.

    Raises:
        BadInput: Something is missing, or a share or a sum is out of range.
        PlanError: There is nothing to promote or to return to, or it answers already.

    Examples:
        >>> live = changed(LivePlans(stable="a"), "canary", plan="b", share=0.1)
        >>> changed(live, "promote").stable
        'b'
    """
    if act in {"shadow", "canary"}:
        beside = PlanShare(
            plan=_needed(plan, act), share=_checked(share, act), usd_per_day=_payable(usd_per_day)
        )
        if beside.plan == live.stable:
            raise PlanError(
                f"plan {beside.plan} is the stable one already",
                asked=f"{act} of it beside itself",
                attempt="name another plan: `feasible plans NAME list` shows them",
            )
        if act == "shadow":
            return msgspec.structs.replace(live, shadow=beside)
        shadow = None if live.shadow is None or live.shadow.plan == plan else live.shadow
        canary = msgspec.structs.replace(beside, usd_per_day=None)
        return msgspec.structs.replace(live, canary=canary, shadow=shadow)
    if act == "stop":
        return msgspec.structs.replace(live, canary=None, shadow=None)
    if act == "rollback":
        return _rolled_back(live)
    if plan is None and live.canary is None:
        raise PlanError(
            "promote which plan? There is no canary",
            attempt="name one: `feasible plans NAME list` shows them",
        )
    chosen = plan or (live.canary.plan if live.canary is not None else "")
    if chosen == live.stable:
        raise PlanError(f"plan {chosen} is the stable one already", attempt="promote another plan")
    return LivePlans(
        stable=chosen,
        shadow=None if live.shadow is None or live.shadow.plan == chosen else live.shadow,
        earlier=(*live.earlier, live.stable)[-_MOST_EARLIER:],
    )


def _rolled_back(live: LivePlans) -> LivePlans:
    if live.canary is not None:
        return msgspec.structs.replace(live, canary=None)
    if not live.earlier:
        raise PlanError(
            f"no plan was live before {live.stable}",
            attempt="promote another plan: `feasible plans NAME list` shows them",
        )
    back = live.earlier[-1]
    shadow = None if live.shadow is None or live.shadow.plan == back else live.shadow
    return LivePlans(stable=back, shadow=shadow, earlier=live.earlier[:-1])


def _needed(plan: str | None, act: str) -> str:
    if plan is None:
        raise BadInput(f"{act} of which plan?", attempt="`feasible plans NAME list` shows them")
    return plan


def _checked(share: float | None, act: str) -> float:
    if share is None or not 0 < share <= 1:
        raise BadInput(
            f"a {act} sees a share of the requests",
            asked="above 0 to 1, or above 0 % to 100 %",
            found="none" if share is None else f"{share:g}",
            attempt="--share 5%",
        )
    return share


def _payable(usd_per_day: float | None) -> float | None:
    if usd_per_day is not None and not 0 <= usd_per_day <= _MOST_USD:
        raise BadInput(
            "a shadow costs a sum of money a day at most",
            asked=f"$0 to ${_MOST_USD:,.0f} a day",
            found=f"{usd_per_day:g}",
            attempt="--usd-per-day 1",
        )
    return usd_per_day
