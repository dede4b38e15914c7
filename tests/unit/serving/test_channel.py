from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from feasible.errors import FeasibleError, PlanError
from feasible.serving.channel import Channel


async def refusing(what: str, body: Any) -> Any:
    """Answer what is asked, or refuse it."""
    if what == "refuse":
        raise PlanError("it does not fit", asked="a plan", attempt="another one")
    if what == "sleep":
        await asyncio.sleep(60)
    return {"heard": what, "body": body}


async def with_two_ends(use: Any) -> None:
    """Open both ends of a channel, and close them."""
    ours, theirs = socket.socketpair()
    near, far = Channel(refusing), Channel(refusing)
    await near.open(ours)
    await far.open(theirs)
    listening = [asyncio.ensure_future(end.listen()) for end in (near, far)]
    try:
        await use(near, listening)
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        await asyncio.sleep(0)


def test_what_is_asked_is_answered_in_whatever_order() -> None:
    """Answers find their questions by number."""

    async def use(near: Channel, _listening: Any) -> None:
        asked = [near.ask(f"question {i}", i, within_s=10) for i in range(20)]
        answers = await asyncio.gather(*asked)
        assert answers == [{"heard": f"question {i}", "body": i} for i in range(20)]

    asyncio.run(with_two_ends(use))


def test_an_error_crosses_with_its_parts() -> None:
    """Whoever asked hears what was asked, found and to try, as the same kind of error."""

    async def use(near: Channel, _listening: Any) -> None:
        with pytest.raises(PlanError) as caught:
            await near.ask("refuse", within_s=10)
        assert (caught.value.asked, caught.value.attempt) == ("a plan", "another one")

    asyncio.run(with_two_ends(use))


def test_nobody_waits_for_an_end_that_is_gone() -> None:
    """A question under way fails as soon as the other process has gone."""

    async def use(near: Channel, listening: Any) -> None:
        asking = asyncio.ensure_future(near.ask("sleep", within_s=60))
        await asyncio.sleep(0.05)
        listening[1].cancel()
        with pytest.raises(FeasibleError, match="gone"):
            await asking
        with pytest.raises(FeasibleError, match="gone"):
            await near.ask("anything", within_s=1)

    asyncio.run(with_two_ends(use))


def test_a_question_has_a_limit() -> None:
    """An end that hangs does not hold up the one that asks."""

    async def use(near: Channel, _listening: Any) -> None:
        with pytest.raises(FeasibleError, match="does not answer"):
            await near.ask("sleep", within_s=0.05)

    asyncio.run(with_two_ends(use))
