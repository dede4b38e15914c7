"""The HTTP face. `/v1/decide` is written by hand, since every request pays for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from feasible.errors import FeasibleError
from feasible.schema import HeadroomRow, Label
from feasible.serving.incoming import MOST_DEPTH, is_deeper
from feasible.serving.keys import ApiKeys
from feasible.serving.messages import (
    DecideRequest,
    DecisionReply,
    HeadroomReply,
    LabelIn,
    LabelsReply,
    LabelsRequest,
    Problem,
)
from feasible.serving.metrics import Metrics
from feasible.serving.openapi import openapi
from feasible.serving.problems import TOO_LARGE, UNAVAILABLE, Refused, bad_body, problem_of
from feasible.serving.runtime import Decided, Runtime

__all__ = ["Service", "build_app"]

_JSON: Final = b"application/json"
_PROBLEM: Final = b"application/problem+json"
_MOST_IN_FLIGHT: Final = 1024
_MAX_DECIDE_BYTES: Final = 64 * 1024
_MAX_LABELS_BYTES: Final = 4 * 1024 * 1024
_HEADROOM_EVERY_S: Final = 1.0
_LABELS_AT_ONCE: Final = 250
_BAD_BODY: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_LOG: Final = logging.getLogger(__name__)
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404
_OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
_DECIDE_EXAMPLE: Final = '{"request": {"text": "..."}}'
_LABELS_EXAMPLE: Final = (
    '{"labels": [{"decision_id": "...", "value": ..., "source": "human", "known_at": "..."}]}'
)

_Handler = Callable[[Request], Awaitable[Response]]


class _Gone(Exception):
    """The client went away before its body was whole."""


class Service:
    """An ASGI application around a runtime.

    Args:
        runtime: Answers requests.
        headroom: Gives how each promise stands.
        on_label: Told each label once it is durable.
        keys: Who may call.
        max_in_flight: Requests answered at once; more are refused with Retry-After.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        headroom: Callable[[], Sequence[HeadroomRow]],
        on_label: Callable[[Label], None],
        keys: ApiKeys,
        max_in_flight: int = _MOST_IN_FLIGHT,
    ) -> None:
        self.runtime = runtime
        self.draining = False
        self.last_request_s = time.monotonic()
        self._headroom = headroom
        self._headroom_seen: tuple[float, bytes] | None = None
        self._on_label = on_label
        self._keys = keys
        self._max_in_flight = max_in_flight
        self._metrics = Metrics(
            in_flight=lambda: runtime.in_flight,
            open_breakers=lambda: len(runtime.open_breakers()),
        )
        self._encoder = msgspec.json.Encoder()
        self._decode = msgspec.json.Decoder(DecideRequest).decode
        self._rest = self._router()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        self.last_request_s = time.monotonic()
        if scope["path"] not in _OPEN_PATHS and not self._allowed(scope):
            problem = Problem(
                title="this service needs an API key",
                status=_UNAUTHORIZED,
                attempt="Authorization: Bearer KEY",
            )
            await self._send_problem(send, problem)
        elif scope["path"] == "/v1/decide" and scope["method"] == "POST":
            await self._decide(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    async def _decide(self, scope: Scope, receive: Receive, send: Send) -> None:
        arrived_s = time.monotonic()
        try:
            self._check_load()
            body = await _body(scope, receive, _MAX_DECIDE_BYTES)
            self._check_load()  # others came in while it arrived
            try:
                asked = self._decode(body)
            except _BAD_BODY as error:
                raise bad_body(error, asked=_DECIDE_EXAMPLE) from error
            decided = await self.runtime.decide(asked, arrived_s=arrived_s)
        except _Gone:
            return
        except FeasibleError as error:
            await self._send_problem(send, problem_of(error))
            return
        if not decided.is_repeat:
            self._metrics.decided(
                decided.decision,
                latency_ms=decided.latency_ms,
                in_time=decided.within.get("deadline"),
            )
        await self._send(send, 200, _JSON, self._encoder.encode(_reply(decided)))

    def _check_load(self) -> None:
        if self.runtime.in_flight >= self._max_in_flight:
            raise Refused(
                "too many requests are being answered",
                status=UNAVAILABLE,
                found=f"{self.runtime.in_flight:,} in flight",
                attempt="send it again after the time in Retry-After",
            )

    def _allowed(self, scope: Scope) -> bool:
        if not self._keys:
            return True
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        sent = next((value for name, value in headers if name == b"authorization"), None)
        return self._keys.allow(sent)

    async def _send_problem(self, send: Send, problem: Problem) -> None:
        self._metrics.refused(problem.status)
        await self._send(
            send,
            problem.status,
            _PROBLEM,
            self._encoder.encode(problem),
            extra=_extra_headers(problem.status),
        )

    async def _send(
        self,
        send: Send,
        status: int,
        content_type: bytes,
        body: bytes,
        *,
        extra: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
            *extra,
        ]
        if self.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _router(self) -> ASGIApp:
        app = Starlette(
            routes=[
                Route("/v1/decide", self._guarded(self._decide_is_above), methods=["POST"]),
                Route("/v1/labels", self._guarded(self._labels), methods=["POST"]),
                Route(
                    "/v1/decisions/{decision_id}", self._guarded(self._decision), methods=["GET"]
                ),
                Route("/v1/plan", self._guarded(self._plan), methods=["GET"]),
                Route("/v1/headroom", self._guarded(self._headroom_now), methods=["GET"]),
                Route("/healthz", self._guarded(self._health), methods=["GET"]),
                Route("/readyz", self._guarded(self._ready), methods=["GET"]),
                Route("/metrics", self._guarded(self._metrics_text), methods=["GET"]),
                Route("/openapi.json", self._guarded(self._openapi), methods=["GET"]),
            ],
            exception_handlers={404: self._no_such_address, 405: self._no_such_method},
        )
        app.state.service = self
        return app

    def _guarded(self, handler: _Handler) -> _Handler:
        """Turn the errors of a handler into problems."""

        async def handled(request: Request) -> Response:
            try:
                response = await handler(request)
            except _Gone:
                response = Response(status_code=400)
            except FeasibleError as error:
                response = self._problem(problem_of(error))
            if self.draining:
                response.headers["connection"] = "close"
            return response

        return handled

    def _problem(self, problem: Problem) -> Response:
        self._metrics.refused(problem.status)
        response = self._json(problem, status=problem.status, media_type=_PROBLEM.decode())
        if problem.status == UNAVAILABLE:
            response.headers["retry-after"] = "1"
        return response

    def _json(self, value: Any, *, status: int = 200, media_type: str = _JSON.decode()) -> Response:
        return Response(self._encoder.encode(value), status_code=status, media_type=media_type)

    async def _decide_is_above(self, _request: Request) -> Response:
        """Hold the address, so that another method there is told so; `__call__` takes its POST."""
        raise AssertionError("a POST of /v1/decide is answered by `_decide`")

    async def _labels(self, request: Request) -> Response:
        body = await _body(request.scope, request.receive, _MAX_LABELS_BYTES)
        try:
            # Thousands of labels take longer to read than a decision may wait.
            is_long = len(body) > _MAX_DECIDE_BYTES
            labels = await asyncio.to_thread(_labels_in, body) if is_long else _labels_in(body)
        except _BAD_BODY as error:
            raise bad_body(error, asked=_LABELS_EXAMPLE) from error
        outcomes: list[str] = []
        for start in range(0, len(labels), _LABELS_AT_ONCE):  # so that decisions get their turn
            outcomes += await self._take(labels[start : start + _LABELS_AT_ONCE])
            await asyncio.sleep(0)
        counts = Tally[str](outcomes)
        refused = counts["unknown_decision"] + counts["conflict"]
        if not refused:
            return self._json(
                LabelsReply(
                    stored=counts["stored"],
                    duplicate=counts["duplicate"],
                    unknown_decision=0,
                    conflict=0,
                    outcomes=tuple(outcomes),
                )
            )
        return self._problem(_refused_labels(labels, outcomes, counts))

    async def _take(self, labels: Sequence[Label]) -> Sequence[str]:
        """Write labels, then tell of those that were new; no fault of a listener loses them."""
        outcomes = await self.runtime.ledger.add_labels(labels)
        for label, outcome in zip(labels, outcomes, strict=True):
            self._metrics.labelled(outcome)
            if outcome == "stored":
                try:
                    self._on_label(label)
                except Exception:  # noqa: BLE001  it is on record: whoever sent it must hear so
                    _LOG.exception("a durable label could not be told to everybody")
        return outcomes

    async def _decision(self, request: Request) -> Response:
        decision_id = request.path_params["decision_id"]
        found = self.runtime.ledger.decision(decision_id)
        if found is None:
            raise Refused(
                f"no decision {decision_id[:100]!r} in this ledger",
                status=_NOT_FOUND,
                attempt="use the `decision_id` of an answer of this service",
            )
        return self._json(found)

    async def _plan(self, _request: Request) -> Response:
        return self._json(self.runtime.plan)

    async def _headroom_now(self, _request: Request) -> Response:
        now_s = time.monotonic()
        if self._headroom_seen is None or now_s - self._headroom_seen[0] > _HEADROOM_EVERY_S:
            reply = HeadroomReply(
                plan=self.runtime.plan.id,
                at=datetime.now(UTC),
                objectives=tuple(self._headroom()),
            )
            self._headroom_seen = (now_s, self._encoder.encode(reply))
        return Response(self._headroom_seen[1], media_type=_JSON.decode())

    async def _health(self, _request: Request) -> Response:
        return self._json({"status": "alive", "failing": self.runtime.open_breakers()})

    async def _ready(self, _request: Request) -> Response:
        if self.draining:
            raise Refused("this service is stopping", status=UNAVAILABLE)
        return self._json({"status": "ready", "plan": self.runtime.plan.id})

    async def _metrics_text(self, _request: Request) -> Response:
        return Response(self._metrics.text(), media_type=self._metrics.content_type)

    async def _openapi(self, _request: Request) -> Response:
        return self._json(openapi())

    async def _no_such_address(self, request: Request, _error: Exception) -> Response:
        return self._problem(
            Problem(
                title="there is no such address",
                status=_NOT_FOUND,
                asked=f"{request.method} {request.url.path[:200]}",
                attempt="GET /openapi.json lists the addresses",
            )
        )

    async def _no_such_method(self, request: Request, error: Exception) -> Response:
        response = self._problem(
            Problem(
                title="this address takes another method",
                status=405,
                asked=f"{request.method} {request.url.path[:200]}",
                attempt="GET /openapi.json lists the addresses",
            )
        )
        allowed = (getattr(error, "headers", None) or {}).get("Allow", "POST")
        response.headers["allow"] = allowed
        return response


def build_app(
    runtime: Runtime,
    *,
    headroom: Callable[[], Sequence[HeadroomRow]] = tuple,
    on_label: Callable[[Label], None] = lambda _label: None,
    keys: ApiKeys | None = None,
) -> Service:
    """Build the ASGI application of a runtime.

    Args:
        runtime: Answers requests.
        headroom: Gives how each promise stands; it is asked once a second at most.
        on_label: Told each label once it is durable.
        keys: Who may call; everybody when absent.
    """
    return Service(runtime, headroom=headroom, on_label=on_label, keys=keys or ApiKeys())


def _reply(decided: Decided) -> DecisionReply:
    decision = decided.decision
    cost = decision.cost_nusd
    return DecisionReply(
        decision_id=decision.decision_id,
        answer=decision.answer,
        probability=decision.probability,
        tier=decision.tier,
        path=decision.path,
        cost_usd=None if cost is None else cost / 1e9,
        latency_ms=decided.latency_ms,
        plan=decision.plan,
        within=decided.within,
        handed_off=decision.handed_off,
        fell_back=decision.fell_back,
    )


def _labels_in(body: bytes) -> list[Label]:
    """Read `{"labels": [...]}`, or one label alone."""
    found = msgspec.json.decode(body)
    if isinstance(found, dict) and "labels" in found and "decision_id" not in found:
        many = msgspec.convert(found, LabelsRequest).labels
    else:
        many = (msgspec.convert(found, LabelIn),)
    for label in many:
        if is_deeper([label.value], MOST_DEPTH):
            raise msgspec.ValidationError(f"a label's value is nested more than {MOST_DEPTH} deep")
    return [label.label() for label in many]


def _refused_labels(
    labels: Sequence[Label], outcomes: Sequence[str], counts: Tally[str]
) -> Problem:
    """Say which labels were not taken, and that the others were."""
    taken = counts["stored"] + counts["duplicate"]
    unknown = counts["unknown_decision"]
    first = next(
        label.decision_id
        for label, outcome in zip(labels, outcomes, strict=True)
        if outcome in {"unknown_decision", "conflict"}
    )
    what = (
        f"{unknown:,} of {len(labels):,} labels name decisions that this ledger does not have"
        if unknown
        else f"{counts['conflict']:,} of {len(labels):,} labels use the id of another label"
    )
    return Problem(
        title=what,
        status=_NOT_FOUND if unknown else 409,
        asked=f"the first of them: decision {first}",
        found=f"the other {taken:,} were taken",
        attempt="send those in `outcomes` that are `unknown_decision` to the service that decided"
        if unknown
        else "give every label an id of its own",
        outcomes=tuple(outcomes),
    )


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read a body of bounded size.

    Raises:
        Refused: It is larger.
        _Gone: The client went away.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit, found=f"{int(value):,} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit, found=f"more than {limit:,} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int, *, found: str) -> Refused:
    return Refused(
        "the body is too large",
        status=TOO_LARGE,
        asked=f"at most {limit:,} bytes",
        found=found,
        attempt="send less text, or fewer labels at a time",
    )


def _extra_headers(status: int) -> list[tuple[bytes, bytes]]:
    """Give what a client needs to know beside the problem itself."""
    return {
        UNAVAILABLE: [(b"retry-after", b"1")],
        TOO_LARGE: [(b"connection", b"close")],  # the rest of the body is not read
        _UNAUTHORIZED: [(b"www-authenticate", b"Bearer")],
    }.get(status, [])
