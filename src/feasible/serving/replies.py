"""Decisions as their callers read them, and the deadline that came in a header."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from feasible.serving.messages import DecideRequest, DecisionReply
from feasible.serving.problems import BAD_REQUEST, Refused
from feasible.serving.runtime import Decided

__all__ = ["WholeReply", "header_ms", "reply_of", "shortened"]

_LONGEST_HEADER: Final = 40


class WholeReply(NamedTuple):
    """An answer before it is put on the wire.

    Attributes:
        status: Of HTTP.
        content_type: Of the content.
        content: The body.
        headers: Beside those that every answer has.
    """

    status: int
    content_type: bytes
    content: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()


def reply_of(decided: Decided) -> DecisionReply:
    """Give a decision as its caller hears of it."""
    decision = decided.decision
    cost = decision.cost_nusd
    return DecisionReply(
        decision_id=decision.decision_id,
        answer=decision.answer,
        probability=decision.probability,
        tier=decision.tier,
        path=decision.path,
        cost_usd=None if cost is None else cost / 1e9,
        latency_ms=decided.latency_ms,
        plan=decision.plan,
        within=decided.within,
        handed_off=decision.handed_off,
        fell_back=decision.fell_back,
    )


def header_ms(value: bytes) -> float:
    """Read the header `X-Deadline-Ms`. Milliseconds.

    Raises:
        Refused: It is not a number above 0.
    """
    try:
        limit_ms = float(value[:_LONGEST_HEADER])
    except ValueError:
        limit_ms = math.nan
    if not 0 < limit_ms < math.inf:
        raise Refused(
            "the header X-Deadline-Ms is no time",
            status=BAD_REQUEST,
            asked="milliseconds, more than 0",
            found=repr(value[:_LONGEST_HEADER].decode("latin-1")),
            attempt="X-Deadline-Ms: 250",
        )
    return limit_ms


def shortened(asked: DecideRequest, value: bytes | None) -> DecideRequest:
    """Hold a request to the deadline of its header too; the shorter one wins."""
    if value is None:
        return asked
    limit_ms = header_ms(value)
    if asked.deadline_ms is not None and asked.deadline_ms <= limit_ms:
        return asked
    return msgspec.structs.replace(asked, deadline_ms=limit_ms)
