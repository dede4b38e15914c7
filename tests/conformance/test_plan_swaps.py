"""Plans that change while requests come in, over real HTTP, with one worker and with two."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import pytest

from feasible.folder import open_folder
from feasible.ledger import open_ledger
from feasible.live_plans import history, live_at, order
from feasible.schema import Decision, LivePlans
from feasible.serving import PlanOrder, new_key
from feasible.testing import Drive, Service, drive_open, post, running_service, send_load

pytestmark = pytest.mark.slow  # each plans twice and serves

Run = Callable[..., subprocess.CompletedProcess[str]]
GRACE = timedelta(seconds=2)
"""A request under way ends on the plan that it began with."""


@pytest.fixture(scope="module")
def two_plans(odd_feature: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A copy of the small feature, with an older plan and a newest one."""
    folder = tmp_path_factory.mktemp("swaps") / "odd"
    shutil.copytree(odd_feature, folder, ignore=shutil.ignore_patterns("*ledger*"))
    first = json.loads((folder / ".feasible" / "plan.json").read_text(encoding="utf-8"))["id"]
    command = [sys.executable, "-m", "feasible", "plan", str(folder), "--quiet", "--seed", "1"]
    planned = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    second = json.loads((folder / ".feasible" / "plan.json").read_text(encoding="utf-8"))["id"]
    return folder, second, first


class Swaps:
    """A service of that feature, and how its plans are changed."""

    def __init__(self, folder: Path, url: str, service: Service, ledger: str) -> None:
        self.feature = open_folder(folder)
        self.url, self.service, self.ledger = url, service, ledger

    def change(self, act: Any, plan: str | None = None, share: float | None = None) -> LivePlans:
        """Order a change as the command line does."""
        usd = 1.0 if act == "shadow" else None
        wanted = PlanOrder(act=act, actor="a test", plan=plan, share=share, usd_per_day=usd)
        return order(self.feature, wanted, ledger_url=self.ledger)

    def decide(self, text: str, **more: Any) -> dict[str, Any]:
        """Ask one question."""
        body = {"request": {"text": text}, **more}
        reply = httpx.post(f"{self.url}/v1/decide", json=body, timeout=30)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def swaps(
    request: pytest.FixtureRequest, two_plans: tuple[Path, str, str], tmp_path: Path
) -> Iterator[Swaps]:
    """A service that begins with the newest plan."""
    ledger = f"sqlite:///{tmp_path / 'decisions.db'}"
    with running_service(str(two_plans[0]), ledger=ledger, workers=request.param) as service:
        yield Swaps(two_plans[0], service.url, service, ledger)


def decided(ledger: str) -> list[Decision]:
    """Give every decision of a ledger."""
    reading = open_ledger(ledger, write=False)
    try:
        return list(reading.decisions())
    finally:
        reading.close()


def test_swaps_under_load_lose_nothing_and_every_decision_names_its_plan(
    swaps: Swaps, two_plans: tuple[Path, str, str], cli: Run
) -> None:
    """Promotes, canaries and rollbacks under load: each decision's plan was live or canary then."""
    _, newest, older = two_plans
    stopped = threading.Event()

    def questions() -> Iterator[dict[str, str]]:
        for i in itertools.count():
            if stopped.is_set():
                return
            yield {"text": f"colour {i}"}

    def swap() -> None:
        try:
            for _ in range(4):
                swaps.change("canary", older, 0.5)
                swaps.change("promote")
                swaps.change("rollback")
        finally:
            stopped.set()

    swapping = threading.Thread(target=swap)
    swapping.start()
    load = asyncio.run(send_load(swaps.url, questions(), clients=8))
    swapping.join()

    assert swaps.service.stop() == 0
    assert not load.broken
    assert not load.refused
    made = decided(swaps.ledger)
    assert {one.decision_id for one in made} == set(load.decisions)
    assert {one.plan for one in made} == {newest, older}
    reading = open_ledger(swaps.ledger, write=False)
    changes = history(reading)
    reading.close()
    assert [one.act for one in changes] == ["start", *["canary", "promote", "rollback"] * 4]
    for one in made:
        assert one.plan in answering(changes, one.at - GRACE, one.at), one
    assert cli("ledger", "verify", "--ledger", swaps.ledger).returncode == 0


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_hundred_swaps_at_a_thousand_requests_a_second_lose_none(
    swaps: Swaps, two_plans: tuple[Path, str, str], cli: Run
) -> None:
    """Requests come when they are due, whatever the service does; every one is answered."""
    _, newest, older = two_plans
    calls = [
        post(
            f"{swaps.url}/v1/decide",
            json.dumps({"request": {"text": f"colour {i}"}}).encode(),
            expected=b'"plan":"plan_',
        )
        for i in range(2_000)
    ]
    drives: list[Drive] = []
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as generator:

        def drive(number: int) -> Future[Drive]:
            return generator.submit(
                drive_open, swaps.url, calls, connections=64, per_s=1_000, seconds=10, seed=number
            )

        running = drive(0)
        for number in range(100):
            if running.done():
                drives.append(running.result())
                running = drive(len(drives))
            swaps.change("promote", older if number % 2 == 0 else newest)
        drives.append(running.result())

    assert swaps.service.stop() == 0
    answered = sum(one.answered for one in drives)
    came = answered + sum(one.errors for one in drives)
    assert sum(one.errors for one in drives) == 0, [(one.broken, one.refused) for one in drives]
    assert came >= 950 * 10 * len(drives)
    made = decided(swaps.ledger)
    assert len({one.decision_id for one in made}) == answered
    assert {one.plan for one in made} == {newest, older}
    reading = open_ledger(swaps.ledger, write=False)
    changes = history(reading)
    reading.close()
    assert [one.act for one in changes] == ["start", *["promote"] * 100]
    ends = [one.at for one in changes[1:]] + [made[-1].at + GRACE]
    for one in made:
        first = bisect_left(ends, one.at - GRACE)
        last = bisect_left(ends, one.at + GRACE)
        assert one.plan in {change.live.stable for change in changes[first : last + 1]}, one
    assert cli("ledger", "verify", "--ledger", swaps.ledger).returncode == 0


