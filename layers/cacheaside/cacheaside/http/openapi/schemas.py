"""The schemas of the routes that every stack has: bodies of documents, problems and invalidations."""

from __future__ import annotations

from typing import Any, Final

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.statements import Query
from cacheaside.catalogue.tags import CHANGE_PATTERN
from cacheaside.http.openapi.rows import parameters_name

__all__ = ["OPENAPI", "document_schemas"]

Json = dict[str, Any]


def document_schemas(catalogue: Catalogue) -> Json:
    """Return the schemas by name."""
    return {**_SCHEMAS, "Invalidation": _invalidation(catalogue)}


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
OPENAPI: Final = _object(openapi=_STRING, info={"type": "object"}, paths={"type": "object"})
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
            "source": {"type": "string", "description": "The claim of the caller's token that has the value"},
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
