"""The Powertools resolver of all HTTP functions: it answers errors, unknown paths and wrong methods in one way."""

from __future__ import annotations

import re
from typing import Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from cacheaside.errors import Unprocessable
from cacheaside.http import problems

__all__ = ["READ_METHODS", "application"]

READ_METHODS: Final = ["GET", "HEAD"]

# Every route of the API, of all functions. API Gateway sends a request that fits no route to one of the functions. That
# one must tell a wrong method (405) from a wrong path (404).
_METHODS: Final = {
    r"/": "GET, HEAD",
    r"/queries": "GET, HEAD",
    r"/queries/[^/]+": "GET, HEAD",
    r"/health": "GET, HEAD",
    r"/openapi\.json": "GET, HEAD",
    r"/docs": "GET, HEAD",
    r"/commands/[^/]+": "POST",
    r"/invalidations": "POST",
}


def application(logger: Logger) -> APIGatewayHttpResolver:
    """Return a resolver without routes that answers errors as problem details.

    It logs those of status 5xx as errors, and those of PostgreSQL that a caller's value caused as warnings.
    """
    app = APIGatewayHttpResolver()

    def request_id() -> str:
        return str(app.lambda_context.aws_request_id)

    def render_error(error: Exception) -> Response[str]:
        if problems.problem_of(error).status >= 500:
            logger.error(str(error), exc_info=error)
        elif isinstance(error, Unprocessable):  # PostgreSQL's message holds values of the caller, which are not logged
            logger.warning(str(error), extra={"sqlstate": getattr(error.__cause__, "pgcode", None)})
        return problems.problem_response(error, request_id())

    def render_no_route(_: NotFoundError) -> Response[str]:
        path = app.current_event.path
        allow = next((methods for route, methods in _METHODS.items() if re.fullmatch(route, path)), None)
        if allow is None or app.current_event.http_method in allow.split(", "):
            return problems.no_such_route(request_id())
        return problems.method_not_allowed(allow, request_id())

    # Not used as decorators, because Powertools declares no types for these.
    app.exception_handler(Exception)(render_error)
    app.not_found(render_no_route)
    return app
