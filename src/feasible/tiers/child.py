"""The program of a tier in a process of its own.

It ends when its parent does: it reads the end of its socket, and a call that holds the interpreter
is ended by an alarm that needs no interpreter.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from feasible.errors import FeasibleError, RequestError, TierError, TierUnavailable
from feasible.schema import Request
from feasible.tiers.base import FittableTier, Tier
from feasible.tiers.checks import as_json, checked_answers
from feasible.tiers.process import HEAD, Question, Recipe, Reply, frame

__all__ = ["main"]

_GRACE_S: Final = 1.0
"""A child outlives its call by so much; its parent has killed it long before, if there is one."""
_LONGEST_TEXT: Final = 500
_WARM_UP: Final[Request] = {"text": "warm up"}
_OUT_OF_MEMORY_FIRST: Final = "500"
"""Where memory ends, the kernel takes a child and not the service."""


def main(number: int) -> int:
    """Answer questions that come over a socket until it is closed.

    Args:
        number: The socket's file descriptor.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_FIRST, encoding="ascii")
    with socket.socket(fileno=number) as sock, sock.makefile("rb") as stream:
        first = _read(stream)
        if first is None:
            return 0
        recipe = msgspec.json.decode(first, type=Recipe)
        try:
            tier = _made(recipe)
        except Exception as error:  # noqa: BLE001  the tier's own code: the parent must hear of it
            sock.sendall(frame(_refusal(error)))
            return 1
        labels = frozenset(recipe.labels) or None
        sock.sendall(frame(Reply()))
        decode = msgspec.json.Decoder(Question).decode
        while (body := _read(stream)) is not None:
            question = decode(body)
            # The default action of the alarm ends the process without asking the interpreter, which
            # a regular expression may hold: a child whose parent was killed does not stay for ever.
            signal.setitimer(signal.ITIMER_REAL, question.within_s + _GRACE_S)
            reply = _answer(tier, question.request, labels)
            signal.setitimer(signal.ITIMER_REAL, 0)
            sock.sendall(reply)
    return 0


def _made(recipe: Recipe) -> Tier:
    module, _, function = recipe.make.partition(":")
    tier: Tier = getattr(importlib.import_module(module), function)(**recipe.arguments)
    if recipe.model is not None and isinstance(tier, FittableTier):
        tier.load(Path(recipe.model))
    if recipe.version and tier.version != recipe.version:
        raise TierError(
            f"tier {tier.name!r} has changed since the service started",
            found=f"version {tier.version} in place of {recipe.version}",
        )
    with contextlib.suppress(Exception):  # it may want other fields; it is only a warm-up
        tier.answer([_WARM_UP])
    return tier


def _answer(tier: Tier, request: Request, labels: frozenset[str] | None) -> bytes:
    try:
        answer = checked_answers(tier, [request], labels=labels)[0]
        return frame(Reply(answer=as_json(tier, answer)))
    except Exception as error:  # noqa: BLE001  whatever it is, the parent must hear of it
        return frame(_refusal(error))


def _refusal(error: Exception) -> Reply:
    """Put an error on paper."""
    if not isinstance(error, FeasibleError):
        found = str(error)[:_LONGEST_TEXT]
        return Reply(kind="tier", message=f"it raised {type(error).__name__}", found=found)
    reply = Reply(
        kind="request" if isinstance(error, RequestError) else "tier",
        message=error.message,
        asked=error.asked,
        found=None if error.found is None else error.found[:_LONGEST_TEXT],
        attempt=error.attempt,
    )
    if not isinstance(error, TierUnavailable):
        return reply
    return msgspec.structs.replace(
        reply,
        kind="unavailable",
        retry_after_s=error.retry_after_s,
        was_sent=error.was_sent,
    )


def _read(stream: Any) -> bytes | None:
    """Give the body of the next frame; None at the end."""
    head = stream.read(HEAD)
    if len(head) < HEAD:
        return None
    length = int.from_bytes(head, "big")
    body: bytes = stream.read(length)
    return body if len(body) == length else None


if __name__ == "__main__":
    code = main(int(sys.argv[1]))
    sys.stderr.flush()
    os._exit(code)  # threads of the tier's own do not keep a process that nobody asks any more
