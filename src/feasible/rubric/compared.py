"""What a change of a brief does to each promise, by the closed forms that the review uses."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from feasible.rubric.bottleneck import guess_bottleneck
from feasible.rubric.records import BottleneckGuess, HeadroomGuess
from feasible.schema import Brief
from feasible.simulation import cost_lines, middles, sheet
from feasible.units import format_usd

__all__ = ["Difference", "PromiseChange", "compare", "difference_markdown"]

_SAYS: Final[dict[str, str]] = {
    "breaks": "{name} breaks: {used} is used{money}.",
    "broken": "{name} stays broken: {used} is used{money}.",
    "new": "{name} is promised: {used} is used.",
    "gone": "{name} is promised no more{money}.",
}
"""The gravest first."""
_NOTHING: Final = 0.005
"""A smaller change, as a share, is none."""


class PromiseChange(msgspec.Struct, frozen=True, kw_only=True):
    """One limit before and after."""

    name: str
    limit: str
    """The limit after; before, where it is gone."""
    used_before: float | None
    """Share of the limit; above 1 it is broken; None: not promised, or not known."""
    used_after: float | None
    headroom_before: float | None
    headroom_after: float | None
    status: Literal["same", "better", "worse", "new", "gone", "breaks", "mended", "broken"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What a change does. Closed forms over the numbers of both briefs; nothing was measured."""

    sentence: str
    changes: tuple[PromiseChange, ...]
    """Every limit whose use or limit changed; empty when none did."""
    usd_before: float | None
    """Dollars of a decision; None when a price or a share is not stated."""
    usd_after: float | None
    first_before: str | None
    """What binds first."""
    first_after: str | None
    broken: tuple[str, ...]
    """What does not hold after the change."""
    unknown: tuple[str, ...]
    """Objectives after the change that no closed form says anything about."""


def compare(before: Brief, after: Brief) -> Difference:
    """Give what a change does to cost, limits, headroom and what binds first."""
    old, new = guess_bottleneck(before, draws=1), guess_bottleneck(after, draws=1)
    olds, news = _rows(old), _rows(new)
    changes = tuple(
        change
        for name in dict.fromkeys([*news, *olds])
        if (change := _change(name, olds.get(name), news.get(name))) is not None
    )
    unknown = tuple(name for name in new.unknown if name not in old.unknown)
    usd = _usd(before), _usd(after)
    return Difference(
        sentence=_sentence(changes, unknown, *usd),
        changes=changes,
        usd_before=usd[0],
        usd_after=usd[1],
        first_before=old.first,
        first_after=new.first,
        broken=tuple(row.name for row in new.rows if row.used > 1),
        unknown=new.unknown,
    )


def _rows(guess: BottleneckGuess) -> dict[str, HeadroomGuess]:
    """Give the rows by name; the evidence for a promise stands beside the promise."""
    return {row.name: row for row in reversed(guess.rows)}


def _change(
    name: str, old: HeadroomGuess | None, new: HeadroomGuess | None
) -> PromiseChange | None:
    shown = new or old
    if shown is None:
        return None
    if old is None or new is None:
        status: Literal["same", "better", "worse", "new", "gone", "breaks", "mended", "broken"]
        status = "gone" if new is None else "new" if new.used <= 1 else "breaks"
    elif old.limit == new.limit and abs(new.used - old.used) <= _NOTHING * max(old.used, 1e-9):
        return None
    elif new.used > 1:
        status = "broken" if old.used > 1 else "breaks"
    elif old.used > 1:
        status = "mended"
    else:
        status = "same" if new.used == old.used else "worse" if new.used > old.used else "better"
    return PromiseChange(
        name=name,
        limit=shown.limit,
        used_before=None if old is None else old.used,
        used_after=None if new is None else new.used,
        headroom_before=None if old is None else old.headroom,
        headroom_after=None if new is None else new.headroom,
        status=status,
    )


def _usd(brief: Brief) -> float | None:
    lines = cost_lines(brief, middles(sheet(brief), brief))
    return None if not lines else float(sum(line[0] for line in lines.values()))


def _sentence(
    changes: tuple[PromiseChange, ...],
    unknown: tuple[str, ...],
    before: float | None,
    after: float | None,
) -> str:
    """Say the gravest thing first: what breaks, what is new, what it costs."""
    by_status: dict[str, PromiseChange] = {change.status: change for change in reversed(changes)}
    money = _money(before, after)
    for status, says in _SAYS.items():
        if change := by_status.get(status):
            used = f"{_used(change.used_after)} of {change.limit}"
            return says.format(name=change.name, used=used, money=money)
        if status == "new" and unknown:
            return f"{unknown[0]} is promised, and no closed form says whether it holds."
    most = max(changes, key=lambda c: abs((c.used_after or 0) - (c.used_before or 0)), default=None)
    if most is None:
        return f"No promise changes{money}."
    used = f"{most.name} uses {_used(most.used_after)} of its limit, not {_used(most.used_before)}"
    return f"Every promise holds: {used}{money}."


def _money(before: float | None, after: float | None) -> str:
    if before is None or after is None or abs(after - before) <= _NOTHING * max(before, 1e-12):
        return ""
    way = "more" if after > before else "less"
    change = abs(after / before - 1) if before else 1.0
    return f"; a decision costs {format_usd(after)}, {change * 100:.0f} % {way}"


def _used(share: float | None) -> str:
    return "an unknown share" if share is None else f"{share * 100:.3g} %"


def difference_markdown(found: Difference) -> str:
    """Give a difference as Markdown: one bold sentence, then what changed; quiet when nothing."""
    lines = [f"**{found.sentence}**"]
    if not found.changes:
        return lines[0]
    lines += ["", "| limit | used before | used after | breaks at, before | after | |"]
    lines += ["|---|---:|---:|---:|---:|---|"]
    lines += [
        f"| {c.name} {c.limit} | {_used(c.used_before)} | {_used(c.used_after)} "
        f"| {_times(c.headroom_before)} | {_times(c.headroom_after)} | {c.status} |"
        for c in found.changes
    ]
    lines += [
        "",
        f"First to bind: {found.first_before or '-'} before, {found.first_after or '-'} after.",
    ]
    lines.append("Closed forms over the numbers of both briefs; nothing was measured.")
    return "\n".join(lines)


def _times(headroom: float | None) -> str:
    return "-" if headroom is None else f"{headroom:.2g}x"
