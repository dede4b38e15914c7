"""A tier in processes of its own: whatever it does, all others are answered, and in time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from feasible.errors import RequestError, TierError, TierUnavailable
from feasible.folder import open_folder
from feasible.schema import Answer
from feasible.serving.calls import CallTimedOut, IsolatedCalls
from feasible.testing import running_service
from feasible.tiers import Tier

pytestmark = pytest.mark.slow  # processes take a second to start

BRIEF = """\
feasible: 1
name: wild
goal: {statement: Answer what can be answered and hand over the rest}
envelope:
  - {latency: p99, at_most: 900 ms}
  - {quality: accuracy, at_least: 0.80, confidence_level: 0.95}
  - {people: reviews, at_most: 40 %}
layers:
  tiers:
    - {name: tame, kind: rules, use: "tiers:tame", usd: $0}
    - name: wild
      kind: rules
      use: "tiers:Wild"
      usd: $0
      timeout: 300 ms
      isolate: process
      concurrency: 2
    - {name: person, kind: person, usd: $1, error_rate: 2 %}
  serving: {deadline: 900 ms, fallback: {default: person}}
"""
DATA = """\
def examples():
    for i in range(600):
        kind = ("colour", "taste", "shape")[i % 3] if i % 6 else "nothing"
        yield {
            "id": i,
            "text": f"{kind} {i}",
            "label": {"colour": "red", "taste": "sweet", "shape": "round", "nothing": "none"}[kind],
            "split": "train" if i % 2 else "test",
        }
"""
TIERS = '''\
import os
import re
import sys
import time

from feasible.errors import RequestError, TierUnavailable
from feasible.schema import Answer

EVIL = re.compile(r"(a+)+$")
KNOWN = {"taste": "sweet", "shape": "round"}


def tame(request):
    return "red" if request["text"].startswith("colour") else None


class Wild:
    """Knows tastes and shapes; does what it should not when it is asked to."""

    def answer(self, batch):
        return [self._one(request.get("text", "")) for request in batch]

    def _one(self, text):
        what = text.split()[0] if text else ""
        if what == "sleep":
            time.sleep(60)
        if what == "nap":
            time.sleep(0.03)
        if what == "spin":
            while True:
                pass
        if what == "regex":
            EVIL.search("a" * 40 + "!")
        if what == "exit":
            os._exit(7)
        if what == "crash":
            os.kill(os.getpid(), 11)
        if what == "leave":
            sys.exit(3)
        if what == "raise":
            raise RuntimeError("out of paint")
        if what == "busy":
            raise TierUnavailable("too much to do", retry_after_s=3.0)
        if what == "unreadable":
            raise RequestError("no such thing", asked="a taste")
        if what == "set":
            return Answer({1, 2})
        if what == "pid":
            return Answer(str(os.getpid()))
        return Answer(KNOWN.get(what), score=1.0 if what in KNOWN else None)
'''


@pytest.fixture(scope="session")
def wild_feature(tmp_path_factory: pytest.TempPathFactory, cli: Any) -> Path:
    """Write the feature and plan it."""
    folder = tmp_path_factory.mktemp("features") / "wild"
    folder.mkdir()
    (folder / "brief.yaml").write_text(BRIEF, encoding="utf-8")
    (folder / "data.py").write_text(DATA, encoding="utf-8")
    (folder / "tiers.py").write_text(TIERS, encoding="utf-8")
    planned = cli("plan", str(folder), "--quiet")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    return folder


@pytest.fixture(scope="module")
def bare_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the feature; nobody plans it."""
    folder = tmp_path_factory.mktemp("features") / "bare"
    folder.mkdir()
    (folder / "brief.yaml").write_text(BRIEF, encoding="utf-8")
    (folder / "tiers.py").write_text(TIERS, encoding="utf-8")
    return folder


@pytest.fixture
def wild(bare_folder: Path) -> Tier:
    """Give the tier as the service's own process has it."""
    return open_folder(bare_folder).tier("wild")


@pytest.fixture
def calls(wild: Tier) -> Iterator[IsolatedCalls]:
    """Give its calls, with both processes ready."""
    made = IsolatedCalls(wild, wild.recipe, labels=None, most=2, typical_s=0.001)  # type: ignore[attr-defined]
    made.warm_up()
    yield made
    made.close()


def ask(calls: IsolatedCalls, *texts: str, within_s: float = 20.0) -> list[Any]:
    """Ask one after the other; an error counts as an answer."""

    async def one_by_one() -> list[Any]:
        found: list[Any] = []
        for text in texts:
            try:
                found.append((await calls.ask({"text": text}, within_s=within_s)).value)
            except (TierError, RequestError) as error:
                found.append(error)
        return found

    return asyncio.run(one_by_one())


async def until_both_are_back(calls: IsolatedCalls) -> None:
    """Wait until what was killed has been replaced."""
    for _ in range(600):
        if len(calls._idle) == 2:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("no replacement after a minute")


