"""A request that begins without a task, and becomes one only where one is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from feasible.serving.eager import begin, in_a_task


def _run(make: Callable[[list[str], asyncio.Future[str]], Awaitable[None]]) -> list[str]:
    """Begin a coroutine, resolve what it waits for, and give what it said and where it ran."""
    said: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        tasks: set[asyncio.Task[Any]] = set()
        made: Any = make(said, future)
        begin(made, loop, tasks)
        said.append(f"begun, {len(tasks)} tasks")
        await asyncio.sleep(0)
        if not future.done():
            future.set_result("written")
        for _ in range(5):
            await asyncio.sleep(0)
        said.append(f"{len(tasks)} tasks left")

    asyncio.run(main())
    return said


def _where() -> str:
    """Say whether a task of its own runs this: `main` begins it, and is the current task then."""
    task = asyncio.current_task()
    return "no task" if task is None else "a task"


def test_what_waits_for_a_future_never_becomes_a_task() -> None:
    """It begins at once and goes on when the future is done."""

    async def decide(said: list[str], future: asyncio.Future[str]) -> None:
        said.append("starts")
        said.append(await future)
        said.append(_where())

    assert _run(decide) == ["starts", "begun, 0 tasks", "written", "no task", "0 tasks left"]


def test_it_waits_for_one_future_after_the_other() -> None:
    """Each is waited for in turn."""

    async def decide(said: list[str], future: asyncio.Future[str]) -> None:
        for _ in range(2):
            again: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(again.set_result, "woken")
            said.append(await again)
        said.append(await future)

    assert _run(decide)[-3:] == ["woken", "written", "0 tasks left"]


def test_an_error_of_what_is_waited_for_reaches_whoever_waits() -> None:
    """It is raised where it was awaited."""

    async def decide(said: list[str], future: asyncio.Future[str]) -> None:
        future.set_exception(ValueError("disk full"))
        try:
            await future
        except ValueError as error:
            said.append(str(error))

    assert "disk full" in _run(decide)


@pytest.mark.parametrize("waits_first", [True, False])
def test_what_needs_a_task_goes_on_as_one(*, waits_first: bool) -> None:
    """After a wait nothing is the current task, so that a timeout would fail without one."""

    async def decide(said: list[str], future: asyncio.Future[str]) -> None:
        if waits_first:
            await future
        else:
            await asyncio.sleep(0)
        await in_a_task()
        said.append(_where())
        async with asyncio.timeout(1):
            await asyncio.sleep(0)
        said.append("in time")

    said = _run(decide)
    assert said[-3:] == ["a task", "in time", "0 tasks left"]


def test_inside_a_task_it_stays_there() -> None:
    """Whoever is a task already goes on at once."""

    async def main() -> bool:
        before = asyncio.current_task()
        await in_a_task()
        return asyncio.current_task() is before

    assert asyncio.run(main())
