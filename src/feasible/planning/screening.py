"""Of very many tiers, those worth making orders of: a log of fifty models has a million orders."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from feasible.planning.chain import Chain, Ingredients
from feasible.planning.sheet import Sheet
from feasible.schema import FloatArray

__all__ = ["screened"]

_MOST_TIERS: Final = 8
_PRICES: Final = np.geomspace(1e-3, 1e3, 13)
"""What being right is worth, in mean prices of a call."""


def screened(kit: Ingredients, rows: Sheet) -> Ingredients:
    """Keep the tiers that no cheaper one beats, and those that a router would send most rows to.

    Args:
        kit: What plans can be made of.
        rows: FIT rows, with what a router that did not see a row foresees of it.
    """
    if len(kit.machines) <= _MOST_TIERS:
        return kit
    price = np.array([kit.mean_usd[name] or 0.0 for name in kit.machines])
    routed = _routed(kit, rows, price)
    half = _MOST_TIERS // 2 if routed.any() else _MOST_TIERS
    kept = np.argsort(-_advantage(kit, rows, price), kind="stable")[:half].tolist()
    for place in np.argsort(-routed, kind="stable").tolist():
        if len(kept) < _MOST_TIERS and place not in kept:
            kept.append(place)
    machines = tuple(name for i, name in enumerate(kit.machines) if i in kept)
    if kit.scores is not None:
        kit.scores.keep(machines)
    return replace(kit, machines=machines)


def _advantage(kit: Ingredients, rows: Sheet, price: FloatArray) -> FloatArray:
    """Give by how many standard errors each tier is better than the cheaper one that comes closest.

    It counts in the promise in which the tier is best.
    """
    misses = []
    for name in kit.machines:
        made = [c for c in rows.constraints(Chain((name,))) if c.objective.kind != "cost"]
        misses.append([c.value(np.zeros(len(rows), dtype=np.int64)) or 0.0 for c in made])
    loss = np.array(misses).reshape(len(price), -1)
    error = np.sqrt(np.maximum(loss * (1 - loss), 1e-4) / len(rows))
    out = np.full(len(price), np.inf)
    for i in range(len(price)):
        cheaper = np.flatnonzero(price <= price[i])
        cheaper = cheaper[cheaper != i]
        if len(cheaper) and loss.shape[1]:
            out[i] = ((loss[cheaper] - loss[i]) / error[i]).max(axis=1).min()
    return out


def _routed(kit: Ingredients, rows: Sheet, price: FloatArray) -> FloatArray:
    """Give how much each tier adds where rows go to the tier that is worth most to them.

    Summed over what being right may be worth; 0 where nothing is foreseen.
    """
    out = np.zeros(len(price))
    foreseen = rows.foreseen or {}
    known = [i for i, name in enumerate(kit.machines) if name in foreseen]
    if not known:
        return out
    right = np.column_stack([foreseen[kit.machines[i]] for i in known])
    right = right[~np.isnan(right).any(axis=1)]
    for worth in _PRICES * float(price.mean()):
        value = right - price[known] / worth
        order = np.sort(value, axis=1)
        best = value.argmax(axis=1)
        lead = order[:, -1] - (order[:, -2] if len(known) > 1 else 0.0)
        np.add.at(out, np.array(known)[best], lead)
    return out
