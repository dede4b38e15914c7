"""A team's own questions about a brief, in YAML: of which parts, what they state, the risk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from feasible.errors import BadInput, nearest
from feasible.rubric.places import place_of
from feasible.rubric.records import Finding, Risk
from feasible.rubric.waivers import KNOWN
from feasible.schema import Brief, BriefFile, convert_yaml, read_yaml
from feasible.units import Quantity

__all__ = ["Lens", "Question", "ask", "read_lens"]


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question, asked of every part that it is about."""

    id: str
    """Of its findings; none of the review's own."""
    question: str
    each: str
    """Part of the brief: a record such as `layers.serving`, or a list such as `layers.tiers`."""
    where: dict[str, str] = {}
    """Only parts with these values, for example `kind: llm`."""
    states: tuple[str, ...] = ()
    """Keys that each of them must state."""
    at_most: dict[str, str | int | float] = {}
    """Key -> the most that it may be, where it is stated; with its unit."""
    at_least: dict[str, str | int | float] = {}
    """Key -> the least that it may be, where it is stated; with its unit."""
    risk: Risk
    why: str
    fix: str


class Lens(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Questions that belong together."""

    lens: str
    """Its name."""
    questions: tuple[Question, ...]


_LEAST: Final = "`states`, `at_most` or `at_least`"


def read_lens(path: Path) -> Lens:
    """Read a lens.

    Raises:
        BadInput: It cannot be read, or asks about what no brief has; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the lens {path} cannot be read", found=str(error)) from error
    plain, lines = read_yaml(text, path, error=BadInput)
    lens = convert_yaml(plain, Lens, lines, path, error=BadInput)
    seen: set[str] = set()
    for index, question in enumerate(lens.questions):
        for key, reason in _faults(question, seen):
            at = f"questions[{index}].{key}"
            line = lines.get(at, lines.get(f"questions[{index}]", 1))
            raise BadInput(f"{at}: {reason}", where=f"{path.name}:{line}")
        seen.add(question.id)
    return lens


def ask(found: BriefFile, lens: Lens) -> Iterator[Finding]:
    """Give a finding for each part that does not answer a question as it should.

    Args:
        found: The brief with its places.
        lens: The questions.
    """
    for question in lens.questions:
        for at, part in _parts(found.brief, question):
            wrong = list(_wrong(part, question))
            if wrong:
                yield Finding(
                    id=question.id,
                    risk=question.risk,
                    where=place_of(found, at),
                    why=f"{question.why} ({lens.lens}: {question.question} {'; '.join(wrong)})",
                    fix=question.fix,
                )


def _faults(question: Question, seen: set[str]) -> Iterator[tuple[str, str]]:
    if question.id in KNOWN or question.id in seen:
        yield "id", f"{question.id!r} is taken; choose another"
    kind = _kind_at(question.each)
    if kind is None:
        yield "each", f"{question.each!r} is no part of a brief, such as `layers.tiers`"
        return
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in ("where", "states", "at_most", "at_least"):
        for name in getattr(question, key):
            if name not in names:
                close = nearest(name, names)
                told = f"; did you mean `{close}`?" if close else f"; known: {', '.join(names)}"
                yield key, f"{name!r} is no key of {question.each}{told}"
    for key in ("at_most", "at_least"):
        for name, raw in getattr(question, key).items():
            try:
                Quantity(raw)
            except ValueError as error:
                yield key, f"{name}: {error}"
    if not (question.states or question.at_most or question.at_least):
        yield "id", f"a question needs {_LEAST}"


def _kind_at(path: str) -> type[msgspec.Struct] | None:
    kind: Any = Brief
    for name in path.split("."):
        hints = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        kind = _record(hints.get(name))
        if kind is None:
            return None
    return kind  # type: ignore[no-any-return]  # a record, by construction


def _record(hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    return next((one for part in getattr(hint, "__args__", ()) if (one := _record(part))), None)


def _parts(brief: Brief, question: Question) -> Iterator[tuple[str, Any]]:
    """Give the parts that a question is about, with their paths; a missing record is none."""
    part: Any = brief
    for name in question.each.split("."):
        part = None if part is None else getattr(part, name)
    listed = [(question.each, part)]
    if isinstance(part, tuple):
        listed = [(f"{question.each}[{index}]", one) for index, one in enumerate(part)]
    for at, one in listed:
        if one is not None and all(
            str(getattr(one, key)) == wanted for key, wanted in question.where.items()
        ):
            yield at, one


def _wrong(part: Any, question: Question) -> Iterator[str]:
    """Say what a part lacks or exceeds."""
    for key in question.states:
        if getattr(part, key) in (None, "", (), {}):
            yield f"`{key}` is not stated"
    for limits, is_ceiling in ((question.at_most, True), (question.at_least, False)):
        for key, raw in limits.items():
            found, limit = getattr(part, key), Quantity(raw)
            if found is None:
                continue
            value = found.high if is_ceiling and isinstance(found, Quantity) else found
            value = value.low if isinstance(value, Quantity) else float(value)
            asked = "at most" if is_ceiling else "at least"
            if value > limit.high if is_ceiling else value < limit.low:
                yield f"`{key}` is {found}, {asked} {raw} is asked"