def answering(changes: list[Any], since: datetime, until: datetime) -> set[str]:
    """Give the plans that answered at any time between two instants."""
    found: set[str] = set()
    for change, after in itertools.zip_longest(changes, changes[1:]):
        if change.at <= until and (after is None or after.at >= since):
            found.add(change.live.stable)
            if change.live.canary is not None:
                found.add(change.live.canary.plan)
    return found


def test_a_canary_answers_its_share_and_a_retry_meets_the_same_plan(
    swaps: Swaps, two_plans: tuple[Path, str, str]
) -> None:
    """The same request, or the same key, goes to the same plan in every worker."""
    _, newest, older = two_plans
    swaps.change("canary", older, 0.3)

    first = [swaps.decide(f"colour {i}")["plan"] for i in range(60)]
    again = [swaps.decide(f"colour {i}")["plan"] for i in range(60)]
    keyed = [swaps.decide("shape 1", idempotency_key=f"k{i}") for i in range(20)]
    retried = [swaps.decide("shape 1", idempotency_key=f"k{i}") for i in range(20)]

    assert first == again
    assert 5 <= first.count(older) <= 35
    assert {one["plan"] for one in keyed} == {newest, older}
    assert [one["decision_id"] for one in keyed] == [one["decision_id"] for one in retried]


def test_a_shadow_is_on_record_and_changes_no_answer(
    swaps: Swaps, two_plans: tuple[Path, str, str]
) -> None:
    """Each decision of its share has an event with what the shadow said and what it cost."""
    _, newest, older = two_plans
    swaps.change("shadow", older, 1.0)
    answers = [swaps.decide(f"colour {i}") for i in range(20)]

    assert {one["plan"] for one in answers} == {newest}
    reading = open_ledger(swaps.ledger, write=False)
    until_s = time.monotonic() + 30
    while (
        len(said := list(reading.events(kind="plan.shadowed"))) < 20 and time.monotonic() < until_s
    ):
        time.sleep(0.1)
    reading.close()
    assert {event.body["decision"] for event in said} == {one["decision_id"] for one in answers}
    for event in said:
        assert event.body["plan"] == older
        assert event.body["answer"] == "red"
        assert event.body["tier"] == "odd"
        assert event.body["cost_nusd"] == event.body["spent_nusd"] == 1_000_000
        assert event.body["probability"] == pytest.approx(answers[0]["probability"], abs=0.1)


def test_a_shadow_spends_no_more_than_it_may(
    swaps: Swaps, two_plans: tuple[Path, str, str]
) -> None:
    """A cap of four tenths of a cent is four calls at a tenth of a cent, whoever asks."""
    wanted = PlanOrder(
        act="shadow", actor="a test", plan=two_plans[2], share=1.0, usd_per_day=0.004
    )
    order(swaps.feature, wanted, ledger_url=swaps.ledger)
    for i in range(40):
        swaps.decide(f"colour {i}")
    time.sleep(1.0)

    reading = open_ledger(swaps.ledger, write=False)
    spent = [event.body["spent_nusd"] for event in reading.events(kind="plan.shadowed")]
    reading.close()
    assert 0 < sum(spent) <= 4_000_000


