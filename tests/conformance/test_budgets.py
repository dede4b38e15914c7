"""Money over HTTP: never more than a day's cap, whatever becomes of clients, calls and workers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from feasible.ledger import open_ledger
from feasible.schema import Decision
from feasible.state import SqliteState
from feasible.testing import Service, running_service

pytestmark = pytest.mark.slow

BRIEF = """\
feasible: 1
name: paid
goal: {statement: Answer what can be paid for}
envelope:
  - {latency: p99, at_most: 3 s}
  - {cost: day, by: machines, at_most: $0.50}
  - {quality: accuracy, at_least: 0.80, confidence_level: 0.95}
  - {people: reviews, at_most: 40 %}
traffic: {rate: 10 / d, slices: {urgent: 10 %}}
layers:
  tiers:
    - {name: paid, kind: model, use: "tiers:Paid", usd: $0.02, concurrency: 32, retries: 1}
    - {name: person, kind: person, usd: $1, error_rate: 2 %}
  serving: {deadline: 3 s, fallback: {default: person}, priority: {urgent: 20 %}}
"""
TIERS = '''\
import asyncio
import os
import time
from pathlib import Path

from feasible.schema import Answer


class Paid:
    """Costs 2 cents at most, and what it did cost is known after the call."""

    def answer(self, batch):
        return [self._one(request["text"]) for request in batch]

    async def answer_async(self, request, *, timeout_s):
        text = request["text"]
        bills = os.environ.get("BILLS")
        if bills:
            with open(bills, "a") as file:
                file.write(f"{text}\\n")
        if text.startswith("hang"):
            await asyncio.sleep(60)
        if "slow" in text:
            await asyncio.sleep(0.3)
        if text.startswith("raise"):
            raise RuntimeError("out of paint")
        return self._one(text)

    def _one(self, text):
        if text.startswith("shape"):
            return Answer(cost_usd=0.013)
        return Answer("red", score=0.99, cost_usd=0.013)
'''
CAP_NUSD, WORST_NUSD, PRICE_NUSD = 500_000_000, 20_000_000, 13_000_000


@pytest.fixture(scope="module")
def paid_feature(
    tmp_path_factory: pytest.TempPathFactory,
    cli: Callable[..., subprocess.CompletedProcess[str]],
    colours: str,
) -> Path:
    """Write a feature of which every answer costs money, and plan it."""
    folder = tmp_path_factory.mktemp("features") / "paid"
    folder.mkdir()
    (folder / "brief.yaml").write_text(BRIEF, encoding="utf-8")
    (folder / "data.py").write_text(colours, encoding="utf-8")
    (folder / "tiers.py").write_text(TIERS, encoding="utf-8")
    planned = cli("plan", str(folder), "--quiet")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    return folder


class Paid:
    """A service of it, with its ledger and its bills."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.folder = service, folder

    def decide(self, text: str, **more: Any) -> dict[str, Any]:
        """Ask one question."""
        body = {"request": {"text": text}, **more}
        answer = httpx.post(f"{self.service.url}/v1/decide", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def decisions(self) -> list[Decision]:
        """Give what is on record."""
        ledger = open_ledger(f"sqlite:///{self.folder / 'decisions.db'}", write=False)
        try:
            return list(ledger.decisions())
        finally:
            ledger.close()

    def bills(self) -> list[str]:
        """Give every call that was made."""
        file = self.folder / "bills"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def gauge(self, name: str) -> float:
        """Give a figure of the day's budget from /metrics."""
        page = httpx.get(f"{self.service.url}/metrics", timeout=30).text
        found = re.search(rf'^{name}{{budget="cost_day_machines"}} (\S+)$', page, re.MULTILINE)
        assert found is not None, page
        return float(found[1])


@pytest.fixture
def start(paid_feature: Path, tmp_path: Path) -> Iterator[Callable[..., Paid]]:
    """Give what starts a service; one after the other has the same ledger."""
    now = datetime.now(UTC)
    if (now.hour, now.minute) == (23, 59):
        time.sleep(61 - now.second)  # a test that sees midnight sees two days' money
    with ExitStack() as running:

        def starting(*, workers: int = 1) -> Paid:
            service = running.enter_context(
                running_service(
                    str(paid_feature),
                    ledger=f"sqlite:///{tmp_path / 'decisions.db'}",
                    workers=workers,
                    environment={**os.environ, "BILLS": str(tmp_path / "bills")},
                )
            )
            return Paid(service, tmp_path)

        yield starting


@pytest.mark.parametrize("workers", [1, 2])
def test_64_clients_at_once_do_not_overspend(start: Callable[..., Paid], workers: int) -> None:
    """Every request is answered; the share of a slice is left to it; a restart changes nothing."""
    paid = start(workers=workers)

    async def ask_all() -> list[dict[str, Any]]:
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:

            async def one(number: int) -> dict[str, Any]:
                body = {"request": {"text": f"colour {number}"}}
                answer = await client.post(f"{paid.service.url}/v1/decide", json=body)
                assert answer.status_code == 200, answer.text
                return dict(answer.json())

            return await asyncio.gather(*(one(number) for number in range(256)))

    answers = asyncio.run(ask_all())

    bought = [answer for answer in answers if answer["tier"] == "paid"]
    spent = PRICE_NUSD * len(paid.bills())
    assert spent <= 0.8 * CAP_NUSD  # a fifth is kept for urgent requests
    assert len(bought) == len(paid.bills())
    # Nothing was left unspent that a call could have had, when all others were settled.
    assert spent > 0.8 * CAP_NUSD - WORST_NUSD - PRICE_NUSD
    rest = [answer for answer in answers if answer["tier"] != "paid"]
    assert all(answer["handed_off"] for answer in rest)
    whys = {(step["tier"], step["why"]) for answer in rest for step in answer["path"]}
    assert ("paid", "budget") in whys
    urgent = paid.decide("colour of urgency", slices=["urgent"])
    assert urgent["tier"] == "paid"
    spent += PRICE_NUSD
    assert paid.gauge("feasible_budget_spent_usd") == pytest.approx(spent / 1e9)
    assert paid.gauge("feasible_budget_slack_ratio") == pytest.approx(1 - spent / CAP_NUSD)

    if workers == 1:
        return
    assert paid.service.stop() == 0
    again = start(workers=workers)
    assert again.gauge("feasible_budget_spent_usd") == pytest.approx(spent / 1e9)
    assert again.decide("colour after all")["handed_off"]
    rows = httpx.get(f"{again.service.url}/v1/headroom", timeout=30).json()["objectives"]
    (row,) = (row for row in rows if row["objective"] == "cost_day_machines")
    assert "of $0.500 today (UTC)" in row["note"]


def test_a_killed_service_gets_its_reservation_back_after_the_lease(
    start: Callable[..., Paid],
) -> None:
    """And not before; what was spent before is not forgotten."""
    paid = start()
    paid.decide("colour of money")

    async def cut_off() -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            body = {"request": {"text": "hang for ever"}}
            call = asyncio.ensure_future(client.post(f"{paid.service.url}/v1/decide", json=body))
            while "hang for ever" not in paid.bills():  # noqa: ASYNC110  another process writes them
                await asyncio.sleep(0.01)
            paid.service.process.send_signal(signal.SIGKILL)
            await asyncio.gather(call, return_exceptions=True)

    asyncio.run(cut_off())
    killed_s = time.monotonic()
    paid.service.process.wait(timeout=30)
    state = SqliteState(paid.folder / "decisions.db.state")
    window = f"cost_day_machines {datetime.now(UTC):%Y-%m-%d}"

    def used() -> tuple[int, int]:
        parts = state.spending(window).values()
        return sum(part.spent_nusd for part in parts), sum(part.held_nusd for part in parts)

    held = used()
    if time.monotonic() - killed_s < 3:  # the deadline is 3 s, the lease a little longer
        assert held == (PRICE_NUSD, 2 * WORST_NUSD)  # the call and one repetition
    give_up_s = time.monotonic() + 30
    while used()[1]:
        assert time.monotonic() < give_up_s, "the reservation has leaked"
        time.sleep(0.1)
    assert used() == (PRICE_NUSD, 0)
    state.close()

    again = start()
    assert again.gauge("feasible_budget_spent_usd") == pytest.approx(PRICE_NUSD / 1e9)
    assert again.gauge("feasible_budget_reserved_usd") == 0


def test_a_call_that_hangs_is_counted_at_its_worst(start: Callable[..., Paid]) -> None:
    """Whether it is billed, nobody tells: its cost is unknown, and counts in full."""
    paid = start()
    answer = paid.decide("hang for ever")
    assert answer["cost_usd"] is None
    assert paid.gauge("feasible_budget_reserved_usd") == 0
    assert paid.gauge("feasible_budget_spent_usd") == pytest.approx(WORST_NUSD / 1e9)
    (decision,) = paid.decisions()
    known = sum(round((step.cost_usd or 0.0) * 1e9) for step in decision.path)  # a person's
    assert (decision.cost_nusd, decision.at_most_nusd) == (None, WORST_NUSD + known)


def test_two_workers_make_one_call_for_one_key(start: Callable[..., Paid]) -> None:
    """Whichever of them its repeats come to, at once and later."""
    paid = start(workers=2)

    async def ask_all(text: str, key: str) -> list[dict[str, Any]]:
        async def one() -> dict[str, Any]:
            # A connection of its own, so that it may come to either worker.
            async with httpx.AsyncClient(timeout=30) as client:
                body = {"request": {"text": text}, "idempotency_key": key}
                answer = await client.post(f"{paid.service.url}/v1/decide", json=body)
                assert answer.status_code == 200, answer.text
                return dict(answer.json())

        return await asyncio.gather(*(one() for _ in range(8)))

    for n in range(5):
        answers = asyncio.run(ask_all(f"colour slow {n}", f"key {n}"))
        assert len({answer["decision_id"] for answer in answers}) == 1
    assert sorted(paid.bills()) == [f"colour slow {n}" for n in range(5)]
    assert len(paid.decisions()) == 5
