"""Several workers as one: what becomes of one that is there and says nothing."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import Any

from feasible.schema import LivePlans
from feasible.serving.channel import Channel
from feasible.serving.several import Several
from feasible.serving.supervisor import Worker

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


async def page(_what: str, _body: Any) -> str:
    """Say a page of figures."""
    return ""


async def heard(sock: socket.socket) -> tuple[Channel, asyncio.Task[None]]:
    """Open an end of a channel, and answer what comes there."""
    channel = Channel(page)
    await channel.open(sock)
    return channel, asyncio.create_task(channel.listen())


async def worker(number: int, sock: socket.socket) -> tuple[Worker, asyncio.Task[None]]:
    """Give a worker whose process sleeps."""
    channel, listening = await heard(sock)
    process = await asyncio.create_subprocess_exec(*SLEEP)
    return Worker(number, channel=channel, process=process, life=1, is_ready=True), listening


def test_a_worker_that_was_stopped_is_ended_and_the_others_go_on() -> None:
    """It may hold what the others wait for, and a signal that asks would not reach it."""

    async def use() -> tuple[int, int | None]:
        pairs = [socket.socketpair() for _ in range(2)]
        one, two = [await worker(i, ours) for i, (ours, _) in enumerate(pairs)]
        _, answering = await heard(pairs[0][1])  # nobody answers for the second
        good, stopped = one[0].process, two[0].process
        assert good is not None
        assert stopped is not None
        stopped.send_signal(signal.SIGSTOP)
        several = Several([one[0], two[0]], LivePlans(stable="p"), figures_s=0.02)
        tasks = [asyncio.create_task(several.keep_figures()), answering, one[1], two[1]]
        try:
            status = await asyncio.wait_for(stopped.wait(), 30)
            return status, good.returncode
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            pairs[1][1].close()
            for process in (good, stopped):
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            await asyncio.sleep(0)

    assert asyncio.run(use()) == (-signal.SIGKILL, None)
