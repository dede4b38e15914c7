"""A tier that does what it is told, faults included."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from feasible.schema import ABSTAIN, Answer, Request, TierKind

__all__ = ["AsyncScriptedTier", "Hang", "ScriptedTier", "WrongLength"]


@dataclass(frozen=True, slots=True)
class Hang:
    """Take a long time, then answer.

    Attributes:
        seconds: How long at most; `release` ends it sooner. None: until then.
        busy: Hold the processor instead of sleeping, as a catastrophic regular expression does.
        then: What is answered in the end.
    """

    seconds: float | None = None
    busy: bool = False
    then: Answer = ABSTAIN


@dataclass(frozen=True, slots=True)
class WrongLength:
    """Answer a batch with `by` answers more (or fewer, when negative) than were asked for."""

    by: int = -1


Step: TypeAlias = Answer | Exception | Hang | WrongLength | Any
"""What a call does: give an Answer, raise an exception, hang, or misbehave. Anything else is given
as the value of an answer; None abstains."""


class ScriptedTier:
    """A tier that follows a script, one step per call; every request of a batch gets the same.

    Args:
        script: The steps, in order. After the last one it starts again.
        name: As in the brief.
        kind: What kind of thing it plays.
        version: Changes when the script does, if anybody looks.
        usd_per_call: Dollars of a typical call; None when unknown.
        worst_usd_per_call: Most dollars of one call; None when unknown.

    Attributes:
        calls: The batches it was asked, in order.

    Examples:
        >>> tier = ScriptedTier(["refund", RuntimeError("down"), None])
        >>> tier.answer([{"text": "money back"}])
        [Answer(value='refund', score=1.0, cost_usd=None)]
        >>> tier.answer([{"text": "again"}])
        Traceback (most recent call last):
        RuntimeError: down
    """

    simulated = False

    def __init__(
        self,
        script: Sequence[Step],
        *,
        name: str = "scripted",
        kind: TierKind = TierKind.MODEL,
        version: str = "scripted-1",
        usd_per_call: float | None = 0.0,
        worst_usd_per_call: float | None = 0.0,
    ) -> None:
        if not script:
            raise ValueError("a script has at least one step")
        self.name = name
        self.kind = kind
        self.version = version
        self.usd_per_call = usd_per_call
        self.worst_usd_per_call = worst_usd_per_call
        self.calls: list[list[Request]] = []
        self._steps = itertools.cycle(script)
        self._guard = threading.Lock()
        self._released = threading.Event()

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Follow the next step of the script."""
        step = self._next(batch)
        if isinstance(step, Hang):
            self._wait(step)
        return _follow(step, len(batch))

    def release(self) -> None:
        """Let every call go that hangs, now and later."""
        self._released.set()

    def _next(self, batch: Sequence[Request]) -> Step:
        with self._guard:
            self.calls.append(list(batch))
            return next(self._steps)

    def _wait(self, step: Hang) -> None:
        if step.busy:
            until = math.inf if step.seconds is None else time.monotonic() + step.seconds
            while time.monotonic() < until and not self._released.is_set():
                pass
        else:
            self._released.wait(step.seconds)


class AsyncScriptedTier(ScriptedTier):
    """The same for a tier that is awaited, and can be cancelled while it hangs."""

    async def answer_async(self, request: Request, *, timeout_s: float) -> Answer:
        """Follow the next step of the script; the caller's timeout is the caller's to keep."""
        del timeout_s
        step = self._next([request])
        if isinstance(step, Hang):
            if step.busy:
                self._wait(step)
            else:
                await self._wait_politely(step)
        return _follow(step, 1)[0]

    async def _wait_politely(self, step: Hang) -> None:
        until = math.inf if step.seconds is None else time.monotonic() + step.seconds
        # `release` may come from another thread, so that an asyncio.Event would not do.
        while time.monotonic() < until and not self._released.is_set():  # noqa: ASYNC110
            await asyncio.sleep(min(0.005, until - time.monotonic()))


def _follow(step: Step, asked: int) -> list[Answer]:
    """Give what a step gives to each of so many requests."""
    if isinstance(step, Exception):
        raise step
    if isinstance(step, WrongLength):
        return [Answer("?", score=1.0)] * max(0, asked + step.by)
    if isinstance(step, Hang):
        return [step.then] * asked
    if isinstance(step, Answer):
        return [step] * asked
    return [Answer() if step is None else Answer(step, score=1.0)] * asked
