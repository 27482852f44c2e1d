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
    schemas |= document_schemas(catalogue)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cacheaside",
            "version": _VERSION,
            "description": "Cached answers of slow PostgreSQL queries.",
        },
        "paths": {path: _secured(path, item, api) for path, item in paths.items()},
        "components": _components(paths, schemas, responses, api),
        "x-cacheaside": _about(catalogue, api),
    }


def _secured(path: str, item: Json, api: ApiSettings) -> Json:
    """Return the operations of a path with the authorization that API Gateway asks for, if any."""
    reads = api.pages if path in PAGES else api.health if path == HEALTH else api.reads
    authorization = {"get": reads, "head": reads, "post": api.writes}
    return {
        method: operation
        | ({} if authorization[method] is Authorization.OPEN else {"security": [{authorization[method].value: []}]})
        for method, operation in item.items()
    }


def _components(paths: Json, schemas: Json, responses: Responses, api: ApiSettings) -> Json:
    """Return the parts that operations share, without those that no operation of this catalogue refers to."""
    asks, writes = (any(path.startswith(f"/{each}/") for path in paths) for each in ("queries", "commands"))
    of_queries, of_commands = ("Cache-Status", "Age", "Server-Timing"), (IDEMPOTENCY_KEY, "Idempotency-Replayed")
    idle = (*(() if asks else of_queries), *(() if writes else of_commands))
    schemes = {each.value: _SCHEMES[each] for each in (api.reads, api.writes) if each is not Authorization.OPEN}
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
