"""Versions: a hash that changes whenever a tier might answer differently."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["code_version", "content_of", "version_of"]


def version_of(code: str, parameters: Mapping[str, object], content: str = "") -> str:
    """Give a version from a tier's code version, its settings and what it has learnt.

    Args:
        code: Name and number of the code, raised by hand when its answers change.
        parameters: Settings, JSON values.
        content: Hash of what was fitted; empty before fitting.

    Examples:
        >>> version_of("tfidf-1", {"ngrams": 2}) == version_of("tfidf-1", {"ngrams": 3})
        False
    """
    text = json.dumps([code, dict(parameters), content], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_version(target: object) -> str:
    """Give a version for a user's function or object from its source and its plain attributes.

    What it calls elsewhere is not seen: a tier that depends on more gives its own `version`.
    """
    made = inspect.unwrap(target) if inspect.isroutine(target) else type(target)
    if isinstance(target, functools.partial):
        return version_of(code_version(target.func), {"args": target.args, **target.keywords})
    settings = getattr(target, "__dict__", {}) if inspect.isclass(made) else {}
    plain = {key: value for key, value in settings.items() if _is_plain(value)}
    return version_of(_source(made), plain)


def content_of(folder: Path) -> str:
    """Give a hash of the names and contents of all files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _source(made: Any) -> str:
    """Give the source, or what is left of it where there is no file."""
    try:
        return inspect.getsource(made)
    except (OSError, TypeError):
        code = getattr(made, "__code__", None)
        body = "" if code is None else f"{code.co_code.hex()}{code.co_consts!r}"
        return f"{getattr(made, '__module__', '')}.{getattr(made, '__qualname__', '')}{body}"
