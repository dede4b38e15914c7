"""YAML that a person wrote, as records: a mistake has its file, its line and the nearest key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from feasible.errors import BadInput, nearest

__all__ = ["convert_yaml", "parent_path", "read_yaml"]

T = TypeVar("T", bound=msgspec.Struct)

_UNKNOWN_FIELD: Final = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`")
_AT: Final = re.compile(r" - at (?:`key` in )?`(?P<path>[^`]*)`$")


def read_yaml(text: str, path: Path, *, error: type[BadInput]) -> tuple[Any, dict[str, int]]:
    """Read YAML into plain values, and say where each part of it stands.

    Args:
        text: YAML.
        path: Name to give in errors.
        error: What is raised.

    Returns:
        The values, and path inside them (`envelope[3].on`) -> line, counted from 1.
    """
    try:
        tree = YAML().load(text)
    except MarkedYAMLError as found:
        line = found.problem_mark.line + 1 if found.problem_mark else 1
        msg = f"not YAML: {found.problem or found.context}"
        raise error(msg, where=f"{path.name}:{line}") from found
    except (YAMLError, ValueError) as found:
        raise error(f"not YAML: {str(found).splitlines()[0]}", where=path.name) from found
    lines: dict[str, int] = {}
    return _plain(tree, "", lines), lines


def convert_yaml(
    plain: Any,
    kind: type[T],
    lines: dict[str, int],
    path: Path,
    *,
    error: type[BadInput],
    dec_hook: Callable[[type, Any], Any] | None = None,
) -> T:
    """Turn plain values into a record.

    Args:
        plain: The values.
        kind: The record.
        lines: Where each part stands.
        path: Name to give in errors.
        error: What is raised, with `file:line: field: reason`, and the nearest key for a wrong one.
        dec_hook: Reads types that msgspec does not know.
    """
    try:
        return msgspec.convert(plain, kind, dec_hook=dec_hook, strict=True)
    except msgspec.ValidationError as found:
        place, reason = _explained(str(found), kind)
        told = place.replace("[...]", "")
        where = f"{path.name}:{_line_of(place, lines)}"
        raise error(f"{told}: {reason}" if told else reason, where=where) from found


def parent_path(path: str) -> str:
    """Give the path of the part that holds a part; nothing for the whole."""
    if path.endswith("]"):
        return path[: path.rindex("[")]
    return path.rpartition(".")[0]


def _plain(node: object, at: str, lines: dict[str, int]) -> Any:
    """Turn a YAML tree into plain values and note where each part stands."""
    if isinstance(node, CommentedMap):
        for key in node:
            lines[_child(at, key)] = node.lc.key(key)[0] + 1
        return {_scalar(key): _plain(value, _child(at, key), lines) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            lines[f"{at}[{index}]"] = node.lc.item(index)[0] + 1
        return [_plain(value, f"{at}[{index}]", lines) for index, value in enumerate(node)]
    return _scalar(node)


def _scalar(node: object) -> object:
    """Take a YAML scalar out of the wrapper that remembers how it was written."""
    if isinstance(node, bool):
        return bool(node)
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node


def _child(at: str, key: object) -> str:
    return f"{at}.{key}" if at else str(key)


def _explained(message: str, kind: type[msgspec.Struct]) -> tuple[str, str]:
    """Turn a conversion failure into a place and a reason, with the nearest key."""
    at = _AT.search(message)
    place = at["path"].removeprefix("$").removeprefix(".") if at else ""
    reason = _AT.sub("", message)
    unknown = _UNKNOWN_FIELD.match(reason)
    if unknown:
        key = unknown["key"]
        valid = _fields_at(place, kind)
        close = nearest(key, valid)
        place = _child(place, key)
        hint = f"; did you mean `{close}`?" if close else f"; known keys: {', '.join(valid)}"
        reason = f"unknown key `{key}`{hint}"
    elif reason.startswith("Object missing required field"):
        reason = reason.replace("Object missing required field", "missing")
    return place, reason


def _line_of(place: str, lines: dict[str, int]) -> int:
    place = place.split("[...]", maxsplit=1)[0]
    while place and place not in lines:
        place = parent_path(place)
    return lines.get(place, 1)


def _fields_at(place: str, kind: Any) -> list[str]:
    """Give the valid keys of the record at a path such as `envelope[3]`."""
    for token in re.findall(r"[A-Za-z_]\w*|\[[^\]]*\]", place):
        if token.startswith("["):
            continue
        hints = {f.name: f.type for f in msgspec.structs.fields(kind)}
        kind = _record_in(hints.get(token))
        if kind is None:
            return []
    return [f.encode_name for f in msgspec.structs.fields(kind)]


def _record_in(hint: object) -> Any:
    """Find the record type inside `X | None` or `tuple[X, ...]`."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    for part in getattr(hint, "__args__", ()):
        found = _record_in(part)
        if found is not None:
            return found
    return None
