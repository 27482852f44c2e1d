"""The routes of a function. Errors, unknown paths and wrong methods are answered here, for all functions in one way.

API Gateway has matched the route already, so a table is enough here. Decision 0028 says what a framework costs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from cacheaside.errors import PreconditionFailed, Unprocessable
from cacheaside.http import problems
from cacheaside.http.conditions import conditional
from cacheaside.http.messages import Invocation, Request, Response

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

__all__ = ["Application"]

_Answer = Callable[[Request], Response]

_READ: Final = ("GET", "HEAD")
_WRITE: Final = ("POST",)

# Every route of the API, of all functions. API Gateway sends a request that fits no route to one of the functions. That
# one must tell a wrong method (405) from a wrong path (404).
_ROUTES: Final = {
    "/": _READ,
    "/queries": _READ,
    "/queries/{name}": _READ,
    "/queries/{name}/direct": _READ,
    "/health": _READ,
    "/openapi.json": _READ,
    "/docs": _READ,
    "/commands/{name}": _WRITE,
    "/invalidations": _WRITE,
}


class Application:
    """Answers events of API Gateway with the functions that `route` adds. Errors become problem details.

    It logs those of status 5xx as errors, and those of PostgreSQL that a caller's value caused as warnings.
    """

    def __init__(self) -> None:
        self._answers: dict[str, _Answer] = {}

    def route(self, path: str) -> Callable[[_Answer], _Answer]:
        """Decorate the function that answers requests to `path`, a route of the API, with the methods of the route."""

        def add(answer: _Answer) -> _Answer:
            self._answers[path] = answer
            return answer

        return add

    def answer(self, event: Mapping[str, Any], invocation: Invocation) -> dict[str, Any]:
        """Return the response to `event`. Never raises."""
        try:
            response = self._answer(Request(event, invocation))
        except Exception as error:
            response = problems.problem_response(error, invocation.aws_request_id)
            try:
                _log(error, event, invocation)
            except Exception:  # the caller gets the response all the same
                logging.getLogger(__name__).exception("an error could not be logged: %r", error)
        return response.to_event()

    def _answer(self, request: Request) -> Response:
        route, request.name = _route(request.path)
        allowed = _ROUTES.get(route, ())
        if allowed and request.method not in allowed:
            return problems.method_not_allowed(", ".join(allowed), request.invocation.aws_request_id)
        answer = self._answers.get(route)
        # API Gateway compares encoded paths, so to it /queries%2Fproduct has no route, which is $default, and
        # /queries/product%2Fdirect has that of a query.
        if answer is None or request.event.get("routeKey") != f"{request.method} {route}":
            return problems.no_such_route(request.invocation.aws_request_id)
        if allowed is _READ:
            return conditional(answer(request), request.headers)
        if "if-match" in request.headers:
            raise PreconditionFailed("a POST route has no entity tag that If-Match could name")
        return answer(request)


@cache
def _logger() -> Logger:
    """Imported for the first error: most sandboxes log none, and a cold start should not wait for it."""
    from aws_lambda_powertools import Logger

    return Logger()


def _log(error: Exception, event: Mapping[str, Any], invocation: Invocation) -> None:
    is_ours = problems.problem_of(error).status >= 500
    if not is_ours and not isinstance(error, Unprocessable):
        return
    keys = {
        "function_request_id": invocation.aws_request_id,
        "correlation_id": event["requestContext"].get("requestId"),
        "sqlstate": getattr(error.__cause__, "pgcode", None),
    }
    if is_ours:
        _logger().error(str(error), exc_info=error, extra=keys)
    else:  # PostgreSQL's message holds values of the caller, which are not logged
        _logger().warning(str(error), extra=keys)


def _route(path: str) -> tuple[str, str]:
    """Return the key of `_ROUTES` that fits `path`, or one that is none, and the value of its `{name}`."""
    if path in _ROUTES:
        return path, ""
    folder, _, name = path.rpartition("/")
    route = f"{folder}/{{name}}"
    if route not in _ROUTES:
        last = name
        folder, _, name = folder.rpartition("/")
        route = f"{folder}/{{name}}/{last}"
    return (route, name) if name and "\n" not in name else ("", "")
