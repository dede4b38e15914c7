"""The labels of one decision, and which of them is the truth that a promise is judged by."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from feasible.schema import Label

__all__ = ["Verdicts", "same", "spelling"]

_RANK: Final = {"human": 1, "outcome": 2}
"""An outcome beats a person's opinion. A proxy is neither: it never judges a promise."""
_RANDOM: Final = frozenset({"audit", "organic"})
"""How a label may have come about to judge a promise: not because somebody picked its decision."""


def spelling(value: Any) -> str:
    """Give a value as text, as a labels file would hold it.

    Examples:
        >>> spelling("refund"), spelling(3), spelling(True)
        ('refund', '3', 'true')
    """
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value, order="deterministic").decode()


def same(answer: Any, truth: Any) -> bool:
    """Say whether an answer is the truth; a number and its text are the same.

    Examples:
        >>> same("refund", "refund"), same(3, "3"), same(None, "refund")
        (True, True, False)
    """
    return bool(answer == truth) or (answer is not None and spelling(answer) == spelling(truth))


class Verdicts:
    """What is known about one decision, whichever order it became known in.

    Of two labels of one source and selection the one known last stands.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Label] = {}

    def add(self, label: Label) -> bool:
        """Keep a label unless a later verdict is there; True when something changed."""
        key = (label.source, label.selection)
        there = self._kept.get(key)
        if there is not None and _later(there) >= _later(label):
            return False
        self._kept[key] = label
        return True

    @property
    def truth(self) -> Label | None:
        """Give the label that judges: an outcome, else a person's; None without a random one."""
        judging = [label for label in self._kept.values() if _judges(label)]
        return max(judging, key=lambda label: (_RANK[label.source], _later(label)), default=None)

    @property
    def is_audited(self) -> bool:
        """Claim that the decision was picked at random to be labelled."""
        return any(_judges(x) and x.selection == "audit" for x in self._kept.values())

    @property
    def proxies(self) -> int:
        """Count the labels that stand in for the truth."""
        return sum(source == "proxy" for source, _ in self._kept)

    @property
    def picked(self) -> int:
        """Count the labels that are there because somebody picked the decision."""
        return sum(s != "proxy" and selection not in _RANDOM for s, selection in self._kept)


def _judges(label: Label) -> bool:
    return label.source in _RANK and label.selection in _RANDOM


def _later(label: Label) -> tuple[datetime, str, str]:
    """Order verdicts by time; ids and values part those of one instant, so that order is total."""
    return label.known_at, label.label_id or "", spelling(label.value)
