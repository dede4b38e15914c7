"""Rules: plain functions that answer what they know and leave the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from feasible.schema import ABSTAIN, Answer, Request, TierKind
from feasible.tiers.backtracking import may_backtrack, repeats_endlessly
from feasible.tiers.fingerprint import code_version, version_of

__all__ = ["Rule", "RulesTier", "pattern"]

_CODE: Final = "rules-1"
_MAY_NAME_LARGE: Final = re.compile(
    r"\\[0-7xu]|\(\?[a-z]*-|(?![a-z]-[a-z]|[0-9]-[0-9]).-.", re.DOTALL
)
"""What may name a large letter without writing one: its number, a switch that makes the case count,
and a range of characters that has large letters in it."""

Rule: TypeAlias = Callable[[Request], Any]
"""A request goes in; a value, an Answer, or None for "I cannot tell" comes out."""


class RulesTier:
    """Asks rules in order; the first one that answers wins, and without one the tier abstains.

    Args:
        rules: Functions request -> value, Answer or None. At least one.
        kind: What the tier counts as; a function may also wrap a model.

    Raises:
        ValueError: There is no rule, or one is not callable.
    """

    simulated: Final = False

    def __init__(self, *rules: Rule, kind: TierKind = TierKind.RULES) -> None:
        if not rules:
            raise ValueError("a rules tier needs at least one rule")
        for rule in rules:
            if not callable(rule):
                raise ValueError(f"a rule is a function; found a {type(rule).__name__}")  # noqa: TRY004  as documented
        self.name = "rules"
        self.kind = kind
        # Rules run in our own process, so that nobody bills for them; what else a function may
        # call, and at what price, is not known.
        self.usd_per_call: float | None = 0.0 if kind is TierKind.RULES else None
        self.worst_usd_per_call: float | None = self.usd_per_call
        self._rules = rules
        self.may_hold = any(getattr(rule, "may_hold", False) for rule in rules)
        """One of its expressions can take for ever, and holds the interpreter meanwhile: unless the
        brief says otherwise, a service keeps the tier in processes of its own. Every other tier of
        rules stays in the service's process, where it needs no memory of its own, starts at once
        and answers in batches: whoever writes a plain expression expects it to cost nothing. A time
        limit inside the engine would need another engine, whose answers differ from those that
        Python gives everywhere else."""
        self._word_field, self._words = _words_of(rules)
        self.squares = frozenset(
            rule.text_field
            for rule in rules
            if isinstance(rule, _Pattern) and not rule.is_linear and not rule.may_hold
        )
        """Fields of a request in which a search takes time in proportion to the square of the text:
        a service searches long ones in processes of their own."""
        self.searches = _fields_of(rules) if kind is TierKind.RULES else None
        """Fields of a request that are searched, where nothing else is done and a search takes time
        in proportion to the text; None where a rule may do anything."""

    @property
    def version(self) -> str:
        """Give a hash of the rules' source, in their order."""
        return version_of(_CODE, {"rules": [code_version(rule) for rule in self._rules]})

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Give the first rule's answer to each request, or abstain."""
        first = self._first_word if self._words else self._first
        return [first(request) for request in batch]

    def _first_word(self, request: Request) -> Answer:
        """Look for small letters in a text that is made small once for all rules."""
        text = request.get(self._word_field)
        if not isinstance(text, str) or not text.isascii():
            return self._first(request)
        small = text.lower()
        for search, answer in self._words:
            if search(small):
                return answer
        return ABSTAIN

    def _first(self, request: Request) -> Answer:
        for rule in self._rules:
            found = rule(request)
            if isinstance(found, Answer):
                if not found.abstained:
                    return found
            elif found is not None:
                return Answer(found)
        return ABSTAIN


def _fields_of(rules: Sequence[Rule]) -> frozenset[str] | None:
    fields = set()
    for rule in rules:
        if not isinstance(rule, _Pattern) or not rule.is_linear:
            return None
        fields.add(rule.text_field)
    return frozenset(fields)


def _words_of(
    rules: Sequence[Rule],
) -> tuple[str, tuple[tuple[Callable[[str], object], Answer], ...]]:
    """Give the field that all rules search for small letters, and what they look for in order."""
    words: list[tuple[Callable[[str], object], Answer]] = []
    field = ""
    for rule in rules:
        if not isinstance(rule, _Pattern) or rule.small is None:
            return "", ()
        if words and rule.text_field != field:
            return "", ()
        field = rule.text_field
        words += [(regex.search, Answer(rule.answer)) for regex in rule.small]
    return field, tuple(words)


def _is_small(regex: str) -> bool:
    """Claim that an expression names small letters alone, and minds no case."""
    return regex.isascii() and regex == regex.lower() and not _MAY_NAME_LARGE.search(regex)


class _Pattern:
    """One answer and the expressions that lead to it."""

    def __init__(self, answer: str, regexes: tuple[str, ...], text_field: str) -> None:
        self.answer = answer
        self.sources = "\n".join(regexes)
        self.text_field = text_field
        self.may_hold = any(may_backtrack(regex) for regex in regexes)
        self.is_linear = not any(repeats_endlessly(regex) for regex in regexes)
        self._compiled = tuple(re.compile(regex, re.IGNORECASE) for regex in regexes)
        # Looking for small letters in a text made small finds the same in ASCII, in a third of the
        # time that looking for both takes.
        is_small = all(_is_small(regex) for regex in regexes)
        self.small = tuple(re.compile(regex) for regex in regexes) if is_small else None

    def __call__(self, request: Request) -> str | None:
        text = request.get(self.text_field)
        if not isinstance(text, str):
            return None
        compiled = self._compiled
        if self.small is not None and text.isascii():
            compiled, text = self.small, text.lower()
        for regex in compiled:
            if regex.search(text):
                return self.answer
        return None


def pattern(answer: str, *regexes: str, text_field: str = "text") -> Rule:
    r"""Give a rule that answers when any expression is found in the text, whatever its case.

    An expression in which a repeat stands around another one, or around alternatives that begin
    alike, can take for ever, and so can one with two or more `.*`: a service then keeps the whole
    tier in processes of its own. Better keep expressions free of them.

    Args:
        answer: What to answer.
        regexes: Expressions in Python's syntax. At least one.
        text_field: Field of the request that is searched; the rule abstains where it is not text.

    Raises:
        ValueError: There is no expression, or one is not valid.

    Examples:
        >>> lost = pattern("card_lost", r"\b(lost|misplaced)\b.*\bcard\b")
        >>> lost({"text": "I LOST my card"}), lost({"text": "hello"})
        ('card_lost', None)
    """
    if not regexes:
        raise ValueError(f"the pattern for {answer!r} has no expression")
    try:
        return _Pattern(answer, regexes, text_field)
    except re.error as error:
        raise ValueError(f"the pattern for {answer!r} is not valid: {error}") from error
