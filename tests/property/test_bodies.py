"""Whatever bytes arrive, as a brief or over HTTP, the answer is a typed one and comes soon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feasible.errors import BriefError
from feasible.schema import (
    Answer,
    Calibrator,
    DataUsed,
    Forecast,
    LatencyForecast,
    Plan,
    PlanTier,
    load_brief,
)
from feasible.serving import Runtime, Service, build_app
from feasible.testing import MemoryLedger, ScriptedTier

DOCUMENTED = {200, 400, 404, 409, 413}
"""Without keys, rates or load."""
ADDRESSES = ("/v1/decide", "/v1/decide/batch", "/v1/labels", "/v1/chat/completions")
BRIEF = """\
feasible: 1
name: odd
goal: {statement: Answer what can be answered and hand over the rest}
envelope:
  - {latency: p99, at_most: 500 ms}
  - {quality: accuracy, at_least: 0.80, confidence_level: 0.95}
layers:
  tiers:
    - {name: cache, kind: cache, ttl: 1 h}
    - {name: rules, kind: rules, use: "tiers:Rules"}
  serving: {deadline: 500 ms, fallback: {default: rules}}
"""

numbers = st.integers(-(10**40), 10**40) | st.floats()
plain = st.none() | st.booleans() | numbers | st.text(max_size=20)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
field_names = st.sampled_from(
    [
        *("request", "requests", "text", "idempotency_key", "deadline_ms", "slices", "labels"),
        *("decision_id", "value", "source", "known_at", "label_id", "selection", "reviewer"),
        *("model", "messages", "role", "content", "type", "stream", "n", "feasible"),
    ]
)
near = st.sampled_from(
    [
        *(
            {"text": "a"},
            "small",
            "user",
            "human",
            "organic",
            "2026-11-01T08:00:00+00:00",
            1,
            250.5,
        ),
        *(
            [{"role": "user", "content": "a"}],
            [{"request": {"text": "a"}}],
            "text",
            True,
            ["urgent"],
        ),
    ]
)
bodies = st.recursive(
    near | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(field_names, inner, max_size=6),
    max_leaves=15,
)


def plan_of(tier: ScriptedTier) -> Plan:
    """Give a plan that asks one tier."""
    unknown = LatencyForecast(p50=None, p95=None, p99=None)
    step = PlanTier(
        name=tier.name,
        kind=tier.kind,
        version=tier.version,
        share=1.0,
        thresholds={"*": 0.5},
        groups={},
        calibrators={"*": Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=1)},
        latency_p50_ms=1.0,
        latency_p95_ms=2.0,
        cost_usd=0.0,
        worst_cost_usd=0.0,
    )
    return Plan(
        id="",
        feature="small",
        brief_fingerprint="none",
        made_at=datetime(2026, 11, 24, tzinfo=UTC),
        tiers=(step,),
        fallback={},
        deadline_ms=5000.0,
        cost_each_usd=None,
        forecast=Forecast(
            cost_usd=None, cost_usd_machines=None, latency_ms=unknown, quality={}, people_share=0.0
        ),
        certificate=(),
        data=DataUsed(
            name="none", synthetic=True, fingerprint="", n_fit=0, n_search=0, n_cert=0, split=""
        ),
        labels=(),
    ).with_id()


def service() -> Service:
    """Give an application over one tier that always answers."""
    tier = ScriptedTier([Answer("yes", score=0.9)], name="rules")
    return build_app(Runtime(plan_of(tier), {"rules": tier}, MemoryLedger()))


def post(
    path: str, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Send one request to an application of its own, and give what comes back."""
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "headers": list(headers),
    }

    async def run() -> None:
        app = service()
        try:
            await asyncio.wait_for(app(scope, receive, send), timeout=10)
        finally:
            app.runtime.close()

    asyncio.run(run())
    answer = b"".join(message.get("body", b"") for message in told[1:])
    return told[0]["status"], dict(told[0]["headers"]), answer


def held_to_its_word(path: str, body: bytes) -> None:
    """A documented status, and JSON (or events) that say so."""
    status, headers, answer = post(path, body)
    assert status in DOCUMENTED, (status, answer)
    if not headers[b"content-type"].startswith(b"text/event-stream"):
        told = msgspec.json.decode(answer)
        assert told
        if status != 200 and path != "/v1/chat/completions":
            assert told["status"] == status


