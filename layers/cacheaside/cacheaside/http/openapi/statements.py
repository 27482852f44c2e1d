"""The operations of queries and commands."""

from __future__ import annotations

from typing import Any, NamedTuple

from cacheaside.catalogue.columns import Described
from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.statements import Command, Query, Statement, claims_needed
from cacheaside.http.documents import JSON
from cacheaside.http.listing import describe_command, describe_query
from cacheaside.http.openapi.headers import ANSWER_HEADERS, header_references, parameter_references
from cacheaside.http.openapi.responses import Kind, Responses, without_content
from cacheaside.http.openapi.rows import answer_content, parameters_name
from cacheaside.http.requests import IDEMPOTENCY_KEY
from cacheaside.http.schemas import chosen_by_caller, jsonable, parameters_example, query_schema
from cacheaside.settings import ApiSettings, Authorization

__all__ = ["Statements"]

Json = dict[str, Any]


class Statements(NamedTuple):
    """Makes the paths of statements."""

    api: ApiSettings
    responses: Responses

    def query(self, query: Query, described: Described | None) -> dict[str, Json]:
        """Return the path of a query, and of the same without the cache where callers may leave it out."""
        get = self._question(query, described, Kind.QUERY)
        about = describe_query(query, self.api) | _columns(described)
        if described is not None and described.touches and self.api.developer_mode:
            about["touches"] = dict(described.touches)
        paths = {
            f"/queries/{query.name}": {
                "get": get | {"x-cacheaside": about},
                "head": self._head(get, query, Kind.QUERY),
            }
        }
        if self.api.developer_mode:
            direct = self._question(query, described, Kind.DIRECT)
            paths[f"/queries/{query.name}/direct"] = {
                "get": direct,
                "head": self._head(direct, query, Kind.DIRECT),
            }
        return paths

    def command(self, command: Command, described: Described | None) -> dict[str, Json]:
        """Return the path of a command."""
        body: Json = {"schema": {"$ref": f"#/components/schemas/{parameters_name(command)}"}}
        example = parameters_example(chosen_by_caller(command.parameters))
        body |= {"example": example} if example is not None else {}
        headers = header_references("Cache-Control", "Idempotency-Replayed")
        success = {
            "description": "Committed",
            "headers": headers,
            "content": {JSON: answer_content(command, described)},
        }
        post = {
            "operationId": f"command_{command.name}",
            "summary": command.summary,
            "tags": ["commands"],
            "parameters": parameter_references(IDEMPOTENCY_KEY),
            "requestBody": {"required": True, "content": {JSON: body}},
            "responses": {"200": success, **self.responses.of(Kind.COMMAND, command)},
            "x-cacheaside": describe_command(command, self.api) | _columns(described),
            **_security(command),
        }
        return {f"/commands/{command.name}": {"post": post}}

    def _question(self, query: Query, described: Described | None, kind: Kind) -> Json:
        direct = kind is Kind.DIRECT
        headers = header_references(*ANSWER_HEADERS, "ETag", "Content-Encoding")
        content = {JSON: answer_content(query, described)}
        return {
            "operationId": f"{kind.label}_{query.name}",
            "summary": f"{query.summary}, without the cache" if direct else query.summary,
            "tags": ["without cache" if direct else "queries"],
            "parameters": [
                *map(_parameter, chosen_by_caller(query.parameters).values()),
                *parameter_references("If-None-Match", "If-Match"),
            ],
            "responses": {
                "200": {"description": "The answer", "headers": headers, "content": content},
                **self.responses.of(kind, query),
            },
            **_security(query),
        }

    def _head(self, get: Json, query: Query, kind: Kind) -> Json:
        success = without_content(get["responses"]["200"])
        return get | {
            "operationId": f"head_{get['operationId']}",
            "responses": {"200": success, **self.responses.of(kind, query, head=True)},
        }


def _parameter(parameter: Parameter) -> Json:
    example = jsonable(parameter.example)
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "schema": query_schema(parameter),
        **({"description": parameter.description} if parameter.description else {}),
        **({"example": example} if example is not None else {}),
    }


def _security(statement: Statement) -> Json:
    """Return the security of a statement that needs a token whatever the API asks for. Others have the API's."""
    return {"security": [{Authorization.JWT.value: []}]} if claims_needed(statement.parameters) else {}


def _columns(described: Described | None) -> Json:
    if described is None:
        return {}
    return {"columns": [{"name": column.name, "type": column.type} for column in described.columns]}
