"""What a request is, apart from what it asks: how deep, the same as which, and whose copy."""

from __future__ import annotations

import copy
from typing import Any, Final

import msgspec

__all__ = ["MOST_DEPTH", "MOST_FIELDS", "content_of", "is_deeper", "own_copy"]

_HOLDERS: Final = (dict, list)
MOST_DEPTH: Final = 64
"""Lists and objects that may lie inside each other."""
MOST_FIELDS: Final = 1000
"""Fields of a request."""


def content_of(request: Any) -> bytes:
    """Give what makes two requests the same: their JSON, whatever the order of keys."""
    return msgspec.json.encode(request, order="deterministic")


def own_copy(request: dict[str, Any]) -> dict[str, Any]:
    """Give a tier a request that it may do with as it likes."""
    for value in request.values():
        if isinstance(value, _HOLDERS):
            return copy.deepcopy(request)
    return dict(request)


def is_deeper(value: Any, most: int) -> bool:
    """Claim that lists and objects lie deeper inside each other than that.

    Args:
        value: A list or an object.
        most: Levels; at least 1.
    """
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, _HOLDERS):
            break
    else:
        return False
    level = [value]
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, _HOLDERS)
        ]
        if not level:
            return False
    return True
