"""Errors as HTTP answers: `application/problem+json` with what was asked, found and to try."""

from __future__ import annotations

from typing import Final

import msgspec

from feasible.errors import BadInput, FeasibleError, LedgerError, RequestError
from feasible.serving.messages import Problem

__all__ = ["CONFLICT", "TOO_LARGE", "UNAVAILABLE", "Refused", "bad_body", "problem_of"]

CONFLICT: Final = 409
TOO_LARGE: Final = 413
UNAVAILABLE: Final = 503
_BAD_REQUEST: Final = 400
_OUR_FAULT: Final = 500


class Refused(RequestError):
    """A request that is not answered, with its HTTP status.

    Args:
        message: The headline.
        status: HTTP status.
        asked: What was asked.
        found: What is the case instead.
        attempt: What to try next.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        asked: str | None = None,
        found: str | None = None,
        attempt: str | None = None,
    ) -> None:
        super().__init__(message, asked=asked, found=found, attempt=attempt)
        self.status = status


def problem_of(error: FeasibleError) -> Problem:
    """Give the HTTP answer that an error stands for."""
    if isinstance(error, Refused):
        status = error.status
    elif isinstance(error, LedgerError):
        status = UNAVAILABLE  # nothing was acknowledged; the same request may succeed later
    elif isinstance(error, BadInput):
        status = _BAD_REQUEST
    else:
        status = _OUR_FAULT
    return Problem(
        title=error.message,
        status=status,
        asked=error.asked,
        found=error.found,
        attempt=error.attempt,
    )


def bad_body(
    error: msgspec.MsgspecError | UnicodeDecodeError | RecursionError, *, asked: str
) -> Refused:
    """Say what is wrong with a body.

    Args:
        error: What decoding raised.
        asked: What a good body looks like.
    """
    if isinstance(error, msgspec.ValidationError):
        return Refused(
            "the body is JSON, but not what this address takes",
            status=_BAD_REQUEST,
            asked=asked,
            found=str(error),
            attempt="GET /openapi.json describes every field",
        )
    return Refused(
        "the body is not JSON in UTF-8",
        status=_BAD_REQUEST,
        asked=asked,
        found=str(error),
        attempt="send application/json, encoded as UTF-8",
    )
