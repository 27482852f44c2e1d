"""The operations of the routes that every stack has: the page, the documents, health and invalidation."""

from __future__ import annotations

from typing import Any, Final

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.statements import Query
from cacheaside.catalogue.tags import CHANGE_PATTERN
from cacheaside.health import Dependency, Health
from cacheaside.http.documents import JSON
from cacheaside.http.listing import listing
from cacheaside.http.openapi.headers import DOCUMENT_HEADERS, header_references, parameter_references
from cacheaside.http.openapi.responses import Kind, Responses, without_content
from cacheaside.http.openapi.rows import parameters_name
from cacheaside.http.schemas import parameters_example
from cacheaside.settings import ApiSettings

__all__ = ["PAGES", "document_paths", "document_schemas"]

Json = dict[str, Any]

_HTML: Final = "text/html"
# The documents for people.
PAGES: Final = ("/", "/docs")


def document_paths(catalogue: Catalogue, api: ApiSettings, responses: Responses) -> Json:
    """Return the paths of the routes."""
    health = {"schema": {"$ref": "#/components/schemas/Health"}}
    up, down = Dependency(up=True, ms=0.41), Dependency(up=False, ms=200.13)
    paths = {
        "/": _page("show_page", "The page: see how fast each query is answered, and why", responses),
        "/queries": _read("list_queries", "The catalogue", {JSON: _listing(catalogue, api)}, responses),
        "/health": _health(health | {"example": Health(up, up).document()}, responses),
        "/openapi.json": _read("describe_api", "This document", {JSON: {"schema": _OPENAPI}}, responses),
        "/docs": _page("show_documentation", "This document for people", responses),
        "/invalidations": {"post": _invalidate(catalogue, responses)},
    }
    gateway = {"$ref": "#/components/schemas/GatewayMessage"}
    unavailable = {
        "description": "No answers can be served: neither server can be reached",
        "content": {JSON: {"schema": {"anyOf": [health["schema"], gateway]}, "example": Health(down, down).document()}},
    }
    paths["/health"]["get"]["responses"]["503"] = unavailable
    paths["/health"]["head"]["responses"]["503"] = without_content(unavailable)
    return paths


def document_schemas(catalogue: Catalogue) -> Json:
    """Return the schemas of the routes by name."""
    return {**_SCHEMAS, "Invalidation": _invalidation(catalogue)}


def _page(name: str, summary: str, responses: Responses) -> Json:
    return _read(name, summary, {_HTML: {}}, responses, Kind.PAGE)


def _read(name: str, summary: str, content: Json, responses: Responses, kind: Kind = Kind.DOCUMENT) -> Json:
    headers = header_references(*DOCUMENT_HEADERS, "Content-Encoding")
    success = {"description": summary, "headers": headers, "content": content}
    conditions = parameter_references("If-None-Match", "If-Match")
    return _get_and_head(name, {"summary": summary, "parameters": conditions}, success, kind, responses)


def _health(content: Json, responses: Responses) -> Json:
    summary = "Whether answers can be served"
    headers = header_references("Cache-Control")
    success = {"description": summary, "headers": headers, "content": {JSON: content}}
    return _get_and_head("report_health", {"summary": summary}, success, Kind.HEALTH, responses)


def _get_and_head(name: str, about: Json, success: Json, kind: Kind, responses: Responses) -> Json:
    about = {"operationId": name, "tags": ["operations"], **about}
    head = {"200": without_content(success), **responses.of(kind, head=True)}
    return {
        "get": about | {"responses": {"200": success, **responses.of(kind)}},
        "head": about | {"operationId": f"head_{name}", "responses": head},
    }


def _listing(catalogue: Catalogue, api: ApiSettings) -> Json:
    listed = listing(catalogue, api)
    example = {name: value[:1] if isinstance(value, list) else value for name, value in listed.items()}
    return {"schema": {"$ref": "#/components/schemas/Catalogue"}, "example": example}


def _invalidate(catalogue: Catalogue, responses: Responses) -> Json:
    examples: Json = {"tags": {"summary": "What depends on a table or a row", "value": {"tags": ["products:42"]}}}
    for query in catalogue.queries.values():
        params = parameters_example(query.parameters)
        if params is not None:
            examples["query"] = {"summary": "One answer", "value": {"query": query.name, "params": params}}
            break
    content = {"schema": {"$ref": "#/components/schemas/Invalidated"}, "example": {"data": {"tags": 1}}}
    success = {
        "description": "Invalidated",
        "headers": header_references("Cache-Control"),
        "content": {JSON: content},
    }
    return {
        "operationId": "invalidate",
        "summary": "Invalidate answers, by tags or by one query and its parameters",
        "tags": ["operations"],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Invalidation"}, "examples": examples}},
        },
        "responses": {"200": success, **responses.of(Kind.INVALIDATION)},
    }


