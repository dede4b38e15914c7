"""`feasible simulate --against`: predicted first, written down, and then measured for real."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from pathlib import Path

import msgspec
import pytest

from feasible.errors import BadInput, PlanError
from feasible.folder import open_folder
from feasible.loop import plan, simulate_against
from feasible.measuring import local_address, plan_of_service
from feasible.schema import read_plan, write_json
from feasible.systems import write_starter
from feasible.testing import running_service


@pytest.mark.parametrize(
    "url",
    [
        "http://203.0.113.7:80",
        "https://127.0.0.1",
        "http://example.org",
        "http://127.0.0.1:99999",
        "http://[::1",
        "nonsense",
    ],
)
def test_load_is_sent_to_this_machine_only(url: str) -> None:
    """Another host, another scheme, or no address at all is refused."""
    with pytest.raises(BadInput) as refused:
        local_address(url)
    assert refused.value.exit_code == 2
    assert refused.value.asked
    assert refused.value.found
    assert refused.value.attempt


def test_a_port_without_a_service_is_bad_input() -> None:
    """Nobody listens on a port that was just let go; the user can mend that."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(BadInput, match="nobody answers there") as refused:
        plan_of_service(f"http://127.0.0.1:{port}")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("body", "said"), [(b"<html>", "no service of a plan"), (b"[1]", "no service of a plan")]
)
def test_a_port_of_something_else_is_bad_input(body: bytes, said: str) -> None:
    """Another server answers, and shows no plan."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answer = threading.Thread(target=_answer_once, args=(listening, body))
        answer.start()
        with pytest.raises(BadInput, match=said):
            plan_of_service(f"http://127.0.0.1:{listening.getsockname()[1]}")
        answer.join()


def _answer_once(listening: socket.socket, body: bytes) -> None:
    """Give whoever comes first a body."""
    connection, _ = listening.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def test_this_machine_has_three_names() -> None:
    """By name and by either address."""
    assert local_address("http://localhost:8000") == ("localhost", 8000)
    assert local_address("http://127.0.0.1:1") == ("127.0.0.1", 1)
    assert local_address("http://[::1]:1") == ("::1", 1)


@pytest.mark.slow
def test_a_prediction_is_written_before_it_is_measured(tmp_path: Path) -> None:
    """Three loads, each figure predicted and measured; what was hashed is there before."""
    feature = open_folder(write_starter(tmp_path / "triage"))
    assert plan(feature).plan is not None
    seen = []

    def look(what: str, _done: int, _total: int) -> None:
        if what == "measured":  # the first time while two loads are still to come
            text = (feature.work / "prediction.json").read_bytes()
            seen.append(hashlib.sha256(text).hexdigest())

    with running_service("triage", folder=tmp_path) as service:
        found = simulate_against(feature, service.url, knobs={}, seconds=1.0, progress=look)
        other = msgspec.structs.replace(read_plan(feature.plan_path), seed=99).with_id()
        write_json(other, feature.plan_path)
        with pytest.raises(PlanError, match="another plan"):
            simulate_against(feature, service.url, knobs={}, seconds=1.0)

    written = Path(found.prediction).read_bytes()
    assert hashlib.sha256(written).hexdigest() == found.sha256
    assert seen == [found.sha256] * 3
    content = json.loads(written)
    predicted = content["predicted"]
    assert len(predicted) == 3
    calm = {line.figure: line for line in found.lines if line.part == 0.3}
    assert {"p50_ms", "p95_ms", "p99_ms", "usd_each", "degraded"} <= set(calm)
    assert all(line.measured is not None for line in found.lines if line.figure != "usd_each")
    p50 = calm["p50_ms"]
    assert [p50.predicted, *p50.predicted_interval] == predicted["0.3"]["p50_ms"]
    assert all(
        line.measured_interval is not None
        and line.measured_interval[0] <= line.measured_interval[1]
        for line in found.lines
        if line.measured is not None
    )
    assert content["machine"]["front_ms"] == found.machine.front_ms > 0
    assert found.machine.commit_ms > 0
    assert "tfidf" in found.machine.tier_times
    assert found.breaks_at_per_s > 0
