"""Who may ask for what, in which form, and what a server says of itself: over real HTTP."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from feasible.ledger import open_ledger

Start = Callable[..., Any]
Run = Callable[..., subprocess.CompletedProcess[str]]
ASKED = {"request": {"text": "colour of the sky"}}


def decide(server: Any, text: str, **more: Any) -> httpx.Response:
    """Ask one question."""
    body = {"request": {"text": text}, **more.pop("body", {})}
    return httpx.post(f"{server.url}/v1/decide", json=body, timeout=30, **more)


def raw(server: Any, sent: bytes) -> bytes:
    """Send bytes and give what comes back until the server closes."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        told = b""
        while part := connection.recv(65536):
            told += part
        return told


@pytest.mark.slow
def test_keys_open_what_their_scopes_say_and_are_nowhere_in_the_log(
    start: Start, cli: Run, tmp_path: Path
) -> None:
    """A key is printed once; a running server takes it, refuses it when revoked, and is silent."""
    file = str(tmp_path / "keys.json")
    made = [
        cli("keys", "new", "--name", scope, "--scope", scope, "--file", file)
        for scope in ("decide", "label", "review")
    ]
    assert [one.returncode for one in made] == [0, 0, 0]
    shop, till, audit = (one.stdout.strip() for one in made)
    server = start(options=["--keys", file])

    def asked(key: str | None, method: str, path: str) -> httpx.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        body = json.dumps(ASKED) if method == "POST" else None
        return httpx.request(method, server.url + path, headers=headers, content=body)

    assert asked(shop, "POST", "/v1/decide").status_code == 200
    assert asked(None, "POST", "/v1/decide").status_code == 401
    assert asked(None, "POST", "/v1/decide").headers["www-authenticate"] == "Bearer"
    wrong = asked(till, "POST", "/v1/decide")
    assert wrong.status_code == 403
    assert "`decide`" in wrong.json()["title"]
    assert asked(shop, "POST", "/v1/labels").status_code == 403
    assert asked(till, "POST", "/v1/labels").status_code == 400  # let in, and no label
    assert asked(audit, "GET", "/metrics").status_code == 200
    assert asked(shop, "GET", "/metrics").status_code == 403
    assert asked(audit, "GET", "/v1/plan").status_code == 200
    assert asked(None, "GET", "/healthz").status_code == 200
    chat = asked(till, "POST", "/v1/chat/completions")
    assert (chat.status_code, chat.json()["error"]["code"]) == (403, "insufficient_permissions")

    listed = cli("keys", "list", "--file", file)
    assert cli("keys", "revoke", "decide", "--file", file).returncode == 0
    assert eventually(lambda: asked(shop, "POST", "/v1/decide").status_code == 401)
    assert cli("keys", "new", "--name", "more", "--scope", "decide", "--file", file).returncode == 0

    server.process.terminate()
    said, _ = server.process.communicate(timeout=60)
    for secret in (shop, till, audit):
        assert secret not in said + listed.stdout + Path(file).read_text(encoding="utf-8")
    assert "colour of the sky" not in said


def eventually(holds: Callable[[], bool], *, within_s: float = 10.0) -> bool:
    """Claim that something becomes true."""
    until = datetime.now(UTC).timestamp() + within_s
    while datetime.now(UTC).timestamp() < until:
        if holds():
            return True
    return False


@pytest.mark.slow
def test_a_file_of_keys_that_others_can_read_starts_no_service(
    cli: Run, tmp_path: Path, odd_feature: Path
) -> None:
    """The refusal says what is wrong and what to do."""
    file = tmp_path / "keys.json"
    cli("keys", "new", "--name", "shop", "--scope", "decide", "--file", str(file))
    file.chmod(0o644)

    ledger = f"sqlite:///{tmp_path / 'l.db'}"
    told = cli("serve", str(odd_feature), "--port", "0", "--keys", str(file), "--ledger", ledger)

    assert told.returncode == 2
    assert "others can read" in told.stderr
    assert "chmod 600" in told.stderr


