"""The Powertools resolver that all HTTP functions share: their routes differ, what happens around them does not."""

from __future__ import annotations

import re
from typing import Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from cacheaside.http import problems

__all__ = ["READ", "application"]

READ: Final = ["GET", "HEAD"]

# Every route of the API, whichever function has it: API Gateway sends what fits none of them to one function only,
# and that one must know a wrong method from a wrong path.
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
    """Return a resolver without routes that answers every error as problem details, and logs those that are ours."""
    app = APIGatewayHttpResolver()

    def request_id() -> str:
        return str(app.lambda_context.aws_request_id)

    def show(error: Exception) -> Response[str]:
        if problems.problem_of(error).status >= 500:
            logger.error(str(error), exc_info=error)
        return problems.render(error, request_id())

    def show_no_route(_: NotFoundError) -> Response[str]:
        path = app.current_event.path
        allow = next((methods for route, methods in _METHODS.items() if re.fullmatch(route, path)), None)
        if allow is None or app.current_event.http_method in allow.split(", "):
            return problems.no_such_route(request_id())
        return problems.method_not_allowed(allow, request_id())

    # Not as decorators: those of Powertools have no types.
    app.exception_handler(Exception)(show)
    app.not_found(show_no_route)
    return app
