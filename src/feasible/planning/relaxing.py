"""What to promise instead: the smallest change of one limit with which planning succeeds.

A limit is looked for on SEARCH rows, then planned with: only what certifies is offered. The same
rows judge it as judged the brief, which is one more look at them, and is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from feasible.planning.attempt import Rows, attempt
from feasible.planning.chain import Ingredients
from feasible.planning.infeasible import SHOWABLE, best_slack
from feasible.schema import Brief, Infeasible, Objective, Relaxation
from feasible.units import Quantity

__all__ = ["relaxed"]

_STEPS: Final = 7
_TRIED: Final = 8
"""Limits that are planned with, each further from the promise than the one before."""
_FURTHER: Final = 0.25
"""Share of the way from the promise by which the next limit is further."""

Progress = Callable[[str, int, int], None]


def relaxed(
    kit: Ingredients,
    rows: Rows,
    why: Infeasible,
    *,
    too_few: Mapping[str, int],
    progress: Progress | None = None,
) -> Infeasible:
    """Give an answer with the changes that make planning succeed, one for each binding promise.

    Args:
        kit: What plans are made of.
        rows: The rows, under the brief.
        why: Why there is no plan.
        too_few: Promises that the rows are too few to show.
        progress: Told what is done, how much, of how much.
    """
    found = []
    for index, name in enumerate(why.binding):
        if progress is not None:
            progress("looking for what could be promised", index, len(why.binding))
        one = _relax(kit, rows, name, too_few)
        found += [] if one is None else [one]
    if progress is not None and why.binding:
        progress("looking for what could be promised", len(why.binding), len(why.binding))
    return msgspec.structs.replace(why, relaxations=tuple(found))


def _relax(
    kit: Ingredients, rows: Rows, name: str, too_few: Mapping[str, int]
) -> Relaxation | None:
    """Find the smallest change of one limit with which planning succeeds; None when none does."""
    objective = kit.brief.objective(name)
    limit = objective.limit
    if limit is None or limit.dimension == "rate":
        return None
    is_share = objective.kind in {"people", "quality", "joint", "abstention"}
    start = limit.mid if objective.is_ceiling else 1 - limit.mid
    start, most = max(start, 1e-9), 1.0 if is_share else max(limit.mid, 1e-9) * 1e4
    others = {other: n for other, n in too_few.items() if other != name}

    def plans(ceiling: float) -> bool:
        under = replace(kit, brief=_with(kit.brief, objective, ceiling))
        return bool(attempt(under, rows.under(under), too_few=others).passed)

    low = _likely(kit, rows, objective, start, most)
    if low is not None:
        tried = _ladder(start, low, most)
    else:  # SEARCH rows see no way: look wide, and only where giving the promise up would help
        tried = _wide(start, most) if start < most and plans(most) else []
    found = next((ceiling for ceiling in tried if ceiling < most and plans(ceiling)), None)
    return None if found is None else _told(objective, found)


def _likely(
    kit: Ingredients, rows: Rows, objective: Objective, start: float, most: float
) -> float | None:
    """Find, on SEARCH rows alone, the smallest limit that could be shown more often than not.

    Returns:
        The limit; None when not even the widest could be.
    """

    def holds(ceiling: float) -> bool:
        brief = _with(kit.brief, objective, ceiling)
        return best_slack(replace(kit, brief=brief), rows) >= SHOWABLE

    low, high = start, most
    if start >= most or not holds(most):
        return None
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _ladder(start: float, first: float, most: float) -> list[float]:
    """Give limits of two digits to plan with, each further away than the one before.

    Examples:
        >>> _ladder(0.05, 0.061, 1.0)[:4]
        [0.061, 0.064, 0.068, 0.073]
    """
    out: list[float] = []
    ceiling = max(first, start * 1.01)
    while len(out) < _TRIED and ceiling <= most:
        step, rounded = _two_digits(ceiling)
        if not out or rounded > out[-1]:
            out.append(rounded)
        ceiling = max(rounded + step, rounded + _FURTHER * (rounded - start))
    return out


def _wide(start: float, most: float) -> list[float]:
    """Give limits of two digits in even proportions between the promise and none at all.

    Examples:
        >>> _wide(0.1, 1.0)
        [0.14, 0.18, 0.24, 0.32, 0.43, 0.57, 0.75]
    """
    return [_two_digits(start * (most / start) ** (i / _TRIED))[1] for i in range(1, _TRIED)]


def _two_digits(ceiling: float) -> tuple[float, float]:
    """Give one unit of the second digit, and the limit rounded up to it."""
    step = 10.0 ** (math.floor(math.log10(ceiling)) - 1)
    return step, round(math.ceil(ceiling / step - 1e-9) * step, 12)


def _with(brief: Brief, objective: Objective, ceiling: float) -> Brief:
    """Give the brief with another limit: a largest mean loss, or a time or price."""
    limit = ceiling if objective.is_ceiling else 1 - ceiling
    text = {"latency": f"{limit * 1e3:.9g} ms", "cost": f"${limit:.9g}"}.get(
        objective.kind, f"{limit * 100:.9g} %"
    )
    key = "at_most" if objective.is_ceiling else "at_least"
    changed = msgspec.structs.replace(objective, **{key: Quantity(text)})
    envelope = tuple(changed if o.id == objective.id else o for o in brief.envelope)
    return msgspec.structs.replace(brief, envelope=envelope)


def _told(objective: Objective, ceiling: float) -> Relaxation:
    limit = objective.limit
    assert limit is not None  # noqa: S101  it was relaxed
    factor = 1e3 if objective.kind == "latency" else 1.0
    return Relaxation(
        objective=objective.id,
        from_=limit.mid * factor,
        to=round((ceiling if objective.is_ceiling else 1 - ceiling) * factor, 9),
        unit={"latency": "ms", "cost": "usd"}.get(objective.kind, "ratio"),
        verified=True,
    )
