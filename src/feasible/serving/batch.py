"""`POST /v1/decide/batch`: several requests at once, each on its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from feasible.errors import FeasibleError
from feasible.serving.bodies import MAX_DECIDE_BYTES
from feasible.serving.messages import BatchItem, BatchReply, BatchRequest, DecideRequest, Problem
from feasible.serving.problems import BAD_BODY, OUR_FAULT, TOO_LARGE, Refused, bad_body, problem_of
from feasible.serving.replies import header_ms, reply_of
from feasible.serving.runtime import Decided

__all__ = ["decide_batch"]

_EXAMPLE: Final = '{"requests": [{"request": {"text": "..."}, "idempotency_key": "..."}]}'
_ITEM_EXAMPLE: Final = '{"request": {"text": "..."}}'
_OK: Final = 200
_LOG: Final = logging.getLogger(__name__)
_DECODER: Final = msgspec.json.Decoder(BatchRequest)
_ITEM_DECODER: Final = msgspec.json.Decoder(DecideRequest)


async def decide_batch(
    content: bytes,
    deadline: bytes | None,
    *,
    answer: Callable[[DecideRequest], Awaitable[Decided]],
    charge: Callable[[], object],
) -> BatchReply:
    """Decide each request of a batch; one that cannot be decided fails alone.

    Args:
        content: The body.
        deadline: Value of the header `X-Deadline-Ms`.
        answer: Decides one request.
        charge: Counts one request more against the caller's rate, and refuses it.

    Raises:
        Refused: The body is no batch.
    """
    try:
        batch = _DECODER.decode(content)
    except BAD_BODY as error:
        raise bad_body(error, asked=_EXAMPLE) from error
    limits = [batch.deadline_ms, None if deadline is None else header_ms(deadline)]
    limit_ms = min((limit for limit in limits if limit is not None), default=None)

    async def one(position: int, raw: msgspec.Raw) -> BatchItem:
        try:
            if position:
                charge()
            decided = await answer(_item(raw, limit_ms))
        except FeasibleError as error:
            problem = problem_of(error)
        except Exception:  # noqa: BLE001  the edge of one request: the others go on
            _LOG.exception("a request of a batch could not be answered")
            problem = Problem(title="this request could not be answered", status=OUR_FAULT)
        else:
            return BatchItem(status=_OK, decision=reply_of(decided))
        return BatchItem(status=problem.status, problem=problem)

    results = await asyncio.gather(
        *(one(position, raw) for position, raw in enumerate(batch.requests))
    )
    decided = sum(item.decision is not None for item in results)
    return BatchReply(decided=decided, failed=len(results) - decided, results=tuple(results))


def _item(raw: msgspec.Raw, limit_ms: float | None) -> DecideRequest:
    """Read one request and hold it to the deadline of all."""
    if len(memoryview(raw)) > MAX_DECIDE_BYTES:
        raise Refused(
            "this request is too large",
            status=TOO_LARGE,
            asked=f"at most {MAX_DECIDE_BYTES:,} bytes",
            found=f"{len(memoryview(raw)):,} bytes",
            attempt="send less text",
        )
    try:
        asked = _ITEM_DECODER.decode(raw)
    except BAD_BODY as error:
        raise bad_body(error, asked=_ITEM_EXAMPLE) from error
    if limit_ms is None or (asked.deadline_ms is not None and asked.deadline_ms <= limit_ms):
        return asked
    return msgspec.structs.replace(asked, deadline_ms=limit_ms)
