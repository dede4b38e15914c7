"""A language model that hangs, refuses or is busy: what the clients of a live service see of it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from feasible.testing import running_service

pytestmark = pytest.mark.slow  # each starts a service of its own

DEADLINE_MS = 1_000
SLOW_MS = 600
"""The model's own time is 700 ms; a machine that runs other tests may take a while for the rest."""
BRIEF = """\
feasible: 1
name: talk
goal: {{statement: Answer what can be answered and hand over the rest}}
envelope:
  - {{latency: p95, at_most: 1 s}}
  - {{quality: accuracy, at_least: 0.80, confidence_level: 0.95}}
  - {{people: reviews, at_most: 40 %}}
layers:
  tiers:
    - {{name: rules, kind: rules, use: "tiers:rules", usd: $0}}
    - name: llm
      kind: llm
      use: feasible.tiers:ChatModel
      usd: $0.001
      timeout: 700 ms
      options: {{url: "{url}", model: fake, json_schema: false}}
{declared}
    - {{name: person, kind: person, usd: $1, error_rate: 2 %}}
  serving: {{deadline: 1 s, fallback: {{default: person}}}}
"""
CALLED = """\
      concurrency: 4
      retries: 2
      hedge_after: 250 ms
      retry_budget: 25 %
      breaker: half of 40 calls fail
"""
DATA = """\
def examples():
    for i in range(600):
        kind = ("colour", "shape")[i % 2] if i % 5 else "nothing"
        yield {
            "id": i,
            "text": f"{kind} {i}",
            "label": {"colour": "red", "shape": "round", "nothing": "none"}[kind],
            "split": "train" if i % 4 < 2 else "test",
        }
"""
TIERS = """\
def rules(request):
    return "red" if request["text"].startswith("colour") else None
"""


class Vendor:
    """A chat endpoint that can be told how to fail, and sees who hangs up.

    Attributes:
        mode: `answer`, `hang`, or a status with its headers.
        asked: Calls so far.
        in_flight: Calls under way.
        most_in_flight: Most of them at once.
        hung: Calls that were never answered.
        hung_up: Those of them whose client went away.
    """

    def __init__(self) -> None:
        self.mode: Any = "answer"
        self.delay_s = 0.0
        self.asked = self.in_flight = self.most_in_flight = self.hung = self.hung_up = 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self.port = 0
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.listen()

    def listen(self) -> None:
        """Take connections again, at the same address."""

        async def begin() -> None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(30)

    def refuse(self) -> None:
        """Take no connection any more, and end those that are there."""

        async def end() -> None:
            assert self._server is not None
            self._server.close()
            ours = asyncio.current_task()
            others = [task for task in asyncio.all_tasks(self._loop) if task is not ours]
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(30)

    def close(self) -> None:
        """End everything."""
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                self.asked += 1
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    await self._answer(reader, writer, body["messages"][-1]["content"])
                finally:
                    self.in_flight -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str
    ) -> None:
        mode = self.mode(self.asked) if callable(self.mode) else self.mode
        if mode == "hang":
            self.hung += 1
            await reader.read(1)  # nothing comes but the end
            self.hung_up += 1
            raise ConnectionError
        await asyncio.sleep(self.delay_s)
        status, more = (200, "") if mode == "answer" else mode
        said = "round" if text.startswith("shape") else "none"
        message = {"choices": [{"message": {"role": "assistant", "content": said}}]}
        usage = {"prompt_tokens": 10, "completion_tokens": 2}
        body = json.dumps(message | {"usage": usage} if status == 200 else {"error": "no"}).encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{more}"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    """Give the endpoint that all features of this file ask."""
    made = Vendor()
    yield made
    made.close()


Plan = Callable[..., Path]


@pytest.fixture(scope="module")
def planned(vendor: Vendor, tmp_path_factory: pytest.TempPathFactory, cli: Any) -> Plan:
    """Give the function that plans a feature whose language model is called as declared."""
    made: dict[str, Path] = {}

    def plan(declared: str = "") -> Path:
        if declared not in made:
            vendor.mode, vendor.delay_s = "answer", 0.0
            folder = tmp_path_factory.mktemp("features") / f"talk{len(made)}"
            folder.mkdir()
            brief = BRIEF.format(url=f"http://127.0.0.1:{vendor.port}/v1", declared=declared)
            (folder / "brief.yaml").write_text(brief, encoding="utf-8")
            (folder / "data.py").write_text(DATA, encoding="utf-8")
            (folder / "tiers.py").write_text(TIERS, encoding="utf-8")
            found = cli("plan", str(folder), "--quiet")
            assert found.returncode == 0, found.stdout + found.stderr
            made[declared] = folder
        return made[declared]

    return plan


class Clients:
    """Clients of one service."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, texts: list[str], *, at_once: int, key: str = "") -> list[dict[str, Any]]:
        """Ask every question, so many at a time, and give the answers in order."""
        return asyncio.run(self._all(texts, at_once, key))

    async def _all(self, texts: list[str], at_once: int, key: str) -> list[dict[str, Any]]:
        del key
        free = asyncio.Semaphore(at_once)
        limits = httpx.Limits(max_connections=at_once)
        async with httpx.AsyncClient(timeout=30, limits=limits) as client:

            async def one(text: str) -> dict[str, Any]:
                async with free:
                    body = {"request": {"text": text}}
                    reply = await client.post(f"{self.url}/v1/decide", json=body)
                    assert reply.status_code == 200, reply.text
                    found: dict[str, Any] = reply.json()
                    return found

            return await asyncio.gather(*(one(text) for text in texts))

    def metrics(self) -> str:
        """Give what a scraper sees."""
        return httpx.get(f"{self.url}/metrics", timeout=30).text