def test_it_answers_as_in_our_own_process_but_is_not_in_it(calls: IsolatedCalls) -> None:
    """Answers, abstentions and errors come back as they were given."""
    taste, nothing, raised, busy, unreadable, bad, pid = ask(
        calls, "taste", "weather", "raise", "busy", "unreadable", "set", "pid"
    )

    assert (taste, nothing) == ("sweet", None)
    assert isinstance(raised, TierError)
    assert "RuntimeError" in str(raised)
    assert isinstance(busy, TierUnavailable)
    assert busy.retry_after_s == 3.0
    assert isinstance(unreadable, RequestError)
    assert unreadable.asked == "a taste"
    assert isinstance(bad, TierError)
    assert "not JSON" in str(bad)
    assert int(pid) != os.getpid()
    assert calls.figures().replaced == 0


def test_a_caller_in_a_hurry_costs_nobody_a_process(calls: IsolatedCalls) -> None:
    """It goes without its answer, and the process, which has done nothing wrong, stays."""

    async def hurry_then_ask() -> tuple[list[Any], str]:
        hurried = await asyncio.gather(
            *(calls.ask({"text": "nap"}, within_s=0.0) for _ in range(2)), return_exceptions=True
        )
        await until_both_are_back(calls)
        return hurried, (await calls.ask({"text": "taste"}, within_s=20.0)).value

    hurried, answer = asyncio.run(hurry_then_ask())

    assert all(isinstance(error, CallTimedOut) for error in hurried)
    assert answer == "sweet"
    assert calls.figures().replaced == 0


@pytest.mark.parametrize("what", ["sleep", "spin", "regex"])
def test_a_call_that_holds_its_process_is_killed_and_the_other_one_answers(
    calls: IsolatedCalls, what: str
) -> None:
    """The event loop runs on meanwhile, and a fresh process takes the place of the killed one."""

    async def hang() -> tuple[float, list[str | None], float]:
        longest_s, done = 0.0, False

        async def watch_the_loop() -> None:
            nonlocal longest_s
            while not done:
                before_s = time.thread_time()
                await asyncio.sleep(0.005)
                longest_s = max(longest_s, time.thread_time() - before_s)

        watching = asyncio.create_task(watch_the_loop())
        began_s = time.monotonic()
        hung = asyncio.create_task(calls.ask({"text": what}, within_s=0.4))
        await asyncio.sleep(0.02)
        others = [await calls.ask({"text": "taste"}, within_s=20.0) for _ in range(20)]
        with pytest.raises(CallTimedOut):
            await hung
        took_s = time.monotonic() - began_s
        await until_both_are_back(calls)
        done = True
        await watching
        return took_s, [answer.value for answer in others], longest_s

    took_s, others, longest_s = asyncio.run(hang())

    assert others == ["sweet"] * 20
    assert 0.39 < took_s < 3.0
    assert longest_s < 0.1
    assert calls.figures().replaced == 1


@pytest.mark.parametrize(
    ("what", "said"),
    [("exit", "exit code 7"), ("crash", "SIGSEGV"), ("leave", "exit code 3")],
)
def test_a_process_that_dies_fails_one_call_and_nothing_else(
    calls: IsolatedCalls, what: str, said: str
) -> None:
    """The tier is to blame; the next call has another process."""
    died, after = ask(calls, what, "taste")

    assert isinstance(died, TierError)
    assert said in str(died)
    assert after == "sweet"


def test_a_process_that_is_killed_from_outside_is_replaced(calls: IsolatedCalls) -> None:
    """As the kernel does when memory ends."""

    async def kill() -> Answer:
        pid = int((await calls.ask({"text": "pid"}, within_s=20.0)).value)
        os.kill(pid, signal.SIGKILL)
        for _ in range(3):  # whoever is given the dead one fails, and nobody after that
            try:
                await calls.ask({"text": "taste"}, within_s=20.0)
            except TierError:
                continue
        await until_both_are_back(calls)
        return await calls.ask({"text": "taste"}, within_s=20.0)

    assert asyncio.run(kill()).value == "sweet"


def test_a_tier_that_changed_on_the_disk_does_not_start(wild: Tier, bare_folder: Path) -> None:
    """A process answers by the code that the plan was made for, or not at all."""
    file = bare_folder / "tiers.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace('"out of paint"', '"no paint"'), encoding="utf-8")
    try:
        calls = IsolatedCalls(wild, wild.recipe, labels=None, most=1)  # type: ignore[attr-defined]
        with pytest.raises(TierError, match="does not start") as caught:
            calls.warm_up()
    finally:
        file.write_text(before, encoding="utf-8")

    assert "has changed since the service started" in str(caught.value)


CLIENT = httpx.Client(timeout=30)
"""One for all: making one takes as long as ten answers."""


@pytest.fixture(scope="module", autouse=True)
def hang_up() -> Iterator[None]:
    """Close its connections in the end."""
    yield
    CLIENT.close()


