"""What binds first, by closed forms over the brief's own numbers: a first guess, no measurement.

The row that uses most of its limit binds first. Each number of the brief is then relaxed by a
quarter in whichever direction helps; the one that frees most of that limit is the bottleneck.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from feasible.rubric.closed_form import Use, uses
from feasible.rubric.records import BottleneckGuess, HeadroomGuess, KnobEffect
from feasible.schema import Brief, FloatArray
from feasible.simulation import Input, drawn, middles, sheet

__all__ = ["at_multiple", "drawn_effects", "guess_bottleneck", "objective_effects"]

DRAWS: Final = 2000
_RELAX: Final = 1.25
_STRUCTURAL: Final = 0.15  # below this no knob is worth turning: change the limit or the tier
_TIE: Final = 0.8  # a knob that moves this share of the best one's effect is as good an answer
_NOTHING: Final = 0.01
_FAR: Final = 0.05  # a limit used less than this binds nothing


def guess_bottleneck(
    brief: Brief, *, draws: int = DRAWS, seed: int = 0, load: float = 1.0
) -> BottleneckGuess:
    """Say which limit the brief's numbers reach first and which number moves it most.

    Args:
        brief: The declaration.
        draws: Draws from the brief's ranges, when it has any. Count.
        seed: Makes the draws repeatable.
        load: Multiple of the declared traffic at which it is looked at; the draws are at 1x.
    """
    inputs = sheet(brief)
    now = at_multiple(middles(inputs, brief), load)
    rows = sorted(uses(brief, now), key=lambda use: -_value(use))
    is_near = bool(rows) and _value(rows[0]) >= _FAR
    effects = _effects(brief, inputs, now, rows[0]) if is_near else []
    best = effects[0] if effects and effects[0].elasticity >= _STRUCTURAL else None
    named = None if brief.bottleneck is None else brief.bottleneck.knob
    agrees = _agrees(named, effects, {item.name for item in inputs})
    certainty = _certainty(brief, inputs, rows, draws=draws, seed=seed)
    return BottleneckGuess(
        method="closed_form",
        first=rows[0].name if is_near else None,
        knob=None if best is None else best.knob,
        elasticity=None if best is None else best.elasticity,
        runner_up=effects[1] if best is not None and len(effects) > 1 else None,
        effects=tuple(effects),
        rows=tuple(_shown(use) for use in rows),
        unknown=_unknown(brief, rows),
        p_holds=certainty[0],
        p_first=certainty[1],
        draws=draws if certainty[0] is not None else 0,
        seed=seed,
        matters_most=certainty[2],
        brief_names=named,
        agrees=agrees,
        sentence=_sentence(rows, best, named, agrees=agrees),
    )


def at_multiple(values: dict[str, FloatArray], load: float) -> dict[str, FloatArray]:
    """Give the same numbers at a multiple of the declared traffic."""
    rate = values.get("traffic.rate")
    return values if rate is None else {**values, "traffic.rate": rate * load}


def drawn_effects(
    brief: Brief, *, draws: int, seed: int, load: float
) -> tuple[tuple[KnobEffect, ...], ...]:
    """Give, for each draw from the brief's ranges, what every number does to what binds there."""
    inputs = sheet(brief)
    values = at_multiple(drawn(inputs, brief, n=draws, seed=seed)[0], load)
    rows = uses(brief, values)
    if not rows:
        return ((),) * draws
    used = _stacked(rows, rows, draws)
    first, every = used.argmax(axis=0), np.arange(draws)
    before = used[first, every]
    out: list[list[KnobEffect]] = [[] for _ in range(draws)]
    for item in (item for item in inputs if item.is_knob):
        turned = [
            _turned(brief, inputs, {**values, item.name: values[item.name] * factor})
            for factor in (_RELAX, 1 / _RELAX)
        ]
        after = np.min(
            [_stacked(rows, uses(brief, one), draws)[first, every] for one in turned], axis=0
        )
        for i in np.flatnonzero((after > 0) & (after < before)).tolist():
            moved = math.log(before[i] / after[i]) / math.log(_RELAX)
            if moved >= _NOTHING:
                out[i].append(KnobEffect(knob=item.name, elasticity=round(moved, 3)))
    return tuple(tuple(sorted(one, key=lambda effect: -effect.elasticity)) for one in out)


def objective_effects(brief: Brief, objective: str) -> tuple[KnobEffect, ...]:
    """Give what every number does to one limit, by closed form at the middle of all ranges.

    Args:
        brief: The declaration.
        objective: Its id, or the knob of a limit that none promises; one without a closed form is
            moved by nothing.
    """
    inputs = sheet(brief)
    now = middles(inputs, brief)
    rows = [use for use in uses(brief, now) if use.name == objective]
    if not rows:
        return ()
    return tuple(_effects(brief, inputs, now, max(rows, key=_value)))


def _stacked(rows: tuple[Use, ...], found: tuple[Use, ...], draws: int) -> FloatArray:
    """Give the shares that are used of the same rows, shape (n_rows, n_draws)."""
    by_name = {(use.name, use.is_evidence): use.used for use in found}
    gone = np.full(draws, np.inf)
    kept = [by_name.get((row.name, row.is_evidence), gone) for row in rows]
    return np.stack([np.broadcast_to(used, (draws,)) for used in kept])


