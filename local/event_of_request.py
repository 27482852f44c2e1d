"""The event that API Gateway would send a function for a request, made by the code of the local gateway."""

from __future__ import annotations

import json
import re
from typing import Any

from local.api.events import Request, to_event
from local.api.routing import Router
from local.errors import LocalError
from local.template import Template

__all__ = ["event_of_request", "parse_request"]

PORT = 443
HEADERS = [("accept", "*/*"), ("host", "localhost"), ("user-agent", "cacheaside")]
REQUEST = re.compile(r"(?:([A-Z]+) +)?(/[^ ]*)(?: +(.+))?", re.DOTALL)


def parse_request(text: str) -> tuple[str, str, Any]:
    """Return method, target and body of `/queries/x?id=1`, or `POST /commands/x {"id": 1}`. Raises `LocalError`."""
    match = REQUEST.fullmatch(text.strip())
    if match is None:
        forms = "/queries/NAME?PARAMETER=VALUE or POST /commands/NAME {…}"
        raise LocalError(f"{text!r} is no file of events/ and no request such as {forms}")
    method, target, body = match.groups()
    try:
        return method or "GET", target, json.loads(body) if body else None
    except ValueError as error:
        raise LocalError(f"the body of the request is not JSON: {error}") from None


def event_of_request(template: Template, method: str, target: str, body: Any = None) -> tuple[str, dict[str, Any]]:
    """Return the logical id of the function that answers a request, and its event. `body` is sent as JSON.

    Raises `LocalError` if no route matches.
    """
    match = Router(template.routes).match(method, target.partition("?")[0])
    if match is None:
        raise LocalError(f"no route of the template matches {method} {target}")
    content = b"" if body is None else json.dumps(body).encode()
    headers = HEADERS if body is None else [*HEADERS, ("content-type", "application/json")]
    return match.route.function, to_event(Request(method, target, headers, content), match, PORT)
