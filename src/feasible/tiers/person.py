"""People as a tier: a hand-off that is acknowledged at once and answered later."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from feasible.schema import Answer, Request, TierKind, TierSpec
from feasible.tiers.fingerprint import version_of

__all__ = ["PersonQueue"]

_CODE: Final = "person-1"


class PersonQueue:
    """Hands a request to a person and gives the number under which the answer will be found.

    The answer's `value` is `{"handed_off": id}`: an acknowledgement, never the person's own answer.
    A person's answer counts as right except for `error_rate`.

    Args:
        error_rate: Share of a person's answers that are wrong. Ratio; None when unknown.
        usd: Dollars of one answer; None when unknown.
        minutes: Time to the person's answer. Minutes; None when unknown.

    Raises:
        ValueError: A number is out of range.
    """

    kind: Final = TierKind.PERSON
    simulated: Final = False

    def __init__(
        self,
        *,
        error_rate: float | None = None,
        usd: float | None = None,
        minutes: float | None = None,
    ) -> None:
        if error_rate is not None and not 0 <= error_rate <= 1:
            raise ValueError(f"error_rate is a ratio from 0 to 1; found {error_rate}")
        for name, value in (("usd", usd), ("minutes", minutes)):
            if value is not None and not value >= 0:
                raise ValueError(f"{name} is at least 0; found {value}")
        self.name = "person"
        self.error_rate = error_rate
        self.usd_per_call = usd
        self.worst_usd_per_call = usd
        self.minutes = minutes

    @property
    def version(self) -> str:
        """Give a hash of what was declared about people."""
        return version_of(_CODE, {"error_rate": self.error_rate})

    def declared(self, spec: TierSpec) -> PersonQueue:
        """Give a queue in which the brief fills what was left open here."""
        error_rate = spec.error_rate.mid if spec.error_rate is not None else None
        minutes = spec.answer_within.mid / 60 if spec.answer_within is not None else None
        return PersonQueue(
            error_rate=error_rate if self.error_rate is None else self.error_rate,
            usd=spec.usd.mid if spec.usd is not None else self.usd_per_call,
            minutes=minutes if self.minutes is None else self.minutes,
        )

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Acknowledge each request with a new hand-off id."""
        return [Answer({"handed_off": f"handoff_{uuid.uuid4().hex}"}) for _ in batch]
