"""What a server tells about its decisions: logs, traces and gauges, from a process of its own."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

pytestmark = pytest.mark.slow  # each starts a service, and some fill its pipes

Start = Callable[..., Any]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(ThreadingHTTPServer):
    """An OTLP collector over HTTP: it reads what arrives as the protocol says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.spans: list[Any] = []
        self.services: set[str] = set()

    def take(self, body: bytes) -> None:
        """Read one export."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            facts = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add(facts["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        """Take an export."""
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces"
        self.server.take(body)
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its own name
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Run a collector."""
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def facts_of(span: Any) -> dict[str, Any]:
    """Give the attributes of a span."""
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
        for one in span.attributes
    }


def decide(server: Any, text: str, **headers: str) -> dict[str, Any]:
    """Ask one question."""
    body = {"request": {"text": text}}
    reply = httpx.post(f"{server.url}/v1/decide", json=body, headers=headers, timeout=30)
    decided: dict[str, Any] = reply.json()
    return decided


def test_every_breach_is_traced_and_a_sender_that_keeps_its_trace_finds_ours_in_it(
    start: Start, collector: Collector
) -> None:
    """Over OTLP, with a span per step; of what goes well only the share that was asked for."""
    server = start(
        environment=os.environ
        | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_TRACES_SAMPLER_ARG": "0",
        }
    )
    late = decide(server, "sleep well")
    kept = decide(server, "colour 1", traceparent=f"00-{TRACE}-{PARENT}-01")
    decide(server, "colour 2", traceparent=f"00-{TRACE}-{PARENT}-00")
    decide(server, "colour 3")
    decide(server, "colour 4", traceparent="nonsense")
    assert server.stop() == 0

    roots = {
        facts_of(span)["feasible.decision_id"]: span
        for span in collector.spans
        if span.name == "decide"
    }
    assert set(roots) == {late["decision_id"], kept["decision_id"]}
    assert collector.services == {"feasible-odd"}
    assert roots[kept["decision_id"]].trace_id.hex() == TRACE
    assert roots[kept["decision_id"]].parent_span_id.hex() == PARENT
    root = roots[late["decision_id"]]
    assert "fallback" in root.status.message
    steps = [span for span in collector.spans if span.parent_span_id == root.span_id]
    outcomes = [(step["tier"], step["outcome"]) for step in late["path"]]
    assert [
        (facts_of(step)["feasible.tier"], facts_of(step)["feasible.outcome"]) for step in steps
    ] == outcomes
    for step in steps:
        assert root.start_time_unix_nano <= step.start_time_unix_nano
        assert step.end_time_unix_nano <= root.end_time_unix_nano + 1_000_000
    took_ms = (root.end_time_unix_nano - root.start_time_unix_nano) / 1e6
    assert took_ms == pytest.approx(late["latency_ms"], abs=0.01)
    assert not any("sleep well" in str(span) for span in collector.spans)


def test_the_log_tells_of_breaches_and_refusals_and_of_nobodys_words(start: Start) -> None:
    """One JSON line each, with the facts of the decision and no text of a request."""
    server = start(options=["--log-share", "0"])
    plain = decide(server, "colour of secrets")
    late = decide(server, "sleep on secrets")
    decide(server, "raise secrets")
    httpx.post(f"{server.url}/v1/decide", content=b'{"request": "secrets"}')
    httpx.get(f"{server.url}/v1/decisions/none")
    server.process.terminate()
    said, _ = server.process.communicate(timeout=60)

    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    breached = [line for line in lines if line["event"] == "promise breached"]
    refused = [line for line in lines if line["event"] == "request refused"]
    assert [line["decision_id"] for line in breached] == [late["decision_id"]]
    assert breached[0]["level"] == "warning"
    assert breached[0]["breaches"] == ["fallback"]
    assert breached[0]["path"] == [f"{step['tier']} {step['outcome']}" for step in late["path"]]
    assert [line["status"] for line in refused] == [400, 404]
    assert plain["decision_id"] not in said
    assert "secrets" not in said


def test_a_log_that_nobody_reads_holds_nobody_up(start: Start) -> None:
    """Lines wait in bounded memory while their reader does not come; answers go on."""
    server = start(options=["--log-share", "1"])
    began_s = time.monotonic()
    with httpx.Client(base_url=server.url) as client:
        for i in range(600):  # three times what a pipe holds
            body = {"request": {"text": f"colour {i}"}}
            assert client.post("/v1/decide", json=body, timeout=10).status_code == 200
    assert time.monotonic() - began_s < 60


def test_the_envelope_is_shown_as_gauges_and_what_is_unknown_is_absent(server: Any) -> None:
    """Names as in the brief; never a 0 for what nobody knows."""
    for i in range(3):
        decide(server, f"colour gauge {i}")
    time.sleep(1.1)  # headroom is computed once a second
    rows = {
        row["objective"]: row for row in httpx.get(f"{server.url}/v1/headroom").json()["objectives"]
    }
    text = httpx.get(f"{server.url}/metrics").text

    assert 'feasible_objective_limit{objective="latency_p99",unit="ms"} 500.0' in text
    for name, row in rows.items():
        for gauge, field in (
            ("slack_ratio", "slack"),
            ("headroom_ratio", "headroom"),
            ("value", "value"),
        ):
            shown = f'feasible_objective_{gauge}{{objective="{name}"' in text
            assert shown == (row[field] is not None), (name, gauge)
    assert "accuracy" in rows
    assert rows["accuracy"]["slack"] is None  # so that something is absent
