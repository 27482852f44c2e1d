"""A request as API Gateway passes it on, and a response as it takes it back (payload format 2.0 of HTTP APIs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from cacheaside.errors import BadBody

__all__ = ["Invocation", "Request", "Response", "expected"]


_T = TypeVar("_T")

_OTHER_EVENT: Final = "the event is not one that API Gateway sends for a request"


class Invocation(Protocol):
    """The part of Lambda's context that requests need."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


class Request:
    """One request. `headers` have lower-case names.

    `name` is what the path has for `{name}` in the route. `Application` sets it when it has found the route.
    Raises BadBody if the event has not the form of API Gateway's: an invoker can send any JSON.
    """

    __slots__ = ("body", "event", "headers", "invocation", "method", "name", "path", "query_string")

    def __init__(self, event: Mapping[str, Any], invocation: Invocation) -> None:
        self.event = expected(dict, event)
        self.invocation = invocation
        http = expected(dict, expected(dict, event.get("requestContext")).get("http"))
        self.method = expected(str, http.get("method"))
        self.path = expected(str, event.get("rawPath"))
        self.query_string = expected(str, event.get("rawQueryString") or "")
        self.body = expected(str, event.get("body") or "")
        headers = expected(dict, event.get("headers") or {})
        # API Gateway sends lower-case names. `sam local start-api` sends them as the client wrote them.
        self.headers: dict[str, str] = {name.lower(): value for name, value in headers.items()}
        if not all(isinstance(value, str) for value in headers.values()):
            raise BadBody(_OTHER_EVENT)
        self.name = ""


def expected(kind: type[_T], value: object) -> _T:
    """Return a part of an event. Raises BadBody if it is of another kind."""
    if not isinstance(value, kind):
        raise BadBody(_OTHER_EVENT)
    return value


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