def test_a_rate_holds_for_requests_and_for_each_of_a_batch(start: Start) -> None:
    """What is too much gets 429 with the time to wait; a batch pays for each of its requests."""
    server = start(options=["--rate", "12/min"])
    batch = {"requests": [ASKED] * 3}

    first = decide(server, "colour")
    second = httpx.post(f"{server.url}/v1/decide/batch", json=batch)

    assert first.status_code == 200
    assert first.headers["ratelimit-policy"] == '"key";q=1;w=5'
    assert second.status_code == 429
    assert 1 <= int(second.headers["retry-after"]) <= 5
    assert second.json()["retry_after_s"] == int(second.headers["retry-after"])
    assert second.json()["try"]
    assert httpx.get(f"{server.url}/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/v1/decide", "/v1/plan", "/healthz", "/metrics", "/nowhere"])
def test_every_answer_carries_security_headers_and_no_banner(server: Any, path: str) -> None:
    """Nothing is kept, guessed, run or framed, and the software is not named."""
    reply = httpx.get(server.url + path)

    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in reply.headers


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 101 + b"\r\n", b"431"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: " + b"b" * 140_000 + b"\r\n\r\n", b"431"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: " + b"b" * 400_000, b"431"),
    ],
)
def test_what_is_no_request_is_told_so_in_the_same_form(
    server: Any, sent: bytes, status: bytes
) -> None:
    """A problem, with the headers that every answer has; the server is none the worse."""
    told = raw(server, sent)

    assert told.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in told
    assert b"nosniff" in told
    assert decide(server, "colour").status_code == 200


def test_a_large_body_in_one_piece_is_no_long_head(server: Any) -> None:
    """Labels of a megabyte are read as labels."""
    labels = [{"decision_id": "x" * 190, "value": "red"} for _ in range(5000)]
    reply = httpx.post(f"{server.url}/v1/labels", json={"labels": labels})
    assert reply.status_code == 400
    assert "required field" in reply.json()["found"]


def test_a_batch_decides_each_request_on_its_own(server: Any) -> None:
    """One bad request fails alone; keys, deadlines and the ledger hold for each."""
    requests = [
        {**ASKED, "idempotency_key": "batch-1"},
        {"request": {"text": "shape"}},
        {"reqest": {}},
        7,
        {"request": {"text": "colour"}, "slices": ["urgnt"]},
        {**ASKED, "idempotency_key": "batch-1"},
        {"request": {"text": "a" * 70_000}},
    ]
    told = httpx.post(f"{server.url}/v1/decide/batch", json={"requests": requests}).json()

    statuses = [one["status"] for one in told["results"]]
    assert statuses == [200, 200, 400, 400, 400, 200, 413]
    assert (told["decided"], told["failed"]) == (3, 4)
    first, second, *_, again, _large = told["results"]
    assert first["decision"]["answer"] == "red"
    assert second["decision"]["handed_off"]
    assert again["decision"]["decision_id"] == first["decision"]["decision_id"]
    assert "urgnt" in told["results"][4]["problem"]["title"]
    found = httpx.get(f"{server.url}/v1/decisions/{second['decision']['decision_id']}")
    assert found.json()["request"] == {"text": "shape"}


@pytest.mark.parametrize("body", [{"requests": []}, {"requests": [ASKED] * 101}, {}, [], None])
def test_what_is_no_batch_is_refused_whole(server: Any, body: Any) -> None:
    """One to a hundred requests."""
    assert httpx.post(f"{server.url}/v1/decide/batch", json=body).status_code == 400


