"""Fake cache servers: they accept connections, and a test decides what they answer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from proofs.fuzz.fake_servers import serving

__all__ = ["fixed_reply_server", "scripted_server"]


@contextmanager
def scripted_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that calls `serve` with each connection. Yields its URL."""

    with serving(serve) as port:
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def fixed_reply_server(reply: bytes | None) -> Iterator[str]:
    """Run a server that answers each request with `reply`, or never answers. Yields its URL."""

    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            if reply is not None:
                connection.sendall(reply)

    with scripted_server(serve) as url:
        yield url
