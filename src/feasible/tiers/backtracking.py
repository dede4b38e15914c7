"""Which regular expressions may take for ever on a text that somebody chose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from re import _constants, _parser  # type: ignore[attr-defined]  # the only parser of this syntax
from typing import Any, Final

__all__ = ["may_backtrack", "repeats_endlessly"]

_REPEATS: Final = frozenset({_constants.MAX_REPEAT, _constants.MIN_REPEAT})
_MANY: Final = 10
"""Repeats of at least so many times count as endless."""
_OFTEN: Final = 6
"""Repeats of at least so many times are too many around what can be found in several ways: each
more multiplies the time."""


def may_backtrack(regex: str) -> bool:
    r"""Claim that a repeat stands around something that one text can be taken for in several ways.

    That is another repeat, as in `(a+)+$` and `(a{1,3})*b`, or alternatives of which one begins
    like another, as in `(a|aa)+$`. It errs on the safe side: where what follows the inner repeat
    can be no part of it, as in `(\d+,)*`, no time is lost in truth.

    Two or more repeats of nearly any letter beside each other, as in `card.*lost.*now`, cost the
    cube of the text's length: hours, for the longest text that is taken. One of them costs the
    square, which is seconds, and is let pass.

    Args:
        regex: In Python's syntax.

    Raises:
        re.error: It is not valid.

    Examples:
        >>> may_backtrack(r"(a+)+$"), may_backtrack(r"(\w+\s?)*end"), may_backtrack(r"(a|aa)*b")
        (True, True, True)
        >>> may_backtrack(r"card.*lost.*now")
        True
        >>> may_backtrack(r"\b(lost|stolen)\b.*\bcard\b"), may_backtrack(r"(so |very )*late")
        (False, False)
    """
    parsed = _parser.parse(regex, re.IGNORECASE)
    return _wide_in_a_row(parsed) > 1 or any(
        any(_is_ambiguous(inner, inside) for inner, inside in _inside(what))
        for op, what in _all(parsed)
        if op in _REPEATS and what[1] >= _OFTEN
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


def _is_ambiguous(op: Any, what: Any) -> bool:
    """Claim that a part can be found in several ways at one place."""
    if op in _REPEATS:
        return bool(what[0] != what[1])
    return op is _constants.BRANCH and not _begin_apart(what[1])


def _wide_in_a_row(parsed: Any) -> int:
    """Count the endless repeats of nearly any letter that one text may have to pass."""
    found = 0
    for op, what in parsed:
        if op is _constants.BRANCH:
            found += max(map(_wide_in_a_row, what[1]))
        elif _is_endless(op, what) and _is_wide(what[2]):
            found += 1
        elif isinstance(what, tuple):
            inner = (part for part in what if isinstance(part, _parser.SubPattern))
            found += sum(map(_wide_in_a_row, inner))
    return found


def _is_wide(repeated: Any) -> bool:
    """Claim that nearly any letter is repeated, by itself."""
    if len(repeated) != 1:
        return False
    op, what = repeated[0]
    if op is _constants.IN:
        return any(one is _constants.NEGATE for one, _ in what)
    return op in {_constants.ANY, _constants.NOT_LITERAL}


def _begin_apart(alternatives: Sequence[Any]) -> bool:
    """Claim that the letters that alternatives begin with leave one of them at most."""
    heads = sorted(
        "".join(
            chr(what).lower()
            for _, what in takewhile(lambda part: part[0] is _constants.LITERAL, parts)
        )
        for parts in alternatives
    )
    return not any(second.startswith(first) for first, second in pairwise(heads))


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
