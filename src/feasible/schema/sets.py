"""A brief with some of its own numbers at other values, which is what a fix would turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, get_args

import msgspec

from feasible.errors import nearest
from feasible.schema.brief import Brief
from feasible.units import Quantity

__all__ = ["Sets", "brief_with", "set_faults"]

Sets: TypeAlias = Mapping[str, bool | str | int | float]
"""Number of a brief, such as `scorer.capacity`, -> its value as typed."""

_PARTS: Final = {
    "traffic": ("traffic",),
    "labels": ("labels",),
    "data": ("layers", "data"),
    "features": ("layers", "features"),
    "serving": ("layers", "serving"),
    "feedback": ("layers", "feedback"),
    "retrain": ("layers", "feedback", "retrain"),
}
"""Head of a name -> where that part stands."""


def brief_with(brief: Brief, sets: Sets) -> Brief:
    """Give a brief with other values for some of its numbers.

    Args:
        brief: The declaration.
        sets: Names begin with a tier, an objective's id, or a part: `traffic`, `labels`, `data`,
            `features`, `serving`, `feedback`, `retrain`.

    Raises:
        ValueError: A name stands for no number of the brief, or the value has another unit.
    """
    for name, raw in sets.items():
        head, _, key = name.partition(".")
        place = _place(brief, head)
        if place is None or not key:
            raise ValueError(_unknown(brief, name))
        brief = _replaced(brief, place, key, name, raw)
    return brief


def set_faults(brief: Brief) -> Iterator[tuple[str, str]]:
    """Give, with its path, why a number that a fix or an alternative sets cannot be set."""
    fix = None if brief.bottleneck is None else brief.bottleneck.fix
    if fix is None:
        return
    wishes: list[tuple[str, Sets]] = [("bottleneck.fix", fix.sets)]
    wishes += [
        (f"bottleneck.fix.alternatives[{index}]", other.sets)
        for index, other in enumerate(fix.alternatives)
    ]
    for at, sets in wishes:
        for name, raw in sets.items():
            try:
                brief_with(brief, {name: raw})
            except ValueError as error:
                yield f"{at}.sets.{name}", str(error)


def _place(brief: Brief, head: str) -> tuple[str | int, ...] | None:
    """Give the steps from the brief to the part that a name begins with."""
    for index, tier in enumerate(brief.layers.tiers):
        if tier.name == head:
            return "layers", "tiers", index
    for index, objective in enumerate(brief.envelope):
        if objective.id == head:
            return "envelope", index
    return _PARTS.get(head)


def _replaced(part: Any, place: tuple[str | int, ...], key: str, name: str, raw: object) -> Any:
    """Replace one number deep inside a frozen record."""
    if not place:
        return _with(part, key, name, raw)
    step, rest = place[0], place[1:]
    if isinstance(step, int):
        inner = _replaced(part[step], rest, key, name, raw)
        return (*part[:step], inner, *part[step + 1 :])
    inner = getattr(part, step)
    if inner is None:
        msg = f"{name!r} is not in this brief, which has no `{step}`"
        raise ValueError(msg)
    return msgspec.structs.replace(part, **{step: _replaced(inner, rest, key, name, raw)})


def _with(part: msgspec.Struct, key: str, name: str, raw: object) -> msgspec.Struct:
    field, _, inner = key.partition(".")
    hints = {f.name: f.type for f in msgspec.structs.fields(part)}
    if inner and isinstance(getattr(part, field, None), dict):
        kept = getattr(part, field)
        kind = get_args(hints[field])[1]
        return msgspec.structs.replace(part, **{field: {**kept, inner: _read(kind, name, raw)}})
    kind = None if inner else _kind(hints.get(field))
    if kind is None:
        known = [f for f, hint in hints.items() if _kind(hint) is not None]
        close = nearest(field, known)
        told = f"did you mean `{close}`?" if close else f"numbers there: {', '.join(known)}"
        msg = f"{name!r} is no number of this brief; {told}"
        raise ValueError(msg)
    return msgspec.structs.replace(part, **{field: _read(kind, name, raw)})


def _kind(hint: Any) -> type | None:
    """Give the type of a number inside `X | None`; None for what is no number."""
    for kind in (hint, *get_args(hint)):
        if isinstance(kind, type) and (issubclass(kind, Quantity) or kind in {int, float, bool}):
            return kind
    return None


def _read(kind: Any, name: str, raw: Any) -> object:
    if issubclass(kind, Quantity):
        try:
            return kind(raw)
        except ValueError as error:
            msg = f"{name!r}: {error}"
            raise ValueError(msg) from error
    is_right = isinstance(raw, bool) if kind is bool else isinstance(raw, int | float)
    is_right = is_right and (kind is not int or isinstance(raw, int)) and raw >= 0
    if not is_right:
        msg = f"{name!r}: expected {'true or false' if kind is bool else 'a number'}; found {raw!r}"
        raise ValueError(msg)
    return kind(raw)


def _unknown(brief: Brief, name: str) -> str:
    head = name.partition(".")[0]
    heads = [
        *(tier.name for tier in brief.layers.tiers),
        *_PARTS,
        *(objective.id for objective in brief.envelope),
    ]
    close = nearest(head, heads)
    told = f"did you mean `{close}`?" if close and close != head else f"known: {', '.join(heads)}"
    return f"{name!r} is no number of this brief; {told}"
