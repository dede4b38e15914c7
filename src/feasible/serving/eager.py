"""A request begins where it is read, and becomes a task only when something needs one.

A decision of prompt tiers waits for one thing, its commit. As a task it would go through the event
loop three times, which costs as much as its rules do.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any

__all__ = ["begin", "in_a_task"]


def begin(
    coroutine: Coroutine[Any, Any, None],
    loop: asyncio.AbstractEventLoop,
    tasks: set[asyncio.Task[Any]],
) -> None:
    """Run a coroutine up to its first wait, and after each wait on, without a task.

    What needs the current task (timeouts, task groups, most HTTP clients) awaits `in_a_task` first.

    Args:
        coroutine: It catches every `Exception` itself.
        loop: The running loop.
        tasks: Where it is noted while it is a task.
    """
    try:
        waited = coroutine.send(None)
    except StopIteration:
        return
    if waited is None:  # `in_a_task`, or a turn given up to others: a task goes on from there
        task = loop.create_task(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return
    waited._asyncio_future_blocking = False  # noqa: SLF001  as a task does with what it waits for
    waited.add_done_callback(lambda _done: begin(coroutine, loop, tasks))


@types.coroutine
def in_a_task() -> Generator[None, None, None]:
    """Go on as a task."""
    if asyncio.current_task() is None:
        yield
