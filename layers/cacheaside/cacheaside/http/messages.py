"""A request as API Gateway passes it on, and a response as it takes it back (payload format 2.0 of HTTP APIs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

__all__ = ["Invocation", "Request", "Response"]


class Invocation(Protocol):
    """The part of Lambda's context that requests need."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


class Request:
    """One request. `headers` have lower-case names.

    `name` is what the path has for `{name}` in the route. `Application` sets it when it has found the route.
    """

    __slots__ = ("event", "headers", "invocation", "method", "name", "path", "query_string")

    def __init__(self, event: Mapping[str, Any], invocation: Invocation) -> None:
        self.event = event
        self.invocation = invocation
        self.method: str = event["requestContext"]["http"]["method"]
        self.path: str = event["rawPath"]
        self.query_string: str = event.get("rawQueryString") or ""
        # API Gateway sends lower-case names. `sam local start-api` sends them as the client wrote them.
        self.headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        self.name = ""


class Response(NamedTuple):
    """One response. `is_base64`: the body is bytes, and `body` is their base64."""

    status: int
    headers: Mapping[str, str]
    body: str = ""
    is_base64: bool = False

    def to_event(self) -> dict[str, Any]:
        """Return the response in the form that API Gateway takes."""
        return {
            "statusCode": self.status,
            "headers": self.headers,
            "body": self.body,
            "isBase64Encoded": self.is_base64,
        }