def test_the_shorter_deadline_of_body_and_header_wins(server: Any) -> None:
    """A hung tier is left in time for whichever is shorter; a bad header is told so."""
    by_header = decide(
        server, "sleep 1", headers={"X-Deadline-Ms": "150"}, body={"deadline_ms": 400}
    )
    by_body = decide(server, "sleep 2", headers={"X-Deadline-Ms": "400"}, body={"deadline_ms": 150})
    batch = httpx.post(
        f"{server.url}/v1/decide/batch",
        json={"requests": [{"request": {"text": "sleep 3"}}], "deadline_ms": 150},
    ).json()["results"][0]["decision"]

    for told in (by_header.json(), by_body.json(), batch):
        assert told["fell_back"] or told["handed_off"]
        assert told["latency_ms"] < 400
    for bad in ("soon", "0", "-5", "nan", "inf"):
        assert decide(server, "colour", headers={"X-Deadline-Ms": bad}).status_code == 400


# Chats


def test_a_chat_is_answered_as_openai_documents_it(server: Any) -> None:
    """The documented shape, with our decision beside it; read with httpx, not OpenAI's client."""
    chat = {
        "model": "odd",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "colour of a chat"}]},
        ],
        "temperature": 0.2,
    }
    told = httpx.post(f"{server.url}/v1/chat/completions", json=chat).json()

    assert told["object"] == "chat.completion"
    assert told["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "red", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert isinstance(told["created"], int)
    facts = told["feasible"]
    assert told["id"] == f"chatcmpl-{facts['decision_id']}"
    assert (facts["tier"], facts["cost_usd"], facts["within"]) == ("odd", 0.001, {"deadline": True})
    decision = httpx.get(f"{server.url}/v1/decisions/{facts['decision_id']}").json()
    assert decision["request"] == {"text": "colour of a chat"}


def test_a_streamed_chat_adds_up_to_the_answer(server: Any) -> None:
    """Chunks of server-sent events, the facts in the last, then the end mark."""
    chat = {"model": "odd", "stream": True, "messages": [{"role": "user", "content": "colour y"}]}
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=chat) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in reply.iter_lines() if line]

    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert said == "red"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["feasible"]["tier"] in {"odd", "cache"}


def test_models_are_the_feature_and_its_plan(server: Any) -> None:
    """Each can be listed, found and asked; another cannot."""
    models = httpx.get(f"{server.url}/v1/models").json()
    plan = httpx.get(f"{server.url}/v1/plan").json()["id"]

    assert [model["id"] for model in models["data"]] == ["odd", plan]
    assert httpx.get(f"{server.url}/v1/models/{plan}").json()["object"] == "model"
    unknown = httpx.get(f"{server.url}/v1/models/gpt-x")
    assert unknown.status_code == 404
    assert unknown.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "gpt-x", "messages": [{"role": "user", "content": "a"}]}, 404),
        ({"model": "odd", "messages": []}, 400),
        ({"model": "odd", "messages": [{"role": "assistant", "content": "a"}]}, 400),
        ({"model": "odd", "n": 2, "messages": [{"role": "user", "content": "a"}]}, 400),
        ({"model": "odd", "messages": [{"role": "user", "content": "a" * 70_000}]}, 413),
        (
            {
                "model": "odd",
                "messages": [{"role": "user", "content": [{"type": "image_url", "text": "a"}]}],
            },
            400,
        ),
    ],
)
def test_a_chat_that_cannot_be_answered_fails_in_openais_form(
    server: Any, body: dict[str, Any], status: int
) -> None:
    """`error` with message, type, param and code."""
    reply = httpx.post(f"{server.url}/v1/chat/completions", json=body)

    assert reply.status_code == status
    assert set(reply.json()) == {"error"}
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


# The description

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,negative_data_rejection,"
    "unsupported_method,allow_header_conformance"
)
"""All that hold for any feature. `positive_data_acceptance` is not among them: what a tier can
read, and which slices there are, is for the feature to say and not for the schema."""

REFUSALS = """\
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "422", "429"]
"""
"""How bad input may be refused; 413, which is not among the tool's own, is for what is both wrong
and too large."""


