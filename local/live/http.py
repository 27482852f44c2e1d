"""One request to an API, and its response."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

__all__ = ["Authorize", "Response", "send", "unsigned"]

# Longer than any gateway waits, so that the API's own timeout is seen.
_TIMEOUT_S: Final = 60

Authorize = Callable[[str, str, bytes], Mapping[str, str]]
"""Returns the headers that authenticate a request, from its method, URL and body."""


def unsigned(_method: str, _url: str, _body: bytes) -> Mapping[str, str]:
    """Return no headers."""
    return {}


@dataclass(frozen=True)
class Response:
    """A response, its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> tuple[str, str]:
        """Title and detail of what is wrong, in the words of its problem document, or of API Gateway's message."""
        try:
            document = json.loads(self.body)
            title = str(document.get("title") or document["message"])
        except (ValueError, AttributeError, KeyError):  # of a proxy on the way
            return f"answered {self.status}", ""
        return title, str(document.get("detail", ""))

    def __str__(self) -> str:
        return ": ".join(filter(None, self.problem))


def send(
    method: str,
    url: str,
    authorize: Authorize = unsigned,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Response:
    """Send one request on a connection of its own. Raises OSError or HTTPException if there is no response."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with closing(connect(parts.netloc, timeout=timeout_s)) as connection:
        own = {"accept-encoding": "identity", **(headers or {})}
        connection.request(method, path, body or None, own | dict(authorize(method, url, body)))
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, received, response.read())
