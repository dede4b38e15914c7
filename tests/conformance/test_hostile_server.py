"""A live server against clients that mean no good, and against labels nobody thought of."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from feasible.clock import SystemClock
from feasible.feedback import HeadroomTracker
from feasible.folder import open_folder
from feasible.ledger import open_ledger
from feasible.schema import read_plan
from feasible.serving import Runtime, build_app
from feasible.testing import running_service

pytestmark = pytest.mark.slow  # some start services of their own

Start = Callable[..., Any]
Run = Callable[..., subprocess.CompletedProcess[str]]
MIB = 2**20
DEADLINE_S = 0.5


def decide(server: Any, text: str, **more: Any) -> httpx.Response:
    """Ask one question."""
    body = {"request": {"text": text}, **more}
    return httpx.post(f"{server.url}/v1/decide", json=body, timeout=30)


def send_label(server: Any, **fields: Any) -> httpx.Response:
    """Send one label of a person."""
    body = {"source": "human", "known_at": "2026-01-01T08:00:00Z", **fields}
    return httpx.post(f"{server.url}/v1/labels", json=body, timeout=30)


def dial(server: Any) -> socket.socket:
    """Open a bare connection."""
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def resident_bytes(server: Any) -> int:
    """Give how much memory a server holds."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("depth", [980, 3_000, 30_000])
def test_a_body_nested_too_deep_is_a_bad_request(server: Any, depth: int) -> None:
    """It is told so; the service neither breaks nor says that its ledger did."""
    nested = b"[" * depth + b"]" * depth
    body = b'{"request": {"text": "colour", "n": %b}}' % nested

    reply = httpx.post(f"{server.url}/v1/decide", content=body, timeout=30)

    assert reply.status_code == 400, reply.text[:300]
    assert reply.headers["content-type"] == "application/problem+json"


def test_labels_nested_too_deep_are_a_bad_request(server: Any) -> None:
    """The same for labels."""
    body = b'{"decision_id": "d", "source": "human", "known_at": "2026-01-01T00:00:00Z", "value": '
    body += b"[" * 30_000 + b"]" * 30_000 + b"}"

    reply = httpx.post(f"{server.url}/v1/labels", content=body, timeout=30)

    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"


def test_poisonous_requests_close_no_tier_to_everybody_else(start: Start) -> None:
    """Requests of one client never open the breaker of a tier that is well."""
    server = start()
    for depth in range(950, 970):  # just what the body's reader takes and the next one does not
        body = b'{"request": {"text": "colour", "n": %b}}' % (b"[" * depth + b"]" * depth)
        httpx.post(f"{server.url}/v1/decide", content=body, timeout=30)

    assert httpx.get(f"{server.url}/healthz").json()["failing"] == []


@pytest.mark.parametrize("value", ["labels", {"labels": ["red"]}])
def test_a_label_may_say_labels(server: Any, value: Any) -> None:
    """What a label's value is does not change how its body is read."""
    decision_id = decide(server, "colour of a label").json()["decision_id"]

    reply = send_label(server, decision_id=decision_id, value=value)

    assert reply.status_code == 200, reply.text


def test_a_label_of_any_value_leaves_a_service_that_can_start_again(
    cli: Run, odd_feature: Path, tmp_path: Path
) -> None:
    """One label that the feature's own `slices` cannot take does not end the service for ever."""
    folder, ledger = tmp_path / "odd", f"sqlite:///{tmp_path / 'decisions.db'}"
    shutil.copytree(odd_feature, folder)
    data = folder / "data.py"
    slices = (
        'RARE = {"round"}\n\n\ndef slices(label):\n    return ("rare",) if label in RARE else ()\n'
    )
    data.write_text(f"{data.read_text(encoding='utf-8')}\n\n{slices}", encoding="utf-8")
    with running_service(str(folder), ledger=ledger) as service:
        decision_id = decide(service, "colour").json()["decision_id"]
        status = send_label(service, decision_id=decision_id, value=["red"]).status_code
        seen = httpx.get(f"{service.url}/v1/headroom", timeout=30).status_code

    watched = cli("watch", str(folder), "--ledger", ledger)  # reads the ledger as a start does

    assert watched.returncode in {0, 3, 4}, watched.stderr[-500:]
    assert status == 200
    assert seen == 200


