"""A TCP proxy in front of PostgreSQL that records what its clients send."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO, Final
from urllib.parse import urlsplit, urlunsplit

from tests.component.support.fake_server import scripted_server

__all__ = ["Recorded", "recording_proxy"]

_ENCRYPTION: Final = (80877103, 80877104)  # the codes of SSLRequest and GSSENCRequest; an untyped message follows


@dataclass
class Recorded:
    """What clients sent: the parameters of their startup messages, their statements, and the types of all messages."""

    parameters: set[str] = field(default_factory=set)
    statements: list[str] = field(default_factory=list)
    types: set[str] = field(default_factory=set)

    def read(self, stream: BinaryIO, server: socket.socket) -> None:
        """Record and forward messages until the client closes."""
        code = _ENCRYPTION[0]
        while code in _ENCRYPTION:
            head = _exactly(stream, 4)
            body = _exactly(stream, struct.unpack("!i", head)[0] - 4)
            server.sendall(head + body)
            (code,) = struct.unpack("!i", body[:4])
        self.parameters.update(body[4:].decode().split("\0")[:-2:2])
        while True:
            head = _exactly(stream, 5)
            body = _exactly(stream, struct.unpack("!i", head[1:])[0] - 4)
            self.types.add(chr(head[0]))
            if head[:1] == b"Q":
                self.statements.append(body.rstrip(b"\0").decode())
            server.sendall(head + body)


@contextmanager
def recording_proxy(url: str) -> Iterator[tuple[Recorded, str]]:
    """Run the proxy in front of the server of `url`. Yields the record, and the URL through the proxy."""
    parts, recorded = urlsplit(url), Recorded()

    def serve(client: socket.socket) -> None:
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as server:
            threading.Thread(target=_pump, args=[server, client], daemon=True).start()
            with suppress(EOFError):
                recorded.read(client.makefile("rb"), server)
            server.shutdown(socket.SHUT_RDWR)  # wakes the pump

    with scripted_server(serve) as proxy:
        credentials, at, _ = parts.netloc.rpartition("@")
        yield recorded, urlunsplit(parts._replace(netloc=f"{credentials}{at}{urlsplit(proxy).netloc}"))


def _pump(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while data := server.recv(65_536):
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
