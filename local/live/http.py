"""One request to an API, and its response."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final
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
    def problem(self) -> str:
        """What is wrong, in the words of its problem document, or of its status where it has none."""
        try:
            document: Any = json.loads(self.body)
            title = document["title"]
        except (ValueError, TypeError, KeyError):  # of the gateway, or of a proxy before it
            return f"answered {self.status}"
        return f"{title}: {document['detail']}" if "detail" in document else str(title)


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
