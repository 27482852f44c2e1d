"""Errors as problem details (RFC 9457). This is the one place that gives an error its HTTP status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cacheaside import errors
from cacheaside.http.messages import Response

__all__ = ["MEDIA_TYPE", "PROBLEMS", "Problem", "method_not_allowed", "no_such_route", "problem_of", "problem_response"]

MEDIA_TYPE: Final = "application/problem+json"

# How long a caller should wait before a retry. A failover of RDS takes about a minute, and most outages take less. A
# RefusedForNow has a time of its own.
_RETRY_AFTER_S: Final = "5"


class Problem(NamedTuple):
    """A kind of problem. Its `slug` names the section of GET /docs that explains it."""

    slug: str
    status: int
    title: str
    explanation: str
    retry: bool = False


_BAD_PARAMETERS: Final = Problem(
    "bad-parameters",
    400,
    "Parameters are missing or wrong",
    "Each wrong parameter is listed in errors, with the rule that it breaks. "
    "Of many unknown parameters only the first are listed.",
)
_UNAUTHENTICATED: Final = Problem(
    "unauthenticated",
    401,
    "The answer depends on who asks",
    "The query or command has a parameter that is a claim of the caller's token. Send the header "
    "Authorization: Bearer, with a token of the issuer that this API trusts.",
)
_WRONG_CLAIM: Final = Problem(
    "wrong-claim",
    403,
    "The token lacks a claim",
    "The query or command has a parameter that is a claim of the caller's token. The token does not have this claim, "
    "or it is not of the form that the parameter needs.",
)
_BAD_BODY: Final = Problem(
    "bad-body",
    400,
    "The body cannot be read",
    "Send one JSON object that names each parameter once.",
)
_BODY_TOO_LARGE: Final = Problem(
    "body-too-large",
    413,
    "The body is too large",
    "Split the change into several requests.",
)
_UNSUPPORTED_MEDIA: Final = Problem(
    "unsupported-media",
    415,
    "The body is not declared as JSON in UTF-8",
    "Send the header content-type: application/json, without another charset and without a content-encoding.",
)
_PRECONDITION_FAILED: Final = Problem(
    "precondition-failed",
    412,
    "The answer is not the one that If-Match names",
    "Send the request without If-Match to get the current answer and its ETag.",
)
_BAD_IDEMPOTENCY_KEY: Final = Problem(
    "bad-idempotency-key",
    400,
    "The Idempotency-Key is not valid",
    "Send one header of 1 to 255 visible ASCII characters without a comma, such as a UUID: "
    "a new key for each command, and the same key for a retry.",
)
_KEY_REUSED: Final = Problem(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key was used for another request",
    "Nothing was written: a key belongs to one command, its parameters and its caller. Send another key.",
)
_KEY_IN_FLIGHT: Final = Problem(
    "idempotency-key-in-flight",
    409,
    "The first request with this Idempotency-Key is still running",
    "Send the request again after the time in Retry-After. You get the answer of the first, or it is carried out now.",
    retry=True,
)
_UNKNOWN_STATEMENT: Final = Problem(
    "unknown-name",
    404,
    "There is no query or command of this name",
    "The catalogue has no query or command of the name in the path.",
)
_NOT_FOUND: Final = Problem(
    "no-row",
    404,
    "There is no such row",
    "The query or command returns one row, and no row fits the parameters.",
)
_NO_SUCH_ROUTE: Final = Problem("no-route", 404, "There is no such route", "GET /docs lists all routes of this API.")
_METHOD_NOT_ALLOWED: Final = Problem(
    "method",
    405,
    "The route does not take this method",
    "The header Allow lists the methods that it takes.",
)
_CONFLICT: Final = Problem(
    "conflict",
    409,
    "The change conflicts with what is stored",
    "Nothing was written: there is such a row already, or another row still refers to this one. "
    "The columns of the constraint are listed in errors.",
)
_UNPROCESSABLE: Final = Problem(
    "unprocessable",
    422,
    "A value is not possible",
    "A value is forbidden, out of range or of the wrong form, or it refers to a row that does not exist. Nothing was "
    "written. If a constraint forbids it, its columns are listed in errors.",
)
_TOO_LARGE: Final = Problem(
    "answer-too-large",
    500,
    "The answer is too large to be sent",
    "Ask for fewer rows. The query may take a limit.",
)
_UNAVAILABLE: Final = Problem(
    "unavailable",
    503,
    "The database cannot be reached",
    "Nothing was written, and the cache has no answer. Try again after the time in Retry-After.",
    retry=True,
)
_OUTCOME_UNKNOWN: Final = Problem(
    "outcome-unknown",
    503,
    "The command may have been carried out",
    "The connection to the database was lost during COMMIT. Send it again only with the same Idempotency-Key. "
    "If it had none, first check whether it was carried out.",
)
_OVERLOADED: Final = Problem(
    "overloaded",
    503,
    "Too many requests need the database at once",
    "Requests that cannot share a load ask the database themselves, and it takes only some of those at a time. "
    "Try again after the time in Retry-After.",
    retry=True,
)
_BUSY: Final = Problem(
    "busy",
    503,
    "Other transactions prevent this one",
    "They were changing the same rows, or did not release a lock in time. Nothing was written, though a command was "
    "tried several times. Try again after the time in Retry-After.",
    retry=True,
)
_REFUSED_FOR_NOW: Final = Problem(
    "refused-for-now",
    503,
    "The database cannot do this at the moment",
    "It may be in a failover, read-only, or out of space, memory or connections. Nothing was written. "
    "Send the same request again after the time in Retry-After.",
    retry=True,
)
_WAITED_TOO_LONG: Final = Problem(
    "waited-too-long",
    503,
    "The answer is still being loaded",
    "Another request is loading it. Try again after the time in Retry-After: it is probably stored by then.",
    retry=True,
)
_CACHE_UNAVAILABLE: Final = Problem(
    "cache-unavailable",
    503,
    "The cache cannot be reached",
    "Old answers may still be served. Try again after the time in Retry-After.",
    retry=True,
)
_TIMEOUT: Final = Problem(
    "timeout",
    504,
    "The database took too long",
    "The query or command exceeded its own timeout and was cancelled.",
)
_CATALOGUE_ERROR: Final = Problem(
    "catalogue-error",
    500,
    "The file of this query or command is wrong",
    "The detail names the file of the catalogue, the line and the correction. Other queries and commands are served.",
)
_INTERNAL: Final = Problem(
    "internal",
    500,
    "An internal error occurred",
    "The log has it under the instance of this problem.",
)

_BY_ERROR: Final[Mapping[type[Exception], Problem]] = {
    errors.BadParameters: _BAD_PARAMETERS,
    errors.Unauthenticated: _UNAUTHENTICATED,
    errors.WrongClaim: _WRONG_CLAIM,
    errors.BadBody: _BAD_BODY,
    errors.BodyTooLarge: _BODY_TOO_LARGE,
    errors.UnsupportedMedia: _UNSUPPORTED_MEDIA,
    errors.PreconditionFailed: _PRECONDITION_FAILED,
    errors.UnknownStatement: _UNKNOWN_STATEMENT,
    errors.CatalogueError: _CATALOGUE_ERROR,
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
    errors.RefusedForNow: _REFUSED_FOR_NOW,
    errors.WaitedTooLong: _WAITED_TOO_LONG,
    errors.CacheUnavailable: _CACHE_UNAVAILABLE,
    errors.StatementTimeout: _TIMEOUT,
}

PROBLEMS: Final = (*_BY_ERROR.values(), _NO_SUCH_ROUTE, _METHOD_NOT_ALLOWED, _INTERNAL)


def problem_of(error: Exception) -> Problem:
    """Return the kind of problem of `error`, or of a base class of it. An unforeseen error is internal."""
    return next((_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR), _INTERNAL)


def problem_response(error: Exception, request_id: str) -> Response:
    """Return the response for `error`. Of an unforeseen error it shows only the request id, to find it in the log."""
    problem = problem_of(error)
    detail = problem.explanation if problem is _INTERNAL else str(error)
    extra: dict[str, Any] = {}
    if isinstance(error, errors.CatalogueError):
        detail = f"{error.place}: {error.reason}"  # without the folder, which is of this machine
    if isinstance(error, errors.BadParameters):
        extra["errors"] = [{"parameter": each.parameter, "detail": each.detail} for each in error.problems]
    if isinstance(error, errors.ConstraintViolated):
        extra["errors"] = [{"field": field, "detail": f"{field}: {error.rule}"} for field in error.fields]
    headers = dict(error.headers) if isinstance(error, errors.NotFound) else {}
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.RefusedForNow):
        headers["Retry-After"] = str(error.retry_after_s)
    return _response(problem, detail, request_id, headers, extra)


def no_such_route(request_id: str, detail: str = _NO_SUCH_ROUTE.explanation) -> Response:
    """Return the 404 for a path that has no route in this stack."""
    return _response(_NO_SUCH_ROUTE, detail, request_id)


def method_not_allowed(allow: str, request_id: str) -> Response:
    """Return the 405 for a route that takes other methods: those of `allow`, comma-separated."""
    return _response(_METHOD_NOT_ALLOWED, f"this route takes {allow}", request_id, {"Allow": allow})


def _response(
    problem: Problem,
    detail: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    document = {
        "type": f"/docs#{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": f"urn:uuid:{request_id}",
        **(extra or {}),
    }
    retry = {"Retry-After": _RETRY_AFTER_S} if problem.retry else {}
    # No client may keep an error. A NotFound of a query brings a Cache-Control of its own.
    all_headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", **retry, **(headers or {})}
    # A text of the caller can have half a surrogate pair, which has no UTF-8.
    body = json.dumps(document, ensure_ascii=False).encode(errors="replace").decode()
    return Response(problem.status, all_headers, body)
