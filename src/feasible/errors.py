"""Every error a user can meet, and what each one means.

::

    FeasibleError                 exit code 1 unless a child says otherwise
    ├── BadInput                  exit code 2: the user can mend it
    │   ├── BriefError            the declaration (brief.yaml) cannot be read or contradicts itself
    │   ├── DataError             labelled rows, a profile or a labels file
    │   ├── FeatureError          the feature folder: missing files, a `use:` that names nothing
    │   ├── PlanError             a plan file is missing, damaged or made for something else
    │   ├── ModelFileError        a stored model's hash is not the one that was recorded
    │   ├── ScenarioError         a scenario that is not known, or its file
    │   ├── KnobError             a knob that a design does not have, or a value it cannot take
    │   └── RequestError          one HTTP request
    ├── TierError                 a tier raised, hung, or answered what it may not
    │   └── TierUnavailable       what a tier asks cannot be reached or is busy: ask again later
    ├── LedgerError               decisions cannot be written or read
    │   ├── LedgerLocked          another service writes this ledger
    │   ├── KeyTaken              an idempotency key belongs to another decision
    │   └── LedgerDamaged         the file is not a whole ledger
    ├── StateError                what workers share cannot be written or read
    └── EngineMissing             an extra or a weights archive is not installed

An error tells what was asked, what was found and what to try, and carries its numbers as
attributes.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BadInput",
    "BriefError",
    "DataError",
    "EngineMissing",
    "FeasibleError",
    "FeatureError",
    "KeyTaken",
    "KnobError",
    "LedgerDamaged",
    "LedgerError",
    "LedgerLocked",
    "ModelFileError",
    "PlanError",
    "RequestError",
    "ScenarioError",
    "StateError",
    "TierError",
    "TierUnavailable",
    "nearest",
]


class FeasibleError(Exception):
    """Something a user should read: a headline, then asked, found and what to try.

    Args:
        message: The headline, one sentence.
        asked: What the user or their file asked for, with its place.
        found: What is the case instead, with its unit.
        attempt: What to try next.
        where: `file:line` when the cause has one.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        asked: str | None = None,
        found: str | None = None,
        attempt: str | None = None,
        where: str | None = None,
    ) -> None:
        """Keep the parts; the text is made from them."""
        super().__init__(message)
        self.message = message
        self.asked = asked
        self.found = found
        self.attempt = attempt
        self.where = where

    def __str__(self) -> str:
        """Give the headline and, indented, whichever of asked, found and try are known."""
        head = f"{self.where}: {self.message}" if self.where else self.message
        parts = (("asked", self.asked), ("found", self.found), ("try", self.attempt))
        return "\n".join([head, *(f"  {name:<5}  {text}" for name, text in parts if text)])


class BadInput(FeasibleError):
    """The user can mend it."""

    exit_code = 2


class BriefError(BadInput):
    """The declaration cannot be read or contradicts itself."""


class DataError(BadInput):
    """Labelled rows, a profile or a labels file cannot be used as they are."""


class FeatureError(BadInput):
    """The feature folder lacks something or names something that is not there."""


class PlanError(BadInput):
    """A plan file is missing, damaged or made for something else."""


class ModelFileError(BadInput):
    """A stored model is not the file that was recorded."""


class ScenarioError(BadInput):
    """A scenario that is not known, or a scenario file that cannot be used."""


class KnobError(BadInput):
    """A knob that a design does not have, or a value that it cannot take."""


class RequestError(BadInput):
    """One request cannot be answered as sent."""


class TierError(FeasibleError):
    """A tier raised, hung, answered the wrong number of rows or an unknown label."""

    exit_code = 2


class TierUnavailable(TierError):
    """What a tier asks cannot be reached or is busy; the same call may succeed later.

    Your own tiers may raise it: a call is made again after this error and after no other.

    Args:
        message: The headline, one sentence.
        asked: As for every error; so are `found` and `attempt`.
        found: What is the case instead.
        attempt: What to try next.
        retry_after_s: Seconds during which it does not want to be asked; None when it did not say.
        was_sent: The call may have reached it; one that was not sent cost nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        asked: str | None = None,
        found: str | None = None,
        attempt: str | None = None,
        retry_after_s: float | None = None,
        was_sent: bool = True,
    ) -> None:
        """Keep the parts."""
        super().__init__(message, asked=asked, found=found, attempt=attempt)
        self.retry_after_s = retry_after_s
        self.was_sent = was_sent


class LedgerError(FeasibleError):
    """Decisions cannot be written or read."""

    exit_code = 2


class LedgerLocked(LedgerError):
    """Another service writes this ledger."""


class KeyTaken(LedgerError):
    """An idempotency key belongs to another decision; nothing was written.

    Args:
        message: The headline.
        key: The idempotency key.
        holder: Id of the decision that has it.
        attempt: What to try next.
    """

    def __init__(
        self, message: str, *, key: str = "", holder: str = "", attempt: str | None = None
    ) -> None:
        """Keep whose the key is."""
        super().__init__(message, attempt=attempt)
        self.key = key
        self.holder = holder


class LedgerDamaged(LedgerError):
    """The file is not a whole ledger."""


class StateError(FeasibleError):
    """What workers share cannot be written or read."""


class EngineMissing(FeasibleError):
    """An extra or a weights archive is not installed."""

    exit_code = 2


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Give the valid name closest to a misspelt one, or None when nothing is close.

    Examples:
        >>> nearest("high_rsik", ["high_risk", "in_scope"])
        'high_risk'
    """
    found = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return found[0] if found else None
