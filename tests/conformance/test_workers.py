"""Several worker processes as one service, over real HTTP; and one process held to the same."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from feasible.ledger import open_ledger
from feasible.testing import send_load

Start = Callable[..., Any]
UNHURRIED = pytest.mark.timeout(1800)
Run = Callable[..., subprocess.CompletedProcess[str]]
HEAD = "POST /v1/decide HTTP/1.1\r\nHost: here\r\nContent-Length: "


def decide(server: Any, text: str, **more: Any) -> httpx.Response:
    """Ask one question, on a connection of its own."""
    body = {"request": {"text": text}, **more}
    return httpx.post(f"{server.url}/v1/decide", json=body, timeout=30)


def workers_of(server: Any) -> list[int]:
    """Give the process numbers of a server's workers."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(one) for one in found.stdout.split()]


def wait_until(true: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Wait for something that takes as long as it takes on this machine."""
    until_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Claim that a process has ended, a zombie included."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.slow
def test_headroom_metrics_and_decisions_speak_for_the_service(start: Start) -> None:
    """Whichever worker is asked, it tells of what all of them did."""
    server = start(workers=2)
    ids = [decide(server, f"colour {i}").json()["decision_id"] for i in range(40)]
    label = {"value": "red", "source": "human", "known_at": "2026-11-01T08:00:00+00:00"}
    for one in ids[:10]:
        assert (
            httpx.post(f"{server.url}/v1/labels", json={"decision_id": one, **label}).status_code
            == 200
        )
    time.sleep(1.1)  # the table is computed once a second at most

    for _ in range(6):  # new connections, so that both workers are asked
        counted = re.search(
            r'feasible_decisions_total\{fell_back="false",tier="odd"\} (\d+)',
            httpx.get(f"{server.url}/metrics", timeout=30).text,
        )
        assert counted is not None
        assert int(counted[1]) == 40
        table = httpx.get(f"{server.url}/v1/headroom", timeout=30).json()["objectives"]
        rows = {row["objective"]: row for row in table}
        assert rows["latency_p99"]["n"] == 40
        assert rows["accuracy"]["n"] == 10
        assert httpx.get(f"{server.url}/v1/decisions/{ids[0]}").status_code == 200


@pytest.mark.slow
def test_what_a_dead_worker_counted_stays_counted(start: Start) -> None:
    """A counter never goes back, and the service answers while the worker is replaced."""
    server = start(workers=2)
    for i in range(30):
        decide(server, f"colour {i}")
    assert "feasible_decisions_total" in httpx.get(f"{server.url}/metrics", timeout=30).text
    first = workers_of(server)
    os.kill(first[0], signal.SIGKILL)
    wait_until(lambda: first[0] not in workers_of(server))
    answered = decide(server, "colour at once")
    wait_until(lambda: len(workers_of(server)) == 2)

    assert answered.status_code == 200
    text = httpx.get(f"{server.url}/metrics", timeout=30).text
    counted = re.search(r'feasible_decisions_total\{fell_back="false",tier="odd"\} (\d+)', text)
    assert counted is not None
    assert int(counted[1]) == 31
    assert server.stop() == 0


@pytest.mark.slow
def test_workers_without_a_supervisor_end(start: Start) -> None:
    """Nobody goes on serving unnoticed: they drain and end, and the ledger is free again."""
    server = start(workers=2)
    assert decide(server, "colour").status_code == 200
    workers = workers_of(server)
    assert len(workers) == 2
    server.process.kill()
    server.process.wait()

    wait_until(lambda: all(is_gone(pid) for pid in workers))
    again = start(ledger=server.ledger)
    assert decide(again, "colour").status_code == 200


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_is_replaced(start: Start) -> None:
    """SIGTERM to one worker drains it and takes nothing from the others."""
    server = start(workers=2)
    first = workers_of(server)
    os.kill(first[0], signal.SIGTERM)
    os.kill(first[1], signal.SIGINT)  # a terminal's word to the whole group is the supervisor's
    wait_until(lambda: first[0] not in workers_of(server) and len(workers_of(server)) == 2)

    assert first[1] in workers_of(server)
    assert decide(server, "colour").status_code == 200
    assert server.stop() == 0


async def _hold_on(url: str, seen: list[str], lost: list[str], *, number: int) -> None:
    """Ask on one connection until the server closes it; nothing that was sent may go unanswered."""
    host, port = url.removeprefix("http://").split(":")
    for i in itertools.count():
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return  # nobody listens any more: nothing was accepted
        try:
            for j in itertools.count():
                body = msgspec.json.encode({"request": {"text": f"colour {number} {i} {j}"}})
                writer.write(f"{HEAD}{len(body)}\r\n\r\n".encode() + body)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
                answer = msgspec.json.decode(await reader.readexactly(length))
                if head.startswith(b"http/1.1 200"):
                    seen.append(answer["decision_id"])
                else:
                    lost.append(head.decode())
                if b"connection: close" in head:
                    break
                await asyncio.sleep(0.002 * (number % 4))
        except (OSError, asyncio.IncompleteReadError) as error:
            lost.append(repr(error))
        finally:
            writer.close()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("runs", [2, pytest.param(20, marks=[pytest.mark.full, UNHURRIED])])
def test_no_accepted_request_is_lost_on_sigterm(start: Start, workers: int, runs: int) -> None:
    """Every request that was sent on an accepted connection is answered, in every run."""
    for _ in range(runs):
        server = start(workers=workers)
        seen: list[str] = []
        lost: list[str] = []

        async def load_and_stop(
            server: Any = server, seen: list[str] = seen, lost: list[str] = lost
        ) -> None:
            tasks = [
                asyncio.create_task(_hold_on(server.url, seen, lost, number=number))
                for number in range(24)
            ]
            await asyncio.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*tasks)

        asyncio.run(load_and_stop())

        assert server.process.wait(timeout=60) == 0
        assert not lost
        assert seen
        reading = open_ledger(server.ledger, write=False)
        assert not [one for one in seen if reading.decision(one) is None]
        assert reading.verify().whole
        reading.close()


@pytest.mark.slow
def test_connections_that_nobody_took_yet_are_served_before_the_end(start: Start) -> None:
    """A client that has connected, and sends while the service stops, still gets its answer."""
    server = start()
    host, port = server.url.removeprefix("http://").split(":")
    body = msgspec.json.encode({"request": {"text": "colour"}})
    os.kill(server.process.pid, signal.SIGSTOP)  # so that it takes none of them
    clients = [socket.create_connection((host, int(port)), timeout=30) for _ in range(20)]
    for client in clients:
        client.sendall(f"{HEAD}{len(body)}\r\n\r\n".encode() + body)
    server.process.send_signal(signal.SIGTERM)
    os.kill(server.process.pid, signal.SIGCONT)
    answers = [client.recv(65_536) for client in clients]

    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    assert server.process.wait(timeout=60) == 0
    for client in clients:
        client.close()


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["a worker", "the whole group"])
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=[pytest.mark.full, UNHURRIED])])
def test_kill_9_under_load_loses_nothing_acknowledged(
    start: Start, cli: Run, whom: str, kills: int
) -> None:
    """At random moments, time after time, on one ledger: the chain stays whole."""
    rng = random.Random(7)
    ledger, told = None, 0
    for attempt in range(kills):
        server = start(workers=2, ledger=ledger)
        ledger = server.ledger
        stopped = threading.Event()

        def questions(
            stopped: threading.Event = stopped, attempt: int = attempt
        ) -> Iterator[dict[str, str]]:
            for i in itertools.count():
                if stopped.is_set():
                    return
                yield {"text": f"colour {attempt} {i}"}

        def kill(server: Any = server, stopped: threading.Event = stopped) -> None:
            time.sleep(rng.uniform(0.2, 1.0))
            everybody = [server.process.pid, *workers_of(server)]
            for pid in everybody if whom == "the whole group" else everybody[1:2]:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.3)
            stopped.set()

        killing = threading.Thread(target=kill)
        killing.start()
        load = asyncio.run(send_load(server.url, questions(), clients=16, seed=attempt))
        killing.join()
        if whom == "a worker":
            assert server.stop() == 0
        server.process.wait(timeout=60)

        reading = open_ledger(ledger, write=False)
        assert not [one for one in load.decisions if reading.decision(one) is None]
        reading.close()
        told += len(load.decisions)
    assert told > 100
    verified = cli("ledger", "verify", "--ledger", str(ledger))
    assert verified.returncode == 0, verified.stdout
