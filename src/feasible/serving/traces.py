"""Traces over OTLP: of a sample of decisions and every breach, made after the answer has left."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from feasible.errors import BadInput, EngineMissing
from feasible.serving.aside import Aside
from feasible.serving.runtime import Decided

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Traces", "is_sampled", "traces_from_environment"]

_PARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SHARE: Final = 0.01
_NOTHING: Final = {b"0" * 32, b"0" * 16}


class Traces:
    """Makes a trace of a decision: a span for all of it, and one for each step of its path.

    Args:
        provider: Where spans go.
        aside: Where they are made.
        share: Share of the decisions without a breach that are traced. Ratio.

    Attributes:
        every: One in how many that is; 0 for none.
    """

    def __init__(self, provider: TracerProvider, aside: Aside, *, share: float = _SHARE) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("feasible")
        self._aside = aside
        self.every = round(1 / share) if share > 0 else 0

    def add(self, decided: Decided, breaches: Sequence[str], parent: bytes | None) -> None:
        """Have a trace made.

        Args:
            decided: The decision, whose answer has just left.
            breaches: What went wrong with it.
            parent: Value of the request's `traceparent`.
        """
        end_ns = time.time_ns()
        self._aside.put(lambda: self._make(decided, breaches, parent, end_ns))

    def close(self) -> None:
        """Send what is there, for some seconds at most."""
        self._provider.shutdown()

    def _make(
        self, decided: Decided, breaches: Sequence[str], parent: bytes | None, end_ns: int
    ) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        decision = decided.decision
        start_ns = end_ns - round(decided.latency_ms * 1e6)
        root = self._tracer.start_span(
            "decide", context=_context_of(parent), kind=SpanKind.SERVER, start_time=start_ns
        )
        root.set_attributes(
            {
                "feasible.decision_id": decision.decision_id,
                "feasible.plan": decision.plan,
                "feasible.tier": decision.tier,
                "feasible.latency_ms": decided.latency_ms,
                "feasible.breaches": list(breaches),
                "feasible.handed_off": decision.handed_off,
            }
        )
        if decision.cost_nusd is not None:
            root.set_attribute("feasible.cost_usd", decision.cost_nusd / 1e9)
        if breaches:
            root.set_status(Status(StatusCode.ERROR, ", ".join(breaches)))
        within = set_span_in_context(root)
        at_ns = start_ns
        for step in decision.path:
            span = self._tracer.start_span(f"tier {step.tier}", context=within, start_time=at_ns)
            span.set_attributes({"feasible.tier": step.tier, "feasible.outcome": step.outcome})
            if step.cost_usd is not None:
                span.set_attribute("feasible.cost_usd", step.cost_usd)
            if step.outcome == "skipped" and step.why is not None:
                span.set_attribute("feasible.why", step.why)  # in our words, never a tier's
            if step.outcome in {"failed", "timed_out"}:
                span.set_status(Status(StatusCode.ERROR, step.outcome))
            at_ns += round(step.latency_ms * 1e6)
            span.end(at_ns)
        root.end(end_ns)


def is_sampled(parent: bytes) -> bool:
    """Claim that the sender of a `traceparent` keeps its trace."""
    found = _PARENT.fullmatch(parent)
    return found is not None and bool(int(found[3], 16) & 1)


def traces_from_environment(feature: str, aside: Aside) -> Traces | None:
    """Give traces as OpenTelemetry's standard variables ask for them; None when they do not.

    They do when `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set.
    `OTEL_TRACES_SAMPLER_ARG` is the share of decisions that is traced beside the breaches, and 0.01
    when it is not set.

    Args:
        feature: Names the service, unless `OTEL_SERVICE_NAME` does.
        aside: Where spans are made.

    Raises:
        EngineMissing: OpenTelemetry is not installed.
        BadInput: The share is none.
    """
    ask = os.environ.get
    wanted = ask("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or ask("OTEL_EXPORTER_OTLP_ENDPOINT")
    is_off = ask("OTEL_SDK_DISABLED", "").lower() == "true" or ask("OTEL_TRACES_EXPORTER") == "none"
    if not wanted or is_off:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    except ImportError as error:
        raise EngineMissing(
            "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, and OpenTelemetry is not installed",
            attempt='pip install "feasible[otel]", or unset the variable',
        ) from error
    named = ask("OTEL_SERVICE_NAME") or "service.name=" in ask("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": f"feasible-{feature}"})
    # Which decisions are traced is settled before a span is made.
    provider = TracerProvider(resource=resource, sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider, aside, share=_share(ask("OTEL_TRACES_SAMPLER_ARG")))


def _share(text: str | None) -> float:
    try:
        share = _SHARE if text is None else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise BadInput(
            "OTEL_TRACES_SAMPLER_ARG is no share",
            asked="a number from 0 to 1",
            found=repr((text or "")[:50]),
        )
    return share


def _context_of(parent: bytes | None) -> Context | None:
    """Give the trace that a `traceparent` continues; None for a new one."""
    from opentelemetry.context import Context
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        set_span_in_context,
    )

    found = None if parent is None else _PARENT.fullmatch(parent)
    if found is None or found[1] in _NOTHING or found[2] in _NOTHING:
        return Context()
    remote = SpanContext(
        trace_id=int(found[1], 16),
        span_id=int(found[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(found[3], 16)),
    )
    return set_span_in_context(NonRecordingSpan(remote), Context())
