"""The OpenAPI description, generated from the typed records."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec

from feasible.schema import Decision, Plan
from feasible.serving.messages import (
    DecideRequest,
    DecisionReply,
    HeadroomReply,
    LabelIn,
    LabelsReply,
    LabelsRequest,
    Problem,
)

__all__ = ["openapi"]

_RECORDS = (
    DecideRequest,
    DecisionReply,
    LabelsRequest,
    LabelIn,
    LabelsReply,
    HeadroomReply,
    Decision,
    Plan,
    Problem,
)


def openapi() -> dict[str, Any]:
    """Give the description of every address, version 3.1."""
    schemas, components = msgspec.json.schema_components(
        _RECORDS, ref_template="#/components/schemas/{name}"
    )
    of = dict(zip(_RECORDS, schemas, strict=True))
    asks = {
        "/v1/decide": _post("Answer one request", of[DecideRequest], of[DecisionReply]),
        "/v1/labels": _post(
            "Take late labels, many or one",
            {"anyOf": [of[LabelsRequest], of[LabelIn]]},
            of[LabelsReply],
        ),
    }
    reads = {
        "/v1/decisions/{decision_id}": _get(
            "Find a decision again", of[Decision], parameter="decision_id"
        ),
        "/v1/plan": _get("The plan that is served", of[Plan]),
        "/v1/headroom": _get("How each promise stands", of[HeadroomReply]),
        "/healthz": _get("Whether the process lives", {"type": "object"}),
        "/readyz": _get("Whether it takes requests", {"type": "object"}),
        "/openapi.json": _get("This description", {"type": "object"}),
        "/metrics": _get("Figures for Prometheus", {"type": "string"}, media_type="text/plain"),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Feasible", "version": version("feasible")},
        "paths": {**asks, **reads},
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _post(summary: str, asked: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    body = {"required": True, "content": {"application/json": {"schema": asked}}}
    return {"post": {"summary": summary, "requestBody": body, "responses": _responses(given)}}


def _get(
    summary: str,
    given: dict[str, Any],
    *,
    parameter: str | None = None,
    media_type: str = "application/json",
) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "responses": _responses(given, media_type)}
    if parameter is not None:
        operation["parameters"] = [
            {"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    return {"get": operation}


def _responses(
    given: dict[str, Any], media_type: str = "application/json"
) -> dict[str, dict[str, Any]]:
    problem = {"$ref": "#/components/schemas/Problem"}
    return {
        "200": {"description": "Done", "content": {media_type: {"schema": given}}},
        "default": {
            "description": "What was asked, found and to try",
            "content": {"application/problem+json": {"schema": problem}},
        },
    }
