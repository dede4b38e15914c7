"""What a change of a brief does to each promise, by what the review looks at.

Limits by closed form; latencies and the first break by simulating both designs with the same luck;
quality by the certificates of their plans, or by the labels that it takes to show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import msgspec
import numpy as np

from feasible.rubric.bottleneck import guess_bottleneck
from feasible.rubric.evidence import evidence_needs
from feasible.rubric.records import BottleneckGuess, HeadroomGuess
from feasible.rubric.whatif import simulate_stated
from feasible.schema import Brief, Plan
from feasible.simulation import Simulated, cost_lines, middles, run, sheet, stated_design
from feasible.units import MONTH_DAYS, format_usd

__all__ = [
    "Difference",
    "Loaded",
    "PromiseChange",
    "QualityChange",
    "compare",
    "difference_markdown",
]

_SAYS: Final[dict[str, str]] = {
    "breaks": "{name} breaks: {used} is used{money}.",
    "broken": "{name} stays broken: {used} is used{money}.",
    "new": "{name} is promised: {used} is used.",
    "gone": "{name} is promised no more{money}.",
}
"""The gravest first."""
_REQUESTS: Final = 4000
_UNPROMISED: Final = frozenset({"degraded_share", "people.per_hour"})
"""Limits of a simulation that no brief promises."""
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


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a stated design does at its declared load, simulated."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    first: str | None
    """What breaks first as load grows; None: nothing within the loads that were run."""
    headroom: float | None
    """Multiple of the declared load at which it does."""


class QualityChange(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said of one quality before and after."""

    name: str
    before: str
    after: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What a change does. Nothing was measured but what a plan's certificate says."""

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
    loaded_before: Loaded | None = None
    """None: it says no rate, or names nothing that answers."""
    loaded_after: Loaded | None = None
    quality: tuple[QualityChange, ...] = ()
    """Where anything of it changed."""
    seeds: tuple[int, ...] = ()
    """Of the simulations, the same for both."""


def compare(
    before: Brief | None,
    after: Brief,
    *,
    plans: tuple[Plan | None, Plan | None] = (None, None),
    seed: int = 0,
) -> Difference:
    """Give what a change does to cost, limits, latencies, quality, headroom and the first break.

    Args:
        before: The declaration; None: there was none, and every promise is new.
        after: The same after the change.
        plans: The plan of each, whose certificate says what was shown; None: there is none.
        seed: The first seed of both simulations.
    """
    runs = (
        None if before is None else simulate_stated(before, seed=seed, effects=False),
        simulate_stated(after, seed=seed, effects=False),
    )
    old = None if before is None else guess_bottleneck(before, draws=1)
    new = guess_bottleneck(after, draws=1)
    olds, news = {} if old is None else _rows(old), _rows(new)
    changes = tuple(
        change
        for name in dict.fromkeys([*news, *olds])
        if (change := _change(name, olds.get(name), news.get(name))) is not None
    )
    changes += _under_load(
        runs, {change.name for change in changes if (change.used_after or 0) > 1}
    )
    unknown = tuple(name for name in new.unknown if old is None or name not in old.unknown)
    usd = None if before is None else _usd(before), _usd(after)
    return Difference(
        sentence=_new(after, changes) if old is None else _sentence(changes, unknown, *usd),
        changes=changes,
        usd_before=usd[0],
        usd_after=usd[1],
        first_before=None if old is None else old.first,
        first_after=new.first,
        broken=tuple(
            dict.fromkeys(
                [
                    *(row.name for row in new.rows if row.used > 1),
                    *(change.name for change in changes if change.status == "breaks"),
                ]
            )
        ),
        unknown=new.unknown,
        loaded_before=None if before is None else _loaded(before, runs[0], seed),
        loaded_after=_loaded(after, runs[1], seed),
        quality=_quality(before, after, plans),
        seeds=next((run.seeds for run in runs if run is not None), ()),
    )


def _under_load(
    runs: tuple[Simulated | None, Simulated | None], known: set[str]
) -> tuple[PromiseChange, ...]:
    """Give the promises that held before in a simulation and do not hold after."""
    first, then = runs
    if first is None or then is None:
        return ()
    held = {line.objective: line for line in first.order if (line.used_at_1x or 2.0) <= 1}
    return tuple(
        PromiseChange(
            name=line.objective,
            limit=f"{line.limit:.4g} {line.unit}, simulated",
            used_before=held[line.objective].used_at_1x,
            used_after=line.used_at_1x,
            headroom_before=held[line.objective].headroom[1],
            headroom_after=line.headroom[1],
            status="breaks",
        )
        for line in then.order
        if line.verdict == "broken" and line.objective in held and line.objective not in known
        if line.objective not in _UNPROMISED
    )