def cases_passed(server: Any, *, examples: int, seed: int, folder: Path, limit_s: float) -> int:
    """Let schemathesis send what the description allows, and what it does not; count the cases."""
    (folder / "schemathesis.toml").write_text(REFUSALS, encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"]
    command += ["--checks", CHECKS, "--max-examples", str(examples), "--seed", str(seed)]
    command += ["--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
    command += ["--suppress-health-check", "all", "--no-color"]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONWARNINGS": ""},
    )
    told = "\n".join(line[:300] for line in run.stdout.splitlines()[-120:])
    assert run.returncode == 0, told + run.stderr[-2000:]
    found = re.search(r"([\d,]+) generated, ([\d,]+) passed", run.stdout)
    assert found, told
    return int(found[2].replace(",", ""))


@pytest.mark.slow
def test_the_description_is_true(start: Start, tmp_path: Path) -> None:
    """Some hundred cases: no 5xx, and nothing that /openapi.json does not say."""
    server = start()
    assert cases_passed(server, examples=20, seed=3, folder=tmp_path, limit_s=150) >= 300
    assert decide(server, "colour").status_code == 200


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_the_description_is_true_in_5000_cases(start: Start, tmp_path: Path) -> None:
    """The same at length, with several seeds."""
    server = start()
    passed, seed = 0, 10
    while passed < 5000:
        passed += cases_passed(server, examples=120, seed=seed, folder=tmp_path, limit_s=600)
        seed += 1
    assert decide(server, "colour").status_code == 200


def test_the_description_names_every_status_with_its_form(server: Any) -> None:
    """No catch-all: whoever generates a client gets every answer."""
    described = httpx.get(f"{server.url}/openapi.json").json()
    for path, methods in described["paths"].items():
        for operation in methods.values():
            assert "default" not in operation["responses"], path
            assert all(answer["content"] for answer in operation["responses"].values())
    decide_answers = described["paths"]["/v1/decide"]["post"]["responses"]
    assert {"200", "400", "401", "403", "409", "413", "429", "503"} <= set(decide_answers)
    assert decide_answers["503"]["headers"]["Retry-After"]["required"]


def test_a_head_that_comes_slowly_blocks_nobody(server: Any) -> None:
    """A connection that says nothing waits alone."""
    parts = urlsplit(server.url)
    silent = [http.client.HTTPConnection(parts.netloc, timeout=5) for _ in range(20)]
    for connection in silent:
        connection.connect()
    assert decide(server, "colour").status_code == 200
    for connection in silent:
        connection.close()


@pytest.mark.slow
def test_keys_that_come_and_go_are_on_record(start: Start, cli: Run, tmp_path: Path) -> None:
    """Once each, with who and when, and never the key or its hash."""
    file = str(tmp_path / "keys.json")
    shop = cli("keys", "new", "--name", "shop", "--scope", "decide", "--file", file).stdout.strip()
    server = start(workers=2, options=["--keys", file])
    headers = {"Authorization": f"Bearer {shop}"}

    for _ in range(20):  # so that both workers see it
        assert decide(server, "colour", headers=headers).status_code == 200
    cli("keys", "revoke", "shop", "--file", file)
    assert eventually(lambda: decide(server, "colour", headers=headers).status_code == 401)
    assert server.stop() == 0

    reading = open_ledger(server.ledger, write=False)
    events = [event for event in reading.events() if event.kind.startswith("key")]
    assert reading.verify().whole
    reading.close()
    assert [event.kind for event in events] == ["key.made", "key.revoked"]
    assert [event.body["name"] for event in events] == ["shop", "shop"]
    assert events[0].body["scopes"] == ["decide"]
    assert all(event.actor for event in events)
    assert shop not in str(events)


def test_without_keys_a_page_of_another_site_may_not_ask(server: Any) -> None:
    """A browser on this machine sends what any site tells it to, and says for whom."""
    evil = {"Origin": "https://evil.example"}
    own = {"Origin": server.url}

    assert decide(server, "colour", headers=evil).status_code == 403
    assert decide(server, "colour", headers=own).status_code == 200
    assert httpx.get(f"{server.url}/healthz", headers=evil).status_code == 200
