"""Where a text tier finds its text."""

from __future__ import annotations

from collections.abc import Sequence

from feasible.errors import RequestError, nearest
from feasible.schema import Request

__all__ = ["texts_of"]


def texts_of(batch: Sequence[Request], field: str) -> list[str]:
    """Give one field of every request.

    Args:
        batch: The requests.
        field: Name of the field that holds the text.

    Raises:
        RequestError: A request lacks the field, or it is not text.
    """
    return [_text(request, field) for request in batch]


def _text(request: Request, field: str) -> str:
    value = request.get(field)
    if isinstance(value, str):
        return value
    keys = [str(key) for key in request]
    close = nearest(field, keys)
    found = f"{field!r} is a {type(value).__name__}" if field in request else f"fields {keys}"
    raise RequestError(
        f"the request has no text in `{field}`",
        asked=f'{{"{field}": "..."}}',
        found=found,
        attempt=f"rename `{close}` to `{field}`" if close and close != field else None,
    )
