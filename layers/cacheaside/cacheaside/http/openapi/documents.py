"""The operations of the routes that every stack has: the page, the documents, health and invalidation."""

from __future__ import annotations

from typing import Any, Final

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.health import Dependency, Health
from cacheaside.http.documents import JSON
from cacheaside.http.listing import listing
from cacheaside.http.openapi.headers import DOCUMENT_HEADERS, header_references, parameter_references
from cacheaside.http.openapi.responses import Kind, Responses, without_content
from cacheaside.http.openapi.schemas import OPENAPI
from cacheaside.http.schemas import parameters_example
from cacheaside.settings import ApiSettings

__all__ = ["HEALTH", "PAGES", "document_paths"]

Json = dict[str, Any]

_HTML: Final = "text/html"
# The documents for people.
PAGES: Final = ("/", "/docs")
HEALTH: Final = "/health"


def document_paths(catalogue: Catalogue, api: ApiSettings, responses: Responses) -> Json:
    """Return the paths of the routes."""
    return {
        "/": _page("show_page", "The page: see how fast each query is answered, and why", responses),
        "/queries": _read("list_queries", "The catalogue", {JSON: _listing(catalogue, api)}, responses),
        HEALTH: _health(responses),
        "/openapi.json": _read("describe_api", "This document", {JSON: {"schema": OPENAPI}}, responses),
        "/docs": _page("show_documentation", "This document for people", responses),
        "/invalidations": {"post": _invalidate(catalogue, responses)},
    }


def _page(name: str, summary: str, responses: Responses) -> Json:
    return _read(name, summary, {_HTML: {}}, responses, Kind.PAGE)


def _read(name: str, summary: str, content: Json, responses: Responses, kind: Kind = Kind.DOCUMENT) -> Json:
    headers = header_references(*DOCUMENT_HEADERS, "Content-Encoding")
    success = {"description": summary, "headers": headers, "content": content}
    conditions = parameter_references("If-None-Match", "If-Match")
    return _get_and_head(name, {"summary": summary, "parameters": conditions}, success, kind, responses)


def _health(responses: Responses) -> Json:
    summary = "Whether answers can be served"
    schema = {"$ref": "#/components/schemas/Health"}
    up, down = Dependency(up=True, ms=0.41), Dependency(up=False, ms=200.13)
    success = {
        "description": summary,
        "headers": header_references("Cache-Control"),
        "content": {JSON: {"schema": schema, "example": Health(up, up).document()}},
    }
    paths = _get_and_head("report_health", {"summary": summary}, success, Kind.HEALTH, responses)
    either = {"anyOf": [schema, {"$ref": "#/components/schemas/GatewayMessage"}]}
    unavailable = {
        "description": "No answers can be served: neither server can be reached",
        "content": {JSON: {"schema": either, "example": Health(down, down).document()}},
    }
    paths["get"]["responses"]["503"] = unavailable
    paths["head"]["responses"]["503"] = without_content(unavailable)
    return paths


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
