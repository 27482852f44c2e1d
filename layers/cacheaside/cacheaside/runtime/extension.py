"""An internal extension of Lambda: a thread of the function's own process that asks for events, as the runtime does.

It asks once in each invocation, so what a request costs here, each hit pays. http.client would make a connection and
parse each response as an e-mail: twice the CPU of the hit itself. So this keeps one connection, and reads no more of a
response than where it ends. The connection is within the sandbox, and is frozen and thawed with it.

The API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html. Standard library only.
"""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import BinaryIO, Final

__all__ = ["Extension"]

_NAME: Final = "cacheaside"
_API: Final = "/2020-01-01/extension"
_IDENTIFIER: Final = "Lambda-Extension-Identifier"
_REGISTER_S: Final = 2.0  # the API is in the sandbox itself, and init as a whole has 10 s


class Extension:
    """A registered extension. All methods raise OSError, or HTTPException if Lambda refuses."""

    def __init__(self, address: str, identifier: str) -> None:
        self._address = address
        self._next = (
            f"GET {_API}/event/next HTTP/1.1\r\nHost: {address}\r\n{_IDENTIFIER}: {identifier}\r\n\r\n".encode()
        )
        self._kept: tuple[socket.socket, BinaryIO] | None = None

    @classmethod
    def register(cls, address: str) -> Extension:
        """Register for INVOKE, the only event of internal extensions. Lambda allows it during init only."""
        connection = HTTPConnection(address, timeout=_REGISTER_S)
        try:
            headers = {"Lambda-Extension-Name": _NAME, "Content-Type": "application/json"}
            connection.request("POST", f"{_API}/register", json.dumps({"events": ["INVOKE"]}), headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise HTTPException(f"{response.status} {text.decode(errors='replace')}")
        identifier = response.getheader(_IDENTIFIER)
        if identifier is None:
            raise HTTPException(f"registered without {_IDENTIFIER}")
        return cls(address, identifier)

    def await_invoke(self) -> None:
        """Ask for the next event, and return when an invocation begins."""
        if self._kept is not None:
            try:
                return self._ask(*self._kept)
            except OSError:  # the connection has ended since the last event
                self._close()
        host, _, port = self._address.rpartition(":")
        # No timeout: the sandbox may be frozen for hours while it waits.
        connection = socket.create_connection((host, int(port)))
        self._kept = (connection, connection.makefile("rb"))
        return self._ask(*self._kept)

    def _ask(self, connection: socket.socket, replies: BinaryIO) -> None:
        connection.sendall(self._next)
        try:
            status, body, is_kept = _read_response(replies)
        except ValueError as error:
            raise HTTPException("the length of the response is no number") from error
        if not is_kept:
            self._close()
        if status != b"200":
            raise HTTPException(f"{status.decode()} {body.decode(errors='replace')}")

    def _close(self) -> None:
        if self._kept is not None:
            for each in reversed(self._kept):
                each.close()
        self._kept = None


def _read_response(replies: BinaryIO) -> tuple[bytes, bytes, bool]:
    """Return status and body of a response, and whether another one can follow on this connection (RFC 9112)."""
    version, _, rest = replies.readline().partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise ConnectionError("the connection ended, or this is no HTTP")
    fields: dict[bytes, bytes] = {}
    while (line := replies.readline()) not in (b"\r\n", b"\n", b""):
        name, _, value = line.lower().partition(b":")
        fields[name] = value.strip()
    is_kept = version == b"HTTP/1.1" and fields.get(b"connection") != b"close"
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(replies.readline().partition(b";")[0], 16):
            body += replies.read(size + 2)[:-2]
        replies.readline()
        return rest[:3], body, is_kept
    if b"content-length" in fields:
        return rest[:3], replies.read(int(fields[b"content-length"])), is_kept
    return rest[:3], replies.read(), False
