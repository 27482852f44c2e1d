"""Errors as problem details (RFC 9457). This is the one place that gives an error its HTTP status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response

from cacheaside import errors

__all__ = ["MEDIA_TYPE", "PROBLEMS", "Problem", "method_not_allowed", "no_such_route", "problem_of", "render"]

MEDIA_TYPE: Final = "application/problem+json"

# How long a caller should wait before trying again: a failover of RDS takes about a minute, most outages less.
_RETRY_AFTER_S: Final = "5"


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem. Its `slug` names the section of GET /docs that explains it."""

    slug: str
    status: HTTPStatus
    title: str
    explanation: str
    retry: bool = False


_BAD_PARAMETERS: Final = Problem(
    "bad-parameters",
    HTTPStatus.BAD_REQUEST,
    "Parameters are missing or wrong",
    "Each one that is wrong is listed in errors, with what would be right.",
)
_BAD_BODY: Final = Problem(
    "bad-body",
    HTTPStatus.BAD_REQUEST,
    "The body cannot be read",
    "Send one JSON object that names each parameter once.",
)
_BODY_TOO_LARGE: Final = Problem(
    "body-too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The body is too large",
    "Split the change into several requests.",
)
_UNSUPPORTED_MEDIA: Final = Problem(
    "unsupported-media",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "The body is not declared as JSON",
    "Send the header content-type: application/json.",
)
_BAD_IDEMPOTENCY_KEY: Final = Problem(
    "bad-idempotency-key",
    HTTPStatus.BAD_REQUEST,
    "The Idempotency-Key cannot be one",
    "Send 1 to 255 visible ASCII characters, such as a UUID: one key for each command, the same when it is sent again.",
)
_KEY_REUSED: Final = Problem(
    "idempotency-key-reused",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The Idempotency-Key was used for another request",
    "Nothing was written: a key belongs to one command, its parameters and its caller. Send another key.",
)
_KEY_IN_FLIGHT: Final = Problem(
    "idempotency-key-in-flight",
    HTTPStatus.CONFLICT,
    "The first request with this Idempotency-Key is still running",
    "Send the same again after the time in Retry-After: you get the answer of the first, or it is carried out now.",
    retry=True,
)
_UNKNOWN_STATEMENT: Final = Problem(
    "unknown-name",
    HTTPStatus.NOT_FOUND,
    "There is nothing of that name",
    "The catalogue holds no query or command of the name in the path.",
)
_NOT_FOUND: Final = Problem(
    "no-row",
    HTTPStatus.NOT_FOUND,
    "There is no such row",
    "The query or command is about one row, and no row fits the parameters.",
)
_NO_SUCH_ROUTE: Final = Problem(
    "no-route", HTTPStatus.NOT_FOUND, "There is no such route", "GET /docs lists all routes of this API."
)
_METHOD_NOT_ALLOWED: Final = Problem(
    "method",
    HTTPStatus.METHOD_NOT_ALLOWED,
    "The route does not take this method",
    "The header Allow lists the methods that it takes.",
)
_CONFLICT: Final = Problem(
    "conflict",
    HTTPStatus.CONFLICT,
    "The change conflicts with what is stored",
    "Nothing was written: there is one like it already, or something still refers to it. "
    "The columns of the constraint are listed in errors.",
)
_UNPROCESSABLE: Final = Problem(
    "unprocessable",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The change is not possible",
    "Nothing was written: a value is missing or forbidden, or refers to what does not exist. "
    "The columns of the constraint are listed in errors.",
)
_TOO_LARGE: Final = Problem(
    "answer-too-large",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "The answer is too large to be sent",
    "Ask for less; the query may take a limit.",
)
_UNAVAILABLE: Final = Problem(
    "unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The database cannot be reached",
    "Nothing was written, and nothing in the cache could answer. Try again after the time in Retry-After.",
    retry=True,
)
_OUTCOME_UNKNOWN: Final = Problem(
    "outcome-unknown",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "It may have been carried out",
    "The connection to the database was lost at the end. Send it again only with the Idempotency-Key that it had; "
    "without one, look first.",
)
_OVERLOADED: Final = Problem(
    "overloaded",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Too many requests ask the database at once",
    "They could not share one load, as they do when the cache works, and the database takes only so many at a time. "
    "Try again after the time in Retry-After.",
    retry=True,
)
_BUSY: Final = Problem(
    "busy",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Others were changing the same",
    "Nothing was written, however often it was tried. Try again after the time in Retry-After.",
    retry=True,
)
_WAITED_TOO_LONG: Final = Problem(
    "waited-too-long",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The answer is still being loaded",
    "Another request is loading it. Try again after the time in Retry-After: it will probably be there.",
    retry=True,
)
_CACHE_UNAVAILABLE: Final = Problem(
    "cache-unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The cache cannot be reached",
    "What was to be taken out may still be served. Try again after the time in Retry-After.",
    retry=True,
)
_TIMEOUT: Final = Problem(
    "timeout",
    HTTPStatus.GATEWAY_TIMEOUT,
    "The database took too long",
    "The query or command ran into its own timeout and was cancelled.",
)
_INTERNAL: Final = Problem(
    "internal",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Something went wrong here",
    "It is in the log under the instance of the problem.",
)