@contextmanager
def clients_of(feature: Path, ledger: Path, *, workers: int = 1) -> Iterator[Clients]:
    """Start a service on a feature, and stop it in order."""
    url = f"sqlite:///{ledger}"
    with running_service(str(feature), ledger=url, workers=workers) as service:
        yield Clients(service.url)
        assert service.stop() == 0


def slow(answers: list[dict[str, Any]]) -> int:
    """Count the answers that took long."""
    return sum(answer["latency_ms"] > SLOW_MS for answer in answers)


def shapes(first: int, count: int) -> list[str]:
    """Give questions that only the language model can answer, no two the same."""
    return [f"shape {i} of a kind" for i in range(first, first + count)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_hangs_makes_ten_requests_slow_and_no_answer_late(
    vendor: Vendor, planned: Plan, tmp_path: Path, workers: int
) -> None:
    """64 clients were busy with it when it stopped answering; its calls are closed, every one."""
    feature = planned()
    with clients_of(feature, tmp_path / "decisions.db", workers=workers) as clients:
        vendor.mode, vendor.delay_s = "answer", 0.01
        before = clients.ask(shapes(0, 200), at_once=64)
        asked, vendor.hung_up, vendor.most_in_flight = vendor.asked, 0, 0
        vendor.mode = "hang"
        during = clients.ask(shapes(1_000, 400), at_once=64)
        hung = vendor.asked - asked
        time.sleep(0.3)
        metrics = clients.metrics()

    assert sum(answer["tier"] == "llm" for answer in before) > 20
    assert all(answer["within"]["deadline"] for answer in during)
    assert {answer["tier"] for answer in during} == {"person"}
    assert slow(during) <= 10
    assert slow(during[-200:]) == 0
    assert hung <= 10
    assert vendor.hung_up == hung
    assert vendor.in_flight == 0
    steps = [step for answer in during for step in answer["path"] if step["tier"] == "llm"]
    assert sum(step["outcome"] == "timed_out" for step in steps) >= 5
    assert any(step["outcome"] == "skipped" and step["why"] == "blocked" for step in steps)
    assert 'feasible_tier_breaker_state{state="open",tier="llm"} 1.0' in metrics


@pytest.mark.parametrize(("how", "workers"), [("refuse", 1), ("500", 2), ("429", 1)])
def test_a_model_that_is_down_is_left_alone_and_asked_again_once_it_is_back(
    vendor: Vendor, planned: Plan, tmp_path: Path, how: str, workers: int
) -> None:
    """Nobody is slow, the provider is not pestered, and one trial ends the outage."""
    feature = planned()
    with clients_of(feature, tmp_path / "decisions.db", workers=workers) as clients:
        vendor.mode, vendor.delay_s = "answer", 0.0
        clients.ask(shapes(0, 20), at_once=4)
        asked = vendor.asked
        if how == "refuse":
            vendor.refuse()
        else:
            vendor.mode = (500, "") if how == "500" else (429, "Retry-After: 2\r\n")
        during = clients.ask(shapes(1_000, 300), at_once=16)
        pestered = vendor.asked - asked
        if how == "refuse":
            vendor.listen()
        vendor.mode = "answer"
        until_s = time.monotonic() + 30
        while time.monotonic() < until_s:
            (back,) = clients.ask(shapes(int(time.monotonic() * 1e3) + 10_000, 1), at_once=1)
            if back["tier"] == "llm":
                break
            time.sleep(0.2)
        after = clients.ask(shapes(2_000, 20), at_once=4)

    assert all(answer["within"]["deadline"] for answer in during)
    assert slow(during) == 0
    assert (
        sum(
            step["tier"] == "llm" and step["outcome"] == "failed"
            for answer in during
            for step in answer["path"]
        )
        <= 13
    )
    assert pestered <= 13
    assert {answer["tier"] for answer in after} == {"llm"}


def test_a_busy_model_is_asked_again_inside_the_same_deadline(
    vendor: Vendor, planned: Plan, tmp_path: Path
) -> None:
    """Every attempt is on the path; together they are no more than the declared share."""
    feature = planned(CALLED)
    with clients_of(feature, tmp_path / "decisions.db") as clients:
        vendor.delay_s, asked = 0.0, vendor.asked
        vendor.mode = lambda number: (503, "") if number % 12 == 0 else "answer"
        answers = clients.ask(shapes(0, 240), at_once=4)
        made = vendor.asked - asked
        vendor.mode = "answer"
        metrics = clients.metrics()

    retried = [s for answer in answers for s in answer["path"] if s["outcome"] == "retried"]
    assert 10 <= len(retried) <= 1 + 0.25 * 240
    second = [s for answer in answers for s in answer["path"] if s["outcome"] == "cancelled"]
    assert 240 + len(retried) <= made <= 240 + len(retried) + len(second)
    assert all("503" in step["why"] for step in retried)
    answered = [answer for answer in answers if answer["tier"] == "llm"]
    assert len(answered) >= 200  # on a busy machine some found its queue too long
    twice = [answer for answer in answered if len(answer["path"]) > 2]
    why = {answer["path"][-1]["why"] for answer in twice}
    assert why <= {"the second attempt", "the third attempt"}
    assert all(answer["cost_usd"] is None for answer in twice)  # nobody says if it is billed
    assert all(answer["within"]["deadline"] for answer in answers)
    assert f'feasible_tier_retries_total{{tier="llm"}} {len(retried)}.0' in metrics


def test_a_slow_model_is_asked_twice_and_the_slow_call_is_closed(
    vendor: Vendor, planned: Plan, tmp_path: Path
) -> None:
    """The first answer counts; the provider sees the other client go."""
    feature = planned(CALLED)
    with clients_of(feature, tmp_path / "decisions.db") as clients:
        vendor.delay_s, vendor.hung, vendor.hung_up, asked = 0.0, 0, 0, vendor.asked
        vendor.mode = lambda number: "hang" if number % 10 == 0 else "answer"
        answers = clients.ask(shapes(0, 60), at_once=1)
        made = vendor.asked - asked
        vendor.mode = "answer"
        time.sleep(0.3)
        metrics = clients.metrics()

    called_off = [s for answer in answers for s in answer["path"] if s["outcome"] == "cancelled"]
    # On a busy machine a call may be slow, or out of time, for reasons of its own.
    assert vendor.hung >= 4
    assert vendor.hung_up == vendor.hung
    assert vendor.in_flight == 0
    assert len(called_off) >= 3
    assert made <= 60 + 1 + 0.25 * 60
    assert sum(answer["tier"] == "llm" for answer in answers) >= 50
    assert all(answer["within"]["deadline"] for answer in answers)
    assert all(250 <= step["latency_ms"] < DEADLINE_MS for step in called_off)
    assert f'feasible_tier_hedges_total{{tier="llm"}} {len(called_off)}.0' in metrics


def test_one_question_of_many_clients_is_one_call(
    vendor: Vendor, planned: Plan, tmp_path: Path
) -> None:
    """The ledger has its price once, and says of the others who paid."""
    feature = planned()
    with clients_of(feature, tmp_path / "decisions.db") as clients:
        vendor.mode, vendor.delay_s, asked = "answer", 0.3, vendor.asked
        answers = clients.ask(["shape of water"] * 30, at_once=30)
        made = vendor.asked - asked
        metrics = clients.metrics()

    assert {answer["answer"] for answer in answers} == {"round"}
    assert made == 1
    priced = [answer["cost_usd"] for answer in answers if answer["cost_usd"]]
    assert priced == [pytest.approx(0.001)]
    shared = [answer for answer in answers if answer["path"][-1]["why"]]
    assert len(shared) == 29
    assert {answer["path"][-1]["why"] for answer in shared} == {"shared with another request"}
    assert 'feasible_tier_shared_total{tier="llm"} 29.0' in metrics


def test_a_declared_number_of_calls_binds_whatever_the_clients_do(
    vendor: Vendor, planned: Plan, tmp_path: Path
) -> None:
    """What does not fit waits its turn, or goes to the next tier in time."""
    feature = planned(CALLED)
    with clients_of(feature, tmp_path / "decisions.db") as clients:
        vendor.mode, vendor.delay_s, vendor.most_in_flight = "answer", 0.02, 0
        answers = clients.ask(shapes(0, 200), at_once=32)

    assert vendor.most_in_flight == 4
    assert all(answer["within"]["deadline"] for answer in answers)
    assert sum(answer["tier"] == "llm" for answer in answers) > 20