def _invalidation(catalogue: Catalogue) -> Json:
    return {"oneOf": [_TAGS, *map(_of_query, catalogue.queries.values())]}


def _of_query(query: Query) -> Json:
    needs = any(parameter.required for parameter in query.parameters.values())
    return {
        "type": "object",
        "required": ["query", "params"] if needs else ["query"],
        "additionalProperties": False,
        "properties": {
            "query": {"type": "string", "const": query.name},
            "params": {"$ref": f"#/components/schemas/{parameters_name(query)}"},
        },
    }


def _object(optional: Json | None = None, **required: Json) -> Json:
    return {"type": "object", "required": [*required], "properties": {**required, **(optional or {})}}


_STRING: Final[Json] = {"type": "string"}
_STRINGS: Final[Json] = {"type": "array", "items": _STRING}
_SECONDS: Final[Json] = {"type": "number", "minimum": 0}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_BOOLEAN: Final[Json] = {"type": "boolean"}
_AUTHORIZATION: Final[Json] = {"type": "string", "enum": ["open", "iam", "jwt"]}
_DEPENDENCY: Final = _object(up=_BOOLEAN, ms=_SECONDS)
_OPENAPI: Final = _object(openapi=_STRING, info={"type": "object"}, paths={"type": "object"})
_STATEMENT: Final[Json] = {
    "name": _STRING,
    "summary": _STRING,
    "returns": {"type": "string", "enum": ["one", "many"]},
    "timeout": _SECONDS,
    "parameters": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Parameter"}},
}
_TIMES: Final = dict.fromkeys(("ttl", "stale", "stale_if_error", "negative_ttl", "client"), _SECONDS)
_SQL: Final[Json] = {"sql": {"type": "string", "description": "In developer mode only"}}
_TAGS: Final[Json] = {
    "type": "object",
    "required": ["tags"],
    "additionalProperties": False,
    "properties": {
        "tags": {
            "type": "array",
            "items": {"type": "string", "pattern": CHANGE_PATTERN},
            "minItems": 1,
            "maxItems": 100,
        }
    },
}
_SCHEMAS: Final[Json] = {
    "Catalogue": _object(
        {"errors": {"type": "array", "items": _object(place=_STRING, detail=_STRING)}},
        data={"type": "array", "items": {"$ref": "#/components/schemas/Query"}},
        commands={"type": "array", "items": {"$ref": "#/components/schemas/Command"}},
        api=_object({"region": _STRING}, reads=_AUTHORIZATION, writes=_AUTHORIZATION, direct=_BOOLEAN),
    ),
    "Query": _object(_SQL, **_STATEMENT, **_TIMES, tags=_STRINGS),
    "Command": _object(_SQL, **_STATEMENT),
    "Parameter": _object(
        {
            **{name: {} for name in ("min", "max", "default", "example")},
            **dict.fromkeys(("min_length", "max_length"), _COUNT),
            "pattern": _STRING,
            "values": _STRINGS,
            "description": _STRING,
        },
        type=_STRING,
        required=_BOOLEAN,
    ),
    "Health": _object(
        status={"type": "string", "enum": ["ok", "degraded", "unavailable"]}, cache=_DEPENDENCY, database=_DEPENDENCY
    ),
    "Invalidated": _object(
        data={
            "oneOf": [
                _object(tags=_COUNT | {"description": "How many of the tags were in the cache"}),
                _object(answers=_COUNT | {"maximum": 1, "description": "How many answers were deleted"}),
            ]
        }
    ),
    "GatewayMessage": _object(message=_STRING),
    "Problem": {
        "type": "object",
        "description": "Problem details (RFC 9457)",
        "required": ["type", "title", "status", "detail", "instance"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Its section in GET /docs"},
            "title": _STRING,
            "status": {"type": "integer"},
            "detail": _STRING,
            "instance": {"type": "string", "description": "The request id, to find the error in the log"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["detail"],
                    "properties": {
                        "parameter": {"type": "string", "description": "Of 400: the parameter that is wrong"},
                        "field": {"type": "string", "description": "Of 409 and 422: a column of the constraint"},
                        "detail": _STRING,
                    },
                },
            },
        },
    },
}