def _effects(
    brief: Brief, inputs: tuple[Input, ...], now: Mapping[str, FloatArray], first: Use
) -> list[KnobEffect]:
    """Relax every knob by a quarter, up and down, and keep what frees the first row most."""
    before = _value(first)
    effects = []
    for item in inputs:
        if not item.is_knob:
            continue
        after = min(
            _after(brief, inputs, {**now, item.name: now[item.name] * factor}, first)
            for factor in (_RELAX, 1 / _RELAX)
        )
        if 0 < after < before:
            elasticity = math.log(before / after) / math.log(_RELAX)
            if elasticity >= _NOTHING:
                effects.append(KnobEffect(knob=item.name, elasticity=round(elasticity, 3)))
    return sorted(effects, key=lambda effect: -effect.elasticity)


def _after(
    brief: Brief, inputs: tuple[Input, ...], values: dict[str, FloatArray], first: Use
) -> float:
    """Give how much the first row uses with other values."""
    found = {
        (use.name, use.is_evidence): use for use in uses(brief, _turned(brief, inputs, values))
    }
    use = found.get((first.name, first.is_evidence))
    return math.inf if use is None else _value(use)


def _turned(
    brief: Brief, inputs: tuple[Input, ...], values: dict[str, FloatArray]
) -> dict[str, FloatArray]:
    """Let a reach that follows from the repeats move with them."""
    stated = {item.name for item in inputs}
    repeated = values.get("traffic.repeated")
    if repeated is not None:
        for tier in brief.layers.tiers[1:]:
            name = f"{tier.name}.reach"
            if name in values and name not in stated:
                values[name] = 1.0 - repeated
    return values


def _agrees(named: str | None, effects: list[KnobEffect], known: set[str]) -> bool | None:
    """Say whether the named knob is as good as the best; None when that cannot be said."""
    if named is None:
        return None
    knobs = {name for name in known if name == named or name.startswith(f"{named}.")}
    if not knobs or not effects:
        return None
    if effects[0].elasticity < _STRUCTURAL:
        return False
    reached = max((e.elasticity for e in effects if e.knob in knobs), default=0.0)
    return reached >= _TIE * effects[0].elasticity


def _certainty(
    brief: Brief, inputs: tuple[Input, ...], rows: list[Use], *, draws: int, seed: int
) -> tuple[float | None, float | None, str | None]:
    """Push the ranges through: share of draws that hold, that break the same row first, and why."""
    if not rows or not any(item.is_range for item in inputs):
        return None, None, None
    values, ranged = drawn(inputs, brief, n=draws, seed=seed)
    found = uses(brief, values)
    used = np.stack([np.broadcast_to(use.used, (draws,)) for use in found])
    worst = used.max(axis=0)
    first = [(use.name, use.is_evidence) for use in found].index(
        (rows[0].name, rows[0].is_evidence)
    )
    effects = {name: abs(_rank_correlation(values[name], worst)) for name in ranged}
    most = max(effects, key=lambda name: effects[name])
    return (
        round(float((worst <= 1).mean()), 4),
        round(float((used.argmax(axis=0) == first).mean()), 4),
        most if effects[most] > _NOTHING else None,
    )


def _rank_correlation(first: FloatArray, second: FloatArray) -> float:
    """Give Spearman's correlation; 0 when one of them does not vary."""
    if first.std() == 0 or second.std() == 0:
        return 0.0
    ranks = [values.argsort().argsort().astype(np.float64) for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _shown(use: Use) -> HeadroomGuess:
    used = _value(use)
    return HeadroomGuess(
        name=use.name,
        limit=use.limit,
        used=round(used, 4),
        headroom=round(1 / used, 3) if use.scales and used > 0 else None,
        basis=use.basis,
    )


def _unknown(brief: Brief, rows: list[Use]) -> tuple[str, ...]:
    known = {use.name for use in rows}
    dated = {f"delivery_{use.name}" for use in rows if use.is_evidence}
    return tuple(o.id for o in brief.envelope if o.id not in known | dated)


def _value(use: Use) -> float:
    return float(use.used[0])


def _sentence(
    rows: list[Use], best: KnobEffect | None, named: str | None, *, agrees: bool | None
) -> str:
    """Say it in one breath."""
    if not rows or _value(rows[0]) < _FAR:
        return (
            "Nothing that the brief's numbers can show comes near its limit: state usd, reach, "
            "latency_p95 and capacity of every tier."
        )
    first = rows[0]
    head = f"{first.name} uses {_value(first) * 100:.0f} % of its limit ({first.basis})"
    if best is None:
        return f"{head}; no number of the brief moves it: change the limit or the tier."
    head += f", and {best.knob} moves it most (elasticity {best.elasticity:.2f})"
    if named is None:
        return f"{head}. The brief names no bottleneck."
    return f"{head}. The brief {'agrees' if agrees else f'names {named}'}."
