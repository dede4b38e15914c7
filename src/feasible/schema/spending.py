"""Money over many decisions: what a brief declares of it, and what a plan carries to be kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from feasible.errors import nearest
from feasible.schema.brief import AnsweredBy, Brief

__all__ = ["SpendLimit", "spend_limits", "spending_faults"]

_PER: Final[dict[str, Literal["decision", "day", "month"]]] = {
    "mean": "decision",
    "day": "day",
    "month": "month",
}


class SpendLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promise about the money of many decisions, as serving keeps it."""

    objective: str
    """Id of the objective, for example `cost_day`."""
    per: Literal["decision", "day", "month"]
    """`day` and `month`: a cap on each day or month, in UTC. `decision`: on the mean of each day's
    decisions."""
    limit_usd: float
    on: str | None = None
    """Slice whose decisions it is about; None: all."""
    without_people: bool = False
    """Calls of a person do not count."""
    burst_usd: float | None = None
    """Of a mean: most that a day may spend before its decisions have earned it; None: what the
    dearest decision can cost."""


def spend_limits(brief: Brief) -> tuple[SpendLimit, ...]:
    """Give what a brief promises about the money of many decisions.

    What it promises about people's own cost is not among them: no service spends that.
    """
    serving = brief.layers.serving
    burst = None if serving is None or serving.burst is None else serving.burst.mid
    return tuple(
        SpendLimit(
            objective=objective.id,
            per=_PER[objective.measure],
            limit_usd=objective.limit.mid,
            on=objective.on,
            without_people=objective.by is AnsweredBy.MACHINES,
            burst_usd=burst if objective.measure == "mean" else None,
        )
        for objective in brief.envelope
        if objective.kind == "cost"
        and objective.measure in _PER
        and objective.limit is not None
        and objective.by is not AnsweredBy.PEOPLE
    )


def spending_faults(brief: Brief) -> Iterator[tuple[str, str, str | None]]:
    """Go through what cannot be kept of the money that a brief divides.

    Yields:
        The path of the key, what is wrong with it, and what could stand there instead.
    """
    serving = brief.layers.serving
    if serving is None:
        return
    at = "layers.serving"
    limits = spend_limits(brief)
    if serving.priority and not limits:
        reason = "there is no promise about money to share: a `cost` a decision, a day or a month"
        yield f"{at}.priority", reason, "- {cost: day, at_most: $20}"
    known = {*brief.traffic.slices, *serving.fallback} - {"default"}
    known |= {objective.on for objective in brief.envelope if objective.on is not None}
    for name, share in serving.priority.items():
        if name not in known:
            close = nearest(name, known)
            told = f"; did you mean {close!r}?" if close else f"; known: {_listed(known)}"
            yield f"{at}.priority.{name}", f"unknown slice {name!r}{told}", None
        elif not 0 < share.low <= share.high <= 1:
            reason = f"a share is above 0 and at most 1 (100 %); found {share.raw!r}"
            yield f"{at}.priority.{name}", reason, "30 %"
    total = sum(share.high for share in serving.priority.values())
    if total > 1 + 1e-9:
        reason = f"all shares together are at most 1 (100 %); found {total:.4g}"
        yield f"{at}.priority", reason, None
    if serving.burst is not None:
        if serving.burst.low < 0:
            yield f"{at}.burst", f"at least $0; found {serving.burst.raw!r}", None
        elif all(limit.per != "decision" for limit in limits):
            reason = "it lets money be spent ahead of a mean cost, and none is promised"
            yield f"{at}.burst", reason, "- {cost: mean, at_most: $0.005}"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