def test_ten_thousand_labels_hold_up_no_decision(odd_feature: Path, tmp_path: Path) -> None:
    """No step of the event loop takes a tenth of the deadline, however many labels come at once."""
    feature = open_folder(odd_feature)
    made = read_plan(feature.plan_path)
    ledger = open_ledger(f"sqlite:///{tmp_path / 'decisions.db'}")
    tracker = HeadroomTracker(
        feature.brief, made, slices_of=feature.slices_of(), clock=SystemClock()
    )
    runtime = Runtime(made, feature.tiers(made.labels), ledger, on_decision=tracker.add_decision)
    service = build_app(runtime, headroom=tracker.rows, on_label=tracker.add_label)
    transport = httpx.ASGITransport(app=service)
    longest_s = 0.0

    async def watch_the_loop() -> None:
        nonlocal longest_s
        while True:
            before_s = time.thread_time()  # of this thread alone: other processes do not count
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.thread_time() - before_s)

    async def send() -> int:
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            asked = {"request": {"text": "colour"}}
            first = (await client.post("/v1/decide", json=asked)).json()["decision_id"]
            made_once = ledger.decision(first)
            assert made_once is not None
            ids = [f"decision-{i}" for i in range(10_000)]
            many = [msgspec.structs.replace(made_once, decision_id=name) for name in ids]
            await asyncio.gather(*(ledger.append(one) for one in many))
            for one in many:
                tracker.add_decision(one)
            labels = [
                {
                    "decision_id": ids[i % len(ids)],
                    "value": "red",
                    "source": "human",
                    "known_at": "2026-01-01T08:00:00Z",
                    "label_id": f"label {i}",
                }
                for i in range(10_000)
            ]
            body = json.dumps({"labels": labels}).encode()
            watching = asyncio.create_task(watch_the_loop())
            await asyncio.sleep(0)
            status = (await client.post("/v1/labels", content=body)).status_code
            watching.cancel()
            return status

    gc.collect()
    gc.freeze()  # as a server does: what a test run holds is not looked through meanwhile
    try:
        status = asyncio.run(send())
    finally:
        gc.unfreeze()
    runtime.close()
    ledger.close()

    assert status == 200
    assert longest_s < DEADLINE_S / 10, f"{longest_s * 1e3:.0f} ms in one step"


@pytest.mark.parametrize("what", ["headers", "address"])
def test_a_head_without_end_is_cut_off(start: Start, what: str) -> None:
    """Bodies are bounded, and so is what comes before them: memory stays where it was."""
    server = start()
    decide(server, "colour first")
    before = resident_bytes(server)
    line = b"x-flood: " + b"a" * 8_000 + b"\r\n" if what == "headers" else b"a" * 8_000
    sent = 0
    with dial(server) as wire:
        wire.sendall(b"GET /" + (b"healthz HTTP/1.1\r\nHost: x\r\n" if what == "headers" else b""))
        try:
            while sent < 64 * MIB:
                wire.sendall(line)
                sent += len(line)
        except OSError:
            pass  # cut off: as it should be
        grown = resident_bytes(server) - before

    assert grown < 24 * MIB, f"{sent / MIB:.0f} MiB taken, {grown / MIB:.0f} MiB held"


def test_half_a_request_does_not_keep_a_server_from_stopping(start: Start) -> None:
    """A client that never sends the rest of its body was not accepted; the others get answers."""
    server = start()
    wire = dial(server)
    wire.sendall(
        b"POST /v1/decide HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + b'{"request": '
    )
    time.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    try:
        assert server.process.wait(timeout=40) == 0
    except subprocess.TimeoutExpired:
        pytest.fail("still there 40 s after SIGTERM")
    finally:
        wire.close()


