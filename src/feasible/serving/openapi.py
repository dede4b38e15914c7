"""The OpenAPI description, generated from the typed records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

import msgspec

from feasible.schema import Decision, Plan
from feasible.serving.chat import (
    ChatCompletion,
    ChatError,
    ChatModel,
    ChatModels,
    ChatRequest,
    speaks_chat,
)
from feasible.serving.messages import (
    MAX_BATCH,
    BatchReply,
    BatchRequest,
    DecideRequest,
    DecisionReply,
    HeadroomReply,
    HealthReply,
    LabelIn,
    LabelsReply,
    LabelsRequest,
    Problem,
    ReadyReply,
)
from feasible.serving.plan_pages import PlanChangeRequest, PlansReply

__all__ = ["Operation", "openapi"]

_RECORDS: Final = (
    *(DecideRequest, DecisionReply, BatchRequest, BatchReply, LabelsRequest, LabelIn, LabelsReply),
    *(HeadroomReply, Decision, Plan, Problem, HealthReply, ReadyReply),
    *(PlanChangeRequest, PlansReply),
    *(ChatRequest, ChatCompletion, ChatModel, ChatModels, ChatError),
)
_JSON: Final = "application/json"
_WHY: Final = {
    200: "Done",
    400: "The request is not what this address takes",
    401: "A key is needed",
    403: "The key has another scope than this address needs",
    404: "There is no such thing here",
    408: "The body did not arrive in time",
    409: "The idempotency key, or the label's id, was used for something else",
    413: "The body is too large",
    429: "Too many requests with this key, or too many wrong keys from this address",
    431: "The request line and headers are too long",
    500: "The fault is ours",
    503: "Too many requests at once, or the ledger cannot write",
}
_ALWAYS: Final = (400, 431, 500, 503)
_GUARDED: Final = (401, 403, 429)
_POSTED: Final = (408, 413)
_EVENT: Final = {
    "type": "object",
    "description": "One event: a chunk of the answer as JSON, or [DONE].",
    "properties": {"data": {"type": "string"}},
    "required": ["data"],
}
_DEADLINE: Final = {
    "name": "X-Deadline-Ms",
    "in": "header",
    "required": False,
    "description": "Time that this caller has, in milliseconds. The shorter of this and "
    "`deadline_ms` wins, and neither lengthens the plan's deadline.",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one address.

    Attributes:
        method: Its method, in lower case.
        path: Its address.
        summary: What it does.
        scopes: Scopes of which a key needs one; none for everybody.
        given: What it answers: media type -> a record, or a schema.
        asked: Records of which its body is one; none without a body.
        statuses: Statuses beside those that every address of its kind has.
        takes_deadline: It reads `X-Deadline-Ms`.
    """

    method: str
    path: str
    summary: str
    scopes: Sequence[str]
    given: dict[str, Any]
    asked: Sequence[type] = ()
    statuses: Sequence[int] = ()
    takes_deadline: bool = False
    parameters: Sequence[str] = field(default=())


