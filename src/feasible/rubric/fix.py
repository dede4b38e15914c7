"""R6: whether solving the bottleneck is worth its cost, by simulating the design with the fix."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from feasible.rubric.named import Context
from feasible.rubric.records import Criterion
from feasible.rubric.whatif import Bought, bought
from feasible.schema import Alternative, Brief, Fix
from feasible.simulation import Simulated
from feasible.units import format_usd

__all__ = ["judge_fix", "monthly_price"]

_MOST: Final = 20
_NEAR: Final = 0.3
_CLAIMED: Final = 0.8
"""A fix that buys this share of what it claims buys it."""
_SOME: Final = 1.02
"""A gain below this is none."""


@dataclass(frozen=True, slots=True)
class _Weighed:
    """One way to move the bottleneck, weighed."""

    change: str
    gain: float
    usd_month: float | None
    breaks: tuple[str, ...]
    is_simulated: bool

    @property
    def usd_per_gain(self) -> float:
        """Give dollars a month per unit of headroom; infinite for none, or a broken promise."""
        if self.breaks or self.gain < _SOME or self.usd_month is None:
            return math.inf
        return self.usd_month / (self.gain - 1) if math.isfinite(self.gain) else 0.0


def judge_fix(
    brief: Brief, contexts: Sequence[Context], *, simulated: Simulated | None, seed: int
) -> Criterion:
    """Judge R6: what the fix buys and costs, what it is compared with, and what breaks next.

    Args:
        brief: The declaration.
        contexts: What binds, and where, as R5 looks at it.
        simulated: The stated design as it is; None: it cannot be simulated.
        seed: The first seed of the simulation.
    """
    named = brief.bottleneck
    fix = None if named is None else named.fix
    if fix is None:
        return _criterion(0, _MOST, ("+0 no fix is stated",))
    points, checkable, evidence = 0, 0, list[str]()
    made = bought(brief, fix.sets, simulated=simulated, seed=seed) if fix.sets else None
    weighed = _weighed(brief, fix, contexts, simulated=simulated, seed=seed)
    for earned, could, said in (
        _gained(fix, made, weighed),
        _priced(fix, made),
        _compared(brief, fix, weighed, contexts, simulated=simulated, seed=seed),
        _next(fix, made),
    ):
        points, checkable = points + earned, checkable + could
        evidence.append(f"+{earned} {said}" if could else said)
    return _criterion(points, checkable, tuple(evidence))


def _weighed(
    brief: Brief,
    way: Fix | Alternative,
    contexts: Sequence[Context],
    *,
    simulated: Simulated | None,
    seed: int,
) -> _Weighed:
    """Weigh a way by simulating it where it says its numbers, and by its own claim otherwise."""
    usd = None if way.usd_month is None else way.usd_month.mid
    if not way.sets:
        claimed = 1.0 if way.gains is None else way.gains.mid
        return _Weighed(way.change, claimed, usd, (), is_simulated=False)
    made = bought(brief, way.sets, simulated=simulated, seed=seed)
    gains = [
        made.gain(context.objective, is_simulated=context.is_simulated)
        for context in contexts
        if context.objective is not None
    ]
    price = max(made.usd_month or 0.0, 0.0) if usd is None else usd
    return _Weighed(
        way.change, max(gains, default=1.0), price, tuple(sorted(made.breaks)), is_simulated=True
    )


def _gained(fix: Fix, made: Bought | None, weighed: _Weighed) -> tuple[int, int, str]:
    """Give 8 for a fix that buys what it claims, 4 for one that buys and claims nothing."""
    if made is None:
        return 0, 0, "8 points not checked: the fix says no numbers in `sets`"
    found = _times(weighed.gain)
    numbers = ", ".join(f"{name} {value}" for name, value in fix.sets.items())
    said = f"with {numbers}: {found} the headroom of what binds (seed {made.seed})"
    if weighed.breaks:
        return 0, 8, f"{said}, but {', '.join(weighed.breaks)} breaks by it"
    if weighed.gain < _SOME:
        return 0, 8, f"{said}: it buys nothing there"
    if fix.gains is None:
        return 4, 8, f"{said}; it claims no number"
    claimed = fix.gains.mid
    is_bought = weighed.gain >= 1 + _CLAIMED * (claimed - 1)
    return 8 * is_bought, 8, f"{said}, {_times(claimed)} claimed"


def monthly_price(fix: Fix, made: Bought | None) -> float | None:
    """Give what a fix costs a month by the brief's own prices; None where they do not say."""
    labels = _labels_usd(fix)
    more = None if made is None or made.usd_month is None else max(made.usd_month, 0.0)
    if labels is None and not more:
        return None
    return (labels or 0.0) + (more or 0.0)


