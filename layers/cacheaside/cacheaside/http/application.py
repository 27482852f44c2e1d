"""The Powertools resolver of all HTTP functions: it answers errors, unknown paths and wrong methods in one way."""

from __future__ import annotations

import re
from typing import Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

from cacheaside.errors import PreconditionFailed, Unprocessable
from cacheaside.http import problems
from cacheaside.http.conditions import conditional

__all__ = ["READ_METHODS", "application"]

READ_METHODS: Final = ["GET", "HEAD"]

# Every route of the API, of all functions. API Gateway sends a request that fits no route to one of the functions. That
# one must tell a wrong method (405) from a wrong path (404).
_ROUTES: Final = [
    (re.compile(r"/|/queries(?:/[^/\n]+)?|/health|/openapi\.json|/docs"), READ_METHODS),
    (re.compile(r"/commands/[^/\n]+|/invalidations"), ["POST"]),
]


def application(logger: Logger) -> APIGatewayHttpResolver:
    """Return a resolver without routes that answers errors as problem details.

    It logs those of status 5xx as errors, and those of PostgreSQL that a caller's value caused as warnings.
    """
    app = APIGatewayHttpResolver()

    def request_id() -> str:
        return str(app.lambda_context.aws_request_id)

    def render_error(error: Exception) -> Response[str]:
        sqlstate = {"sqlstate": getattr(error.__cause__, "pgcode", None)}
        if problems.problem_of(error).status >= 500:
            logger.error(str(error), exc_info=error, extra=sqlstate)
        elif isinstance(error, Unprocessable):  # PostgreSQL's message holds values of the caller, which are not logged
            logger.warning(str(error), extra=sqlstate)
        return problems.problem_response(error, request_id())

    def render_no_route(_: NotFoundError) -> Response[str]:
        return problems.no_such_route(request_id())

    def serve(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[str]:
        event = app.current_event
        # API Gateway sends the names of headers in lower case. `event.headers` would copy them for each hit.
        method, path, headers = event.http_method, event.path, event.get("headers") or {}
        allowed = next((methods for paths, methods in _ROUTES if paths.fullmatch(path)), [])
        if allowed and method not in allowed:
            return problems.method_not_allowed(", ".join(allowed), request_id())
        # $default means that API Gateway found no route. It compares encoded paths, so /queries%2Fproduct has none.
        if not allowed or event.route_key == "$default":
            return problems.no_such_route(request_id())
        if method in READ_METHODS:
            return conditional(next_middleware(app), headers)
        if "if-match" in headers:
            raise PreconditionFailed("a POST route has no entity tag that If-Match could name")
        return next_middleware(app)

    # Not used as decorators, because Powertools declares no types for these.
    app.exception_handler(Exception)(render_error)
    app.not_found(render_no_route)
    # Powertools ignores the case of methods, reads routes as regular expressions, and sees a path only decoded.
    app.use([serve])
    return app