def _loaded(brief: Brief, found: Simulated | None, seed: int) -> Loaded | None:
    if found is None:
        return None
    design, _ = stated_design(brief)
    took = np.quantile(run(design, _REQUESTS, seed=seed).latency_ms, (0.5, 0.95, 0.99))
    first = found.first.constraint
    line = next((line for line in found.order if line.objective == first), None)
    p50, p95, p99 = (round(float(value), 2) for value in took)
    return Loaded(
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        first=first,
        headroom=None if line is None else line.headroom[1],
    )


def _quality(
    before: Brief | None, after: Brief, plans: tuple[Plan | None, Plan | None]
) -> tuple[QualityChange, ...]:
    said = [
        {} if brief is None else _said_of_quality(brief, plan)
        for brief, plan in zip((before, after), plans, strict=True)
    ]
    return tuple(
        QualityChange(name=name, before=said[0].get(name, "-"), after=said[1].get(name, "-"))
        for name in dict.fromkeys([*said[1], *said[0]])
        if said[0].get(name) != said[1].get(name)
    )


def _said_of_quality(brief: Brief, plan: Plan | None) -> dict[str, str]:
    """Give, per quality that is promised, what was shown, or which labels could show it."""
    shown = {} if plan is None else {line.objective: line for line in plan.certificate}
    out = {}
    for need in evidence_needs(brief):
        limit = brief.objective(need.objective).limit
        line = shown.get(need.objective)
        if line is not None and line.bound is not None:
            out[need.objective] = f"{limit} promised, {line.bound:.4g} shown by {line.n:,} rows"
            continue
        days = need.days(need.fewest)
        when = "no rate of labels" if days is None else f"{days / MONTH_DAYS:.1f} months of labels"
        out[need.objective] = f"{limit} promised, not shown: {need.fewest:,} cases, {when}"
    return out


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


def _new(after: Brief, changes: tuple[PromiseChange, ...]) -> str:
    """Say of a brief that nobody has seen before what breaks in it, or what is tightest."""
    broken = [change.name for change in changes if (change.used_after or 0.0) > 1]
    head = f"A new brief promises {len(after.envelope)} things"
    if broken:
        return f"{head}, and by its own numbers {', '.join(broken)} breaks."
    most = max(changes, key=lambda change: change.used_after or 0.0, default=None)
    if most is None:
        return f"{head}, and states no number that could show one of them."
    return f"{head}: {most.name} is the tightest, at {_used(most.used_after)} of its limit."


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
    lines += ["", *_loads_markdown(found), *_quality_markdown(found)]
    lines.append(
        f"First to bind: {found.first_before or '-'} before, {found.first_after or '-'} after."
    )
    lines.append(
        "Closed forms and simulations over the numbers of both briefs; nothing was measured."
    )
    return "\n".join(lines)


def _loads_markdown(found: Difference) -> Iterator[str]:
    first, then = found.loaded_before, found.loaded_after
    if then is None:
        return
    seeds = ", ".join(map(str, found.seeds))
    yield f"| at the declared load, simulated (seeds {seeds}) | before | after |"
    yield "|---|---:|---:|"
    for name in ("p50", "p95", "p99"):
        old = "-" if first is None else f"{getattr(first, f'{name}_ms'):.4g} ms"
        yield f"| {name} | {old} | {getattr(then, f'{name}_ms'):.4g} ms |"
    usd = "-" if first is None else format_usd(found.usd_before)
    yield f"| a decision | {usd} | {format_usd(found.usd_after)} |"
    yield f"| breaks first | {_break(first)} | {_break(then)} |"
    yield ""


def _break(loaded: Loaded | None) -> str:
    if loaded is None:
        return "-"
    if loaded.first is None:
        return "nothing within what was run"
    return f"{loaded.first} at {_times(loaded.headroom)}"


def _quality_markdown(found: Difference) -> Iterator[str]:
    if not found.quality:
        return
    yield "| quality | before | after |"
    yield "|---|---|---|"
    for change in found.quality:
        yield f"| {change.name} | {change.before} | {change.after} |"
    yield ""


def _times(headroom: float | None) -> str:
    return "-" if headroom is None else f"{headroom:.2g}x"