each_address = pytest.mark.parametrize("path", ADDRESSES)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@each_address
@quick
@given(body=st.binary(max_size=200))
def test_any_bytes_are_answered(path: str, body: bytes) -> None:
    """Nearly all of them are no JSON."""
    held_to_its_word(path, body)


@each_address
@quick
@given(body=bodies)
def test_any_json_that_looks_right_is_answered(path: str, body: Any) -> None:
    """Right names with wrong things behind them, surrogates and infinities included."""
    held_to_its_word(path, json.dumps(body).encode())


@each_address
@quick
@given(value=values)
def test_any_value_in_the_right_place_is_answered(path: str, value: Any) -> None:
    """What a request or a label holds is anybody's."""
    known_at = "2026-11-01T08:00:00+00:00"
    shapes: dict[str, Any] = {
        "/v1/decide": {"request": {"text": "a", "more": value}},
        "/v1/decide/batch": {"requests": [{"request": {"text": value}}, value]},
        "/v1/labels": {
            "labels": [
                {"decision_id": "x", "value": value, "source": "human", "known_at": known_at}
            ]
        },
        "/v1/chat/completions": {
            "model": "small",
            "messages": [{"role": "user", "content": "a"}],
            "metadata": value,
        },
    }
    held_to_its_word(path, json.dumps(shapes[path]).encode())


@each_address
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"request":' * 5_000,
        b'{"request": {"text": ' + b"1" * 60_000 + b"}}",
        b'{"request": {"text": 1e999}}',
        b'{"request": {"text": "\\ud800"}}',
        b'{"request": {"a": 1, "a": 2}}',
        b'{"request": ' + b'{"a": ' * 100 + b"1" + b"}" * 100 + b"}",
        b'{"deadline_ms": 1e-320, "request": {"text": "a"}}',
        b"\x00" * 100,
        b"\xef\xbb\xbf{}",
        json.dumps({"request": {f"k{i}": i for i in range(4000)}}).encode(),
    ],
)
def test_what_breaks_parsers_breaks_nothing(path: str, body: bytes) -> None:
    """Depth, length, numbers without end and halves of letters."""
    held_to_its_word(path, body)


def test_a_request_of_thousands_of_fields_is_refused() -> None:
    """A feature has dozens."""
    body = json.dumps({"request": {f"k{i}": i for i in range(1001)}}).encode()
    assert post("/v1/decide", body)[0] == 400


@quick
@given(value=st.binary(max_size=60))
def test_any_header_is_answered(value: bytes) -> None:
    """A deadline or a trace in a header is bytes of anybody."""
    headers = [(b"x-deadline-ms", value), (b"traceparent", value), (b"content-length", value)]
    status, _, answer = post("/v1/decide", b'{"request": {"text": "a"}}', headers)
    assert status in DOCUMENTED, answer


@settings(quick, suppress_health_check=[*HealthCheck])
@given(data=st.data())
def test_any_brief_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """A brief with a piece cut out, or with anything put in, is read or is a `BriefError`."""
    start = data.draw(st.integers(0, len(BRIEF)))
    length = data.draw(st.integers(0, 40))
    put = data.draw(
        st.text(max_size=15)
        | st.sampled_from(
            ["*a", "&a ", "!!python/object:os.system", "{", "}", "]", "-", ": ", "\t"]
        )
        | st.sampled_from(
            ["1e999", ".nan", "0x1F", "12:30:45", "<<: *a", "? x", "|", ">", "%", "@"]
        )
    )
    file = tmp_path / "brief.yaml"
    text = BRIEF[:start] + put + BRIEF[start + length :]
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(BriefError):
        load_brief(file)


@quick
@given(content=st.binary(max_size=300))
def test_any_file_is_a_brief_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Bytes that are no text, or no YAML, are a `BriefError` as well."""
    file = tmp_path_factory.mktemp("briefs") / "brief.yaml"
    file.write_bytes(content)
    with pytest.raises(BriefError):
        load_brief(file)