def test_told_twice_it_stops_at_once(start: Start) -> None:
    """The second SIGTERM ends the draining, whoever still talks."""
    server = start()
    wire = dial(server)
    wire.sendall(b"POST /v1/decide HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
    time.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(1.0)
    server.process.send_signal(signal.SIGTERM)
    try:
        assert server.process.wait(timeout=20) == 0
    except subprocess.TimeoutExpired:
        pytest.fail("still there 20 s after the second SIGTERM")
    finally:
        wire.close()


def test_another_method_is_told_which_ones_there_are(server: Any) -> None:
    """RFC 9110, 15.5.6: a 405 carries Allow."""
    reply = httpx.get(f"{server.url}/v1/decide")

    assert reply.status_code == 405
    assert "POST" in reply.headers.get("allow", "")


def test_a_missing_key_is_told_how_to_be_sent(start: Start) -> None:
    """RFC 9110, 15.5.2: a 401 carries WWW-Authenticate."""
    digest = hashlib.sha256(b"secret").hexdigest()
    server = start(environment={**os.environ, "FEASIBLE_API_KEYS_SHA256": digest})

    reply = decide(server, "colour")

    assert reply.status_code == 401
    assert "bearer" in reply.headers.get("www-authenticate", "").lower()


def test_pipelined_requests_are_answered_in_order(server: Any) -> None:
    """Two requests in one packet get two answers."""
    bodies = [json.dumps({"request": {"text": text}}).encode() for text in ("colour p", "shape p")]
    packet = b"".join(
        b"POST /v1/decide HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(b), b)
        for b in bodies
    )
    with dial(server) as wire:
        wire.sendall(packet)
        got = b""
        while got.count(b'"decision_id"') < 2:
            part = wire.recv(65_536)
            assert part, got
            got += part

    assert got.index(b'"answer":"red"') < got.index(b'"handed_off":true')


def test_a_question_in_pieces_is_answered_like_a_whole_one(server: Any) -> None:
    """Wherever the network cuts it, and though the next one follows in the same packet."""
    body = json.dumps({"request": {"text": "colour in pieces"}}).encode()
    whole = b"POST /v1/decide HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    answers = 0
    with dial(server) as wire:
        for cut in (10, len(whole) - len(body), len(whole) - 5, len(whole)):
            wire.sendall(whole[:cut])
            time.sleep(0.05)
            wire.sendall(whole[cut:] + whole)
            got = b""
            while got.count(b'"decision_id"') < 2:
                part = wire.recv(65_536)
                assert part, got
                got += part
            answers += got.count(b'"answer":"red"')

    assert answers == 8


def test_bytes_outside_ascii_in_an_address_are_answered(server: Any) -> None:
    """An address is what a client sends; a traceback is no answer."""
    with dial(server) as wire:
        wire.sendall(b"GET /v1/decisions/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        wire.settimeout(10)
        got = wire.recv(65_536)

    assert got.split(b" ")[1:2] in ([b"400"], [b"404"])


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "PUT"])
def test_every_method_is_answered_with_a_problem(server: Any, method: str) -> None:
    """Nothing but POST decides."""
    reply = httpx.request(method, f"{server.url}/v1/decide")

    assert reply.status_code == 405


def test_http_1_0_and_expect_are_served(server: Any) -> None:
    """Old and careful clients are answered."""
    body = b'{"request": {"text": "colour"}}'
    for head in (b"HTTP/1.0\r\n", b"HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n"):
        with dial(server) as wire:
            wire.sendall(
                b"POST /v1/decide %bHost: x\r\nContent-Length: %d\r\n\r\n" % (head, len(body))
            )
            wire.sendall(body)
            got = b""
            while part := wire.recv(65_536):
                got += part
        assert b" 200 " in got
        assert b"decision_id" in got


def test_every_reference_of_the_openapi_description_leads_somewhere(server: Any) -> None:
    """A program that reads it finds every schema, every parameter and every address."""
    found = httpx.get(f"{server.url}/openapi.json").json()
    text = json.dumps(found)
    names = {part.split('"', 1)[0] for part in text.split("#/components/schemas/")[1:]}

    assert names <= set(found["components"]["schemas"])
    documented = {"/v1/decide", "/v1/labels", "/v1/plan", "/v1/headroom", "/healthz", "/readyz"}
    documented |= {"/metrics", "/openapi.json", "/v1/decisions/{decision_id}"}
    documented |= {"/v1/decide/batch", "/v1/chat/completions", "/v1/models"}
    assert documented <= set(found["paths"])
    for operations in found["paths"].values():
        for operation in operations.values():
            assert operation["responses"]


def test_a_port_that_does_not_exist_is_told_in_words(
    cli: Run, odd_feature: Path, tmp_path: Path
) -> None:
    """A mistyped port gives one sentence."""
    done = cli(
        "serve", str(odd_feature), "--port", "70000", "--ledger", f"sqlite:///{tmp_path}/none.db"
    )

    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