def decide(url: str, text: str) -> dict[str, Any]:
    """Ask a service one question."""
    reply = CLIENT.post(f"{url}/v1/decide", json={"request": {"text": text}})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def children_of(pid: int) -> list[int]:
    """Give the processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(one) for one in text.split()]


def is_alive(pid: int) -> bool:
    """Claim that a process runs and is not merely unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_an_expression_that_never_ends_delays_nobody_else(
    wild_feature: Path, tmp_path: Path, workers: int
) -> None:
    """In the service's own process it would stop every answer for minutes."""
    ledger = f"sqlite:///{tmp_path / 'decisions.db'}"
    running = running_service(str(wild_feature), ledger=ledger, workers=workers)
    with running as service, ThreadPoolExecutor(9) as pool:
        decide(service.url, "taste first")
        hung = [pool.submit(decide, service.url, f"regex {i}") for i in range(3)]
        others = [pool.submit(decide, service.url, f"colour {i}") for i in range(300)]
        answers = [one.result() for one in others]
        stuck = [one.result() for one in hung]
        until_s = time.monotonic() + 60
        while decide(service.url, "taste again")["tier"] != "wild" and time.monotonic() < until_s:
            time.sleep(0.2)
        last = decide(service.url, "taste at last")
        metrics = CLIENT.get(f"{service.url}/metrics").text
        assert service.stop() == 0

    assert {one["answer"] for one in answers} == {"red"}
    assert all(one["within"]["deadline"] for one in answers)
    assert {one["tier"] for one in stuck} == {"person"}
    assert all(one["within"]["deadline"] for one in stuck)
    assert last["tier"] == "wild"
    assert "feasible_tier_steps_total" in metrics


PLAIN_BRIEF = """\
feasible: 1
name: plain
goal: {statement: Answer what can be answered and hand over the rest}
envelope:
  - {latency: p99, at_most: 600 ms}
  - {quality: accuracy, at_least: 0.80, confidence_level: 0.95}
  - {people: reviews, at_most: 40 %}
layers:
  tiers:
    - {name: rules, kind: rules, use: "tiers:RULES", usd: $0}
    - {name: person, kind: person, usd: $1, error_rate: 2 %}
  serving: {deadline: 600 ms, fallback: {default: person}}
"""
PLAIN_TIERS = """\
from feasible.tiers import RulesTier, pattern

RULES = RulesTier(
    pattern("red", r"colour"), pattern("sweet", r"taste"), pattern("round", r"shape.*[0-9]")
)
"""


def test_a_long_text_for_a_plain_expression_delays_nobody_else(tmp_path: Path) -> None:
    """Its square is seconds, during which the service's own process would answer nobody."""
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "brief.yaml").write_text(PLAIN_BRIEF, encoding="utf-8")
    (folder / "tiers.py").write_text(PLAIN_TIERS, encoding="utf-8")
    (folder / "data.py").write_text(DATA, encoding="utf-8")
    command = [sys.executable, "-m", "feasible", "plan", str(folder), "--quiet"]
    planned = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    dear = "shape " * 10_000
    ledger = f"sqlite:///{tmp_path / 'decisions.db'}"
    with running_service(str(folder), ledger=ledger) as service, ThreadPoolExecutor(9) as pool:
        decide(service.url, dear)  # processes start at the first long text
        until_s = time.monotonic() + 60
        filler = "x" * 3_000
        while (known := decide(service.url, f"a taste {filler}"))["tier"] != "rules":
            assert time.monotonic() < until_s
            time.sleep(0.2)
        long = pool.submit(decide, service.url, dear)
        others = [pool.submit(decide, service.url, f"colour {i}") for i in range(300)]
        answers = [one.result() for one in others]
        stuck = long.result()
        assert service.stop() == 0

    assert known["answer"] == "sweet"
    assert {one["answer"] for one in answers} == {"red"}
    assert all(one["within"]["deadline"] for one in answers)
    assert (stuck["tier"], stuck["within"]["deadline"]) == ("person", True)


def test_no_process_outlives_a_service_that_was_killed(wild_feature: Path, tmp_path: Path) -> None:
    """Not even one in the middle of an expression that never ends."""
    ledger = f"sqlite:///{tmp_path / 'decisions.db'}"
    with (
        running_service(str(wild_feature), ledger=ledger) as service,
        ThreadPoolExecutor(1) as pool,
    ):
        children = children_of(service.process.pid)
        assert len(children) == 2
        pool.submit(decide, service.url, "regex").add_done_callback(lambda done: done.exception())
        time.sleep(0.1)
        os.kill(service.process.pid, signal.SIGKILL)
        until_s = time.monotonic() + 20
        while any(is_alive(pid) for pid in children) and time.monotonic() < until_s:
            time.sleep(0.05)

    assert not any(is_alive(pid) for pid in children)
