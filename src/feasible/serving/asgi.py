"""The HTTP face. `/v1/decide` is written by hand, since every request pays for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feasible.errors import FeasibleError
from feasible.schema import HeadroomRow, Label
from feasible.serving.audit import KeyAudit
from feasible.serving.batch import decide_batch
from feasible.serving.bodies import (
    MAX_DECIDE_BYTES,
    MAX_LABELS_BYTES,
    MAX_TEXTS_BYTES,
    Gone,
    LargeBodies,
    body,
    check_size,
)
from feasible.serving.chat import ChatFront, chat_error, speaks_chat
from feasible.serving.gate import ANY_KEY, ANYBODY, Gate, Headers
from feasible.serving.key_file import KeyScope
from feasible.serving.keys import ApiKeys
from feasible.serving.label_intake import LabelIntake
from feasible.serving.live import AnyRuntime
from feasible.serving.messages import DecideRequest, Problem
from feasible.serving.metrics import Metrics
from feasible.serving.observer import Observer
from feasible.serving.openapi import openapi
from feasible.serving.pages import Pages
from feasible.serving.plan_pages import PlanPages
from feasible.serving.pressure import MOST_IN_FLIGHT, Pressure
from feasible.serving.problems import (
    BAD_BODY,
    NOT_FOUND,
    OUR_FAULT,
    Refused,
    bad_body,
    headers_of,
    problem_of,
)
from feasible.serving.replies import WholeReply, reply_of, shortened
from feasible.serving.runtime import Decided

__all__ = ["Service", "build_app"]

_JSON: Final = b"application/json"
_PROBLEM: Final = b"application/problem+json"
_LOG: Final = logging.getLogger(__name__)
_DECIDE_PATH: Final = "/v1/decide"
_DECIDE: Final[frozenset[KeyScope]] = frozenset({"decide"})
_LABEL: Final[frozenset[KeyScope]] = frozenset({"label"})
_FIND: Final[frozenset[KeyScope]] = frozenset({"decide", "review"})
_ADMIN: Final[frozenset[KeyScope]] = frozenset({"admin"})
_WATCH: Final[frozenset[KeyScope]] = frozenset({"review", "admin"})
_DECIDE_EXAMPLE: Final = '{"request": {"text": "..."}}'

_Handler = Callable[[Request], Awaitable[Response]]


class Service:
    """An ASGI application around a runtime.

    Args:
        runtime: Answers requests.
        headroom: Gives how each promise stands.
        on_label: Told each label once it is durable.
        gate: Says who may come in.
        max_in_flight: Requests answered at once; more are refused with Retry-After.
        observer: Told of every decision and refusal.

    Attributes:
        plans: What answers, and how that is changed.
        all_figures: For one of several processes: from its own figures gives those of all.
    """

    def __init__(
        self,
        runtime: AnyRuntime,
        *,
        headroom: Callable[[], Sequence[HeadroomRow]],
        on_label: Callable[[Label], None],
        gate: Gate,
        max_in_flight: int = MOST_IN_FLIGHT,
        observer: Observer | None = None,
    ) -> None:
        self.runtime = runtime
        self.draining = False
        self.last_request_s = time.monotonic()
        self._gate = gate
        self._audit = KeyAudit(runtime.ledger)
        self._pressure = Pressure(lambda: runtime.in_flight, most=max_in_flight)
        runtime.pressure = self._pressure
        self.all_figures: Callable[[bytes], Awaitable[bytes]] | None = None
        self._pages = Pages(runtime, headroom=headroom)
        self.plans = PlanPages(runtime)
        self._metrics = Metrics(
            in_flight=lambda: runtime.in_flight,
            open_breakers=lambda: len(runtime.open_breakers()),
            objectives=self._pages.headroom_rows,
            call_figures=runtime.call_figures,
            standing=runtime.standing,
        )
        self._observer = observer
        self._labels = LabelIntake(runtime, on_label=on_label, metrics=self._metrics)
        self._large = LargeBodies()
        self._chat = ChatFront(lambda: runtime.plan, self.answer)
        self._encoder = msgspec.json.Encoder()
        self._decode = msgspec.json.Decoder(DecideRequest).decode
        self._needs: dict[str, frozenset[KeyScope]] = {}
        self._rest = self._router()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        path: str = scope["path"]
        if path == _DECIDE_PATH and scope["method"] == "POST":
            reply = await self.answer_whole(scope["headers"], scope.get("client"), receive)
            await self._send(send, reply)
            return
        arrived_s = self.last_request_s = time.monotonic()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            caller, told = self._let_in(path, scope.get("client"), headers, arrived_s)
        except FeasibleError as error:
            await self._send(send, self._error(error, path))
            return
        if caller is not None:
            scope.setdefault("state", {})["caller"] = caller
        await self._rest(scope, receive, self._dressed(send, told))

    async def answer_whole(
        self,
        headers_of_it: Headers,
        client: tuple[str, int] | None,
        content: bytes | Receive,
    ) -> WholeReply | None:
        """Answer a `POST /v1/decide`; None when whoever asked is gone.

        Args:
            headers_of_it: Headers of the request, names in small letters.
            client: Address and port that it comes from.
            content: Its body, or what gives it in parts.
        """
        arrived_s = self.last_request_s = time.monotonic()
        headers = dict(headers_of_it)
        told: Headers = ()
        try:
            if not self._gate.is_open or b"origin" in headers:
                _, told = self._let_in(_DECIDE_PATH, client, headers, arrived_s)
            self._pressure.check()
            if isinstance(content, bytes):
                check_size(content, MAX_DECIDE_BYTES)
            else:
                content = await body(headers, content, MAX_DECIDE_BYTES)
                self._pressure.check()  # others came in while it arrived
            try:
                asked = self._decode(content)
            except BAD_BODY as error:
                raise bad_body(error, asked=_DECIDE_EXAMPLE) from error
            if b"x-deadline-ms" in headers:
                asked = shortened(asked, headers[b"x-deadline-ms"])
            decided = await self.runtime.decide(asked, arrived_s=arrived_s)
        except Gone:
            return None
        except FeasibleError as error:
            return self._error(error, _DECIDE_PATH, told)
        except Exception:  # noqa: BLE001  the edge of the process: whoever asked hears of it
            _LOG.exception("a request could not be answered")
            return self._error(_our_fault(), _DECIDE_PATH, told)
        self._count(decided)
        if self._observer is not None:
            self._observer.decided(decided, headers)
        return WholeReply(200, _JSON, self._encoder.encode(reply_of(decided)), self._ending(told))

    def _ending(self, told: Headers) -> Headers:
        """Add to headers that the connection ends, where it does."""
        return [*told, (b"connection", b"close")] if self.draining else told

    def _let_in(
        self,
        path: str,
        client: tuple[str, int] | None,
        headers: Mapping[bytes, bytes],
        now_s: float,
    ) -> tuple[str | None, Headers]:
        """Ask the gate: gives who came, where that matters, and what the answer says of rates."""
        needs = self._needs_of(path)
        if not self._gate.has_keys and (b"origin" in headers or needs is _ADMIN):
            self._gate.check_without_keys(headers, needs)
        if self._gate.is_open:
            return None, ()
        try:
            came = self._gate.admit(
                headers.get(b"authorization"), client[0] if client else "local", needs, now_s
            )
        finally:  # whoever is not let in may be the first to come since a key was revoked
            changed = self._gate.changed_keys()
            if changed:
                self._audit.begin(changed)
        return came.name, came.headers

    def _needs_of(self, path: str) -> frozenset[KeyScope]:
        """Give the scopes that open an address; one that is nowhere needs any key."""
        found = self._needs.get(path)
        if found is not None:
            return found
        return self._needs.get(path.rpartition("/")[0] + "/", ANY_KEY)

    async def answer(
        self, asked: DecideRequest, arrived_s: float, headers: Mapping[bytes, bytes]
    ) -> Decided:
        """Decide one request of a batch or a chat, as `/v1/decide` would.

        Raises:
            FeasibleError: There is no decision.
        """
        self._pressure.check()
        decided = await self.runtime.decide(asked, arrived_s=arrived_s)
        self._count(decided)
        if self._observer is not None:
            self._observer.decided(decided, headers)
        return decided

    def _count(self, decided: Decided) -> None:
        self._pressure.answered += 1
        if not decided.is_repeat:
            self._metrics.decided(
                decided.decision,
                latency_ms=decided.latency_ms,
                in_time=decided.within.get("deadline"),
            )

    def _error(self, error: FeasibleError, path: str, told: Headers = ()) -> WholeReply:
        problem = problem_of(error)
        as_chat = speaks_chat(path)
        self._note_refusal(problem, path)
        content = self._encoder.encode(chat_error(problem) if as_chat else problem)
        kind = _JSON if as_chat else _PROBLEM
        headers = self._ending([*headers_of(error), *told])
        return WholeReply(problem.status, kind, content, headers)

    @staticmethod
    async def _send(send: Send, reply: WholeReply | None) -> None:
        if reply is None:
            return
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", b"%d" % len(reply.content)),
            *reply.headers,
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.content})

    def _dressed(self, send: Send, told: Headers) -> Send:
        """Let the answers of the other addresses say what those of `/v1/decide` say."""
        if not told and not self.draining:
            return send

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *told]
                if self.draining:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        return dressed

    def _router(self) -> ASGIApp:
        """Give the other addresses, and note which scopes each of them needs."""
        pages = self._pages
        table: list[tuple[str, str, _Handler, frozenset[KeyScope]]] = [
            ("POST", _DECIDE_PATH, self._decide_is_above, _DECIDE),
            ("POST", "/v1/decide/batch", self._batch, _DECIDE),
            ("POST", "/v1/chat/completions", self._complete, _DECIDE),
            ("GET", "/v1/models", self._chat.models, _DECIDE),
            ("GET", "/v1/models/{model}", self._chat.model, _DECIDE),
            ("POST", "/v1/labels", self._take_labels, _LABEL),
            ("GET", "/v1/decisions/{decision_id}", pages.decision, _FIND),
            ("GET", "/v1/plan", pages.plan, _WATCH),
            ("GET", "/v1/plans", self.plans.show, _ADMIN),
            ("POST", "/v1/plans", self.plans.change, _ADMIN),
            ("GET", "/v1/headroom", pages.headroom, _WATCH),
            ("GET", "/healthz", pages.health, ANYBODY),
            ("GET", "/readyz", self._ready, ANYBODY),
            ("GET", "/metrics", self._metrics_text, _WATCH),
            ("GET", "/openapi.json", self._openapi, ANY_KEY),
        ]
        self._needs = {path.partition("{")[0]: needs for _, path, _, needs in table}
        app = Starlette(
            routes=[
                Route(path, self._guarded(handler), methods=[method])
                for method, path, handler, _ in table
            ],
            exception_handlers={404: self._no_such_address, 405: self._no_such_method},
        )
        app.router.redirect_slashes = False
        app.state.service = self
        return app

    def _guarded(self, handler: _Handler) -> _Handler:
        """Turn the errors of a handler into problems."""

        async def handled(request: Request) -> Response:
            try:
                return await handler(request)
            except Gone:
                return Response(status_code=400)
            except FeasibleError as error:
                return self._refusal(request, error)
            except Exception:  # noqa: BLE001  the edge of the process: whoever asked hears of it
                _LOG.exception("a request could not be answered")
                return self._refusal(request, _our_fault())

        return handled

    def _refusal(self, request: Request, error: FeasibleError) -> Response:
        response = self._problem(request, problem_of(error))
        response.raw_headers.extend(headers_of(error))
        return response

    def _note_refusal(self, problem: Problem, path: str) -> None:
        self._metrics.refused(problem.status)
        if self._observer is not None:
            self._observer.refused(problem, path)

    def _problem(self, request: Request, problem: Problem) -> Response:
        self._note_refusal(problem, request.url.path)
        if speaks_chat(request.url.path):
            return self._json(chat_error(problem), status=problem.status)
        return self._json(problem, status=problem.status, media_type=_PROBLEM.decode())

    def _json(self, value: Any, *, status: int = 200, media_type: str = _JSON.decode()) -> Response:
        return Response(self._encoder.encode(value), status_code=status, media_type=media_type)

    async def _decide_is_above(self, _request: Request) -> Response:
        """Hold the address, so that another method is told so; `answer_whole` takes its POST."""
        raise AssertionError("a POST of /v1/decide is answered by `answer_whole`")

    async def _batch(self, request: Request) -> Response:
        arrived_s = time.monotonic()
        headers = dict(request.scope["headers"])
        with self._large.one():
            content = await body(headers, request.receive, MAX_TEXTS_BYTES)
            caller = request.scope.get("state", {}).get("caller")
            reply = await decide_batch(
                content,
                headers.get(b"x-deadline-ms"),
                answer=lambda asked: self.answer(asked, arrived_s, headers),
                # The first is paid for at the gate.
                charge=lambda: self._gate.charge(caller, time.monotonic()) if caller else None,
            )
        return self._json(reply)

    async def _complete(self, request: Request) -> Response:
        return await self._chat.complete(request, arrived_s=time.monotonic())

    async def _take_labels(self, request: Request) -> Response:
        with self._large.one():
            content = await body(dict(request.scope["headers"]), request.receive, MAX_LABELS_BYTES)
            taken = await self._labels.take(content)
        return self._problem(request, taken) if isinstance(taken, Problem) else self._json(taken)

    async def _ready(self, _request: Request) -> Response:
        return self._pages.ready(draining=self.draining)

    async def _metrics_text(self, _request: Request) -> Response:
        await self._pages.look()
        text = self._metrics.text()
        if self.all_figures is not None:
            text = await self.all_figures(text)
        return Response(text, media_type=self._metrics.content_type)

    def figures(self) -> bytes:
        """Give the figures of this process in Prometheus' text format."""
        return self._metrics.text()

    async def _openapi(self, _request: Request) -> Response:
        return self._json(openapi((self.runtime.plan.feature, self.runtime.plan.id)))

    async def _no_such_address(self, request: Request, _error: Exception) -> Response:
        return self._problem(
            request,
            Problem(
                title="there is no such address",
                status=NOT_FOUND,
                asked=f"{request.method} {request.url.path[:200]}",
                attempt="GET /openapi.json lists the addresses",
            ),
        )

    async def _no_such_method(self, request: Request, error: Exception) -> Response:
        response = self._problem(
            request,
            Problem(
                title="this address takes another method",
                status=405,
                asked=f"{request.method} {request.url.path[:200]}",
                attempt="GET /openapi.json lists the addresses",
            ),
        )
        allowed = (getattr(error, "headers", None) or {}).get("Allow", "POST")
        response.headers["allow"] = allowed
        return response


def build_app(
    runtime: AnyRuntime,
    *,
    headroom: Callable[[], Sequence[HeadroomRow]] = tuple,
    on_label: Callable[[Label], None] = lambda _label: None,
    gate: Gate | None = None,
    max_in_flight: int = MOST_IN_FLIGHT,
    observer: Observer | None = None,
) -> Service:
    """Build the ASGI application of a runtime.

    Args:
        runtime: Answers requests.
        headroom: Gives how each promise stands; it is asked once a second at most.
        on_label: Told each label once it is durable.
        gate: Says who may come in; everybody when absent.
        max_in_flight: Requests answered at once; more are refused with Retry-After.
        observer: Told of every decision and refusal; nobody when absent.
    """
    return Service(
        runtime,
        headroom=headroom,
        on_label=on_label,
        gate=gate or Gate(ApiKeys()),
        max_in_flight=max_in_flight,
        observer=observer,
    )


def _our_fault() -> Refused:
    """Say that something broke here, and nothing of what it was."""
    return Refused(
        "this request could not be answered: the fault is ours",
        status=OUR_FAULT,
        attempt="tell whoever runs this service; its log says more",
    )
