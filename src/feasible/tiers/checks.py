"""What comes back from a tier is checked once, here."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Final

from feasible.errors import FeasibleError, TierError
from feasible.schema import Answer, Request, TierKind
from feasible.tiers.base import Tier

__all__ = ["as_json", "check_answers", "checked_answers"]

_SHOWN: Final = 5
_LONGEST: Final = 60
_LONGEST_TEXT: Final = 500
_AS_READ: Final = (float, type(None))
"""Types of a number that JSON gives back as it is; numpy's float64 is not one."""
_DEAREST_USD: Final = 1e6
"""A call that says it cost more than that is a mistake, and would not fit into a ledger's sum."""


def checked_answers(
    tier: Tier, batch: Sequence[Request], *, labels: frozenset[str] | None
) -> list[Answer]:
    """Ask a tier and make sure that what came back can be used.

    Args:
        tier: Whom to ask.
        batch: The requests.
        labels: The closed set of answers; None or empty when any value will do.

    Raises:
        TierError: The tier raised, gave the wrong number of answers or something other than an
            Answer, a value outside `labels`, a score that is not finite, or a price that is
            negative or not finite.
        FeasibleError: An error of ours (weights missing, a bad request) passes through as it is.
    """
    try:
        answers = list(tier.answer(batch))
    except FeasibleError:
        raise
    except Exception as error:  # the user's own code: whatever it raises, the tier is to blame
        raise TierError(
            f"tier {tier.name!r} raised {type(error).__name__}",
            asked=_requests(len(batch)),
            found=str(error) or None,
            attempt="mend the tier, or let it abstain (None) where it cannot tell",
        ) from error
    return check_answers(tier, answers, n_requests=len(batch), labels=labels)


def check_answers(
    tier: Tier, answers: Sequence[Answer], *, n_requests: int, labels: frozenset[str] | None
) -> list[Answer]:
    """Make sure that what a tier gave can be used.

    Args:
        tier: Who answered.
        answers: What came back.
        n_requests: How many requests were asked.
        labels: The closed set of answers; None or empty when any value will do.

    Raises:
        TierError: As `checked_answers` says.
    """
    if len(answers) != n_requests:
        raise TierError(
            f"tier {tier.name!r} gave {len(answers)} answers to {_requests(n_requests)}",
            asked=f"{n_requests} answers, one per request, in order",
            found=str(len(answers)),
            attempt="answer None (abstain) instead of leaving a request out",
        )
    # A hand-off is a number, not an answer: people may say what they like.
    known = None if tier.kind is TierKind.PERSON else labels
    for index, answer in enumerate(answers):
        fault = _fault(answer, known)
        if fault is not None:
            raise TierError(
                f"tier {tier.name!r} gave {fault}",
                asked=f"request {index} of {n_requests}",
                found=repr(answer)[:300],
                attempt=_remedy(known),
            )
    return list(answers)


def as_json(tier: Tier, answer: Answer) -> Answer:
    """Give an answer as everybody will read it: plain JSON that nobody else can change.

    Raises:
        TierError: Its value is not JSON.
    """
    value, score, cost = answer.value, answer.score, answer.cost_usd
    is_plain = type(value) is str and value.isascii()
    if is_plain and type(score) in _AS_READ and type(cost) in _AS_READ:
        return answer
    if not is_plain:
        try:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
            value = json.loads(text.encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise TierError(
                f"tier {tier.name!r} gave an answer that is not JSON",
                found=f"{type(error).__name__}: {error}"[:_LONGEST_TEXT],
                attempt="text, numbers, true, false, null, lists and objects of these",
            ) from error
    return Answer(
        value, None if score is None else float(score), None if cost is None else float(cost)
    )


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def _remedy(labels: frozenset[str] | None) -> str:
    """Say what a usable answer is."""
    values = ""
    if labels:
        some = sorted(labels)[:_SHOWN]
        values = f" one of {', '.join(some)}{', ...' if len(labels) > _SHOWN else ''}"
    return f"Answer(value{values}, score finite or None, cost_usd >= 0 or None)"


def _is_one_of(value: object, labels: frozenset[str]) -> bool:
    return isinstance(value, str) and value in labels


def _fault(answer: object, labels: frozenset[str] | None) -> str | None:
    """Say what is wrong with one answer, or None."""
    if not isinstance(answer, Answer):
        return f"a {type(answer).__name__} where an Answer belongs"
    if answer.score is not None and not _is_number(answer.score):
        return f"the score {_short(answer.score)}"
    cost = answer.cost_usd
    if cost is not None and not (_is_number(cost) and 0 <= cost <= _DEAREST_USD):
        return f"the cost {_short(cost)}"
    if labels and answer.value is not None and not _is_one_of(answer.value, labels):
        return f"the unknown answer {answer.value!r}"
    return None


def _is_number(value: object) -> bool:
    """Claim that a value is a finite number; numpy's float64 is a float."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
