"""What each kind of operation can answer beside success, and nothing else.

    query, direct     a question whose values are wrong, has no row, or cannot be loaded
    command           a change that PostgreSQL refuses, or that may not have been carried out
    invalidation      tags or a query that do not exist, or a cache that cannot be reached
    document, page    conditions, and errors that were not foreseen
    health            conditions, and errors that were not foreseen

API Gateway has answers of its own, of another form: if it does not authorize a request, limits the rate of requests
(only on AWS), or gets no answer of a function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

from cacheaside.catalogue.statements import Query, Statement, claims_needed
from cacheaside.http.documents import JSON
from cacheaside.http.openapi.headers import ANSWER_HEADERS, DOCUMENT_HEADERS, header_references
from cacheaside.http.openapi.problems import problem_example
from cacheaside.http.problems import MEDIA_TYPE
from cacheaside.settings import ApiSettings, Authorization

__all__ = ["Kind", "Responses", "without_content"]

Json = dict[str, Any]

_CLAIMS: Final = ("unauthenticated", "wrong-claim")
_LOADED: Final = (
    "bad-parameters",
    *_CLAIMS,
    "no-row",
    "precondition-failed",
    "unprocessable",
    "answer-too-large",
    "internal",
)
_NOT_LOADED: Final = ("unavailable", "overloaded", "busy", "refused-for-now", "timeout")
_BODY: Final = ("bad-parameters", "bad-body", "precondition-failed", "body-too-large", "unsupported-media")


class Kind(Enum):
    """A kind of operation, with the problems that it can answer."""

    QUERY = "query", (*_LOADED, *_NOT_LOADED, "waited-too-long")
    DIRECT = "direct", (*_LOADED, *_NOT_LOADED)
    COMMAND = (
        "command",
        (
            *(*_BODY, *_CLAIMS, "bad-idempotency-key", "no-row", "conflict", "idempotency-key-in-flight"),
            *("unprocessable", "idempotency-key-reused", "answer-too-large", "internal"),
            *("unavailable", "outcome-unknown", "busy", "refused-for-now", "timeout"),
        ),
    )
    INVALIDATION = "invalidation", (*_BODY, "unknown-name", "catalogue-error", "internal", "cache-unavailable")
    DOCUMENT = "document", ("precondition-failed", "internal")
    PAGE = "page", ("precondition-failed", "internal")
    HEALTH = "health", ("precondition-failed", "internal")

    def __init__(self, label: str, slugs: Sequence[str]) -> None:
        self.label = label
        self.slugs = slugs

    @property
    def writes(self) -> bool:
        """Whether the operation has the authorization of writes."""
        return self in (Kind.COMMAND, Kind.INVALIDATION)


class Responses:
    """Makes the responses of operations. `shared` has those that operations refer to, by name."""

    def __init__(self, api: ApiSettings) -> None:
        self._api = api
        self.shared: dict[str, Json] = {}
        self.examples: dict[str, Json] = {}

    def of(self, kind: Kind, statement: Statement | None = None, *, head: bool = False) -> Json:
        """Return the responses of an operation beside success, by status. A response to HEAD has no body."""
        by_status: dict[int, list[str]] = {}
        for slug in kind.slugs:
            if statement is None or _is_possible(slug, statement):
                by_status.setdefault(problem_example(slug).problem.status, []).append(slug)
        responses = {status: self._problem(kind, status, slugs) for status, slugs in by_status.items()}
        responses |= {status: self._gateway(status) for status in self._gateway_statuses(kind) - responses.keys()}
        if not kind.writes:
            responses[304] = self._not_modified(kind)
        names = {
            status: self._shared(_name(kind, status, by_gateway=status not in by_status), response)
            for status, response in responses.items()
        }
        if head:
            names = {
                status: self._shared(f"head_{name}", without_content(self.shared[name]))
                for status, name in names.items()
            }
        return {str(status): {"$ref": f"#/components/responses/{names[status]}"} for status in sorted(names)}

    def _shared(self, name: str, response: Json) -> str:
        self.shared[name] = response
        return name

    def _problem(self, kind: Kind, status: int, slugs: Sequence[str]) -> Json:
        examples = [problem_example(slug) for slug in slugs]
        for example in examples:
            self.examples[example.problem.slug] = {"summary": example.problem.title, "value": example.document}
        types = [example.document["type"] for example in examples]
        of_status = {"properties": {"type": {"enum": types}, "status": {"const": status}}}
        content: Json = {
            MEDIA_TYPE: {
                "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, of_status]},
                "examples": {slug: {"$ref": f"#/components/examples/{slug}"} for slug in slugs},
            }
        }
        if status in self._gateway_statuses(kind):
            content |= _gateway_content(status)
        names = ["Cache-Control"]
        if slugs == ["no-row"] and not kind.writes:
            names = [*ANSWER_HEADERS]
        if status in self._gateway_statuses(kind):
            names = []  # the gateway's own answers have none that must be there
        if any("Retry-After" in example.response.headers for example in examples):
            names.append("Retry-After")
        description = "; or ".join(example.problem.title for example in examples)
        return {"description": description, "headers": header_references(*names), "content": content}

    def _gateway_statuses(self, kind: Kind) -> set[int]:
        """Return the statuses that API Gateway answers itself."""
        # The 503 of GET /health is written there: it has the state of both servers.
        statuses = {500, *([] if kind is Kind.HEALTH else [503]), *([413] if kind.writes else [])}
        special = {Kind.PAGE: self._api.pages, Kind.HEALTH: self._api.health}
        authorization = self._api.writes if kind.writes else special.get(kind, self._api.reads)
        if authorization is not Authorization.OPEN:
            statuses.add(403)
        if authorization is Authorization.JWT:
            statuses.add(401)
        if self._api.region:
            statuses.add(429)
        return statuses

    def _gateway(self, status: int) -> Json:
        return {"description": _GATEWAY[status], "content": _gateway_content(status)}

    def _not_modified(self, kind: Kind) -> Json:
        names: Sequence[str] = (*ANSWER_HEADERS, "ETag")
        if kind in (Kind.DOCUMENT, Kind.PAGE):
            names = DOCUMENT_HEADERS
        elif kind is Kind.HEALTH:
            names = ("Cache-Control",)  # it has no entity tag, but If-None-Match: * fits any answer
        return {"description": "The client already has the answer", "headers": header_references(*names)}


def without_content(response: Mapping[str, Any]) -> Json:
    """Return the response to HEAD, where GET gets `response`."""
    return {name: value for name, value in response.items() if name != "content"}


def _name(kind: Kind, status: int, *, by_gateway: bool) -> str:
    return f"gateway_{status}" if by_gateway and status in (401, 403, 429) else f"{kind.label}_{status}"


def _is_possible(slug: str, statement: Statement) -> bool:
    if slug == "no-row":
        return statement.returns == "one"
    if slug in _CLAIMS:
        return bool(claims_needed(statement.parameters))
    # PostgreSQL may refuse a value. A query without parameters has none of the caller.
    return not (slug == "unprocessable" and isinstance(statement, Query) and not statement.parameters)


def _gateway_content(status: int) -> Json:
    message = _MESSAGES.get(status) or HTTPStatus(status).phrase
    return {JSON: {"schema": {"$ref": "#/components/schemas/GatewayMessage"}, "example": {"message": message}}}


_GATEWAY: Final = {
    401: "The bearer token is missing or not valid",
    403: "The request is not authorized",
    429: "The API gets more requests than it accepts in a second",
    500: "A function failed",
    503: "A function did not answer in time",
}
_MESSAGES: Final = {413: "Request Entity Too Large"}
