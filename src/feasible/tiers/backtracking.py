"""Which regular expressions may take for ever on a text that somebody chose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]  # the only parser of this syntax
from typing import Any, Final

__all__ = ["may_backtrack", "repeats_endlessly"]

_REPEATS: Final = frozenset({_constants.MAX_REPEAT, _constants.MIN_REPEAT})
_MANY: Final = 10
"""Repeats of at least so many times count as endless: each more doubles the time."""


def may_backtrack(regex: str) -> bool:
    r"""Claim that an endless repeat stands inside an endless repeat, as in `(a+)+$`.

    It errs on the safe side: where what follows the inner repeat can be no part of it, as in
    `(\d+,)*`, no time is lost in truth. Two repeats beside each other cost the square of the text's
    length at worst, which is not for ever, and are let pass.

    Args:
        regex: In Python's syntax.

    Raises:
        re.error: It is not valid.

    Examples:
        >>> may_backtrack(r"(a+)+$"), may_backtrack(r"(\w+\s?)*end")
        (True, True)
        >>> may_backtrack(r"\b(lost|stolen)\b.*\bcard\b"), may_backtrack(r"(a{1,3})*")
        (False, False)
    """
    return any(
        any(_is_endless(op, what) for op, what in _inside(what))
        for op, what in _all(_parser.parse(regex, re.IGNORECASE))
        if _is_endless(op, what)
    )


def repeats_endlessly(regex: str) -> bool:
    r"""Claim that some part of an expression may be found over and over.

    Without one a search takes time in proportion to the text.

    Args:
        regex: In Python's syntax.

    Raises:
        re.error: It is not valid.

    Examples:
        >>> repeats_endlessly(r"card.*lost"), repeats_endlessly(r"\b(card|visa) lost\b")
        (True, False)
    """
    return any(_is_endless(op, what) for op, what in _all(_parser.parse(regex, re.IGNORECASE)))


def _is_endless(op: Any, what: Any) -> bool:
    return op in _REPEATS and what[1] >= _MANY


def _all(parsed: Any) -> Iterator[tuple[Any, Any]]:
    """Go through an expression's parts, and through what lies inside them."""
    for op, what in parsed:
        yield op, what
        yield from _inside(what)


def _inside(what: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(what, _parser.SubPattern):
        yield from _all(what)
    elif isinstance(what, list | tuple):
        for part in what:
            yield from _inside(part)
