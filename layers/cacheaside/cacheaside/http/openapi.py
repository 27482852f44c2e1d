"""The OpenAPI 3.1 document, generated from the catalogue: one path for each query and command."""

from __future__ import annotations

from typing import Any, Final

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.statements import Command, Query, Statement
from cacheaside.http.problems import MEDIA_TYPE, PROBLEMS
from cacheaside.http.requests import IDEMPOTENCY_KEY
from cacheaside.http.schemas import body_schema, jsonable, schema

__all__ = ["openapi"]

_JSON: Final = "application/json"
_ERRORS: Final = sorted({problem.status for problem in PROBLEMS} - {405})
_QUERY_HEADERS: Final = {
    "Cache-Status": "The source of the answer (RFC 9211).",
    "Age": "Seconds since the answer was read from the database.",
    "ETag": "Identifies the body. If-None-Match with it gets 304 while the body is the same; If-Match gets 412 after.",
    "Server-Timing": "Milliseconds spent in the cache, in the database and in total.",
}


def openapi(catalogue: Catalogue) -> dict[str, Any]:
    """Return the document, ready for `json.dumps`."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "cacheaside", "version": "1", "description": "Cached answers of slow PostgreSQL queries."},
        "paths": {
            **{f"/queries/{name}": {"get": _query(query)} for name, query in catalogue.queries.items()},
            **{f"/commands/{name}": {"post": _command(command)} for name, command in catalogue.commands.items()},
            **_FIXED_PATHS,
        },
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "responses": {
                "Problem": {
                    "description": "Problem details (RFC 9457)",
                    "headers": {"Retry-After": _RETRY_AFTER},
                    "content": _PROBLEM_CONTENT,
                }
            },
            "securitySchemes": {
                "iam": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4, service execute-api.",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
    }


def _query(query: Query) -> dict[str, Any]:
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in _QUERY_HEADERS.items()}
    return {
        "operationId": f"query_{query.name}",
        "summary": query.summary,
        "tags": ["queries"],
        "parameters": [
            {
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "schema": schema(parameter),
                **({"description": parameter.description} if parameter.description else {}),
                **({"example": jsonable(parameter.example)} if parameter.example is not None else {}),
            }
            for parameter in query.parameters.values()
        ],
        "responses": {
            "200": {"description": "The answer", "headers": headers, "content": {_JSON: {"schema": _data(query)}}},
            "304": {"description": "The caller already has the answer"},
            **_errors(),
        },
    }


def _command(command: Command) -> dict[str, Any]:
    body = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: body_schema(parameter) for name, parameter in command.parameters.items()},
        "required": [parameter.name for parameter in command.parameters.values() if parameter.required],
    }
    answer = _data(command)
    answer["properties"]["invalidation"] = {"type": "string", "enum": ["done", "pending"]}
    return {
        "operationId": f"command_{command.name}",
        "summary": command.summary,
        "tags": ["commands"],
        "security": [{"iam": []}],
        "parameters": [_IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": {_JSON: {"schema": body}}},
        "responses": {
            "200": {"description": "Committed", "headers": _REPLAYED, "content": {_JSON: {"schema": answer}}},
            **_errors(),
        },
    }


def _data(statement: Statement) -> dict[str, Any]:
    row = {"type": "object"}
    data = row if statement.returns == "one" else {"type": "array", "items": row}
    return {"type": "object", "required": ["data"], "properties": {"data": data}}


def _errors() -> dict[str, Any]:
    return {str(status): {"$ref": "#/components/responses/Problem"} for status in _ERRORS}


def _get(summary: str, media_type: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": {"description": summary, "content": {media_type: {}}}}}}


_IDEMPOTENCY_KEY: Final = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "A command that is sent again with the same key within a day is not carried out again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-+\\--~]+$"},
}
_REPLAYED: Final = {
    "Idempotency-Replayed": {
        "description": "This is the answer to an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_RETRY_AFTER: Final = {
    "description": "Of most 503 and some 409: seconds to wait before the same request is sent again.",
    "schema": {"type": "integer"},
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request id, to find the error in the log"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "parameter": {"type": "string", "description": "Of 400: the parameter that is wrong"},
                    "field": {"type": "string", "description": "Of 409 and 422: a column of the constraint"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_PROBLEM_CONTENT: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_INVALIDATION: Final = {
    "oneOf": [
        {
            "type": "object",
            "required": ["tags"],
            "additionalProperties": False,
            "properties": {"tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 100}},
        },
        {
            "type": "object",
            "required": ["query"],
            "additionalProperties": False,
            "properties": {"query": {"type": "string"}, "params": {"type": "object"}},
        },
    ]
}
_FIXED_PATHS: Final = {
    "/": _get("The page", "text/html"),
    "/queries": _get("The catalogue", _JSON),
    "/health": _get("Whether answers can be served", _JSON),
    "/openapi.json": _get("This document", _JSON),
    "/docs": _get("This document for people", "text/html"),
    "/invalidations": {
        "post": {
            "summary": "Invalidate answers, by tags or by one query and its parameters",
            "security": [{"iam": []}],
            "requestBody": {"required": True, "content": {_JSON: {"schema": _INVALIDATION}}},
            "responses": {"200": {"description": "Invalidated"}, **_errors()},
        }
    },
}
