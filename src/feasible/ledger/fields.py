"""Fields of decisions and labels that can be redacted, or by which a person is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from feasible.errors import BadInput, nearest
from feasible.ledger.tables import DECISIONS, Row, Table

__all__ = ["Field", "field_of", "holds", "without"]

_ENCODE: Final = msgspec.json.Encoder().encode
_ANSWER, _REQUEST, _BODY = 11, 12, 13
"""Columns of a decision, `row_id` first."""
_REQUEST_PART, _BODY_PART = 1, 2
_ROOTS: Final = (
    "request",
    "answer",
    "path.why",
    "idempotency_key",
    "decision_id",
    "label.value",
    "label.reviewer",
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its name.

    Attributes:
        name: As it was asked for.
        of: `request`, `answer`, `path`, `idempotency_key`, `decision_id` or `label`.
        within: Names of objects inside each other, from there.
    """

    name: str
    of: str
    within: tuple[str, ...] = ()


def field_of(name: str) -> Field:
    """Read the name of a field.

    Raises:
        BadInput: A ledger has no such field.

    Examples:
        >>> field_of("request.user.email")
        Field(name='request.user.email', of='request', within=('user', 'email'))
    """
    root, *within = name.split(".")
    is_known = (
        (root in {"request", "answer"} and all(within))
        or name in {"path.why", "idempotency_key", "decision_id"}
        or name in {"label.value", "label.reviewer"}
    )
    if not is_known:
        close = nearest(name, _ROOTS)
        raise BadInput(
            f"a ledger has no field {name!r}",
            asked="request, answer, or something in them such as request.text; "
            + ", ".join(_ROOTS[2:]),
            attempt=f"`{close}`?" if close else f"`request.{name}`?",
        )
    return Field(name, root, tuple(within))


def holds(row: Row, field: Field, value: str) -> bool:
    """Claim that a field of a decision has this value, or a list in it does.

    Args:
        row: The decision, `row_id` first.
        field: Where to look.
        value: As text: a number is compared as JSON writes it.
    """
    if field.of == "decision_id":
        return bool(row[1] == value)
    if field.of == "idempotency_key":
        return bool(row[10] == value)
    column = row[_REQUEST] if field.of == "request" else row[_ANSWER]
    if value.encode() not in column and value.isascii() and value.isalnum():
        return False  # it cannot be in there, and need not be read
    return any(_is(found, value) for found in _found(msgspec.json.decode(column), field.within))


def without(
    table: Table, row: Row, fields: Sequence[Field]
) -> tuple[dict[str, Any], set[int]] | None:
    """Give the columns of a row as they are without some fields, and the parts that they are in.

    Args:
        table: Whose row it is.
        row: The row, `row_id` first.
        fields: Those that become null.

    Returns:
        Columns by name and numbers of parts; None when nothing is to be changed.
    """
    if table is not DECISIONS:
        columns = _label_without(row, fields)
        return (columns, {0}) if columns else None
    columns, parts = {}, set()
    body: dict[str, Any] = msgspec.json.decode(row[_BODY])
    for field in fields:
        if field.of in {"request", "answer"}:
            column, part = (_REQUEST, _REQUEST_PART) if field.of == "request" else (_ANSWER, 0)
            earlier = msgspec.json.decode(columns[field.of] if field.of in columns else row[column])
            later = _cut(earlier, field.within)
            if later != earlier:
                columns[field.of] = _ENCODE(later)
                parts.add(part)
        elif _cut_body(body, field):
            columns["body"] = _ENCODE(body)
            columns["idempotency_key"] = body["idempotency_key"]
            parts.add(_BODY_PART)
    return (columns, parts) if columns else None


def _label_without(row: Row, fields: Sequence[Field]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for field in fields:
        if field.name == "label.value" and row[8] != b"null":
            columns["body"] = b"null"
        if field.name == "label.reviewer" and row[7] is not None:
            columns["reviewer"] = None
    return columns


def _cut_body(body: dict[str, Any], field: Field) -> bool:
    """Take a field out of the body of a decision; gives whether it was there."""
    if field.of == "idempotency_key":
        was, body["idempotency_key"] = body["idempotency_key"], None
        return was is not None
    steps = [step for step in body["path"] if field.of == "path" and step.get("why") is not None]
    for step in steps:
        step["why"] = None
    return bool(steps)


def _cut(found: Any, within: Sequence[str]) -> Any:
    """Give a value with what stands at a place in it made null; in a list, in each of it."""
    if not within:
        return None
    if isinstance(found, list):
        return [_cut(one, within) if isinstance(one, dict | list) else one for one in found]
    if not isinstance(found, dict) or within[0] not in found:
        return found
    return {**found, within[0]: _cut(found[within[0]], within[1:])}


def _found(value: Any, within: Sequence[str]) -> list[Any]:
    """Give what stands at a place in a value; of a list, in each of it."""
    if isinstance(value, list):
        return [found for one in value for found in _found(one, within)]
    if not within:
        return [value]
    if isinstance(value, dict) and within[0] in value:
        return _found(value[within[0]], within[1:])
    return []


def _is(found: Any, value: str) -> bool:
    return found == value or (not isinstance(found, str) and _ENCODE(found).decode() == value)
