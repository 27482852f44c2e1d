"""An internal extension of Lambda: a thread of the function's own process that asks for events, as the runtime does.

It asks once in each invocation, so each hit pays for a request here. http.client would make a connection for it and
parse the response as an e-mail: more CPU than the hit itself, and an import at each cold start. So this keeps one
connection, and reads no more of a response than it needs. The connection is within the sandbox. It is frozen and thawed
with it.

The API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. Standard library only.
"""

from __future__ import annotations

import json
import select
import socket
from typing import BinaryIO, Final, NamedTuple

__all__ = ["Extension", "Refused"]

_API: Final = "/2020-01-01/extension"
_IDENTIFIER: Final = "Lambda-Extension-Identifier"
_REGISTER_S: Final = 2.0  # the API is in the sandbox itself, and init as a whole has 10 s


class Refused(Exception):
    """Lambda refused a request, or its response is no HTTP."""


class Extension:
    """A connection to the API, and what identifies this extension. Each method raises OSError or Refused.

    In each invocation: `await_invoke`, and when nothing is left to do `ask` for the next one.
    """

    def __init__(self, address: str) -> None:
        """`address` is that of AWS_LAMBDA_RUNTIME_API, host:port."""
        self._address = address
        self._next = b""
        self._kept: _Kept | None = None

    def register(self) -> None:
        """Register for INVOKE, the only event of internal extensions. Lambda allows it during init only."""
        body = json.dumps({"events": ["INVOKE"]})
        fields = {"Lambda-Extension-Name": "cacheaside", "Content-Type": "application/json"}
        kept = self._connect(_REGISTER_S)
        kept.connection.sendall(self._request("POST", "register", fields, body))
        identifier = self._read(kept).fields.get(_IDENTIFIER.lower())
        if identifier is None:
            raise Refused(f"registered without {_IDENTIFIER}")
        if self._kept is kept:
            kept.connection.settimeout(None)  # the sandbox may be frozen for hours while it waits for an event
        self._next = self._request("GET", "event/next", {_IDENTIFIER: identifier})

    def ask(self) -> None:
        """Ask for the next event, and do not wait for it."""
        if self._kept is not None:
            try:
                self._kept.connection.sendall(self._next)
                return
            except OSError:  # the connection has ended since the last event
                self._close()
        self._connect(None).connection.sendall(self._next)

    def has_event(self) -> bool:
        """Return whether `await_invoke` will return at once."""
        return self._kept is not None and bool(self._kept.poll.poll(0))

    def await_invoke(self) -> None:
        """Return when the invocation has begun that was asked for."""
        if self._kept is not None:
            try:
                self._read(self._kept)
                return
            except OSError:  # the connection has ended since it was asked
                self._close()
        kept = self._connect(None)
        kept.connection.sendall(self._next)
        self._read(kept)

    def _connect(self, timeout_s: float | None) -> _Kept:
        host, _, port = self._address.rpartition(":")
        connection = socket.create_connection((host, int(port)), timeout_s)
        self._kept = _Kept(connection, connection.makefile("rb"), select.poll())
        self._kept.poll.register(connection, select.POLLIN)
        return self._kept

    def _request(self, method: str, path: str, fields: dict[str, str], body: str = "") -> bytes:
        fields = {"Host": self._address, **fields, **({"Content-Length": str(len(body))} if body else {})}
        lines = [f"{method} {_API}/{path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join([*lines, "", body]).encode()

    def _read(self, kept: _Kept) -> _Response:
        try:
            response = _read_response(kept.replies)
        except ValueError as error:
            raise Refused(f"no HTTP: {error}") from error
        if not response.is_kept:
            self._close()
        if response.status != "200":
            raise Refused(f"{response.status} {response.body.decode(errors='replace')}")
        return response

    def _close(self) -> None:
        if self._kept is not None:
            self._kept.replies.close()
            self._kept.connection.close()
        self._kept = None


class _Kept(NamedTuple):
    """A connection, the responses that come on it, and what tells whether one has come."""

    connection: socket.socket
    replies: BinaryIO
    poll: select.poll


class _Response(NamedTuple):
    """`fields` has lower-case names. `is_kept`: another response can follow on this connection."""

    status: str
    fields: dict[str, str]
    body: bytes
    is_kept: bool


def _read_response(replies: BinaryIO) -> _Response:
    """Read one response (RFC 9112). Raises ConnectionError if the connection has ended, ValueError if it is no HTTP."""
    version, _, rest = replies.readline().decode("latin-1").partition(" ")
    if not version:
        raise ConnectionError("the connection has ended")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"it begins with {version[:20]!r}")
    fields: dict[str, str] = {}
    while line := replies.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    is_kept = version == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
    if fields.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(replies.readline().partition(b";")[0], 16):
            body += replies.read(size + 2)[:-2]
        while replies.readline().rstrip(b"\r\n"):  # trailers
            continue
    elif rest.startswith("204"):
        body = b""
    elif "content-length" in fields:
        body = replies.read(abs(int(fields["content-length"])))
    else:
        body, is_kept = replies.read(), False
    return _Response(rest[:3], fields, body, is_kept)
