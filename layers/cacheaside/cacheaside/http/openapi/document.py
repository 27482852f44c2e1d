"""The OpenAPI document: paths, the parts that they share, and who may send requests."""

from __future__ import annotations

from typing import Any, Final

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.columns import RowTypes, place_of
from cacheaside.http.listing import listing
from cacheaside.http.openapi.documents import HEALTH, PAGES, document_paths
from cacheaside.http.openapi.headers import HEADERS, PARAMETERS
from cacheaside.http.openapi.responses import Responses
from cacheaside.http.openapi.rows import schemas_of
from cacheaside.http.openapi.schemas import document_schemas
from cacheaside.http.openapi.statements import Statements
from cacheaside.http.problems import PROBLEMS
from cacheaside.http.requests import IDEMPOTENCY_KEY
from cacheaside.settings import ApiSettings, Authorization

__all__ = ["openapi"]

Json = dict[str, Any]

# Changes with the contract that all stacks share: routes, headers, problems. The catalogue is each stack's own.
_VERSION: Final = "1"
_SCHEMES: Final[dict[Authorization, Json]] = {
    Authorization.IAM: {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "AWS Signature Version 4, service execute-api.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    Authorization.JWT: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}


def openapi(catalogue: Catalogue, api: ApiSettings, rows: RowTypes) -> Json:
    """Return the document, ready for `json.dumps`. A statement that `rows` does not describe has untyped rows."""
    responses = Responses(api)
    statements = Statements(api, responses)
    paths: Json = {}
    schemas: Json = {}
    for query in catalogue.queries.values():
        described = rows.get(place_of(query))
        paths |= statements.query(query, described)
        schemas |= schemas_of(query, described)
    for command in catalogue.commands.values():
        described = rows.get(place_of(command))
        paths |= statements.command(command, described)
        schemas |= schemas_of(command, described)
    paths |= document_paths(catalogue, api, responses)
    paths = {path: _secured(path, item, api) for path, item in paths.items()}
    schemas |= document_schemas(catalogue)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cacheaside",
            "version": _VERSION,
            "description": "Cached answers of slow PostgreSQL queries.",
        },
        "paths": paths,
        "components": _components(paths, schemas, responses),
        "x-cacheaside": _about(catalogue, api),
    }


def _secured(path: str, item: Json, api: ApiSettings) -> Json:
    """Return the operations of a path with the authorization that API Gateway asks for, if they have none yet."""
    reads = api.pages if path in PAGES else api.health if path == HEALTH else api.reads
    authorization = {"get": reads, "head": reads, "post": api.writes}
    guarded: Json = {
        method: {"security": [{kind.value: []}]} for method, kind in authorization.items() if kind in _SCHEMES
    }
    return {method: guarded.get(method, {}) | operation for method, operation in item.items()}


def _components(paths: Json, schemas: Json, responses: Responses) -> Json:
    """Return the parts that operations share, without those that no operation of this catalogue refers to."""
    asks, writes = (any(path.startswith(f"/{each}/") for path in paths) for each in ("queries", "commands"))
    of_queries, of_commands = ("Cache-Status", "Age", "Server-Timing"), (IDEMPOTENCY_KEY, "Idempotency-Replayed")
    idle = (*(() if asks else of_queries), *(() if writes else of_commands))
    operations = [operation for item in paths.values() for operation in item.values()]
    used = {name for operation in operations for way in operation.get("security", ()) for name in way}
    schemes = {each.value: scheme for each, scheme in _SCHEMES.items() if each.value in used}
    return {
        "schemas": schemas,
        "responses": responses.shared,
        "examples": responses.examples,
        "headers": {name: each for name, each in HEADERS.items() if name not in idle},
        "parameters": {name: each for name, each in PARAMETERS.items() if name not in idle},
        **({"securitySchemes": schemes} if schemes else {}),
    }


def _about(catalogue: Catalogue, api: ApiSettings) -> Json:
    listed = listing(catalogue, api)
    problems = [problem._asdict() for problem in PROBLEMS]
    for problem in problems:
        del problem["retry"]
    return {**listed["api"], "problems": problems, **({"errors": listed["errors"]} if "errors" in listed else {})}
