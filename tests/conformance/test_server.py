"""What a server promises, over real HTTP against a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from feasible.ledger import open_ledger
from feasible.testing import send_load

Start = Callable[..., Any]
Run = Callable[..., subprocess.CompletedProcess[str]]
DEADLINE_MS = 500.0


def decide(server: Any, text: str, **more: Any) -> httpx.Response:
    """Ask one question."""
    body = {"request": {"text": text}, **more}
    return httpx.post(f"{server.url}/v1/decide", json=body, timeout=30)


def decisions_in(server: Any) -> int:
    """Count the decisions in a server's ledger, beside it."""
    reading = open_ledger(server.ledger, write=False)
    try:
        return reading.counts().decisions
    finally:
        reading.close()


def label(decision_id: str, **more: Any) -> dict[str, Any]:
    """Give a label as the wire has it."""
    return {
        "decision_id": decision_id,
        "value": "red",
        "source": "human",
        "known_at": "2026-11-01T08:00:00+00:00",
        **more,
    }


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_an_answer_is_found_again_after_a_restart(start: Start, workers: int) -> None:
    """What was acknowledged is in the ledger, with its price and its path."""
    server = start(workers=workers)
    answer = decide(server, "colour of the sky").json()
    assert server.stop() == 0

    again = start(ledger=server.ledger, workers=workers)
    found = httpx.get(f"{again.url}/v1/decisions/{answer['decision_id']}").json()

    assert (answer["answer"], answer["tier"]) == ("red", "odd")
    assert answer["cost_usd"] == 0.001
    assert found["answer"] == "red"
    assert found["cost_nusd"] == 1_000_000
    assert found["path"] == answer["path"]
    assert found["request"] == {"text": "colour of the sky"}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["sleep", "spin"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_hung_tier_never_makes_an_answer_late(start: Start, how: str, workers: int) -> None:
    """The fallback answers inside the deadline, whether the tier sleeps or holds the processor."""
    server = start(workers=workers)
    decide(server, "colour first")

    hung = decide(server, f"{how} for ever").json()
    after = [decide(server, f"shape {i}").json() for i in range(3)]

    assert hung["fell_back"] is not None
    assert hung["handed_off"]
    assert hung["latency_ms"] <= DEADLINE_MS
    assert all(one["latency_ms"] <= DEADLINE_MS for one in after)


@pytest.mark.slow
def test_a_tier_that_misbehaves_is_named_and_a_person_takes_over(start: Start) -> None:
    """Nothing that a tier may not say reaches a user."""
    server = start()
    for what, reason in (
        ("raise", "raised RuntimeError"),
        ("shorten", "gave 0 answers to 1 request"),
        ("invent", "unknown answer 'purple?'"),
    ):
        answer = decide(server, f"{what} something").json()

        failed = next(step for step in answer["path"] if step["outcome"] == "failed")
        assert failed["tier"] == "odd"
        assert reason in failed["why"]
        assert answer["handed_off"]
        assert answer["answer"] is None


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b'{"request": {"text": "\xff"}}', 400, "not JSON in UTF-8"),
        (b'{"request": {"text": ', 400, "not JSON in UTF-8"),
        (b"", 400, "not JSON in UTF-8"),
        (b'{"reqest": {}}', 400, "not what this address takes"),
        (b'{"request": "text"}', 400, "not what this address takes"),
        (b'{"request": {"text": "a"}, "deadline_ms": 0}', 400, "not what this address takes"),
        (b'{"request": {"text": "a"}, "slices": ["urgnt"]}', 400, "no slice 'urgnt'"),
        (b'{"request": {"text": "' + b"a" * 70_000 + b'"}}', 413, "too large"),
    ],
)
def test_a_bad_request_is_told_what_was_asked_found_and_to_try(
    server: Any, body: bytes, status: int, reason: str
) -> None:
    """Problems carry the three parts, and nothing reaches the ledger."""
    before = decisions_in(server)
    reply = httpx.post(f"{server.url}/v1/decide", content=body)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert reason in problem["title"]
    assert problem["try"]
    assert decide(server, "colour now").status_code == 200  # the server is none the worse
    assert decisions_in(server) == before + 1