_OPERATIONS: Final = (
    Operation(
        method="post",
        path="/v1/decide",
        summary="Answer one request",
        scopes=("decide",),
        asked=(DecideRequest,),
        given={_JSON: DecisionReply},
        statuses=(409,),
        takes_deadline=True,
    ),
    Operation(
        method="post",
        path="/v1/decide/batch",
        summary="Answer many requests, each on its own",
        scopes=("decide",),
        asked=(BatchRequest,),
        given={_JSON: BatchReply},
        takes_deadline=True,
    ),
    Operation(
        method="post",
        path="/v1/chat/completions",
        summary="Answer a chat in OpenAI's format",
        scopes=("decide",),
        asked=(ChatRequest,),
        given={_JSON: ChatCompletion, "text/event-stream": _EVENT},
        statuses=(404, 409),
        takes_deadline=True,
    ),
    Operation(
        method="get",
        path="/v1/models",
        summary="What a chat may name as its model",
        scopes=("decide",),
        given={_JSON: ChatModels},
    ),
    Operation(
        method="get",
        path="/v1/models/{model}",
        summary="One of them",
        scopes=("decide",),
        given={_JSON: ChatModel},
        statuses=(404,),
        parameters=("model",),
    ),
    Operation(
        method="post",
        path="/v1/labels",
        summary="Take late labels, many or one",
        scopes=("label",),
        asked=(LabelsRequest, LabelIn),
        given={_JSON: LabelsReply},
        statuses=(404, 409),
    ),
    Operation(
        method="get",
        path="/v1/decisions/{decision_id}",
        summary="Find a decision again",
        scopes=("decide", "review"),
        given={_JSON: Decision},
        statuses=(404,),
        parameters=("decision_id",),
    ),
    Operation(
        method="get",
        path="/v1/plan",
        summary="The plan that is served",
        scopes=("review", "admin"),
        given={_JSON: Plan},
    ),
    Operation(
        method="get",
        path="/v1/plans",
        summary="Which plans answer, and how that came about",
        scopes=("admin",),
        given={_JSON: PlansReply},
    ),
    Operation(
        method="post",
        path="/v1/plans",
        summary="Change which plans answer",
        scopes=("admin",),
        asked=(PlanChangeRequest,),
        given={_JSON: PlansReply},
    ),
    Operation(
        method="get",
        path="/v1/headroom",
        summary="How each promise stands",
        scopes=("review", "admin"),
        given={_JSON: HeadroomReply},
    ),
    Operation(
        method="get",
        path="/healthz",
        summary="Whether the process lives",
        scopes=(),
        given={_JSON: HealthReply},
    ),
    Operation(
        method="get",
        path="/readyz",
        summary="Whether it takes requests",
        scopes=(),
        given={_JSON: ReadyReply},
    ),
    Operation(
        method="get",
        path="/openapi.json",
        summary="This description",
        scopes=("decide", "label", "review", "admin"),
        given={_JSON: {"type": "object"}},
    ),
    Operation(
        method="get",
        path="/metrics",
        summary="Figures for Prometheus",
        scopes=("review", "admin"),
        given={"text/plain": {"type": "string"}},
    ),
)


def openapi(models: Sequence[str]) -> dict[str, Any]:
    """Give the description of every address, version 3.1.

    Args:
        models: What a chat may name as its model now.
    """
    schemas, components = msgspec.json.schema_components(
        _RECORDS, ref_template="#/components/schemas/{name}"
    )
    # A batch takes whatever stands there, and says of each what was wrong with it.
    components["BatchRequest"]["properties"]["requests"] = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_BATCH,
        "items": {"anyOf": [{"$ref": "#/components/schemas/DecideRequest"}, {}]},
    }
    components["ChatRequest"]["properties"]["model"]["enum"] = list(models)
    of = dict(zip(_RECORDS, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Feasible",
            "version": version("feasible"),
            "description": "Decisions inside an envelope, each durable before it is told.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `feasible keys new`; nobody needs one where none is "
                    "declared.",
                }
            },
        },
    }


def _described(operation: Operation, of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    name = operation.path.strip("/").replace("/", "_").replace("{", "").replace("}", "")
    described: dict[str, Any] = {
        "operationId": f"{operation.method}_{name.replace('.', '_')}",
        "summary": operation.summary,
        "security": [{}, {"key": []}] if operation.scopes else [{}],
        "responses": _responses(operation, of),
    }
    if operation.scopes:
        described["description"] = f"Scope: {' or '.join(operation.scopes)}."
    parameters = [
        {
            "name": parameter,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        for parameter in operation.parameters
    ]
    parameters += [_DEADLINE] if operation.takes_deadline else []
    if parameters:
        described["parameters"] = parameters
    if operation.asked:
        asked = [of[record] for record in operation.asked]
        schema = asked[0] if len(asked) == 1 else {"anyOf": asked}
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return described


def _responses(operation: Operation, of: dict[Any, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    given = {
        media: {"schema": what if isinstance(what, dict) else of[what]}
        for media, what in operation.given.items()
    }
    fault = (
        {_JSON: {"schema": of[ChatError]}}
        if speaks_chat(operation.path)
        else {"application/problem+json": {"schema": of[Problem]}}
    )
    statuses = {*_ALWAYS, *operation.statuses}
    statuses |= set(_GUARDED) if operation.scopes else set()
    statuses |= set(_POSTED) if operation.asked else set()
    answers: dict[str, dict[str, Any]] = {"200": {"description": _WHY[200], "content": given}}
    for status in sorted(statuses):
        answers[str(status)] = {"description": _WHY[status], "content": fault}
        if status in {429, 503}:
            answers[str(status)]["headers"] = {
                "Retry-After": {
                    "description": "Seconds after which the same request may be answered.",
                    "required": True,
                    "schema": {"type": "integer", "minimum": 1},
                }
            }
    return answers