def _priced(fix: Fix, made: Bought | None) -> tuple[int, int, str]:
    """Give 6 for a price within 30 % of the brief's own, 3 for one that the brief cannot know."""
    if fix.usd_month is None:
        return 0, 6, "the fix has no price"
    stated, model = fix.usd_month.mid, monthly_price(fix, made)
    said = f"{format_usd(stated)} a month stated"
    if model is not None:
        near = model > 0 and abs(stated / model - 1) <= _NEAR
        return 6 * near, 6, f"{said}, {format_usd(model)} by the brief's own prices"
    if stated == 0 and made is not None:
        saved = made.usd_month
        less = "" if saved is None or saved > -1 else f" and saves {format_usd(-saved)}"
        return 6, 6, f"{said}, and by the brief's own prices it adds nothing{less}"
    return 3, 3, f"{said}; no price of the brief says what it should be (3 points not checked)"


def _compared(
    brief: Brief,
    fix: Fix,
    weighed: _Weighed,
    contexts: Sequence[Context],
    *,
    simulated: Simulated | None,
    seed: int,
) -> tuple[int, int, str]:
    """Give 4 for a fix that beats one alternative in dollars per unit of headroom."""
    if not fix.alternatives:
        return 0, 4, "no alternative is compared with it"
    if not fix.sets:
        return 0, 0, "4 points not checked: alternatives to a fix in words"
    others = [
        _weighed(brief, other, contexts, simulated=simulated, seed=seed)
        for other in fix.alternatives
        if other.sets or (other.gains is not None and other.usd_month is not None)
    ]
    if not others:
        return 0, 0, "4 points not checked: no alternative says its numbers"
    worst = max(others, key=lambda other: other.usd_per_gain)
    beats = weighed.usd_per_gain < worst.usd_per_gain
    shown = "; ".join(_shown(other) for other in [weighed, *others])
    return 4 * beats, 4, f"{'beats' if beats else 'beats no'} alternative: {shown}"


def _shown(way: _Weighed) -> str:
    how = "simulated" if way.is_simulated else "claimed"
    broken = f", breaks {', '.join(way.breaks)}" if way.breaks else ""
    return f"{way.change!r} {_times(way.gain)} {how} for {format_usd(way.usd_month)}{broken}"


def _next(fix: Fix, made: Bought | None) -> tuple[int, int, str]:
    found = "" if made is None else "".join(_binds_then(made))
    return 2 * (fix.breaks_next is not None), 2, f"next: {fix.breaks_next or 'not stated'}{found}"


def _binds_then(made: Bought) -> Iterator[str]:
    """Say what uses most of its limit, and what breaks first with load, once the fix is in."""
    used = made.after.used
    if used:
        most = max(used, key=lambda name: used[name])
        yield f"; then {most} uses most of its limit ({used[most] * 100:.0f} %)"
    loads = {name: at for name, at in made.after.headroom.items() if math.isfinite(at)}
    if loads:
        first = min(loads, key=lambda name: loads[name])
        yield f", {first} breaks first with load ({loads[first]:.2g}x)"


def _times(gain: float) -> str:
    return f"{gain:.3g}x" if math.isfinite(gain) else "beyond what was run:"


def _labels_usd(fix: Fix) -> float | None:
    if fix.labels is None or fix.usd_per_label is None:
        return None
    return fix.labels.mid * fix.usd_per_label.mid


def _criterion(points: int, checkable: int, evidence: tuple[str, ...]) -> Criterion:
    left = _MOST - checkable
    if left and not any("not checked" in said for said in evidence):
        evidence = (*evidence, f"{left} of {_MOST} points not checked")
    return Criterion(
        id="R6",
        title="the cost of solving it, justified",
        points=points,
        max=_MOST,
        checkable=checkable,
        checked=True,
        evidence=evidence,
    )
