"""HTTP requests to events, and answers of functions to HTTP responses: payload format 2.0 of API Gateway's HTTP APIs.

The documentation does not say all of it. Measured by others on the real service: the path is decoded and the query
string is not; cookies are not among the headers; a body is text for few media types, and forms are not among them.
"""

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import h11

from local.api.routing import Match
from local.api.tokens import unchecked_claims

__all__ = ["MalformedAnswer", "Request", "Response", "to_event", "to_response"]

Json = dict[str, Any]

# Headers for one connection. API Gateway does not pass them on.
HOP_BY_HOP = {"connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
TEXT_TYPES = {"application/json", "application/xml", "application/javascript"}


@dataclass(frozen=True)
class Request:
    method: str
    target: str  # path and query string, as sent
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    source_ip: str = "127.0.0.1"
    protocol: str = "HTTP/1.1"

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""

    @classmethod
    def message(cls, status: int, text: str) -> "Response":
        """A response of API Gateway itself."""
        body = json.dumps({"message": text}, separators=(",", ":"))
        return cls(status, [("content-type", "application/json")], body.encode())


class MalformedAnswer(Exception):
    """The function's answer cannot become an HTTP response."""


def to_event(request: Request, match: Match, port: int) -> Json:
    headers, cookies = _headers(request, port)
    query = request.target.partition("?")[2]
    host = headers.get("host", "localhost").rpartition("@")[2].partition(":")[0]
    now = time.time()
    event: Json = {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": unquote(request.path),
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": unquote(request.path),
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": base64.urlsafe_b64encode(secrets.token_bytes(11)).decode(),
            "routeKey": match.route.key,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if claims := unchecked_claims(headers.get("authorization", "")):
        event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = _joined(parse_qsl(query, keep_blank_values=True))
    if match.parameters:
        event["pathParameters"] = match.parameters
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request.body, headers.get("content-type", ""))
    return event


def to_response(answer: Any) -> Response:
    """The response for the answer of a function. Raises `MalformedAnswer`."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return Response(200, [("content-type", "application/json")], text.encode())
    try:
        body = answer.get("body") or ""
        content = base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else body.encode()
        headers = [(name, _header(value)) for name, value in (answer.get("headers") or {}).items()]
        headers = [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP | {"content-length"}]
        headers += [("set-cookie", _header(cookie)) for cookie in answer.get("cookies") or ()]
        status = int(answer["statusCode"])
        h11.Response(status_code=200, headers=[(name, value.encode("latin-1")) for name, value in headers])
    except (AttributeError, TypeError, ValueError, h11.LocalProtocolError) as error:
        raise MalformedAnswer(f"the answer is not of payload format 2.0: {error}") from None
    if not 200 <= status <= 599:
        raise MalformedAnswer(f"statusCode is {status}")
    if content and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    return Response(status, headers, content)


def _headers(request: Request, port: int) -> tuple[dict[str, str], list[str]]:
    """The event's headers and cookies."""
    given = [(name.lower(), value) for name, value in request.headers]
    cookies = [cookie.strip() for name, value in given if name == "cookie" for cookie in value.split(";")]
    headers = _joined([(name, value) for name, value in given if name != "cookie" and name not in HOP_BY_HOP])
    headers["content-length"] = str(len(request.body))
    headers["x-amzn-trace-id"] = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    headers["x-forwarded-for"] = ", ".join(filter(None, [headers.get("x-forwarded-for"), request.source_ip]))
    headers["x-forwarded-port"] = str(port)
    headers["x-forwarded-proto"] = "http"
    return headers, [cookie for cookie in cookies if cookie]


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in TEXT_TYPES or media_type.startswith("text/"):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def _header(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