def test_a_body_of_unknown_length_is_bounded(server: Any) -> None:
    """A body sent in chunks is refused as soon as it is too large."""

    def endless() -> Any:
        for _ in range(100):
            yield b"a" * 1024

    reply = httpx.post(f"{server.url}/v1/decide", content=endless())
    assert reply.status_code == 413


def test_labels_are_taken_once_and_never_for_an_unknown_decision(server: Any) -> None:
    """Unknown decisions, repeats and clashing ids are told apart, and good labels are kept."""
    ids = [decide(server, f"colour {i}").json()["decision_id"] for i in range(2)]
    url = f"{server.url}/v1/labels"

    first = httpx.post(url, json={"labels": [label(ids[0], label_id="a")]})
    twice = httpx.post(url, json=label(ids[0], label_id="a"))
    mixed = httpx.post(url, json={"labels": [label("nowhere"), label(ids[1])]})
    clash = httpx.post(url, json=label(ids[1], label_id="a", value="blue"))

    assert first.json()["stored"] == 1
    assert twice.json() | {"outcomes": []} == {
        "stored": 0,
        "duplicate": 1,
        "unknown_decision": 0,
        "conflict": 0,
        "outcomes": [],
    }
    assert mixed.status_code == 404
    assert mixed.json()["outcomes"] == ["unknown_decision", "stored"]
    assert "nowhere" in mixed.json()["asked"]
    assert clash.status_code == 409
    reading = open_ledger(server.ledger, write=False)
    assert [one.decision_id for one in reading.labels()] == ids
    reading.close()