def test_what_does_not_fit_is_refused_and_nothing_changes(
    swaps: Swaps, two_plans: tuple[Path, str, str], tmp_path: Path, cli: Run
) -> None:
    """A plan for another brief, an edited one, and one of which a tier has changed."""
    folder, newest, older = two_plans
    made = json.loads((folder / ".feasible" / "plans" / f"{older}.json").read_text("utf-8"))
    edited = tmp_path / "edited.json"
    edited.write_text(json.dumps(made | {"deadline_ms": 1.0}), encoding="utf-8")
    other = tmp_path / "other"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("*ledger*"))
    brief = (other / "brief.yaml").read_text(encoding="utf-8")
    (other / "brief.yaml").write_text(brief.replace("0.80", "0.81"), encoding="utf-8")
    assert cli("plan", str(other), "--quiet").returncode == 0

    for file, reason in (
        (edited, "was changed after it was made"),
        (other / ".feasible" / "plan.json", "another brief"),
    ):
        refused = cli("plans", str(folder), "promote", str(file), "--ledger", swaps.ledger)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert reason in refused.stderr
    assert swaps.decide("colour")["plan"] == newest
    assert httpx.get(f"{swaps.url}/v1/plan", timeout=30).json()["id"] == newest


def test_a_restart_goes_on_with_what_was_live(
    two_plans: tuple[Path, str, str], tmp_path: Path, cli: Run
) -> None:
    """A plan that was promoted stays live; what was live at a time is answered for ever."""
    folder, newest, older = two_plans
    ledger = f"sqlite:///{tmp_path / 'decisions.db'}"
    with running_service(str(folder), ledger=ledger) as service:
        promoted = cli("plans", str(folder), "promote", older, "--ledger", ledger)
        assert promoted.returncode == 0, promoted.stderr
        assert service.stop() == 0
    stopped = cli("plans", str(folder), "canary", newest, "--share", "20%", "--ledger", ledger)
    assert stopped.returncode == 0, stopped.stderr
    with running_service(str(folder), ledger=ledger, workers=2) as service:
        assert httpx.get(f"{service.url}/v1/plan", timeout=30).json()["id"] == older

    feature = open_folder(folder)
    reading = open_ledger(ledger, write=False)
    changes = history(reading)
    reading.close()
    assert [(one.act, one.live.stable) for one in changes] == [
        ("start", newest),
        ("promote", older),
        ("canary", older),
    ]
    assert all(re.fullmatch(r"serve|cli:\w+", one.actor) for one in changes)
    for one in changes:
        found = live_at(feature, one.at, ledger_url=ledger)
        assert found == one
    assert live_at(feature, changes[0].at - timedelta(seconds=1), ledger_url=ledger) is None
    told = cli("plans", str(folder), "at", changes[1].at.isoformat(), "--ledger", ledger)
    assert older in told.stdout
    assert "promote by" in told.stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_a_key_of_an_admin_changes_plans_over_http(
    two_plans: tuple[Path, str, str], tmp_path: Path, workers: int
) -> None:
    """In every worker at once; another key may neither look nor change."""
    folder, newest, older = two_plans
    keys = tmp_path / "keys.json"
    admin = {"Authorization": f"Bearer {new_key(keys, name='ops', scopes=['admin'])}"}
    caller = {"Authorization": f"Bearer {new_key(keys, name='shop', scopes=['decide'])}"}
    ledger = f"sqlite:///{tmp_path / 'decisions.db'}"
    environment = os.environ | {"FEASIBLE_KEYS_FILE": str(keys)}
    with running_service(
        str(folder), ledger=ledger, workers=workers, environment=environment
    ) as service:
        plans = f"{service.url}/v1/plans"

        def answering() -> set[str]:
            body = {"request": {"text": "colour"}}
            address = f"{service.url}/v1/decide"
            asked = [httpx.post(address, json=body, headers=caller, timeout=30) for _ in range(20)]
            return {reply.json()["plan"] for reply in asked}

        assert httpx.get(plans, timeout=30).status_code == 401
        wanted = {"act": "promote", "plan": older}
        assert httpx.post(plans, json=wanted, headers=caller, timeout=30).status_code == 403
        assert answering() == {newest}

        changed = httpx.post(plans, json=wanted, headers=admin, timeout=60)
        assert changed.status_code == 200, changed.text
        assert changed.json()["live"]["stable"] == older
        assert answering() == {older}
        unknown = wanted | {"plan": "plan_of_nobody"}
        refused = httpx.post(plans, json=unknown, headers=admin, timeout=60)
        assert 400 <= refused.status_code < 500, refused.text
        back = httpx.post(plans, json={"act": "rollback"}, headers=admin, timeout=60)
        assert back.json()["live"]["stable"] == newest
        assert answering() == {newest}

        found = httpx.get(plans, headers=admin, timeout=30).json()
        assert [one["act"] for one in found["changes"]] == ["start", "promote", "rollback"]
        assert [one["actor"] for one in found["changes"][1:]] == ["key:ops", "key:ops"]