_BY_ERROR: Final[Mapping[type[Exception], Problem]] = {
    errors.BadParameters: _BAD_PARAMETERS,
    errors.BadBody: _BAD_BODY,
    errors.BodyTooLarge: _BODY_TOO_LARGE,
    errors.UnsupportedMedia: _UNSUPPORTED_MEDIA,
    errors.UnknownStatement: _UNKNOWN_STATEMENT,
    errors.NotFound: _NOT_FOUND,
    errors.BadIdempotencyKey: _BAD_IDEMPOTENCY_KEY,
    errors.IdempotencyKeyReused: _KEY_REUSED,
    errors.IdempotencyKeyInFlight: _KEY_IN_FLIGHT,
    errors.Conflict: _CONFLICT,
    errors.Unprocessable: _UNPROCESSABLE,
    errors.AnswerTooLarge: _TOO_LARGE,
    errors.DatabaseUnavailable: _UNAVAILABLE,
    errors.OutcomeUnknown: _OUTCOME_UNKNOWN,
    errors.Overloaded: _OVERLOADED,
    errors.Busy: _BUSY,
    errors.WaitedTooLong: _WAITED_TOO_LONG,
    errors.CacheUnavailable: _CACHE_UNAVAILABLE,
    errors.StatementTimeout: _TIMEOUT,
}

PROBLEMS: Final = (*_BY_ERROR.values(), _NO_SUCH_ROUTE, _METHOD_NOT_ALLOWED, _INTERNAL)


def problem_of(error: Exception) -> Problem:
    """Return the kind of problem that `error` is; an unforeseen one is internal."""
    return _BY_ERROR.get(type(error), _INTERNAL)


def render(error: Exception, request_id: str) -> Response[str]:
    """Return the response for `error`. Nothing of an unforeseen error is shown but the request id to find it by."""
    problem = problem_of(error)
    detail = problem.explanation if problem is _INTERNAL else str(error)
    extra: dict[str, Any] = {}
    if isinstance(error, errors.BadParameters):
        extra["errors"] = [{"parameter": each.parameter, "detail": each.detail} for each in error.problems]
    if isinstance(error, errors.ConstraintViolated):
        extra["errors"] = [{"field": field, "detail": f"{field}: {error.rule}"} for field in error.fields]
    own = dict(error.headers) if isinstance(error, errors.NotFound) else {}
    return _response(problem, detail, request_id, own, extra)


def no_such_route(request_id: str) -> Response[str]:
    """Return the 404 of a path that is no route."""
    return _response(_NO_SUCH_ROUTE, _NO_SUCH_ROUTE.explanation, request_id)


def method_not_allowed(allow: str, request_id: str) -> Response[str]:
    """Return the 405 of a route that takes other methods: those of `allow`, comma-separated."""
    return _response(_METHOD_NOT_ALLOWED, f"this route takes {allow}", request_id, {"Allow": allow})


def _response(
    problem: Problem,
    detail: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response[str]:
    document = {
        "type": f"/docs#{problem.slug}",
        "title": problem.title,
        "status": problem.status.value,
        "detail": detail,
        "instance": f"urn:uuid:{request_id}",
        **(extra or {}),
    }
    retry = {"Retry-After": _RETRY_AFTER_S} if problem.retry else {}
    # An error of now must not be kept for later.
    own = {"Cache-Control": "no-store", **retry, **(headers or {})}
    return Response(problem.status.value, MEDIA_TYPE, json.dumps(document, ensure_ascii=False), own)