@pytest.mark.parametrize(
    "body",
    [
        {"labels": []},
        label("x", known_at="yesterday"),
        label("x", known_at="2026-11-01T08:00:00"),
        label("x", source="guess"),
        label("x", colour="red"),
        {"decision_id": "x"},
    ],
)
def test_a_bad_label_is_refused(server: Any, body: dict[str, Any]) -> None:
    """A label needs a decision, a value, a source and a time with its zone."""
    reply = httpx.post(f"{server.url}/v1/labels", json=body)
    assert reply.status_code == 400
    assert reply.json()["found"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_key_is_the_same_decision_even_after_a_restart(start: Start, workers: int) -> None:
    """A client that retries is neither answered nor billed twice."""
    server = start(workers=workers)
    first = decide(server, "colour", idempotency_key="k").json()
    second = decide(server, "colour", idempotency_key="k").json()
    other = decide(server, "shape", idempotency_key="k")
    server.stop()
    again = start(ledger=server.ledger, workers=workers)
    third = decide(again, "colour", idempotency_key="k").json()

    assert first["decision_id"] == second["decision_id"] == third["decision_id"]
    assert other.status_code == 409


def test_a_repeated_question_is_answered_from_the_cache(server: Any) -> None:
    """The second answer is the first one, cheaper."""
    first, second = (
        decide(server, "colour of grass").json(),
        decide(server, "Colour of  grass").json(),
    )

    assert (first["tier"], second["tier"]) == ("odd", "cache")
    assert second["answer"] == first["answer"]
    assert second["probability"] == first["probability"]
    assert second["cost_usd"] == 0


@pytest.mark.slow
def test_a_second_server_on_the_same_ledger_is_refused(
    server: Any, cli: Run, odd_feature: Path
) -> None:
    """One service writes a ledger; the error says who holds it and what to do."""
    second = cli("serve", str(odd_feature), "--port", "0", "--ledger", server.ledger)

    assert second.returncode == 2
    assert "LedgerLocked" in second.stderr
    assert str(server.process.pid) in second.stderr
    assert decide(server, "colour").status_code == 200


@pytest.mark.slow
def test_a_key_is_needed_once_keys_are_set(start: Start) -> None:
    """The service knows hashes alone; health needs no key."""
    digest = hashlib.sha256(b"open sesame").hexdigest()
    server = start(environment=os.environ | {"FEASIBLE_API_KEYS_SHA256": digest})
    body = {"request": {"text": "colour"}}
    url = f"{server.url}/v1/decide"

    assert httpx.post(url, json=body).status_code == 401
    wrong = httpx.post(url, json=body, headers={"Authorization": "Bearer open"})
    right = httpx.post(url, json=body, headers={"Authorization": "Bearer open sesame"})
    assert (wrong.status_code, right.status_code) == (401, 200)
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert httpx.get(f"{server.url}/metrics").status_code == 401


def test_what_a_server_says_about_itself(server: Any) -> None:
    """Plan, headroom, metrics and the description of the addresses are all there."""
    decided = decide(server, "colour of a fox").json()

    def get(path: str) -> httpx.Response:
        return httpx.get(server.url + path)

    assert get("/readyz").json()["plan"] == decided["plan"]
    assert get("/v1/plan").json()["id"] == decided["plan"]
    rows = {row["objective"]: row for row in get("/v1/headroom").json()["objectives"]}
    assert set(rows) == {"latency_p99", "accuracy", "people_reviews"}
    assert "too early to say" in rows["accuracy"]["note"]
    assert 'feasible_decisions_total{fell_back="false",tier="odd"}' in get("/metrics").text
    described = get("/openapi.json").json()
    assert described["paths"]["/v1/decide"]["post"]
    assert get("/v1/nothing").status_code == 404
    assert get("/v1/decide").status_code == 405
    assert get("/v1/decisions/nothing").json()["try"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_told_to_stop_answers_what_it_accepted(start: Start, workers: int) -> None:
    """Nothing that was accepted is lost, and the exit code is 0."""
    server = start(workers=workers)
    questions = [{"text": f"colour {i}"} for i in range(3000)]

    async def load_and_stop() -> Any:
        task = asyncio.create_task(send_load(server.url, questions, clients=16))
        await asyncio.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        return await task

    load = asyncio.run(load_and_stop())

    assert server.process.wait(timeout=60) == 0
    assert load.decisions
    # After the listener has closed, connections are refused; none breaks under a request.
    assert {reason.split(":")[0] for reason in load.broken} <= {"ConnectionRefusedError"}
    reading = open_ledger(server.ledger, write=False)
    assert all(reading.decision(decision_id) for decision_id in load.decisions)
    assert reading.counts().decisions == len(load.decisions)
    reading.close()


@pytest.mark.slow
def test_kill_9_loses_no_acknowledged_decision_ten_times_over(start: Start) -> None:
    """Whatever a client was told is in the ledger, which is whole, and serves again at once."""
    acknowledged = 0
    for attempt in range(10):
        server = start()

        def questions(server: Any = server) -> Iterator[dict[str, str]]:
            for i in itertools.count():
                if server.process.poll() is not None:
                    return
                yield {"text": f"colour {i}"}

        timer = threading.Timer(0.5 + 0.07 * attempt, server.process.kill)
        timer.start()
        load = asyncio.run(send_load(server.url, questions(), clients=32, seed=attempt))
        timer.join()

        reading = open_ledger(server.ledger, write=False)
        assert reading.verify().whole
        assert not [one for one in load.decisions if reading.decision(one) is None]
        reading.close()
        acknowledged += len(load.decisions)
    assert acknowledged > 1_000


@pytest.mark.slow
def test_a_ledger_that_was_edited_is_found_out(start: Start, cli: Run) -> None:
    """`feasible ledger verify` ends with 0 for a whole ledger and with 3 for an edited one."""
    server = start()
    for i in range(5):
        decide(server, f"colour {i}")
    beside = cli("ledger", "verify", "--ledger", server.ledger)  # while the server runs
    server.stop()
    with sqlite3.connect(server.ledger.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE decisions SET body = replace(body, 'red', 'blue')")
    connection.close()
    edited = cli("ledger", "verify", "--ledger", server.ledger, "--json")

    assert beside.returncode == 0, beside.stdout + beside.stderr
    assert "whole: 5 decisions" in beside.stdout
    assert edited.returncode == 3
    assert json.loads(edited.stdout)["edited_batches"] > 0
