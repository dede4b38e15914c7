from __future__ import annotations

import io
import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from feasible.errors import BadInput
from feasible.schema import Decision, HeadroomRow, PathStep
from feasible.serving.aside import Aside
from feasible.serving.logs import Log, _Handler
from feasible.serving.messages import Problem
from feasible.serving.metrics import Metrics
from feasible.serving.observer import Observer, breaches_of
from feasible.serving.runtime import Decided
from feasible.serving.traces import is_sampled, traces_from_environment


def decided(
    *, within: dict[str, bool | None] | None = None, skipped: str | None = None, **more: Any
) -> Decided:
    """Give a decision."""
    path = [PathStep(tier="rules", outcome="answered", latency_ms=1.0, cost_usd=0.0)]
    if skipped is not None:
        path.insert(
            0, PathStep(tier="llm", outcome="skipped", latency_ms=0.0, cost_usd=0.0, why=skipped)
        )
    decision = Decision(
        decision_id="d",
        at=datetime(2026, 11, 24, tzinfo=UTC),
        plan="plan",
        answer="customer's words",
        probability=0.9,
        tier="rules",
        path=tuple(path),
        cost_nusd=None,
        latency_ms=2.0,
        request={"text": "customer's words"},
        **more,
    )
    return Decided(decision, 2.0, {"deadline": True} if within is None else within)


def told(what: Any) -> list[dict[str, Any]]:
    """Give the lines that an observer writes when something is done with it."""
    out, aside = io.StringIO(), Aside()
    what(Observer(Log(aside, out=out), log_share=0.5))
    aside.close()
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("case", "breaches"),
    [
        (decided(within={"deadline": False}), ["deadline"]),
        (decided(within={"cost_each": False}), ["cost_each"]),
        (decided(skipped="budget"), ["budget"]),
        (decided(fell_back="no tier was sure enough"), ["fallback"]),
        (decided(skipped="load"), []),
        (decided(within={"deadline": None}), []),
    ],
)
def test_what_counts_as_a_breach(case: Decided, breaches: list[str]) -> None:
    """A missed deadline, a broken cap, no budget for a tier, or a fallback; not load alone."""
    assert breaches_of(case) == breaches
    lines = told(lambda observer: observer.decided(case, {}))
    assert [line["breaches"] for line in lines] == ([breaches] if breaches else [])


def test_a_share_of_what_goes_well_is_told_and_no_words_of_customers() -> None:
    """Every second one here; unknown costs are left out."""
    lines = told(lambda observer: [observer.decided(decided(), {}) for _ in range(10)])

    assert len(lines) == 5
    assert lines[0]["tier"] == "rules"
    assert "cost_usd" not in lines[0]
    assert "customer" not in json.dumps(lines)


def test_a_flood_of_refusals_is_told_in_a_few_lines() -> None:
    """Ten a second of each status, so that a log is no second fault."""
    problem = Problem(title="full of 'secrets'", status=503)
    lines = told(lambda observer: [observer.refused(problem, "/v1/decide") for _ in range(5000)])

    assert 10 <= len(lines) <= 200
    assert {line["level"] for line in lines} == {"error"}
    assert "secrets" not in json.dumps(lines)


def test_an_error_is_logged_by_its_place_and_not_by_its_words() -> None:
    """The text of an exception may be a customer's."""
    out, aside = io.StringIO(), Aside()
    logger = logging.getLogger("feasible.test")
    handler = _Handler(Log(aside, out=out))
    logger.addHandler(handler)
    try:
        int("customer's words")
    except ValueError:
        logger.exception("a thing went wrong")
    logger.removeHandler(handler)
    aside.close()

    (line,) = (json.loads(text) for text in out.getvalue().splitlines())
    assert (line["event"], line["error"], line["level"]) == (
        "a thing went wrong",
        "ValueError",
        "error",
    )
    assert "test_telling.py" in line["trace"][-1]
    assert "customer" not in out.getvalue()


def test_what_waits_is_bounded_and_counted() -> None:
    """A writer that hangs costs lines, never memory; what goes wrong there ends nothing."""
    aside, hold = Aside(most=10), threading.Event()
    done: list[int] = []

    def hang() -> None:
        hold.wait(10)

    aside.put(hang)
    for i in range(50):
        aside.put(lambda i=i: done.append(i))  # type: ignore[misc]
    assert aside.dropped >= 39
    hold.set()
    aside.close()
    assert done == list(range(len(done)))
    assert 9 <= len(done) <= 11


@pytest.mark.parametrize(
    ("parent", "sampled"),
    [
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", False),
        (b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-new", True),
        (b"00-4bf92f-00f067aa0ba902b7-01", False),
        (b"", False),
    ],
)
def test_a_traceparent_is_read_as_w3c_says(parent: bytes, *, sampled: bool) -> None:
    """What is none is nobody's wish."""
    assert is_sampled(parent) == sampled


def test_traces_are_made_only_when_the_environment_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard variables, and a typed error for one that makes no sense."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    aside = Aside()
    assert traces_from_environment("odd", aside) is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert traces_from_environment("odd", aside) is None
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "often")
    with pytest.raises(BadInput, match="no share"):
        traces_from_environment("odd", aside)
    assert "ray" not in sys.modules


def test_gauges_leave_out_what_is_unknown() -> None:
    """A broken promise is negative slack and 0; an unknown one is not there."""
    rows = [
        HeadroomRow(
            objective="latency_p99",
            limit=500.0,
            unit="ms",
            value=600.0,
            interval=None,
            n=40,
            slack=-0.2,
            headroom=None,
            holds=False,
            note="broken",
        ),
        HeadroomRow(
            objective="accuracy",
            limit=0.8,
            unit="ratio",
            value=None,
            interval=None,
            n=0,
            slack=None,
            headroom=None,
            holds=None,
            note="too early to say",
        ),
    ]
    metrics = Metrics(in_flight=lambda: 0, open_breakers=lambda: 0, objectives=lambda: rows)
    text = metrics.text().decode()

    assert 'feasible_objective_slack_ratio{objective="latency_p99",unit="ms"} -0.2' in text
    assert 'feasible_objective_holds{objective="latency_p99",unit="ms"} 0.0' in text
    assert 'feasible_objective_cases{objective="accuracy",unit="ratio"} 0.0' in text
    assert 'feasible_objective_limit{objective="accuracy",unit="ratio"} 0.8' in text
    for gauge in ("value", "slack_ratio", "headroom_ratio", "holds"):
        assert f'feasible_objective_{gauge}{{objective="accuracy"' not in text
    assert "feasible_objective_headroom_ratio{" not in text
