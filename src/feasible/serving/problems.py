"""Errors as HTTP answers: `application/problem+json` with what was asked, found and to try."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from feasible.errors import BadInput, FeasibleError, LedgerError, RequestError, StateError
from feasible.serving.messages import Problem

__all__ = [
    "BAD_BODY",
    "BAD_REQUEST",
    "CONFLICT",
    "FORBIDDEN",
    "NOT_FOUND",
    "OUR_FAULT",
    "TOO_LARGE",
    "TOO_MANY",
    "TOO_SLOW",
    "UNAUTHORIZED",
    "UNAVAILABLE",
    "Refused",
    "bad_body",
    "headers_of",
    "problem_of",
]

BAD_BODY: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises."""

BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
TOO_SLOW: Final = 408
CONFLICT: Final = 409
TOO_LARGE: Final = 413
TOO_MANY: Final = 429
OUR_FAULT: Final = 500
UNAVAILABLE: Final = 503
_LONGEST_RETRY_S: Final = 600


class Refused(RequestError):
    """A request that is not answered, with its HTTP status.

    Args:
        message: The headline.
        status: HTTP status.
        asked: What was asked.
        found: What is the case instead.
        attempt: What to try next.
        retry_after_s: Seconds after which the same request may be answered; None when waiting does
            not help, or nobody knows.
        headers: What the answer says beside.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        asked: str | None = None,
        found: str | None = None,
        attempt: str | None = None,
        retry_after_s: float | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message, asked=asked, found=found, attempt=attempt)
        self.status = status
        self.retry_after_s = retry_after_s
        self.headers = headers


def problem_of(error: FeasibleError) -> Problem:
    """Give the HTTP answer that an error stands for."""
    if isinstance(error, Refused):
        status = error.status
    elif isinstance(error, LedgerError | StateError):
        status = UNAVAILABLE  # nothing was acknowledged; the same request may succeed later
    elif isinstance(error, BadInput):
        status = BAD_REQUEST
    else:
        status = OUR_FAULT
    return Problem(
        title=error.message,
        status=status,
        asked=error.asked,
        found=error.found,
        attempt=error.attempt,
        retry_after_s=_retry_after_s(error, status),
    )


def _retry_after_s(error: FeasibleError, status: int) -> int | None:
    wait_s = error.retry_after_s if isinstance(error, Refused) else None
    if wait_s is None and status not in {TOO_MANY, UNAVAILABLE}:
        return None
    return min(max(1, math.ceil(wait_s or 1)), _LONGEST_RETRY_S)


def headers_of(error: FeasibleError) -> list[tuple[bytes, bytes]]:
    """Give what a client needs to know beside the problem itself: above all, when to come again."""
    problem = problem_of(error)
    headers = list(error.headers) if isinstance(error, Refused) else []
    if problem.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % problem.retry_after_s))
    if problem.status == TOO_LARGE:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    return headers


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
            status=BAD_REQUEST,
            asked=asked,
            found=str(error),
            attempt="GET /openapi.json describes every field",
        )
    return Refused(
        "the body is not JSON in UTF-8",
        status=BAD_REQUEST,
        asked=asked,
        found=str(error),
        attempt="send application/json, encoded as UTF-8",
    )
